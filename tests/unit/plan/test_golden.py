import glob
import os
import re

import pytest

from netlab.plan.planner import plan
from netlab.topology import document, validate
from tests.checkout import ROOT

GOLDEN = os.path.join(ROOT, "tests", "golden", "plan")


@pytest.mark.parametrize("name", sorted(os.path.basename(path)[:-4] for path in glob.glob(f"{GOLDEN}/*.yml")))
def test_golden_plan(name: str) -> None:
    """A dry run prints what stands in the .txt file; after a change that is meant, UPDATE_GOLDEN=1 writes it anew."""
    topology = validate.topology(document.load(f"{GOLDEN}/{name}.yml"))
    text = "".join(f"{step}\n" for step in plan(topology).steps).replace(ROOT, "ROOT")
    text = re.sub(r"'(ROOT/[\w./]*)'", r"\1", text)  # a checkout's path may need quotes
    if os.environ.get("UPDATE_GOLDEN"):
        with open(f"{GOLDEN}/{name}.txt", "w", encoding="utf-8") as file:
            file.write(text)

    with open(f"{GOLDEN}/{name}.txt", encoding="utf-8") as file:
        assert file.read() == text
