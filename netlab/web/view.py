"""What all browsers see of one lab: its drawing and its history, of a lab that is up or of a saved run."""

import time
from collections.abc import Mapping

from netlab.errors import NetlabError
from netlab.lab.standing import Standing
from netlab.record import impaired, store
from netlab.record.model import LabRecord, NodeRecord
from netlab.record.shapes import read as shaped
from netlab.topology import impairment_words
from netlab.web import feed, picture
from netlab.web.history import History
from netlab.web.moments import Counted, Told
from netlab.web.player import Player
from netlab.web.saved import Saved
from netlab.web.state import State, Where


class View:
    """One lab as it is shown; `live` reads it, and is None for a saved run. Of the thread of the event loop."""

    def __init__(self, record: LabRecord, history: History, live: "feed.Feed | None", clock_offset_ns: int) -> None:
        self.record = record
        self.history = history
        self.live = live
        self.clock_offset_ns = clock_offset_ns
        self.watchers = 0
        self.version = 1
        self._impaired = _impairments(record) if live else {}
        self.drawing = picture.draw(record, self.version, live is not None, self._impaired)

    @property
    def state(self) -> str:
        """What is to be told of the lab, "" while it is up, or for a saved run."""
        if self.live is None or self.live.state == feed.LIVE:
            return ""
        if self.live.state == feed.DOWN:
            return f"The lab {self.record.lab} is down. What was seen can still be replayed here."
        return self.live.state

    @property
    def can_change(self) -> bool:
        """Whether there is a lab to be changed."""
        return self.live is not None and self.live.state == feed.LIVE

    def player(self) -> Player:
        """Return a new browser's place: now, or the beginning of a saved run."""
        found = Player(self.history, self.live is not None)
        if self.live is None:
            found.seek(0)
            found.is_playing = True
        return found

    def take(self) -> None:
        """Take what has happened since."""
        if self.live is None:
            return
        self.history.add(self.live.take())
        if self.live.has_changed:
            self.live.has_changed = False
            self._renew()

    def standing(self) -> Standing:
        """Return the lab, for details of it; NetlabError if it is not up."""
        if not self.can_change:
            raise NetlabError(self.state or "this is a saved run: only what was saved can be shown")
        return Standing(self.record)

    def _renew(self) -> None:
        """Draw the lab as it is after a change."""
        try:
            self.record = store.read(self.record.lab)
        except NetlabError:  # it is being removed
            return
        if self.live:
            self.live.record = self.record
        self.redraw()

    def redraw(self) -> None:
        """Draw the lab again; links may do something else to packets."""
        now = _impairments(self.record)
        if now == self._impaired and self.drawing["nodes"] and set(self.record.nodes) == self._drawn():
            return
        self._impaired = now
        self.version += 1
        self.drawing = picture.draw(self.record, self.version, self.live is not None, now)

    def _drawn(self) -> set[str]:
        return {node["name"] for node in self.drawing["nodes"]}


def of_lab(lab: str) -> View:
    """Return the view of a lab that is up, and begin to read it; NetlabError if it is not up."""
    record = store.read(lab)
    view: View
    live = feed.Feed(record, lambda: view.watchers > 0)
    view = View(record, History(Where(record), State()), live, record.clock_offset_ns)
    live.start()
    return view


def of_saved(saved: Saved, record: LabRecord | None = None) -> View:
    """Return the view of a saved run; `record` is its lab, where the run itself does not say it."""
    known = saved.record or record or _unknown(saved)
    counted = [each for each in saved.moments if isinstance(each, Counted)]
    history = History(Where(known), State.beginning(counted), limit=max(200_000, len(saved.moments)))
    history.add(saved.moments)
    return View(known, history, None, saved.clock_offset_ns or time.time_ns() - time.monotonic_ns())


def _unknown(saved: Saved) -> LabRecord:
    """Return a lab of the nodes that lines are of, without links."""
    names = dict.fromkeys(each.node for each in saved.moments if isinstance(each, Told) and each.node)
    node = shaped(NodeRecord, {"kind": "node", "limits": {}, "interfaces": {}, "programs": [], "processes": []}, True)
    return LabRecord("saved", "", "netns", "", dict.fromkeys(names, node))


def _impairments(record: LabRecord) -> Mapping[str, str]:
    """Return in words what links do to packets, by the ends that send them."""
    try:
        directions = impaired.directions(record, impaired.read(record))
    except (NetlabError, OSError):
        return {}
    return {
        ":".join(each.sender): words
        for each in directions
        if each.sends and (words := impairment_words.words(each.sends, seed=False)) != "nothing"
    }
