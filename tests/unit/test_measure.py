"""What the benchmark makes of what its jobs take, and of what they find."""

from tests.bench.measure import Job, interleave


def test_groups_take_turns_and_what_jobs_find_is_kept() -> None:
    """Each round begins with another group; a job may have figures of its own beside its time."""
    order: list[str] = []

    def up(name: str) -> dict[str, float]:
        order.append(name)
        return {"memory": float(len(order))}

    groups = [
        [Job("one", "up", lambda: up("one")), Job("one", "down", lambda: None)],
        [Job("two", "up", lambda: up("two"))],
    ]
    samples = interleave(groups, 2, settle_s=0)

    assert order == ["one", "two", "two", "one"]
    assert {name: set(found) for name, found in samples.items()} == {
        "one": {"up", "down", "memory"},
        "two": {"up", "memory"},
    }
    assert samples["one"]["memory"] == [1.0, 4.0]
    assert all(value >= 0 for value in samples["one"]["up"])
