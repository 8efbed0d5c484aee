"""Which pins a room may use: of maps that programs of its node share by name, and of an earlier build."""

import fcntl
import os
import re

from netlab.programs.gate_rules import NotAllowed

_NAME = re.compile(r"\w{1,255}")


class Pins:
    """Which pins a room may use: folders whose maps it may open, and the one where it may pin; `lock` guards that."""

    def __init__(self, shared: str, earlier: str, lock: str) -> None:
        self.shared, self.earlier = shared, earlier
        self._lock, self._held = lock, -1

    def of(self, path: str, *, is_new: bool) -> str:
        """Return the path of a pin as it is; NotAllowed if it is none of the room's."""
        folder, name = os.path.split(path)
        known = [self.shared] if is_new else [self.shared, self.earlier]
        if not folder or folder not in known or not _NAME.fullmatch(name):
            raise NotAllowed("opens or makes the pin of another program")
        if folder == self.shared and self._held < 0:  # until all is loaded: only one program may make each map
            self._held = os.open(self._lock, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._held, fcntl.LOCK_EX)
        return path

    def close(self) -> None:
        """Let others make maps that are shared."""
        if self._held >= 0:
            os.close(self._held)
