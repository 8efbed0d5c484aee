"""What `make image` and `make image-dev` build: a node that runs roles and no more, and a place to write programs."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from netlab import __version__
from netlab.testing.waiting import PATIENCE_S
from tests.docker.engine import Engine
from tests.docker.image import build, built

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.usefixtures("no_leaks")]

NODE = "netlab-node:latest"
DEV = "netlab-dev:latest"
# What docs/docker.md says a container needs: to load and attach programs, and for whole labs
PROGRAMS = ("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN")
LABS = (*PROGRAMS, "--security-opt", "systempaths=unconfined")
COUNT_BY_BCC = r"""
cat >count.c <<'END'
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
int count(struct xdp_md *ctx)
{
	bpf_trace_printk("frame of %d bytes", (int)(ctx->data_end - ctx->data));
	return XDP_PASS;
}
END
python3 - <<'END'
from bcc import BPF
program = BPF(src_file="count.c")
program.attach_xdp("eth0", program.load_func("count", BPF.XDP))
END
"""
COUNT_BY_CLANG = r"""
cat >count.c <<'END'
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int count(struct xdp_md *ctx)
{
	bpf_printk("frame of %d bytes", (int)(ctx->data_end - ctx->data));
	return XDP_PASS;
}
char _license[] SEC("license") = "GPL";
END
clang -O2 -g -target bpf -c count.c -o count.o
ip link set dev eth0 xdp obj count.o sec xdp
"""


@pytest.fixture(scope="module", params=["node", "dev"])
def target(request: pytest.FixtureRequest, engine: Engine | None) -> str:
    """Build an image, or find that it stands."""
    name: str = request.param
    built(name)
    return name


@pytest.fixture(scope="module")
def dev(engine: Engine | None) -> None:
    """The image for eBPF development."""
    built("dev")


def says(image: str, line: str, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in a container that goes when it ends, within a minute."""
    start = ["docker", "run", "--rm", "--network", "none", *options, image]
    command = [*start, "timeout", "-k1", "60", "bash", "-euc", line]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S)


def test_an_image_that_stands_is_not_built_again(target: str) -> None:
    """A second build finds an image of these contents, and neither says nor does anything."""
    shown = ["docker", "image", "inspect", "--format", "{{.Id}}", f"netlab-{target}"]
    before = subprocess.run(shown, check=True, capture_output=True, text=True).stdout

    again = build(target)

    assert (0, "", "") == (again.returncode, again.stdout, again.stderr)
    assert before == subprocess.run(shown, check=True, capture_output=True, text=True).stdout


def test_an_image_tells_netlabs_version(target: str) -> None:
    version = '{{index .Config.Labels "org.opencontainers.image.version"}}'
    shown = ["docker", "image", "inspect", "--format", version, f"netlab-{target}"]

    assert __version__ == subprocess.run(shown, check=True, capture_output=True, text=True).stdout.strip()


def test_an_image_keeps_nothing_of_the_machine_that_built_it(target: str) -> None:
    """Neither names nor settings of this machine are in it: Debian's own mirror, no host name, no cache, no proxy."""
    line = """
    cat /etc/apt/sources.list
    cd /var && find cache/apt lib/apt/lists log -type f
    ! grep -ri -e 'acquire.*proxy' -e 'https*_proxy' /etc
    """
    told = ["docker", "image", "history", "--no-trunc", f"netlab-{target}"]

    shown = says(f"netlab-{target}", line)
    history = subprocess.run(told, check=True, capture_output=True, text=True).stdout

    (mirror,) = re.findall(r'^DEF_MIRROR="(.*)"$', Path(shutil.which("debootstrap") or "").read_text(), re.MULTILINE)
    assert f"deb {mirror} bookworm main\n" == shown.stdout
    assert "proxy" not in history.lower()


def test_a_node_has_what_roles_and_people_need(engine: Engine | None) -> None:
    """Roles run under its python3, and find netlab's modules; ping, tcpdump and ip are there."""
    line = """
    python3 -c 'import netlab.role, netlab.options, netlab.balancer, netlab.maps'
    for role in /opt/netlab/roles/*.py; do python3 $role --help >/dev/null; done
    ip link show lo >/dev/null
    tcpdump --version >/dev/null 2>&1
    ping -c1 -W5 127.0.0.1 >/dev/null
    """

    done = says(NODE, line)

    assert (0, "") == (done.returncode, done.stderr)


def test_a_node_has_no_compiler_and_no_bcc(engine: Engine | None) -> None:
    """Programs are compiled and attached from outside."""
    line = """
    for command in cc gcc clang bpftool make; do command -v $command || true; done
    python3 -c 'import importlib.util as find; print(find.find_spec("bcc") or "", end="")'
    """

    done = says(NODE, line)

    assert (0, "") == (done.returncode, done.stdout)


@pytest.mark.parametrize("program", [COUNT_BY_BCC, COUNT_BY_CLANG], ids=["bcc", "clang"])
def test_a_users_program_compiles_loads_and_attaches(dev: None, program: str) -> None:
    """With two capabilities by name, an XDP program of one's own is attached in native mode, and sees frames."""
    line = f"""
    ip link add eth0 type veth peer name eth1
    ip link set eth0 up
    ip link set eth1 up
    {program}
    ip link show dev eth0
    bpftool prog show
    """

    done = says(DEV, line, PROGRAMS)

    assert done.returncode == 0, done.stderr
    assert " xdp " in done.stdout
    assert "name count" in done.stdout


def test_a_program_with_a_mistake_is_refused(dev: None) -> None:
    """The same with a program that does not compile ends with its mistake: the test above can fail."""
    line = "ip link add eth0 type veth peer name eth1\n" + COUNT_BY_BCC.replace("XDP_PASS", "XDP_PASSED")

    done = says(DEV, line, PROGRAMS)

    assert done.returncode != 0
    assert "XDP_PASSED" in done.stderr


def test_whole_labs_run_in_the_container(dev: None) -> None:
    """With one security option more, netlab works in there as it does outside: part A's claims hold."""
    done = says(DEV, "netlab demo parta", LABS)

    assert done.returncode == 0, done.stderr
    assert re.search(r"^(\d+) of \1 claims hold$", done.stdout, re.MULTILINE)
