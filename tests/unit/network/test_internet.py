"""What `down` asks and removes of a lab's way outside, where nft is played."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from netlab import paths
from netlab.errors import NetlabError
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


def spoilt(_settings: Sequence[tuple[str, str]]) -> None:
    raise NetlabError("refused")


def test_what_was_forwarded_is_set_back_whatever_the_interfaces_are_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written: list[tuple[str, str]] = []
    monkeypatch.setattr(internet, "_write", written.extend)
    path = tmp_path / "forwarding"
    names = ["net.ipv4.ip_forward", "net.ipv4.conf.w+x.forwarding", "net.ipv4.conf.///.forwarding"]
    path.write_text(json.dumps(dict.fromkeys(reversed(names), "1")))
    internet._restore(str(path))

    assert {*names} == {*dict(written)}
    assert names[0] == written[0][0]  # it clears what single interfaces had
    assert not path.exists()


@pytest.mark.parametrize("content", ['{"net.ipv4.ip_forward": "0"}', "no JSON", '{"net.ipv4.conf./..mtu": "1"}'])
def test_the_file_stays_where_it_cannot_be_set_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    """A later `down` does it; or whoever is told to."""
    monkeypatch.setattr(internet, "_write", spoilt)
    path = tmp_path / "forwarding"
    path.write_text(content)
    with pytest.raises(NetlabError, match=re.escape(f"{path}")):
        internet._restore(str(path))

    assert content == path.read_text()
