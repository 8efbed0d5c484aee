"""Debian's kernels, as files in a folder of the project's own: nothing is installed, the host's /boot stays as it is.

    for package in offered(): image = unpacked(package)

apt says which kernels there are. Each is unpacked once, as FOLDER/PACKAGE, and again when apt offers a newer version.
"""

import os
import re
import shutil
import subprocess
import tempfile

# Not below /var/cache, which virtme-ng hides in the machine: the modules are read from here.
FOLDER = "/var/lib/netlab/kernels"
_FETCH_DEADLINE_S = 600
_ASK_DEADLINE_S = 60


class Missing(Exception):  # noqa: N818 - it is a reason to skip
    """What cannot be had here, in words."""


def offered() -> list[str]:
    """Return the packages of the release's own kernel and of the newest that it offers, oldest first."""
    if not shutil.which("apt-cache"):
        raise Missing("no apt: Debian's kernels are not to be had")
    arch = _said("dpkg", "--print-architecture").strip()
    found = _said("apt-cache", "search", "--names-only", rf"^linux-image-([0-9.]+-)?{arch}$")
    metas = [line.split()[0] for line in found.splitlines()]
    own = [name for name in metas if name == f"linux-image-{arch}"]
    newer = sorted((name for name in metas if name not in own), key=_numbers)
    if not own:
        raise Missing(f"apt offers no linux-image-{arch} (no Debian, or `apt-get update` was never run)")
    packages = [_depends(name) for name in (*own, *newer[-1:])]
    return sorted(set(packages), key=_numbers)


def unpacked(package: str) -> str:
    """Return the path of a package's kernel image, fetched and unpacked if that is still to be done."""
    version = _version(package)
    home = f"{FOLDER}/{package}"
    if _read(f"{home}/version") != version:
        os.makedirs(FOLDER, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER, prefix="new.") as folder:
            _fetch(package, folder)
            with open(f"{folder}/x/version", "w", encoding="utf-8") as file:
                file.write(version)
            shutil.rmtree(home, ignore_errors=True)
            os.rename(f"{folder}/x", home)
    images = [name for name in os.listdir(f"{home}/boot") if name.startswith("vmlinuz-")]
    if len(images) != 1:
        raise Missing(f"{package} holds {len(images)} kernel images; remove {home}")
    return f"{home}/boot/{images[0]}"


def forget_all_but(packages: list[str]) -> None:
    """Remove the kernels of packages that are no longer offered."""
    if os.path.isdir(FOLDER):
        for name in set(os.listdir(FOLDER)) - set(packages):
            shutil.rmtree(f"{FOLDER}/{name}")


def _fetch(package: str, folder: str) -> None:
    """Download a package into a folder, and unpack it as `x` there."""
    options = ("-qq", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=2")
    fetched = subprocess.run(
        ["apt-get", *options, "download", package],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=_FETCH_DEADLINE_S,
    )
    files = [name for name in os.listdir(folder) if name.endswith(".deb")]
    if fetched.returncode or len(files) != 1:
        said = fetched.stderr.strip().splitlines() or ["no word of why"]
        raise Missing(f"{package} could not be fetched: {said[-1]}")
    _said("dpkg", "-x", f"{folder}/{files[0]}", f"{folder}/x", deadline_s=_FETCH_DEADLINE_S)


def _depends(meta: str) -> str:
    """Return the kernel that a metapackage stands for."""
    said = _said("apt-cache", "depends", "--important", meta)
    found = re.search(r"Depends: (linux-image-\S+)", said)
    if not found:
        raise Missing(f"{meta} depends on no kernel")
    return found[1]


def _version(package: str) -> str:
    found = re.search(r"^Version: (\S+)$", _said("apt-cache", "--no-all-versions", "show", package), re.MULTILINE)
    if not found:
        raise Missing(f"apt offers no version of {package}")
    return found[1]


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", name))


def _said(*argv: str, deadline_s: float = _ASK_DEADLINE_S) -> str:
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=deadline_s)
    if done.returncode:
        raise Missing(f"{' '.join(argv)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""
