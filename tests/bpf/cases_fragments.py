"""The balancer's packet table: answers of backends in fragments."""

from collections.abc import Iterator
from functools import partial

from tests.bpf import frames
from tests.bpf.cases import VERSIONS, Case, leaves, passes, raw
from tests.bpf.cases_backends import data
from tests.bpf.cases_passed import GROUPS, Y, to_mac
from tests.bpf.cases_replies import answers, asked, numbered, redirects, replying, sent_on
from tests.bpf.cases_requests import OURS
from tests.bpf.rig import CLIENT_MAC, FRAGMENT_S, LB_MAC, PASS, Rig, request
from tests.bpf.test_healing import reply


def cut(version: int, length: int = 3000, port: int = 40000, worker: int = 1) -> list[bytes]:
    """Return an answer of worker1 in fragments as long as the MTU allows."""
    return frames.fragments(raw(reply(worker, data(length), version, udp_dport=port)), 1480 if version == 4 else 1448)


def follows(name: str, fragment: bytes, version: int, before: object, **more: object) -> Case:
    """Return a case of a later fragment that goes on to the client, from the address that was asked."""
    macs, service = frames.mac(CLIENT_MAC) + frames.mac(LB_MAC), frames.packed(OURS[version][0])
    out = frames.moved_fragment(fragment, macs, service)
    return redirects(name, fragment, "REPLY_FRAGMENT", before, out=out, **more)  # type: ignore[arg-type]


def later(rig: Rig) -> None:
    rig.later(FRAGMENT_S)


def fragments() -> Iterator[Case]:
    none, follow = "PASS_NOT_LOCAL", "REPLY_FRAGMENT"
    for version in VERSIONS:
        name, before = Y[version], asked(version)
        first, middle, last = cut(version)
        after = before.then(first, free=(2,))
        yield answers(f"first fragment of an answer, {name}", first, before, near=none)
        yield redirects(f"first fragment where completions free, {name}", first, "REPLIED", asked(version, False))
        yield follows(f"middle fragment of an answer, {name}", middle, version, after, near=none)
        yield follows(f"last fragment of an answer, {name}", last, version, after)
        yield follows(f"last fragment before the middle one, {name}", last, version, after.then(last))
        yield follows(f"fragment with bytes behind it, {name}", last + bytes(7), version, after)
        yield follows(f"fragment to all hosts, {name}", to_mac(middle, GROUPS[0]), version, after)
        two = replying(*[raw(request(b"1", version))] * 2).then(first, cut(version)[0], free=(2,))
        yield follows(f"fragment of the second answer, {name}", last, version, two)
        passed = partial(passes, reason=none)
        yield passed(f"fragment before the first, {name}", last, before=before, near=follow)
        yield passed(f"fragment of an answer that nobody has asked for, {name}", last, before=replying(free=2))
        yield passed(f"fragment much later, {name}", last, before=after.then(later), near=follow)
        yield passed(f"fragment elsewhere, {name}", last, before=after, interface="not home", near=follow)
        yield passed(f"fragment to another host's MAC, {name}", to_mac(last, "02:00:00:00:00:99"), before=after)
        other = frames.fragments(raw(reply(1, data(3000), version)), 1448, 8)[-1]
        yield passed(f"fragment of another packet, {name}", other, before=after, near=follow)
        yield passed(f"fragment of another backend, {name}", cut(version, worker=2)[-1], before=after, near=follow)
        if version == 4:
            wrong = last[:24] + b"\0\0" + last[26:]
            yield passed("fragment with a wrong header checksum", wrong, before=after, near=follow)
        whole = raw(reply(1, data(100), version))
        claims = frames.fragments(whole, 2000)[0] if version == 6 else raw(reply(1, data(100), 4, ip_flags="MF"))
        yield passed(f"fragment that has all of its packet, {name}", claims, before=before, near="REPLY_FREED")
        yield from leaving(version)


def leaving(version: int) -> Iterator[Case]:
    name, before = Y[version], asked(version)
    first, middle, _ = cut(version)
    out = sent_on(first, OURS[version][0])
    yield leaves(f"first fragment leaves, {name}", first, "REPLY_SENT", before, verdict=PASS, out=out)
    yield leaves(f"later fragment leaves as it is, {name}", middle, "", before, verdict=PASS, out=middle)
    held = numbered(raw(request(b"1", version)), free=1)
    first = cut(version, port=1025)[0]
    gained = {"completions": 1, "held": -1}
    yield answers(f"first fragment answers by its number, {name}", first, held, gained=gained)
    sent, at = sent_on(first, OURS[version][0]), frames.udp_at(first) + 2
    out = frames.rewritten(sent, sent[:12], (at, (40000).to_bytes(2)))
    yield leaves(
        f"first fragment leaves to its client's port, {name}", first, "REPLY_SENT", held, verdict=PASS, out=out
    )
    yield follows(f"last fragment of a numbered answer, {name}", cut(version)[-1], version, held.then(first, free=(2,)))


PARTS = (fragments,)
