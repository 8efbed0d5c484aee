"""The type of an event is what the topology, the source or the BTF says, or else the only one of its size."""

import pytest

from netlab.programs import btf, event_text, event_types
from netlab.programs.event_types import Chooser, UnknownTypeError
from netlab.record.layouts import OTHER, STRUCT, Field, Layouts, MapLayout, Struct
from netlab.topology import program_text
from tests.unit.programs.test_btf import FUNC, FUNC_PROTO, PTR, VAR, Types

BCC = """
struct event { u32 saddr; };
typedef struct { u64 a; } other_t;
BPF_PERF_OUTPUT(events);
int f(struct xdp_md *ctx) {
    struct event /* one */ seen = {}, *more;
    other_t other;
    events.perf_submit(ctx, &seen, sizeof(seen));
    others.ringbuf_output(&other, sizeof(other_t), 0);
    struct third *t = thirds.ringbuf_reserve(sizeof(struct third));
    bytes.perf_submit(ctx, (void *)data, 40);
    settings.ringbuf_output(&config, sizeof(config), 0);
    parts.ringbuf_output(&seen.saddr, sizeof(seen.saddr), 0);
    // comments.perf_submit(ctx, &seen, sizeof(seen));
}
struct third { int x; };
struct { int y; } config;
"""
LIBBPF = """
struct event { int a; };
struct tag *unknown;
int f(struct xdp_md *ctx) {
    struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
    struct event copy;
    bpf_ringbuf_output(&copies, &copy, sizeof copy, (1, 2));
    bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU | (min(8, 9) << 32), &copy, sizeof(struct
        event));
    bpf_ringbuf_output(&unknowns, unknown, sizeof(*unknown), 0);
    bpf_ringbuf_output(&
"""


def test_a_source_shows_the_types_of_its_events() -> None:
    """By the variable, by its size, by a typedef; comments, plain bytes, parts and unknown structs show nothing."""
    assert {"events": "struct event", "others": "other_t", "thirds": "struct third"} == event_text.types(
        program_text.without_comments(BCC)
    )
    assert dict.fromkeys(("events", "copies", "perf"), "struct event") == event_text.types(LIBBPF)


def test_a_source_keeps_its_lines_and_one_without_events_all_of_it() -> None:
    made = event_text.with_types(BCC.encode(), BCC, is_bcc=True).decode()

    assert made.startswith(BCC)
    assert "event_of_comments" not in made
    assert "\nint event_of_others(other_t *event_) { return 0; }\n" in made
    assert event_text.with_types(b"int x;", "int x;", is_bcc=True) == b"int x;"
    assert b"static __attribute__((used)) int event_of_perf(" in event_text.with_types(b"", LIBBPF, is_bcc=False)


def types() -> bytes:
    """Return BTF with a struct that a function shows, one that a map declares, and one that is only there."""
    made = Types()
    number = made.integer("int", 4)
    shown, declared = (made.struct(name, 4, ("a", number, 0)) for name in ("shown", "declared"))
    made.struct("unused", 12, ("a", number, 0))
    pointers = [made.add(PTR, rest=each) for each in (shown, declared, number)]
    proto = made.add(FUNC_PROTO, members=1, rest=number, more=[made.text("unused"), pointers[0]])
    made.add(FUNC, "event_of_one", rest=proto)
    for name, pointer in (("two", pointers[1]), ("slots", pointers[2])):
        of_map = made.struct("", 16, ("type", pointers[2], 0), ("value", pointer, 64))
        made.add(VAR, name, rest=of_map, more=[1])
    return made.bytes()


def test_btf_says_of_which_type_events_are() -> None:
    """By a function that nobody runs, or by the map's declaration; a slot of a perf event array is no event."""
    found = btf.layouts(types(), {}, ["one", "two", "slots"])

    assert {"one": "struct shown", "two": "struct declared"} == {
        name: each.value.type for name, each in found.maps.items()
    }
    assert "struct unused" in found.structs
    assert btf.layouts(types(), {}).maps == {}


def test_the_topology_comes_first_and_names_only_what_is_there() -> None:
    found = event_types.layouts(types(), {}, ["one", "two"], {"one": "unused", "elsewhere": "struct x"})

    assert Field("value", 0, 12, STRUCT, "struct unused") == found.maps["one"].value
    with pytest.raises(UnknownTypeError, match=r"has no struct unusd, .* events of one are; did you mean struct unus"):
        event_types.layouts(types(), {}, ["one"], {"one": "unusd"})
    with pytest.raises(UnknownTypeError, match="it has no struct that its types tell of"):
        event_types.layouts(b"", {}, ["one"], {"one": "x"})


def known(declared: str = "", taken: str = "", **sizes: int) -> Layouts:
    structs = {f"struct {name}": Struct(size, ()) for name, size in sizes.items()}
    nothing = Field("key", 0, 0, OTHER, "")
    maps = {name: f"struct {what}" for name, what in (("events", declared), ("table", taken)) if what}
    return Layouts(
        {name: MapLayout(nothing, Field("value", 0, structs[what].size, STRUCT, what)) for name, what in maps.items()},
        structs,
        {},
    )


@pytest.mark.parametrize(
    ("about", "size", "padded", "chosen"),
    [
        (known("a", a=8, b=8), 8, False, "a"),  # it is said
        (known("a", a=8, b=12), 12, False, "b"),  # a second type in the same map
        (known(a=8, b=12), 12, False, "b"),
        (known(a=8, b=8), 8, False, None),  # either
        (known(a=8, event=8), 8, False, "event"),  # it is called like the map
        (known(a=8, events_t=8), 8, False, "events_t"),
        (known(xdp_md=24), 24, False, None),
        (known(taken="b", b=16), 16, False, None),  # it is the value of another map
        (known(taken="b", a=16, b=16), 16, False, "a"),
        (known(a=8), 12, True, "a"),  # perf has added four bytes
        (known(a=16, b=17), 20, True, None),  # both would fill it
        (known("a", a=8), 60, True, "a"),  # a packet follows
        (known("a", a=8), 4, True, None),  # cut off
        (known(a=8), 60, True, None),
    ],
)
def test_a_size_decides_where_nothing_is_said(about: Layouts, size: int, padded: bool, chosen: str | None) -> None:
    found = Chooser("events", about, is_padded=padded).of_size(size)

    assert (found and found.type) == (chosen and f"struct {chosen}")
