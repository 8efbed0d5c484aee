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
_KERNELS = re.compile(r"\bu(?:8|16|32|64)\b")
_KERNELS_ARE_THERE = re.compile(
    r"\btypedef\b[^;]{0,200}\bu(?:8|16|32|64)\s*;|^[ \t]*#[ \t]*define[ \t]+u(?:8|16|32|64)\b", re.MULTILINE
)
_OF_LIBBPF = os.path.join(_SYSTEM, "bpf")
_DEPTH = 4  # folders above that a name may go up to
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


def is_kernels(source: str) -> bool:
    """Say whether a source, given with its headers, is built in the kernel's own tree, such as samples/bpf.

    It includes headers from `uapi/`, or uses the kernel's names of types and brings nothing along that has them.
    """
    if program_text.includes_from(source, "uapi"):
        return True
    code = program_text.without_comments(source, strings=False)
    return bool(_KERNELS.search(code)) and not (
        _KERNELS_ARE_THERE.search(code) or program_text.includes(source, program_text.KERNEL_TYPES)
    )


def of_kernel(work_folder: str) -> list[str]:
    """Return the options for a source of the kernel's own tree: folders of headers, and the kernel's names."""
    own = os.path.join(assets.folder("bpf"), "libbpf", "kernel")
    folders = (own, os.path.dirname(_uapi(work_folder)), os.path.join(kernel_source(), "include"))
    return [*(f"-I{folder}" for folder in folders), "-include", os.path.join(own, "names.h")]


def flags_for(source: str) -> list[str]:
    """Return the options for what netlab's headers must not define, as a program defines or uses it in its own way.

    `source` is the program's text with its headers.
    """
    there = [name for name in _OFTEN_OWN if name in source and re.search(rf"\bstruct\s+{name}\s*{{", source)]
    own = [f"-DNETLAB_OWN_{name.upper()}" for name in there]
    return [*own, *(["-DNETLAB_PLAIN_PRINT"] if "cursor_advance" in source else [])]


def of_libbpf(source: str, folders: Sequence[str], work_folder: str) -> list[str]:
    """Return the folder for libbpf's headers that a source includes from a missing checkout, in a list; or [].

    For a name such as "../libbpf/src/bpf_helpers.h" it has a header that includes the installed one. The folder is made
    in `work_folder`.
    """
    top = os.path.join(work_folder, "headers", "libbpf")
    base = os.path.join(top, *("below",) * _DEPTH)
    found = []
    for name in program_text.included(source):
        path = os.path.normpath(os.path.join(base, name))
        here = os.path.join(_OF_LIBBPF, os.path.basename(name))
        is_one = os.path.basename(name).startswith("bpf_") and os.path.exists(here)
        if not is_one or os.path.dirname(name) in ("", "bpf") or not path.startswith(f"{top}/"):
            continue
        if not any(os.path.exists(os.path.join(folder, name)) for folder in folders):
            files.ensure_folder(os.path.dirname(path), files.FOR_OWNER)
            files.write(path, f"#include <bpf/{os.path.basename(name)}>\n", 0o600)
            found.append(base)
    files.ensure_folder(base, files.FOR_OWNER) if found else None
    return found[:1]


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
