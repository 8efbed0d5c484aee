"""Part B's claims on what is printed, by programs of any wording."""

import re
from collections.abc import Callable, Mapping

import pytest

from netlab.judge import partb
from netlab.judge.claim import Claim
from netlab.judge.lines import Line, fitting
from netlab.judge.met import happened
from netlab.judge.packets import Packet
from netlab.judge.partb import Printed
from tests.unit.judge.synthetic import MS, WORKERS, Balancer, facts, high_play, low_play, story

Say = Callable[[str, int, str, int], list[str]]  # what, the packet's number, the worker, its free threads


def plain(what: str, number: int, worker: str, free: int) -> list[str]:
    """Say each thing in a line of its own."""
    return {
        "received": [f"packet {number} is here"],
        "forwarded": [f"packet {number} goes to {worker}"],
        "queued": [f"packet {number} must wait"],
        "freed": [f"{worker}: {free} idle"],
        "dequeued": [f"the next one goes to {worker}"],
    }[what]


def numbers(what: str, number: int, worker: str, free: int) -> list[str]:
    """Say as little as possible, and call workers by numbers."""
    index = WORKERS.index(worker) if worker else 9
    return {
        "received": [],
        "forwarded": [f"pkt {number} -> {index}"],
        "queued": [f"pkt {number} q"],
        "freed": [f"free[{index}] = {free}"],
        "dequeued": [f"deq -> {index}"],
    }[what]


def addresses(what: str, number: int, worker: str, free: int) -> list[str]:
    """Say it in other words, and call workers by their addresses."""
    address = f"10.0.1.1{worker[-1:]}"
    return {
        "received": [f"request no. {number} from port 4000"],
        "forwarded": [f"redirected towards {address}"],
        "queued": ["no server: stored"],
        "freed": [f"finished at {address}, now free there: {free}"],
        "dequeued": [f"oldest one redirected towards {address} from store"],
    }[what]


def mixed(what: str, number: int, worker: str, free: int) -> list[str]:
    """Say at a completion in one line what becomes of the thread, and call workers by words."""
    word = dict(zip(WORKERS, ("left", "middle", "right"), strict=True)).get(worker, "")
    return {
        "received": [],
        "forwarded": [f"packet {number}: to the {word} one"],
        "queued": [f"packet {number}: nobody there"],
        "freed": [f"{worker} done, free {free}"],
        "dequeued": [],
    }[what]


def ours(what: str, number: int, worker: str, free: int) -> list[str]:
    """Say it as netlab's own balancer does."""
    return {
        "received": [f"request #{number} from 10.0.0.1:4000"],
        "forwarded": [f"forward #{number} to {worker}, free {free}"],
        "queued": [f"queue #{number}, depth 1"],
        "freed": [f"completion from {worker}, free {free}, depth 1"],
        "dequeued": [f"dequeue #{number} to {worker}, depth 0"],
    }[what]


def lines(packets: list[Packet], say: Say) -> list[Line]:
    """Return what a program prints that met these packets."""
    found = []
    number = 0
    for each in happened(partb.played(story(packets))):
        texts: list[str] = []
        free = min(each.free, default=0)
        if each.kind in ("forwarded", "queued"):
            number += 1
            texts = [*say("received", number, "", 0), *say(each.kind, number, each.worker, free)]
        else:
            texts = say("freed", number, each.worker, max(each.free))
            if each.kind == "dequeued":
                more = say("dequeued", number, each.worker, free)
                texts = [*texts, *more] if say is not mixed else [f"{texts[0]}, which gets the next one"]
        found += [Line(each.ns + 10_000 * (at + 1), "lb", text) for at, text in enumerate(texts)]
    return found


def spoken(packets: list[Packet]) -> tuple[list[Line], dict[str, list[Line]]]:
    """Return what a client and workers print of these packets."""
    told = story(packets)
    asked = [Line(each.ns - 1000, "client", f"sending {each.key.decode()} s") for each in told.requests]
    served: dict[str, list[Line]] = {name: [] for name in WORKERS}
    slept = dict.fromkeys(WORKERS, 0.0)
    for arrival in told.arrivals:
        data = arrival.packet.data.decode()
        slept[arrival.worker] += float(data)
        text = f"working for {data}, {slept[arrival.worker]:.3f} in all"
        served[arrival.worker].append(Line(arrival.ns + 1000, arrival.worker, text))
    return asked, served


def claims(packets: list[Packet], printed: list[Line], **more: object) -> dict[str, Claim]:
    asked, served = spoken(packets)
    about = Printed(printed, asked, served)._replace(**more)  # type: ignore[arg-type]
    return {claim.id.removeprefix("partb.print."): claim for claim in partb.prints(story(packets), about)}


def failed(found: Mapping[str, Claim]) -> set[str]:
    return {name for name, claim in found.items() if claim.holds is False}


@pytest.mark.parametrize("say", [plain, numbers, addresses, ours, mixed])
def test_any_wording_is_understood(say: Say) -> None:
    for packets in (high_play(), low_play()):
        found = claims(packets, lines(packets, say))

        assert {"met"} == {claim.verdict for claim in found.values()}, [claim.figures for claim in found.values()]


def test_a_claim_says_which_wordings_it_has_taken() -> None:
    packets = high_play()

    assert '"packet # must wait"' in claims(packets, lines(packets, plain))["queued"].figures


def changed(kind: str, change: Callable[[list[str]], list[str]], every: int = 1) -> Say:
    """Return what says something else of a kind, every so many times."""
    count = [0]

    def say(what: str, number: int, worker: str, free: int) -> list[str]:
        texts = plain(what, number, worker, free)
        if what != kind:
            return texts
        count[0] += 1
        return change(texts) if count[0] % every == 0 else texts

    return say


def other_server(texts: list[str]) -> list[str]:
    return [
        text.replace("worker2", "worker9").replace("worker1", "worker2").replace("worker9", "worker1") for text in texts
    ]


WRONG: dict[str, tuple[Say, str]] = {
    "one that is received is not printed": (changed("received", lambda _: [], 7), "received"),
    "one that leaves is not printed": (changed("forwarded", lambda _: [], 5), "forwarded"),
    "another server": (changed("forwarded", other_server, 4), "forwarded"),
    "no server": (changed("forwarded", lambda _: ["it goes away"]), "forwarded"),
    "nothing of those that wait": (changed("queued", lambda _: []), "queued"),
    "one that waits is not printed": (changed("queued", lambda _: [], 5), "queued"),
    "says that one is sent that waits": (changed("queued", lambda _: ["packet 5 goes to worker1"]), "forwarded queued"),
    "another number of free threads": (changed("freed", lambda texts: [texts[0].replace(": ", ": 1")], 6), "freed"),
    "no free threads": (changed("freed", lambda _: ["somebody is done"]), "freed"),
    "nothing of those that leave later": (changed("dequeued", lambda _: []), "dequeued"),
    "one that leaves later is not printed": (changed("dequeued", lambda _: [], 5), "dequeued"),
    "prints nothing": (lambda *_: [], "received forwarded queued freed dequeued"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_fails_its_claims(mistake: str) -> None:
    say, expected = WRONG[mistake]
    packets = high_play()

    assert failed(claims(packets, lines(packets, say))) == set(expected.split())


def test_patterns_say_what_lines_are_about() -> None:
    """Here one wording has both: only a pattern tells them apart."""

    def coded(what: str, number: int, worker: str, free: int) -> list[str]:
        code = {"received": 0, "forwarded": 1, "queued": 2, "freed": 3, "dequeued": 4}[what]
        index = WORKERS.index(worker) if worker else 0
        return [f"event {code}: {index} {free} {number}"]

    patterns = (
        ("received", "event 0:"),
        ("forwarded", r"event 1: (?P<server>\d)"),
        ("queued", "event 2:"),
        ("freed", r"event 3: (?P<server>\d) (?P<free>\d+)"),
        ("dequeued", "event 4:"),
    )
    packets = high_play()
    printed = lines(packets, coded)

    fits = [fitting(kind, each, re.compile(each).search, (line.text for line in printed)) for kind, each in patterns]

    assert failed(claims(packets, printed, patterns=fits)) == set()
    assert "queued" in failed(claims(packets, printed))


def test_patterns_that_could_not_be_compared_leave_the_programs_lines_unjudged() -> None:
    packets = high_play()
    found = claims(packets, lines(packets, plain), unread="the pattern '(a+)+$' takes too long")

    unjudged = {name: claim.figures for name, claim in found.items() if claim.holds is None}
    assert {"received", "forwarded", "queued", "freed", "dequeued"} == set(unjudged)
    assert {"cannot be judged: the pattern '(a+)+$' takes too long"} == set(unjudged.values())


def test_a_value_may_tell_what_wordings_do_not() -> None:
    def coded(what: str, number: int, worker: str, free: int) -> list[str]:
        texts = {"queued": [f"packet {number} decision 0 to nobody"], "received": []}
        return texts.get(what) or (
            [f"packet {number} decision 1 to {worker}"] if what == "forwarded" else plain(what, number, worker, free)
        )

    packets = high_play()

    assert failed(claims(packets, lines(packets, coded))) == set()


def test_lines_that_were_lost_excuse_those_that_are_missing() -> None:
    packets = high_play()
    found = claims(packets, lines(packets, changed("received", lambda _: [], 7)), lost=3)

    assert found["received"].holds is None
    assert "3 lines were lost" in found["received"].figures


def test_requests_that_are_lost_are_received_all_the_same() -> None:
    packets = high_play()
    printed = lines(packets, plain)
    lost = [each for each in packets if each.node == "client" or each.leaves or each.data not in (b"0.108", b"0.110")]

    assert "received" not in failed(claims(lost, printed))


def test_a_client_that_is_silent() -> None:
    packets = high_play()
    printed = lines(packets, plain)

    assert failed(claims(packets, printed, client=[])) == {"client"}
    assert claims(packets, printed, client=[], netlabs=len(story(packets).requests))["client"].holds is None


def test_a_worker_that_does_not_say_what_it_has_slept() -> None:
    packets = high_play()
    _, served = spoken(packets)
    short = {name: [line._replace(text=line.text.partition(",")[0]) for line in told] for name, told in served.items()}

    assert failed(claims(packets, lines(packets, plain), workers=short)) == {"slept"}
    assert failed(claims(packets, lines(packets, plain), workers={})) == {"worker", "slept"}


def test_data_that_are_no_number_have_no_total() -> None:
    packets = [each._replace(data=b"job " + each.data) for each in high_play()]
    found = {claim.id: claim for claim in partb.prints(story(packets), Printed())}

    assert found["partb.print.slept"].holds is None


def test_who_sends_to_a_worker_without_a_thread_and_says_so_prints_the_truth() -> None:
    """It is the capacity that is wrong, and not the line; and the worker may say later that it has begun."""

    def seven(balancer: Balancer) -> str:
        return balancer.most_free() or "worker1"

    packets = high_play(Balancer(seven))
    asked, served = spoken(packets)
    late = {name: [line._replace(ns=line.ns + 900 * MS) for line in told] for name, told in served.items()}
    about = Printed(lines(packets, plain), asked, late)
    wrong = [claim.id for claim in partb.prints(story(packets), about) if claim.holds is False]

    assert "partb.print.forwarded" not in wrong
    assert "partb.print.worker" not in wrong
    assert [claim.id for claim in partb.high(story(packets), {}) if claim.holds is False] == ["partb.capacity"]


@pytest.mark.parametrize("late_ms", [0.05, 1.0, 4.0])
def test_a_busy_machine_may_print_late(late_ms: float) -> None:
    packets = low_play()
    late = [line._replace(ns=line.ns + round(late_ms * MS)) for line in lines(packets, plain)]

    assert failed(claims(packets, late)) == set()


def test_nothing_is_told_of_nothing() -> None:
    found = partb.prints(story([]), Printed())

    assert not [claim for claim in found if claim.holds]
    assert facts().patterns == ()
