"""Packets as a line of text each, and as JSON: where, between whom, with what, and what a program made of them."""

from collections.abc import Iterator
from typing import Any

from netlab.observe import headers
from netlab.observe.headers import ICMP, ICMP6, Headers
from netlab.observe.log_view import clock
from netlab.observe.painter import Painter
from netlab.observe.seen import Seen
from netlab.words import count

_SHOWN_BYTES = 24  # of data, if all of them are printable
_REQUEST, _REPLY = 1, 2  # operations of ARP
_PINGS = {(ICMP, 8): "echo request", (ICMP, 0): "echo reply", (ICMP6, 128): "echo request", (ICMP6, 129): "echo reply"}
_OF_MACS = ("from MAC", "to MAC")  # told in lines only if nothing else has changed
_CHANGES = (
    ("source_mac", "from MAC"),
    ("target_mac", "to MAC"),
    ("vlan", "VLAN"),
    ("source", "source"),
    ("source_port", "source port"),
    ("target", "destination"),
    ("target_port", "destination port"),
    ("ttl", "TTL"),
    ("seq", "seq"),
    ("flags", "flags"),
)
VERSION = 1  # of the JSON; it changes when a field is removed or gets another meaning


def line(seen: Seen, ahead_ns: int, width: int, paint: Painter) -> str:
    """Return a packet as a line; `ahead_ns` is the wall clock's distance, `width` that of the places."""
    direction = "out" if seen.leaves else "in "
    what = summary(headers.read(seen.data), seen.length)
    text = f"{clock(seen.ns + ahead_ns)}  {seen.place:<{width}} {direction}  {what}"
    return f"{text}  {outcome(seen, paint)}" if seen.verdict else text


def outcome(seen: Seen, paint: Painter) -> str:
    """Return what a program has made of a packet, in words."""
    verdict = seen.verdict
    if not verdict:
        return ""
    words = f"{verdict.name} {verdict.reason}".rstrip()
    shown = paint.bad(words) if verdict.is_drop else paint.good(words)
    changed = [] if verdict.is_drop else list(changes(seen.data, verdict.after))
    told = [each for each in changed if not each.startswith(_OF_MACS)] or changed
    return f"{verdict.function}: {shown}" + (f" ({'; '.join(told)})" if told else "")


def summary(found: Headers, length: int) -> str:
    """Return what a frame is."""
    vlan = f"VLAN {found.vlan} " if found.vlan else ""
    if found.kind == "ARP":
        asks, answers = f" who has {found.target}? asks {found.source}", f" {found.source} is at {found.source_mac}"
        return f"{vlan}ARP{({_REQUEST: asks, _REPLY: answers}).get(found.operation, '')}"
    if not found.source:
        return f"{vlan}{found.kind} from {found.source_mac}, {count(length, 'byte')}"
    return f"{vlan}{_end(found.source, found.source_port)} > {_end(found.target, found.target_port)} {_carried(found)}"


def _end(address: str, port: int) -> str:
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _carried(found: Headers) -> str:
    size = count(len(found.data), "byte")
    if found.kind == "TCP":
        return f"TCP {found.flag_letters} seq {found.seq}, {size}{_printable(found.data)}"
    if found.kind == "UDP":
        return f"UDP {size}{_printable(found.data)}"
    what = _PINGS.get((found.protocol, found.data[0])) if found.data else None
    return f"{found.kind} {what or size}"


def _printable(data: bytes) -> str:
    """Return data as text, if it is short and can be read."""
    text = data.decode("ascii", "replace")
    return f' "{text}"' if 0 < len(data) <= _SHOWN_BYTES and text.isascii() and text.isprintable() else ""


def changes(before: bytes, after: bytes) -> Iterator[str]:
    """Yield what differs between two forms of a packet, in words."""
    if before == after:
        return
    one, other = headers.read(before), headers.read(after)
    told = False
    for field, words in _CHANGES:
        was, now = getattr(one, field), getattr(other, field)
        if was != now and (was or now):
            told = True
            yield f"{words} {was or 'none'} → {now or 'none'}"
    if one.data != other.data:
        told = True
        yield f"data {count(len(one.data), 'byte')} → {count(len(other.data), 'byte')}" + _printable(other.data)
    if not told:
        yield "other bytes"


def data(seen: Seen, ahead_ns: int) -> dict[str, Any]:
    """Return a packet as what JSON has."""
    known: dict[str, Any] = {
        "version": VERSION,
        "time_ns": seen.ns + ahead_ns,
        "monotonic_ns": seen.ns,
        "node": seen.node,
        "interface": seen.interface,
        "direction": "out" if seen.leaves else "in",
        "length": seen.length,
        "summary": summary(headers.read(seen.data), seen.length),
        "bytes": seen.data.hex(),
        "verdict": None,
    }
    if verdict := seen.verdict:
        known["verdict"] = {
            "program": verdict.program,
            "function": verdict.function,
            "hook": verdict.hook,
            "code": verdict.code,
            "name": verdict.name,
            "reason": verdict.reason or None,
            "after_ns": verdict.after_ns + ahead_ns,
            "after_length": verdict.after_length,
            "bytes_after": verdict.after.hex(),
            "changes": list(changes(seen.data, verdict.after)),
        }
    return known
