import os
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from netlab import paths
from netlab.errors import NetlabError
from netlab.supervise import log_reader, logs
from netlab.supervise.logs import LogLine
from netlab.supervise.pipe import Pipe
from netlab.testing.waiting import PATIENCE_S

Folder = str


@pytest.fixture
def folder(tmp_path: object) -> Folder:
    os.mkdir(f"{tmp_path}/logs")
    return str(tmp_path)


def write(folder: Folder, node: str, *lines: tuple[int, str, str], limit: int = logs.FILE_LIMIT) -> None:
    writer = logs.Writer(paths.log(folder, node), limit)
    for ns, stream, text in lines:
        writer.write(ns, logs.entry(ns, stream, text))


def test_lines_of_several_nodes_come_in_the_order_of_time(folder: Folder) -> None:
    write(folder, "a", (1, "out", "one"), (4, "err", "four"))
    write(folder, "b", (2, "note", "two"), (3, "out", "three"))

    lines = list(logs.read(folder, ["a", "b", "silent"]))

    assert [
        LogLine(1, "a", "out", "one"),
        LogLine(2, "b", "note", "two"),
        LogLine(3, "b", "out", "three"),
        LogLine(4, "a", "err", "four"),
    ] == lines


def test_the_trace_names_its_node_and_merges_with_the_logs(folder: Folder) -> None:
    write(folder, "lb", (2, "out", "READY"))
    writer = logs.Writer(f"{folder}/{paths.TRACE_LOG}")
    writer.write(3, b"1 trace lab1/lb: request\n3 trace lab1/lb completion of w1\n4 lost 7 lines lost\n")

    lines = list(logs.read(folder, ["lb"], trace=True))

    assert [
        LogLine(1, "lb", "trace", "request"),
        LogLine(2, "lb", "out", "READY"),
        LogLine(3, "lb", "trace", "completion of w1"),
        LogLine(4, "", "lost", "7 lines lost"),
    ] == lines


def test_a_node_called_trace_has_a_log_of_its_own(folder: Folder) -> None:
    assert paths.log(folder, "trace") != f"{folder}/{paths.TRACE_LOG}"


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"caf\xc3\xa9\tx", "café\tx"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"\x1b[2Jgone\x00", "\\x1b[2Jgone\\x00"),
        (b"dos\r", "dos"),
        (b"", ""),
        (b"  two  blanks  ", "  two  blanks  "),
        (b"5 out forged", "5 out forged"),
    ],
)
def test_what_was_printed_is_shown_without_harm_to_a_terminal(folder: Folder, printed: bytes, shown: str) -> None:
    [(ns, stream, text)] = Pipe(b"out").take(printed + b"\n", 0, 5)
    logs.Writer(paths.log(folder, "a")).write(5, b"%d %s %s\n" % (ns, stream, text))

    assert [LogLine(5, "a", "out", shown)] == list(logs.read(folder, ["a"]))


def test_a_line_without_an_end_is_cut_and_costs_no_more_memory_than_a_piece() -> None:
    pipe = Pipe(b"out")
    pieces = []
    for _ in range(100):
        pieces += list(pipe.take(b"x" * 10_000, 0, 1))
        assert len(pipe.rest) < 1 << 14
    [last] = pipe.take(b"end\n", 0, 2)

    assert b"".join(text for _, _, text in pieces) + last[2] == b"x" * 1_000_000 + b"end"
    assert {stream for _, stream, _ in pieces} == {b"out+"}


def test_the_last_line_needs_no_newline() -> None:
    pipe = Pipe(b"err")
    assert list(pipe.take(b"a\nb", 0, 1)) == [(1, b"err", b"a")]
    assert list(pipe.take(b"", 0, 2)) == [(2, b"err", b"b")]
    assert list(pipe.take(b"", 0, 3)) == []


def test_a_role_says_when_it_printed_a_line() -> None:
    """The supervisor may read it late, after the kernel has traced what the role did next."""
    assert list(Pipe(b"out", stamped=True).take(b"@70 sent\nplain\n", 60, 90)) == [
        (70, b"out", b"sent"),
        (90, b"out", b"plain"),
    ]


def test_times_in_a_log_never_go_back() -> None:
    lines = Pipe(b"out", stamped=True).take(b"@70 a\n@50 b\n@80 c\n", 60, 90)

    assert [ns for ns, _, _ in lines] == [70, 70, 80]


@pytest.mark.parametrize(
    "text", [b"@91 from the future", b"@x no number", b"@", b"@ ", b"@9", b"@" + b"9" * 30 + b" long", b" @70 later"]
)
def test_a_line_that_only_looks_stamped_is_kept_as_it_is(text: bytes) -> None:
    assert list(Pipe(b"out", stamped=True).take(text + b"\n", 60, 90)) == [(90, b"out", text)]


def test_an_old_stamp_is_text() -> None:
    now = 10**15
    [(ns, _, text)] = Pipe(b"out", stamped=True).take(b"@%d x\n" % (now - 61 * 10**9), 60, now)

    assert (ns, text) == (now, b"@%d x" % (now - 61 * 10**9))


def test_a_command_of_the_user_is_not_taken_for_a_role() -> None:
    assert list(Pipe(b"out").take(b"@70 sent\n", 60, 90)) == [(90, b"out", b"@70 sent")]


def test_a_cut_line_says_so(folder: Folder) -> None:
    logs.Writer(paths.log(folder, "a")).write(1, b"1 out+ begin\n2 out end\n")

    assert [(line.text, line.cut) for line in logs.read(folder, ["a"])] == [("begin", True), ("end", False)]


def test_rubbish_in_a_log_is_passed_over(folder: Folder) -> None:
    logs.Writer(paths.log(folder, "a")).write(1, b"\n\x00\xff\nout x\n1 out\n1 out good\n2 out half a li")

    assert ["good"] == [line.text for line in logs.read(folder, ["a"])]


def test_a_log_keeps_the_newest_lines_and_does_not_outgrow_twice_its_limit(folder: Folder) -> None:
    write(folder, "a", *((at, "out", f"line {at}") for at in range(1000)), limit=1000)

    sizes = [os.path.getsize(f"{folder}/logs/{name}") for name in os.listdir(f"{folder}/logs")]
    found = [line.ns for line in logs.read(folder, ["a"])]

    assert max(sizes) <= 1000
    assert len(sizes) == 2
    assert found == list(range(1000 - len(found), 1000))
    assert len(found) > 50


def test_a_log_that_begins_while_it_is_looked_for_is_read_once(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def begins(self: object, path: str) -> int:
        monkeypatch.undo()
        write(folder, "a", (1, "out", "one"))
        return 0

    monkeypatch.setattr(log_reader.File, "_inode", begins)

    assert ["one"] == [line.text for line in logs.read(folder, ["a"])]


def test_the_tail_is_what_the_node_itself_printed(folder: Folder) -> None:
    write(folder, "a", *((at, "out", f"line {at}") for at in range(10_000)), (10_000, "note", "exited with code 1"))

    assert ["line 9998", "line 9999"] == logs.tail(folder, "a", 2)
    assert [] == logs.tail(folder, "nobody", 2)


def test_lines_that_find_no_room_are_counted_and_never_torn(tmp_path: object) -> None:
    full = logs.Writer("/dev/full")
    full.write(1, b"1 out a\n2 out b\n")
    assert full.lost == 2

    full.path = f"{tmp_path}/room"
    full.write(3, b"3 out c\n")

    with open(full.path, "rb") as file:
        assert file.read() == b'3 note=12 2 lines lost here: no room for the log{"count": 2}\n3 out c\n'
    assert full.lost == 0


def test_a_removed_lab_is_no_error_for_the_writer(folder: Folder) -> None:
    writer = logs.Writer(f"{folder}/nowhere/a.log")
    writer.write(1, b"1 out a\n")

    assert writer.lost == 1


class Follower:
    """Reads in a thread, so that a test can wait for lines with a deadline."""

    def __init__(self, lines: Iterator[LogLine]) -> None:
        self.seen: list[LogLine] = []
        self._thread = threading.Thread(target=self._run, args=(lines,), daemon=True)
        self._thread.start()

    def _run(self, lines: Iterator[LogLine]) -> None:
        for line in lines:
            self.seen.append(line)

    def wait(self, count: int) -> list[str]:
        deadline = time.monotonic() + PATIENCE_S
        while len(self.seen) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        return [line.text for line in self.seen]

    def end(self) -> bool:
        self._thread.join(PATIENCE_S)
        return not self._thread.is_alive()


def test_following_shows_what_was_there_and_what_comes_until_the_lab_goes(folder: Folder) -> None:
    now = time.monotonic_ns()
    write(folder, "a", (now, "out", "before"))
    follower = Follower(logs.read(folder, ["a", "late"], follow=True))
    assert follower.wait(1) == ["before"]

    write(folder, "late", (time.monotonic_ns(), "out", "new file"))
    assert follower.wait(2) == ["before", "new file"]

    write(folder, "a", (time.monotonic_ns(), "out", "last"))
    os.rename(f"{folder}/logs", f"{folder}/gone")
    assert follower.end()
    assert follower.wait(3) == ["before", "new file", "last"]


def test_following_goes_through_a_change_of_files_without_losing_a_line(folder: Folder) -> None:
    write(folder, "a", (0, "out", "0"))
    follower = Follower(logs.read(folder, ["a"], follow=True))
    follower.wait(1)
    for at in range(1, 400):
        write(folder, "a", (time.monotonic_ns(), "out", str(at)), limit=4000)
        if at % 50 == 0:  # slower than a reader that looks every 50 ms may miss a whole file
            follower.wait(at)

    assert follower.wait(400) == [str(at) for at in range(400)]
    os.rename(f"{folder}/logs", f"{folder}/gone")
    assert follower.end()


def test_the_last_lines_of_all_nodes_together(folder: Folder) -> None:
    write(folder, "a", *((at, "out", f"line {at}") for at in range(0, 10, 2)))
    write(folder, "b", *((at, "out", f"line {at}") for at in range(1, 10, 2)))

    for count, expected in ((3, [7, 8, 9]), (0, []), (99, list(range(10)))):
        assert [f"line {at}" for at in expected] == [line.text for line in logs.read(folder, ["a", "b"], last=count)]


@pytest.mark.parametrize("end", [b"", b"7 out half a li"])
@pytest.mark.parametrize("rubbish", [b"", b"no line of a log\n", b"x" * 200_000 + b"\n"])
def test_the_last_lines_are_found_from_the_end(folder: Folder, rubbish: bytes, end: bytes) -> None:
    """However many bytes they take, over both files of a node; what is no line does not count."""
    lines = [b"%d out %d%s\n" % (at, at, b"-" * (at * 37 % 9000)) for at in range(200)]
    with open(paths.log(folder, "a") + ".1", "wb") as file:
        file.write(b"".join(lines[:120]) + rubbish)
    with open(paths.log(folder, "a"), "wb") as file:
        file.write(b"".join(lines[120:150]) + rubbish + b"".join(lines[150:]) + end)

    for count in (0, 1, 2, 49, 50, 51, 79, 80, 81, 120, 199, 200, 201, 10**30):
        assert [line.ns for line in logs.read(folder, ["a"], last=count and min(count, sys.maxsize))] == list(
            range(max(0, 200 - count), 200)
        )


def test_the_last_lines_of_long_logs_are_read_from_the_end(folder: Folder) -> None:
    """Of two hundred megabytes, which are holes here, no more is read than they take."""
    for node in ("a", "b"):
        with open(paths.log(folder, node), "wb") as file:
            file.truncate(100 << 20)
            file.seek(0, os.SEEK_END)
            file.write(b"\n" + b"".join(b"%d out %s %d\n" % (at, node.encode(), at) for at in range(10_000)))
    before = read_so_far()
    found = [line.text for line in logs.read(folder, ["a", "b"], last=3)]

    assert found == ["b 9998", "a 9999", "b 9999"]
    assert read_so_far() - before < 1 << 20


def read_so_far() -> int:
    """Return how many bytes this process has read."""
    with open("/proc/self/io", encoding="ascii") as file:
        return int(dict(line.split(": ") for line in file)["rchar"])


def test_one_write_of_more_than_the_limit_does_not_pass_it(folder: Folder) -> None:
    """A flood of short lines comes as hundreds of kilobytes at once: the newest are kept."""
    path = paths.log(folder, "a")
    logs.Writer(path, 1000).write(999, b"".join(logs.entry(at, "out", "y") for at in range(1000)))

    assert os.path.getsize(path) <= 1000
    assert os.path.getsize(path + ".1") <= 1000
    assert [line.ns for line in logs.read(folder, ["a"])][-1] == 999
    assert len(list(logs.read(folder, ["a"]))) > 100


@pytest.mark.parametrize(("count", "room"), [(1, 8 << 30), (1, 1 << 20), (1000, 16 << 20), (1000, 300 << 20)])
def test_all_logs_together_have_room_in_their_folder(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, count: int, room: int
) -> None:
    """Half of it, so that all else finds some, also where many nodes share little; each is a page at least."""
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((4096, 4096, room >> 12, 0, 0, 0, 0, 0, 0, 255)))
    limit = logs.limit_for(count, folder)

    assert limit == logs.FILE_LIMIT or room // 2 - 2 * count * 4096 < 2 * count * limit <= room // 2
    assert logs.limit_for(10**9, folder) == 4096


def test_a_line_longer_than_a_file_may_be_is_counted(folder: Folder) -> None:
    """Whatever is written, and with the note on what is lost, no file passes its limit."""
    writer = logs.Writer(paths.log(folder, "a"), 200)
    for at in range(40):
        writer.write(at, logs.entry(at, "out", "y" * (300 if at % 3 else 80)))

        assert os.path.getsize(paths.log(folder, "a")) <= 200
    lines = list(logs.read(folder, ["a"]))

    assert {line.text for line in lines if line.stream == "out"} == {"y" * 80}
    assert lines[-2].text == "2 lines lost here: no room for the log"


def test_a_log_that_is_a_pipe_keeps_nobody(folder: Folder) -> None:
    os.mkfifo(paths.log(folder, "a"))
    logs.Writer(paths.log(folder, "a")).write(1, logs.entry(1, "out", "x"))

    assert logs.tail(folder, "a", 5) == []
    with pytest.raises(NetlabError, match=r"cannot read the log .*no regular file"):
        list(logs.read(folder, ["a"]))


def test_following_begins_with_the_last_lines(folder: Folder) -> None:
    """Old ones, and those of a moment ago, which other nodes' lines may still come before."""
    write(folder, "a", (0, "out", "old"), (1, "out", "older than the last two"), (2, "out", "second to last"))
    write(folder, "a", (time.monotonic_ns(), "out", "last"))
    follower = Follower(logs.read(folder, ["a"], last=2, follow=True))
    assert follower.wait(2) == ["second to last", "last"]

    write(folder, "a", (time.monotonic_ns(), "out", "new"))
    assert follower.wait(3) == ["second to last", "last", "new"]
    os.rename(f"{folder}/logs", f"{folder}/gone")
    assert follower.end()


def test_following_orders_the_lines_of_different_nodes(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "a", (0, "out", "start"))
    follower = Follower(logs.read(folder, ["b", "a"], follow=True))
    follower.wait(1)
    now = time.monotonic_ns()
    with monkeypatch.context() as patch:
        patch.setattr(logs, "_SETTLE_NS", 1 << 60)  # however long it takes until all are in their files
        write(folder, "b", (now + 2, "out", "second"))
        write(folder, "a", (now + 1, "out", "first"), (now + 3, "out", "third"))

    assert follower.wait(4) == ["start", "first", "second", "third"]
    os.rename(f"{folder}/logs", f"{folder}/gone")
    assert follower.end()


def test_another_lab_of_the_same_name_ends_the_following(folder: Folder) -> None:
    write(folder, "a", (0, "out", "start"))
    follower = Follower(logs.read(folder, ["a"], follow=True))
    follower.wait(1)
    os.rename(f"{folder}/logs", f"{folder}/gone")
    os.mkdir(f"{folder}/logs")
    assert follower.end()


def test_following_a_lab_without_a_folder_is_an_error_in_words(tmp_path: object) -> None:
    with pytest.raises(NetlabError, match="no logs"):
        list(logs.read(f"{tmp_path}/none", ["a"], follow=True))
