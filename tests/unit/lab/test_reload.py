"""What a reload does before it can no longer be interrupted."""

from types import SimpleNamespace
from typing import Any

import pytest

from netlab.errors import NetlabError
from netlab.lab import reload
from netlab.record.model import ProgramRecord


def test_the_source_is_read_for_xdp_tx_while_a_signal_still_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be large, and afterwards nothing but the swap itself is to take time."""
    done: list[str] = []

    def may_transmit(*_: object) -> bool:
        done.append("read")
        return False

    def too_late() -> None:
        done.append("too late")
        raise NetlabError("the end of this test")

    job = SimpleNamespace(path="", define=(), include=(), cflags=())
    compilation = SimpleNamespace(pinned=lambda: SimpleNamespace(notes=()), text=b"", job=job, kill=lambda: None)
    lab: Any = SimpleNamespace(record=SimpleNamespace(folder="/nowhere"), runtime=SimpleNamespace(netns_path=str))
    programs = {
        key: ProgramRecord(key, ("eth0",), "xdp", f"/nowhere/{key}.c", pins=f"/nowhere/{key}") for key in ("a", "b")
    }
    monkeypatch.setattr(reload, "_job", lambda *_: None)
    monkeypatch.setattr("netlab.programs.loader.start", lambda *_: compilation)
    monkeypatch.setattr("netlab.topology.program_text.may_transmit", may_transmit)

    with pytest.raises(NetlabError, match="the end of this test"):
        reload._replaced(lab, programs, (), -1, print, too_late)

    assert ["read", "read", "too late"] == done
