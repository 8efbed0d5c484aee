"""The documentation: its links lead somewhere, its commands exist, and every page is on the site."""

import re
from contextlib import suppress
from pathlib import Path

import pytest

from netlab.cli import arguments
from netlab.cli.verbs import LOUDNESS, VERBS
from tests import docs_pages
from tests.checkout import ROOT

NAMES = [str(path.relative_to(ROOT)) for path in docs_pages.PAGES]
LINKED = [*NAMES, *(str(path.relative_to(ROOT)) for path in sorted(Path(ROOT, "docs", "adr").glob("*.md")))]
PLACEHOLDER = re.compile(r"^(\.\.\.|…|\[.*|.*…|.*\.\.\.)$")


@pytest.mark.parametrize("name", NAMES)
def test_a_command_in_a_block_is_what_the_verb_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in docs_pages.commands(Path(ROOT, name)):
        if any(map(PLACEHOLDER.match, words)):
            continue
        with suppress(SystemExit):  # also of --help
            arguments.by_argparse(words)
        assert not (said := capsys.readouterr().err), f"netlab {' '.join(words)}\n{said}"


@pytest.mark.parametrize("name", NAMES)
def test_a_command_in_the_text_has_a_verb_and_options_that_exist(name: str) -> None:
    for words in docs_pages.inline(Path(ROOT, name)):
        verbs = [word for word in words if not word.startswith("-")]
        if not verbs or verbs[0] not in VERBS:
            assert not verbs or verbs[0] in ("VERB", "..."), f"netlab {' '.join(words)}"
            continue
        own = (*LOUDNESS, *VERBS[verbs[0]].arguments)
        known = {"--lab", "--help", "-h", *(each for one in own for each in one.names)}
        options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert verbs[0] in ("exec", "run") or options <= known, f"netlab {' '.join(words)}"


@pytest.mark.parametrize("name", NAMES)
def test_a_target_of_make_exists(name: str) -> None:
    text = Path(ROOT, name).read_text(encoding="utf-8")
    named = re.findall(r"^(?:\$ )?(?:sudo )?make ([a-z][\w-]*)", text, re.MULTILINE)
    named += re.findall(r"`(?:sudo )?make ([a-z][\w-]*)", text)

    assert set() == set(named) - docs_pages.targets()


@pytest.mark.parametrize("name", LINKED)
def test_a_link_leads_somewhere(name: str) -> None:
    """To a file of the checkout, or to a page that is made of the code; and to a heading that is there."""
    path = Path(ROOT, name)
    text = re.sub(r"^ *```.*?^ *```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target, anchor in re.findall(r"\]\(([^)\s#]*)(#[^)\s]+)?\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        there = Path(path.parent, target) if target else path
        if "reference" in Path(target).parts:
            assert (Path(ROOT) / "mkdocs.yml").read_text().count(f"reference/{there.name}") == 1, target
            continue
        assert there.exists(), f"{name}: {target}"
        if anchor and there.suffix == ".md":
            assert anchor[1:] in headings(there), f"{name}: {target}{anchor}"


def headings(page: Path) -> set[str]:
    """Return what links to the headings of a page are called."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", title.replace("`", "")).strip().lower()) for title in found}


def test_every_page_is_on_the_site() -> None:
    """In the navigation of mkdocs.yml, once."""
    listed = re.findall(r": ([\w/.-]+\.md)$", Path(ROOT, "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    ours = [each for each in listed if not each.startswith(("reference/", "project/"))]

    assert sorted(ours) == sorted(path.name for path in Path(ROOT, "docs").glob("*.md"))


@pytest.mark.parametrize(
    "verb", [verb for verb, about in VERBS.items() if any("json" in str(each.keywords) for each in about.arguments)]
)
def test_the_page_of_json_has_every_verb_that_prints_some(verb: str) -> None:
    """As a block with the shape, or as a link to the page that has it."""
    text = Path(ROOT, "docs", "json.md").read_text(encoding="utf-8")

    assert re.search(rf'title="netlab {verb} [^"]*json"|`{verb}`[^,;]*\]\(\w+\.md\)', text)


@pytest.mark.parametrize("verb", VERBS)
def test_the_readme_names_every_verb(verb: str) -> None:
    """In its table of verbs."""
    _, _, text = Path(ROOT, "README.md").read_text(encoding="utf-8").partition("## The verbs")
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]

    assert verb in re.findall(r"`([a-z]+)", "".join(cells))


def test_the_readme_leads_to_every_page() -> None:
    text = Path(ROOT, "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in Path(ROOT, "docs").glob("*.md")} - {"index.md"}

    assert pages == set(re.findall(r"\(docs/([\w-]+\.md)", text)) & pages
