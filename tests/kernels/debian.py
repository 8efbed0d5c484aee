"""Debian's kernels, as files in a folder of the project's own: nothing is installed, the host's /boot stays as it is.

    images, notes, lacks = kernels()

apt says which kernels there are. Each is unpacked once, as FOLDER/PACKAGE, and again when apt offers a newer version.
One that cannot be had is replaced by what was unpacked of its series before.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress

from netlab.errors import HostError
from netlab.kernel import files

# Not below /var/cache, which virtme-ng hides in the machine: the modules are read from here.
FOLDER = "/var/lib/netlab/kernels"
_FETCH_DEADLINE_S = 600
_ASK_DEADLINE_S = 60


class Missing(Exception):  # noqa: N818 - it is a reason to skip
    """What cannot be had here, in words."""


_CANNOT = (Missing, HostError, OSError, subprocess.TimeoutExpired)


def kernels() -> tuple[dict[str, str], list[str], list[str]]:
    """Return the image of each kernel to try, by its package; what is to be said of that; and what cannot be had."""
    images: dict[str, str] = {}
    notes: list[str] = []
    lacks: list[str] = []
    try:
        packages = offered()
    except _CANNOT as error:
        packages = []
        images = _before(())
        (notes if images else lacks).append(_told(error, images))
    for package in packages:
        try:
            images[package] = unpacked(package)
        except _CANNOT as error:
            before = _before(_series(package))
            images |= before
            (notes if before else lacks).append(_told(error, before))
    if not notes and not lacks:
        _forget(set(_kept()) - set(images))
    return images, notes, lacks


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
        files.ensure_folder(FOLDER, files.FOR_ALL)
        with tempfile.TemporaryDirectory(dir=FOLDER, prefix="new.") as folder:
            _fetch(package, folder)
            with open(f"{folder}/x/version", "w", encoding="utf-8") as file:
                file.write(version)
            shutil.rmtree(home, ignore_errors=True)
            os.rename(f"{folder}/x", home)
    return _image(package)


def _image(package: str) -> str:
    home = f"{FOLDER}/{package}"
    images = [name for name in os.listdir(f"{home}/boot") if name.startswith("vmlinuz-")]
    if len(images) != 1:
        raise Missing(f"{package} holds {len(images)} kernel images; remove {home}")
    return f"{home}/boot/{images[0]}"


def _kept() -> list[str]:
    """Return the packages that are unpacked, oldest first."""
    names = os.listdir(FOLDER) if os.path.isdir(FOLDER) else []
    return sorted((name for name in names if os.path.exists(f"{FOLDER}/{name}/version")), key=_numbers)


def _before(series: tuple[int, ...]) -> dict[str, str]:
    """Return the image of the newest of each series that is unpacked, or of this one; by its package."""
    found: dict[tuple[int, ...], tuple[str, str]] = {}
    for package in _kept():
        if not series or _series(package) == series:
            with suppress(Missing, OSError):
                found[_series(package)] = (package, _image(package))
    return dict(found.values())


def _told(error: Exception, before: Iterable[str]) -> str:
    used = ", ".join(before)
    return f"{error}; {used} was unpacked before, and is tried" if used else str(error)


def _forget(packages: set[str]) -> None:
    """Remove kernels that are no longer offered; what another run is just fetching is none yet."""
    for package in packages:
        shutil.rmtree(f"{FOLDER}/{package}", ignore_errors=True)


def _series(package: str) -> tuple[int, ...]:
    return _numbers(package)[:2]


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
