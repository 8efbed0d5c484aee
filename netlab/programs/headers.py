"""The headers that programs are compiled with: netlab's own small tree, and the user-space half of the kernel's.

bcc wants the source of the running kernel, which many hosts lack. XDP programs need little of it: what bpf/kernel
holds, and the headers that any C library is built on. Used alone, also where kernel headers are installed, it makes
programs compile the same everywhere, and ten times faster.
"""

import os
import re

from netlab import assets
from netlab.errors import HostError
from netlab.kernel import files

_SYSTEM = "/usr/include"
_LINKED = ("linux", "asm", "asm-generic")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def flags(program: str, work_folder: str) -> list[str]:
    """Return the compiler's options that find every header a program at this path may include.

    bcc looks for some of them below `uapi/`, where the kernel keeps them: links in `work_folder` supply that name.
    Several processes may do this at a time. Raises HostError where the system's headers are missing.
    """
    links = _uapi(work_folder)
    own = assets.folder("bpf")
    includes = (os.path.dirname(program), own, os.path.dirname(links), links)
    return [
        f"-DPAGE_SIZE={os.sysconf('SC_PAGE_SIZE')}",
        *(f"-I{folder}" for folder in includes),
        "-include",
        os.path.join(own, "prelude.h"),
    ]


def included(program: str, source: str) -> dict[str, str]:
    """Return the headers that a program includes by a name in quotes, directly or not: the path of each by its name.

    `program` is the path of the program, `source` its text. Names are relative to the folder in which they are found:
    the program's own, or netlab's. Those that are in neither are left out.
    """
    found: dict[str, str] = {}
    waiting = [("", source)]
    while waiting:
        beside, text = waiting.pop()
        for name in _INCLUDE.findall(text):
            for candidate in (os.path.normpath(os.path.join(beside, name)), name):
                path = _beside(program, candidate)
                if path and candidate not in found:
                    found[candidate] = path
                    waiting.append((os.path.dirname(candidate), _text(path)))
                if path:
                    break
    return found


def with_included(program: str, source: str) -> str:
    """Return the text of a program, followed by that of all headers which `included` finds."""
    return "\n".join([source, *map(_text, included(program, source).values())])


def enum_in(source: str, name: str) -> dict[str, int]:
    """Return an enum as it stands in a program's C text, each name with its place in it; {} where there is none."""
    found = re.search(rf"\benum\s+{name}\s*\{{([^}}]*)\}}", _COMMENT.sub("", source))
    names = [each.split("=")[0].strip() for each in found[1].split(",") if each.strip()] if found else []
    return {each: number for number, each in enumerate(names)}


def _beside(program: str, name: str) -> str:
    """Return the path of a header in the program's folder or else in netlab's; "" if it is in neither."""
    paths = (os.path.join(folder, name) for folder in (os.path.dirname(program), assets.folder("bpf")))
    return next(filter(os.path.isfile, paths), "")


def _text(path: str) -> str:
    """Return the text of a header; nothing of one that cannot be read, or has just gone."""
    try:
        return files.read(path).decode(errors="replace")
    except OSError:
        return ""


def kernel_source() -> str:
    """Return the folder that bcc is to take for the source of the kernel."""
    return os.path.join(assets.folder("bpf"), "kernel")


def _uapi(work_folder: str) -> str:
    """Return a folder with links to the system's headers, which is made if need be."""
    folder = os.path.join(work_folder, "headers", "uapi")
    files.ensure_folder(folder, files.FOR_OWNER)
    for name in _LINKED:
        try:
            os.symlink(_system_folder(name), os.path.join(folder, name))
        except FileExistsError:
            continue
    return folder


def _system_folder(name: str) -> str:
    """Return where the system keeps a folder of kernel headers: Debian has one `asm` for each architecture."""
    places = (f"{_SYSTEM}/{os.uname().machine}-linux-gnu/{name}", f"{_SYSTEM}/{name}")
    for place in places:
        if os.path.isfile(f"{place}/types.h"):
            return place
    raise HostError(f"no {places[-1]}/types.h: install Debian's package linux-libc-dev")
