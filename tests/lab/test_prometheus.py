"""What `netlab stats --format prometheus` prints of a lab, read as Prometheus reads it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from netlab.testing.waiting import eventually
from tests.lab.lab import LAB, PARTB, lab, netlab, stats

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

RETRY = (
    "--set", "nodes.lb.args.report_port=9091", "--set", "nodes.worker.args.report=lb:9091",
    "--set", "nodes.lb.args.on_worker_failure=retry", "--set", "nodes.client.autostart=false",
)  # fmt: skip
BALANCER = {
    **{each: f"requests_{each}_total" for each in ("received", "forwarded", "queued", "dequeued", "dropped")},
    "retried": "requests_retried_total",
    "unheld": "requests_unheld_total",
    "held": "requests_held",
    "expired": "threads_expired_total",
    "completions": "completions_total",
    "queue_depth": "queue_depth",
    "queue_capacity": "queue_capacity",
}
BACKEND = {
    "free": "threads_free",
    "capacity": "threads_capacity",
    "weight": "backend_weight",
    "drained": "backend_drained",
}
REPORTS = {
    "silent": "reporter_silent",
    "received": "reporter_requests",
    "completed": "reporter_completed",
    "lost_requests": "reporter_lost_requests",
    "lost_completions": "reporter_lost_completions",
    "doubled_completions": "reporter_doubled_completions_total",
}
AGE = "netlab_balancer_reporter_heard_seconds"
Labels = tuple[str, ...]
Samples = Iterator[tuple[str, Labels, float]]


def counted(reasons: dict[str, dict[str, int]], *labels: str) -> Samples:
    for reason, count in reasons.items():
        for unit, number in count.items():
            yield f"netlab_program_{unit}_total", (*labels, reason), number


def named(names: dict[str, str], values: dict[str, Any], *labels: str) -> Samples:
    for key, name in names.items():
        yield f"netlab_balancer_{name}", labels, values[key]


def expected(found: dict[str, Any]) -> Samples:
    """Yield name, labels and value of all that must be there by what `--format json` says, but for ages of reports."""
    for node, now in {**found["balancers"], **found["programs"]}.items():
        yield from counted({**now["reasons"], **now.get("carriers", {})}, found["lab"], node)
    for node, errors in found["udp_rcvbuf_errors"].items():
        yield "netlab_node_udp_rcvbuf_errors_total", (found["lab"], node), errors
    for node, now in found["balancers"].items():
        yield from named(BALANCER, now, found["lab"], node)
        for name, backend in now["backends"].items():
            yield from named(BACKEND, backend, found["lab"], node, name)
            yield from named(REPORTS, backend["reports"], found["lab"], node, name)


def by_json() -> dict[tuple[str, Labels], float]:
    found = json.loads(netlab("stats", "--format", "json").stdout)
    return {(name, labels): value for name, labels, value in expected(found)}


def by_prometheus(text: str) -> list[tuple[tuple[str, Labels], float]]:
    return [
        ((sample.name, tuple(sample.labels.values())), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def test_prometheus_reads_what_the_json_says() -> None:
    """Every number, each once, with its labels. Reports come meanwhile, so each lies between those before and after."""
    with lab(PARTB, *RETRY):
        eventually(lambda: all(each["reports"] for each in stats()["backends"].values()))
        netlab("balancer", "drain", "worker2")
        netlab("balancer", "weight", "worker3", "4")
        netlab("run", "client", "--count", "30", "--interval", "0", "--sleep", "0.02")
        eventually(lambda: stats()["completions"] == 30 and not stats()["held"])
        before = by_json()
        text = netlab("stats", "--format", "prometheus").stdout
        after = by_json()

    samples = by_prometheus(text)
    found = dict(samples)
    ages = {place: found.pop(place) for place in list(found) if place[0] == AGE}
    assert len(found) + len(ages) == len(samples)
    assert [labels for _, labels in ages] == [(LAB, "lb", f"worker{number}") for number in (1, 2, 3)]
    assert all(age >= 0 for age in ages.values())
    assert set(found) == set(before)
    assert {place: value for place, value in found.items() if not before[place] <= value <= after[place]} == {}
    assert found["netlab_balancer_backend_drained", (LAB, "lb", "worker2")] == 1
    assert found["netlab_balancer_backend_weight", (LAB, "lb", "worker3")] == 4
    assert found["netlab_balancer_completions_total", (LAB, "lb")] == 30
