"""What the supervisor has written down, whole or not."""

import os
from pathlib import Path

import pytest

from netlab.supervise import client, state

STARTED = (
    f'{{"process": "a", "pid": {os.getpid()}, "start_ticks": 1, "started_ns": 5, "argv": ["x"], "awaits_ready": false}}'
)
NODES = '{"processes": ["a", "b"], "ns": 1}'


def written(folder: Path, *lines: str) -> str:
    (folder / "processes").write_text("".join(f"{line}\n" for line in lines))
    return str(folder)


def test_whole_lines_are_read(tmp_path: Path) -> None:
    folder = written(tmp_path, NODES, STARTED, '{"process": "a", "pid": 7, "ended_ns": 9, "exit": 3}')

    assert not state.is_damaged(folder)
    assert [(one.process, one.state, one.code) for one in client.processes(folder)] == [
        ("a", "exited", 3),
        ("b", "not started", 0),
    ]


@pytest.mark.parametrize(
    "line",
    [
        *(
            "",
            '{"process": "a", "pi',
            "[1]",
            "7",
            '{"process": "b", "pid"' + NODES,
            "\0" * 40,
            "[" * 99999,
            "null",
            "{}",
        ),
        *('{"processes": 5}', '{"processes": 5, "ns": 1}', '{"processes": [["a"]], "ns": 1}', '{"process": ["a"]}'),
        *(
            '{"process": "b", "argv": ["x"]}',
            '{"process": "b", "pid": 7, "ended_ns": 9}',
            STARTED.replace('["x"]', "7"),
        ),
        *('{"process": "b", "pid": -1, "ready_ns": 9}', '{"process": "b", "pid": 7, "ready_ns": 9, "argv": ["x"]}'),
        '{"process": "b", "pid": 99999999999999999999999, "ready_ns": 9}',
    ],
    ids=lambda line: line[:200].replace(str(os.getpid()), "PID"),
)
def test_a_line_that_is_none_is_told_and_costs_the_others_nothing(tmp_path: Path, line: str) -> None:
    """As a full file system leaves it: half a line, and behind it the next."""
    folder = written(tmp_path, NODES, STARTED, line, '{"process": "a", "pid": 7, "ended_ns": 9, "signal": 9}')

    assert state.is_damaged(folder)
    assert next((one.process, one.state, one.code) for one in client.processes(folder)) == ("a", "killed", 9)


def test_without_the_line_that_says_how_it_was_started_nothing_is_known(tmp_path: Path) -> None:
    folder = written(tmp_path, '{"process": "a", "pid": 7, "ready_ns": 9}')

    assert [one.state for one in client.processes(folder)] == ["not started"]


def test_a_file_that_is_not_there_or_empty_is_damaged(tmp_path: Path) -> None:
    assert state.is_damaged(str(tmp_path))
    assert state.is_damaged(written(tmp_path))


def test_of_a_process_that_was_started_again_the_first_end_is_forgotten(tmp_path: Path) -> None:
    ended = '{"process": "a", "pid": 7, "ended_ns": 9, "exit": 3}'
    again = STARTED.replace('"started_ns": 5', '"started_ns": 10')
    folder = written(tmp_path, NODES, STARTED, '{"process": "a", "pid": 7, "ready_ns": 6}', ended, again)

    fate = state.read(folder)["a"]
    assert (fate.ready, fate.ended) == (None, None)
    assert fate.started
    assert fate.started.started_ns == 10
