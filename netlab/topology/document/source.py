"""Reads the text of a topology file, without waiting, and up to a limit."""

import os
import stat

from netlab.errors import Mistake, TopologyError, UsageError
from netlab.topology.document.tree import show

MAX_BYTES = 1 << 20
TOPOLOGY = "a topology"


def read(path: str, what: str = TOPOLOGY) -> str:
    """Return the text of the file `path`, which is `what`: a topology, or another file of YAML.

    Raises UsageError if there is no regular file that can be read, TopologyError if it is not text, or longer than
    MAX_BYTES.
    """
    try:
        # Without O_NONBLOCK, a named pipe would make us wait until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            data = _read(path, descriptor, what)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise UsageError(
            f"{path}: expected {what}, found no such file{_shipped(path) if what == TOPOLOGY else ''}"
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: expected {what} that can be read, found: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{show(path)}: expected the path of {what}, found a name that no file can have") from None
    return _text(path, data)


def _read(path: str, descriptor: int, what: str) -> bytes:
    """Return the content of a regular file, and one byte too many if it is longer than MAX_BYTES."""
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        found = "a directory" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise UsageError(f"{path}: expected {what}, found {found} (name a regular file)")
    chunks: list[bytes] = []
    wanted = MAX_BYTES + 1
    while wanted and (chunk := os.read(descriptor, wanted)):
        chunks.append(chunk)
        wanted -= len(chunk)
    return b"".join(chunks)


def _shipped(path: str) -> str:
    """Return a hint to netlab's own topology of this name, or ""."""
    from netlab.assets import folder

    name = os.path.basename(path)
    for candidate in (name, f"{name}.yml", f"labs/{name}", f"labs/{name}.yml"):
        shipped = os.path.join(folder("topologies"), candidate)
        if name and os.path.isfile(shipped):
            return f" (netlab's own is {shipped})"
    return ""


def _text(path: str, data: bytes) -> str:
    """Return `data` as text, or refuse it if it is too long or is not text."""
    if len(data) > MAX_BYTES:
        message = f"expected a topology of at most {MAX_BYTES:,} bytes, found a longer file"
        raise TopologyError(path, [Mistake(1, 1, "", message, "use replicas, or split the lab")])
    nul = data.find(b"\0")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not 0 <= nul < error.start:
            what = f"the byte 0x{data[error.start]:02x}, which is no UTF-8"
            raise _no_text(path, data, error.start, what) from None
    if nul >= 0:
        raise _no_text(path, data, nul, "binary data")
    return text


def _no_text(path: str, data: bytes, position: int, what: str) -> TopologyError:
    line_start = data.rfind(b"\n", 0, position) + 1
    column = len(data[line_start:position].decode("utf-8", "replace")) + 1
    line = data.count(b"\n", 0, position) + 1
    return TopologyError(path, [Mistake(line, column, "", f"expected YAML text in UTF-8, found {what}")])
