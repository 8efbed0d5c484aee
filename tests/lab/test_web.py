"""`netlab web` in a browser: Debian's Chromium, driven by Playwright. What is shown is what `netlab stats` says."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from netlab.testing.waiting import PATIENCE_S, eventually
from tests.lab.lab import PARTB, ROOT, lab, netlab, start, started, stats

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = "/usr/bin/chromium"
pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists(CHROMIUM), reason="no chromium here: apt-get install chromium"),
]
COUNTERS = ("received", "forwarded", "queued", "dequeued", "dropped", "completions", "queue_depth")
_OWN = ("http://127.0.0.1:", "data:")
LONG = ("--count", "40", "--interval", "0.02", "--sleep", "0.7", "1.0")  # as `netlab demo partb-high` has it


@contextmanager
def served(*words: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Serve meanwhile; yield the first address."""
    server = started("web", "--port", "0", *words)
    try:
        assert server.stdout
        yield server.stdout.readline().split()[0], server
    finally:
        server.terminate()
        out, err = server.communicate(timeout=PATIENCE_S)
    assert (0, False) == (server.returncode, "Traceback" in f"{out}{err}"), err


@contextmanager
def browser(address: str) -> Iterator["Page"]:
    """Open the page, which must not complain and ask no other server for anything."""
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE_S * 1000)
        page.on("console", lambda told: complaints.extend([told.text] if told.type in ("error", "warning") else []))
        page.on("pageerror", lambda error: complaints.extend([str(error)]))
        page.on("request", lambda asked: complaints.extend([] if asked.url.startswith(_OWN) else [asked.url]))
        page.goto(address)
        page.wait_for_selector(".nl-node")
        yield page
        chromium.close()
    assert [] == complaints


class Seen:
    """The most that was seen of threads at work, of requests that wait, and of what moves."""

    def __init__(self, page: "Page") -> None:
        self._page = page
        self.used = self.depth = self.dots = 0

    def look(self) -> bool:
        """Look at the page, and return True."""
        found: list[int] = self._page.evaluate(
            "() => [[...document.querySelectorAll('.nl-cells')].reduce((n, c) => n + Number(c.dataset.used), 0),"
            " Number(document.querySelector('.nl-queue')?.dataset.depth ?? 0),"
            " document.querySelectorAll('.nl-dot').length]"
        )
        self.used, self.depth, self.dots = map(max, zip((self.used, self.depth, self.dots), found, strict=True))
        return True


def counters(page: "Page", balancer: str = "lb") -> dict[str, int]:
    table = page.locator(f"[data-balancer='{balancer}']")
    return {name: int(table.locator(f"[data-counter={name}]").inner_text().replace(",", "")) for name in COUNTERS}


def counted(of: dict[str, Any]) -> dict[str, int]:
    return {name: of[name] for name in COUNTERS}


def test_part_b_under_high_load_is_seen_as_it_happens(no_leaks: None) -> None:
    """Threads fill, the queue grows and drains, requests move, and in the end the numbers are those of `stats`."""
    with lab(PARTB, "--set", "nodes.client.args.count=1"), served() as (address, server), browser(address) as page:
        seen = Seen(page)
        client = start("client", *LONG)
        eventually(lambda: seen.look() and client.poll() is not None, "the client has sent all")
        eventually(lambda: seen.look() and stats()["completions"] == 41, "all are served")
        eventually(lambda: counted(stats()) == counters(page), "the page shows what stats says")
        seen.look()
        most = int(page.locator("[data-balancer=lb] .nl-depths").get_attribute("data-most") or 0)
        client.communicate()
        page.locator("[data-node=worker1]").click()
        page.get_by_text("received #").first.wait_for()
        page.locator(".q-drawer").get_by_role("button", name="pause", exact=True).click()
        page.get_by_text("worker1: pause is done").wait_for()
        netlab("down")
        page.get_by_text("is down. What was seen can still be replayed here").wait_for()
        is_serving = server.poll() is None

    assert (15, True, True, True) == (seen.used, seen.depth > 10, seen.dots > 0, is_serving)
    assert most >= seen.depth


_CHOSEN = (("[data-node]", "logs"), (".nl-link", "packets"))  # with a text that is told of it


def test_who_has_the_key_to_look_sees_the_lab_and_has_nothing_to_change_it(no_leaks: None) -> None:
    """Of a node and of a link; with the other key the buttons are there, and a link that is set down is shown so."""
    with lab(f"{ROOT}/topologies/pair.yml"), served() as (address, server):
        assert server.stdout
        with browser(server.stdout.readline().split()[0]) as page:
            page.get_by_text("to look only").wait_for()
            looks = [_buttons(page, *each) for each in _CHOSEN]
        with browser(address) as page:
            changes = [_buttons(page, *each) for each in _CHOSEN]
            page.locator(".q-drawer").get_by_role("button", name="down", exact=True).click()
            page.locator(".nl-link.nl-down").wait_for(state="attached")

    assert [["close"], ["close"]] == looks
    assert ["close", "down", "up", "reset", "set"] == changes[1]


def _buttons(page: "Page", chosen: str, text: str) -> list[str]:
    """Choose a node or a link, and return what can be pressed beside the drawing."""
    page.locator(chosen).first.dispatch_event("click")
    page.locator(f".q-drawer [data-text={text}]").wait_for(state="attached")
    return [each.strip() for each in page.locator(".q-drawer button").all_inner_texts()]


def test_a_narrow_window_cuts_nothing(no_leaks: None) -> None:
    """At 400 pixels all that can be pressed is inside, also what is told of a node."""
    with lab(f"{ROOT}/topologies/pair.yml"), served() as (address, _), browser(address) as page:
        page.set_viewport_size({"width": 400, "height": 700})
        page.reload()  # a page that becomes narrow closes what it has opened beside the drawing, a moment later
        page.locator("[data-node]").first.wait_for()
        eventually(lambda: not _outside(page, ".nl-lab button, .nl-lab select, .nl-slider, header button"))
        _buttons(page, *_CHOSEN[0])
        eventually(lambda: not _outside(page, ".q-drawer, .q-drawer button"))


def _outside(page: "Page", chosen: str) -> list[str]:
    """Return what lies outside of the window, in part."""
    script = """chosen => [...document.querySelectorAll(chosen)].filter(each => {
        const box = each.getBoundingClientRect();
        return box.left < 0 || box.right > innerWidth || box.top < 0 || box.bottom > innerHeight;
    }).map(each => each.outerHTML.slice(0, 80))"""
    found: list[str] = page.evaluate(script, chosen)
    return found


def test_a_saved_demo_is_replayed(tmp_path: Path, no_leaks: None) -> None:
    """With the same numbers as its counters at the end, and with full threads and a queue in the middle."""
    netlab(
        "demo", "partb-high", "--save", f"{tmp_path}/run", code=None
    )  # what it judges depends on the machine's speed
    saved = json.loads((tmp_path / "run" / "counters.json").read_text(encoding="utf-8"))["balancers"]["lb"]
    with served("--replay", f"{tmp_path}/run") as (address, _), browser(address) as page:
        seen = Seen(page)
        slider = page.locator(".nl-slider")
        for share in range(200, 800, 100):
            slider.fill(str(share))
            page.wait_for_timeout(300)  # of the replay, which goes on meanwhile
            seen.look()
        slider.fill("1000")
        eventually(lambda: counted(saved) == counters(page), "the page shows the counters at the end")

    assert (15, True, True) == (seen.used, seen.depth > 10, seen.dots > 0)
