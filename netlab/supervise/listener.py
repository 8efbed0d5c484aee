"""The supervisor's socket: who may connect, their requests, and how many connections there may be."""

import os
import resource
import struct
import time
from contextlib import suppress
from functools import partial

from netlab import paths
from netlab.supervise import schema
from netlab.supervise.loop import Loop
from netlab.supervise.requests import Requests
from netlab.supervise.stream import Reader, Stream

_BACKLOG = 128
_ACCEPTS_A_TURN = 16
_MOST = 512  # connections; fewer if this process may open few files, because processes need files, too
_SHARE = 4
_REST_S = 0.1
_READ_BYTES = 1 << 12
_CREDENTIALS = struct.Struct("iII")  # struct ucred: process, user, group


class Listener:
    """The socket in the lab's folder, which is the current folder. Only root and this process's user may connect."""

    def __init__(self, lab: str, loop: Loop, stream: Stream, requests: Requests) -> None:
        self._lab = lab
        self._loop = loop
        self._stream = stream
        self._requests = requests
        self.rests = 0.0  # no connection is accepted before this time, because there was no room
        self._most = min(_MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _SHARE)

    def open(self) -> None:
        """Listen from now on; OSError if the folder has no room."""
        import socket  # imported here, while processes are being started

        self._credentials = (socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        os.fchmod(self._socket.fileno(), 0o600)  # the file has this mode from its first moment
        with suppress(FileNotFoundError):
            os.unlink(paths.SOCKET)
        self._socket.bind(paths.SOCKET)
        self._socket.listen(_BACKLOG)
        self._loop.watch(self._socket.fileno(), self._accept)

    def wake(self) -> None:
        """Listen again, if it is time."""
        if self.rests and time.monotonic() >= self.rests:
            self.rests = 0.0
            self._loop.watch(self._socket.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_A_TURN):
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                return
            except ConnectionError:  # it is gone already
                continue
            except OSError:  # there is no room for it
                if not self._make_room():
                    self._loop.forget(self._socket.fileno())
                    self.rests = time.monotonic() + _REST_S
                return
            _, user, _ = _CREDENTIALS.unpack(connection.getsockopt(*self._credentials))
            if user not in (0, os.geteuid()):
                connection.close()
                continue
            connection.setblocking(False)
            self._add(connection.detach())

    def _add(self, fd: int) -> None:
        """Accept a connection; if there are too many, close the oldest one that does not watch."""
        if len(self._stream.readers) >= self._most and not self._make_room():
            with suppress(OSError):
                os.write(fd, schema.message("error", why=f"{self._most} others are connected already"))
            os.close(fd)
            return
        reader = Reader(fd)
        inbox = bytearray()
        reader.readable = partial(self._serve, reader, inbox)
        reader.answer(schema.message("hello", version=schema.VERSION, lab=self._lab, kinds=schema.KINDS))
        self._stream.add(reader)

    def _make_room(self) -> bool:
        """Close the oldest connection that watches nothing, and say whether there is one."""
        for reader in self._stream.readers.values():
            if reader.readable and not reader.kinds:
                self._stream.close(reader)
                return True
        return False

    def _serve(self, reader: Reader, inbox: bytearray) -> None:
        """Answer the requests of one reader, while there is room for answers; the last line may lack its end.

        A reader that has ended its side gets its answers, and is then closed.
        """
        ended = False
        try:
            data = os.read(reader.fd, _READ_BYTES)
            inbox += data or b"\n"
            ended = not data
        except BlockingIOError:
            pass
        except OSError:  # the other side is gone
            ended = True
            inbox.clear()
        while not reader.is_full and (end := inbox.find(b"\n")) >= 0:
            line = bytes(inbox[:end])
            del inbox[: end + 1]
            if line.strip():
                reader.answer(self._requests.answer(reader, line))
        if len(inbox) > schema.LINE_LIMIT and b"\n" not in inbox:
            reader.answer(schema.message("error", why=f"a request has {schema.LINE_LIMIT} bytes at most"))
            ended = True
            inbox.clear()
        reader.is_ending = ended and b"\n" not in inbox
