"""Ready objects and sources of libbpf's dialect are loaded by the child, or refused with the lines that matter."""

import os
import random
import shutil
import signal
import threading
from pathlib import Path

import pytest

from netlab import paths
from netlab.errors import BuildError, HostError, NetlabError, VerifierError
from netlab.programs import cache, child_processes, clang, loader
from netlab.programs.maps import Map
from netlab.record import mark
from netlab.testing.waiting import PATIENCE_S
from tests.lab.clang import HEAD, compiled, needed
from tests.lab.test_programs import LAB, NODE, XDP_DROP, XDP_PASS, Bench, bench

__all__ = ["bench"]

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="loading programs needs root"),
    needed,
    pytest.mark.usefixtures("own_cache"),
]

FUZZED = 1000 if os.environ.get("NETLAB_LONG") else 25
PASSING = 'SEC("xdp") int pass(struct xdp_md *ctx) { return XDP_PASS; }\n'
OLD = """\
struct bpf_map_def SEC("maps") hits = {
	.type = BPF_MAP_TYPE_LPM_TRIE,
	.key_size = sizeof(__u64),
	.value_size = sizeof(struct xdp_md),
	.max_entries = 3,
};
SEC("prog") int old(struct xdp_md *ctx) { __u64 key = 32; return bpf_map_lookup_elem(&hits, &key) ? 1 : 2; }
"""
OLD_HELPERS = """\
#define SEC(name) __attribute__((section(name), used))
static int (*bpf_trace_printk)(const char *format, int size, ...) = (void *)6;
#define bpf_printk(format, args...) ({ \\
	char line[] = format; \\
	bpf_trace_printk(line, sizeof(line), ##args); \\
})
"""
OF_A_TREE = """\
#include <uapi/linux/bpf.h>
#include <linux/ipv6.h>
#include "../libbpf/src/bpf_helpers.h"
#include "maps.h"
struct tree_map_def SEC("maps") lines = { .type = BPF_MAP_TYPE_PERF_EVENT_ARRAY, .max_entries = 2 };
COUNTERS(hits)
SEC("xdp/cpumap_first") int tree(struct xdp_md *ctx)
{
	u32 key = min(0, (int)sizeof(struct udphdr)), *count = bpf_map_lookup_elem(&hits, &key);

	return count && __sync_fetch_and_add(count, 1) == 0 && be16_to_cpu(htons(7)) == 7 ? XDP_DROP : XDP_PASS;
}
char _license[] SEC("license") = "GPL";
"""
ITS_MAPS = """\
struct tree_map_def { u32 type, key_size, value_size, max_entries; };
#define COUNTERS(name) struct tree_map_def SEC("maps") name = { \\
	.type = BPF_MAP_TYPE_ARRAY, .key_size = sizeof(u32), .value_size = sizeof(u32), .max_entries = 1 };
"""
BEYOND = """\
SEC("xdp") int beyond(struct xdp_md *ctx)
{
	char *data = (void *)(long)ctx->data;

	return data[20];
}
"""
ARRAY = """
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
} hits SEC(".maps");
SEC("xdp") int longname(struct xdp_md *ctx) { int key = 0; return bpf_map_lookup_elem(&hits, &key) ? 1 : 2; }
"""
GLOBAL = 'const volatile int verdict = XDP_PASS;\nSEC("xdp") int global(struct xdp_md *ctx) { return verdict; }\n'


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the test's own, without the types of the kernel."""
    monkeypatch.setenv(paths.CACHE_VARIABLE, str(tmp_path / "cache"))


def made(bench: Bench, source: str) -> Path:
    """Compile a source by hand."""
    return compiled(HEAD + source, bench.folder / "ready.o")


def written(bench: Bench, source: str, name: str = "test.c") -> Path:
    """Write a source into a folder of its own, as beside the bench's stands a BPF file system called bpf."""
    path = bench.folder / "source" / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(source)
    return path


def test_a_source_and_its_object_are_loaded(bench: Bench) -> None:
    """The object is kept, and loaded again without clang."""
    assert bench.pinned(written(bench, HEAD + PASSING)).programs == ("pass",)
    assert bench.verdict("pass") == XDP_PASS

    shutil.rmtree(bench.pin("").rstrip("/"))
    assert bench.pinned(made(bench, PASSING)).programs == ("pass",)
    assert bench.verdict("pass") == XDP_PASS


@pytest.mark.parametrize("is_object", [True, False])
def test_a_program_is_loaded_by_a_copy_of_this_process(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, is_object: bool
) -> None:
    """Which is quicker than a new Python, and has nothing open of this process, nor its handlers of signals.

    Among threads it is a new one.
    """
    path, ends = made(bench, PASSING) if is_object else written(bench, HEAD + PASSING), os.pipe()
    monkeypatch.setattr(child_processes, "_has_one_thread", lambda: True)  # the thread that talks to pytest-xdist rests
    own = {os.readlink(f"/proc/self/fd/{end}") for end in ends}
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        copy = bench.start(path)
    finally:
        signal.signal(signal.SIGUSR1, before)
    copy.pinned(PATIENCE_S)

    assert Path(f"/proc/{copy.pid}/cmdline").read_bytes() == Path("/proc/self/cmdline").read_bytes()
    assert own.isdisjoint(os.readlink(fd) for fd in Path(f"/proc/{copy.pid}/fd").iterdir())
    assert signals(copy.pid, "SigBlk") == signals("self", "SigBlk")
    assert {signal.SIGUSR1, signal.SIGINT}.isdisjoint(signals(copy.pid, "SigCgt"))
    copy.kill()
    shutil.rmtree(bench.pin("").rstrip("/"))
    monkeypatch.undo()
    goes_on = threading.Event()
    other = threading.Thread(target=goes_on.wait, args=(PATIENCE_S,))
    other.start()
    try:
        new = bench.start(path)
        new.pinned(PATIENCE_S)
        assert b"-IS" in Path(f"/proc/{new.pid}/cmdline").read_bytes()
        new.kill()
    finally:
        goes_on.set()
        other.join()
        for end in ends:
            os.close(end)


def signals(process: int | str, kind: str) -> set[int]:
    """Return the signals that a process blocks (SigBlk), or for which it has handlers (SigCgt)."""
    text = Path(f"/proc/{process}/status").read_text()
    bits = int(text.partition(f"{kind}:")[2].split()[0], 16)
    return {number for number in signal.valid_signals() if bits >> (number - 1) & 1}


def test_what_clang_has_made_is_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time it is not run; a header that has changed counts."""
    header = written(bench, "", "answer.h")
    header.write_text("#define ANSWER XDP_PASS\n")
    os.utime(header, (1_000_000_000, 1_000_000_000))
    source = HEAD + '#include "answer.h"\n' + PASSING.replace("XDP_PASS", "ANSWER")
    bench.pinned(written(bench, source))
    names = [name for name in os.listdir(paths.cache_folder()) if len(name) == 64]
    found = cache.find(names[0], print)

    assert len(names) == 1
    assert isinstance(found, bytes)
    assert found.startswith(b"\x7fELF")
    header.write_text("#define ANSWER XDP_DROP\n")
    shutil.rmtree(bench.pin("").rstrip("/"))
    bench.pinned(written(bench, source))
    assert bench.verdict("pass") == XDP_DROP


def test_a_source_has_its_own_old_helpers(bench: Bench) -> None:
    """As libbpf's were before 2021; what it prints begins with the lab's name all the same."""
    helpers = written(bench, OLD_HELPERS, "bpf/bpf_helpers.h")
    os.utime(helpers, (1_000_000_000, 1_000_000_000))  # or nothing would be kept
    bench.pinned(written(bench, HEAD + PASSING.replace("{", '{ bpf_printk("old %d", 7);')))

    assert bench.verdict("pass") == XDP_PASS
    found = cache.find(next(name for name in os.listdir(paths.cache_folder()) if len(name) == 64), print)
    assert isinstance(found, bytes)
    assert f"{mark.printed(LAB)}/{NODE} old %d".encode() in found


def test_old_declarations_are_translated(bench: Bench) -> None:
    """Of maps, and a section that libbpf 1.0 does not know; a trie gets the flag that the kernel wants."""
    loaded = bench.pinned(written(bench, HEAD + OLD))

    assert loaded.function == "old"
    with Map.open(bench.pin("maps/hits")) as hits:
        assert (hits.key_size, hits.value_size, hits.max_entries, hits.flags) == (8, 24, 3, 1)


def test_a_source_of_another_tree_needs_no_edits(bench: Bench) -> None:
    """It has headers and names from the kernel's tree, libbpf from a checkout beside it, and old maps by a macro.

    32-bit atomics need a newer instruction set; a section that only sounds like one for cpumaps is attached.
    """
    written(bench, ITS_MAPS, "maps.h")
    bench.pinned(written(bench, OF_A_TREE))

    assert [bench.verdict("tree"), bench.verdict("tree")] == [XDP_DROP, XDP_PASS]
    with Map.open(bench.pin("maps/lines")) as lines:
        assert (lines.key_size, lines.value_size, lines.max_entries) == (4, 4, 2)


def test_a_devmap_is_shared_by_its_name(bench: Bench) -> None:
    """Although the kernel adds a flag to it; one of another size is refused, as other maps are."""
    source = ARRAY.replace("TYPE_ARRAY", "TYPE_DEVMAP").replace(
        "__type(key, int);", "__type(key, int); __uint(pinning, 1);"
    )
    source = source.replace("bpf_map_lookup_elem(&hits, &key) ? 1 : 2", "bpf_redirect_map(&hits, key, XDP_PASS)")
    path = made(bench, source)
    folders = [f"{bench.folder}/bpf/{number}" for number in range(2)]
    for folder in folders:
        bench.pinned(path, pin_folder=folder)

    numbers = set()
    for folder in folders:
        with Map.open(f"{folder}/maps/hits") as hits:
            numbers.add(hits.id)
    assert len(numbers) == 1
    other = made(bench, source.replace("max_entries, 1", "max_entries, 2"))
    assert "of this name and of another shape" in bench.error(other, pin_folder=f"{bench.folder}/bpf/2")


def test_globals_are_set(bench: Bench) -> None:
    """In a ready object, by a number or a name; a name that is none, and a value that does not fit, are refused."""
    path = made(bench, GLOBAL)
    bench.pinned(path, define=(("verdict", "XDP_DROP"),))
    assert bench.verdict("global") == XDP_DROP

    unknown = "has no global variable verdikt, which `define` is to set: it has verdict"
    assert unknown in bench.error(path, define=(("verdikt", 1),))
    assert "cannot set verdict as `define` says: expected a number from -2147483648" in bench.error(
        path, define=(("verdict", 1 << 40),)
    )


def test_a_constant_of_the_source_is_a_macro(bench: Bench) -> None:
    """Where there is no variable of the name."""
    source = HEAD + "#ifndef VERDICT\n#define VERDICT XDP_PASS\n#endif\n" + PASSING.replace("XDP_PASS;", "VERDICT;")
    bench.pinned(written(bench, source), define=(("VERDICT", "XDP_DROP"),))

    assert bench.verdict("pass") == XDP_DROP


@pytest.mark.parametrize(
    ("source", "job", "words"),
    [
        (PASSING.replace("XDP_PASS", "XDP_PSS"), {}, "test.c:4:50: error: use of undeclared identifier 'XDP_PSS'"),
        ('#include "nosuch.h"\n', {}, "in the folders of `include:`"),
        (PASSING + PASSING.replace("pass", "other"), {}, "has several programs, pass, other: say which one"),
        (PASSING, {"function": "xdq"}, "has no program xdq: it has pass"),
        (PASSING + PASSING.replace("pass", "a"), {"function": "xdp"}, "several programs in the section xdp: pass, a"),
        (ARRAY.replace("max_entries, 1", "max_entries, 0"), {}, "by `maps: {hits: {max_entries: N}}`"),
        ('SEC("tc") int cls(struct __sk_buff *skb) { return 0; }\n', {}, "has no program for XDP"),
        (BEYOND, {}, "test.c:8: the verifier refused beyond(): invalid access to packet"),
        (BEYOND, {}, "(first compare the end of what is read with ctx->data_end)"),
    ],
)
def test_a_source_is_refused_with_its_lines(bench: Bench, source: str, job: dict[str, str], words: str) -> None:
    """As sources of bcc's dialect are."""
    assert words in bench.error(written(bench, HEAD + source), **job)


def test_an_object_is_refused_with_the_lines_that_it_has(bench: Bench) -> None:
    """The source itself may be anywhere."""
    with pytest.raises(VerifierError) as error:
        bench.start(made(bench, BEYOND)).pinned(PATIENCE_S)

    text = str(error.value)
    assert "ready.o" in text
    assert ": the verifier refused beyond(): invalid access to packet" in text
    assert "    return data[20];" in text


def test_an_object_without_a_licence(bench: Bench) -> None:
    """The hint is what to write."""
    source = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n" + PASSING.replace("{", '{ bpf_printk("x");')
    assert 'char _license[] SEC("license") = "GPL";' in bench.error(compiled(source, bench.folder / "bare.o"))


def renamed(path: Path, old: bytes, new: bytes) -> Path:
    """Change a name in an object, wherever it stands."""
    assert len(old) == len(new)
    path.write_bytes(path.read_bytes().replace(old, new))
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: renamed(path, b"longname", b"../../ab"), "called '../../ab': expected a name of C"),
        (lambda path: renamed(path, b"hits", b"a/./"), "called 'a/./': expected a name of C"),
        (lambda path: path.write_bytes(path.read_bytes()[:-200]), "cut off"),
        (lambda path: path.write_bytes(path.read_bytes()[:50]), "cut off after 50 bytes"),
        (lambda path: renamed(path, b".maps", b"maps\0"), 'has maps in the section "maps"'),
    ],
)
def test_objects_that_lie(bench: Bench, change: object, words: str) -> None:
    """They are refused in words, and nothing is pinned."""
    path = made(bench, ARRAY)
    change(path)  # type: ignore[operator]

    assert words in bench.error(path)
    assert not bench.pins()


def test_damaged_types_are_no_reason_to_crash(bench: Bench) -> None:
    """A program that needs none of them is loaded; a map whose types are gone is not."""
    path = made(bench, GLOBAL)
    data = path.read_bytes()
    at = data.index(b"\x9f\xeb")
    path.write_bytes(data[: at + 24] + b"\xff" * 100 + data[at + 124 :])
    assert bench.pinned(path).function == "global"


def test_fuzzed_objects_never_end_netlab(bench: Bench) -> None:
    """Whatever stands in them: they are loaded or refused, and libbpf's crash is told as one."""
    whole = made(bench, ARRAY + GLOBAL)
    data, chance = whole.read_bytes(), random.Random(7)
    ends: list[NetlabError | None] = []
    for number in range(FUZZED):
        spoilt = bytearray(data)
        for _ in range(chance.choice((1, 3, 30))):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        path = bench.folder / "fuzzed.o"
        path.write_bytes(spoilt[: chance.randrange(len(spoilt)) if number % 7 == 0 else None])
        ends.append(ended(bench.start(path, pin_folder=f"{bench.folder}/bpf/{number}", function="global")))
    refusals = [end for end in ends if end]

    assert 0 < len(refusals) < FUZZED
    assert {end.exit_code for end in refusals} == {1}
    assert all(str(end).startswith(f"{NODE}: ") for end in refusals)


def ended(compilation: loader.Compilation) -> NetlabError | None:
    """Return how a child has ended; None if it has loaded its program."""
    try:
        compilation.pinned(PATIENCE_S)
    except NetlabError as error:
        return error
    finally:
        compilation.kill()
    return None


def test_without_clang_the_way_out_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 3. An object needs none."""
    path = made(bench, PASSING)
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("glob.glob", lambda _: [])
    with pytest.raises(HostError, match=r"which is not installed: make install-libbpf .*clang libbpf-dev"):
        clang.find()
    job = loader.Job(LAB, NODE, str(path), bench.pin("").rstrip("/"), f"{bench.folder}/work")
    compilation = loader.start(job)
    assert compilation.pinned(PATIENCE_S).function == "pass"
    compilation.kill()


def test_a_source_is_no_bytes(bench: Bench) -> None:
    """A zero byte in a source is told."""
    with pytest.raises(BuildError, match="holds a zero byte"):
        bench.start(written(bench, HEAD + PASSING + "\0")).pinned(PATIENCE_S)
