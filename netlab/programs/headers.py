"""The headers that programs are compiled with: netlab's own few (bpf/kernel), and the kernel's for user space.

bcc looks for the source of the running kernel, which many hosts lack. XDP programs need little of it: the headers in
bpf/kernel, and those in linux-libc-dev. netlab uses only these, also if kernel headers are installed. So programs
compile the same everywhere, and ten times faster.
"""

import os
import re
from collections.abc import Sequence

from netlab import assets
from netlab.errors import HostError
from netlab.kernel import files
from netlab.topology import program_text

_SYSTEM = "/usr/include"
_OFTEN_OWN = ("vlan_hdr", "vlan_ethhdr")  # structs that only the kernel's own headers have: programs define them, too
_LINKED = ("linux", "asm", "asm-generic")


def flags(program: str, work_folder: str, include: Sequence[str] = ()) -> list[str]:
    """Return the compiler's options that find every header a program at this path may include.

    `include` are more folders, after the program's own.

    bcc looks for some of them below `uapi/`, as in the kernel's source: links in `work_folder` provide that name.
    Several processes may do this at a time. Raises HostError if the system's headers are missing.
    """
    links = _uapi(work_folder)
    own = assets.folder("bpf")
    includes = (os.path.dirname(program), *include, own, os.path.dirname(links), links)
    return [
        f"-DPAGE_SIZE={os.sysconf('SC_PAGE_SIZE')}",
        *(f"-I{folder}" for folder in includes),
        "-include",
        os.path.join(own, "prelude.h"),
    ]


def flags_for(source: str) -> list[str]:
    """Return the options for structs that a program defines itself, so that bpf/kernel does not define them again.

    `source` is the program's text with its headers.
    """
    return [f"-DNETLAB_OWN_{name.upper()}" for name in _OFTEN_OWN if re.search(rf"\bstruct\s+{name}\s*{{", source)]


def enum_in(source: str, name: str) -> dict[str, int]:
    """Return an enum of a program's C text: each name with its number.

    {} if there is none, or if one of its values is no plain number.
    """
    found = re.search(rf"\benum\s+{name}\s*\{{([^{{}}]*)\}}", program_text.without_comments(source))
    return program_text.enumerators(found[1]) if found else {}


def kernel_source() -> str:
    """Return the folder that bcc uses as the kernel's source."""
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
