"""The supervisor's socket: who may connect, what connections ask, and how many of them there may be."""

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
_MOST = 512  # connections; fewer where this process may open few files, which processes need too
_SHARE = 4
_REST_S = 0.1
_READ_BYTES = 1 << 12
_CREDENTIALS = struct.Struct("iII")  # struct ucred: process, user, group


class Listener:
    """The socket in the lab's folder, which is the current one. Only root may connect, or whoever this process is."""

    def __init__(self, lab: str, loop: Loop, stream: Stream, requests: Requests) -> None:
        self._lab = lab
        self._loop = loop
        self._stream = stream
        self._requests = requests
        self.rests = 0.0  # until when nobody is let in, as there was no room
        self._most = min(_MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _SHARE)

    def open(self) -> None:
        """Listen from now on; OSError where the folder has no room."""
        import socket  # here, as processes are being started meanwhile

        self._credentials = (socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        os.fchmod(self._socket.fileno(), 0o600)  # which the file gets, from its first moment
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
            except ConnectionError:  # it has gone already
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
        """Begin to speak with somebody; where there are too many, one who only holds the line has to go."""
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
        """Hang up on the oldest connection that hears no events, and say whether there is one."""
        for reader in self._stream.readers.values():
            if reader.readable and not reader.kinds:
                self._stream.close(reader)
                return True
        return False

    def _serve(self, reader: Reader, inbox: bytearray) -> None:
        """Answer what one has asked, as long as the answers find room; whole lines, and the last one also without end.

        Who has ended what he asks gets his answers, and is let go.
        """
        ended = False
        try:
            data = os.read(reader.fd, _READ_BYTES)
            inbox += data or b"\n"
            ended = not data
        except BlockingIOError:
            pass
        except OSError:  # it has gone
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
