"""Lets a lab's packets pass firewall rules of the host: Docker, for example, sets iptables' FORWARD chain to DROP.

A packet passes only if every table lets it pass. So the lab's interfaces get rules of their own in the FORWARD chain,
of iptables-nft or iptables-legacy. They name the interface, so they can be found again. Policy and other rules stay as
they are. netlab does not change other tables that drop what no rule knows: `up` names them in a note.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from netlab.errors import HostError
from netlab.kernel import files
from netlab.named_tuple import NamedTuple
from netlab.network import filter_rules
from netlab.network.host_commands import run, tried
from netlab.plan.host_steps import is_interface_of, lab_of_table

_TOOLS = {"ip": "iptables", "ip6": "ip6tables"}
_LEGACY_TABLES = {"ip": "/proc/thread-self/net/ip_tables_names", "ip6": "/proc/thread-self/net/ip6_tables_names"}
_CHAIN = "FORWARD"


class Chain(NamedTuple):
    """A chain of nftables for packets that the host forwards."""

    family: str
    table: str
    name: str

    @property
    def tool(self) -> str:
        """The iptables command that manages the chain; "" for any other chain."""
        return f"{_TOOLS[self.family]}-nft" if self[1:] == ("filter", _CHAIN) and self.family in _TOOLS else ""


def let_through(interfaces: Sequence[str], lock: int) -> tuple[list[str], list[Chain]]:
    """Let the host forward from and to a lab's interfaces.

    Returns the commands that have added rules, and the chains that may still drop.
    """
    chains = dropping(lock)
    passed = [chain for chain in chains if chain.tool and _accept(chain.tool, interfaces, lock)]
    used = [chain.tool for chain in passed]
    used += [tool for tool in _legacy() if _drops(tool, lock) and _accept(tool, interfaces, lock)]
    return used, [chain for chain in chains if chain not in passed]


def take_back(lab: str, lock: int) -> None:
    """Remove the rules for a lab's interfaces."""
    for tool in (*(chain.tool for chain in _chains(lock) if chain.tool), *_legacy()):
        for line in _listed(tool, lock):
            if _is_of(line, lab):
                run([tool, "--wait", "-D", *line.split()[1:]], lock)


def stopped(interfaces: Sequence[str]) -> list[str]:
    """Return the commands whose chain drops by default and has lost its rules for one of these interfaces."""
    tools = [chain.tool for chain in dropping() if chain.tool]
    tools += filter(_drops, _legacy())
    wanted = {" ".join(_rule(way, name)) for name in interfaces for way in ("-i", "-o")}
    return [tool for tool in tools if not wanted.issubset(line.removeprefix("-A ") for line in _listed(tool))]


def dropping(lock: int = -1) -> list[Chain]:
    """Return the chains of nftables, but for labs' own, that drop what the host forwards and no rule knows."""
    entries = json.loads(run(["nft", "-j", "list", "ruleset"], lock))["nftables"]
    known = filter_rules.of_nft(entry["rule"] for entry in entries if "rule" in entry)
    found = []
    for chain, policy in _forwarding(entries):
        rules = known.get((chain.family, chain.table), {})
        if not lab_of_table(chain.table) and filter_rules.drops_all(rules, chain.name, policy):
            found.append(chain)
    return found


def _chains(lock: int = -1) -> list[Chain]:
    entries = json.loads(run(["nft", "-j", "list", "chains"], lock))["nftables"]
    return [chain for chain, _ in _forwarding(entries)]


def _forwarding(entries: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Chain, str]]:
    """Yield the chains that see what the host forwards, with their policies."""
    for entry in entries:
        about = entry.get("chain", {})
        if about.get("hook") == "forward":
            yield Chain(about["family"], about["table"], about["name"]), about.get("policy", "")


def _legacy() -> Iterator[str]:
    """Yield the iptables-legacy commands whose tables exist. Running one would make the tables, so /proc is read."""
    for family, path in _LEGACY_TABLES.items():
        try:
            if "filter" in files.read(path).decode().split():
                yield f"{_TOOLS[family]}-legacy"
        except OSError:  # this kernel has none of these
            pass


def _listed(tool: str, lock: int = -1, chain: str = _CHAIN) -> list[str]:
    """Return the rules of a chain, of all if it is ""; none if the command is not installed."""
    try:
        code, out, _ = tried([tool, "--wait", "-S", *([chain] if chain else [])], lock)
    except HostError:
        return []
    return [] if code else out.splitlines()


def _drops(tool: str, lock: int = -1) -> bool:
    chains, policies = filter_rules.of_iptables(_listed(tool, lock, ""))
    return filter_rules.drops_all(chains, _CHAIN, policies.get(_CHAIN, ""))


def _rule(way: str, interface: str) -> list[str]:
    return [_CHAIN, way, interface, "-j", "ACCEPT"]


def _accept(tool: str, interfaces: Sequence[str], lock: int) -> bool:
    """Add the rules; False if the command is not installed."""
    try:
        for interface in interfaces:
            for way in ("-i", "-o"):
                run([tool, "--wait", "-I", *_rule(way, interface)], lock)
    except HostError:
        return False
    return True


def _is_of(line: str, lab: str) -> bool:
    words = line.split()
    return words[:2] == ["-A", _CHAIN] and any(
        way in ("-i", "-o") and is_interface_of(name, lab) for way, name in pairwise(words)
    )
