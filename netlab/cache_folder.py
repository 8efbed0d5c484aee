"""Where netlab keeps what its compiler has made."""

import os

from netlab.errors import UsageError

VARIABLE = "NETLAB_CACHE"  # another folder, or nothing: then nothing is kept
_USUAL = "/var/cache/netlab"


def path() -> str:
    """Return the folder, "" when nothing is kept; UsageError when the variable names none that is the same anywhere."""
    found = os.environ.get(VARIABLE, _USUAL)
    if found and not found.startswith("/"):
        raise UsageError(f"{VARIABLE} is {found!r}: expected the absolute path of a folder, or nothing to keep nothing")
    return found
