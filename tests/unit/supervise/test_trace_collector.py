import pytest

from netlab.supervise import trace_collector


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (
            b"          python-17687   [001] b..11  1569.240547: bpf_trace_printk: lab1/lb: hello",
            (1569_240547_000, b"lab1/lb: hello"),
        ),
        (b"           <...>-1   [000] d..21 0.000001: bpf_trace_printk: lab1/x y", (1000, b"lab1/x y")),
        (b" a: 1.5: b-1 [000] d 7.000009: bpf_trace_printk: lab1/x", (7_000_009_000, b"lab1/x")),
        (b"- 7.000009: bpf_trace_printk: lab1/: bpf_trace_printk: y", (7_000_009_000, b"lab1/: bpf_trace_printk: y")),
        (b"t-1 [000] d 7.000009: bpf_trace_printk: lab1/\xff\x1b", (7_000_009_000, b"lab1/\xff\x1b")),
        (b"t-1 [000] d 7.000009: bpf_trace_printk: lab10/x", None),
        (b"t-1 [000] d 7.000009: bpf_trace_printk: xlab1/x", None),
        (b"t-1 [000] d 7.000009: bpf_trace_printk: ", None),
        (b"t-1 [000] d 7: bpf_trace_printk: lab1/x", None),
        (b"t-1 [000] d 7.000009: sched_switch: lab1/x", None),
        (b": bpf_trace_printk: lab1/x", None),
        (b"lab1/x, the second line of a text", None),
        (b"CPU:1 [LOST 69215 EVENTS]", None),
        (b"", None),
    ],
)  # fmt: skip
def test_lines_of_the_pipe(raw: bytes, found: tuple[int, bytes] | None) -> None:
    assert found == trace_collector.parse(raw, b"lab1/")


@pytest.mark.parametrize(
    ("raw", "count"),
    [
        (b"CPU:1 [LOST 69215 EVENTS]", 69215),
        (b"CPU:12 [LOST EVENTS]", 1),
        (b"t-1 [000] d 7.000009: bpf_trace_printk: lab1/x [LOST 3 EVENTS]", 0),
        (b"CPU:1", 0),
        (b"", 0),
    ],
)
def test_lines_about_lost_events(raw: bytes, count: int) -> None:
    assert count == trace_collector.lost(raw)
