"""tc programs beside XDP ones: the same files, under the same verbs, on the way in and on the way out."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import NetlabError
from netlab.kernel import syscalls
from netlab.lab import reload
from netlab.programs import attachment
from netlab.programs.loader import Compilation, Loaded
from netlab.testing.waiting import PATIENCE_S, eventually
from netlab.topology.hooks import EGRESS, INGRESS
from tests.lab import clang
from tests.lab.lab import LAB, background, inside, lab, netlab, texts

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="labs need root"), clang.needed]

BOTH = """\
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} seen SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __be32);
	__type(value, __u32);
} blocked SEC(".maps");

const volatile int verdict = TC_ACT_OK;

static __always_inline void count(__u32 at)
{
	__u64 *number = bpf_map_lookup_elem(&seen, &at);

	if (number)
		__sync_fetch_and_add(number, 1);
}

SEC("xdp") int early(struct xdp_md *ctx)
{
	count(0);
	return XDP_PASS;
}

SEC("tcx/ingress") int late(struct __sk_buff *skb)
{
	struct iphdr *ip = (void *)(long)skb->data + sizeof(struct ethhdr);

	count(1);
	if ((void *)(ip + 1) > (void *)(long)skb->data_end || !bpf_map_lookup_elem(&blocked, &ip->saddr))
		return TC_ACT_OK;
	bpf_printk("blocked %pI4", &ip->saddr);
	return TC_ACT_SHOT;
}

SEC("classifier/egress") int leaving(struct __sk_buff *skb)
{
	count(2);
	return verdict;
}

char _license[] SEC("license") = "GPL";
"""
FEW = f"""{clang.HEAD}
SEC("xdp") int early(struct xdp_md *ctx) {{ return XDP_PASS; }}
SEC("tcx/ingress") int late(struct __sk_buff *skb) {{ return 0; }}
SEC("action") int act(struct __sk_buff *skb) {{ return 0; }}
"""
MARK = """\
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/pkt_cls.h>

BPF_ARRAY(marked, u64, 1);

int mark(struct __sk_buff *skb)
{
	u8 ttl = TTL;

	if (skb->protocol != htons(ETH_P_IP))
		return TC_ACT_OK;
	marked.increment(0);
	bpf_l3_csum_replace(skb, ETH_HLEN + offsetof(struct iphdr, check), htons(64 << 8), htons(TTL << 8), 2);
	bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct iphdr, ttl), &ttl, 1, 0);
	return TC_ACT_OK;
}
"""
TOPOLOGY = """
name: tc
nodes:
  a:
  b:
    xdp: {program: ./both.c, interfaces: [eth0]}
    tc:
      ingress: {program: ./both.c, interfaces: [eth0]}
      egress:
        - {program: ./both.o, name: out, interfaces: [eth0], define: {verdict: TC_ACT_OK}}
        - {program: ./mark.c, interfaces: [eth1], define: {TTL: 42}}
    maps: {blocked: {10.9.9.9: 1}}
links: [[a, b], [a, b]]
"""
ONE = "name: one\nnodes: {a: , b: {%s}}\nlinks: [[a, b]]\n"
KEYS = ["b/both", "b/both-ingress", "b/out", "b/mark"]
# A netlab that thinks that its kernel is older than tcx: the child that attaches programs, too.
OLDER = """
import sys
from netlab.programs import child_processes, tc_hook
tc_hook.has_tcx = lambda: False
older = "from netlab.programs import tc_hook; tc_hook.has_tcx = lambda: False; from netlab.programs.loader_child"
assert "from netlab.programs.loader_child" in child_processes._BOOT
child_processes._BOOT = child_processes._BOOT.replace("from netlab.programs.loader_child", older)
sys.argv[0] = "netlab"
from netlab.cli.main import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a lab that stands."""
    made: Path = tmp_path_factory.mktemp("tc")
    for name, text in (("lab.yml", TOPOLOGY), ("both.c", BOTH), ("mark.c", MARK)):
        (made / name).write_text(text)
    clang.compiled(BOTH, made / "both.o")
    with lab(str(made / "lab.yml")):
        yield made
    assert not os.path.exists(f"/run/netlab/{LAB}")


def shown(*words: str, code: int = 0) -> Any:
    return json.loads(netlab(*words, "--format", "json", code=code).stdout)


def seen(key: str = "b/both") -> dict[int, int]:
    return {each["key"]: each["value"] for each in shown("maps", key, "seen")["entries"]}


def marked() -> int:
    """Return how many answers have got another TTL."""
    return int(shown("stats")["programs"]["b/mark"]["counters"].get("marked", {}).get("0", 0))


def ttl(address: str = "10.0.1.2") -> str:
    """Return the TTL of an answer to a ping."""
    return inside("a", "ping", "-c", "1", "-W", "5", address).stdout.partition("ttl=")[2].split()[0]


def attached(hook: str, interface: str) -> list[int]:
    numbers = syscalls.inside(f"/run/netlab/{LAB}/netns/b", lambda: attachment.numbers([interface], hook, ""))
    return numbers[interface]


def problems() -> list[str]:
    return [f"{each['where']}: {each['what']}; {each['mend']}" for each in shown("status", code=1)["problems"]]


def test_each_hook_sees_packets_and_shares_maps_by_name(folder: Path) -> None:
    """XDP first, tc ingress after it, tc egress with the answers; a map that is pinned by name is one for all."""
    before = seen()
    inside("a", "ping", "-c", "3", "-i", "0.01", "-W", "5", "10.0.0.2")
    after = seen()

    assert all(after[key] >= before.get(key, 0) + 3 for key in range(3))
    assert {each["id"] for key in KEYS[:3] for each in shown("maps", key)["maps"] if each["name"] == "seen"} == {
        shown("maps", "b/both", "seen")["id"]
    }


def test_ingress_drops_and_egress_changes_packets(folder: Path) -> None:
    """By maps that the topology has filled and a person changes; the line of the trace says whose it is."""
    assert [each["key"] for each in shown("maps", "b/both-ingress", "blocked")["entries"]] == ["10.9.9.9"]
    netlab("maps", "set", "b/both-ingress", "blocked", "10.0.0.1", "1")
    inside("a", "ping", "-c", "1", "-W", "1", "10.0.0.2", code=1)
    netlab("maps", "delete", "b/both-ingress", "blocked", "10.0.0.1")
    inside("a", "ping", "-c", "1", "-W", "5", "10.0.0.2")

    eventually(lambda: "blocked 10.0.0.1" in texts("trace"), "the line of the program")
    assert f"{LAB}/b/both-ingress blocked 10.0.0.1" in netlab("trace").stdout
    assert ttl() == "42"


def test_every_view_says_at_which_hook_they_are(folder: Path) -> None:
    """Names are told apart by their direction where two hooks have the same."""
    programs = shown("status")["nodes"]["b"]["programs"]
    there = {each["program"]: each for each in shown("programs", "b")["programs"] if each["interfaces"]}

    assert [(each["program"], each["hook"]) for each in programs] == list(
        zip(KEYS, ("xdp", INGRESS, EGRESS, EGRESS), strict=True)
    )
    assert {name: (each["function"], each["hook"], each["mode"]) for name, each in there.items()} == {
        "both": ("early", "xdp", "native"),
        "both-ingress": ("late", INGRESS, ""),
        "out": ("leaving", EGRESS, ""),
        "mark": ("mark", EGRESS, ""),
    }
    assert ttl() == "42"
    assert marked() > 0
    rows = {line.split()[0]: line for line in netlab("status").stdout.splitlines() if line.startswith("b:")}
    assert rows["b:eth0"].endswith("both (native), both-ingress (tc ingress), out (tc egress)")
    assert rows["b:eth1"].endswith("mark (tc egress)")


def test_a_reload_replaces_programs_under_traffic(folder: Path, tmp_path: Path) -> None:
    """Each answer has the TTL of one of the builds, none is lost; one program is attached at the end, as before."""
    before, counted = attached(EGRESS, "eth1"), marked()
    with (tmp_path / "said").open("w") as file:
        pinging = background("a", ["ping", "-i", "0.01", "-W", "5", "10.0.1.2"], stdout=file)
        try:
            eventually(lambda: marked() > counted, "answers")
            netlab("reload", "b/mark", "--define", "TTL=43")
            inside("a", "ping", "-c", "1", "-W", "5", "10.0.1.2")
        finally:
            pinging.send_signal(signal.SIGINT)
            pinging.wait(PATIENCE_S)
    said = (tmp_path / "said").read_text()
    ttls = [line.partition("ttl=")[2].split()[0] for line in said.splitlines() if "ttl=" in line]
    numbers = [int(line.partition("icmp_seq=")[2].split()[0]) for line in said.splitlines() if "ttl=" in line]

    assert {"42", "43"} == set(ttls)
    assert numbers == list(range(1, len(numbers) + 1))
    assert ttl() == "43"
    assert len(before) == len(attached(EGRESS, "eth1")) == 1
    assert before != attached(EGRESS, "eth1")
    assert len(attached(INGRESS, "eth0")) == len(attached(EGRESS, "eth0")) == 1
    netlab("reload", "b")


def test_a_reload_that_fails_changes_nothing(folder: Path) -> None:
    before = attached(INGRESS, "eth0"), attached(EGRESS, "eth0"), attached(EGRESS, "eth1")
    (folder / "mark.c").write_text(MARK.replace("u64, 1", "u64, 2"))
    said = netlab("reload", "b", code=1).stderr
    (folder / "mark.c").write_text(MARK)

    assert "marked: 2 entries instead of 1" in said
    assert before == (attached(INGRESS, "eth0"), attached(EGRESS, "eth0"), attached(EGRESS, "eth1"))


def test_a_reload_that_fails_at_the_end_puts_all_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has taken its place already leaves it again, at each hook."""
    real = Compilation.finish

    def finish(compilation: Compilation) -> Loaded:
        found = real(compilation)
        if compilation.job.key == KEYS[-1]:
            raise NetlabError("the end of this test")
        return found

    before = attached(INGRESS, "eth0"), attached(EGRESS, "eth0"), attached(EGRESS, "eth1")
    monkeypatch.setattr(Compilation, "finish", finish)
    with pytest.raises(NetlabError, match="the end of this test"):
        reload.reload(LAB, "b", (), print)

    assert before == (attached(INGRESS, "eth0"), attached(EGRESS, "eth0"), attached(EGRESS, "eth1"))
    assert ttl() == "42"
    netlab("status")


def test_what_a_killed_reload_has_left_is_taken_over(folder: Path) -> None:
    """It has swapped the pins and attached nothing: the program of the old build is still found, and replaced."""
    pins, before = f"/run/netlab/{LAB}/bpf/b=mark", attached(EGRESS, "eth1")
    killed = """
import os, sys
from netlab.lab import reload
from netlab.programs.loader import Compilation
Compilation.attach = lambda *_: os._exit(9)
reload.reload(sys.argv[1], "b/mark", (), print)
"""
    subprocess.run([sys.executable, "-c", killed, LAB], check=False)
    assert os.path.exists(f"{pins}/reload")
    netlab("reload", "b/mark")

    assert len(attached(EGRESS, "eth1")) == 1
    assert before != attached(EGRESS, "eth1")
    netlab("status")


def test_a_program_that_is_gone_or_replaced_is_told_and_mended(folder: Path) -> None:
    """Others may stand beside it; a reload attaches it again."""
    netns, pin = f"/run/netlab/{LAB}/netns/b", f"/run/netlab/{LAB}/bpf/b=out/programs/leaving"
    mended = f"netlab reload --lab {LAB} b/mark, with its source as it is now"

    def foreign() -> None:
        from netlab.programs.maps import LoadedProgram

        with LoadedProgram.open(pin) as program:
            attachment.attach(program.fd, ["eth1"], EGRESS, "")

    syscalls.inside(netns, foreign)
    netlab("status")
    ours = next(number for number in attached(EGRESS, "eth1") if number != attached(EGRESS, "eth0")[0])
    beside = [number for number in attached(EGRESS, "eth1") if number != ours]
    syscalls.inside(netns, lambda: attachment.put_back({"eth1": beside}, EGRESS, ""))
    what = f"another tc program (number {beside[0]}) is attached at egress in the place of mark"
    assert [f"b eth1: {what}; {mended}"] == problems()
    syscalls.inside(netns, lambda: attachment.put_back({"eth1": []}, EGRESS, ""))
    assert [f"b eth1: no tc program is attached at egress; planned is mark; {mended}"] == problems()
    netlab("reload", "b/mark")

    netlab("status")
    assert ttl() == "42"


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            "tc: {ingress: ./early.c}",
            "has no program for tc; early() takes a struct xdp_md *, as for XDP: give it under",
        ),
        ("xdp: ./mark.c", "has no program for XDP; mark() takes a struct __sk_buff *, as for tc: give it under `tc: {"),
        ("xdp: {program: ./few.c, function: tcx/ingress}", "attaches late() as a program for XDP; it takes a struct"),
        (
            "tc: {egress: {program: ./few.c, function: act}}",
            "act in the section action is an action, which netlab does",
        ),
        ("tc: {egress: ./few.c}", "has no program for tc egress: it has late in tcx/ingress; to attach one here, say"),
    ],
)
def test_a_program_at_the_wrong_hook_is_refused(tmp_path: Path, program: str, message: str) -> None:
    """By its name, with the place where it belongs; nothing of the lab is left."""
    (tmp_path / "lab.yml").write_text(ONE % program)
    (tmp_path / "few.c").write_text(FEW)
    (tmp_path / "mark.c").write_text(f"#define TTL 1\n{MARK}")
    (tmp_path / "early.c").write_text("#include <uapi/linux/bpf.h>\nint early(struct xdp_md *ctx) { return XDP_PASS; }")
    said = netlab("up", str(tmp_path / "lab.yml"), "--lab", f"{LAB}-x", code=1).stderr

    assert message in said
    assert not os.path.exists(f"/run/netlab/{LAB}-x")


def test_kernels_without_tcx_have_filters(tmp_path: Path) -> None:
    """At a clsact qdisc: attached, replaced, missed, mended, and gone with the lab."""
    (tmp_path / "mark.c").write_text(MARK)
    (tmp_path / "lab.yml").write_text(ONE % "tc: {egress: {program: ./mark.c, define: {TTL: 42}}}")
    name = f"{LAB}-o"

    def older(*words: str) -> None:
        subprocess.run([sys.executable, "-c", OLDER, *words, "--lab", name], check=True, cwd=os.getcwd())

    def filters() -> str:
        return netlab("exec", "--lab", name, "b", "tc", "filter", "show", "dev", "eth0", "egress").stdout

    try:
        older("up", str(tmp_path / "lab.yml"))
        before = filters()
        older("reload", "b", "--define", "TTL=43")
        after = filters()
        answer = netlab("exec", "--lab", name, "a", "ping", "-c", "1", "-W", "5", "10.0.0.2").stdout
        netlab("status", name)
        netlab("exec", "--lab", name, "b", "tc", "qdisc", "del", "dev", "eth0", "clsact")
        said = netlab("status", name, code=1).stdout
        older("reload", "b")
        netlab("status", name)
    finally:
        netlab("down", name)

    assert "direct-action" in before
    assert [before.count(" id "), after.count(" id ")] == [1, 1]
    assert before != after
    assert "ttl=43" in answer
    assert "no tc program is attached at egress; planned is mark" in said
