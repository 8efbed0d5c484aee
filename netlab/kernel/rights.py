"""What a process may do: its capabilities, and a filter of its system calls. Rights only get fewer."""

from collections.abc import Callable

from netlab.kernel.syscalls import check, libc

_PR_GET_PDEATHSIG = 2
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_CAPABILITY_VERSION = 0x20080522
_STEP = 8  # bytes of struct sock_filter


def limit_capabilities(allowed: int) -> None:
    """Give up every capability that is not in the mask `allowed`, also for everything that this process executes.

    Raises OSError.
    """
    bound_capabilities(allowed)
    _change_capabilities(lambda now: (now & allowed, 0))


def set_capabilities(allowed: int) -> None:
    """Have exactly the capabilities of this mask, of those that are permitted, and let them be inherited; OSError."""
    _change_capabilities(lambda _: (allowed, allowed))


def bound_capabilities(allowed: int) -> None:
    """Let nothing that this process executes get a capability that is not in the mask `allowed`; raises OSError."""
    number = 0
    while libc().prctl(_PR_CAPBSET_READ, number, 0, 0, 0) != -1:  # up to the last that this kernel knows
        if not allowed >> number & 1:
            prctl(_PR_CAPBSET_DROP, number)
        number += 1
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)


def _change_capabilities(change: Callable[[int], tuple[int, int]]) -> None:
    """Set the effective, the permitted and the inheritable capabilities; `change` gets each of the first two."""
    import ctypes

    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: the lower 32 of each, then the upper ones
    check(libc().capget(header, sets), "capget")
    for at in (0, 1):
        held, inherited = change(sets[at] | sets[at + 3] << 32)
        for lower, value in ((at, held), (2, inherited)):
            sets[lower], sets[lower + 3] = value & 0xFFFFFFFF, value >> 32
    check(libc().capset(header, sets), "capset")


def prctl(option: int, *arguments: int) -> int:
    """Change something about this process by numbers (prctl(2)), and return the answer; raises OSError."""
    return check(libc().prctl(option, *arguments, *([0] * (4 - len(arguments)))), "prctl")


def filter_calls(program: bytes) -> None:
    """Put this process, and all that it starts, under a filter of calls: an array of struct sock_filter. OSError."""
    import ctypes

    class Filter(ctypes.Structure):
        """The kernel's struct sock_fprog."""

        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))

    held = ctypes.create_string_buffer(program, len(program))
    whole = Filter(len(program) // _STEP, ctypes.addressof(held))
    prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(whole))


def parent_death_signal() -> int:
    """Return the signal that this process gets when its parent ends, 0 for none; raises OSError."""
    import ctypes

    number = ctypes.c_int()
    prctl(_PR_GET_PDEATHSIG, ctypes.addressof(number))
    return number.value
