"""The arguments of each verb, as types. They are plain classes, which are fast to make."""

import re
from collections.abc import Sequence


class Arguments:
    """What every verb has: the lab that is meant (None for the only one), how much is told, and all words as typed."""

    verb: str
    words: Sequence[str]
    lab: str | None
    lab_given: bool
    quiet: bool
    verbose: bool


class Named(Arguments):
    """The arguments of a verb that takes a lab's name without an option."""

    named: str | None


class Down(Named):
    """The arguments of `down`."""

    all: bool


class Top(Named):
    """The arguments of `top`."""


class Status(Named):
    """The arguments of `status`; `every` is in seconds."""

    format: str
    wide: bool
    watch: bool
    every: float


class OfTopology(Arguments):
    """The arguments of verbs that read a topology: its file ("": the only one of the folder), and changes to it."""

    file: str
    set: list[str]


class Validate(OfTopology):
    """The arguments of `validate`."""

    untrusted: bool


class Up(Validate):
    """The arguments of `up`; the timeout in seconds."""

    runtime: str | None
    dry_run: bool
    timeout: float


class Apply(OfTopology):
    """The arguments of `apply`; the timeout in seconds."""

    dry_run: bool
    timeout: float


class Export(OfTopology):
    """The arguments of `export`."""

    tool: str


class New(Arguments):
    """The arguments of `new`: what is to be made, and the folder for it."""

    kind: str
    folder: str


class OfNode(Arguments):
    """The arguments of verbs for one node."""

    node: str


class Exec(OfNode):
    """The arguments of `exec`."""

    trusted: bool
    command: list[str]


class Run(Arguments):
    """The arguments of `run`; the process is NODE or NODE/NAME."""

    process: str
    options: list[str]


class OfProcesses(Arguments):
    """The arguments of `pause` and `resume`: processes as NODE or NODE/NAME."""

    processes: list[str]


class Change(OfProcesses):
    """The arguments of `start`, `stop` and `restart`; the timeout in seconds."""

    timeout: float


class Kill(OfProcesses):
    """The arguments of `kill`: the number of a signal."""

    signal: int


class Fault(Arguments):
    """The arguments of `fault`: `run` or `restore`; the file is None for the faults of the topology."""

    action: str
    file: str | None
    keep: bool
    format: str


class Reload(Arguments):
    """The arguments of `reload`; the program is NODE, for all there, or NODE/NAME."""

    program: str
    define: list[tuple[str, str]]


class Trace(Arguments):
    """The arguments of `trace`; `lines` None means all."""

    lines: int | None
    follow: bool
    format: str


class Logs(Trace):
    """The arguments of `logs`; each process is NODE, for all there, or NODE/NAME."""

    processes: list[str]


class Timeline(Arguments):
    """The arguments of `timeline`; `since_ns` is in nanoseconds since the epoch; `save` is a new file."""

    processes: list[str]
    follow: bool
    format: str
    since_ns: int
    grep: re.Pattern[str] | None
    save: str | None


class Events(Arguments):
    """The arguments of `events`; `since_ns` is in nanoseconds since the epoch, `interval` in seconds (0: no rates)."""

    follow: bool
    since_ns: int
    interval: float
    format: str


class Stats(Arguments):
    """The arguments of `stats`; `all` is with zeros."""

    format: str
    all: bool


class Maps(Arguments):
    """The arguments of `maps`: words; at most so many entries; how many seconds to watch or follow (None: no end)."""

    target: list[str]
    watch: bool
    follow: bool
    every: float
    duration: float | None
    limit: int
    all: bool
    format: str


class Programs(Arguments):
    """The arguments of `programs`: the node, None for all; for how many seconds to count runs, None for not at all."""

    node: str | None
    duration: float | None
    format: str


class Balancer(Arguments):
    """The arguments of `balancer`; the timeout in seconds."""

    action: str
    words_of_action: list[str]
    node: str | None
    capacity: int | None
    timeout: float | None
    now: bool


class Capture(Arguments):
    """The arguments of `capture`: interfaces and then a filter; a file, "-" or None; seconds, and packets.

    `rotate` has the bytes of a file, and how many files are kept, 0 for all.
    """

    filter: list[str]
    write: str | None
    rotate: tuple[int, int] | None
    verdicts: bool
    duration: float | None
    count: int | None
    format: str


class Follow(Arguments):
    """The arguments of `follow`: the words of a filter, and seconds."""

    filter: list[str]
    duration: float | None
    format: str


class Link(Arguments):
    """The arguments of `link`: a link, an action, and its values; `sender` is a node, for one direction."""

    words_of_link: list[str]
    sender: str | None
    format: str


class Demo(Arguments):
    """The arguments of `demo`; times in seconds."""

    name: str
    file: str | None
    set: list[str]
    runtime: str | None
    save: str | None
    timeout: float
    time_limit: float
    prints: str | None
    untrusted: bool
    format: str


class Grade(Arguments):
    """The arguments of `grade`; the time in seconds."""

    exercise: str
    submissions: list[str]
    jobs: int
    cluster: str | None
    time_limit: float
    points: str | None
    seed: int | None
    save: str | None
    resume: bool
    format: str


class Help(Arguments):
    """The arguments of `help`: the verb that it is about, or ""."""

    about: str


class Doctor(Arguments):
    """The arguments of `doctor`."""

    format: str


class Completion(Arguments):
    """The arguments of `completion`."""

    shell: str


class Graph(OfTopology):
    """The arguments of `graph`: the topology, or "" for a lab that is up; format and file, None for the usual ones."""

    format: str | None
    save: str | None


class List(Arguments):
    """The arguments of `list`."""

    format: str


class Test(Validate):
    """The arguments of `test`: a file or a lab, "" for the lab that is up, or the only topology of the folder."""

    runtime: str | None
    timeout: float
    junit: str | None
    tap: bool
    keep: bool


class Wait(Arguments):
    """The arguments of `wait`: checks as YAML, and how long to wait for each, in seconds."""

    checks: list[str]
    timeout: float


class Web(Named):
    """The arguments of `web`: what is replayed ("": a lab that is up), and where browsers are served."""

    replay: str
    host: str
    port: int
