"""What the set-up does on which machine, and that it does and says nothing where nothing is to be done."""

import re
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.setup.conftest import ALL_PACKAGES, CHECKOUT, Machine

FOLDERS_FOR_ROOT = ("tests/bpf", "tests/contract", "tests/docker")
FOR_ROOT = " ".join(f"--ignore={folder}" for folder in FOLDERS_FOR_ROOT)


def test_nothing_missing_installs_nothing_and_says_nothing(machine: Machine) -> None:
    done = machine.setup("packages")

    assert (0, "", "", []) == (done.returncode, done.stdout, done.stderr, machine.calls())


def test_only_missing_packages_are_installed_after_one_update(machine: Machine) -> None:
    machine.has(packages=ALL_PACKAGES.replace("python3-bpfcc ", ""))

    done = machine.setup("packages", "ethtool")

    options = "-qq -o DPkg::Lock::Timeout=300"
    install = f"apt-get {options} install -y --no-install-recommends python3-bpfcc ethtool"
    assert [f"apt-get {options} update", install] == machine.calls()
    assert "python3-bpfcc ethtool" in done.stderr
    assert done.returncode == 0


def test_a_package_whose_name_begins_like_an_installed_one_is_missing(machine: Machine) -> None:
    machine.has(packages=ALL_PACKAGES.replace("python3 ", "", 1))

    machine.setup("packages")

    assert machine.calls()[-1].endswith("recommends python3")


def test_a_library_is_there_under_its_name_of_debian_13(machine: Machine) -> None:
    machine.has(packages=ALL_PACKAGES.replace("libpcap0.8", "libpcap0.8t64"))

    done = machine.setup("packages")

    assert (0, "", []) == (done.returncode, done.stderr, machine.calls())


def test_the_page_of_releases_names_all_packages() -> None:
    page = (CHECKOUT / "docs" / "releasing.md").read_text(encoding="utf-8")

    assert f"apt-get install {ALL_PACKAGES.strip()}\n" in page


def test_a_user_installs_packages_through_sudo(machine: Machine) -> None:
    machine.has(packages="python3", uid=1000)

    machine.setup("packages")

    assert ["sudo", "apt-get", "sudo", "apt-get"] == [call.split()[0] for call in machine.calls()]


def test_a_user_without_sudo_is_told_what_needs_root(machine: Machine) -> None:
    machine.has(packages="python3", uid=1000)
    machine.without("sudo")

    done = machine.setup("packages")

    assert done.returncode == 1
    assert "only root can install them: apt-get install python3-venv python3-bpfcc" in done.stderr


def test_a_user_without_sudo_is_told_which_command_needs_root(machine: Machine) -> None:
    machine.setup("venv")
    machine.has(uid=1000)
    machine.without("sudo")

    done = machine.setup("root", "netlab", "up")

    assert done.returncode == 1
    assert "this needs root, and there is no sudo here; say it as root: " in done.stderr


def test_a_command_runs_in_a_cell_where_there_are_cells(machine: Machine) -> None:
    """The machine's own cell, a stand-in, runs nothing."""
    machine.has(cells=True)
    inside = machine.setup("cell", "echo", "out")
    machine.has(cells=False)
    outside = machine.setup("cell", "echo", "out")

    assert [(0, ""), (0, "out\n")] == [(done.returncode, done.stdout) for done in (inside, outside)]


def test_a_user_without_sudo_is_told_that_a_cell_needs_root(machine: Machine) -> None:
    machine.has(uid=1000)
    machine.without("sudo")

    assert "this needs root, and there is no sudo here" in machine.setup("cell", "true").stderr


def test_what_apt_said_is_shown_when_it_fails(machine: Machine) -> None:
    machine.has(packages="python3")
    machine.fails("apt")

    done = machine.setup("packages")

    assert done.returncode == 1
    assert "E: no mirror" in done.stderr
    assert "apt-get could not install: python3-venv" in done.stderr


def test_the_tests_of_docker_do_with_those_packages_that_there_are(machine: Machine) -> None:
    """Each is asked for by itself: one that a mirror does not have must not keep the engine away."""
    machine.fails("apt")

    machine.run("make", "--old-file=dev", "test-docker")

    asked = [call.rsplit(" ", 1)[1] for call in machine.calls() if " install " in call]
    assert ["docker.io", "docker-compose", "debootstrap"] == asked


def test_another_distribution_is_told_what_to_install(machine: Machine) -> None:
    machine.without("dpkg-query")

    done = machine.setup("packages")

    assert done.returncode == 1
    assert ALL_PACKAGES in done.stderr


def test_the_second_venv_run_is_silent(machine: Machine) -> None:
    machine.setup("venv")
    first = machine.calls()

    done = machine.setup("venv")

    assert ["venv", "pip install --editable ."] == first
    assert (0, "", "", []) == (done.returncode, done.stdout, done.stderr, machine.calls())


def test_a_user_builds_the_venv_without_sudo(machine: Machine) -> None:
    machine.has(uid=1000)

    machine.setup("venv", "dev")

    assert "sudo" not in machine.calls()


def test_tests_add_to_the_venv_and_install_keeps_what_they_added(machine: Machine) -> None:
    machine.setup("venv")
    machine.calls()

    machine.setup("venv", "dev")
    added = machine.calls()
    machine.setup("venv")

    assert ["pip install --editable .[dev]"] == added
    assert [] == machine.calls()


def test_other_dependencies_are_installed_into_the_same_venv(machine: Machine) -> None:
    machine.setup("venv")
    machine.calls()
    with (machine.checkout / "pyproject.toml").open("a") as project:
        project.write("# changed\n")

    machine.setup("venv")

    assert ["pip install --editable ."] == machine.calls()


def test_the_command_is_our_launcher_whenever_pip_has_made_its_own(machine: Machine) -> None:
    command = machine.checkout / ".venv/bin/netlab"
    machine.setup("venv")
    first = command.read_text()
    machine.setup("venv", "dev")

    assert '#!launcher\npath = "a\\nb"\n' == first == command.read_text()


def test_without_a_launcher_the_command_is_pips(machine: Machine) -> None:
    (machine.folder / "no-launcher").touch()

    done = machine.setup("venv")

    assert (0, "#!pip\n") == (done.returncode, (machine.checkout / ".venv/bin/netlab").read_text())


def test_a_moved_checkout_gets_a_new_venv_and_the_command_follows(machine: Machine) -> None:
    machine.setup("venv")
    machine.setup("link")
    machine.calls()
    machine.checkout = machine.checkout.rename(machine.folder / "moved")

    machine.setup("venv")
    done = machine.setup("link")

    assert ["venv", "pip install --editable ."] == machine.calls()
    assert str(machine.checkout / ".venv/bin/netlab") == str(machine.command.readlink())
    assert "from now on it is this checkout's" in done.stderr


def test_a_failed_install_is_shown_and_tried_again(machine: Machine) -> None:
    machine.fails("pip")
    failed = machine.setup("venv")
    machine.calls()
    (machine.folder / "pip-fails").unlink()

    machine.setup("venv")

    assert failed.returncode == 1
    assert "no such package" in failed.stderr
    assert ["pip install --editable ."] == machine.calls()


def test_the_command_is_linked_once(machine: Machine) -> None:
    machine.has(uid=1000)
    machine.setup("venv")
    machine.calls()

    machine.setup("link")
    first = machine.calls()
    done = machine.setup("link")

    assert ["sudo"] * 4 == first  # a folder and a file, twice
    assert (0, "", []) == (done.returncode, done.stdout, machine.calls())
    assert machine.command.resolve() == machine.checkout / ".venv/bin/netlab"


def test_somebody_elses_netlab_stays(machine: Machine) -> None:
    machine.command.parent.mkdir(parents=True)
    machine.command.write_text("theirs")

    done = machine.setup("link")
    machine.setup("unlink")

    assert done.returncode == 1
    assert "stays as it is" in done.stderr
    assert machine.command.read_text() == "theirs"


def test_a_link_to_somebody_elses_netlab_stays(machine: Machine) -> None:
    machine.command.parent.mkdir(parents=True)
    machine.command.symlink_to("/opt/other/bin/netlab")

    done = machine.setup("link")

    assert done.returncode == 1
    assert str(machine.command.readlink()) == "/opt/other/bin/netlab"


def test_uninstall_removes_our_link(machine: Machine) -> None:
    machine.setup("venv")
    machine.setup("link")

    machine.setup("unlink")

    assert not machine.command.is_symlink()


SHARED = {
    "bash-completion/completions/netlab": "argcomplete bash\n",
    "zsh/site-functions/_netlab": "argcomplete zsh\n",
    "fish/vendor_completions.d/netlab.fish": "argcomplete fish\n",
}


def test_completion_and_manual_page_come_and_go_with_the_command(machine: Machine) -> None:
    """Files of others stay, and so do ours where nothing is new in them."""
    machine.setup("venv")
    command = machine.checkout / ".venv/bin/netlab"
    command.write_text('#!/bin/sh\necho "argcomplete $2"\n')
    command.chmod(0o700)
    share = machine.prefix / "share"
    theirs = share / "fish/vendor_completions.d/netlab.fish"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs\n")

    machine.setup("link")
    page = share / "man/man1/netlab.1"
    found = {name: (share / name).read_text() for name in SHARED}
    assert {**SHARED, "fish/vendor_completions.d/netlab.fish": "theirs\n"} == found
    assert page.read_text() == (CHECKOUT / "docs/man/netlab.1").read_text()

    before = page.stat().st_mtime_ns
    done = machine.setup("link")
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert before == page.stat().st_mtime_ns

    machine.setup("unlink")
    assert [theirs] == [path for path in share.rglob("*") if path.is_file()]


def test_make_alone_lists_the_targets(machine: Machine) -> None:
    done = machine.run("make")

    named = {line.split()[1] for line in done.stdout.splitlines()}
    assert {"install", "demo", "check", "test", "lint", "bench", "uninstall", "clean"} <= named


def test_root_runs_all_tests_at_once(machine: Machine) -> None:
    machine.setup("venv")
    machine.calls()
    machine.has(uid=0, cells=False)
    machine.pytest_ends(lab=3)

    assert machine.test("-x") == 3
    assert ["pytest lab -m pytest -m not docker and not slow -x"] == machine.calls()


def test_a_user_runs_with_sudo_only_what_needs_root(machine: Machine) -> None:
    machine.setup("venv")
    machine.calls()
    machine.has(uid=1000, cells=False)
    machine.pytest_ends()

    assert machine.test("-k", "two words") == 0
    assert [
        f"pytest unit -m pytest -m not root and (not docker and not slow) {FOR_ROOT} -k two words",
        "sudo",  # which asks for a cell
        "sudo",
        "pytest lab -m pytest -m root and (not docker and not slow) -p no:cacheprovider -k two words",
    ] == machine.calls()


def test_one_more_runs_at_a_time_than_there_are_processors(machine: Machine) -> None:
    """Those that need root, each in a cell of its own, where this machine has them."""
    machine.setup("venv")
    machine.calls()
    machine.pytest_ends()
    ready = "env --block-signal .venv/bin/python"

    machine.has(uid=1000, processors=4)
    assert machine.test() == 0
    assert [f"--tx=5*popen//python={ready}", f"--tx=5*popen//python=.ci/cell {ready}"] == places(machine)

    machine.has(uid=1000, processors=4, cells=False)
    assert machine.test() == 0
    assert [f"--tx=5*popen//python={ready}", ""] == places(machine)

    machine.has(uid=1000, processors=1)
    assert machine.test() == 0
    assert ["", f"--tx=1*popen//python=.ci/cell {ready}"] == places(machine)


def test_the_programs_at_length_have_their_races_by_themselves(machine: Machine) -> None:
    """Each race takes two processors; the others run as many at a time as there are."""
    machine.setup("venv")
    machine.calls()
    machine.pytest_ends(lab=5)
    at_length = ("env", "PROGRAMS=1", "WORKERS=2", "sh", ".ci/test", "-x")

    machine.has(uid=0, processors=2, cells=False)
    assert machine.run(*at_length).returncode == 5
    others, races = machine.calls()
    objects = "tests/lab/test_objects.py::test_fuzzed_objects_never_end_netlab"
    assert others.endswith(f"-p no:cacheprovider tests/bpf {objects} --ignore=tests/bpf/test_races.py -x")
    assert races.endswith("-m pytest -p no:cacheprovider tests/bpf/test_races.py -x")

    machine.has(uid=0, processors=2)
    machine.run(*at_length)
    assert places(machine) == ["--tx=2*popen//python=.ci/cell env --block-signal .venv/bin/python"]


def places(machine: Machine) -> list[str]:
    """Return where each call of pytest has run its tests; "" is in its own process."""
    return [
        f"--tx{call.partition(' --tx')[2]}" if " --tx" in call else "" for call in machine.calls() if "pytest" in call
    ]


def test_tests_without_root_can_run_alone(machine: Machine) -> None:
    """Also when root says so."""
    machine.setup("venv")
    machine.calls()
    machine.pytest_ends()

    assert machine.run("env", "WITHOUT_ROOT=1", "sh", ".ci/test").returncode == 0
    assert [f"pytest unit -m pytest -m not root and (not docker and not slow) {FOR_ROOT}"] == machine.calls()


def test_what_a_user_does_not_even_load_all_needs_root() -> None:
    """Every file of tests there says so of all its tests."""
    paths = [path for folder in FOLDERS_FOR_ROOT for path in Path(ROOT, folder).glob("**/test_*.py")]

    assert len(paths) > 20
    assert [] == [
        path
        for path in paths
        if not re.search(r"^pytestmark = .*mark\.root|^    pytest\.mark\.root", path.read_text(), re.MULTILINE)
    ]


@pytest.mark.parametrize(
    ("unit", "lab", "expected"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (5, 0, 0), (0, 5, 0), (5, 5, 5), (1, 5, 1)]
)
def test_either_half_can_fail_the_tests(machine: Machine, unit: int, lab: int, expected: int) -> None:
    """pytest's 5 says that no test was chosen, which is no failure if the other half had some."""
    machine.setup("venv")
    machine.has(uid=1000)
    machine.pytest_ends(unit=unit, lab=lab)

    assert machine.test() == expected
