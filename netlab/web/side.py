"""What is told beside the drawing of a chosen node or link, and what may be changed of it."""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from nicegui import ui

from netlab.errors import NetlabError
from netlab.web import changes, details
from netlab.web.details import Packets
from netlab.web.moments import Told
from netlab.web.player import Player
from netlab.web.view import View

_LINES = 200
_LIKE_THIS = {"delay": "20ms", "loss": "1%", "rate": "10mbit"}


class Side:
    """The drawer at the side; `line` makes the words of a line, `left` is called when it is closed."""

    def __init__(
        self,
        view: View,
        player: Player,
        may_change: bool,
        line: Callable[[Told], dict[str, str]],
        left: Callable[[], object],
    ) -> None:
        self._view, self._player, self._line, self._left = view, player, line, left
        self._may_change = may_change
        self._packets = Packets()
        self._picked = ("", "")
        self._texts: dict[str, ui.label] = {}
        self._inputs: dict[str, ui.input] = {}
        with ui.right_drawer(value=False, elevated=True).props("width=480 breakpoint=700") as self._drawer:
            self._column = ui.column().style("width: 100%; gap: 8px")

    async def pick(self, kind: str, name: str) -> None:
        """Tell of a node, or of a link by its first end; of what is not there, nothing."""
        known = self._view.record.nodes if kind == "node" else {each["id"] for each in self._view.drawing["links"]}
        if kind not in ("node", "link") or name not in known:
            return
        self._packets.stop()
        self._picked = (kind, name)
        self._texts, self._inputs = {}, {}
        self._column.clear()
        with self._column:
            (self._build_node if kind == "node" else self._build_link)(name)
        self._drawer.show()
        if kind == "link" and self._view.can_change:
            await self._tried(lambda: self._packets.start(self._view.standing(), self._ends(name)))
        await self.renew()

    def close(self) -> None:
        """Tell of nothing; packets are caught no more."""
        self._picked = ("", "")
        self._packets.stop()
        self._drawer.hide()
        self._left()

    def stop(self) -> None:
        """Catch no packets any more: the browser has gone."""
        self._packets.stop()

    async def renew(self) -> None:
        """Bring what is told up to date."""
        kind, name = self._picked
        if kind == "node" and name in self._view.record.nodes:
            await self._renew_node(name)
        elif kind == "link" and any(each["id"] == name for each in self._view.drawing["links"]):
            await self._renew_link(name)

    # ---- what is there -----------------------------------------------------------------------------------------------

    def _title(self, text: str) -> None:
        with ui.row().style("width: 100%; align-items: center"):
            ui.label(text).style("font-size: 18px; font-weight: 600")
            ui.space()
            ui.button("close", on_click=self.close).props("flat dense no-caps")

    def _text(self, name: str) -> None:
        self._texts[name] = ui.label("").classes("nl-pre").props(f"data-text={name}")

    def _put(self, name: str, text: str) -> None:
        if name in self._texts and self._texts[name].text != text:
            self._texts[name].text = text

    def _buttons(self, words: tuple[str, ...], work: Callable[[str, str, str], str], name: str) -> None:
        with ui.row().style("gap: 4px"):
            for what in words if self._may_change else ():
                ui.button(what, on_click=partial(self._change, work, name, what)).props("dense outline no-caps")

    def _build_node(self, node: str) -> None:
        self._title(node)
        about = self._view.record.nodes[node]
        for process in about.processes:
            ui.label(" ".join([*map(os.path.basename, process.argv[:2]), *process.argv[2:]])).classes("nl-pre")
        self._buttons(changes.of_node(self._view.record, node), changes.change_node, node)
        names = ["logs", "interfaces", *(["maps"] if about.programs else [])]
        with ui.tabs().props("dense no-caps") as tabs:
            there = [ui.tab(name) for name in names]
        with ui.tab_panels(tabs, value=there[0]).style("width: 100%; background: transparent"):
            for name, tab in zip(names, there, strict=True):
                with ui.tab_panel(tab).style("padding: 4px"):
                    self._text(name)

    def _build_link(self, name: str) -> None:
        (a, a_port), (b, b_port) = self._ends(name)
        self._title(f"{a}:{a_port} – {b}:{b_port}")
        self._text("rates")
        self._text("does")
        self._buttons(changes.of_link(), self._change_link, name)
        if self._may_change:
            with ui.row().style("gap: 6px; align-items: center"):
                for value in changes.VALUES:
                    made = ui.input(value, placeholder=_LIKE_THIS[value]).props("dense").style("width: 90px")
                    self._inputs[value] = made
                self._buttons(("set",), self._change_link, name)
        ui.label("last packets").style("font-weight: 600")
        self._text("packets")

    def _ends(self, name: str) -> tuple[tuple[str, str], tuple[str, str]]:
        link = next(each for each in self._view.drawing["links"] if each["id"] == name)
        return (link["a"], link["ai"]), (link["b"], link["bi"])

    # ---- what is so now ----------------------------------------------------------------------------------------------

    async def _renew_node(self, node: str) -> None:
        lines = self._view.history.told(self._player.ns, _LINES, (node,))
        words = [f"{each['time']} {each['stream']:<5} {each['text']}" for each in map(self._line, reversed(lines))]
        self._put("logs", "\n".join(words) or "nothing was printed until then")
        rates, record = self._player.rates, self._view.record
        standing = self._view.standing() if self._view.can_change else None
        rows = await self._tried(lambda: details.interfaces(record, node, rates, standing)) or []
        self._put("interfaces", "\n".join(map(_said, rows)) or "it has no interface")
        if standing is None:
            self._put("maps", "only a lab that is up shows maps")
        elif "maps" in self._texts:
            self._put("maps", "\n".join(await self._tried(lambda: list(details.maps(record, node))) or []))

    async def _renew_link(self, name: str) -> None:
        rates = {f"{node}:{port}": self._player.rates.get(f"{node}:{port}") for node, port in self._ends(name)}
        self._put(
            "rates",
            "\n".join(f"{end} sends {details.rate_text(rate) if rate else 'nothing'}" for end, rate in rates.items()),
        )
        if not self._view.can_change:
            self._put("packets", "only a lab that is up shows packets; those of a demo are in its folder captures")
            return
        self._put("does", "\n".join(await self._tried(lambda: list(details.link(self._view.standing(), name))) or []))
        self._put("packets", "\n".join(self._packets.lines()) or f"none yet at {self._packets.where}")

    # ---- changes -----------------------------------------------------------------------------------------------------

    async def _change(self, work: Callable[[str, str, str], str], name: str, what: str) -> None:
        if not (self._may_change and self._view.can_change):
            ui.notify(self._view.state or "this address is to look only", type="warning")
        elif said := await self._tried(lambda: work(self._view.record.lab, name, what)):
            ui.notify(said)
            self._view.redraw()

    def _change_link(self, lab: str, end: str, what: str) -> str:
        return changes.change_link(lab, end, what, {name: str(each.value or "") for name, each in self._inputs.items()})

    async def _tried(self, work: Callable[[], Any]) -> Any:
        """Do something in a thread; what cannot be done is told, and nothing is returned."""
        try:
            return await asyncio.to_thread(work)
        except (NetlabError, OSError) as error:
            if self._view.can_change:  # else the page says that the lab is down
                ui.notify(str(error), type="warning", multi_line=True)
            return None


def _said(row: details.Row) -> str:
    state = f"  {row['state']}" if row["state"] else ""
    rate = "".join(f"\n  {what} {row[what]}" for what in ("sends", "receives") if row[what])
    return f"{row['interface']} → {row['to']}{state}\n  {row['addresses'] or 'no address'}{rate}"
