"""What weights change: who gets how much, and that whoever weighs nothing gets nothing."""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from netlab import balancer
from netlab.balancer import Healer
from netlab.balancer.layout import FIRST, Config
from netlab.programs.maps import LoadedProgram, Map
from tests.bpf import frames, sources
from tests.bpf.model import Model
from tests.bpf.rig import COMPLETION, DROP, PASS, REDIRECT, Rig, address_of, addressed, completion, request
from tests.bpf.test_healing import REPORTS, report

pytestmark = pytest.mark.root

DRAWS = 4000
MAX_BACKENDS = sources.number("MAX_BACKENDS")


def served(rig: Rig, count: int) -> list[int]:
    """Send so many requests, which are forwarded; return to which worker each of them."""
    requests = [bytes(request(version=version)) for version in (4, 6)]
    before = rig.counts()
    out = [rig.program.test_run(requests[number % 2]).packet for number in range(count)]
    more = {name: each.packets - before[name].packets for name, each in rig.counts().items()}
    assert {name: each for name, each in more.items() if each} == {"FORWARDED": count}
    return [packet[4] for packet in out]  # of the MAC: worker N's is 02:00:00:00:N:02


ORDERS = [
    ("most-free", (3, 1, 1), [1, 1, 1, 2, 3, 1, 2, 3, 2, 3, 2, 3]),  # the most of 12, 4 and 4, and so on
    ("most-free", (1, 1, 2), [3, 3, 1, 2, 3, 1, 2, 3, 1, 2, 1, 2]),
    ("round-robin", (2, 1, 3), [1, 1, 2, 3, 3, 3, 1, 1, 2, 3, 2, 2]),
    ("first-free", (1, 9, 5), [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]),
]


@pytest.mark.parametrize(("policy", "weights", "order"), ORDERS)
def test_policies_choose_by_weight(rig: Rig, policy: str, weights: tuple[int, ...], order: list[int]) -> None:
    """Twelve requests to three workers with four threads each, of either family; all threads are used in the end."""
    rig.reset(capacity=4, policy=policy)
    rig.weigh(*weights)

    assert served(rig, len(order)) == order
    assert rig.push(request())[2] == "QUEUED"


def test_round_robin_gives_as_many_turns_in_a_row_as_a_worker_weighs(rig: Rig) -> None:
    rig.reset(capacity=100, policy="round-robin")
    rig.weigh(4, 1, 2)

    assert served(rig, 70) == [1, 1, 1, 1, 2, 3, 3] * 10


def test_round_robin_begins_anew_where_a_row_was_broken_off(rig: Rig) -> None:
    """A worker without a free thread loses the rest of its row, and does not have it later."""
    rig.reset(capacity=[1, 9, 9], policy="round-robin")
    rig.weigh(2, 2, 2)
    assert served(rig, 3) == [1, 2, 2]
    rig.push(completion(1))

    assert served(rig, 5) == [3, 3, 1, 2, 2]


def test_a_weight_that_falls_below_what_is_left_of_a_row_ends_it(rig: Rig) -> None:
    rig.reset(capacity=100, policy="round-robin")
    rig.weigh(9, 1, 1)
    assert served(rig, 3) == [1, 1, 1]
    rig.weigh(2, 1, 1)

    assert served(rig, 8) == [2, 3, 1, 1, 2, 3, 1, 1]


def test_the_largest_weights_and_capacities_are_told_apart(rig: Rig) -> None:
    """Up to 65535 threads times 1000: one thread less, or one less of weight, is less."""
    rig.reset(capacity=[65535, 65535, 65534])
    rig.weigh(999, 1000, 1000)

    assert served(rig, 7) == [2, 3, 2, 3, 2, 3, 2]  # until worker1 has more, 65 requests to each later
    rig.weigh(1000, 999, 999)
    assert served(rig, 1) == [1]


@pytest.mark.parametrize("policy", balancer.POLICIES)
def test_a_full_house_chooses_as_the_model_does(rig: Rig, policy: str) -> None:
    """Of 128 backends, with any capacities and weights, drained ones among them, as they are taken and freed."""
    draws = random.Random(policy)
    capacity = [draws.choice((1, 2, 5, 65535)) for _ in range(MAX_BACKENDS)]
    rig.reset(backends=MAX_BACKENDS, capacity=capacity, policy=policy)
    model = Model(capacity, policy, rig.now().queue)
    for step in range(1200):
        if step % 300 == 0:
            weights = [draws.choice((0, 1, 1, 2, 7, 1000)) for _ in capacity]
            rig.weigh(*weights)
            model.weigh(*weights)
        worker = draws.randrange(MAX_BACKENDS) + 1
        sender = {"source": address_of(worker, 4), "ports": (1, COMPLETION)} if draws.random() < 0.4 else {}
        frame = frames.udp(b"", **sender)  # type: ignore[arg-type]
        run = rig.program.test_run(frame)
        expected = model.arrive(frame, run.packet)
        assert (run.verdict, run.packet) == (expected.verdict, expected.packet), step
    assert list(rig.now().free.values()) == model.free


def settings_only(rig: Rig, change: Callable[[Config], Config]) -> None:
    """Write settings as a command does that is killed before they hold."""
    before = Config.read(rig.pins)
    change(before).write(rig.pins)  # to have them in a whole form
    with Map.open(f"{rig.pins}/maps/config") as config:
        changed = config.get(FIRST)
        before.write(rig.pins)
        config.set(FIRST, changed)


@pytest.mark.parametrize("policy", balancer.POLICIES)
def test_settings_that_do_not_hold_yet_do_no_harm(rig: Rig, policy: str) -> None:
    """A command may be killed between writing weights and letting them hold: the role makes up for it."""
    rig.reset(capacity=4, policy=policy)
    settings_only(rig, lambda config: config.sharing({0: 0, 1: 7, 2: 7}))
    assert served(rig, 3).count(1) <= 1

    Healer(rig.pins).arrange()
    assert set(served(rig, 5)) == {2, 3}
    settings_only(rig, lambda config: config.sharing({0: 1, 1: 0, 2: 0}))
    Healer(rig.pins).arrange()
    assert set(served(rig, rig.free()[0])) == {1}


def test_a_policy_that_does_not_hold_yet_is_made_to(rig: Rig) -> None:
    """Random draws go on until then: not all of them to one worker."""
    rig.reset(backends=2, capacity=100, policy="random")
    settings_only(rig, lambda config: config._replace(policy="first-free"))
    assert set(served(rig, 40)) == {1, 2}

    Healer(rig.pins).arrange()
    assert set(served(rig, 40)) == {1}


def test_letting_settings_hold_that_do_changes_nothing(rig: Rig) -> None:
    """The role does so all the time: a row of turns goes on."""
    rig.reset(capacity=100, policy="round-robin")
    rig.weigh(3, 2, 1)
    healer, found = Healer(rig.pins), []
    for _ in range(24):
        found += served(rig, 1)
        healer.arrange()

    assert found == [1, 1, 1, 2, 2, 3] * 4


@pytest.mark.parametrize("policy", ["round-robin", "most-free"])
def test_choices_are_counted_anew_before_their_numbers_are_used_up(rig: Rig, policy: str) -> None:
    """Turns go on in order across that, and one that was last chosen ages ago is still the first."""
    rig.reset(backends=4, capacity=1000, policy=policy)
    rig.weigh(1, 1, 1, 0)
    served(rig, 3)
    last = (1 << 35) - 4
    rig.change("state", choices=last, chosen_at=(last - 2, last - 1, last, 1))
    healer, found = Healer(rig.pins), []
    for _ in range(12):
        healer.arrange()
        found += served(rig, 1)
    assert found == [1, 2, 3] * 4

    rig.weigh(1, 1, 1, 1)
    assert served(rig, 5)[:1] == [4]
    assert rig.state()["choices"] == (1 << 34) + 12 + 5 - 4


def test_random_has_the_odds_of_the_weights(rig: Rig) -> None:
    """Each gets its share of the requests, within five standard deviations."""
    weights = (1, 2, 5)
    rig.reset(capacity=DRAWS, policy="random")
    rig.weigh(*weights)
    drawn = served(rig, DRAWS)

    for worker, weight in enumerate(weights, 1):
        odds = weight / sum(weights)
        assert abs(drawn.count(worker) - odds * DRAWS) < 5 * (DRAWS * odds * (1 - odds)) ** 0.5


def test_random_draws_do_not_depend_on_the_one_before(rig: Rig) -> None:
    """Of two workers of equal weight, the same one follows itself in half of the draws."""
    rig.reset(backends=2, capacity=DRAWS, policy="random")
    drawn = served(rig, DRAWS)
    repeated = sum(one == other for one, other in pairwise(drawn))

    assert abs(repeated - DRAWS / 2) < 5 * (DRAWS / 4) ** 0.5


@pytest.mark.parametrize("policy", balancer.POLICIES)
def test_what_weighs_nothing_gets_nothing(rig: Rig, policy: str) -> None:
    """The others get all until they have no threads, and the rest waits."""
    rig.reset(capacity=3, policy=policy)
    rig.weigh(1, 0, 2)

    assert set(served(rig, 6)) == {1, 3}
    assert rig.push(request())[2] == "QUEUED"
    assert rig.free() == (0, 3, 0)


@pytest.mark.parametrize("policy", balancer.POLICIES)
def test_where_all_are_drained_requests_wait(rig: Rig, policy: str) -> None:
    """Beside free threads, until one weighs something again."""
    rig.reset(backends=2, capacity=2, policy=policy)
    rig.weigh(0, 0)
    assert [rig.push(request(str(number).encode()))[2] for number in range(3)] == ["QUEUED"] * 3
    assert rig.free() == (2, 2)

    rig.weigh(0, 1)
    assert rig.push(request(b"3"))[2] == "QUEUED"  # behind the others
    assert [rig.carry(2) for _ in range(2)] == [(PASS, addressed(request(b"%d" % number), 2)) for number in range(2)]
    assert rig.free() == (2, 0)


def test_what_waits_is_not_carried_by_what_weighs_nothing(rig: Rig) -> None:
    """Its completion frees the thread, and that is all; a carrier that is on its way already finds nothing."""
    rig.reset(backends=2, capacity=1)
    served(rig, 2)
    rig.push(request(b"waits"))
    assert rig.push(completion(1))[2] == "COMPLETION_CARRIED"
    rig.weigh(0, 1)

    assert rig.carry(1)[0] == DROP
    assert rig.carrier_counts() == {"CARRIER_EMPTY": 1}
    assert (rig.free(), rig.now().depth) == ((1, 0), 1)
    assert rig.push(completion(2))[::2] == (REDIRECT, "COMPLETION_CARRIED")
    assert rig.carry(2) == (PASS, addressed(request(b"waits"), 2))


def test_a_drained_worker_completes_what_it_has(rig: Rig) -> None:
    rig.reset(backends=2, capacity=1)
    served(rig, 2)
    rig.push(request(b"waits"))
    rig.weigh(0, 1)

    assert rig.push(completion(1))[::2] == (DROP, "COMPLETION_FREED")
    assert rig.push(completion(1))[2] == "COMPLETION_EXCESS"
    assert (rig.free(), rig.now().depth) == ((1, 0), 1)


def test_reports_of_what_weighs_nothing_carry_nothing(rig: Rig) -> None:
    rig.reset(backends=1, capacity=1, report_port=REPORTS)
    rig.push(report(1, 0, 0))
    served(rig, 1)
    rig.push(request())
    rig.weigh(0)

    assert rig.push(report(1, 1, 1))[::2] == (DROP, "REPORT_COMPLETION_LOST")
    assert (rig.free(), rig.now().depth) == ((1,), 1)


def test_the_healer_sends_carriers_to_those_that_weigh_something(rig: Rig) -> None:
    """The free threads of a drained worker are no reason to leave out those of another."""
    rig.reset(backends=2, capacity=2)
    rig.weigh(0, 0)
    for _ in range(2):
        rig.push(request())
    healer = Healer(rig.pins)
    assert healer.kick() == 0

    rig.weigh(0, 1)
    assert healer.kick() == 2
    counts = rig.counts()
    assert (counts["KICKED"].packets, counts["KICK_NEEDLESS"].packets) == (2, 0)


def test_a_kick_for_what_weighs_nothing_is_needless(rig: Rig) -> None:
    """Also where the weight changes between the look and the kick."""
    rig.reset(backends=1)
    rig.weigh(0)
    rig.push(request())
    with LoadedProgram.open(f"{rig.pins}/programs/kick_run") as kick:
        assert kick.test_run(bytes(completion(1))).verdict == DROP
        rig.weigh(1)
        assert kick.test_run(bytes(completion(1))).verdict == REDIRECT
