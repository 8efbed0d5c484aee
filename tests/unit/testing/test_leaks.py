"""What counts as left behind, and as taken away."""

import os
import tempfile

import pytest

from netlab.testing import leaks

BEFORE: leaks.Snapshot = {
    "name in /run/netns": {"mine"},
    "netlab mount": {"tmpfs on /run/netlab/other"},
    "link of the host": {"lo", "eth0"},
    "process": {"7: netlab"},
    "file": {"/run/netlab", "/run/netlab/other"},
}


def changed(**kinds: set[str]) -> leaks.Snapshot:
    """Return what there was, with other things of some kinds."""
    return {**BEFORE, **{kind.replace("_", " "): what for kind, what in kinds.items()}}


def test_nothing_has_changed() -> None:
    assert [] == leaks.difference(BEFORE, changed())


def test_what_is_new_is_left_behind() -> None:
    after = changed(process={"7: netlab", "8: netlab"}, file={*BEFORE["file"], "/run/netlab/new"})

    assert ["left behind: process 8: netlab", "left behind: file /run/netlab/new"] == leaks.difference(BEFORE, after)


def test_what_a_lab_that_stood_writes_is_its_own() -> None:
    assert [] == leaks.difference(BEFORE, changed(file={*BEFORE["file"], "/run/netlab/other/logs/a.log"}))


def test_some_things_may_not_go_either() -> None:
    """A process may end by itself; names, mounts and links do not."""
    after = changed(process=set(), link_of_the_host={"lo"}) | {"name in /run/netns": set()}

    assert ["taken away: name in /run/netns mine", "taken away: link of the host eth0"] == leaks.difference(
        BEFORE, after
    )


def test_what_goes_by_itself_is_waited_for() -> None:
    """The kernel frees namespaces and programs behind the caller's back."""
    looks = iter([changed(process={"9: netlab"}), changed(process={"9: netlab"}), BEFORE])

    assert [] == leaks.settled(BEFORE, looks=lambda: next(looks))


def test_the_deadline_ends_the_waiting() -> None:
    found = leaks.settled(BEFORE, 0.05, looks=lambda: changed(process={"9: netlab"}))

    assert ["left behind: process 9: netlab"] == found


def test_a_file_is_found() -> None:
    def leave() -> None:
        with leaks.nothing_left(0):
            os.mkdir(where)

    where = f"{tempfile.gettempdir()}/netlab-left-behind-{os.getpid()}"
    try:
        with pytest.raises(AssertionError, match=f"left behind: file {where}"):
            leave()
    finally:
        os.rmdir(where)
