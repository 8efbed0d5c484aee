"""Answers the calls of bpf(2) of a room, in which programs that nobody trusts are compiled.

The room has no privilege; a filter of system calls leaves each bpf(2) to this process. What a call says is copied out
of the room's memory once, checked (`gate_rules`), and done with the copy. The room gets descriptors of what was made.
It can name nothing else: a descriptor in a call is looked up among the room's own.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack

from netlab.kernel.seccomp import Asked, Listener
from netlab.programs import bpf, gate_rules, instructions, printing
from netlab.programs.gate_pins import Pins
from netlab.programs.gate_program import CopiedProgram
from netlab.programs.gate_room import MAP, PROGRAM, TYPES, RoomProcess, number_of_types
from netlab.programs.gate_rules import MapAsked, NotAllowed, ProgramAsked, Unprintable
from netlab.programs.kept_code import Instructions, numbered
from netlab.programs.maps import possible_cpus

_MOST_ATTRIBUTES = 4096
_HOLD_DESCRIPTORS = (bpf.PROG_ARRAY, *bpf.MAPS_OF_MAPS)
_FREEZE, _BIND = 22, 35  # BPF_MAP_FREEZE, BPF_PROG_BIND_MAP
_LONGEST_PATH, _LONGEST_TERMS = 512, 128
_LOG_BYTES = 1 << 24


class Gate:
    """The calls of one room. `refused` is why the first was forbidden that was; None if none was."""

    def __init__(self, pid: int, listener: Listener, pins: Pins, lab_node: str) -> None:
        self.room, self._listener, self._pins = RoomProcess(pid), listener, pins
        self._lab_node = lab_node
        self._allowance = gate_rules.Allowance()
        self._types: set[int] = set()
        self.loaded: dict[int, Instructions] = {}  # by the kernel's numbers of programs
        self.refused: NotAllowed | None = None

    def close(self) -> None:
        """Close what belongs to the room."""
        self.room.close()

    def serve(self) -> None:
        """Answer the next call."""
        asked = self._listener.receive()
        if asked is None:
            return
        try:
            self._serve(asked)
        except NotAllowed as error:
            self.refused = self.refused or error
            self._listener.answer(asked, error=errno.EACCES)
        except OSError as error:
            self._listener.answer(asked, error=error.errno or errno.EINVAL)

    def _serve(self, asked: Asked) -> None:
        if asked.thread != self.room.pid:
            raise NotAllowed("calls bpf(2) from a process that it has started")
        command, address, size = asked.arguments[:3]
        if command & 0xFFFFFFFF != command or not 0 < size <= _MOST_ATTRIBUTES:
            raise OSError(errno.EINVAL, "")
        text = self.room.read(address, size)
        if not self._listener.is_valid(asked):
            return
        attr = _Attributes(text, address)
        work = _COMMANDS.get(command)
        if work is None:
            raise OSError(errno.EPERM, "")
        with ExitStack() as held:
            found = work(self, attr, held)
            if found is None:
                self._listener.answer(asked)
            else:
                self._listener.give(asked, found)

    def _held(self, held: ExitStack, fd: int, kind: str) -> int:
        found = self.room.descriptor(fd, kind)
        held.callback(os.close, found)
        return found

    def make_map(self, attr: "_Attributes", held: ExitStack) -> int:
        """Do BPF_MAP_CREATE."""
        asked = MapAsked._make(attr.take("5IiI16sIi3IQ"))
        attr.refuse_more()
        self._allowance.map(asked)
        inner = self._held(held, asked.inner, MAP) if asked.kind in bpf.MAPS_OF_MAPS else 0
        types = self._held(held, asked.types, TYPES) if asked.key_type or asked.value_type else 0
        sizes = asked.key_bytes, asked.value_bytes, asked.entries
        name, _, _ = asked.name.partition(b"\0")
        known = (types, asked.key_type, asked.value_type)
        made = bpf.attributes(
            "5III16sIIIIIQ", asked.kind, *sizes, asked.flags, inner, 0, name, 0, *known, 0, asked.extra
        )
        return self._made(held, bpf.call(bpf.MAP_CREATE, made, "make a map"))

    def _made(self, held: ExitStack, fd: int) -> int:
        held.callback(os.close, fd)
        return fd

    def load_types(self, attr: "_Attributes", held: ExitStack) -> int:
        """Do BPF_BTF_LOAD; its log, which nobody reads, stays empty."""
        address, _, size = attr.take("QQI")
        self._allowance.types(size)
        fd = self._made(held, bpf.load_btf(self.room.read(address, size)))
        self._types.add(number_of_types(fd))
        return fd

    def load_program(self, attr: "_Attributes", held: ExitStack) -> int:
        """Do BPF_PROG_LOAD, with all its instructions copied, and give the room the verifier's log."""
        asked = ProgramAsked._make(attr.take("IIQQIIQII16s3IIQIIQI2i"))
        attr.refuse_more()
        self._allowance.program(asked)
        text = self.room.read(asked.text, asked.instructions * instructions.BYTES)
        named = dict(instructions.maps_named(text))
        fds = {fd: self._held(held, fd, MAP) for fd in set(named.values())}  # each once, however often it is named
        self._refuse(asked, text, fds.values())
        code = instructions.with_descriptors(text, {at: fds[fd] for at, fd in named.items()})
        terms = self.room.text(asked.terms, _LONGEST_TERMS).encode(errors="surrogateescape")
        functions = self.room.read(asked.functions, asked.function_count * asked.function_bytes)
        lines = self.room.read(asked.lines, asked.line_count * asked.line_bytes)
        types = self._held(held, asked.types, TYPES) if asked.types and (functions or lines) else 0
        program = CopiedProgram(asked, terms, functions, lines, types)
        log = ctypes.create_string_buffer(min(asked.log_bytes, _LOG_BYTES)) if asked.log_bytes else None
        try:
            fd = self._made(held, program.load(code, log))
        finally:
            if log:
                said = log.value + b"\0"
                self.room.write(asked.log, said[: len(log)])
        for copy in printing.accesses(text, self._constant, gate_rules.DATA_AT.get(asked.kind, -1)):
            self._prove(program, instructions.with_descriptors(copy, {at: fds[fd] for at, fd in named.items()}))
        self.loaded[bpf.program_id(fd)] = Instructions(numbered(code), terms, asked.attach_type, asked.flags)
        return fd

    def _prove(self, program: CopiedProgram, code: bytes) -> None:
        """Refuse a program whose copy, which reads of the packet what it prints, is not taken."""
        try:
            os.close(program.load(code, None))
        except OSError:
            name = program.asked.name.partition(b"\0")[0].decode(errors="replace")
            problem = "prints an address of the packet that may lie behind its end: compare with data_end before"
            raise Unprintable(f"{name}() {problem}") from None

    def _refuse(self, asked: ProgramAsked, text: bytes, maps: Iterable[int]) -> None:
        """Refuse a program for what it calls; a probe of libbpf's for what the kernel can, too, but in silence."""
        data_at = gate_rules.DATA_AT.get(asked.kind, -1)
        has_bytes = all(bpf.map_info(fd).type not in bpf.MAPS_OF_MAPS for fd in maps)  # an entry is a map there
        printed = printing.problem(text, self._lab_node, self._constant, data_at, has_bytes=has_bytes)
        called = instructions.forbidden(text)
        if wrong := called or printed:
            if asked.kind in gate_rules.KINDS:
                name = asked.name.partition(b"\0")[0].decode(errors="replace")
                raise (NotAllowed if called else Unprintable)(f"{name}() {wrong}")
            raise OSError(errno.EINVAL, "")

    def _constant(self, fd: int, offset: int, count: int) -> bytes | None:
        """Return bytes of a map that neither programs nor anybody else can change; None for any other."""
        with ExitStack() as held:
            own = self._held(held, fd, MAP)
            about = bpf.map_info(own)
            with open(f"/proc/self/fdinfo/{own}", encoding="ascii") as file:
                is_frozen = "frozen:\t1" in file.read()
            if about.type != bpf.ARRAY or not about.flags & bpf.RDONLY_PROG or not is_frozen:
                return None
            room = ctypes.create_string_buffer(about.value_size)
            _Map(own).call(bpf.MAP_LOOKUP, bytes(4), room, 0)
            data = room.raw[offset : offset + count] if offset >= 0 else b""
            return data if len(data) == count else None

    def lookup(self, attr: "_Attributes", held: ExitStack) -> None:
        """Do BPF_MAP_LOOKUP_ELEM."""
        fd, key, value, flags = attr.take("I4xQQQ")
        found = _Map(self._held(held, fd, MAP))
        room = ctypes.create_string_buffer(found.value_bytes)
        found.call(bpf.MAP_LOOKUP, self.room.read(key, found.key_bytes), room, flags)
        self.room.write(value, room.raw)

    def update(self, attr: "_Attributes", held: ExitStack) -> None:
        """Do BPF_MAP_UPDATE_ELEM; a value that is a descriptor is translated."""
        fd, key, value, flags = attr.take("I4xQQQ")
        found = _Map(self._held(held, fd, MAP))
        data = self.room.read(value, found.value_bytes)
        if found.kind in _HOLD_DESCRIPTORS:
            (inner,) = struct.unpack("=i", data)
            kind = PROGRAM if found.kind == bpf.PROG_ARRAY else MAP
            data = struct.pack("=i", self._held(held, inner, kind))
        elif found.kind not in gate_rules.PLAIN:
            raise NotAllowed("writes into a map of interfaces, sockets or events while it is loaded")
        room = ctypes.create_string_buffer(data, len(data))
        found.call(bpf.MAP_UPDATE, self.room.read(key, found.key_bytes), room, flags)

    def freeze(self, attr: "_Attributes", held: ExitStack) -> None:
        """Do BPF_MAP_FREEZE."""
        (fd,) = attr.take("I")
        bpf.call(_FREEZE, bpf.attributes("I", self._held(held, fd, MAP)), "freeze a map")

    def bind(self, attr: "_Attributes", held: ExitStack) -> None:
        """Do BPF_PROG_BIND_MAP."""
        program, fd, flags = attr.take("3I")
        own = self._held(held, program, PROGRAM), self._held(held, fd, MAP)
        bpf.call(_BIND, bpf.attributes("3I", *own, flags), "keep a map with its program")

    def pin(self, attr: "_Attributes", held: ExitStack) -> None:
        """Do BPF_OBJ_PIN, of a map that programs of the node share by its name."""
        path, fd = attr.take("QI")
        place = self._pins.of(self.room.text(path, _LONGEST_PATH), is_new=True)
        bpf.pin(self._held(held, fd, MAP), place)

    def open_pin(self, attr: "_Attributes", held: ExitStack) -> int:
        """Do BPF_OBJ_GET."""
        (path,) = attr.take("Q")
        place = self._pins.of(self.room.text(path, _LONGEST_PATH), is_new=False)
        name = ctypes.create_string_buffer(os.fsencode(place))
        made = bpf.attributes("QII", ctypes.addressof(name), 0, 0)
        fd = self._made(held, bpf.call(bpf.OBJ_GET, made, "open a pin"))
        if os.readlink(f"/proc/self/fd/{fd}") != MAP:
            raise NotAllowed("opens a pin that is no map")
        self._types.add(bpf.map_info(fd).btf)
        return fd

    def tell(self, attr: "_Attributes", held: ExitStack) -> None:
        """Do BPF_OBJ_GET_INFO_BY_FD: of a map or a program what has a fixed size, of types all."""
        fd, size, address = attr.take("IIQ")
        found = self._made(held, self.room.descriptor(fd))
        if os.readlink(f"/proc/self/fd/{found}") == TYPES:
            self._tell_types(found, address, size)
            return
        self.room.write(address, bpf.info(found)[:size])

    def _tell_types(self, fd: int, address: int, size: int) -> None:
        """Answer for types (struct bpf_btf_info): their text goes where the room has said."""
        begin = self.room.read(address, min(size, 16)).ljust(16, b"\0")
        place, room = struct.unpack_from("=QI", begin)
        known = bpf.info(fd)
        _, length = struct.unpack_from("=QI", known)
        if place and room:
            self.room.write(place, bpf.btf_of(fd)[:room])
        self.room.write(address + 8, struct.pack("=I", length) + known[12:size])

    def open_types(self, attr: "_Attributes", held: ExitStack) -> int:
        """Do BPF_BTF_GET_FD_BY_ID, of types that the room has loaded, or whose map it has opened."""
        (number,) = attr.take("I")
        if number not in self._types:
            raise OSError(errno.EPERM, "")
        return self._made(held, bpf.open_by_id(bpf.BTF_BY_ID, number, "open types"))


class _Map:
    """A map of the room's, for one call."""

    def __init__(self, fd: int) -> None:
        about = bpf.map_info(fd)
        self._fd = fd
        self.kind, self.key_bytes = about.type, about.key_size
        is_per_cpu = about.type in bpf.PER_CPU
        self.value_bytes = -(-about.value_size // 8) * 8 * possible_cpus() if is_per_cpu else about.value_size

    def call(self, command: int, key: bytes, value: "ctypes.Array[ctypes.c_char]", flags: int) -> None:
        held = ctypes.create_string_buffer(key, max(len(key), 1))
        attr = bpf.attributes("I4xQQQ", self._fd, ctypes.addressof(held), ctypes.addressof(value), flags)
        bpf.call(command, attr, "reach an entry")


class _Attributes:
    """A copy of what a call says (union bpf_attr)."""

    def __init__(self, text: bytes, address: int) -> None:
        self._text, self._taken = text, 0
        self.address = address

    def take(self, layout: str) -> tuple[int, ...]:
        """Return the first values; what the caller has left out is zero."""
        form = struct.Struct("=" + layout)
        self._taken = form.size
        return form.unpack(self._text[: form.size].ljust(form.size, b"\0"))

    def refuse_more(self) -> None:
        """Refuse a call that says more than was taken."""
        if any(self._text[self._taken :]):
            raise OSError(errno.E2BIG, "")


_COMMANDS: Mapping[int, Callable[[Gate, _Attributes, ExitStack], int | None]] = {
    bpf.MAP_CREATE: Gate.make_map,
    bpf.BTF_LOAD: Gate.load_types,
    bpf.PROG_LOAD: Gate.load_program,
    bpf.MAP_LOOKUP: Gate.lookup,
    bpf.MAP_UPDATE: Gate.update,
    _FREEZE: Gate.freeze,
    _BIND: Gate.bind,
    bpf.OBJ_PIN: Gate.pin,
    bpf.OBJ_GET: Gate.open_pin,
    bpf.OBJ_INFO: Gate.tell,
    bpf.BTF_BY_ID: Gate.open_types,
}
