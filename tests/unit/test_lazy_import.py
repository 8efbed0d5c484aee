"""Stand-ins for modules: what runs when, and that all other code finds the modules as ever."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netlab import lazy_import

NAME = "lazily_tested"


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of two modules, either of which leaves a trace when its code runs."""
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "__init__.py").write_text(f"from {NAME}.part import answer\nname = 'whole'\nasked = __name__\n")
    (folder / "part.py").write_text("def answer():\n    return 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in (NAME, f"{NAME}.part"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_a_part_comes_without_the_whole() -> None:
    lazy_import.module(NAME)
    from lazily_tested.part import answer  # type: ignore[import-not-found]

    assert answer() == 42
    assert "name" not in vars(sys.modules[NAME])


def test_what_is_asked_for_and_unknown_runs_the_code_in_the_same_module() -> None:
    lazy_import.module(NAME, asked="known before")
    import lazily_tested  # type: ignore[import-not-found]

    assert lazily_tested.asked == "known before"
    assert (lazily_tested.name, lazily_tested.asked, lazily_tested.answer()) == ("whole", NAME, 42)
    assert sys.modules[NAME] is lazily_tested
    assert not hasattr(lazily_tested, "no_such_thing")


def test_two_threads_that_ask_at_once_both_get_it(tmp_path: Path) -> None:
    """The second waits for the code, which the first one runs; the code itself may ask what is not there yet."""
    code = "import sys\nnone = getattr(sys.modules[__name__], 'late', 'none yet')\n"
    code += "begun.set()\nend.wait(60)\nlate = 'there'\n"
    (tmp_path / NAME / "__init__.py").write_text(code)
    begun, end = threading.Event(), threading.Event()
    lazy_import.module(NAME, begun=begun, end=end)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(sys.modules[NAME].late)) for _ in range(2)]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    end.set()
    for thread in threads:
        thread.join(60)

    assert found == ["there", "there"]
    assert sys.modules[NAME].none == "none yet"


def test_what_is_postponed_is_there_for_others_as_ever() -> None:
    """A module that was loaded meanwhile keeps the stand-in, which knows what it was told and asks for the rest."""
    with lazy_import.postponed(NAME, name="known before"):
        import lazily_tested as early
    untouched = NAME not in sys.modules
    import lazily_tested as late

    assert untouched
    assert (early.name, late.name) == ("known before", "whole")
    assert early.answer is late.answer


def test_what_is_postponed_and_used_at_once_is_imported_at_once() -> None:
    with lazy_import.postponed(NAME):
        import lazily_tested

        assert lazily_tested.name == "whole"
        import lazily_tested.part
    import lazily_tested as late

    assert late is lazily_tested


def test_a_known_name_of_a_postponed_module_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`from` asks any module for its path first; only a package has one."""
    (tmp_path / "lazily_alone.py").write_text("name = 'whole'\nother = 'too'\n")
    monkeypatch.delitem(sys.modules, "lazily_alone", raising=False)
    with lazy_import.postponed("lazily_alone", name="known before"):
        from lazily_alone import name  # type: ignore[import-not-found]

        untouched = "lazily_alone" in sys.modules
        from lazily_alone import other

    assert untouched
    assert (name, other) == ("known before", "too")


def test_a_module_of_a_postponed_package_is_imported() -> None:
    with lazy_import.postponed(NAME):
        from lazily_tested import part
        from lazily_tested.part import answer

    assert part.answer is answer


def test_what_is_there_already_is_not_replaced() -> None:
    import lazily_tested as first

    with lazy_import.postponed(NAME, name="unused"):
        lazy_import.module(NAME, name="unused")
        import lazily_tested as second

    assert first is second
    assert second.name == "whole"


def test_a_library_laid_out_otherwise_is_imported_whole() -> None:
    def load() -> object:
        import lazily_tested

        return lazily_tested.name.upper()

    @contextmanager
    def stand_ins() -> Iterator[None]:
        lazy_import.module(NAME, name=None)
        yield

    assert lazy_import.imported(NAME, stand_ins, load) == "WHOLE"
