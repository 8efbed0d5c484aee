"""Lets a lab reach the outside through this host: by a table of nftables, and by sysctls of forwarding.

The table and the rules are found by the lab's name. The sysctls of before are in a file. It is written before anything
changes, and removed with the last such lab. There is one file for each network namespace, whose number is in its name.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from netlab import paths
from netlab.errors import HostError, NetlabError
from netlab.kernel import files
from netlab.kernel.sysctls import Sysctls
from netlab.named_tuple import NamedTuple
from netlab.network import firewalls
from netlab.network.firewalls import Chain
from netlab.network.host_commands import run, tried
from netlab.plan.host_steps import FORWARDING, Closed, OpenInternet, lab_of_table, may_be_a_labs, ruleset, table_name
from netlab.record import shapes
from netlab.record.lock import of_host
from netlab.record.rules import HostSysctl
from netlab.topology.ip_arithmetic import IPV4, IPV6
from netlab.words import count

# Where packets come in that a host forwards although it does not forward as a whole; IPv6's is new in Linux 6.17.
_WAYS = {
    IPV4: re.compile(r"net\.ipv4\.conf\.([^.\"]+)\.forwarding"),
    IPV6: re.compile(r"net\.ipv6\.conf\.([^.\"]+)\.force_forwarding"),
}
# What a kernel may lack, each with a table that loads only if the kernel has it.
_PROBES = {
    "nf_tables": "table inet netlab-probe {}",
    "nf_tables' chains of type nat": "table inet netlab-probe { chain c { type nat hook postrouting priority 100; }; }",
    "nf_tables' masquerade": (
        "table inet netlab-probe { chain c { type nat hook postrouting priority 100; masquerade; }; }"
    ),
    "nf_tables' connection tracking (ct)": (
        "table inet netlab-probe { chain c { type filter hook forward priority 0; ct state established accept; }; }"
    ),
}


class Opened(NamedTuple):
    """What was done: sysctls that were changed, commands that added rules, and chains that may still drop.

    `ways` are interfaces from which the host forwards others' packets, as it did before.
    """

    changed: tuple[str, ...]
    ways: tuple[str, ...]
    tools: tuple[str, ...]
    others: tuple[Chain, ...]


def open_way(step: OpenInternet, resolver: str = "", at: str = "") -> Opened:
    """Let the lab reach the outside; HostError names what is missing if this host cannot do it."""
    with of_host(step.lab) as lock:
        before = _remembered(step.families)
        closed = tuple(_closed(family, before) for family in step.families if before.get(FORWARDING[family]) == "0")
        table = table_name(step.lab)
        rules = ruleset(step, closed, resolver, at)
        empty = f"table inet {table} {{}}\ndelete table inet {table}\n"
        _load(f"{empty}{rules}", lock)
        files.write(f"{paths.folder_of(step.lab)}/{paths.NFTABLES}", empty + run(_listing(step.lab), lock), 0o600)
        tools, others = firewalls.let_through(step.interfaces, lock)
        wanted = [(name, "2") for name, value in before.items() if name.endswith(".accept_ra") and value == "1"]
        wanted += [*step.sysctls]
        wanted += [(f"net.ipv4.conf.{name}.route_localnet", "1") for name in step.interfaces if resolver]
        changed = tuple(name for name, value in step.sysctls if before.get(name) != value)
        _write(wanted)
    ways = tuple(dict.fromkeys(way for each in closed for way in each.ways))
    return Opened(changed, ways, tuple(tools), tuple(others))


def _closed(family: int, before: Mapping[str, str]) -> Closed:
    """Return what a host that does not forward a family still forwards: what comes in at some interfaces."""
    found = (_WAYS[family].fullmatch(name) for name, value in before.items() if value == "1")
    ways = sorted(way[1].replace("/", ".") for way in found if way and way[1] not in ("all", "default"))
    return Closed(family, tuple(ways))


def close_way(lab: str, has_way: bool | None = None) -> list[str]:
    """Undo `open_way`, and set the sysctls back after the last such lab; return what was found.

    `has_way` says whether the lab's record has `internet: true`. If it is None (not known), there is something to undo
    only if some lab of this host has a file of sysctls.
    """
    path = paths.forwarding(_namespace())
    if not (any(map(paths.is_forwarding, files.names(paths.LABS))) if has_way is None else has_way):
        if os.path.exists(paths.host_lock()):
            with of_host(lab):  # which removes one that a killed `up` has left
                pass
        return []
    with of_host(lab) as lock:  # which removes one that was left
        files.remove_halves(path)
        is_known = os.path.exists(path)
        if not is_known and not (has_way and _has_nft()):
            return []
        own, tables = table_name(lab), _tables(lock)
        firewalls.take_back(lab, lock)
        if own in tables:
            run(["nft", "delete", "table", "inet", own], lock)
        if is_known and not any(map(lab_of_table, tables - {own})):
            _restore(path)
    unknown = "" if is_known else f" (not set back, as {path} is gone: {' '.join(FORWARDING.values())})"
    return [f"a table of nftables{unknown}"] if own in tables else []


def _has_nft() -> bool:
    """Say whether nft works here: without it, no lab has a table."""
    with suppress(HostError):
        return tried(["nft", "-j", "list", "tables"])[0] == 0
    return False


def labs() -> list[str]:
    """Return the labs with a table in this namespace."""
    if not os.path.exists(paths.forwarding(_namespace())):
        return []
    with suppress(NetlabError):
        return sorted(filter(None, map(lab_of_table, _tables())))
    return []


def table_problems(lab: str) -> list[tuple[str, str]]:
    """Return what is gone of the lab's table, and the command that loads it again, for root.

    Compared are the lines of each chain, as nft lists them; more lines are somebody's own.
    """
    kept = f"{paths.folder_of(lab)}/{paths.NFTABLES}"
    with suppress(OSError):
        planned = _chains_of(files.read(kept).decode())
        code, out, _ = tried(_listing(lab))
        now, table = _chains_of(out), f"table inet {table_name(lab)} of nftables"
        if code:
            return [(f"its {table} is gone: nothing of the lab reaches the outside", f"nft -f {kept}")]
        lost = {name: [line for line in lines if line not in now.get(name, ())] for name, lines in planned.items()}
        return [
            (f"the chain {name} of its {table} has lost {count(len(lines), 'line')}: {lines[0]}", f"nft -f {kept}")
            for name, lines in lost.items()
            if lines
        ]
    return []


def _listing(lab: str) -> list[str]:
    return ["nft", "--stateless", "list", "table", "inet", table_name(lab)]


def _chains_of(listed: str) -> dict[str, list[str]]:
    """Return the lines of each chain of a table."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in map(str.strip, listed.splitlines()):
        if line.startswith("chain "):
            name = line.split()[1]
            found[name] = []
        elif name and line not in ("", "}"):
            found[name].append(line)
    return found


def problems(lab: str, interfaces: Sequence[str]) -> Iterator[str]:
    """Yield what is missing of what `open_way` has made. Needs root."""
    if not os.path.exists(path := paths.forwarding(_namespace())):
        yield f"{path}, which says what this host forwarded before labs, is gone: `down` does not set that back"
    if not os.path.exists(kept := f"{paths.folder_of(lab)}/{paths.NFTABLES}"):
        yield f"{kept}, which says what its table inet {table_name(lab)} of nftables was, is gone"
    for tool in firewalls.stopped(interfaces):
        yield f"this host drops what it forwards ({tool} -S FORWARD), and no rule lets {', '.join(interfaces)} through"


def _tables(lock: int = -1) -> set[str]:
    entries = json.loads(run(["nft", "-j", "list", "tables"], lock))["nftables"]
    return {entry["table"]["name"] for entry in entries if entry.get("table", {}).get("family") == "inet"}


def _load(text: str, lock: int) -> None:
    code, _, words = tried(["nft", "-f", "-"], lock, text)
    if not code:
        return
    for what, probe in _PROBES.items():
        if tried(["nft", "--check", "-f", "-"], lock, probe)[0]:
            here = os.uname().release
            raise HostError(f"internet: true needs {what}: this kernel, {here}, has not got it (nft: {words})")
    raise NetlabError(f"cannot `nft -f -` the table of {text.split()[2]}: {words}")


# ---- the sysctls of forwarding ---------------------------------------------------------------------------------------


def _namespace() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def _remembered(families: Sequence[int]) -> Mapping[str, str]:
    """Return the sysctls of these families as they were before labs; write them to the file if they are not there."""
    path = paths.forwarding(_namespace())
    known = dict(_read(path)) if os.path.exists(path) else {}
    fresh = {name: value for family in families for name, value in _as_it_is(family).items()}
    if missing := {name: value for name, value in fresh.items() if FORWARDING[_family(name)] not in known}:
        known.update(missing)
        files.write(path, json.dumps(known), 0o600)
    return known


def _family(name: str) -> int:
    return int(name.removeprefix("net.ipv")[0])


def _as_it_is(family: int) -> dict[str, str]:
    """Return the value of a family's forwarding sysctl, and the sysctls of interfaces that change with it."""
    whole = FORWARDING[family]
    names = [whole]
    known = files.names(f"/proc/sys/net/ipv{family}/conf")
    interfaces = [each.replace(".", "/") for each in known if each != "all" and not may_be_a_labs(each)]
    names += [f"net.ipv{family}.conf.{each}.forwarding" for each in interfaces]
    if family == IPV6:  # a host that forwards ignores router advertisements, unless this is 2
        names += [f"net.ipv6.conf.{each}.{key}" for each in interfaces for key in ("accept_ra", "force_forwarding")]
    reader = Sysctls()
    try:
        found = reader.read_all(names)
    finally:
        reader.close()
    if found.get(whole) != "0":  # it forwards already, so nothing of interfaces changes
        return {whole: found[whole]} if whole in found else {}
    return {name: value for name, value in found.items() if name == whole or value == "1"}


def _restore(path: str) -> None:
    """Set the sysctls back, and remove the file. It stays if that fails, so that a later `down` can try again."""
    before = _read(path)
    try:
        _write([(name, value) for name, value in before.items() if name in FORWARDING.values()])
        _write([(name, value) for name, value in before.items() if name not in FORWARDING.values()])
    except NetlabError as error:
        raise NetlabError(
            f"{error}; what this host forwarded before labs is in {path}: set that, and remove the file"
        ) from None
    os.unlink(path)


def _read(path: str) -> Mapping[str, str]:
    """Return the file's content; NetlabError if somebody has spoilt it."""
    try:
        return shapes.read(dict[HostSysctl, str], files.load(path))
    except (OSError, ValueError) as error:
        raise NetlabError(
            f"{path}, which says how this host forwarded before labs, is damaged ({error}): "
            f"set net.ipv4.ip_forward and net.ipv6.conf.all.forwarding as you want them, and remove {path}"
        ) from None


def _write(settings: Sequence[tuple[str, str]]) -> None:
    writer = Sysctls()
    try:
        writer.write_all("this host", settings)  # this leaves out sysctls of interfaces that are gone
    finally:
        writer.close()
