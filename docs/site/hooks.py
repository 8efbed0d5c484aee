"""Makes of the project's documentation the pages of a site: what `mkdocs build` calls on its way.

A page of docs/ may link to any file of the checkout: the site shows that file as a page below source/. The reference is
made from the code (reference.py). A block of the language `dot` becomes a picture, by Graphviz.
"""

import importlib
import os
import posixpath
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
DOCS = "docs"
PROJECT = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "README.md")  # beside docs/
NOT_OF_SITE = ("examples", "man", "site", "completion")  # folders of docs/
FENCED = re.compile(r"(^ *(```+|~~~+).*?^ *\2 *$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(\]\()([^)\s#:]+)((?:#[^)\s]*)?\))")
DOT = re.compile(r"^```dot\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {".py": "python", ".c": "c", ".h": "c", ".yml": "yaml", ".sh": "sh", ".conf": "text"}
LONGEST = 400_000  # characters of a file that is shown


def on_config(config: Any) -> Any:
    """List the decisions in the navigation."""
    for section in config.nav:
        for entries in section.values():
            for entry in entries if isinstance(entries, list) else ():
                if "Decisions" in entry:
                    entry["Decisions"] = [f"adr/{path.name}" for path in sorted((ROOT / DOCS / "adr").glob("*.md"))]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not in docs/."""
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        reference = importlib.import_module("reference")
    finally:
        sys.path.pop(0)
    pages = {f"reference/{name}.md": make() for name, make in reference.PAGES.items()}
    pages |= {site_path(name): (ROOT / name).read_text(encoding="utf-8") for name in PROJECT}
    pages |= {site_path(path): source_page(path) for path in linked()}
    for at, text in pages.items():
        files.append(File.generated(config, at, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Let links lead to the pages of the site, and draw pictures."""
    at = page.file.src_uri
    if at.startswith(("source/", "reference/")):
        return markdown
    return outside_of_fences(DOT.sub(picture, markdown), lambda text: LINK.sub(lambda found: moved(found, at), text))


def outside_of_fences(text: str, change: Callable[[str], str]) -> str:
    """Return a text with something changed that is no block of code."""
    parts = FENCED.split(text)  # text, block, its fence, text, …
    return "".join(change(part) if at % 3 == 0 else part for at, part in enumerate(parts) if at % 3 != 2)


def moved(found: "re.Match[str]", page: str) -> str:
    """Return a link of a page as it is on the site."""
    target = in_checkout(found[2], repository_path(page))
    if target is None:
        return found[0]
    there = posixpath.relpath(site_path(target), posixpath.dirname(page) or ".")
    anchor = ")" if there.startswith("../source/") or "source/" in there else found[3]
    return f"{found[1]}{there}{anchor}"


def site_path(path: str) -> str:
    """Return where something of the checkout is on the site."""
    if path in PROJECT:
        return f"project/{path}"
    if path.startswith(f"{DOCS}/") and is_of_site(path):
        return path.removeprefix(f"{DOCS}/")
    return f"source/{path}/index.md" if (ROOT / path).is_dir() else f"source/{path}.md"


def repository_path(page: str) -> str:
    """Return where a page of the site is in the checkout."""
    return page.removeprefix("project/") if page.startswith("project/") else f"{DOCS}/{page}"


def is_of_site(path: str) -> bool:
    """Say whether a file below docs/ is a file of the site, too: a page, a picture, or what is there to be taken."""
    there = ROOT / path
    return there.is_file() and Path(path).parts[1] not in NOT_OF_SITE


def in_checkout(link: str, page: str) -> str | None:
    """Return the path in the checkout that a link of a page means; None if it leads elsewhere, or nowhere."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
    return path if not path.startswith("..") and (ROOT / path).exists() else None


def linked() -> set[str]:
    """Return all files and folders that are no pages, and to which pages lead; with the files of such folders."""
    found = set()
    for path in [*(ROOT / DOCS).rglob("*.md"), *(ROOT / name for name in PROJECT)]:
        page = path.relative_to(ROOT).as_posix()
        text = FENCED.sub("", path.read_text(encoding="utf-8"))
        targets = (in_checkout(match[2], page) for match in LINK.finditer(text))
        found |= {target for target in targets if target and site_path(target).startswith("source/")}
    return found | {inner for path in found if (ROOT / path).is_dir() for inner in files_of(path)}


def files_of(folder: str) -> Iterator[str]:
    """Yield the files of a folder by their paths in the checkout."""
    for path in sorted((ROOT / folder).iterdir()):
        if path.is_file() and path.suffix in LANGUAGES:
            yield path.relative_to(ROOT).as_posix()


def source_page(path: str) -> str:
    """Return the page that shows a file, or lists a folder."""
    if (ROOT / path).is_dir():
        names = map(posixpath.basename, files_of(path))
        return f"# {path}/\n\n" + "".join(f"- [{name}]({name}.md)\n" for name in names)
    text = (ROOT / path).read_text(encoding="utf-8")[:LONGEST]
    language = LANGUAGES.get(os.path.splitext(path)[1], "text")
    return f"# {path}\n\n````{language}\n{text.rstrip()}\n````\n"


def picture(found: "re.Match[str]") -> str:
    """Return the picture of a block in Graphviz's language, as SVG in the page."""
    try:
        command = ["dot", "-Tsvg", "-Gbgcolor=white"]
        drawn = subprocess.run(command, input=found[1], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise PluginError("pictures need Graphviz: apt-get install graphviz") from None
    except subprocess.CalledProcessError as error:
        raise PluginError(f"Graphviz refuses a picture: {error.stderr}") from None
    svg = re.sub(r"<!--.*?-->|<title>.*?</title>", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)
    return f'<figure class="picture">{" ".join(svg.split())}</figure>\n'
