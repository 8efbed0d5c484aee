"""Counters as Prometheus has to read them."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from netlab.observe import prometheus
from netlab.observe.stats import LabStats
from netlab.record import shapes

COUNT = {"packets": 3, "bytes": 180}
REPORTS = {
    "heard_s": 1.25,
    "received": 9,
    "completed": 8,
    "silent": True,
    "lost_requests": 3,
    "lost_completions": 1_234_567,
    "doubled_completions": 1,
}
LOSS = {"node": "lb", "interface": "eth0", "program": "lb/inside", "reason": "down", "target": "eth1", "detail": 0}
STATS: dict[str, Any] = {
    "lab": "under-test",
    "udp_rcvbuf_errors": {"lb": 0, "server": 9},
    "balancers": {
        "lb": {
            "ready": True,
            "policy": "most-free",
            "report_port": 0,
            "holds": True,
            "received": 40,
            "forwarded": 15,
            "queued": 24,
            "dropped": 1,
            "dequeued": 20,
            "completions": 20,
            "expired": 2,
            "retried": 5,
            "unheld": 6,
            "held": 7,
            "queue_depth": 4,
            "queue_capacity": 1024,
            "backends": {
                "worker1": {"free": 0, "capacity": 5, "weight": 3, "drained": False, "reports": REPORTS, "absent": ""},
                "worker2": {"free": 2, "capacity": 5, "weight": 1, "drained": True, "reports": None, "absent": "ill"},
            },
            "reasons": {"FORWARDED": COUNT},
            "carriers": {"CARRIER_SENT": COUNT},
        }
    },
    "programs": {
        "server": {
            "reasons": {"PASS_ODD": {"packets": 5, "bytes": 275}},
            "counters": {"sizes": {"1": 7, "LONG": -2}},
            "maps": ["others"],
            "events": {},
        }
    },
    "problems": {},
    "xdp_losses": [
        {**LOSS, "frames": 12, "text": "sent to eth1, which is down"},
        {**LOSS, "frames": 3, "text": "redirected to eth1, which is down"},
        {**LOSS, "interface": "eth2", "program": "", "frames": 1, "text": "redirected to eth1, which is down"},
    ],
}


def written(stats: dict[str, Any]) -> str:
    return prometheus.text(shapes.read(LabStats, {"udp_rcvbuf_errors": {}, "xdp_losses": [], "links": [], **stats}))


def samples(stats: dict[str, Any]) -> dict[tuple[str, ...], float]:
    """Return what Prometheus's own parser reads: names and labels to values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(written(stats))
        for sample in family.samples
    }


def test_every_count_is_read_with_its_labels() -> None:
    found = samples(STATS)

    assert found["netlab_program_packets_total", "under-test", "lb", "FORWARDED"] == 3
    assert found["netlab_program_bytes_total", "under-test", "lb", "CARRIER_SENT"] == 180
    assert found["netlab_program_packets_total", "under-test", "server", "PASS_ODD"] == 5
    assert found["netlab_balancer_requests_received_total", "under-test", "lb"] == 40
    assert found["netlab_balancer_queue_depth", "under-test", "lb"] == 4
    assert found["netlab_balancer_threads_free", "under-test", "lb", "worker2"] == 2
    assert found["netlab_balancer_requests_retried_total", "under-test", "lb"] == 5
    assert found["netlab_balancer_requests_unheld_total", "under-test", "lb"] == 6
    assert found["netlab_balancer_requests_held", "under-test", "lb"] == 7
    assert found["netlab_balancer_backend_weight", "under-test", "lb", "worker1"] == 3
    assert found["netlab_balancer_backend_drained", "under-test", "lb", "worker1"] == 0
    assert found["netlab_balancer_backend_drained", "under-test", "lb", "worker2"] == 1
    assert found["netlab_node_udp_rcvbuf_errors_total", "under-test", "server"] == 9
    assert found["netlab_xdp_lost_frames_total", "under-test", "lb", "inside", "eth0", "eth1", "down"] == 15
    assert found["netlab_xdp_lost_frames_total", "under-test", "lb", "eth2", "eth1", "down"] == 1
    assert len(found) == 6 + 12 + 8 + 7 + 2 + 2 + 2


def test_what_a_backend_reports_is_read() -> None:
    """Of one that never has, there is nothing."""
    found = samples(STATS)

    assert found["netlab_balancer_reporter_silent", "under-test", "lb", "worker1"] == 1
    assert found["netlab_balancer_reporter_heard_seconds", "under-test", "lb", "worker1"] == 1.25
    assert found["netlab_balancer_reporter_lost_completions", "under-test", "lb", "worker1"] == 1_234_567
    assert not [labels for labels in found if "reporter" in labels[0] and labels[-1] != "worker1"]


def test_counters_and_gauges_are_told_apart() -> None:
    kinds = {family.name: family.type for family in text_string_to_metric_families(written(STATS))}

    assert kinds["netlab_balancer_requests_received"] == "counter"
    assert kinds["netlab_balancer_queue_depth"] == "gauge"
    assert all(family.documentation for family in text_string_to_metric_families(written(STATS)))


def test_names_of_any_kind_come_through() -> None:
    node = 'a "b\\c"\nd'
    found = samples(
        {
            **STATS,
            "balancers": {},
            "programs": {node: {"reasons": {"PASS": COUNT}, "counters": {}, "maps": [], "events": {}}},
        }
    )

    assert found["netlab_program_packets_total", "under-test", node, "PASS"] == 3


def test_one_of_several_programs_has_a_label_of_its_own() -> None:
    """Beside its node, so that a node's figures can be added up; the only one has none."""
    counted = {"reasons": {"PASS": COUNT}, "counters": {"sizes": {"1": 7}}, "maps": [], "events": {}}
    found = written({**STATS, "balancers": {}, "programs": {"fw/in": counted, "lb": counted}})
    both = written({**STATS, "balancers": {"fw/lb": next(iter(STATS["balancers"].values()))}, "programs": {}})

    assert '{lab="under-test",node="fw",program="in",reason="PASS"}' in found
    assert '{lab="under-test",node="fw",program="in",map="sizes",key="1"}' in found
    assert '{lab="under-test",node="lb",reason="PASS"}' in found
    assert 'netlab_balancer_queue_depth{lab="under-test",node="fw",program="lb"}' in both
    assert 'netlab_balancer_threads_free{lab="under-test",node="fw",program="lb",backend="' in both
    assert 'program=""' not in found + both


def test_plain_counters_have_the_names_of_their_maps_and_keys() -> None:
    """They are gauges: whether they only grow nobody has said."""
    lines = [line for line in written(STATS).splitlines() if "program_counter" in line]

    assert lines[1:] == [
        "# TYPE netlab_program_counter gauge",
        'netlab_program_counter{lab="under-test",node="server",map="sizes",key="1"} 7',
        'netlab_program_counter{lab="under-test",node="server",map="sizes",key="LONG"} -2',
    ]


def test_a_lab_without_programs_has_no_samples() -> None:
    assert samples({"lab": "bare", "balancers": {}, "programs": {}, "problems": {}}) == {}
