"""A cell (.ci/cell) keeps what others do out of sight, and what is done in it away from others."""

import os
import subprocess
import tempfile

import pytest

from tests.lab.lab import ROOT

pytestmark = pytest.mark.root


def test_folders_for_temporary_files_are_its_own() -> None:
    """Others may come and go there while tests look for what they leave."""
    shown = "echo ready; read line; ls /var/tmp /dev/shm; touch /var/tmp/from-inside"
    words = [f"{ROOT}/.ci/cell", "sh", "-c", shown]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as cell:
        assert cell.stdin
        assert cell.stdout
        assert "ready\n" == cell.stdout.readline()
        with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="made-meanwhile-"):
            found = cell.communicate("\n")[0]

    assert "made-meanwhile" not in found
    assert "from-inside" not in os.listdir("/var/tmp")  # noqa: S108
