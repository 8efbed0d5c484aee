"""The balancer, compiled once for all packet tests."""

import os
import tempfile
from collections.abc import Iterator

import pytest

from netlab import loader, syscalls
from tests.bpf.rig import SOURCE, Rig

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope="session", params=[0, 1], ids=["silent", "traced"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """The balancer with a queue of eight, its trace compiled out and in."""
    if os.geteuid() != 0:
        pytest.skip("loading programs needs root")
    with tempfile.TemporaryDirectory(prefix="netlab-rig-") as folder:
        os.mkdir(f"{folder}/bpf")
        syscalls.mount("bpf", f"{folder}/bpf", "bpf")
        try:
            define: tuple[tuple[str, str | int], ...] = (("QUEUE", 8), ("TRACE", request.param), ("TEST_ENTRIES", 1))
            path = f"{ROOT}/{SOURCE}"
            job = loader.Job("test", "lb", path, f"{folder}/bpf/lb", folder, define=define, builtins=(("MTU", 1500),))
            compilation = loader.start(job)
            try:
                compilation.pinned(60)
            finally:
                compilation.kill()
            with open(path, encoding="utf-8") as file:
                rig = Rig(f"{folder}/bpf/lb", file.read())
            yield rig
            rig.close()
        finally:
            syscalls.umount(f"{folder}/bpf")
