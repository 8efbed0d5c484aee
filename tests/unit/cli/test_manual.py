"""The manual page says what the verbs say."""

import importlib.util

from tests.checkout import ROOT


def test_the_page_is_made_of_the_verbs_as_they_are() -> None:
    """`make man` writes it anew."""
    spec = importlib.util.spec_from_file_location("build", f"{ROOT}/docs/man/build.py")
    assert spec
    assert spec.loader
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    assert build.PAGE.read_text() == build.text()
