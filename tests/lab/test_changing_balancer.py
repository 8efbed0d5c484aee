"""`apply` under traffic: a worker comes, another one goes, a third one moves, and no request is lost."""

import re
from pathlib import Path

import pytest

from netlab.testing.waiting import eventually
from tests.lab.lab import LAB, inside, lab, netlab, pids, stats, texts
from tests.lab.test_healing import free
from tests.lab.test_operating import traffic

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

REQUESTS = 1000


def file(folder: Path, name: str, *workers: str) -> str:
    """Write a topology with these workers, and return its path."""
    nodes = "\n".join(f"  {worker}: {{role: worker, args: {{threads: 5, balancer: 'lb:9090'}}}}" for worker in workers)
    links = ", ".join(f"[{worker}, lb]" for worker in workers)
    path = folder / f"{name}.yml"
    path.write_text(
        f"name: {LAB}\n"
        "nodes:\n"
        "  client: {role: client, autostart: false, args: {target: 'lb:8080'}}\n"
        "  lb:\n"
        "    role: balancer\n"
        f"    args: {{backends: [{', '.join(workers)}], capacity: 5}}\n"
        "    xdp: balancer\n"
        f"{nodes}\n"
        f"links: [[client, lb], {links}]\n"
    )
    return str(path)


def received(*workers: str) -> int:
    return sum(bool(re.match(r"received #", line)) for worker in workers for line in texts("logs", worker))


def test_no_request_is_lost_while_workers_come_and_go(tmp_path: Path) -> None:
    """Of the workers one stays, one goes, one moves and one comes; each request is served once."""
    before = file(tmp_path, "before", "w1", "w2", "w3")
    with lab(before):
        stays = pids("w1")
        with traffic(LAB) as feed:
            eventually(lambda: stats()["received"] > REQUESTS // 4)
            said = netlab("apply", file(tmp_path, "after", "w1", "w3", "w4")).stderr
            eventually(lambda: received("w3") and received("w4"))
            eventually(lambda: stats()["received"] > REQUESTS)
        now = stats()

        assert now["forwarded"] + now["dequeued"] == feed.sent == now["completions"]
        assert now["dropped"] == 0
        assert free() == {"w1": 5, "w3": 5, "w4": 5}
        assert pids("w1") == stays
        assert "lb: w2, w3 drained" in said
        assert "w3 moves from 10.0.3.1/24, fd00:0:0:3::1/64 to 10.0.2.1/24, fd00:0:0:2::1/64" in said
        assert "nothing to do" in netlab("apply", str(tmp_path / "after.yml")).stderr
        assert "up already" in netlab("up", str(tmp_path / "after.yml")).stderr
        inside("client", "ping", "-c", "1", "w4")
