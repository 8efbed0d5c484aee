"""What the compiler has made is found again while nothing that it was made from has changed, and only then."""

import hashlib
import json
import os
import resource
from pathlib import Path

import pytest

from netlab import paths
from netlab.errors import UsageError
from netlab.programs import cache
from netlab.programs.compiled import Code, Compiled, MapShape

MADE = Compiled(
    b"GPL",
    b"\x9f\xeb types",
    (MapShape("inner", 14, 4, 8, 2, 0, 0, 0), MapShape("outer", 12, 4, 4, 128, 0, 3, 7, "inner")),
    (Code("pass", bytes(range(16)), {0: "outer"}, 0), Code("egress_devmap", bytes(8), {}, 33)),
)
LONG_AGO = 1_000_000_000.0
NAMES = [digit * 64 for digit in "abc"]  # as `key` makes them


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, which is not made yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv(paths.CACHE_VARIABLE, str(folder))
    return folder


@pytest.fixture
def header(tmp_path: Path) -> Path:
    """A header that has been as it is for long."""
    path = tmp_path / "a header #1.h"
    path.write_text("#define ONE 1\n")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def rule(*paths: Path | str) -> str:
    """Return what the compiler writes about a file that includes these."""
    escaped = (str(path).replace(" ", r"\ ").replace("#", r"\#").replace("$", "$$") for path in paths)
    return "main.o: /virtual/main.c " + " \\\n  ".join(escaped) + "\n"


def keep(name: str, *paths: Path | str, beside: str = "/", began: float = LONG_AGO + 60) -> None:
    """Keep what was made of a file that includes these."""
    cache.keep(name, MADE, rule(*paths), beside, began)


def find(name: str, *notes: str) -> cache.Made | None:
    """Return what is found, and expect these notes about it."""
    told: list[str] = []
    found = cache.find(name, told.append)
    for note, expected in zip(told, notes, strict=True):
        assert expected in note
    return found


def test_what_is_kept_is_found(header: Path) -> None:
    """Everything that was put in comes out."""
    keep("one", header)

    assert find("one") == MADE
    assert find("other") is None


def test_a_header_that_has_changed_counts(header: Path) -> None:
    """What was made from another header is not what this one would make."""
    keep("one", header)
    header.write_text("#define ONE 2\n")

    assert find("one") is None


def test_a_header_that_has_gone_counts(header: Path) -> None:
    """The compiler would not find it either."""
    keep("one", header)
    header.unlink()

    assert find("one") is None


def test_relative_paths_are_from_where_the_compiler_ran(header: Path) -> None:
    """bcc runs the compiler in the folder of the kernel's headers."""
    keep("one", header.name, beside=str(header.parent))

    assert find("one") == MADE


def test_a_header_in_the_cache_is_netlabs_own(home: Path, header: Path) -> None:
    """Such as the types of a kernel, made a moment ago: the kernel is in the key."""
    types = home / "kernel-1" / "vmlinux.h"
    types.parent.mkdir(parents=True)
    types.write_text("int x;")
    keep("one", header, types, began=types.stat().st_mtime - 60)

    assert find("one")


def test_a_header_that_was_written_meanwhile_is_not_trusted(header: Path) -> None:
    """It may have been read before the change."""
    keep("one", header, began=LONG_AGO)

    assert find("one") is None


@pytest.mark.parametrize("damage", ["", "{}", "\xff", "half", "{before}x"])
def test_a_damaged_entry_is_as_if_it_were_not_there(home: Path, header: Path, damage: str) -> None:
    """It is removed; the compiler makes a new one."""
    keep("one", header)
    before = (home / "one").read_text()
    shown = {"half": before[: len(before) // 2], "{before}x": f"{before}x"}.get(damage, damage)
    (home / "one").write_text(shown, encoding="latin-1")

    assert find("one", "one is not used, because it is damaged") is None
    assert os.listdir(home) == []


@pytest.mark.parametrize(
    "change",
    [
        {"programs": None},
        {"programs": [["pass", "****", {}, 0]]},
        {"programs": [["pass", "", {"0": "outer"}, 0]]},
        {"programs": [["pass", "AAAAAAAAAAA=", {"0": "nobody"}, 0]]},
        {"programs": [["pass", "AAAAAAAAAAA=", {}, -1]]},
        {"maps": [["inner", 14]]},
        {"maps": [["inner", "14", 4, 8, 2, 0, 0, 0, ""]]},
        {"maps": [[7, 14, 4, 8, 2, 0, 0, 0, ""]]},
        {"headers": 7},
        {"license": 7},
    ],
    ids=str,
)
def test_an_entry_of_another_form_is_as_if_it_were_not_there(
    home: Path, header: Path, change: dict[str, object]
) -> None:
    """Whole as it is; such as one of a netlab of another age."""
    keep("one", header)
    text = json.dumps({**json.loads((home / "one").read_text().split("\n")[1]), **change})
    (home / "one").write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}")

    assert find("one", "one is not used, because it is damaged") is None
    assert os.listdir(home) == []


def test_an_entry_that_others_could_change_is_not_used(home: Path, header: Path) -> None:
    """It stays, for somebody to look at."""
    keep("one", header)
    (home / "one").chmod(0o666)

    assert find("one", "one is not used, because others can write to it (mode 666)") is None
    assert os.listdir(home) == ["one"]


def test_an_entry_is_no_link_and_no_pipe(home: Path, header: Path) -> None:
    """Neither is followed, or waited for."""
    keep("one", header)
    (home / "one").rename(home / "real")
    (home / "one").symlink_to("real")
    os.mkfifo(home / "two", 0o600)

    assert find("one") is None
    assert find("two", "two is not used, because it is no file") is None


@pytest.mark.root
@pytest.mark.parametrize("whose", ["", "one"])
def test_what_belongs_to_another_user_is_not_used(home: Path, header: Path, whose: str) -> None:
    """Be it the folder, be it the entry."""
    keep("one", header)
    os.chown(home / whose, 65534, 65534)

    assert find("one", "is not used, because it belongs to user 65534") is None


def test_nothing_is_kept_where_others_can_write(home: Path, header: Path) -> None:
    """They could put there what they like."""
    keep("one", header)
    home.chmod(0o777)
    keep("two", header)

    assert find("one", "is not used, because others can write to it (mode 777)") is None
    assert os.listdir(home) == ["one"]


def test_a_cache_in_a_folder_of_others_is_not_used(home: Path, header: Path) -> None:
    """They could put another in its place; nor is one made there."""
    keep("one", header)
    home.parent.chmod(0o777)

    assert find("one", f"is not used, because others can write to {home.parent} (mode 777)") is None
    home.rename(home.with_name("before"))
    keep("two", header)
    assert not home.exists()


def test_a_cache_is_no_link(home: Path, header: Path, tmp_path: Path) -> None:
    """Somebody else may say where it leads."""
    (tmp_path / "elsewhere").mkdir(0o700)
    home.symlink_to(tmp_path / "elsewhere")
    keep("one", header)

    assert find("one", "is not used, because it is no folder, but a link") is None
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_relative_path_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.CACHE_VARIABLE, "cache")

    with pytest.raises(UsageError, match="NETLAB_CACHE is 'cache': expected the absolute path"):
        paths.cache_folder()


def test_a_full_disk_loses_the_entry_and_nothing_else(home: Path, header: Path) -> None:
    """No part of it is left."""
    keep("one", header)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # EFBIG in the place of ENOSPC
    try:
        keep("two", header)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert os.listdir(home) == ["one"]
    assert find("one") == MADE


def test_what_is_not_the_caches_own_stays(home: Path, header: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may have named a folder that is not empty."""
    monkeypatch.setattr("netlab.programs.cache.ENTRIES", 0)
    home.mkdir(0o700)
    (home / "thesis.tex").write_text("three years")
    keep(NAMES[0], header)

    assert os.listdir(home) == ["thesis.tex"]


def test_without_a_writable_cache_nothing_is_kept(home: Path, header: Path) -> None:
    """Nothing fails for want of a cache."""
    home.write_text("a file")
    keep("one", header)

    assert find("one", "is not used, because it is no folder") is None


def test_a_cache_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an empty name."""
    monkeypatch.setenv(paths.CACHE_VARIABLE, "")

    assert paths.cache_folder() == ""


def test_what_was_not_used_for_longest_goes_first(home: Path, header: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To find an entry is to use it."""
    monkeypatch.setattr("netlab.programs.cache.ENTRIES", 2)
    old, new, third = NAMES
    for age, name in enumerate((new, old)):
        keep(name, header)
        os.utime(home / name, (LONG_AGO - age, LONG_AGO - age))
    assert find(old)
    keep(third, header)

    assert sorted(os.listdir(home)) == sorted([old, third])


def test_only_root_may_read_it(home: Path, header: Path) -> None:
    """Whoever could write there could load programs."""
    keep("one", header)

    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "one").stat().st_mode & 0o777 == 0o600


def test_all_that_a_compilation_depends_on_is_in_the_name(tmp_path: Path) -> None:
    """The source, where it stands, the options, and the headers beside it, which might hide others."""
    path = str(tmp_path / "a.c")
    names = {cache.key(path, b"int x;", ["-DA=1"])}
    names.add(cache.key(path, b"int y;", ["-DA=1"]))
    names.add(cache.key(path, b"int x;", ["-DA=2"]))
    names.add(cache.key(str(tmp_path / "b.c"), b"int x;", ["-DA=1"]))
    (tmp_path / "new.h").write_text("")
    names.add(cache.key(path, b"int x;", ["-DA=1"]))

    assert len(names) == 5
    assert cache.key(path, b"int x;", ["-DA=1"]) in names


def test_the_compiler_is_in_the_name(tmp_path: Path) -> None:
    """Its path, and what it links to: both may be links to one program, which acts by its name."""
    for version in ("clang-14", "clang-16"):
        (tmp_path / version).write_text("")
        os.utime(tmp_path / version, (LONG_AGO, LONG_AGO))
    compilers = [tmp_path / "clang", tmp_path / "ccache-clang"]
    names = set()
    for version in ("clang-14", "clang-16"):
        for compiler in compilers:
            compiler.unlink(missing_ok=True)
            compiler.symlink_to(version)
            names.add(cache.key(str(tmp_path / "a.c"), b"int x;", [], str(compiler)))

    assert len(names) == 4


def test_entries_are_plain_text(home: Path, header: Path) -> None:
    """What is read back is data and never code."""
    keep("one", header)

    entry = json.loads((home / "one").read_text().split("\n")[1])

    assert set(entry) == {
        "license",
        "btf",
        "maps",
        "programs",
        "headers",
    }
