"""What `down` asks and removes of a lab's way outside, where nft is played."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from netlab import paths
from netlab.network import firewalls, internet

Asked = list[str]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    """The commands that are run on a host where the lab `way` has a table, and no file says what it forwarded."""
    found: Asked = []

    def tried(argv: Sequence[str], _lock: int = -1, _text: str = "") -> tuple[int, str, str]:
        found.append(" ".join(argv))
        return 0, json.dumps({"nftables": [{"table": {"family": "inet", "name": "netlab_way"}}]}), ""

    def run(argv: Sequence[str], lock: int = -1) -> str:
        return tried(argv, lock)[1]

    for module in (internet, firewalls):
        monkeypatch.setattr(module, "tried", tried)
        monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(firewalls, "_legacy", lambda: iter(()))
    monkeypatch.setattr(paths, "LABS", str(tmp_path))
    return found


def test_the_table_goes_although_the_file_of_what_was_forwarded_is_gone(asked: Asked) -> None:
    told = internet.close_way("way", has_way=True)

    assert "nft delete table inet netlab_way" in asked
    assert told[0].startswith("a table of nftables (not set back, as ")


def test_a_lab_without_a_way_asks_nothing_while_another_has_one(asked: Asked) -> None:
    (Path(paths.LABS) / ".forwarding.1").touch()

    assert [] == internet.close_way("plain", has_way=False)
    assert [] == asked


def test_a_lab_whose_record_is_gone_asks_only_where_some_lab_has_one(asked: Asked) -> None:
    assert [] == internet.close_way("way")
    assert [] == asked
