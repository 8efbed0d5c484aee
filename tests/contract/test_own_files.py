"""What nodes have of the file system for themselves, seen by processes, `exec` and `run`; on both runtimes."""

import json
import os
import stat

import pytest

from netlab.testing.waiting import eventually
from tests.lab.lab import inside, netlab, texts

pytestmark = pytest.mark.root

FILES = {"r1.conf": "hostname of r1\n", "r2.conf": "hostname of r2\n"}
TOPOLOGY = """
name: own-files
nodes:
  r:
    replicas: 2
    files:
      /etc/netlab-test/daemon.conf: ./${node}.conf
      /etc/netlab-test/text.conf: {text: "I am ${node}\\n", mode: 0640, owner: "daemon:games"}
      /etc/resolv.conf: {text: "nameserver 10.0.0.53\\n"}
      /run/netlab-test/inside: {text: "below a folder of its own\\n"}
      /usr/local/bin/netlab-test-tool:
        text: |
          #!/bin/sh
          echo "$(hostname): $(cat /etc/netlab-test/daemon.conf)"
          exec sleep inf
        mode: 0755
    private:
      - /run/netlab-test
      - {path: /var/log, mode: 0751, owner: daemon}
      - {path: /srv, content: host}
      - {path: /opt, content: host}
    command: [netlab-test-tool]
  plain: {}
links:
  - [r, plain]
"""


def stated(node: str, path: str) -> str:
    """Return permissions, user and group of what a node sees at a path."""
    return inside(node, "stat", "--format", "%a %U %G", path).stdout.strip()


def seen(node: str, path: str) -> str:
    """Return the text of a file as a node sees it."""
    return inside(node, "cat", path).stdout


def test_each_node_has_its_own_files(one: str) -> None:
    for node in ("r1", "r2"):
        assert f"hostname of {node}\n" == seen(node, "/etc/netlab-test/daemon.conf")
        assert f"I am {node}\n" == seen(node, "/etc/netlab-test/text.conf")
        assert "640 daemon games" == stated(node, "/etc/netlab-test/text.conf")
        assert "644 root root" == stated(node, "/etc/netlab-test/daemon.conf")
    inside("plain", "cat", "/etc/netlab-test/daemon.conf", code=1)
    assert not os.path.exists("/etc/netlab-test")


def test_its_host_name_is_its_name(one: str) -> None:
    for node in ("r1", "r2"):
        assert f"{node}\n" == inside(node, "hostname").stdout


def test_processes_see_them_too(one: str) -> None:
    """A command may itself be one of these files."""
    for node in ("r1", "r2"):
        eventually(lambda node=node: f"{node}: hostname of {node}" in texts("logs", node))  # type: ignore[misc]


def test_run_and_shell_see_them_too(one: str) -> None:
    import subprocess
    import sys

    from tests.lab.lab import ROOT, start

    again = start("r1")
    assert again.stdout
    assert "r1: hostname of r1\n" == again.stdout.readline()
    again.terminate()
    again.communicate()
    argv = [sys.executable, "-m", "netlab", "shell", "r2"]
    done = subprocess.run(argv, input="hostname\n", capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert "r2\n" in done.stdout


def test_hosts_are_the_labs_and_resolv_conf_the_nodes(one: str) -> None:
    assert "nameserver 10.0.0.53\n" == seen("r1", "/etc/resolv.conf")
    assert " plain\n" in seen("r1", "/etc/hosts")
    assert "nameserver 10.0.0.53\n" != inside("plain", "cat", "/etc/resolv.conf", code=None).stdout


def test_folders_are_empty_or_over_the_hosts(one: str) -> None:
    assert "inside\n" == inside("r1", "ls", "-A", "/run/netlab-test").stdout
    assert "" == inside("r1", "ls", "-A", "/var/log").stdout
    assert stated("r1", "/var/log").startswith("751 daemon ")
    assert inside("plain", "ls", "-A", "/opt").stdout == inside("r1", "ls", "-A", "/opt").stdout


def test_what_one_writes_no_other_sees(one: str) -> None:
    """Also in a folder that shows what the host has, and by a rename, as editors and daemons write."""
    for path in ("/etc/netlab-test/written", "/var/log/written", "/srv/written", "/run/netlab-test/written"):
        inside("r1", "sh", "-c", f"echo new > {path}.new && mv {path}.new {path}")
        assert "new\n" == seen("r1", path)
        inside("r2", "cat", path, code=1)
        assert not os.path.exists(path)
    inside(
        "r1", "sh", "-c", "echo changed > /etc/netlab-test/.new && mv /etc/netlab-test/.new /etc/netlab-test/text.conf"
    )
    assert "changed\n" == seen("r1", "/etc/netlab-test/text.conf")
    assert "I am r2\n" == seen("r2", "/etc/netlab-test/text.conf")


def test_commands_that_cannot_be_run(one: str) -> None:
    """They end as in a shell; what counts is what the node sees."""
    assert "nosuch: no such command" in inside("r1", "nosuch", code=127).stderr
    assert "cannot be executed" in inside("r1", "/etc/netlab-test/daemon.conf", code=126).stderr
    assert 9 == inside("r1", "sh", "-c", "exit 9", code=9).returncode


def test_it_sees_the_devices_of_its_own_network(one: str) -> None:
    assert {"lo", "eth0"} <= set(inside("r1", "ls", "/sys/class/net").stdout.split())


def test_a_file_that_is_gone_is_reported(one: str) -> None:
    inside("r2", "mv", "/etc/netlab-test/daemon.conf", "/srv/away")
    told = json.loads(netlab("status", "--format", "json", code=1).stdout)["problems"]
    inside("r2", "mv", "/srv/away", "/etc/netlab-test/daemon.conf")

    assert [("r2", "its own /etc/netlab-test/daemon.conf is gone")] == [(each["where"], each["what"]) for each in told]
    netlab("status")


def test_what_is_kept_of_it_is_roots(one: str) -> None:
    """What is in these files may be secret."""
    folder = os.stat(f"/run/netlab/{one}/own")
    assert (0o700, 0) == (stat.S_IMODE(folder.st_mode) & 0o777, folder.st_uid)
    assert "I am r1" not in netlab("exec", "plain", "cat", f"/run/netlab/{one}/lab.json", code=None).stdout
