"""Programs that nobody trusts are compiled and loaded in a room: what they reach for outside it, they do not get."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import BuildError, BuildLimitError, NetlabError, OutsideError, VerifierError
from netlab.programs import loader
from netlab.programs.maps import Map
from netlab.testing.waiting import PATIENCE_S, eventually
from netlab.topology.hooks import INGRESS
from tests.lab import clang
from tests.lab.test_programs import LAB, LIMITS, NODE, OWN, XDP_DROP, Bench, bench

__all__ = ["bench"]

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="loading programs needs root"),
    pytest.mark.usefixtures("no_leaks"),
]

CANARY = "the_canary_of_another"
PASSING = "int pass(struct xdp_md *ctx) { return XDP_PASS; }\n"
OF_LIBBPF = f'{clang.HEAD}SEC("xdp") int pass(struct xdp_md *ctx) {{ return XDP_PASS; }}\n'
DOUBLING = "#define X0 +1\n" + "".join(f"#define X{n + 1} X{n} X{n}\n" for n in range(60)) + "int n = 0 X60;\n"
MAP = 'struct {{ __uint(type, {}); __type(key, int); __type(value, {}); __uint(max_entries, {}); }} m SEC(".maps");\n'


class Room(Bench):
    """A bench on which nobody trusts the programs; the submission's folder is below it, beside another's."""

    def __init__(self, bench: Bench) -> None:
        self.folder = bench.folder
        self.started = bench.started
        self.netns = bench.netns
        self.own = bench.folder / "submission"
        self.own.mkdir()
        (bench.folder / "other").mkdir()
        (bench.folder / "other" / "x.h").write_text(f"int x = {CANARY};\n")

    def refused(self, source: str, *, untrusted: bool = True, **job: Any) -> NetlabError:
        """Return the error that a source is refused with."""
        compilation = self.begun(source, untrusted=untrusted, **job)
        with pytest.raises(NetlabError) as error:
            compilation.pinned(PATIENCE_S)
        return error.value

    def begun(self, source: str, *, untrusted: bool = True, **job: Any) -> loader.Compilation:
        """Start a child on a source in the submission's folder."""
        return self.start(source, "submission/test.c", untrusted=untrusted, folder=str(self.own), **job)

    def loaded(self, source: str, **job: Any) -> loader.Loaded:
        """Load a program that nobody trusts."""
        compilation = self.begun(source, **job)
        found = compilation.pinned(PATIENCE_S)
        compilation.kill()
        return found


@pytest.fixture
def room(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    monkeypatch.setenv("NETLAB_CACHE", "")
    return Room(bench)  # type: ignore[return-value]


def of(dialect: str, line: str) -> str:
    """Return a program that passes, of a dialect, with one more line in front."""
    return f"{line}\n{PASSING if dialect == 'bcc' else OF_LIBBPF}"


BOTH = pytest.mark.parametrize("dialect", ["bcc", pytest.param("libbpf", marks=clang.needed)])
FILES = {
    "another submission's": '#include "../other/x.h"',
    "by a link": '#include "leads_out.h"',
    "by its whole path, of a macro": '#define H "{other}"\n#include H',
}


@BOTH
@pytest.mark.parametrize("line", FILES.values(), ids=FILES.keys())
def test_no_file_outside_is_read(room: Room, dialect: str, line: str) -> None:
    """Who names one is told so."""
    (room.own / "leads_out.h").symlink_to("../other/x.h")
    source = of(dialect, line.format(other=room.folder / "other" / "x.h"))

    error = room.refused(source)

    assert isinstance(error, OutsideError)
    assert CANARY not in str(error)
    assert "outside" in str(error)


def test_without_a_room_it_is_read(room: Room) -> None:
    """So the test above would notice."""
    assert CANARY in str(room.refused(of("bcc", FILES["another submission's"]), untrusted=False))


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/passwd", "/dev/zero", "/proc/self/environ"])
def test_the_hosts_files_are_not_there(room: Room, path: str) -> None:
    """World-readable ones neither."""
    error = room.refused(of("bcc", f'#include "{path}"'))

    assert isinstance(error, OutsideError)
    assert f"{path} is outside {room.own}" in str(error)


@BOTH
def test_no_bytes_of_a_file_get_into_an_object(room: Room, dialect: str) -> None:
    """The assembler of the compiler does not find it, either."""
    error = room.refused(of(dialect, '__asm__(".incbin \\"/etc/passwd\\"");'))

    assert isinstance(error, OutsideError)


def test_nobody_learns_which_files_there_are(room: Room) -> None:
    """`__has_include` says no of a file that is there."""
    room.loaded(of("bcc", '#if __has_include("/etc/passwd") || __has_include("../other/x.h")\n#error there\n#endif'))


@pytest.mark.parametrize("target", ["/etc/passwd", "../other/x.h"])
def test_the_source_may_be_no_link_to_another_file(room: Room, target: str) -> None:
    (room.own / "linked.c").symlink_to(target)

    with pytest.raises(OutsideError, match=r"is not below .*, or a link on the way is"):
        room.start(room.own / "linked.c", untrusted=True, folder=str(room.own))


def test_a_folder_of_its_own_has_headers_and_links(room: Room) -> None:
    """What is in the folder is found, by the names that the author gives it."""
    (room.own / "below").mkdir()
    (room.own / "below" / "verdict_of_mine.h").write_text("#define MINE XDP_DROP\n")
    (room.own / "linked.h").symlink_to("below/verdict_of_mine.h")

    room.loaded('#include "linked.h"\nint drops(struct xdp_md *ctx) { return MINE; }\n')

    assert room.verdict("drops") == XDP_DROP


@pytest.mark.parametrize("line", ['#include "endless.h"', '#define H "endless.h"\n#include H'])
def test_a_pipe_is_not_waited_for(room: Room, line: str) -> None:
    """It is refused at once, by whatever way it is included."""
    os.mkfifo(room.own / "endless.h")

    assert isinstance(room.refused(of("bcc", line)), BuildError)


@pytest.mark.slow
@BOTH
def test_what_grows_without_end_is_ended(room: Room, dialect: str) -> None:
    """A build has limits of time and memory, of which one is met."""
    error = room.refused(of(dialect, DOUBLING), limits=LIMITS._replace(cpu_s=1, memory=1 << 28))

    assert isinstance(error, BuildLimitError)
    assert "takes too" in str(error)


def test_a_folder_that_is_too_large_is_not_copied(room: Room) -> None:
    for n in range(6):
        (room.own / f"{n}").touch()
        os.truncate(room.own / f"{n}", 15 << 20)

    assert "test.c: is in a folder with more than 4,096 files, or 64 MB" in str(room.refused(PASSING))


HELPERS = {
    "reads the kernel's memory": ("bpf_probe_read_kernel(&x, 8, (void *)-4096)", "probe_read"),
    "writes into a process": ("bpf_probe_write_user((void *)4096, &x, 8)", "probe_write_user"),
    "knows the process": ("x = bpf_get_current_pid_tgid()", "get_current_pid_tgid"),
}


@BOTH
@pytest.mark.parametrize(("call", "name"), HELPERS.values(), ids=HELPERS.keys())
def test_helpers_that_reach_further_are_refused(room: Room, dialect: str, call: str, name: str) -> None:
    """The kernel would take them of root, or refuse them for another reason."""
    head = "" if dialect == "bcc" else f'{clang.HEAD}SEC("xdp") '

    error = room.refused(f"{head}int reaches(struct xdp_md *ctx) {{ unsigned long long x = 1; {call}; return x; }}\n")

    assert isinstance(error, OutsideError)
    assert f"submission/test.c: reaches() calls the kernel's helper bpf_{name}" in str(error).partition(": ")[2]


@clang.needed
def test_a_compiler_is_found_by_any_name(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where PATH names /bin first, which is a link to /usr/bin."""
    monkeypatch.setenv("PATH", f"/bin:{os.environ['PATH']}")

    room.loaded(OF_LIBBPF)


@BOTH
def test_what_is_printed_is_its_own(room: Room, dialect: str) -> None:
    """No memory of the kernel, and no line of another lab; numbers and addresses are."""
    head, printk = ("", "bpf_trace_printk_") if dialect == "bcc" else (f'{clang.HEAD}SEC("xdp") ', "bpf_trace_printk")
    body = "int prints(struct xdp_md *ctx) {{ int a = ctx->rx_queue_index; {}; return 2; }}\n"
    shown = 'bpf_printk("seen %d of %u by %pI4", a, 5, &a)'
    speaks = f'char text[] = "other/lb forward"; {printk}(text, sizeof(text))'

    error = room.refused(head + body.format('bpf_printk("%s", (void *)-4096)'))
    assert (BuildError, True) == (type(error), "may read the kernel's memory" in str(error))  # honest programs do so
    assert "begins as those of another program do" in str(room.refused(head + body.format(speaks)))
    room.loaded(head + body.format(shown))


# R6 becomes 0 in a way that only the verifier follows, R7 is an address of the stack, and "%x" becomes "%s".
DECEIVES = r"""
static __attribute__((noinline)) int nothing(int x) { asm volatile("" : "+r"(x)); return x; }
SEC("xdp") int prints(struct xdp_md *ctx)
{
    asm volatile("*(u64 *)(r10 - 8) = r10; r1 = 1; call %[f];"
             "r9 = 0x7825 ll; *(u64 *)(r10 - 64) = r9; r7 = *(u64 *)(r10 - 8);"
             "r6 = *(u32 *)(%[c] + 0); r6 -= r6; if r6 != 0 goto 1f; r6 += r7;"
             "r9 = 0x73; *(u8 *)(r6 - 63) = r9;"
             "r1 = r10; r1 += -64; r2 = 3; r3 = -4096; call 6; 1:"
             :: [f] "i"(nothing), [c] "r"(ctx)
             : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r9", "memory");
    return 2;
}
"""


@clang.needed
def test_a_format_is_not_changed_by_an_address_that_only_the_verifier_knows(room: Room) -> None:
    """It is one of the stack, and looks like one of the packet."""
    assert "not constant where it is printed" in str(room.refused(clang.HEAD + DECEIVES))


@clang.needed
def test_a_text_that_cannot_change_is_printed(room: Room) -> None:
    """By `%s`; one that can is not, and the message says what to write."""
    body = (
        '{0} char word[16] = "far"; SEC("xdp") int prints(struct xdp_md *ctx)'
        ' {{ static const char shown[] = "it is %s"; bpf_trace_printk(shown, sizeof(shown), word); return 2; }}\n'
    )

    room.loaded(clang.HEAD + body.format("const volatile"))

    assert "write the text into the format" in str(room.refused(clang.HEAD + body.format("volatile")))


@clang.needed
@pytest.mark.parametrize("at", [496, 512], ids=["near", "far"])
def test_what_is_printed_of_a_packet_of_tc_is_in_it(room: Room, at: int) -> None:
    """Where it was not compared, there may be the kernel's own notes; where it may be NULL instead, too."""
    body = (
        'SEC("tc") int prints(struct __sk_buff *skb) {{ char *data = (void *)(long)skb->data;'
        " char *end = (void *)(long)skb->data_end; char *seen = data + {at}; {check}"
        ' asm volatile("" : "+r"(seen)); bpf_printk("%pI4", seen); return 0; }}\n'
    )
    may_be_null = "if (skb->mark) seen = 0;"
    compared = "if (data + {} > end) return 0;"

    for check in ("", may_be_null, compared.format(at + 3), compared.format(at + 4) + may_be_null):
        error = room.refused(clang.HEAD + body.format(at=at, check=check), hook=INGRESS)
        assert "prints() prints " in str(error), check
    room.loaded(clang.HEAD + body.format(at=at, check=compared.format(at + 4)), hook=INGRESS)


PAIR, SIX = '"to %pI4 by %pI4", data + 30, data + 26', '"%pI6", data + 38'


@BOTH
@pytest.mark.parametrize(("least", "shown"), [(34, PAIR), (54, SIX)], ids=["IPv4", "IPv6"])
def test_what_is_printed_of_the_packet_is_in_it(room: Room, dialect: str, least: int, shown: str) -> None:
    """The verifier says so: the program must have compared it with the packet's end."""
    head = "" if dialect == "bcc" else f'{clang.HEAD}SEC("xdp") '
    body = (
        "int prints(struct xdp_md *ctx) {{ char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;"
        " if (data + {} > end) return 1; bpf_printk({}); return 2; }}\n"
    )

    error = room.refused(head + body.format(least - 1, shown))
    assert (BuildError, True) == (type(error), "may lie behind its end" in str(error))
    room.loaded(head + body.format(least, shown))


@clang.needed
@pytest.mark.parametrize(
    ("kind", "entries", "error", "words"),
    [
        ("BPF_MAP_TYPE_SOCKMAP", 4, OutsideError, "makes a map of the type sockmap"),
        ("BPF_MAP_TYPE_ARRAY", 1 << 28, BuildError, "makes maps of more than 256 MB"),
    ],
)
def test_maps_are_of_packets_and_bounded(
    room: Room, kind: str, entries: int, error: type[NetlabError], words: str
) -> None:
    said = room.refused(f"{clang.HEAD}{MAP.format(kind, 'int', entries)}{OF_LIBBPF.removeprefix(clang.HEAD)}")

    assert error is type(said)
    assert words in str(said)


@clang.needed
def test_a_ready_object_is_looked_at_as_well(room: Room) -> None:
    """Its instructions are the same, however they were made."""
    reaches = f'{clang.HEAD}SEC("xdp") int reaches(struct xdp_md *ctx) {{ return bpf_get_current_pid_tgid(); }}\n'
    clang.compiled(reaches, room.own / "reaches.o")
    clang.compiled(OF_LIBBPF, room.own / "passes.o")
    started = room.start(room.own / "reaches.o", untrusted=True, folder=str(room.own))
    with pytest.raises(OutsideError, match="get_current_pid_tgid"):
        started.pinned(PATIENCE_S)

    compilation = room.start(room.own / "passes.o", untrusted=True, folder=str(room.own))

    assert compilation.pinned(PATIENCE_S).function == "pass"


@BOTH
def test_the_verifiers_words_keep_their_lines(room: Room, dialect: str) -> None:
    """Though another process has loaded it: its log is the author's."""
    head = "" if dialect == "bcc" else f'{clang.HEAD}SEC("xdp") '
    source = f"{head}int reads(struct xdp_md *ctx)\n{{\n\treturn *(int *)(long)ctx->data;\n}}\n"

    error = room.refused(source)

    assert isinstance(error, VerifierError)
    assert (
        f"submission/test.c:{source.count(chr(10)) - 1}: the verifier refused reads(): invalid access to packet"
        in str(error)
    )
    assert "return *(int *)(long)ctx->data;" in str(error)


def test_compilers_complaints_name_files_from_the_callers_folder(room: Room) -> None:
    assert str(room.refused(of("bcc", "int x = nothing;"))).startswith(f"{NODE}: submission/test.c:1:9: error: ")


@clang.needed
def test_maps_variables_and_pins_work_as_with_trust(room: Room) -> None:
    """Variables are set, and programs of a node share a map by its name."""
    source = f"""{clang.HEAD}
const volatile int verdict = 2;
struct {{
	__uint(type, BPF_MAP_TYPE_HASH); __type(key, int); __type(value, long); __uint(max_entries, 4);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
}} shared SEC(".maps");
SEC("xdp") int chooses(struct xdp_md *ctx) {{ int key = 0; bpf_map_lookup_elem(&shared, &key); return verdict; }}
"""
    layouts = room.folder / "layouts" / f"{NODE}.json"
    one, other = (room.beside(f"{NODE}={name}") for name in ("one", "other"))
    for pins in (one, other):
        room.loaded(source, define=(("verdict", XDP_DROP),), pin_folder=pins, layouts=str(layouts))

    with Map.open(f"{one}/maps/shared") as first, Map.open(f"{other}/maps/shared") as second:
        assert first.id == second.id
    assert json.loads(layouts.read_text())["maps"]["shared"]["value"]["type"] == "long"


def test_what_is_compiled_is_not_kept(room: Room, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither for whoever is trusted, nor for other submissions."""
    monkeypatch.setenv("NETLAB_CACHE", str(tmp_path / "cache"))

    room.loaded(PASSING)

    assert not os.path.exists(tmp_path / "cache") or not os.listdir(tmp_path / "cache")


def room_of(compilation: loader.Compilation) -> int:
    """Return the process that compiles, once there is a filter of system calls around it."""
    found: list[int] = []

    def is_there() -> bool:
        with open(f"/proc/{compilation.pid}/task/{compilation.pid}/children", encoding="ascii") as file:
            found[:] = [int(word) for word in file.read().split()]
        return bool(found) and "Seccomp:\t2" in Path(f"/proc/{found[0]}/status").read_text()

    eventually(is_there)
    return found[0]


def test_the_process_has_nothing(room: Room) -> None:
    """No privilege, no way to more, no namespace of ours, no file but its own, no network."""
    pid = room_of(room.begun(of("bcc", DOUBLING)))

    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    kinds = ("mnt", "pid", "net", "ipc", "uts")
    assert {"0" * 16} == {status[each] for each in ("CapEff", "CapPrm", "CapInh", "CapAmb")}
    assert status["NoNewPrivs"] == "1"
    assert all(int(each) >= 1_900_000_000 for each in status["Uid"].split())
    assert status["Groups"].strip() == ""
    assert not any(os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}") for kind in kinds)
    assert {"dev", "lib", "lib64", "bin", "proc", "sys", "tmp", "usr"} >= {
        each for each in os.listdir(f"/proc/{pid}/root") if f"/{each}" != f"/{OWN.parts[1]}"
    }
    assert not {"shadow", "passwd"} & set(os.listdir(f"/proc/{pid}/root/usr/lib"))


def test_a_room_ends_with_its_parent(room: Room) -> None:
    """Also when that is killed: nothing of it stays."""
    compilation = room.begun(of("bcc", DOUBLING))
    pid = room_of(compilation)

    os.kill(compilation.pid, signal.SIGKILL)

    eventually(lambda: not os.path.exists(f"/proc/{pid}"))
    assert set() == room.pins()


def test_the_loader_of_a_room_dies_with_whoever_started_it(room: Room) -> None:
    """A kill -9 of netlab ends rooms as well."""
    (room.own / "test.c").write_text(of("bcc", DOUBLING))
    job = loader.Job(
        *(LAB, NODE, f"{room.own}/test.c", room.beside(NODE), f"{room.folder}/work"),
        untrusted=True,
        folder=str(room.own),
    )
    script = (
        "import time; from netlab.programs import loader\n"
        f"child = loader.start(loader.{job!r})\n"
        "print(child.pid, flush=True); time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(OWN.parent)}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        eventually(lambda: os.path.exists(f"/proc/{child}"))
        parent.kill()

    eventually(lambda: not os.path.exists(f"/proc/{child}"))


@pytest.mark.slow
@clang.needed
def test_netlabs_own_programs_build_in_a_room(room: Room) -> None:
    """Also the balancer, whose maps are of many kinds."""
    for name in ("balancer", "dropper"):
        pins = room.beside(name)
        job = loader.Job(LAB[:3], name, str(OWN / f"{name}.c"), pins, f"{room.folder}/work", untrusted=True)
        define = (("TRACE", 0),) if name == "balancer" else ()  # it prints texts out of maps
        compilation = loader.start(job._replace(builtins=(("MTU", 1500),), define=define))
        room.started.append(compilation)
        loaded = compilation.pinned(PATIENCE_S)

        assert (name, sorted(loaded.maps)) == (loaded.function, sorted(os.listdir(f"{pins}/maps")))
