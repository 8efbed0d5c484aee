"""The images that tests need, built as `make image` does."""

import subprocess

import pytest

from tests.lab.lab import ROOT

NO_MIRROR = 4
MAKE_S = 1800


def built(target: str) -> None:
    """Have an image of this checkout stand; the test is skipped where its base cannot be fetched, else it fails."""
    done = build(target)
    if done.returncode == NO_MIRROR:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, f"no image {target}: {done.stderr}"


def build(target: str) -> subprocess.CompletedProcess[str]:
    """Run the build, which does nothing where the image stands."""
    command = ["sh", f"{ROOT}/.ci/image", target]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=MAKE_S)
