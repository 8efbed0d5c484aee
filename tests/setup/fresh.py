"""A fresh Debian in a folder, with one user who may use sudo: what a newcomer's machine looks like to the set-up.

Commands run in mount and process namespaces of their own, so whatever they mount or start is gone when they end. The
network, and this machine's settings for pip, are shared with the fresh system.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

USER = "student"
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
NOT_COPIED = (".venv", ".git", ".*_cache", ".hypothesis", "__pycache__", "dist", "build")
ENTER = """
set -e
root=$1 folders=$2
shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
for folder in $folders; do
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
done
exec chroot "$root" "$@"
"""


class FreshError(Exception):
    """A fresh system could not be made; the message says why."""


class Fresh:
    """A fresh Debian 12, or another suite, below `root`, which must be an empty folder."""

    def __init__(self, root: Path, suite: str = "bookworm") -> None:
        self.root, self.suite = root, suite
        self.home = root / "home" / USER

    def make(self) -> None:
        """Install the system and its user, and hand on what this machine's pip and name resolution need."""
        command = ["debootstrap", "--variant=minbase", "--include=make,sudo,ca-certificates", self.suite]
        done = subprocess.run([*command, self.root, *mirror()], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise FreshError(f"debootstrap {self.suite}: " + (done.stdout + done.stderr).strip().splitlines()[-1])
        self.root.chmod(0o755)  # temporary folders are closed to others
        for name in ("etc/resolv.conf", "etc/hosts", CERTIFICATES):
            shutil.copy(f"/{name}", self.root / name)
        subprocess.run(["chroot", self.root, "useradd", "--create-home", "--shell", "/bin/sh", USER], check=True)
        (self.root / "etc/sudoers.d" / USER).write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
        self._hand_on_pip_settings()

    def copy(self, checkout: Path, name: str) -> None:
        """Copy a checkout into the user's home, where it belongs to the user."""
        shutil.copytree(checkout, self.home / name, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)
        subprocess.run(["chroot", self.root, "chown", "-R", f"{USER}:", f"/home/{USER}"], check=True)

    def says(self, folder: str, text: str, user: str = USER) -> subprocess.CompletedProcess[str]:
        """Run a line of shell as that user in a folder of the user's home, all output in one."""
        line = f"cd '/home/{USER}/{folder}' && {text}"
        login = ["su", "--login", user, "--command", line]
        enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "sh", str(self.root)]
        folders = " ".join(sorted(folders_of_pip()))
        return subprocess.run(
            [*enter, folders, *login], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env={"PATH": os.environ["PATH"], "TERM": "dumb"},
        )  # fmt: skip

    def _hand_on_pip_settings(self) -> None:
        lines = "".join(f"{name} = {value}\n" for name, value in pip_settings().items())
        (self.root / "etc" / "pip.conf").write_text(f"[global]\n{lines}")
        for path in files_of_pip():
            copy = self.root / path.relative_to("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)


def pip_settings() -> dict[str, str]:
    """Return the settings for pip that are in force on this machine, from files and environment."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True)
    found = re.findall(r"^(?:global|install|:env:)\.([a-z-]+)='(.*)'$", listed.stdout, re.MULTILINE)
    return {name: value.replace("\\n", " ") for name, value in found}


def mirror() -> list[str]:
    """Return the Debian mirror that this machine's apt uses; none leaves the choice to debootstrap."""
    query = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages", "Codename: bookworm"]
    found = subprocess.run(query, check=False, capture_output=True, text=True).stdout.split()
    return found[:1]


def files_of_pip() -> set[Path]:
    """Return the files on this machine that pip's settings name: certificates, constraints."""
    return {
        path
        for word in " ".join(pip_settings().values()).split()
        if (path := Path(word)).is_absolute() and path.is_file()
    }


def folders_of_pip() -> set[str]:
    """Return the folders on this machine that pip's settings name as sources of packages."""
    words = " ".join(pip_settings().values()).split()
    paths = {re.sub(r"/simple/?$", "", word.removeprefix("file://")) for word in words}
    return {path for path in paths if path.startswith("/") and Path(path).is_dir()}
