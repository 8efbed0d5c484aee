"""The YAML parser, loaded without the rest of its package: in processes of their own, since other tests load it all."""

import subprocess
import sys

import pytest

from netlab.testing.waiting import PATIENCE_S
from tests.checkout import ROOT

BAD = ["a: &x {b: [1, *x]}", "a: [", "a: 'b", "\ta: b", "a: \x07", "%", "a: \udc80", "", "--- 1\n--- 2"]
SHOW = f"""
from netlab.topology import document
from netlab.errors import TopologyError
for text in {BAD!r}:
    for _ in range(2):
        try:
            print(document.parse(text, "lab.yml").root)
        except TopologyError as error:
            print(error)
"""


def python(code: str) -> str:
    """Return what a fresh interpreter prints."""
    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout.strip()


def test_the_rest_of_the_package_is_not_run() -> None:
    loaded = python(
        "import sys; from netlab.topology import document; document.parse('a: b', ''); print(*sys.modules)"
    ).split()

    assert "yaml._yaml" in loaded
    assert not {"yaml.resolver", "yaml.loader", "yaml.cyaml", "datetime"} & set(loaded)


def test_mistakes_are_told_as_with_all_of_the_package() -> None:
    assert python(f"import yaml\n{SHOW}") == python(SHOW)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import yaml; print(yaml.safe_load('a: 2001-02-03'), yaml.__with_libyaml__)", "datetime.date"),
        ("import yaml; print(yaml.load('a: [1, 2.5]', yaml.CSafeLoader))", "{'a': [1, 2.5]}"),
        ("import yaml; print(yaml.dump({'a': [1]}), yaml.YAMLError is yaml.error.YAMLError)", "a:\n- 1\n True"),
        ("from yaml import SafeDumper, reader; print(SafeDumper, reader.Reader)", "yaml.reader.Reader"),
        ("from yaml.constructor import ConstructorError; print(ConstructorError.__name__)", "Error"),
        ("from netlab.topology.document.dump import dump; print(dump({'a': [1]}))", "a: [1]"),
        ("import yaml\ntry: yaml.safe_load('a: [')\nexcept yaml.parser.ParserError: print('caught')", "caught"),
        ("import yaml\ntry: yaml.load('a: [', yaml.CSafeLoader)\nexcept yaml.YAMLError: print('caught')", "caught"),
    ],
)
def test_all_of_yaml_is_there_for_who_wants_it(code: str, expected: str) -> None:
    """Other code in the same process finds what it expects."""
    assert expected in python(f"from netlab.topology import document; document.parse('a: b', ''); {code}")


@pytest.mark.parametrize(
    "before",
    [
        "sys.modules['yaml._yaml'] = None",  # a PyYAML without its C part
        # one that is laid out otherwise
        "lazy_import.module = lambda name, **known: sys.modules.__setitem__(name, None)",
    ],
)
def test_another_pyyaml_serves_as_well(before: str) -> None:
    show = "from netlab.topology import document; print(document.parse('a: [b]', '').root)"

    assert python(f"import sys; from netlab import lazy_import; {before}; {show}") == python(show)


def test_yaml_is_imported_only_to_read() -> None:
    """What only needs the tree does not wait for the YAML library."""
    code = "import sys, netlab.topology.document, netlab.topology.validate; sys.exit('yaml' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode
