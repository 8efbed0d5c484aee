"""`faults:` of a topology, or a file of its own → faults, or every mistake in them."""

import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain

from netlab.named_tuple import NamedTuple
from netlab.paths import process_key
from netlab.topology import faults
from netlab.topology.document.tree import Item, join, show
from netlab.topology.document.tree import Mapping as Written
from netlab.topology.document.tree import Sequence as Listed
from netlab.topology.faults import Fault
from netlab.topology.link_names import Ends, called, find
from netlab.topology.partition import cut
from netlab.topology.validate.findings import Findings, Name, Place, one_of
from netlab.topology.validate.rules import Fields, name, one_or_more
from netlab.topology.validate.time_line_words import change, groups, moment, signal_number

KEYS = ("at", *faults.KINDS, "set", "for", "signal")
MOST = 10_000
_LASTING = (faults.PAUSE, faults.DRAIN, faults.PARTITION)  # and a link that goes down or is impaired
_A_FAULT = f"a mapping with at and one of {one_of(faults.KINDS)}"
_NAMES = one_or_more(name, "a name, or a list of names")


class Known(NamedTuple):
    """What a lab has: nodes by each name that means some, links, switches.

    By node, the keys of processes, and the names of programs.
    """

    members: Mapping[str, Sequence[str]]
    processes: Mapping[str, Sequence[str]]
    links: Sequence[Ends]
    switches: Collection[str]
    programs: Mapping[str, Collection[str]]


def read(known: Known, findings: Findings, item: Item, path: str, *, is_timed: bool = True) -> tuple[Fault, ...] | None:
    """Read a time line; faults of the same time stay in the order of the file.

    Unless it `is_timed`, a fault that says no time happens at once.
    """
    if not isinstance(item, Listed) or len(item.items) > MOST:
        findings.wrong(item, path, f"a list of at most {MOST:,} faults, such as - {{at: 3s, kill: worker2}}")
        return None
    entries = (_Entry(known, findings, child, join(path, str(at)), is_timed) for at, child in enumerate(item.items))
    return tuple(sorted(chain.from_iterable(each.read() for each in entries), key=lambda fault: fault.at_ns))


def read_file(known: Known, findings: Findings, root: Item) -> tuple[Fault, ...] | None:
    """Read a file of faults: a list, or a mapping with faults, which may be a topology."""
    if not isinstance(root, Written):
        return read(known, findings, root, "")
    is_topology = any(key.text == "nodes" for key, _ in root.pairs)
    keys = [key.text for key, _ in root.pairs] if is_topology else ["faults"]
    fields = Fields(findings, root, "", keys, "a mapping with faults")
    return fields.require("faults", lambda *at: read(known, *at), None)


class _Entry:
    """One entry of a time line, while it is read."""

    def __init__(self, known: Known, findings: Findings, item: Item, path: str, is_timed: bool) -> None:
        self._known = known
        self._is_timed = is_timed
        self._findings = findings
        self._fields = Fields(findings, item, path, KEYS, _A_FAULT)
        self._is_mapping = isinstance(item, Written)

    def read(self) -> list[Fault]:
        """Return its faults: one for each link of a list, otherwise one; none after adding mistakes."""
        fields = self._fields
        if not self._is_mapping:
            return []
        before = len(self._findings)
        at_ns = (fields.require if self._is_timed else fields.read)("at", moment(0), 0)
        written = [kind for kind in faults.KINDS if kind in fields]
        for kind in written[1:]:
            self._findings.add(
                fields.key_place(kind), f"expected one fault, found {written[0]} and {kind}", "write two entries"
            )
        if not written:
            self._findings.add(fields.place, f"expected one of {one_of(faults.KINDS)}, found none")
            return []
        found = self._read_kind(written[0])
        for_ns = fields.read("for", moment(1), 0)
        if at_ns + for_ns > faults.LONGEST_NS:
            self._findings.add(fields.value_place("for"), "expected an end up to 1440m, found a later one")
        self._check_keys(written[0], found)
        whole = [fault._replace(at_ns=at_ns, for_ns=for_ns) for fault in found]
        return whole if len(self._findings) == before else []

    def _read_kind(self, kind: str) -> list[Fault]:
        bare = Fault(0, kind)
        match kind:
            case faults.KILL:
                number = self._fields.read("signal", signal_number, signal.SIGKILL)
                return self._of_each(bare._replace(signal=int(number)), self._processes)
            case faults.PAUSE | faults.RESUME:
                return self._of_each(bare, self._processes)
            case faults.DRAIN | faults.UNDRAIN:
                return self._of_each(bare, self._nodes)
            case faults.LINK:
                return self._of_each(self._fields.require("set", change, bare), self._link)
            case faults.PARTITION:
                apart = self._fields.read(kind, groups, ())
                return [bare._replace(groups=self._checked(apart))]
        return [fault for each in self._fields.read(kind, _NAMES, ()) for fault in self._restored(each)]

    def _check_keys(self, kind: str, found: Sequence[Fault]) -> None:
        """Add the mistakes of keys that say nothing of this fault."""
        lasts = kind in _LASTING or any(fault.change in (faults.DOWN, faults.IMPAIRED) for fault in found)
        fits = {"set": kind == faults.LINK, "for": lasts or not found, "signal": kind == faults.KILL}
        for key, is_good in fits.items():
            if key in self._fields and not is_good:
                whose = f"link {faults.UP}" if kind == faults.LINK else kind
                self._findings.add(
                    self._fields.key_place(key), f"expected no {key} beside {whose}, found one", "leave it out"
                )

    def _of_each(self, bare: Fault, rule: Callable[[Name], Sequence[str]]) -> list[Fault]:
        """Return a fault for each of what the names mean that are written there, each once."""
        written = self._fields.read(bare.do, _NAMES, ())
        return [bare._replace(target=each) for each in dict.fromkeys(chain.from_iterable(map(rule, written)))]

    def _nodes(self, written: Name) -> Sequence[str]:
        """Return the nodes that a name means."""
        if found := self._known.members.get(written.text, ()):
            return found
        hint = self._findings.nearest(written.text, self._known.members)
        self._findings.add(written.place, f"expected a node, found no node {show(written.text)}", hint)
        return ()

    def _processes(self, written: Name) -> Sequence[str]:
        """Return the keys of the processes that NODE, for all there, or NODE/NAME means."""
        node, slash, process = written.text.partition("/")
        members = self._nodes(Name(node, written.place))
        there = [key for each in members for key in self._known.processes.get(each, ())]
        wanted = {process_key(each, process) for each in members}
        found = [key for key in there if not slash or key in wanted]
        if members and not found:
            hint = self._findings.nearest(written.text, there) if there else ""
            self._findings.add(written.place, f"expected a process, found no process {show(written.text)}", hint)
        return found

    def _link(self, written: Name) -> Sequence[str]:
        """Return the name of the link that a word means."""
        links = self._known.links
        found = find(written.text, links)
        if len(found) == 1:
            return [called(found[0], links)]
        if found:
            message = f"expected one link, found {show(written.text)}, which means {len(found)}"
            self._findings.add(written.place, message, f"name one of {', '.join(each.name for each in found)}")
        else:
            hint = self._findings.nearest(written.text, [called(each, links) for each in links])
            self._findings.add(written.place, f"expected a link, found no link {show(written.text)}", hint)
        return []

    def _restored(self, written: Name) -> list[Fault]:
        """Return what restores what a word means: all, the partition, a node, a process, or a link."""
        bare, links = Fault(0, faults.RESTORE), self._known.links
        if written.text in (faults.ALL, faults.PARTITION):
            return [bare._replace(scope=written.text)]
        if written.text in self._known.members:
            return [bare._replace(scope=faults.NODE, target=each) for each in self._known.members[written.text]]
        if "/" in written.text:
            return [bare._replace(scope=faults.PROCESS, target=each) for each in self._processes(written)]
        if find(written.text, links):
            return [bare._replace(scope=faults.LINK, target=each) for each in self._link(written)]
        known = (faults.ALL, faults.PARTITION, *self._known.members, *(called(each, links) for each in links))
        message = f"expected {faults.ALL}, {faults.PARTITION}, a node or a link, found {show(written.text)}"
        self._findings.add(written.place, message, self._findings.nearest(written.text, known))
        return []

    def _checked(self, groups: Sequence[Sequence[Name]]) -> tuple[tuple[str, ...], ...]:
        """Return the nodes of each group, and add the mistakes of groups that cannot be apart."""
        before, seen = len(self._findings), dict[str, int]()
        found: list[tuple[str, ...]] = []
        for number, group in enumerate(groups):
            nodes = [(node, each.place) for each in group for node in self._nodes(each)]
            for node, where in nodes:
                if seen.setdefault(node, number) != number:
                    self._findings.add(where, f"expected each node in one group, found {node} in two")
            found.append(tuple(dict.fromkeys(node for node, _ in nodes)))
        if groups and len(self._findings) == before:
            self._check_apart(found, self._fields.value_place(faults.PARTITION))
        return tuple(found)

    def _check_apart(self, groups: Sequence[Sequence[str]], where: Place) -> None:
        known = {node for nodes in self._known.members.values() for node in nodes} - set(self._known.switches)
        if len(groups) == 1 and known <= set(groups[0]):
            self._findings.add(
                where, "expected two groups, found all nodes in one", "nodes in no group are one more: the rest"
            )
        for link in cut(groups, self._known.links, self._known.switches).unclear:
            message = (
                f"expected a group for {link.a} or {link.b}, switches between which packets of several groups pass"
            )
            self._findings.add(where, message, "put one of them into a group")
