"""Which control groups limits are made of, on hosts with cgroup v1, v2 or both: folders here stand for hierarchies."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from netlab.errors import HostError, NetlabError
from netlab.record.model import LimitsRecord as Limits
from netlab.runtime.cgroup_limits import Groups, hierarchies, labs

HALF = Limits(cpu=0.5, memory=64 << 20)
# What the kernel puts into a new group
FILES = {
    "cpu": ("cpu.cfs_period_us", "cpu.cfs_quota_us"),
    "memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control"),
    "pids": ("pids.max",),
    "unified": ("cgroup.subtree_control", "cpu.max", "memory.max", "memory.swap.max", "memory.events", "pids.max"),
}

Host = Callable[..., str]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Mount v1's hierarchies of these controllers, and v2's with those; returns the file that tells the mounts."""

    def mount(*v1: str, v2: str = "") -> str:
        names = {name: ("cgroup", f"rw,{name}") for name in v1} | {"unified": ("cgroup2", "rw")}
        lines = []
        for number, (name, (kind, options)) in enumerate(names.items()):
            (tmp_path / name).mkdir()
            lines.append(f"{40 + number} 30 0:{number} / {tmp_path / name} rw shared:1 - {kind} {kind} {options}\n")
        (tmp_path / "unified/cgroup.controllers").write_text(v2)
        (tmp_path / "unified/cgroup.subtree_control").write_text("pids")
        (tmp_path / "mounts").write_text("20 1 0:1 / / rw - ext4 /dev/vda rw\n" + "".join(reversed(lines)))
        return str(tmp_path / "mounts")

    mkdir = os.mkdir

    def make(path: str, mode: int = 0o777) -> None:
        mkdir(path, mode)
        for name in FILES.get(os.path.relpath(path, tmp_path).split("/")[0], ()):
            Path(path, name).touch()

    monkeypatch.setattr("os.mkdir", make)
    return mount


@pytest.mark.parametrize("v2", ["", "cpu memory"])
def test_a_limit_that_somebody_has_changed_is_reported(host: Host, tmp_path: Path, v2: str) -> None:
    """Memory is counted in pages, and what cannot be read is not told."""
    groups = Groups("x", {"a": Limits(cpu=0.5, memory=(64 << 20) + 7)}, host(*(() if v2 else ("cpu", "memory")), v2=v2))
    groups.make()
    memory = tmp_path / ("unified/netlab/x/a/memory.max" if v2 else "memory/netlab/x/a/memory.limit_in_bytes")
    cpu = tmp_path / ("unified/netlab/x/a/cpu.max" if v2 else "cpu/netlab/x/a/cpu.cfs_quota_us")
    memory.write_text(f"{64 << 20}\n")
    assert groups.changed("a") == []

    memory.write_text("max\n")
    assert groups.changed("a") == [f"{memory} is max, planned is {(64 << 20) + 7}"]
    memory.unlink()
    planned = cpu.read_text()
    cpu.write_text(planned.replace("50000", "60000"))
    assert groups.changed("a") == [f"{cpu} is {planned.replace('50000', '60000')}, planned is {planned}"]


def contents(folder: Path) -> dict[str, str]:
    """Return what was written into the files of a group."""
    return {path.name: text for path in sorted(folder.iterdir()) if path.is_file() and (text := path.read_text())}


def test_half_a_core_under_v1(host: Host, tmp_path: Path) -> None:
    """A quota of half of each period; memory is limited before the sum of it and swap, which may not be less."""
    Groups("x", {"a": HALF}, host("cpu", "memory", "pids")).make()

    assert {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"} == contents(tmp_path / "cpu/netlab/x/a")
    limit = str(64 << 20)
    written = {"memory.limit_in_bytes": limit, "memory.memsw.limit_in_bytes": limit}
    assert written == contents(tmp_path / "memory/netlab/x/a")
    assert not (tmp_path / "pids/netlab").exists()
    assert not (tmp_path / "unified/netlab").exists()


@pytest.mark.parametrize("v2", ["", "pids"])
def test_so_many_processes(host: Host, tmp_path: Path, v2: str) -> None:
    """The file is called the same in both versions."""
    groups = Groups("x", {"a": Limits(pids=20)}, host(*(() if v2 else ("cpu", "pids")), v2=v2))
    groups.make()

    group = tmp_path / ("unified" if v2 else "pids") / "netlab/x/a"
    assert {"pids.max": "20"} == contents(group)
    assert groups.changed("a") == []
    (group / "pids.max").write_text("max\n")
    assert groups.changed("a") == [f"{group}/pids.max is max, planned is 20"]


@pytest.mark.parametrize("v2", ["", "memory pids"])
def test_what_all_nodes_may_use_together(host: Host, tmp_path: Path, v2: str) -> None:
    """It is the limit of the group above them."""
    mounts = host(*(() if v2 else ("memory", "pids")), v2=v2)
    Groups("x", {"a": Limits(pids=20, memory=8 << 20)}, mounts, Limits(pids=50, memory=64 << 20)).make()

    above = {each.name: each.read_text() for each in tmp_path.glob("*/netlab/x/*.max*")}
    above |= {each.name: each.read_text() for each in tmp_path.glob("*/netlab/x/memory.limit_in_bytes")}
    assert "50" == above["pids.max"]
    assert str(64 << 20) == above["memory.max" if v2 else "memory.limit_in_bytes"]


def test_under_v1_more_than_netlab_itself_may_use_is_no_quota(host: Host, tmp_path: Path) -> None:
    """The kernel takes no quota there that is larger than that of the group above, which holds anyway."""
    mounts = host("cpu")
    for name, text in zip(FILES["cpu"], ("50000\n", "100000\n"), strict=True):
        (tmp_path / "cpu" / name).write_text(text)
    groups = Groups("x", {"a": Limits(cpu=2.5), "b": Limits(cpu=1.5)}, mounts)

    groups.make()

    assert ["-1", "150000"] == [(tmp_path / f"cpu/netlab/x/{node}/cpu.cfs_quota_us").read_text() for node in "ab"]
    assert groups.changed("a") == []


def test_half_a_core_under_v2(host: Host, tmp_path: Path) -> None:
    """The controllers are handed down to the node's group, which has no swap of its own."""
    Groups("x", {"a": HALF}, host(v2="cpuset cpu memory pids")).make()

    unified = tmp_path / "unified"
    written = {"cpu.max": "50000 100000", "memory.max": str(64 << 20), "memory.swap.max": "0"}
    assert written == contents(unified / "netlab/x/a")
    assert ["+cpu +memory", *["+cpu +memory +pids"] * 2] == [  # the first hands pids down already
        (unified / folder / "cgroup.subtree_control").read_text() for folder in ("", "netlab", "netlab/x")
    ]


def test_controllers_may_be_in_different_versions(host: Host, tmp_path: Path) -> None:
    """Each is taken from where it is: v1's cpu here, v2's memory."""
    Groups("x", {"a": HALF}, host("cpu", v2="memory")).make()

    assert "50000" == (tmp_path / "cpu/netlab/x/a/cpu.cfs_quota_us").read_text()
    assert {"memory.max": str(64 << 20), "memory.swap.max": "0"} == contents(tmp_path / "unified/netlab/x/a")


def test_only_nodes_with_limits_have_groups(host: Host, tmp_path: Path) -> None:
    """And only in the hierarchy of what is limited."""
    groups = Groups("x", {"a": Limits(cpu=2), "b": Limits(memory=8 << 20)}, host("cpu", "memory"))
    groups.make()

    assert ["cpu/netlab/x/a"] == [str(path.relative_to(tmp_path)) for path in tmp_path.glob("cpu/netlab/x/[ab]")]
    assert ["memory/netlab/x/b"] == [str(path.relative_to(tmp_path)) for path in tmp_path.glob("memory/netlab/x/[ab]")]


def test_two_controllers_in_one_hierarchy(tmp_path: Path) -> None:
    """Distributions mount cpu and cpuacct together."""
    mounts = tmp_path / "mounts"
    mounts.write_text("40 30 0:1 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n")

    assert [("/sys/fs/cgroup/cpu,cpuacct", False, ("cpu",))] == hierarchies(str(mounts))


@pytest.mark.parametrize("v2", ["hugetlb", "cpu"])
def test_a_host_without_the_controller(host: Host, tmp_path: Path, v2: str) -> None:
    """Nothing is made, and the error says whose limit of what cannot be had."""
    with pytest.raises(HostError, match="node a has a limit of memory, and this host has no control groups for that"):
        Groups("x", {"a": Limits(memory=8 << 20)}, host(v2=v2)).make()

    assert not (tmp_path / "unified/netlab").exists()


def test_what_the_host_refuses(host: Host, tmp_path: Path) -> None:
    """As in a container that may not change its own groups: the error names the file."""
    mounts = host("cpu")
    (tmp_path / "cpu/netlab").touch()

    with pytest.raises(HostError, match=r"cannot limit the nodes of x: .*/cpu/netlab"):
        Groups("x", {"a": Limits(cpu=1)}, mounts).make()


def test_without_accounting_for_swap(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels may have no limit of it; memory is limited all the same."""
    monkeypatch.setitem(FILES, "memory", ("memory.limit_in_bytes",))

    Groups("x", {"a": HALF}, host("cpu", "memory")).make()

    assert {"memory.limit_in_bytes": str(64 << 20)} == contents(tmp_path / "memory/netlab/x/a")


def test_a_command_joins_each_group_and_then_becomes_itself(host: Host, tmp_path: Path) -> None:
    """Whoever executes the argv has written itself into the groups before the command is there."""
    groups = Groups("x", {"a": HALF}, host("cpu", "memory"))
    groups.make()
    shown = tmp_path / "shown"

    command = f"cat {tmp_path}/cpu/netlab/x/a/cgroup.procs {tmp_path}/memory/netlab/x/a/cgroup.procs >{shown}"
    code = os.spawnvp(os.P_WAIT, "sh", [*groups.prefix("a"), "sh", "-c", command])

    assert (0, "0\n0\n") == (code, shown.read_text())
    assert [] == groups.prefix("b")


def test_groups_that_somebody_removed(host: Host) -> None:
    """A command is refused rather than run without limits, also when they go just before it would start."""
    groups = Groups("x", {"a": Limits(cpu=1)}, host("cpu"))
    with pytest.raises(NetlabError, match=r"somebody has removed .*/cpu/netlab/x/a"):
        groups.prefix("a")

    groups.make()
    argv = groups.prefix("a")
    argv[argv.index("--") - 1] += "-gone"

    assert os.spawnvp(os.P_WAIT, "sh", [*argv, "true"]) != 0


@pytest.mark.parametrize(
    ("v1", "v2", "name"), [(("cpu", "memory"), "", "memory.oom_control"), (("cpu",), "memory", "memory.events")]
)
def test_kills_are_what_the_kernel_counts(host: Host, tmp_path: Path, v1: tuple[str, ...], v2: str, name: str) -> None:
    """And none for nodes that have no limit of memory."""
    groups = Groups("x", {"a": Limits(memory=8 << 20), "b": Limits(cpu=1)}, host(*v1, v2=v2))
    groups.make()
    (file,) = tmp_path.glob(f"*/netlab/x/a/{name}")
    file.write_text("oom_kill_disable 0\nunder_oom 0\noom 4\noom_kill 3\n")

    assert (3, 0, 0) == (groups.memory_kills("a"), groups.memory_kills("b"), groups.memory_kills("c"))


def test_labs_are_found_by_their_groups(host: Host) -> None:
    mounts = host("cpu", "memory")
    Groups("x", {"a": HALF}, mounts).make()
    Groups("y", {"a": Limits(cpu=1)}, mounts).make()

    assert {"x", "y"} == labs(mounts)


def test_what_a_removal_that_was_killed_has_left_goes_with_the_next(host: Host, tmp_path: Path) -> None:
    """The folder above all labs, too, when the lab's own is gone already."""
    groups = Groups("x", {"a": HALF}, host("cpu", "memory"))
    os.makedirs(tmp_path / "memory/netlab/x")
    os.makedirs(tmp_path / "cpu/netlab")
    for left in (tmp_path / "memory/netlab/x", tmp_path / "cpu/netlab", tmp_path / "memory/netlab"):
        for name in left.iterdir():
            if name.is_file():
                name.unlink()

    assert groups.remove() == []
    assert not (tmp_path / "cpu/netlab").exists()
    assert not (tmp_path / "memory/netlab").exists()
