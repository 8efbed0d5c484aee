"""Attaches loaded programs at hooks of interfaces of this process's namespace, and sees that the kernel agrees."""

import errno
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import zip_longest
from typing import Protocol

from netlab.errors import refuse_lack
from netlab.kernel.netlink import Channel
from netlab.programs import bpf
from netlab.programs.build import Refused
from netlab.programs.xdp_hook import XdpHook
from netlab.topology.hooks import XDP

_NATIVE, _GENERIC = "native", "generic"


class Hook(Protocol):
    """A hook: `xdp_hook` and `tc_hook` have them. Programs are given as descriptors, or as the kernel's numbers."""

    @property
    def is_shared(self) -> bool:
        """Whether several programs may be attached there."""

    def attached(self, index: int) -> list[int]:
        """Return the numbers of what is attached to an interface."""

    def add(self, index: int, program: int) -> None:
        """Attach a program; raises OSError."""

    def replace(self, index: int, number: int, program: int) -> None:
        """Attach a program in the place of another one, without a gap; raises OSError."""

    def remove(self, index: int, number: int) -> None:
        """Detach a program; raises OSError."""

    def problem(self, code: int) -> str:
        """Return why the kernel refuses, by its error, "" if there is no more to say than that."""


def attach(
    program: int, interfaces: Sequence[str], hook: str, mode: str, earlier: Collection[int] | None = None
) -> None:
    """Attach a loaded program to these interfaces of this process's namespace.

    With `earlier`, the numbers of an earlier build's programs, it takes their places without a gap. Where only one
    program can be, it takes the place of any. If it cannot take all of them, they get them back.
    """
    undo: list[Callable[[], object]] = []
    with _opened(hook, mode) as at:
        try:
            for interface in interfaces:
                _attach(at, program, interface, mode, earlier, undo)
        except Refused:
            for back in reversed(undo):
                with suppress(OSError):
                    back()
            raise


def take_over(program: int, interfaces: Sequence[str], hook: str, mode: str, earlier: Collection[int]) -> None:
    """Let a program take the places of those of an earlier build, and no others; raises Refused."""
    there = numbers(interfaces, hook, mode)
    chosen = [name for name, attached in there.items() if not set(attached).isdisjoint(earlier)]
    attach(program, chosen, hook, mode, earlier)


def attach_where_none(program: int, interfaces: Sequence[str]) -> list[str]:
    """Attach a loaded program natively to those of these interfaces that have no XDP program, and return their names.

    Where it cannot be attached to one of them, it is attached to none.
    """
    taken = {name for mode in (_NATIVE, _GENERIC) for name, there in numbers(interfaces, XDP, mode).items() if there}
    free = [name for name in interfaces if name not in taken]
    attach(program, free, XDP, _NATIVE)
    return free


def numbers(interfaces: Sequence[str], hook: str, mode: str) -> dict[str, list[int]]:
    """Return the kernel's numbers of what is attached to these interfaces of this process's namespace.

    An interface that is gone is left out.
    """
    found = {}
    with _opened(hook, mode) as at:
        for interface in interfaces:
            with suppress(OSError):
                found[interface] = at.attached(_index(interface))
    return found


def put_back(before: Mapping[str, Sequence[int]], hook: str, mode: str) -> None:
    """Attach again what `numbers` has found, in the places of what was attached since; an error is ignored."""
    with _opened(hook, mode) as at:
        for interface, earlier in before.items():
            with suppress(OSError):
                index = _index(interface)
                now = at.attached(index)
                gone = [number for number in earlier if number not in now]
                came = [number for number in now if number not in earlier]
                for number, later in zip_longest(gone, came):
                    _put_back(at, index, number, later)


def _put_back(at: Hook, index: int, number: int | None, later: int | None) -> None:
    """Attach a program, if there is one, in the place of a later one, if there is one."""
    if number is None:
        at.remove(index, later or 0)
        return
    with bpf.Object(_open(number)) as program:
        if later is None:
            at.add(index, program.fd)
        else:
            at.replace(index, later, program.fd)


def detach(interfaces: Sequence[str]) -> None:
    """Take the native programs off these interfaces of this process's namespace; one that is gone has none."""
    put_back(dict.fromkeys(interfaces, ()), XDP, _NATIVE)


@contextmanager
def _opened(hook: str, mode: str) -> Iterator[Hook]:
    channel = Channel()
    try:
        if hook == XDP:
            yield XdpHook(channel, mode)
            return
        from netlab.programs.tc_hook import TcHook  # here, as most labs have none

        yield TcHook(channel, hook)
    finally:
        channel.close()


def _attach(
    at: Hook,
    program: int,
    interface: str,
    mode: str,
    earlier: Collection[int] | None,
    undo: list[Callable[[], object]],
) -> None:
    """Attach a program to an interface, and see that the kernel agrees; `undo` gets what takes it back."""
    own = _program_id(program)
    try:
        index = _index(interface)
        there = at.attached(index) if earlier is not None else []
        before = next((each for each in there if not at.is_shared or each in (earlier or ())), 0)
        if before:
            replaced = bpf.Object(_open(before))  # it may be held by nothing else from now on
            undo.append(lambda: at.replace(index, own, replaced.fd))
            at.replace(index, before, program)
        else:
            at.add(index, program)
            undo.append(partial(at.remove, index, own))
        attached = at.attached(index)
    except OSError as error:
        refuse_lack(error, f"a program cannot be attached to {interface}")
        gone = "the node has no such interface" if error.errno == errno.ENODEV else ""
        problem = gone or at.problem(error.errno or 0) or error.strerror or str(error)
        kind = "attach" if error.errno == errno.EOPNOTSUPP or (at.is_shared and not gone) else "plain"
        raise Refused(kind, f"cannot be attached to {interface}: {problem}") from error
    if own not in attached:
        how = f" in {mode} mode" if mode else ""
        raise Refused("plain", f"is not attached to {interface}{how}, though the kernel said so")


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:  # it has no errno, even if the cause is that no descriptor is left
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
        raise OSError(errno.ENODEV, str(error)) from None


def _open(number: int) -> int:
    """Return a descriptor of the program that has this number."""
    return bpf.open_by_id(bpf.PROG_BY_ID, number, f"open the program {number}")


def _program_id(fd: int) -> int:
    """Return the kernel's number of a loaded program."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        return int(dict(line.split(":", 1) for line in file)["prog_id"])
