"""What `netlab top` shows, as texts with colours: cells of tables, and a program's threads and queue."""

from rich.text import Text

from netlab.observe import palette
from netlab.observe.top_model import BAD, DOUBTFUL, GOOD, LinkRow, NodeRow, ProgramRow, curve, short, size

_WIDE = 100  # columns from which the queue needs no more than half of them
_TONES = {GOOD: palette.GOOD, DOUBTFUL: palette.DOUBTFUL, BAD: palette.BAD}
_BUSY, _FREE = "■", "□"


def style(colour: palette.Colour) -> str:
    """Return a colour as rich writes it, for the dark ground that Textual paints."""
    return colour.dark


def node_cells(row: NodeRow, number: int) -> list[Text]:
    """Return the cells of a node, which has this place in the lab."""
    cpu = "" if row.cpu is None else f"{row.cpu:.1f}"
    state = Text(f" {row.state}", style(_TONES[row.tone]) if row.tone != GOOD else "")
    return [
        Text(row.node, style(palette.node(number))),
        state,
        Text(cpu, justify="right"),
        Text(size(row.memory), justify="right"),
    ]


def link_cells(row: LinkRow) -> list[Text]:
    """Return the cells of a link."""
    state = f" {row.state}" if row.state != "up" else ""
    name = Text.assemble(row.name, (state, style(palette.BAD)))
    numbers = (row.there[0], row.back[0], row.there[1], row.back[1])
    lost = Text(short(row.lost), style(palette.BAD) if row.lost else "", justify="right")
    return [name, *(Text(short(number), justify="right") for number in numbers), lost]


def program_lines(row: ProgramRow, width: int) -> list[Text]:
    """Return a program in some lines: its verdicts, and a balancer's threads and queue."""
    verdicts = (
        "  ".join(f"{name}\N{NO-BREAK SPACE}{short(rate)}/s" for name, rate in row.per_s.items()) or "nothing comes"
    )
    lines = [Text.assemble((row.program, style(palette.KERNEL)), f"  {verdicts}", overflow="ellipsis", no_wrap=True)]
    if not row.threads:
        return lines
    name_width = max(map(len, row.threads))
    for name, (busy, capacity) in row.threads.items():
        cells = max(1, min(capacity, width - name_width - 16))
        filled = -(-busy * cells // capacity) if capacity else 0
        marks = ((_BUSY * filled, style(palette.DOUBTFUL)), (_FREE * (cells - filled), style(palette.GOOD)))
        lines.append(Text.assemble(f"  {name:<{name_width}} ", *marks, f" {busy}/{capacity} busy"))
    room = max(8, width - name_width - 24 if width < _WIDE else width // 2)
    waits = row.depths[-1] if row.depths else 0
    lines.append(
        Text.assemble(
            f"  {'queue':<{name_width}} ", (curve(row.depths, room), style(palette.DOUBTFUL)), f" {waits} wait"
        )
    )
    return lines
