"""How long it takes until part B is ready, beside five containers that do nothing."""

from tests.bench import contenders, engine
from tests.bench.compare import DOWN, UP, compare
from tests.bench.measure import Aim, Part, Table


def part_b(rounds: int) -> Table:
    """Compare part B, its program attached and its roles ready, with five containers that do nothing."""
    title = "Part B, ready"
    units = dict.fromkeys((UP, DOWN), "ms")
    ours = contenders.netlab("netlab", contenders.PART_B, ["client", "true"])
    try:
        with engine.engine() as environment:
            theirs = contenders.compose(environment, engine.IMAGE)
            aims = (Aim(UP, "netlab", theirs.name, 1 / 2),)
            return Table(title, units, compare([ours, theirs], rounds), aims)
    except engine.EngineError as error:
        return Table(title, units, compare([ours], rounds), (), (f"docker-compose: {error}",))


def measure(quick: bool) -> Part:
    """Measure all of it."""
    return Part("Part B ready", (), (part_b(2 if quick else 7),))
