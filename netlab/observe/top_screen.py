"""`netlab top`: a lab that is up, live in a terminal. `top_model` makes what is shown, `top_cells` the texts of it."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, RichLog, Static

from netlab.errors import NetlabError
from netlab.observe import events, palette, top_model
from netlab.observe.events import Event
from netlab.observe.log_view import clock
from netlab.observe.top_cells import link_cells, node_cells, program_lines, style
from netlab.observe.top_model import Model, short
from netlab.record import store
from netlab.record.model import LabRecord
from netlab.supervise import client

_PARTS = ("head", "nodes", "links", "programs", "events")
_DRAW_S = 0.5
_WAITING = 50_000  # events that wait to be drawn
_MOST_LINES = 40  # that are written at each draw; how many more there are is said
_MOST_AGAIN = 400  # after a change of what is wanted
_HELP = """\
 netlab top shows a lab that is up, as it is now.

 Tab, Shift-Tab   to the next or previous part
 ↑ ↓              to a node or link
 Enter            select it: everything else is of it
 /                filter: rows and events with these words
 Esc              select nothing, filter nothing
 Space            pause, and go on
 ?                this help
 q                leave

 Links: packets and bits a second, there (→) and back (←);
 LOST is what both ends have dropped, a second.
 Threads: ■ is busy, □ is free. The queue's bars are its depth,
 twice a second; the number is how many wait now.
"""


class Reader(threading.Thread):
    """Reads a lab's events, and looks at its processes, until `stop`; `error` is why it has ended too early."""

    def __init__(self, lab: LabRecord, interval_s: float) -> None:
        super().__init__(name="netlab-top", daemon=True)
        self.heard: deque[Event] = deque(maxlen=_WAITING)
        self.error: NetlabError | None = None
        self._lab, self._interval_s = lab, interval_s
        self._over = threading.Event()

    def run(self) -> None:
        """Read, in a thread."""
        try:
            self.heard.extend(events.read(self._lab, follow=True, interval_s=self._interval_s, until=self._over.is_set))
        except NetlabError as error:
            self.error = error

    def stop(self) -> None:
        """End the reading."""
        self._over.set()
        if self.ident:
            self.join()

    def take(self) -> list[Event]:
        """Return what has come since the last call."""
        return [self.heard.popleft() for _ in range(len(self.heard))]

    def processes(self) -> list[client.Process]:
        """Return what the lab's processes are doing."""
        return client.processes(self._lab.folder)


class Help(ModalScreen[None]):
    """What the keys do."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "close")]

    def compose(self) -> ComposeResult:
        """Return the text."""
        yield Static(_HELP, id="help", markup=False)


class Top(App[None]):
    """The screen; it ends with the reader, too."""

    CSS = """
    Screen { layout: vertical; }
    #head { height: 1; background: $panel; color: $text; }
    #tables { height: 3fr; }
    #nodes { width: auto; max-width: 50%; }
    #links { width: 1fr; border-left: solid $panel; }
    #programs { height: auto; max-height: 40%; border-top: solid $panel; }
    #events { height: 2fr; min-height: 4; border-top: solid $panel; scrollbar-size: 0 1; }
    #filter { display: none; height: 3; }
    #filter.shown { display: block; }
    DataTable { background: $background; scrollbar-size: 1 1; }
    Help { align: center middle; }
    #help { width: auto; height: auto; max-width: 100%; max-height: 100%; padding: 1; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c", "quit", "quit"),
        Binding("slash", "filter", "filter"),
        Binding("space", "pause", "pause", priority=False),
        Binding("escape", "clear", "clear"),
        Binding("question_mark", "help", "help"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, lab: LabRecord, reader: Reader) -> None:
        super().__init__()
        self.title = f"netlab top {lab.lab}"
        self.model = Model(lab)
        self.is_paused = False
        self.words = ""  # rows and events must have these
        self.selected: tuple[str, ...] = ()  # nodes that everything else must be of
        self._reader = reader
        self._speed: deque[tuple[float, int]] = deque(maxlen=6)

    # ---- what there is ---------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Return the parts, from the top."""
        yield Static(id="head", markup=False)
        with Horizontal(id="tables"):
            yield DataTable[Text](id="nodes", cursor_type="row", cell_padding=0)
            yield DataTable[Text](id="links", cursor_type="row", cell_padding=0)
        yield Static(id="programs", markup=False)
        yield RichLog(id="events", max_lines=top_model.MOST_EVENTS, wrap=False, auto_scroll=True)
        yield Input(id="filter", placeholder="words that rows and events must have; Enter keeps, Esc clears")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to read."""
        self._columns("nodes", {"NODE": None, " STATE": None, " CPU%": 6, "  MEM": 6})
        self._columns(
            "links", {"LINK (a second)": None, "  →pkt": 6, "  ←pkt": 6, "  →bit": 6, "  ←bit": 6, " LOST": 5}
        )
        self.query_one("#nodes", DataTable).focus()
        self._reader.start()
        self.set_interval(_DRAW_S, self.renew)
        self.renew()

    def _columns(self, part: str, widths: Mapping[str, int | None]) -> None:
        table = self.query_one(f"#{part}", DataTable)
        for name, width in widths.items():
            table.add_column(name, key=name, width=width)

    # ---- what is drawn ---------------------------------------------------------------------------------------------

    def renew(self) -> None:
        """Draw what is so now, unless it is paused."""
        if not all(self.query(f"#{part}") for part in _PARTS):  # the screen is being taken down
            return
        if not self._reader.is_alive() and not self._reader.heard and self._reader.ident:
            self.exit()
            return
        if not self.is_paused:
            shown = self.model.hear(self._reader.take())
            if any(event.kind == "applied" for event in shown):
                with suppress(NetlabError):  # it may have gone down since
                    self.model.know(store.read(self.model.lab.lab))
            self.model.look(self._reader.processes())
            self._speed.append((time.monotonic(), self.model.told))
            self._write([event for event in shown if self._is_wanted(event)])
            self._draw()
        self._draw_head()

    def _draw(self) -> None:
        self._fill("nodes", {row.node: node_cells(row, at) for at, row in enumerate(self.model.nodes())})
        links = [row for row in self.model.links() if self._is_near(*(node for node, _ in row.ends))]
        self._fill("links", {row.name: link_cells(row) for row in links})
        programs = [row for row in self.model.programs() if self._is_near(row.program.partition("/")[0])]
        lines = [line for row in programs for line in program_lines(row, self.size.width)]
        self.query_one("#programs", Static).update(Text("\n").join(lines))

    def _draw_head(self) -> None:
        (then, before), (now, told) = self._speed[0], self._speed[-1]
        each_s = (told - before) / (now - then) if now > then else 0.0
        parts = [self.title, f"{len(self.model.lab.nodes)} nodes", f"{short(each_s)} events/s"]
        parts += [f"of {', '.join(self.selected)}"] if self.selected else []
        parts += [f"/{self.words}"] if self.words else []
        parts += ["PAUSED"] if self.is_paused else []
        parts += ["the lab is down"] if self._reader.ident and not self._reader.is_alive() else []
        self.query_one("#head", Static).update(" " + " · ".join(parts))

    def _fill(self, part: str, rows: dict[str, list[Text]]) -> None:
        """Show these rows, and keep the cursor where it is."""
        table: DataTable[Text] = self.query_one(f"#{part}", DataTable)
        rows = {key: cells for key, cells in rows.items() if self._has_words(" ".join(map(str, cells)))}
        if [key.value for key in table.rows] != list(rows):
            at = table.cursor_row
            table.clear()
            for key, cells in rows.items():
                table.add_row(*cells, key=key)
            table.move_cursor(row=min(at, max(0, len(rows) - 1)))
            return
        for key, cells in rows.items():
            for column, cell in zip(table.columns, cells, strict=True):
                if table.get_cell(key, column) != cell:
                    table.update_cell(key, column, cell, update_width=True)

    def _write(self, wanted: list[Event], most: int = _MOST_LINES) -> None:
        log = self.query_one("#events", RichLog)
        if len(wanted) > most:
            log.write(Text(f"… {len(wanted) - most:,} events are not shown here", style(palette.QUIET)))
        for event in wanted[-most:]:
            log.write(self._line(event))

    def _line(self, event: Event) -> Text:
        nodes = list(self.model.lab.nodes)
        colour = style(palette.node(nodes.index(event.node))) if event.node in nodes else ""
        who = f"{event.source:<{max(map(len, nodes), default=0)}}"
        return Text.assemble(f"{clock(event.time_ns)[:-3]} ", (who, colour), f" {event.kind:<8} {event.text}")

    # ---- which of it -----------------------------------------------------------------------------------------------

    def _has_words(self, text: str) -> bool:
        return self.words.lower() in text.lower()

    def _is_near(self, *nodes: str) -> bool:
        return not self.selected or not set(self.selected).isdisjoint(nodes)

    def _is_wanted(self, event: Event) -> bool:
        near = self._is_near(event.node) or event.kind in ("lost", "overrun")
        return near and self._has_words(f"{event.source} {event.kind} {event.text}")

    def _begin_again(self) -> None:
        """Draw everything again, after a change of what is wanted."""
        self.query_one("#events", RichLog).clear()
        self._write([event for event in self.model.events if self._is_wanted(event)], _MOST_AGAIN)
        self._draw()
        self._draw_head()

    # ---- what keys do ----------------------------------------------------------------------------------------------

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Select a node, or both nodes of a link."""
        if event.data_table.id == "nodes":
            self.selected = (str(event.row_key.value),)
        else:
            row = next(row for row in self.model.links() if row.name == event.row_key.value)
            self.selected = tuple(node for node, _ in row.ends)
        self._begin_again()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self.words = event.value
        self._begin_again()

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """Keep the filter."""
        self.query_one("#filter", Input).remove_class("shown")
        self.query_one("#nodes", DataTable).focus()

    def action_filter(self) -> None:
        """Ask for words."""
        asked = self.query_one("#filter", Input)
        asked.add_class("shown")
        asked.focus()

    def action_clear(self) -> None:
        """Select and filter nothing."""
        asked = self.query_one("#filter", Input)
        asked.remove_class("shown")
        asked.value = ""
        self.selected, self.words = (), ""
        if self.focused is asked:
            self.query_one("#nodes", DataTable).focus()
        self._begin_again()

    def action_pause(self) -> None:
        """Pause, or go on with what is so now."""
        self.is_paused = not self.is_paused
        self.renew()

    def action_help(self) -> None:
        """Show what the keys do."""
        self.push_screen(Help())
