"""Runs the host's own commands for packet filters, nft and iptables, in the namespace of the calling thread."""

import subprocess
from collections.abc import Sequence

from netlab.errors import HostError, NetlabError

DEADLINE_S = 30
_PACKAGES = {"nft": "nftables"}


def run(argv: Sequence[str], lock: int = -1, text: str = "") -> str:
    """Return what a command prints; NetlabError with its stderr if it fails, HostError if it is not installed.

    The command inherits the lock's descriptor: so if this process is killed, the lock is held until the command ends.
    """
    code, out, words = tried(argv, lock, text)
    if code:
        raise NetlabError(f"cannot `{' '.join(argv)}`: {words}")
    return out


def tried(argv: Sequence[str], lock: int = -1, text: str = "") -> tuple[int, str, str]:
    """Return exit code, output and errors of a command; HostError if it is not installed."""
    try:
        done = subprocess.run(
            argv,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DEADLINE_S,
            check=False,
            pass_fds=(lock,) if lock >= 0 else (),
        )
    except FileNotFoundError:
        package = _PACKAGES.get(argv[0], "iptables")
        raise HostError(f"{argv[0]} is not installed; on Debian: apt-get install {package}") from None
    except subprocess.TimeoutExpired:
        raise NetlabError(f"`{' '.join(argv)}` was not over after {DEADLINE_S} s") from None
    return done.returncode, done.stdout, " ".join(done.stderr.split())
