"""Writes the manual page beside this file, from the table of verbs and more.txt: `make man`."""

import os
from pathlib import Path

from argparse_manpage.manpage import MANPAGE_DATA_ATTRS, Manpage

import netlab
from netlab.cli import arguments

HERE = Path(__file__).parent
PAGE = HERE / "netlab.1"


def text() -> str:
    """Return the page, which is the same wherever and whenever it is made."""
    os.environ.update(COLUMNS="80", SOURCE_DATE_EPOCH="1764460800")  # one date: what is new is in CHANGELOG.md
    about = {
        **dict.fromkeys(MANPAGE_DATA_ATTRS),
        "project_name": "netlab",
        "prog": "netlab",
        "version": netlab.__version__,
        "description": "build network labs from YAML",
        "manual_title": "netlab",
        "include": str(HERE / "more.txt"),
    }
    return str(Manpage(arguments.of_all_verbs(), _data=about))


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
