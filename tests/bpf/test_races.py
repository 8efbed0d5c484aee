"""The balancer on two CPUs at once: rounds that meet every interleaving, and mutants that show that they do."""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

import pytest

from netlab.balancer import BY_REPORTS, Keeper, layout
from netlab.balancer.layout import FIRST
from netlab.programs.maps import BPF_ANY, BPF_F_LOCK, LoadedProgram, Map
from netlab.testing.waiting import PATIENCE_S, eventually
from tests.bpf.races import (
    COPIED,
    ONE_AGAINST_ONE,
    PAUSE,
    REPORTS,
    RESET_AGAINST_ONE,
    RESET_AGAINST_TWO,
    TWO_AGAINST_TWO,
    Board,
    Match,
    beside,
    held_open,
    linger,
    number_of,
    numbered,
    played,
)
from tests.bpf.rig import DROP, LOCAL, LONG, PASS, REDIRECT, Rig, built, completion, request
from tests.bpf.test_healing import reply, report

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a race needs two CPUs"),
]

ROUNDS = 300_000 if LONG else 3000  # of each kind, a third with each depth
FULL = 8  # the queue's room
MOST = 1_000_000  # rounds, until a mutant is caught: most need fewer than 10, where both CPUs are ours
MUTANT_ROUNDS = 2000  # the same, of those that are played to the end, and then again
SNAPSHOTS = 50_000 if LONG else 3000
REQUESTS = 8000  # of each side
LONGEST_S = 60.0 if LONG else 2.0  # of sending them, and of each match, so that a slow machine plays fewer rounds


KINDS = {
    "1 against 1": ONE_AGAINST_ONE,
    "2 against 2": TWO_AGAINST_TWO,
    "a reset against 1": RESET_AGAINST_ONE,
    "a reset against 2": RESET_AGAINST_TWO,
}


@pytest.mark.parametrize("rounds", KINDS.values(), ids=KINDS)
def test_arrivals_completions_and_resets_at_the_same_time(
    rounds: Sequence[tuple[str, str]], counted: Counter[str]
) -> None:
    """No request beside an idle thread, nothing lost, nothing doubled: with no request waiting before, one, or all."""
    with built(held_open()) as rig:
        for depth in (0, 1, FULL):
            match = Match(rig, rounds, depth)

            assert match.first_fault(ROUNDS // 3, LONGEST_S) == ""
            counted["race rounds"] += match.played


LONGER = PAUSE.replace("40", "400")  # as long as a whole completion takes
LONGEST = PAUSE.replace("40", "2000")  # as long as it may take the other side to begin
NO_LOCK = (
    ("bpf_spin_lock(&s->lock);", ""),
    ("bpf_spin_unlock(&s->lock);", ""),
    ("push(s, r, ", f"{LONGER} push(s, r, "),
)
LOOKS_EARLY = (  # whether a request waits, and only then frees the thread for it; one that comes is not yet waiting
    (f"{COPIED} {PAUSE}", f"{COPIED} {LONGER}"),
    (
        "bpf_spin_lock(&s->lock);\n\tbefore =",
        f"__u32 early = s->depth;\n\t{LONGEST}\n\tbpf_spin_lock(&s->lock);\n\tbefore =",
    ),
    ("if (carries && carrier)", "if (carries && early && carrier)"),
)
NOTHING = 'asm volatile("" ::: "memory");'  # or the compiler would rearrange what the verifier looks for
FORGOTTEN = {
    "thread not taken": ("take_thread(s, c, chosen);", ""),
    "thread not taken by a carrier": ("take_thread(s, c, index);", ""),
    "thread not given back": ("\t++*free_threads(s, index);\n", ""),
    "slot not given back": ("drop_slot(s, r, slot_number);", NOTHING),
    "room not given back": ("s->kept--;", NOTHING),
    "slot in the queue and in reserve": ("push(s, r, own);\n\t\town = take_slot(s, r);", "push(s, r, own);"),
    **{
        f"{name} not counted": (change, NOTHING)
        for name, change in (
            ("a waiting request", "s->depth++;"),
            ("a fetched request", "s->depth--;"),
            *((name, f"s->{name}++;") for name in ("received", "forwarded", "queued", "dropped", "dequeued")),
            ("completions", "s->completions++;"),
        )
    },
}
# What each of these changes, and the match that catches it: the rounds, and the depth that they begin with.
MATCHES = {
    "a thread that is gone by now is believed in": (("waits = true;", "waits = false;"), TWO_AGAINST_TWO, 0),
    "publish without deciding": (("copied && !s->depth", "false"), ONE_AGAINST_ONE, 0),
    "a report that does not carry": (("return reason | IS_SENT_BACK;", "return reason;"), RESET_AGAINST_ONE, 1),
    "a report that frees nothing": (("\t*free_threads(s, index) = free;", ""), RESET_AGAINST_ONE, 1),
    "what was in hand before is not gone": (
        ("known_before ? totals->received : in_hand + totals->completed", "in_hand + totals->completed"),
        RESET_AGAINST_TWO,
        0,
    ),
    **{name: (change, ONE_AGAINST_ONE, FULL) for name, change in FORGOTTEN.items()},
}
APART_MATCHES = {  # in builds of their own, as all of their changes are needed
    "no lock": (NO_LOCK, ONE_AGAINST_ONE, 0),
    "no lock, two": (NO_LOCK, TWO_AGAINST_TWO, 0),
    "a report without the lock": (NO_LOCK, RESET_AGAINST_ONE, 0),
    "a report that looks early at the queue": (LOOKS_EARLY, RESET_AGAINST_ONE, 0),
}
HOLDING = {
    "what is put back is not counted": ("s->retried++;", NOTHING),
    "what is let go of is not counted": ("s->held--;", NOTHING),
    "what is not held is not counted": ("s->unheld++;", NOTHING),
    "a slot that is released is not given back": ("if (was_held)\n\t\tdrop_slot(s, r, slot);", NOTHING),
    "what is put back does not wait": ("\t\t\tpush(s, r, slot);", NOTHING),
    "tries that are not counted": ("tries < c->retries ? tries + 1 : 0", "tries < c->retries ? tries : 0"),
    "tries that outlive their request": ("hold->tries = tries;", "if (tries) hold->tries = tries;"),
    "what is given up keeps its slot": ("drop_slot(s, r, slot);\n\t\t\tbecame = GIVEN_UP;", "became = GIVEN_UP;"),
    "a number that is not looked at": ("!hold->backend || hold->number != number", "0"),
}
ABSENCE = {
    "a completion frees a thread of one that is ill": ("is_late = reporter->silent;", "is_late = false;"),
    "its threads are not taken": (
        (
            "reporter->overload = 0;\n\t*reports(s, index) |= IS_ABSENT;\n"
            "\tset_free_threads(s, c, index, 0);\n\treturn capacity - free;"
        ),
        "return 0;",
    ),
    "an age that is not forgotten": ("*taken(s, index, distance) = 0;", ""),
}
UPDATES = ("insert_flow(&key, &fresh);", "update_flow(&key, &fresh);")
OPEN = (UPDATES[0], f"{PAUSE} {UPDATES[0]}")  # the window between looking for a flow and making it
COUNTS = "__sync_fetch_and_add(&flow->outstanding, 1);"
ASKED = "flow->service = datagram->destination;"  # a request has counted before it, not an answer too many
FLOWS: Mapping[str, Sequence[tuple[str, str]]] = {
    "a flow that both make": [UPDATES],
    "a request that is not counted": [
        (
            f"{COUNTS}\n\t{ASKED}",
            f"__u64 seen = flow->outstanding; {PAUSE} flow->outstanding = seen + 1;\n\t{ASKED}",
        )
    ],
    "an answer that is not counted": [("c->replies && count_answer(flow)", "c->replies && flow->outstanding")],
    "another address is another flow": [
        ("if (!flow) {", "if (!flow || !is_same(&flow->service, &datagram->destination)) {"),
        UPDATES,
    ],
}
# All of these in one build, since to compile takes longest; the state says which is in force, 0 for none.
TOGETHER: Mapping[str, Sequence[tuple[str, str]]] = {
    **{name: [change] for name, (change, _, _) in MATCHES.items()},
    **{name: [change] for name, change in (*HOLDING.items(), *ABSENCE.items())},
    **FLOWS,
}
NONE = ""  # of them


def switched(number: int, old: str, new: str) -> str:
    """Return C that is the old if another change than this is in force: statements, an expression, or an `if`."""
    if old.rstrip().endswith(";"):
        return f"if (s->forgotten != {number}) {{ {old} }} else {{ {new} }}\n"
    if old.startswith("if ("):
        return f"if ({switched(number, old[4:-3], new[4:-3])}) {{"
    return f"(s->forgotten != {number} ? ({old}) : ({new}))"


FOUND = "struct flow *flow = find_flow(&key), fresh = {};"
SWITCHES = (
    ("\t__u64 choices;", "\t__u64 forgotten;\n\t__u64 choices;"),
    OPEN,
    (FOUND, f"{FOUND}\n\t__u32 first = 0;\n\tstruct state *s = find_state(&first);\n\n\tif (!s)\n\t\treturn;"),
    *((old, switched(number, old, new)) for number, changes in enumerate(TOGETHER.values(), 1) for old, new in changes),
)


@pytest.fixture(scope="module")
def mutants() -> Iterator[Rig]:
    """The build of those TOGETHER."""
    with built(held_open(*SWITCHES)) as rig:
        yield rig


def put_in_force(rig: Rig, name: str) -> None:
    """Let one of those TOGETHER, or NONE, be in force until the next `reset`."""
    if name:
        rig.change("state", forgotten=[*TOGETHER].index(name) + 1)


@pytest.mark.parametrize("rounds", KINDS.values(), ids=KINDS)
def test_with_none_of_them_in_force_there_is_no_fault(mutants: Rig, rounds: Sequence[tuple[str, str]]) -> None:
    assert Match(mutants, rounds, 1).first_fault(100, LONGEST_S) == ""


@pytest.mark.parametrize("name", MATCHES)
def test_a_mutant_is_caught(mutants: Rig, name: str, counted: Counter[str]) -> None:
    """The rounds can fail: for want of a decision under the lock, or of any one count."""
    _, rounds, depth = MATCHES[name]
    match = Match(mutants, rounds, depth)
    put_in_force(mutants, name)

    assert match.first_fault(MOST) != ""
    counted["mutants caught"] += 1


@pytest.mark.parametrize("name", APART_MATCHES)
def test_a_mutant_with_another_lock_is_caught(name: str, counted: Counter[str]) -> None:
    changes, rounds, depth = APART_MATCHES[name]
    with built(held_open(*changes)) as rig:
        fault = Match(rig, rounds, depth).first_fault(MOST)

    assert fault != ""
    counted["mutants caught"] += 1


def test_a_role_that_writes_the_state_is_caught(counted: Counter[str]) -> None:
    """As a balancer's role would that set up anew what runs already: what happens meanwhile is forgotten."""

    class Writing(Match):
        def start_again(self) -> None:
            with Map.open(f"{self.rig.pins}/maps/state") as state:
                state.set(FIRST, state.get(FIRST, BPF_F_LOCK), BPF_F_LOCK)

    with built(held_open()) as rig:
        fault = Writing(rig, RESET_AGAINST_ONE, 0).first_fault(MOST)

    assert fault != ""
    counted["mutants caught"] += 1


def let_go(rig: Rig, keeper: Keeper, draws: random.Random) -> tuple[int, int, int]:
    """Release or put back all that is held, each once although it is tried twice.

    Return how many were released, have been put back, and were given up, having been put back often enough.
    """
    counts = [0, 0, 0]
    carrier = bytes(completion(1))
    with (
        LoadedProgram.open(f"{rig.pins}/programs/release_run") as release,
        LoadedProgram.open(f"{rig.pins}/programs/requeue_run") as requeue,
    ):
        for each in keeper.held():
            claim = rig.claim(each.slot, each.number)
            order = draws.choice([(0, 1), (0, 1), (1, 0), (1, 0)])
            for which in order:
                became = (release, requeue)[which].test_run(claim).verdict
                counts[became if which else 0] += became > 0
            if order[0]:
                rig.egress.test_run(carrier)  # as the balancer's role does: there may be free threads
    return counts[0], counts[1], counts[2]


def fault_of_holding(rig: Rig, name: str, rounds: int) -> str:
    """Let requests come and be completed on one CPU, and let go of them on the other; say what is wrong then."""
    board, carrier = Board(1), bytes(completion(1))
    rig.reset(backends=1, capacity=3, report_port=REPORTS, holds=BY_REPORTS, retries=2)
    put_in_force(rig, name)

    def come_and_go() -> None:
        for number in range(rounds):
            rig.program.test_run(numbered(number))
            if rig.program.test_run(carrier).verdict == REDIRECT:
                rig.egress.test_run(carrier)
        board.cells[0] = 1

    released = put_back = given_up = 0
    keeper, draws = Keeper(rig.pins), random.Random(rounds)
    with beside(come_and_go):
        while not board.cells[0]:
            some = let_go(rig, keeper, draws)
            released, put_back, given_up = released + some[0], put_back + some[1], given_up + some[2]
    held, queue, kept, now = [each.slot for each in keeper.held()], rig.queue(), rig.kept(), rig.now()
    tries = rig.tries()
    spent = rig.counts()["DROP_RETRIES_SPENT"].packets
    board.close()
    counters = now.counters
    waiting = counters["queued"] + counters["retried"] - counters["dequeued"]
    sent = counters["forwarded"] + counters["dequeued"] - counters["unheld"]
    faults = {
        "slots lost or doubled": sorted([*queue.slots(), *held]) != list(range(rig.slots)),
        "waiting": now.depth != waiting,
        "kept": kept != now.depth + len(held),
        "counted": (counters["retried"], counters["held"]) != (put_back, len(held)),
        "held and let go of": sent != released + put_back + given_up + len(held),
        "given up": spent != given_up,
        "tries are left over": any(tries[slot] for slot in (*queue.spare, *queue.fresh, *queue.reserve)),
        "nothing happened": 0 in (released, put_back, given_up, counters["dequeued"]),
    }
    return ", ".join(name for name, is_wrong in faults.items() if is_wrong)


def test_requests_are_let_go_of_while_others_come_and_go(counted: Counter[str]) -> None:
    """Each that is sent is held, or not for want of a slot, and let go of once; each slot is in one place."""
    with built(held_open()) as rig:
        assert fault_of_holding(rig, NONE, 4 * ROUNDS) == ""
    counted["race rounds"] += 4 * ROUNDS


@pytest.mark.parametrize("name", HOLDING)
def test_a_mutant_that_holds_is_caught(mutants: Rig, name: str, counted: Counter[str]) -> None:
    eventually(lambda: fault_of_holding(mutants, name, 5 * MUTANT_ROUNDS), "a fault")
    counted["mutants caught"] += 1


def test_with_none_of_them_in_force_all_is_well(mutants: Rig) -> None:
    assert fault_of_holding(mutants, NONE, 5 * MUTANT_ROUNDS) == ""
    assert fault_of_absence(mutants, NONE, 5 * MUTANT_ROUNDS) == ""
    assert fault_of_flows(mutants, NONE, MUTANT_ROUNDS) == ""


def test_holding_without_the_lock_is_caught(counted: Counter[str]) -> None:
    slowly = ("s->held--;", f"__u64 before = s->held; {LONGER} s->held = before - 1;")
    with built(held_open(*NO_LOCK, slowly)) as rig:
        eventually(lambda: fault_of_holding(rig, NONE, 5 * MUTANT_ROUNDS), "a fault")
    counted["mutants caught"] += 1


def fault_of_absence(rig: Rig, name: str, rounds: int) -> str:
    """Let requests come and be completed on one CPU, and their backend fall ill and be well on the other.

    Say what is wrong while it is ill, when it has none of its threads, or in the end, when it is well.
    """
    board, frame = Board(1), bytes(completion(1))
    rig.reset(backends=1, capacity=3, replies=False)
    put_in_force(rig, name)

    def come_and_go() -> None:
        for number in range(rounds):
            rig.program.test_run(numbered(number))
            if rig.program.test_run(frame).verdict == REDIRECT:
                rig.egress.test_run(frame)
        board.cells[0] = 1

    used, turns, news = 0, 0, [0, 0]
    with (
        LoadedProgram.open(f"{rig.pins}/programs/exclude_run") as exclude,
        LoadedProgram.open(f"{rig.pins}/programs/readmit_run") as readmit,
        beside(come_and_go),
    ):
        while not board.cells[0]:
            news[0] += exclude.test_run(frame).verdict
            used += rig.now().free["worker1"] != 0
            linger(turns)
            used += rig.now().free["worker1"] != 0
            news[1] += readmit.test_run(frame).verdict
            for _ in range(3):
                rig.egress.test_run(frame)  # as the balancer's role does: there are free threads
            turns += 1
    while rig.now().depth:
        rig.run("begin_run", frame)
        rig.egress.test_run(frame)
    queue, counters, threads = rig.queue(), rig.now().counters, rig.threads()
    said = [rig.counts()[name].packets for name in ("BACKEND_EXCLUDED", "BACKEND_READMITTED")]
    board.close()
    faults = {
        "one that is ill has threads": used,
        "threads lost or doubled": threads.free[0] + threads.taken[0] != 3,
        "slots lost or doubled": sorted(queue.slots()) != list(range(rig.slots)),
        "counted": said != [turns, turns] or news != [turns, turns],
        "requests lost": counters["received"] != counters["forwarded"] + counters["dequeued"] + counters["dropped"],
        "nothing happened": 0 in (turns, counters["dequeued"], counters["completions"]),
    }
    return ", ".join(name for name, is_wrong in faults.items() if is_wrong)


def test_a_backend_falls_ill_and_is_well_while_requests_come_and_go(counted: Counter[str]) -> None:
    """While it is ill no request and no completion gives it a thread; nothing is lost by it."""
    with built(held_open()) as rig:
        assert fault_of_absence(rig, NONE, 4 * ROUNDS) == ""
    counted["race rounds"] += 4 * ROUNDS


@pytest.mark.parametrize("name", ABSENCE)
def test_a_mutant_with_backends_that_are_ill_is_caught(mutants: Rig, name: str, counted: Counter[str]) -> None:
    eventually(lambda: fault_of_absence(mutants, name, 5 * MUTANT_ROUNDS), "a fault")
    counted["mutants caught"] += 1


def test_a_backend_that_is_ill_without_the_lock_is_caught(counted: Counter[str]) -> None:
    with built(held_open(*NO_LOCK[:2])) as rig:
        eventually(lambda: fault_of_absence(rig, NONE, 5 * MUTANT_ROUNDS), "a fault")
    counted["mutants caught"] += 1


def fault_of_flows(rig: Rig, name: str, rounds: int) -> str:
    """Let a client ask from one port on both CPUs, be answered on both, and once too often; say what is wrong then.

    Nothing is known of the client when a round begins, and each side asks another address of ours.
    """
    answer, asking = bytes(reply(1)), [bytes(request(ip_dst=address)) for address in LOCAL[:2]]
    with Map.open(f"{rig.pins}/maps/flows") as flows:
        rig.reset(backends=1, capacity=3, replies=True)
        put_in_force(rig, name)
        rig.program.test_run(bytes(request(udp_sport=1)))  # is never answered
        others = set(flows.keys())

        def play(side: int, number: int) -> None:
            linger(number if side else number // 16)
            for packet in (asking[side], answer):
                rig.program.test_run(packet)

        with closing(played(play, rounds)) as numbers:
            for number in numbers:
                rig.program.test_run(answer)
                now = rig.threads()
                if now.free != [2] or now.counters["completions"] != 2 * number:
                    return f"round {number}: free {now.free}, {now.counters}"
                for key in set(flows.keys()) - others:
                    flows.delete(key)
    return ""


def test_a_client_asks_on_two_cpus_at_once(counted: Counter[str]) -> None:
    """Each of its requests is counted, whoever makes the flow: as many answers free a thread, and no more."""
    with built(held_open(OPEN)) as rig:
        assert fault_of_flows(rig, NONE, ROUNDS) == ""
    counted["race rounds"] += ROUNDS


@pytest.mark.parametrize("name", FLOWS)
def test_a_mutant_that_remembers_is_caught(mutants: Rig, name: str, counted: Counter[str]) -> None:
    eventually(lambda: fault_of_flows(mutants, name, MUTANT_ROUNDS), "a fault")
    counted["mutants caught"] += 1


class Side:
    """One of two processes that send requests, and complete, for one backend each, what that has been given.

    The cells they share, each written by one side: given[side][backend], completed[side], sent[side] once it is done
    with that, disordered[side], and how often each request was served.
    """

    COMPLETED, SENT, DISORDERED, SERVED = 4, 6, 8, 10

    def __init__(self, rig: Rig, board: Board, me: int) -> None:
        self.rig, self.cells, self.me = rig, board.cells, me
        self.completion = bytes(completion(me + 1))
        self.carriers = 0  # on their way
        self.last = [-1, -1]  # the number last dequeued, by the side that sent it

    def serve(self, packet: bytes) -> int:
        """Note who got a packet; return its number."""
        number = number_of(packet)
        self.cells[self.SERVED + number] += 1
        self.cells[2 * self.me + packet[32] - 1] += 1  # backend N has the address 10.0.N.2
        return number

    def send(self, number: int) -> None:
        run = self.rig.program.test_run(numbered(number))
        if run.verdict == REDIRECT:
            self.serve(run.packet)

    def complete(self) -> None:
        """Complete one request, which may send a carrier on its way."""
        self.cells[self.COMPLETED + self.me] += 1
        self.carriers += self.rig.program.test_run(self.completion).verdict == REDIRECT

    def carry(self) -> None:
        """Let one carrier arrive."""
        self.carriers -= 1
        run = self.rig.egress.test_run(self.completion)
        if run.verdict == PASS:
            number = self.serve(run.packet)
            self.cells[self.DISORDERED + self.me] += number <= self.last[number % 2]
            self.last[number % 2] = number

    def busy(self) -> bool:
        """Whether our backend has been given more than it has completed."""
        return self.cells[self.me] + self.cells[2 + self.me] > self.cells[self.COMPLETED + self.me]

    def work(self, turns: int) -> None:
        """Complete, or let carriers arrive, so many times."""
        for _ in range(turns):
            if self.busy() and self.carriers < 2:
                self.complete()
            elif self.carriers:
                self.carry()

    def play(self) -> None:
        """Send requests of our parity for a while, completing as we go, then complete until nothing is left."""
        draws = random.Random(self.me)
        ends = time.monotonic() + LONGEST_S
        sent = 0
        while sent < REQUESTS and time.monotonic() < ends:
            self.send(2 * sent + self.me)
            sent += 1
            self.work(draws.randrange(4))
        self.cells[self.SENT + self.me] = sent
        ends = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends and not self.settled():
            self.work(3)

    def settled(self) -> bool:
        """Whether both sides have sent all they will, and all of that is completed or dropped."""
        sent, counters = self.cells[self.SENT : self.DISORDERED], self.rig.now().counters
        return all(sent) and counters["completions"] + counters["dropped"] == sum(sent)


def test_two_cpus_that_send_and_complete() -> None:
    """Whatever meets whatever: each request is served once or dropped for want of room, in order, and all ends idle."""
    board = Board(Side.SERVED + 2 * REQUESTS)
    with built(held_open()) as rig:
        rig.reset(backends=2, capacity=2)
        with beside(Side(rig, board, 1).play):
            Side(rig, board, 0).play()
        now = rig.now()
    cells = list(board.cells)
    board.close()
    sent, served, counters = sum(cells[Side.SENT : Side.DISORDERED]), cells[Side.SERVED :], now.counters

    assert set(served) <= {0, 1}
    assert sent == counters["received"] == counters["forwarded"] + counters["queued"] + counters["dropped"]
    assert sum(served) == counters["completions"] == counters["forwarded"] + counters["dequeued"]
    assert counters["queued"] == counters["dequeued"] > 0
    assert (now.depth, now.free) == (0, {"worker1": 2, "worker2": 2})
    assert cells[Side.DISORDERED : Side.SERVED] == [0, 0]


@pytest.mark.parametrize("holds", ["", BY_REPORTS], ids=["", "holding"])
def test_a_carrier_that_cannot_be_filled_leaves_all_as_it_was(holds: str) -> None:
    """The request waits again, before all others, the thread is free, and the backend was sent nothing."""
    refuses = ("!bpf_xdp_store_bytes(ctx, 0, slot->frame, length)", "leaving.number % 2")
    with built(held_open(refuses)) as rig:
        rig.reset(backends=1, capacity=1, report_port=REPORTS, holds=holds)
        rig.push(report(1, 0, 0))
        for number in range(3):
            rig.program.test_run(numbered(number))
        waiting = rig.waiting()
        rig.program.test_run(bytes(completion(1)))
        run = rig.egress.test_run(bytes(completion(1)))  # of request #2, the first that waits

        assert (run.verdict, rig.carrier_counts()) == (DROP, {"CARRIER_NOT_FILLED": 1})
        now = rig.now()
        assert (now.depth, now.free, rig.waiting()) == (2, {"worker1": 1}, waiting)
        assert now.depth == now.counters["queued"] + now.counters["retried"] - now.counters["dequeued"]
        assert rig.push(report(1, 1, 1))[2] == "REPORT_AGREED"


HELD = "for (int turn = 0; turn < 1000; turn++) *(volatile __u64 *)&s->choices = turn;"  # no helper may be called there


def torn(rig: Rig, most: int) -> int:
    """Return how many snapshots do not add up while requests are counted on the other CPU; stop after so many."""
    rig.reset(backends=1, capacity=1)
    board, packet = Board(1), bytes(request())

    def send() -> None:
        while not board.cells[0]:
            rig.program.test_run(packet)

    found, looks, ends = 0, 0, time.monotonic() + PATIENCE_S
    with beside(send):
        try:
            while found < most and (looks < SNAPSHOTS or most == 1) and time.monotonic() < ends:
                now, looks = rig.now().counters, looks + 1
                found += now["received"] != now["forwarded"] + now["queued"] + now["dropped"]
        finally:
            board.cells[0] = 1
    board.close()
    return found


def test_a_snapshot_is_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read under the lock: between two counts that change together, however long that takes, nobody reads."""
    with built(held_open(("s->received++;", f"s->received++; {HELD}"))) as rig:
        whole = torn(rig, SNAPSHOTS)
        monkeypatch.setattr(layout, "BPF_F_LOCK", BPF_ANY)
        without_lock = torn(rig, 1)  # sooner or later

    assert whole == 0
    assert without_lock > 0
