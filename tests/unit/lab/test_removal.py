"""What is left of labs whose record has gone: told by their names, and never taken for gone where nobody can know."""

import pytest

from netlab.errors import HostError, NetlabError
from netlab.lab import apply


def test_all_labs_go_but_those_that_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails does not keep the others; in the end it is named, with its reason."""
    errors = {"first": HostError("no engine"), "third": OSError(28, "disk full")}
    asked: list[str] = []
    said: list[str] = []

    def down(lab: str, _: apply.Say) -> None:
        asked.append(lab)
        if lab in errors:
            raise errors[lab]

    monkeypatch.setattr(apply, "down", down)
    monkeypatch.setattr(
        "netlab.lab.removal.labs_with_leftovers", lambda containers: ["first", "second", "third", "fourth"]
    )

    with pytest.raises(NetlabError, match="not removed, for the reasons above: first, third") as raised:
        apply.down_all(said.append)

    assert 1 == raised.value.exit_code
    assert ["first", "second", "third", "fourth"] == asked
    assert ["no engine" in said[0], "disk full" in said[1]] == [True, True]
