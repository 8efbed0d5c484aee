"""Confines this process for good, with all that it starts: one user, few capabilities, no gain of either, few calls."""

import os
import resource
from contextlib import suppress

from netlab.kernel import call_filter, rights
from netlab.kernel.capabilities import mask

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 8, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_FILES, _LOCKED = 4096, 8 << 20  # descriptors; bytes of memory that cannot be swapped
_LARGEST = 64 << 20  # bytes of a file, also of one that it was given as its output


def confine(user: int, capabilities: tuple[str, ...] = ()) -> None:
    """Become a user with these capabilities, by their names without CAP_, and never more. Raises OSError, HostError.

    The caller is root with one thread. The user 0 keeps no right of root's but to own root's files.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_NOFILE, _FILES)
    _lower(resource.RLIMIT_FSIZE, _LARGEST)
    _lower(resource.RLIMIT_MEMLOCK, _LOCKED)
    allowed = mask(capabilities)
    ends_with_parent = rights.parent_death_signal()
    rights.bound_capabilities(allowed)
    rights.prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    rights.set_capabilities(allowed)
    for name in capabilities:
        rights.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, mask([name]).bit_length() - 1)
    if ends_with_parent:  # the change of the user has undone it
        rights.prctl(_PR_SET_PDEATHSIG, ends_with_parent)
    rights.prctl(_PR_SET_NO_NEW_PRIVS, 1)
    rights.filter_calls(call_filter.program(os.uname().machine))


def _lower(kind: int, most: int) -> None:
    soft, hard = resource.getrlimit(kind)
    unlimited = resource.RLIM_INFINITY
    limits = (most if value == unlimited else min(value, most) for value in (soft, hard))
    with suppress(ValueError):
        resource.setrlimit(kind, tuple(limits))  # type: ignore[arg-type]
