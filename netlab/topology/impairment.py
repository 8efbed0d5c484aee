"""What one direction of a link does to the packets that it carries, as values: what topology, plan and record have.

Times are in nanoseconds, rates in bits per second, chances in millionths (1 % is 10,000).
"""

from netlab.named_tuple import NamedTuple

MILLION = 1_000_000
MAX_SEED = (1 << 32) - 1
# How packets are chosen.
INDEPENDENT, BURSTS, EVERY, NUMBERS = "independent", "gilbert-elliott", "every", "numbers"


class Choice(NamedTuple):
    """Which packets something happens to: by a model.

    - `independent`: each, with the chance `chance`.
    - `gilbert-elliott`: two states, good and bad. Before each packet, a good one turns bad with the chance `worsens`, a
      bad one good with the chance `recovers`; it happens to a packet with the chance `chance` in the good state, and
      `bad_chance` in the bad one. (E. N. Gilbert, "Capacity of a Burst-Noise Channel", 1960; E. O. Elliott, 1963.)
    - `every`: to each packet whose number is a multiple of `every`.
    - `numbers`: to the packets with these numbers, in ascending order.

    Each flow has numbers of its own, from 1, so that nothing else that passes shifts them: a flow is what goes from one
    address to another by one protocol and one service's port (`chosen_packets.Flow`). What hosts send on their own
    (ARP, ND, MLD, IGMP, all that is no IP) has flows of its own, to which `every` and `numbers` do not apply. An empty
    `model` chooses no packet.
    """

    model: str = ""
    chance: int = 0
    worsens: int = 0
    recovers: int = 0
    bad_chance: int = 0
    every: int = 0
    numbers: tuple[int, ...] = ()


NONE = Choice()


class Impairment(NamedTuple):
    """What one direction of a link does to packets, in this order: loss, corruption, duplicates, delay, rate.

    `delay_ns` holds each packet up; `jitter_ns` is how much more or less at most, evenly spread. Without `reorder`
    packets stay in their order. Those that `reorder` chooses are not held up, so they overtake others. `rate` is in
    bits per second (0: no limit), and `queue_bytes` how much may wait for it (0: as long as the rate needs for 50 ms,
    and 16 packets at least). `seed` decides all choices: the same packets of the same flow are chosen each time. Both
    directions of a link may have one seed, as their flows differ. Links one behind the other should have different
    ones, or each loses packets of the same numbers.
    """

    delay_ns: int = 0
    jitter_ns: int = 0
    loss: Choice = NONE
    duplicate: Choice = NONE
    reorder: Choice = NONE
    corrupt: Choice = NONE
    rate: int = 0
    queue_bytes: int = 0
    seed: int = 0

    @property
    def is_none(self) -> bool:
        """Whether packets are carried as by a plain link: the seed alone changes nothing."""
        return self._replace(seed=0) == PLAIN


PLAIN = Impairment()


def seed(written: int, copy: int, side: int) -> int:
    """Return the seed of one direction of one of the links that are made of one in the file.

    `side` is 0 for what the first end sends; `written` is the seed of both directions of all of them. The first
    direction of the first link has that one itself, all others have others.
    """
    at = 2 * copy + side
    return scattered(written + (at << 32)) if at else written


def scattered(number: int) -> int:
    """Return a seed that a number gives: neighbours give seeds that have nothing in common (splitmix64)."""
    mask = (1 << 64) - 1
    mixed = (number + 0x9E3779B97F4A7C15) & mask
    mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & mask
    mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & mask
    return (mixed ^ mixed >> 31) & MAX_SEED or 1


def seed_named(text: str) -> int:
    """Return the seed of a direction for which none is written: its text, the names of its ends, gives it."""
    return scattered(int.from_bytes(text.encode()) % ((1 << 61) - 1))
