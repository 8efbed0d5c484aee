"""Requests of a connection to the supervisor: one JSON object a line, and one line as the answer to each."""

import json
import signal
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from netlab.supervise import schema
from netlab.supervise.children import Children
from netlab.supervise.happening_log import LONGEST, LONGEST_DATA
from netlab.supervise.log_reader import HAPPENED
from netlab.supervise.pipe import Printed
from netlab.supervise.refusal import Refused
from netlab.supervise.stream import Reader, Stream

if TYPE_CHECKING:
    from netlab.supervise.middle import Middle

_Asked = dict[str, Any]
_STREAMS = ("out", "out+", "err", "err+", "note")
_MOST_SHOWN = 60  # characters of a request in an answer


class Requests:
    """Answers requests: `do` says what is to be done; an `id` comes back in the answer."""

    def __init__(
        self,
        children: Children,
        stream: Stream,
        look: Callable[[], None],
        catch_up: Callable[[], None],
        write_down: Callable[[str, str, str, int, Mapping[str, object] | None], None],
        take: Callable[[], None],
        links: "Callable[[], Middle]",
    ) -> None:
        """Take who does it.

        `look` is for the maps of events, `catch_up` reads the trace up to now, `take` takes a change of the lab, and
        `links` returns who takes care of links.
        """
        self._children = children
        self._stream = stream
        self._links = links
        self._verbs: dict[str, Callable[[Reader, _Asked], object]] = {
            "start": lambda _, asked: self._children.start(_name(asked)),
            "stop": lambda _, asked: self._children.stop(_name(asked)),
            "restart": lambda _, asked: self._children.restart(_name(asked)),
            "signal": lambda _, asked: self._children.interference.signal(_name(asked), _signal(asked)),
            "kill": lambda _, asked: self._children.interference.kill(_name(asked), _signal(asked)),
            "pause": lambda _, asked: self._children.interference.pause(_name(asked)),
            "resume": lambda _, asked: self._children.interference.resume(_name(asked)),
            "state": lambda *_: catch_up(),
            "log": lambda _, asked: self._children.log(_name(asked), _lines(asked)),
            "fault": lambda _, asked: write_down(*_happening({**asked, "event": "fault"})),
            "happened": lambda _, asked: write_down(*_happening(asked)),
            "watch": self._watch,
            "look": lambda *_: look(),
            "take": lambda *_: take(),
            "links": lambda _, asked: self._care_for_links(asked),
        }

    def answer(self, reader: Reader, line: bytes) -> bytes:
        """Do what a line asks for, and return the answer or the error."""
        known: _Asked = {}
        try:
            asked = _parsed(line)
            known = {"id": asked["id"]} if isinstance(asked.get("id"), str | int) else {}
            verb = _one_of(self._verbs, asked.get("do"))
            self._verbs[verb](reader, asked)
        except Refused as refused:
            return schema.message("error", why=str(refused), **known)
        told = {"processes": self._children.states()} if verb in ("state", "watch") else {}
        return schema.message("answer", do=verb, **known, **told)

    def _care_for_links(self, asked: _Asked) -> None:
        holder = asked.get("holder")
        if holder is not None and not (isinstance(holder, list) and all(isinstance(word, str) for word in holder)):
            raise Refused(f"`holder` is {_shown(holder)}: expected a list of words, or null")
        self._links().look(holder)

    def _watch(self, reader: Reader, asked: _Asked) -> None:
        kinds = asked.get("kinds", list(schema.KINDS))
        if not isinstance(kinds, list) or not all(kind in schema.KINDS for kind in kinds):
            raise Refused(f"`kinds` is {_shown(kinds)}: expected a list of some of {', '.join(schema.KINDS)}")
        reader.kinds = frozenset(kinds)
        self._stream.reckon()


def _parsed(line: bytes) -> _Asked:
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):  # it is not JSON, or not UTF-8
        asked = None
    if not isinstance(asked, dict):
        raise Refused(f'expected a JSON object such as {{"do": "state"}}, found {_shown(line)}')
    return asked


def _one_of(known: Collection[str], word: object, what: str = "do") -> str:
    if isinstance(word, str) and word in known:
        return word
    raise Refused(f"`{what}` is {_shown(word)}: expected one of {', '.join(known)}")


def _name(asked: _Asked) -> str:
    name = asked.get("process")
    if not isinstance(name, str):
        raise Refused(f"`process` is {_shown(name)}: expected the name of a process")
    return name


def _happening(asked: _Asked) -> tuple[str, str, str, int, Mapping[str, object] | None]:
    """Return of something that has happened: its kind, what it is about ("": the lab), its text, time and data."""
    match asked:
        case {"about": None | str() as about, "text": str(text), "ns": int(ns)} if 0 < len(text) <= LONGEST:
            if f"{about or ''}{text}".isprintable() and " " not in (about or "") and 0 <= ns < 1 << 63:
                return _one_of(HAPPENED, asked.get("event"), "event"), about or "", text, ns, _data(asked)
    raise Refused("expected `about`, a name or null, `text` on one line, and `ns`, the time in nanoseconds")


def _data(asked: _Asked) -> Mapping[str, object] | None:
    data = asked.get("data")
    if data is None or (isinstance(data, dict) and len(json.dumps(data)) <= LONGEST_DATA):
        return data
    raise Refused(f"`data` is {_shown(data)}: expected an object of at most {LONGEST_DATA} bytes")


def _lines(asked: _Asked) -> list[Printed]:
    """Return the lines of a request: [time, stream, text]; bytes that are not UTF-8 are lone surrogates."""
    lines = asked.get("lines")
    if not isinstance(lines, list) or not all(_is_line(line) for line in lines):
        raise Refused(
            f"`lines` is {_shown(lines)}: expected a list of [NANOSECONDS, STREAM, TEXT], STREAM one of"
            f" {', '.join(_STREAMS)}"
        )
    return [Printed(ns, stream, text.encode(errors="surrogateescape")) for ns, stream, text in lines]


def _is_line(line: object) -> bool:
    match line:
        case [int(), str(word), str(text)] if (stream := word.partition("="))[0] in _STREAMS and "\n" not in text:
            with suppress(UnicodeEncodeError, ValueError):
                size = int(stream[2]) if stream[1] else 0
                return 0 <= size <= len(text.encode(errors="surrogateescape"))
    return False


def _signal(asked: _Asked) -> int:
    """Return the number of a signal that is given by its name or number."""
    wanted = asked.get("signal")
    valid = signal.valid_signals()
    if isinstance(wanted, str) and wanted in signal.Signals.__members__:
        return signal.Signals[wanted]
    if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted in valid:
        return wanted
    raise Refused(f"`signal` is {_shown(wanted)}: expected a name such as SIGHUP, or a number from 1 to {max(valid)}")


def _shown(value: object) -> str:
    """Return a received value for a message, shortened."""
    try:
        text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else json.dumps(value)
    except RecursionError:  # what JSON could just read may be too deep to be written
        text = "a list in lists" if isinstance(value, list) else "an object in objects"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]} …"
