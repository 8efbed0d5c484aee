"""What a host lacks is found, with what mends it."""

import importlib.util
import json
import os
import shutil
from pathlib import Path

import pytest

from netlab import paths
from netlab.cli import main
from netlab.errors import HostError
from netlab.kernel import seccomp
from netlab.lab import removal
from netlab.observe import doctor, packet_filter
from netlab.programs import cache, features
from netlab.record import store
from netlab.runtime import engine


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a host that has everything, and no lab; nothing is asked of the real one that only root may ask."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(features, "FEATURES", (features.Feature("spin locks", (5, 1), lambda: True),))
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/bin/{name}")
    monkeypatch.setattr(engine, "answers", lambda _: True)
    monkeypatch.setattr(seccomp, "library", object)
    monkeypatch.setattr(packet_filter, "library", object)
    monkeypatch.setattr(cache, "problem", str)
    monkeypatch.setattr(removal, "labs_with_leftovers", list)
    monkeypatch.setattr(doctor, "_HEADERS", "/")
    monkeypatch.setattr(doctor, "_TYPES", "/")
    monkeypatch.setattr(doctor, "_IPV6", "/")


def wrong() -> list[tuple[str, str, str]]:
    return [(each.subject, each.state, each.mend) for each in doctor.examine() if each.state != doctor.GOOD]


def test_a_host_that_has_all_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert wrong() == []
    assert main.main(["doctor"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("✓ Linux ")
    assert "→" not in shown.out
    assert shown.err == ""


def test_what_is_needed_and_missing_ends_with_code_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: None if name == "ip" else name)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bcc" else importlib)
    monkeypatch.setattr(features, "FEATURES", (features.Feature("spin locks", (5, 1), lambda: False),))
    assert wrong() == [
        ("spin locks", doctor.NEEDED, "Linux 5.1 has it"),
        ("Python package bcc", doctor.NEEDED, "apt-get install python3-bpfcc"),
        ("ip", doctor.NEEDED, "apt-get install iproute2"),
    ]
    assert main.main(["doctor", "--json"]) == 3
    shown = capsys.readouterr()
    assert {each["subject"] for each in json.loads(shown.out)["findings"] if each["state"] == "missing"} == {
        "spin locks",
        "Python package bcc",
        "ip",
    }
    assert "3 things missing" in shown.err


def test_what_only_some_labs_need_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "answers", lambda _: False)
    monkeypatch.setattr(shutil, "which", lambda name, **_: None if name == "nft" else name)
    assert [(subject, state) for subject, state, _ in wrong()] == [
        ("nft", doctor.OPTIONAL),
        ("Docker engine", doctor.OPTIONAL),
    ]
    assert main.main(["doctor"]) == 0


def test_what_only_some_verbs_need_is_told_with_who_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise HostError("not installed")

    monkeypatch.setattr(seccomp, "library", missing)
    monkeypatch.setattr(packet_filter, "library", missing)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("textual", "nicegui") else importlib)
    found = [each for each in doctor.examine() if each.state != doctor.GOOD]

    assert [
        ("Python package textual", "not there; needed by `netlab top`", "netns-lab[top]"),
        ("Python package nicegui", "not there; needed by `netlab web`", "netns-lab[web]"),
        ("libseccomp", "not there; needed by untrusted labs, and `grade`", "libseccomp2"),
        ("libpcap", "not there; needed by filters of `capture` and `follow`", "libpcap0.8"),
    ] == [(each.subject, each.found, each.mend.split()[-1].strip("'")) for each in found]
    assert {doctor.OPTIONAL} == {each.state for each in found}


def test_an_old_kernel_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "h", "5.10.0-9-amd64", "v", "x86_64")))
    assert wrong() == [("Linux", doctor.NEEDED, "boot Linux 6.1 or newer; Debian 12 has it")]


def test_without_root_the_kernel_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(features, "FEATURES", (features.Feature("spin locks", (5, 1), lambda: 1 // 0 == 0),))
    assert wrong() == [("kernel features", doctor.UNKNOWN, "sudo netlab doctor")]


def test_what_labs_have_left_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "LABS", str(tmp_path))
    monkeypatch.setattr(removal, "labs_with_leftovers", lambda: ["half", "whole", "name"])
    for lab in ("half", "whole"):
        (tmp_path / lab).mkdir()
    monkeypatch.setattr(store, "is_complete", lambda lab: lab == "whole")
    assert wrong() == [
        ("lab half", doctor.LEFT, "sudo netlab down half"),
        ("lab name", doctor.LEFT, "sudo netlab down name"),
    ]
