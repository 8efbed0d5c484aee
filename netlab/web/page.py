"""The page of one browser: the drawing, its time, and the lines; beside it what is told of a node or a link."""

import time
from typing import Any

from nicegui import ui
from nicegui.element import Element

from netlab.observe.log_view import clock
from netlab.web import picture
from netlab.web.moments import Told
from netlab.web.player import Player
from netlab.web.side import Side
from netlab.web.view import View

_FRAME_S = 0.1
_DETAILS_S = 1.0
_AHEAD = 3  # frames that a browser has not answered yet; then it gets no more, and later sums
_LOST_NS = 5_000_000_000  # after that, frames without an answer are taken for lost
_HELP = """space: play, or stand still
[ ]: back and on in time
l: live
f: the whole lab; + -: larger, smaller; the mouse moves it, the wheel too
Tab and arrows: from node to node; Enter: choose one
Esc: close what is told of it
d: dark or light
?: this"""


class Drawing(Element, component="lab.js"):
    """The drawing; lab.js says what it takes and what it tells."""

    def __init__(self, lab: picture.Data) -> None:
        super().__init__()
        self._props["lab"] = lab

    def show(self, frame: picture.Data) -> None:
        """Show a frame."""
        self.run_method("frame", frame)

    def redraw(self, lab: picture.Data) -> None:
        """Draw the lab anew."""
        self._props["lab"] = lab
        self.update()


class Page:
    """What one browser sees; `may_change` says whether it has the key for changes."""

    def __init__(self, view: View, may_change: bool) -> None:
        self._view = view
        self._may_change = may_change and view.live is not None
        self._player: Player = view.player()
        self._sent = self._shown = 0
        self._before: dict[str, Any] = {}
        self._version = view.version
        self._frame_ns = 0
        self._side: Side
        self._dark = ui.dark_mode(None)
        self._build()
        view.watchers += 1

    def renew(self) -> None:
        """The browser is there, again perhaps: what it was sent may be lost, so the next frame has all."""
        self._shown = self._sent
        self._before = {}

    def close(self) -> None:
        """The browser has gone."""
        self._view.watchers -= 1
        self._side.stop()

    # ---- what is on the page -----------------------------------------------------------------------------------------

    def _build(self) -> None:
        ui.query(".nicegui-content").classes("p-0").style("padding: 0; gap: 0; width: 100%")
        ui.colors(primary="#22507e")
        with ui.header().style("height: 50px; padding: 6px 14px; align-items: center; gap: 12px"):
            ui.label(f"netlab · {self._view.record.lab}").style("font-weight: 600; font-size: 17px")
            self._told = ui.label("").classes("nl-told").props('role="status"')
            if self._view.live is not None and not self._may_change:
                ui.label("to look only")
            ui.button("?", on_click=self._help).props('flat dense no-caps color=white aria-label="help"')
            ui.button("dark", on_click=self._turn).props('flat dense no-caps color=white aria-label="dark or light"')
        self._drawing = Drawing(self._view.drawing)
        self._drawing.style("width: 100%")
        on = {
            "shown": lambda event: setattr(self, "_shown", max(self._shown, int(event.args))),
            "toggle": lambda _: self._player.toggle(),
            "live": lambda _: self._player.go_live() if self._view.live else None,
            "seek": lambda event: self._player.seek_share(float(event.args)),
            "speed": lambda event: self._set_speed(event.args),
            "help": lambda _: self._help(),
            "dark": lambda _: self._turn(),
            "close": lambda _: self._side.close(),
            "pick": lambda event: self._side.pick(str(event.args["kind"]), str(event.args["name"])),
        }
        for name, handler in on.items():
            self._drawing.on(name, handler)
        self._side = Side(
            self._view, self._player, self._may_change, self._line, lambda: self._drawing.run_method("unpick")
        )
        ui.timer(_FRAME_S, self._tick)
        ui.timer(_DETAILS_S, self._side.renew)

    def _help(self) -> None:
        with ui.dialog(value=True), ui.card():
            ui.label("Keys").style("font-weight: 600")
            ui.label(_HELP).classes("nl-pre")

    def _turn(self) -> None:
        self._dark.value = not self._dark.value

    def _set_speed(self, speed: object) -> None:
        if isinstance(speed, int | float) and 0 < speed <= 100:
            self._player.speed = float(speed)

    # ---- frames ------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = time.monotonic_ns()
        if self._sent - self._shown >= _AHEAD:
            if now - self._frame_ns < _LOST_NS:
                return
            self.renew()
        passed, self._frame_ns = (now - self._frame_ns if self._frame_ns else 0), now
        frame = self._player.frame(now)
        if self._version != self._view.version:
            self._version = self._view.version
            self._drawing.redraw(self._view.drawing)
        self._sent += 1
        state = {key: value for key, value in frame["state"].items() if value != self._before.get(key)}
        self._before = frame["state"]
        self._told.text = self._view.state
        self._drawing.show(
            {
                "number": self._sent,
                "state": state,
                "moves": frame["moves"],
                "lines": [self._line(each) for each in frame["told"]],
                "more": frame["more"],
                "fresh": frame["fresh"],
                "share": frame["share"],
                "clock": self._clock(frame["ns"]),
                "live": self._player.is_live,
                "playing": self._player.is_playing,
                "speed": self._player.speed,
                "passed_ms": passed / 1e6,
            }
        )

    def _clock(self, ns: int) -> str:
        begin, end = self._view.history.begin_ns, max(self._view.history.end_ns, ns)
        if self._player.is_live:
            return f"{clock(ns + self._view.clock_offset_ns)[:12]}  live"
        return f"{(ns - begin) / 1e9:.2f} of {(end - begin) / 1e9:.2f} s"

    def _line(self, told: Told) -> dict[str, str]:
        return {
            "time": clock(told.ns + self._view.clock_offset_ns)[:12],
            "who": told.source,
            "stream": told.stream,
            "text": told.text,
        }
