"""Random topologies, and all that can be seen of a lab: to compare a changed lab with one that was made so at once."""

import json
import os
import re
import subprocess
from typing import Any

from hypothesis import strategies as st

from netlab import paths
from netlab.kernel import files, pids, syscalls
from netlab.plan.host_steps import is_interface_of
from netlab.plan.planner import Plan, plan
from netlab.plan.steps import BRIDGE
from netlab.record import form, store
from netlab.supervise import client
from netlab.testing.waiting import eventually
from netlab.topology import document, validate
from tests.lab.lab import LAB

HOSTS, SWITCH = ("a", "b", "c", "d"), "s"
_PASSING = ("stats", "valid_life_time", "preferred_life_time", "expires", "link_netnsid", "hello_timer", "gc_timer")
_PASSING_OF_PORTS = ("no", "id", "designated_port")  # ports are numbered as they come
Data = dict[str, Any]


def planned(data: Data) -> Plan:
    """Return the plan of a topology, as a lab of this cell."""
    return plan(validate.topology(document.parse(json.dumps({"name": LAB, **data}), "lab.yml")))


_commands = st.dictionaries(
    st.sampled_from(("one", "two")),
    st.fixed_dictionaries({"command": st.sampled_from(([*("sleep", "901")], [*("sleep", "902")]))}),
    min_size=1,
)
_host = st.fixed_dictionaries(
    {},
    optional={
        "processes": _commands,
        "routes": st.just("none"),
        "sysctls": st.sampled_from(
            ({"net.ipv4.conf.all.rp_filter": "1"}, {"net.ipv4.conf.default.rp_filter": "2", "net.ipv4.ip_forward": "1"})
        ),
        "files": st.sampled_from(({"/etc/one": {"text": "1"}}, {"/etc/one": {"text": "2"}})),
        "env": st.just({"SOME": "thing"}),
    },
)
_impairments = st.fixed_dictionaries(
    {},
    optional={"loss": st.sampled_from(("5%", "7%")), "rate": st.just("10mbit"), "delay": st.just("1ms")},
)


@st.composite
def topologies(draw: st.DrawFn) -> Data:
    """Return a topology of a few hosts, and at most one switch."""
    names = draw(st.lists(st.sampled_from(HOSTS), min_size=1, unique=True))
    nodes: Data = {name: draw(_host) for name in names}
    for name in draw(st.sets(st.sampled_from(names), max_size=2)):
        nodes[name]["loopback"] = [f"fd99::{name}/128", f"10.255.0.{ord(name)}/32"]
    if draw(st.booleans()):
        nodes[SWITCH] = {"kind": "switch"}
    pairs = st.tuples(st.sampled_from(list(nodes)), st.sampled_from(names)).filter(lambda pair: pair[0] != pair[1])
    links = []
    for number, pair in enumerate(draw(st.lists(pairs, max_size=5)) if len(nodes) > 1 else ()):
        link: Data = {"endpoints": list(pair)}
        if SWITCH not in pair and draw(st.integers(0, 3)) == 0:
            link["subnet"] = f"10.{draw(st.sampled_from((7, 8)))}.{number}.0/24"
        if draw(st.integers(0, 3)) == 0:
            link["mtu"] = 1400
        link |= draw(_impairments) if draw(st.integers(0, 2)) == 0 else {}
        links.append(link)
    return {"nodes": nodes, "links": links}


def seen(lab: str) -> Data:
    """Return all that can be seen of a lab: its record, the files of nodes, what the kernel has, and what runs."""
    record = store.read(lab)
    found: Data = {
        "record": {**form.plain(record), "clock_offset_ns": 0},
        "hosts": files.read(f"{record.folder}/{paths.ETC}/hosts").decode(),
        "names": sorted(name for name in files.names(paths.RUN_NETNS) if name.startswith(f"{lab}.")),
        "folder": {name: sorted(os.listdir(f"{record.folder}/{name}")) for name in _folders(record.folder)},
        "processes": {one.process: _running(one) for one in client.processes(record.folder)},
        "supervisor": bool(client.supervisor_pid(record.folder)),
    }
    for node, about in record.nodes.items():
        if about.kind == "host":
            links = [link for link in _asked("addr") if is_interface_of(link["ifname"], lab)]
            found[node] = {"addr": links}
        else:
            found[node] = syscalls.inside(f"{record.folder}/{paths.NETNS}/{node}", _inside)
    if os.path.exists(middle := f"{record.folder}/{paths.NETNS}/{paths.MIDDLE}"):
        found[paths.MIDDLE] = syscalls.inside(middle, _of_the_middle)
    return found


def settled(lab: str) -> Data:
    """Return all that can be seen of a lab when the kernel has done what it does by itself: carriers, and addresses."""
    found: Data = {}

    def is_settled() -> bool:
        nonlocal found
        before, found = found, seen(lab)
        links = [link for node in store.read(lab).nodes for link in found[node]["addr"] if link.get("link_index")]
        is_calm = found == before and "tentative" not in str(found)
        return is_calm and all(link["operstate"] == "UP" for link in links)

    eventually(is_settled, "all links are up")
    return found


def _folders(folder: str) -> list[str]:
    return [name for name in (paths.NETNS, paths.OWN, paths.SPACES, paths.LOGS) if os.path.isdir(f"{folder}/{name}")]


def _running(one: client.Process) -> tuple[str, str, Data]:
    """Return the state of a process, what it runs, and what it has of its lab's environment."""
    environment = [word.decode(errors="replace") for word in pids.environment(one.pid)] if one.pid else []
    ours = {word for word in environment if word.startswith(("NETLAB_", "SOME="))}
    try:
        what = files.read(f"/proc/{one.pid}/cmdline").decode()
        view = os.readlink(f"/proc/{one.pid}/ns/net")
    except OSError:
        what = view = ""
    return one.state, what, {"environment": sorted(ours), "is_there": bool(view)}


def _inside() -> Data:
    """Return what the kernel has in the namespace of the thread."""
    found: Data = {
        what: _asked(what) for what in ("-d link", "addr", "route show table all", "-6 route show table all")
    }
    for family in ("ipv4", "ipv6"):
        for folder, _, names in os.walk(f"/proc/sys/net/{family}/conf"):
            for name in names:
                if name not in ("stable_secret", "mtu"):
                    path = f"{folder}/{name}"
                    with open(path, encoding="ascii") as file:
                        found[path] = file.read()
    return found


def _of_the_middle() -> Data:
    """Return what the kernel has in the namespace of the thread, where impaired links are led through."""
    links = [f"{link['ifname']} ingress" for link in _asked("addr")]
    filters = {link: _told("tc", "filter", "show", "dev", *link.split()) for link in links}
    return {"qdiscs": sorted(_told("tc", "qdisc").splitlines()), "filters": filters, "link": _asked("-d link")}


def _told(*argv: str) -> str:
    """Return what a command of iproute2 prints, without numbers of programs."""
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return re.sub(r" id \d+", "", text)


def _asked(what: str) -> list[Data]:
    done = subprocess.run(["ip", "-j", *what.split()], capture_output=True, text=True, check=True)
    return sorted((_lasting(each) for each in json.loads(done.stdout or "[]") if not _is_random(each)), key=str)


def _is_random(shown: Data) -> bool:
    """Say whether this is of a bridge's own address, which the kernel chooses anew for each bridge."""
    return shown.get("dev") == BRIDGE and str(shown.get("dst")).startswith("fe80:")


def _lasting(shown: Data) -> Data:
    """Leave out what the kernel counts, and what only time or the order of ports changes."""
    found: Data = {}
    passing = (*_PASSING, "address", "addr_info") if shown.get("ifname") == BRIDGE else _PASSING
    for name, value in shown.items():
        if name in passing:
            continue
        if name == "xdp":
            found[name] = value["mode"], value["prog"].get("name"), value["prog"].get("tag")
            continue
        if name == "addr_info":
            found[name] = [_lasting(each) for each in value]
        elif name == "linkinfo":
            found[name] = {key: _of_port(each) if isinstance(each, dict) else each for key, each in value.items()}
        else:
            found[name] = value
    return found


def _of_port(shown: Data) -> Data:
    return {name: value for name, value in shown.items() if name not in (*_PASSING, *_PASSING_OF_PORTS)}
