"""Programs are compiled, loaded, pinned and attached by a child process, or refused with the lines that matter."""

import ctypes
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import HostError, NetlabError
from netlab.kernel import syscalls
from netlab.programs import bpf, features, loader
from netlab.programs.maps import LoadedProgram, Map
from netlab.record import mark
from netlab.testing.waiting import PATIENCE_S, eventually

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="loading programs needs root")]

OWN = Path(__file__).parent.parent.parent / "bpf"
LAB = "l" * 63
NODE = "n" * 63
PACKET = bytes(64)
XDP_DROP, XDP_PASS = 1, 2
IP_NATIVE, IP_GENERIC = 1, 2  # how `ip -json` says it

LIMITS = loader.Limits(cpu_s=60)
PASSING = "int pass(struct xdp_md *ctx) { return XDP_PASS; }\n"
CURSOR = """\
#include <bcc/proto.h>
int filter(struct __sk_buff *skb)
{
	u8 *cursor = 0;
	struct ethernet_t *ethernet = cursor_advance(cursor, sizeof(*ethernet));

	bpf_trace_printk("of type %x", ethernet->type);
	return 0;
}
int pass(struct xdp_md *ctx) { return XDP_PASS; }
"""


class Bench:
    """A namespace with a veth pair, eth0 and eth1, and a folder with a BPF file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.netns = f"{LAB}.{NODE}"
        self.started: list[loader.Compilation] = []

    def pin(self, path: str) -> str:
        """Return where something of the node's is pinned."""
        return f"{self.folder}/bpf/{NODE}/{path}"

    def beside(self, node: str) -> str:
        """Return where the pins of another node are."""
        return f"{self.folder}/bpf/{node}"

    def start(
        self, source: str | Path, name: str = "test.c", *, limits: loader.Limits = LIMITS, **job: Any
    ) -> loader.Compilation:
        """Start a child on a program, given as text or as a file."""
        path = source
        if isinstance(source, str):
            path = self.folder / name
            path.write_text(source)
        pins = job.pop("pin_folder", self.pin("").rstrip("/"))
        compilation = loader.start(loader.Job(LAB, NODE, str(path), pins, f"{self.folder}/work", **job), limits=limits)
        self.started.append(compilation)
        return compilation

    def pinned(self, source: str | Path, name: str = "test.c", **job: Any) -> loader.Loaded:
        """Load and pin a program without attaching it."""
        compilation = self.start(source, name, **job)
        loaded = compilation.pinned(PATIENCE_S)
        compilation.kill()
        return loaded

    def error(self, source: str | Path, name: str = "test.c", **job: Any) -> str:
        """Return the error that a program is refused with, without the node's name."""
        with pytest.raises(NetlabError) as error:
            self.start(source, name, **job).pinned(PATIENCE_S)
        return str(error.value).removeprefix(f"{NODE}: ")

    def attach(self, *interfaces: str, **job: Any) -> None:
        """Load bpf/pass.c and attach it."""
        compilation = self.start(OWN / "pass.c", **job)
        compilation.attach(f"/run/netns/{self.netns}", interfaces)
        compilation.finish(PATIENCE_S)

    def verdict(self, function: str) -> int:
        """Return what a pinned program says of a packet of zeros."""
        with LoadedProgram.open(self.pin(f"programs/{function}")) as program:
            return program.test_run(PACKET).verdict

    def ip(self, *words: str) -> None:
        """Change the namespace by `ip`."""
        subprocess.run(["ip", "-n", self.netns, *words], check=True)

    def xdp_mode(self, interface: str) -> int | None:
        """Return the mode of the program that `ip` sees on an interface, if any."""
        said = subprocess.check_output(["ip", "-n", self.netns, "-json", "link", "show", interface])
        xdp: dict[str, int] | None = json.loads(said)[0].get("xdp")
        return xdp["mode"] if xdp else None

    def pins(self) -> set[str]:
        """Return everything that is pinned; the kernel's own two files at the top are no pins."""
        top = f"{self.folder}/bpf"
        found = {os.path.relpath(f"{folder}/{name}", top) for folder, _, names in os.walk(top) for name in names}
        return found - {"maps.debug", "progs.debug"}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench whose folder is the current one, so that messages name files without it."""
    monkeypatch.chdir(tmp_path)
    bench = Bench(tmp_path)
    os.mkdir(tmp_path / "bpf")
    syscalls.mount("bpf", str(tmp_path / "bpf"), "bpf")
    try:
        subprocess.run(["ip", "netns", "add", bench.netns], check=True)
        bench.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        yield bench
    finally:
        for compilation in bench.started:
            compilation.kill()
        subprocess.run(["ip", "netns", "del", bench.netns], check=True)
        syscalls.umount(str(tmp_path / "bpf"))


def loaded_names() -> set[str]:
    """Return the names of all programs and maps in the kernel: at most 15 characters each."""
    libbpf = ctypes.CDLL("libbpf.so.1")
    names: set[str] = set()
    for kind, name_at in (("prog", 64), ("map", 24)):  # in struct bpf_prog_info, struct bpf_map_info
        number = ctypes.c_uint32()
        while not libbpf[f"bpf_{kind}_get_next_id"](number, ctypes.byref(number)):
            fd = libbpf[f"bpf_{kind}_get_fd_by_id"](number)
            info, size = ctypes.create_string_buffer(256), ctypes.c_uint32(256)
            if fd >= 0:
                libbpf.bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size))
                os.close(fd)
                names.add(info.raw[name_at : name_at + 16].partition(b"\0")[0].decode())
    return names


def test_a_program_is_attached_natively_and_pinned(bench: Bench) -> None:
    """The smallest program ends up on every interface named, in native mode, with its pin, and its loader is gone."""
    bench.attach("eth0", "eth1")

    assert (IP_NATIVE, IP_NATIVE) == (bench.xdp_mode("eth0"), bench.xdp_mode("eth1"))
    assert {f"{NODE}/programs/pass"} == bench.pins()
    assert bench.verdict("pass") == XDP_PASS
    assert bench.started[0].pid == 0


def test_a_file_may_have_functions_that_read_packets_in_bccs_way(bench: Bench) -> None:
    """bcc rewrites such reads, but not inside a macro, and netlab's print is one; the file's program is attached."""
    source = bench.folder / "cursor.c"
    source.write_text(CURSOR)

    assert bench.pinned(source).function == "pass"
    assert bench.verdict("pass") == XDP_PASS


def test_generic_mode_is_had_by_asking(bench: Bench) -> None:
    """Generic mode is used where the topology says so."""
    bench.attach("eth0", mode="generic")

    assert bench.xdp_mode("eth0") == IP_GENERIC


@pytest.mark.parametrize(
    ("source", "text"),
    [
        pytest.param(
            "#include <linux/bpf.h>\nint pass(struct xdp_md *ctx)\n{\n\treturn XDP_PASS\n}\n",
            "test.c:4:17: error: expected ';' after return statement\n"
            "        return XDP_PASS\n"
            "                       ^\n"
            "                       ;",
            id="syntax",
        ),
        pytest.param(
            "#include <linux/bpf.h>\n\nint pass(struct xdp_md *ctx) { return XDP_PAS; }\n",
            "test.c:3:39: error: use of undeclared identifier 'XDP_PAS'; did you mean 'XDP_PASS'?\n"
            "int pass(struct xdp_md *ctx) { return XDP_PAS; }\n"
            "                                      ^~~~~~~\n"
            "                                      XDP_PASS",
            id="undefined",
        ),
        pytest.param(
            '#include "nowhere.h"\n' + PASSING,
            "test.c:1:10: error: 'nowhere.h' file not found\n"
            '#include "nowhere.h"\n'
            "         ^~~~~~~~~~~\n"
            "(headers are looked for beside the program, in netlab's bpf folder and in linux-libc-dev)",
            id="missing include",
        ),
        pytest.param(
            "int pass(struct xdp_md *ctx)\n{\n\treturn misspelt(ctx);\n}\n",
            "test.c:3:9: error: implicit declaration of function 'misspelt' is invalid in C99\n"
            "        return misspelt(ctx);\n"
            "               ^\n"
            "(there is no such function or helper: is it misspelt?)",
            id="implicit",
        ),
        pytest.param(
            "static inline int one(void)\n{\n\treturn 1;\n}\n\n"
            "int pass(struct xdp_md *ctx)\n{\n\tunsigned char *data = (void *)(long)ctx->data;\n\n"
            "\tif (data[13] == one())\n\t\treturn XDP_DROP;\n\treturn XDP_PASS;\n}\n",
            "test.c:10: the verifier refused pass(): invalid access to packet, off=13 size=1, R1(id=0,off=13,r=0)\n"
            "    if (data[13] == one())\n"
            "R1 offset is outside of the packet\n"
            "(first compare the end of what is read with ctx->data_end)",
            id="out of bounds",
        ),
        pytest.param(
            "BPF_ARRAY(seen, u32, 1);\n\nint pass(struct xdp_md *ctx)\n{\n\tvoid *data = (void *)(long)ctx->data;\n\n"
            "\tdata += bpf_ktime_get_ns();\n"
            "\tif (data + 1 > (void *)(long)ctx->data_end)\n\t\treturn XDP_DROP;\n"
            "\treturn *(u8 *)data ? XDP_PASS : XDP_DROP;\n}\n",
            "test.c:7: the verifier refused pass(): "
            "math between pkt pointer and register with unbounded min value is not allowed\n"
            "    data += bpf_ktime_get_ns();\n"
            "(bound the offset before it is added to a pointer; older kernels forget the bounds of what bpf_ntohs() "
            'returns: #include "bounds.h", and add host_u16(N) in the place of bpf_ntohs(N))',
            id="unbounded offset",
        ),
        pytest.param(
            "int pass(struct xdp_md *ctx)\n{\n\tchar copy[64] = {};\n\n"
            "\tbpf_xdp_load_bytes(ctx, 0, copy, bpf_get_prandom_u32());\n\treturn copy[9];\n}\n",
            "test.c:5: the verifier refused pass(): R4 min value is negative, either use unsigned or 'var &= const'\n"
            "    bpf_xdp_load_bytes(ctx, 0, copy, bpf_get_prandom_u32());\n"
            "(bound the length, above and below, right before the helper is called; barrier_var() of bounds.h keeps "
            "the compiler from leaving out a check whose outcome it knows)",
            id="unbounded length",
        ),
        pytest.param(
            "int pass(struct xdp_md *ctx)\n{\n\tchar copy[64] = {};\n\n"
            "\tbpf_xdp_load_bytes(ctx, 0, copy, bpf_get_prandom_u32() & 63);\n\treturn copy[9];\n}\n",
            "test.c:5: the verifier refused pass(): R4 invalid zero-sized read: u64=[0,63]\n"
            "    bpf_xdp_load_bytes(ctx, 0, copy, bpf_get_prandom_u32() & 63);\n"
            "(the length may be 0: go on only if it is 1 or more)",
            id="no length",
        ),
        pytest.param(
            "int pass(struct xdp_md *ctx)\n{\n\tu64 sum = 0;\n\n\tfor (u32 i = 0; i < 4000000; i++)\n"
            "\t\tsum = (sum ^ i) * 3;\n\treturn sum == ctx->rx_queue_index ? XDP_PASS : XDP_DROP;\n}\n",
            "test.c:5: the verifier refused pass(): BPF program is too large. Processed 1000001 insn\n"
            "    for (u32 i = 0; i < 4000000; i++)\n"
            "(the verifier walks every path, and gave up: smaller bounds, fewer branches in loops)",
            id="too large",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "BPF_HASH(counts, int, u64);\n\nint pass(struct xdp_md *ctx)\n{\n\tint key = 0;\n"
            "\tu64 *count = counts.lookup(&key);\n\n\t*count += 1;\n\treturn XDP_PASS;\n}\n",
            "test.c:8: the verifier refused pass(): R0 invalid mem access 'map_value_or_null'\n"
            "    *count += 1;\n"
            "(the lookup may have found nothing: first test the pointer for NULL)",
            id="null",
        ),
        pytest.param(
            "int pass(struct xdp_md *ctx)\n{\n\tvolatile char large[600];\n\n"
            "\tfor (int i = 0; i < 600; i++)\n\t\tlarge[i] = i;\n\treturn large[ctx->rx_queue_index & 1];\n}\n",
            "test.c:1: in pass(): Looks like the BPF stack limit of 512 bytes is exceeded. "
            "Please move large on stack variables into BPF per-cpu array map.\n"
            "(keep large things in a BPF_PERCPU_ARRAY)",
            id="stack",
        ),
        pytest.param(
            "BPF_ARRAY(counts, u32, 1);\n\nint pass(struct xdp_md *ctx)\n{\n\tint key = 0;\n"
            "\tu32 *count = counts.lookup(&key);\n\n\tif (!count)\n\t\treturn XDP_DROP;\n"
            "\treturn __sync_fetch_and_add(count, 1) ? XDP_PASS : XDP_DROP;\n}\n",
            "test.c:10: the compiler gave up: Invalid usage of the XADD return value\n"
            "    return __sync_fetch_and_add(count, 1) ? XDP_PASS : XDP_DROP;\n"
            "(an atomic operation whose result is used needs a 64-bit variable)",
            id="LLVM aborts",
        ),
        pytest.param(
            "BPF_HASH(huge, u64, u64, 4000000000);\n" + PASSING,
            "test.c: the map huge cannot be made: Argument list too long\n(it has more entries than its kind can have)",
            id="map",
        ),
        pytest.param(
            'int pass(struct xdp_md *ctx)\n{\n\tbpf_trace_printk("%d %d %d %d", 1, 2, 3, 4);\n\treturn XDP_PASS;\n}\n',
            "test.c:3: in pass(): too many args to helper 6\n"
            '    bpf_trace_printk("%d %d %d %d", 1, 2, 3, 4);\n'
            "(it prints three values at most)",
            id="four values",
        ),
        pytest.param(
            'int pass(struct xdp_md *ctx)\n{\n\tbpf_printk("%d %d %d %d", 1, 2, 3, 4);\n\treturn XDP_PASS;\n}\n',
            "test.c:3: in pass(): too many args to helper 6\n"
            '    bpf_printk("%d %d %d %d", 1, 2, 3, 4);\n'
            "(it prints three values at most)",
            id="four values in another way",
        ),
        pytest.param(
            "int pass(struct xdp_md *ctx)\n{\n"
            '\tchar format[] = "one";\n\tbpf_trace_printk(format);\n\treturn XDP_PASS;\n}\n',
            "test.c:4:19: error: expected ';' at end of declaration\n"
            "        bpf_trace_printk(format);\n"
            "                         ^\n"
            "(the format must be a string literal)",
            id="no literal",
        ),
        pytest.param(
            "static int answer(void) { return XDP_PASS; }\n",
            "test.c: has no program: a program is a function `int NAME(struct xdp_md *ctx)`, not static",
            id="no entry",
        ),
        pytest.param(
            "int one(struct xdp_md *ctx) { return 1; }\n/* int none(struct xdp_md *ctx); */\n"
            "#if 0\nint three(struct xdp_md *ctx) { return 1; }\n#endif\nint two(struct xdp_md *ctx) { return 2; }\n",
            "test.c: has several programs, one, two: say which one to attach by `function:`",
            id="two entries",
        ),
        pytest.param("\0\1\2", "test.c: is no C source: it holds a zero byte", id="binary"),
        pytest.param(Path("nowhere.c"), "cannot read nowhere.c: No such file or directory", id="no file"),
    ],
)
def test_what_is_wrong_is_said_in_the_authors_terms(bench: Bench, source: str | Path, text: str) -> None:
    """Every refusal names the author's file and line, shows the line, and says nothing of bcc's own making."""
    said = bench.error(source)

    assert text == said
    assert set() == bench.pins()


@pytest.mark.parametrize(
    ("source", "name", "since"),
    [
        (
            "int test(struct xdp_md *ctx) { char *to = 0; return bpf_xdp_load_bytes(ctx, 0, to, 4); }\n",
            "bpf_xdp_load_bytes and bpf_xdp_store_bytes",
            "5.18",
        ),
        ('BPF_TABLE("lru_hash", u32, u32, few, 0);\n' + PASSING, "LRU hash maps", "4.10"),
    ],
    ids=["program", "map"],
)
def test_what_the_kernel_lacks_is_one_line(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, source: str, name: str, since: str
) -> None:
    """In place of the verifier's words, which stand where the kernel has it: here it is asked by a stand-in too."""
    has_it = bench.error(source)
    call, this = bpf.call, os.getpid()

    def refuse(command: int, attr: Any, what: str) -> int:
        if os.getpid() != this:  # the child may be a copy of this process
            return call(command, attr, what)
        raise OSError(errno.EINVAL, what)

    monkeypatch.setattr(bpf, "call", refuse)
    lacks_it = bench.error(source)

    assert "needs" not in has_it
    assert lacks_it == (
        f"test.c needs {name} (Linux {since} or newer): this kernel, {os.uname().release}, has not got it"
    )


def test_a_refused_program_of_ours_is_our_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who only plays a demo has written nothing wrong: the kernel is named, and what to report."""
    monkeypatch.setattr(features, "is_ours", lambda path: True)

    said = bench.error("int pass(struct xdp_md *ctx)\n{\n\treturn *(char *)(long)ctx->data;\n}\n")

    assert said.startswith(f"this kernel, {os.uname().release}, refuses test.c, a program of netlab's own, ")
    assert "to be reported with this: test.c:3: the verifier refused pass(): invalid access to packet" in said
    assert "\n" not in said


def test_only_the_first_errors_are_shown(bench: Bench) -> None:
    """Of many errors the first few are shown, and the rest counted; warnings and notes in foreign headers are not."""
    said = bench.error("int pass(struct xdp_md *ctx)\n{\n\tint unused;\n\ta(); b(); c(); d(); e();\n}\n")

    assert ["test.c:4:2", "test.c:4:7", "test.c:4:12"] == [
        line.partition(": error")[0] for line in said.splitlines() if "error" in line
    ]
    assert said.endswith("and 2 more")


def test_a_fault_in_a_header_is_found_there(bench: Bench) -> None:
    """Errors of clang and of the verifier in a header beside the program name the header and its line."""
    header = bench.folder / "peek.h"
    source = '#include "peek.h"\nint pass(struct xdp_md *ctx) { return peek(ctx); }\n'
    header.write_text("static inline int peek(struct xdp_md *ctx)\n{\n\treturn *(u8 *)(long)ctx->data;\n}\n")
    refused = bench.error(source)
    header.write_text("static inline int peek(struct xdp_md *ctx)\n{\n\treturn ctx->nothing;\n}\n")
    uncompiled = bench.error(source)

    assert refused.startswith("peek.h:3: the verifier refused pass(): invalid access to packet")
    assert uncompiled.startswith("peek.h:3:14: error: no member named 'nothing' in 'struct xdp_md'\n")


@pytest.mark.parametrize("name", ["stem.c", "two.c"])
def test_the_entry_is_the_function_asked_for_or_named_like_the_file(bench: Bench, name: str) -> None:
    """`function` decides; without it the file's name does; all programs of the file are pinned."""
    source = "int one(struct xdp_md *ctx) { return 1; }\nint two(struct xdp_md *ctx) { return 2; }\n"

    loaded = bench.pinned(source, name, function="" if name == "two.c" else "two")

    assert loader.Loaded("two", ("one", "two"), ()) == loaded
    assert {f"{NODE}/programs/one", f"{NODE}/programs/two"} == bench.pins()


def test_a_function_that_is_not_there_is_named_with_those_that_are(bench: Bench) -> None:
    """A misspelt `function` is answered with what the file has."""
    said = bench.error(PASSING, function="pas")

    assert said == "test.c: has no program pas: it has pass"


@pytest.mark.parametrize(("set_to", "verdict"), [("XDP_DROP", XDP_DROP), (2, XDP_PASS)])
def test_define_changes_what_is_compiled(bench: Bench, set_to: str | int, verdict: int) -> None:
    """Constants of the topology reach the program, and override those of netlab's own."""
    bench.pinned(
        "int pass(struct xdp_md *ctx) { return MTU == 1400 ? VERDICT : XDP_ABORTED; }\n",
        define=(("VERDICT", set_to), ("MTU", 1400)),
        builtins=(("MTU", 1500),),
    )

    assert verdict == bench.verdict("pass")


def test_a_define_that_the_program_overrides_is_refused(bench: Bench) -> None:
    """A constant that would be without effect is an error, which says where it is lost."""
    said = bench.error("#define QUEUE 8\n" + PASSING, define=(("QUEUE", 16),))

    assert said == (
        "test.c:1: QUEUE is set by the topology's `define:`, which this overrides: put `#ifndef QUEUE` around it"
    )


def test_headers_of_the_system_and_of_netlab_are_found(bench: Bench) -> None:
    """Programs include what a kernel has for user space, and netlab's own, by either spelling, and C's integers."""
    headers = ("linux/bpf.h", "uapi/linux/ip.h", "linux/icmp.h", "linux/ipv6.h", "linux/tcp.h", "stdint.h", "stdbool.h")
    source = "".join(f"#include <{name}>\n" for name in headers) + '#include "packet.h"\n' + PASSING

    assert bench.pinned(source).function == "pass"


def test_the_kernels_headers_and_bccs_environment_do_not_matter(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would lead bcc to other headers, or to another machine's, is without effect."""
    monkeypatch.setenv("BCC_KERNEL_SOURCE", "/nowhere")
    monkeypatch.setenv("ARCH", "mips")
    monkeypatch.setenv("BCC_LINUX_VERSION_CODE", "1")

    assert bench.pinned(PASSING).function == "pass"


def test_every_kind_of_map_and_a_devmap_program_are_pinned(bench: Bench) -> None:
    """Maps are pinned by name, templates of inner maps too; a program named *_devmap is one for devmap entries."""
    maps = ("doors", "plain", "seen", "each", "waiting", "template", "inner", "next", "locked")

    loaded = bench.pinned(
        """
struct door { u32 ifindex; u32 program; };
struct locked { struct bpf_spin_lock lock; u32 count; };
BPF_XDP_REDIRECT_MAP("devmap", struct door, doors, 4);
BPF_DEVMAP(plain, 4);
BPF_HASH(seen, u32, u64);
BPF_PERCPU_ARRAY(each, u64, 3);
BPF_QUEUE(waiting, u32, 5);
BPF_ARRAY(template, u32, 1);
BPF_ARRAY_OF_MAPS(inner, "template", 4);
BPF_PROG_ARRAY(next, 4);
BPF_ARRAY(locked, struct locked, 1);
int egress_devmap(struct xdp_md *ctx) { return ctx->egress_ifindex ? XDP_PASS : XDP_DROP; }
int main_entry(struct xdp_md *ctx) { return doors.redirect_map(1, 0); }
"""
    )

    assert loader.Loaded("main_entry", ("egress_devmap", "main_entry"), tuple(sorted(maps))) == loaded
    assert {f"{NODE}/maps/{name}" for name in maps} == {pin for pin in bench.pins() if "/maps/" in pin}


def test_ten_prints_with_the_longest_names_fit_the_stack(bench: Bench) -> None:
    """The names in front of ten trace lines leave room on the 512 bytes of stack, for they share it."""
    prints = "".join(
        f'\tif (queue > {n}) bpf_trace_printk("print {n} of a program that says a lot: %d", queue);\n'
        for n in range(10)
    )

    loaded = bench.pinned(
        f"int pass(struct xdp_md *ctx)\n{{\n\tint queue = ctx->rx_queue_index;\n{prints}\treturn XDP_PASS;\n}}\n"
    )

    assert loaded.function == "pass"


def test_trace_lines_begin_with_lab_and_node(bench: Bench) -> None:
    """A plain bpf_trace_printk() says whose line it is."""
    bench.pinned('int pass(struct xdp_md *ctx)\n{\n\tbpf_trace_printk("seven is %d", 7);\n\treturn XDP_PASS;\n}\n')
    tracing = bench.folder / "tracing"
    instance = tracing / "instances" / mark.mark("printing")
    tracing.mkdir()
    syscalls.mount("tracefs", str(tracing), "tracefs")
    try:
        instance.mkdir()
        (instance / "events/bpf_trace/bpf_trace_printk/enable").write_text("1")
        bench.verdict("pass")
        said = (instance / "trace").read_text()
    finally:
        if instance.exists():
            instance.rmdir()
        syscalls.umount(str(tracing))

    assert f"bpf_trace_printk: {mark.printed(LAB)}/{NODE} seven is 7\n" in said


def test_a_peer_with_too_large_an_mtu_is_named_as_the_reason(bench: Bench) -> None:
    """The kernel's bare "out of range" becomes what to change."""
    bench.ip("link", "set", "eth1", "mtu", "9000")

    with pytest.raises(NetlabError) as error:
        bench.attach("eth0")

    assert str(error.value).endswith(
        "pass.c: cannot be attached to eth0: "
        "the peer's packets may be too large for native mode: give the link an `mtu` of at most 3500"
    )


def test_an_interface_that_is_gone_is_named(bench: Bench) -> None:
    """An interface that vanished between plan and attach is an error, not a crash."""
    bench.ip("link", "del", "eth0")

    with pytest.raises(NetlabError, match=r"pass\.c: cannot be attached to eth0: the node has no such interface$"):
        bench.attach("eth0")


def test_another_program_is_not_replaced(bench: Bench) -> None:
    """A program that is already attached stays."""
    bench.attach("eth0")

    with pytest.raises(NetlabError, match=r"cannot be attached to eth0: another program is attached there$"):
        bench.attach("eth0", pin_folder=bench.beside("again"))


def test_a_namespace_that_is_gone_is_named(bench: Bench) -> None:
    """A namespace that vanished is an error, not a crash."""
    compilation = bench.start(PASSING)
    compilation.attach("/run/netns/nowhere", ["eth0"])

    with pytest.raises(NetlabError, match=r"test\.c: No such file or directory: /run/netns/nowhere$"):
        compilation.finish(PATIENCE_S)


def test_a_source_is_read_once(bench: Bench) -> None:
    """What is compiled is what the parent has read, and keeps, whatever becomes of the file meanwhile."""
    compilation = bench.start("int fixed(struct xdp_md *ctx) { return XDP_DROP; } /* \xe9 */\n", "fixed.c")
    first = (bench.folder / "fixed.c").read_bytes()
    (bench.folder / "fixed.c").write_text("no program\n")
    compilation.pinned(PATIENCE_S)

    assert first == compilation.text
    assert bench.verdict("fixed") == XDP_DROP


SEEN = "BPF_ARRAY(seen, u64, 1);\n"
KINDS = """
#define PROGRAM(name) int name(struct xdp_md *ctx)
typedef struct xdp_md context;
static int helper(struct xdp_md *ctx) { return XDP_PASS; }
PROGRAM(by_macro) { return helper(ctx); }
int constant(const struct xdp_md *ctx) { return XDP_PASS; }
int defined(struct CTXTYPE *ctx) { return XDP_PASS; }
__attribute__((unused)) int attribute(struct xdp_md *ctx __attribute__((unused))) { return XDP_PASS; }
int comment(struct xdp_md /* this */ * /* one */ ctx) { return XDP_PASS; }
int renamed(context *ctx) { return XDP_PASS; }
enum xdp_action
lines(
	struct xdp_md
	*ctx
) { return XDP_PASS; }
int plain(int number) { return number; }
int other(struct __sk_buff *skb) { return 0; }
/* int absent(struct xdp_md *ctx) { return XDP_PASS; } */
"""


@pytest.mark.parametrize("map_of_its", ["", SEEN])
def test_programs_are_known_by_what_they_take(bench: Bench, map_of_its: str) -> None:
    """However that is written; and functions that take something else are none."""
    programs = {"by_macro", "constant", "defined", "attribute", "comment", "renamed", "lines"}

    loaded = bench.pinned(map_of_its + KINDS, function="by_macro", define=(("CTXTYPE", "xdp_md"),))

    assert programs == set(loaded.programs)


@pytest.mark.parametrize("name", ["my_devmap", "my_run"])
def test_a_program_may_have_a_name_that_means_something_else(bench: Bench, name: str) -> None:
    """When it is the only one, or is asked for; from the cache too."""
    alone = f"int {name}(struct xdp_md *ctx) {{ return XDP_DROP; }}\n"
    for source, interface, function, mode in (
        (alone, "eth0", "", "native"),
        (alone + PASSING, "eth1", name, "native"),
        (alone, "lo", "", "generic"),
    ):
        compilation = bench.start(source, pin_folder=bench.beside(interface), function=function, mode=mode)
        compilation.attach(f"/run/netns/{bench.netns}", [interface])

        assert name == compilation.finish(PATIENCE_S).function


@pytest.mark.parametrize("job", [{}, {"function": "far"}])
def test_a_function_in_a_header_is_told_for_what_it_is(bench: Bench, job: dict[str, str]) -> None:
    (bench.folder / "far.h").write_text("int far(struct xdp_md *ctx) { return XDP_PASS; }\n")

    said = bench.error('#include "far.h"\n', **job)

    assert said == (
        "test.c: has no program far itself: far() is in a header, where bcc sees none: make it `static inline`, and "
        "let a function of the file, `int NAME(struct xdp_md *ctx)`, call it"
    )


def test_a_method_of_a_map_in_a_header_is_reported(bench: Bench) -> None:
    """bcc turns methods into calls in the file itself alone; the message says so, and the way round that works."""
    use = "static inline int use(u32 key)\n{\n\treturn WAY(&key) ? XDP_PASS : XDP_DROP;\n}\n"
    program = '#include "use.h"\nint pass(struct xdp_md *ctx) { return use(0); }\n'
    (bench.folder / "use.h").write_text(use.replace("WAY", "seen.lookup"))
    said = bench.error(f"{SEEN}{program}")
    (bench.folder / "use.h").write_text(use.replace("WAY", "find"))
    bench.pinned(f"{SEEN}static inline u64 *find(u32 *key) {{ return seen.lookup(key); }}\n{program}")

    assert said.startswith(
        "use.h:3: the verifier refused pass(): unknown opcode 8d\n    return seen.lookup(&key) ? XDP_PASS : XDP_DROP;\n"
    )
    assert "(bcc knows methods of maps in the program's own file alone: put a function there" in said


OF_THE_KERNEL = """
#define KBUILD_MODNAME "mine"
#include <uapi/linux/bpf.h>
#include <linux/compiler.h>
#include <linux/etherdevice.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_vlan.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/sock.h>

BPF_TABLE(MAPTYPE, uint32_t, long, seen, 256);

int count(struct CTXTYPE *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	struct vlan_hdr *tag = (void *)(ethernet + 1);
	uint64_t offset = sizeof(*ethernet) + sizeof(struct vlan_hdr) + sizeof(struct iphdr) + sizeof(struct tcphdr);
	uint32_t index = sizeof(struct udphdr) + sizeof(struct ipv6hdr);
	long *value;

	if (unlikely(data + offset > end))
		return RETURNCODE;
	if (ethernet->h_proto == htons(ETH_P_8021Q) && tag->h_vlan_encapsulated_proto == htons(ETH_P_IP))
		index = (ntohs(tag->h_vlan_TCI) & VLAN_VID_MASK) & 255;
	value = seen.lookup(&index);
	if (likely(value))
		__sync_fetch_and_add(value, 1);
	return READ_ONCE(index) == VLAN_N_VID ? XDP_DROP : RETURNCODE;
}
"""
OWN_TAG = """
#include <linux/if_vlan.h>
struct vlan_hdr { __be16 tci, proto; };
int own(struct xdp_md *ctx) { return sizeof(struct vlan_hdr) == 4 ? XDP_PASS : XDP_DROP; }
"""


def test_what_bccs_own_examples_take_from_the_kernels_headers_is_there(bench: Bench) -> None:
    """They load as they are, with their constants; and so do programs that bring along what user space has not."""
    define = (("MAPTYPE", '"percpu_array"'), ("CTXTYPE", "xdp_md"), ("RETURNCODE", "XDP_PASS"))
    loaded = bench.pinned(OF_THE_KERNEL, "count.c", define=define)
    own = bench.pinned(OWN_TAG, "own.c")

    assert ("count", ("count",), ("seen",)) == loaded[:3]
    assert own.function == "own"


def test_a_child_killed_while_it_compiles_leaves_nothing(bench: Bench) -> None:
    """Neither process nor pin nor program nor map is left, at once or later."""
    compilation = bench.start("BPF_ARRAY(half_made_map, u32, 1);\nint half_made(struct xdp_md *ctx) { return 1; }\n")
    pid = compilation.pid
    eventually(lambda: b"libbcc" in Path(f"/proc/{pid}/maps").read_bytes())

    compilation.kill()

    assert not os.path.exists(f"/proc/{pid}")
    assert set() == bench.pins()
    eventually(lambda: not {"half_made", "half_made_map"} & loaded_names())


def test_a_loaded_program_goes_with_its_pins(bench: Bench) -> None:
    """The kernel forgets a program that was pinned and never attached as soon as its pins are gone."""
    bench.pinned("int never_used(struct xdp_md *ctx) { return 1; }\n")
    assert "never_used" in loaded_names()

    os.unlink(bench.pin("programs/never_used"))

    eventually(lambda: "never_used" not in loaded_names())


def test_the_child_dies_with_its_parent(bench: Bench) -> None:
    """`kill -9` of the parent ends its children, in whatever they are."""
    (bench.folder / "test.c").write_text(PASSING)
    job = loader.Job(LAB, NODE, f"{bench.folder}/test.c", bench.beside(NODE), f"{bench.folder}/work")
    script = (
        "import time; from netlab.programs import loader\n"
        f"child = loader.start(loader.{job!r})\n"
        "child.pinned(60); print(child.pid, flush=True); time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(OWN.parent)}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()

    eventually(lambda: not os.path.exists(f"/proc/{child}"))


def test_a_compiler_that_takes_too_long_is_ended(bench: Bench) -> None:
    """The kernel's timer ends it, inside the compiler too."""
    said = bench.error(PASSING, limits=LIMITS._replace(cpu_s=0.02))

    assert said == "test.c: takes too long to compile and load: more than 0.02 s of CPU time"
    assert set() == bench.pins()


def test_a_compiler_at_work_is_waited_for_until_its_cpu_time_is_used_up(bench: Bench) -> None:
    """However long that takes on the clock: the parent's patience is shorter, and does not run out."""
    doubled = "".join(f"#define X{n + 1} X{n} X{n}\n" for n in range(60))
    child = bench.start(f"#define X0 +1\n{doubled}{PASSING}int n = 0 X60;\n", limits=LIMITS._replace(cpu_s=2))

    with pytest.raises(NetlabError, match=r"test\.c: takes too long .* more than 2 s of CPU time$"):
        child.pinned(1.5)

    assert child.pid == 0


def test_a_compiler_that_takes_too_much_is_ended(bench: Bench) -> None:
    """Its memory has a limit too, so that no machine is filled by a few lines."""
    said = bench.error(
        f"{PASSING}int huge[1 << 28] = {{[(1 << 28) - 1] = 1}};\n", limits=LIMITS._replace(memory=1 << 28)
    )

    assert said == "test.c: takes too much to compile and load: more than 256 MB of memory"
    assert set() == bench.pins()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 33)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (make_pipe, "it is a device, pipe or socket, no regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device, pipe or socket, no regular file"),
        (make_huge, "all headers are longer than 16,777,216 bytes"),
    ],
)
def test_a_header_without_an_end_is_not_begun(bench: Bench, make: Callable[[Path], None], why: str) -> None:
    """The compiler would wait for a pipe for ever, or read as long."""
    make(bench.folder / "endless.h")

    assert f"test.c: includes {bench.folder}/endless.h: {why}" == bench.error(f'#include "endless.h"\n{PASSING}')


def test_who_waits_for_a_pipe_is_told_so(bench: Bench) -> None:
    """Which is included by another way than a plain name; others at work meanwhile do not keep us waiting."""
    os.mkfifo(bench.folder / "endless.h")
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            child = bench.start(f'#define HEADER "endless.h"\n#include HEADER\n{PASSING}')
            eventually(lambda: b"libbcc" in Path(f"/proc/{child.pid}/maps").read_bytes())
            with pytest.raises(
                NetlabError, match=r"test\.c: .* for 2 s it has used no CPU time: does the program include a pipe"
            ):
                child.pinned(2)
        finally:
            busy.kill()


def test_a_program_that_includes_itself_is_told_where(bench: Bench) -> None:
    assert bench.error(f'#include "test.c"\n{PASSING}').startswith("test.c:1:10: error: #include nested too deeply\n")


def test_a_child_that_does_not_answer_is_ended(bench: Bench) -> None:
    """The parent waits for so long and no longer, when nothing gets on."""
    compilation = bench.start(PASSING)
    os.kill(compilation.pid, signal.SIGSTOP)

    with pytest.raises(NetlabError, match=r"test\.c: the loader does not answer; for 0\.05 s it has used"):
        compilation.finish(0.05)

    assert compilation.pid == 0


def test_the_child_holds_the_labs_lock(bench: Bench) -> None:
    """The lock is free only when the child is gone too."""
    (bench.folder / "test.c").write_text(PASSING)
    job = loader.Job(LAB, NODE, f"{bench.folder}/test.c", bench.beside(NODE), f"{bench.folder}/work")
    with (
        open(bench.folder / "lock", "w", encoding="ascii") as ours,
        open(bench.folder / "lock", "w", encoding="ascii") as other,
    ):
        fcntl.flock(ours, fcntl.LOCK_EX)
        compilation = loader.start(job, ours.fileno())
        ours.close()
        try:
            compilation.pinned(PATIENCE_S)
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            compilation.kill()

        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_more_programs_than_processors_are_all_loaded(bench: Bench) -> None:
    """Many children take turns at compiling, and each attaches in the end."""
    count = 2 * (os.cpu_count() or 1) + 1
    children = [bench.start(PASSING, f"test{n}.c", pin_folder=bench.beside(str(n))) for n in range(count)]
    for child in children:
        child.attach(f"/run/netns/{bench.netns}", [])

    assert [loader.Loaded("pass", ("pass",), ())] * count == [child.finish(PATIENCE_S) for child in children]


def test_a_host_without_bcc_is_told_what_to_install(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bcc, or PyPI's package of that name: exit code 3 and the Debian package."""
    packages = bench.folder / "packages"
    packages.mkdir()
    (packages / "bcc.py").touch()
    monkeypatch.syspath_prepend(packages)

    with pytest.raises(HostError, match=r"cannot import bcc .*python3-bpfcc.*--system-site-packages"):
        bench.start(PASSING).pinned(PATIENCE_S)


@pytest.mark.parametrize("entry", ["", "."])
def test_a_module_in_the_current_folder_is_not_imported(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    """It is somebody's own program, whatever it is called."""
    (bench.folder / "bcc.py").touch()
    (bench.folder / "json.py").write_text("raise SystemExit")
    monkeypatch.setattr(sys, "path", [os.path.realpath(entry) if entry else entry, *sys.path])

    bench.attach("eth0")


def test_the_program_sees_packets(bench: Bench) -> None:
    """An attached program judges what arrives on its interface."""
    source = (
        "BPF_ARRAY(seen, u64, 1);\n\nint drop(struct xdp_md *ctx)\n{\n"
        "\tint key = 0;\n\n\tseen.increment(key);\n\treturn XDP_DROP;\n}\n"
    )
    compilation = bench.start(source, "drop.c")
    bench.ip("link", "set", "eth0", "up")
    bench.ip("link", "set", "eth1", "up")
    compilation.attach(f"/run/netns/{bench.netns}", ["eth0"])
    compilation.finish(PATIENCE_S)
    send = (
        "import socket; sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); "
        f"sender.bind(('eth1', 0)); sender.send({PACKET!r})"
    )

    subprocess.run(["ip", "netns", "exec", bench.netns, sys.executable, "-c", send], check=True)

    with Map.open(bench.pin("maps/seen")) as seen:
        eventually(lambda: int.from_bytes(seen.get(bytes(4)), sys.byteorder) > 0)
