"""Where a node's own files are mounted, by what the host has; here, the host is a folder."""

from pathlib import Path

import pytest

from netlab.errors import NetlabError
from netlab.runtime import own_folders
from netlab.runtime.view_layout import Layout, MountPoint, lay_out
from netlab.topology.model import OwnFile, OwnFiles, OwnFolder


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host's folder, with others in it."""
    for name in ("etc/frr", "run", "var/log"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc" / "passwd").write_text("")
    return tmp_path.resolve()


def laid(host: Path, files: tuple[str, ...] = (), empty: tuple[str, ...] = (), kept: tuple[str, ...] = ()) -> Layout:
    """Return how these paths of a host are laid out."""
    folders = [*(OwnFolder(f"{host}/{each}") for each in empty), *(OwnFolder(f"{host}/{each}", True) for each in kept)]
    return lay_out(OwnFiles(tuple(OwnFile(f"{host}/{each}", b"x") for each in files), tuple(folders)))


def points(host: Path, layout: Layout) -> dict[str, bool]:
    """Return the mount points below the host's folder, and whether they keep what is there."""
    return {each.path.removeprefix(f"{host}/"): each.keeps for each in layout.places}


@pytest.mark.parametrize(
    ("files", "empty", "kept", "expected"),
    [
        (("etc/frr/x",), (), (), {"etc/frr": True}),
        (("etc/new/x",), (), (), {"etc": True}),
        (("etc/x", "etc/frr/x"), (), (), {"etc": True}),  # no overlay on an overlay
        ((), ("run",), (), {"run": False}),
        ((), ("run/new",), (), {"run": True}),  # the host has no folder to mount it on
        (("run/new/x",), ("run/new",), (), {"run": True}),
        (("var/log/x",), ("var/log",), (), {"var/log": False}),
        ((), ("var/log",), ("var",), {"var": True, "var/log": False}),
        ((), ("var",), ("var/log",), {"var": False, "var/log": True}),
        ((), ("var", "var/log"), (), {"var": False}),
        ((), (), ("var", "var/log"), {"var": True}),
        (("etc/x",), (), ("etc/frr",), {"etc": True}),
    ],
)
def test_as_few_mounts_as_possible(
    host: Path, files: tuple[str, ...], empty: tuple[str, ...], kept: tuple[str, ...], expected: dict[str, bool]
) -> None:
    assert expected == points(host, laid(host, files, empty, kept))


def test_links_lead_to_the_place(host: Path) -> None:
    """As /var/run leads to /run."""
    (host / "var" / "run").symlink_to(host / "run")

    assert {"run": True} == points(host, laid(host, ("var/run/frr/x",)))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("etc/passwd/x", "etc/passwd, found something else"),
        ("etc/frr", "etc/frr, found a folder"),
        ("etc/kernel/x", "expected a path outside /proc"),
        ("etc/nowhere/x", "etc/nowhere, found something else"),
        ("etc/top/x/y", "found none"),
    ],
)
def test_where_a_host_leaves_no_place(host: Path, path: str, message: str) -> None:
    (host / "etc" / "kernel").symlink_to("/proc/sys")
    (host / "etc" / "nowhere").symlink_to("/nowhere")
    (host / "etc" / "top").symlink_to("/")

    with pytest.raises(NetlabError, match=message):
        laid(host, (path,))


@pytest.mark.root
def test_what_is_written_is_below_the_nodes_own_folder(host: Path, tmp_path: Path) -> None:
    """Folders that the host has, too, have its permissions."""
    (host / "etc" / "frr").chmod(0o750)
    layout = laid(host, ("etc/frr/x", "etc/y"), ("run",))
    own = OwnFiles(tuple(OwnFile(f"{host}/{each}", b"content", 0o640) for each in ("etc/frr/x", "etc/y")), ())
    before = set(host.rglob("*"))

    own_folders.write(str(tmp_path / "own"), layout, own, lambda _: (0, 0))

    upper = Path(own_folders.content_of(str(tmp_path / "own"), layout, MountPoint(f"{host}/etc", True)))
    assert ("content", 0o640) == ((upper / "frr/x").read_text(), (upper / "frr/x").stat().st_mode & 0o7777)
    assert 0o750 == (upper / "frr").stat().st_mode & 0o7777
    assert before == {each for each in host.rglob("*") if not each.is_relative_to(tmp_path / "own")}


def test_owners_are_accounts_of_this_host() -> None:
    assert (0, 0) == own_folders.owner_here("root")
    assert (7, 0) == own_folders.owner_here("7:root")
    assert (7, 7) == own_folders.owner_here("7")
    for name in ("no-such-user", "root:no-such-group"):
        with pytest.raises(NetlabError, match=f"owner {name}: this host has no such user or group"):
            own_folders.owner_here(name)
