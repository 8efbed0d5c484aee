"""The lab's own instance of the kernel's trace: what its programs print with `bpf_trace_printk`.

Every instance gets every print on the machine; reading one does not take lines from another. So each lab has an
instance, which keeps the lines that begin with the lab's name: the kernel filters, the reader checks. Its name is the
lab's mark, because containers on one machine see each other's instances. Its clock is CLOCK_MONOTONIC, as in the logs.
See Documentation/trace/ftrace.rst in the kernel.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from netlab import paths
from netlab.kernel import syscalls
from netlab.record import mark

_BUFFER_KB = 4096  # for each CPU: some 40,000 lines
_BUFFERS_KB = 64 << 10  # for all CPUs
_EVENT = "events/bpf_trace/bpf_trace_printk"


def instance(folder: str, lab: str) -> str:
    """Return the folder of the lab's instance, in the tracefs of its folder."""
    return paths.trace_instance(folder, mark.mark(lab))


def open_instance(folder: str, lab: str) -> None:
    """Make the lab's instance, and let it collect what the lab's programs print from now on.

    This takes some 80 ms, almost all of it waiting in the kernel, while other threads may run. HostError if the kernel
    has no such event.
    """
    where = instance(folder, lab)
    try:
        if not os.path.isdir(where):
            os.mkdir(where)
        _write(f"{where}/trace_clock", "mono")
        _write(f"{where}/buffer_size_kb", str(min(_BUFFER_KB, _BUFFERS_KB // (os.cpu_count() or 1))))
        _write(f"{where}/buffer_percent", "0")  # wake the reader for every line, and not when the buffer is half full
        _write(f"{where}/{_EVENT}/filter", f'bpf_string ~ "{mark.printed(lab)}/*"')
        _write(f"{where}/{_EVENT}/enable", "1")
    except OSError as error:
        from netlab.errors import HostError

        raise HostError(f"this kernel cannot collect the trace of programs in {where}: {error.strerror}") from error


def close_instance(lab: str) -> bool:
    """Remove the lab's instance with its content; say whether there was one. OSError while somebody reads it."""
    with _instances() as folder:
        try:
            os.rmdir(f"{folder}/{mark.mark(lab)}")
        except FileNotFoundError:
            return False
    return True


def labs() -> list[str]:
    """Return the labs that have an instance; none without root."""
    try:
        with _instances() as folder:
            names = os.listdir(folder)
    except OSError:
        return []
    return [lab for name in names if (lab := mark.marked(name))]


@contextmanager
def _instances() -> Iterator[str]:
    """Yield the folder of all instances, in a tracefs that is mounted nowhere, because a lab's own may be gone.

    Yield a folder that does not exist, if the kernel has no tracing.
    """
    try:
        tracefs = syscalls.open_file_system("tracefs")
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        yield "/proc/self/fd/none"
        return
    try:
        yield f"/proc/self/fd/{tracefs}/instances"
    finally:
        os.close(tracefs)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
