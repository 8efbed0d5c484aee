"""libbpf.so.1 by ctypes: open a BPF object, change its maps and programs, and load it.

Source: bpf/libbpf.h and bpf/btf.h of libbpf 1.0 and later. libbpf prints its messages on stderr.
"""

import ctypes
import errno
import os
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from netlab.errors import HostError

UNSPECIFIED, SCHED_CLS, SCHED_ACT, XDP = 0, 3, 4, 6  # enum bpf_prog_type
ATTACH_DEVMAP, ATTACH_CPUMAP, ATTACH_INTERFACE = 33, 35, 37  # enum bpf_attach_type: BPF_XDP_DEVMAP and so on

_INSTRUCTION_BYTES = 8
_P, _S, _I, _U, _Z, _B = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_size_t, ctypes.c_bool
_FUNCTIONS: Mapping[str, tuple[Any, ...]] = {  # type of the result, then types of the arguments
    "bpf_object__open_mem": (_P, _P, _Z, _P),
    "bpf_object__load": (_I, _P),
    "bpf_object__btf": (_P, _P),
    "bpf_object__next_program": (_P, _P, _P),
    "bpf_object__next_map": (_P, _P, _P),
    "bpf_program__name": (_S, _P),
    "bpf_program__section_name": (_S, _P),
    "bpf_program__type": (_I, _P),
    "bpf_program__set_type": (_I, _P, _I),
    "bpf_program__expected_attach_type": (_I, _P),
    "bpf_program__set_expected_attach_type": (_I, _P, _I),
    "bpf_program__autoload": (_B, _P),
    "bpf_program__set_autoload": (_I, _P, _B),
    "bpf_program__fd": (_I, _P),
    "bpf_program__insns": (_P, _P),
    "bpf_program__insn_cnt": (_Z, _P),
    "bpf_program__flags": (_U, _P),
    "bpf_map__name": (_S, _P),
    "bpf_map__type": (_I, _P),
    "bpf_map__key_size": (_U, _P),
    "bpf_map__set_key_size": (_I, _P, _U),
    "bpf_map__value_size": (_U, _P),
    "bpf_map__set_value_size": (_I, _P, _U),
    "bpf_map__max_entries": (_U, _P),
    "bpf_map__set_max_entries": (_I, _P, _U),
    "bpf_map__map_flags": (_U, _P),
    "bpf_map__set_map_flags": (_I, _P, _U),
    "bpf_map__btf_key_type_id": (_U, _P),
    "bpf_map__btf_value_type_id": (_U, _P),
    "bpf_map__is_internal": (_B, _P),
    "bpf_map__initial_value": (_P, _P, ctypes.POINTER(_Z)),
    "bpf_map__pin_path": (_S, _P),
    "bpf_map__set_pin_path": (_I, _P, _S),
    "bpf_map__reuse_fd": (_I, _P, _I),
    "bpf_map__fd": (_I, _P),
    "btf__raw_data": (_P, _P, ctypes.POINTER(ctypes.c_uint32)),
    "btf__load_vmlinux_btf": (_P,),
    "btf__type_cnt": (_U, _P),
    "btf__find_by_name_kind": (_I, _P, _S, _U),
    "btf__resolve_type": (_I, _P, _U),
    "btf__type_by_id": (_P, _P, _U),
    "btf__name_by_offset": (_S, _P, _U),
    "btf__free": (None, _P),
    "btf_dump__new": (_P, _P, _P, _P, _P),
    "btf_dump__dump_type": (_I, _P, ctypes.c_uint32),
    "btf_dump__free": (None, _P),
}


class _Options(ctypes.Structure):
    """The first fields of struct bpf_object_open_opts."""

    _fields_ = (("size", _Z), ("name", _S), ("relaxed_maps", _B), ("pin_root", _S))


@cache
def library() -> Any:
    """Return the library, with the types of its functions; HostError if it cannot be used."""
    try:
        found = ctypes.CDLL("libbpf.so.1", use_errno=True)
        for name, (gives, *takes) in _FUNCTIONS.items():
            function = getattr(found, name)
            function.restype, function.argtypes = gives, takes
    except (OSError, AttributeError) as error:
        raise HostError(
            f"cannot use libbpf.so.1 ({error}): install libbpf 1.0 or later, which comes with Debian's python3-bpfcc"
        ) from error
    return found


def check(code: int, what: str) -> None:
    """Raise OSError if a function of libbpf has returned an error."""
    if code < 0:
        raise OSError(-code, f"{what}: {os.strerror(-code)}")


class Program:
    """A program of an object."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.name = _text(library().bpf_program__name(handle))
        self.section = _text(library().bpf_program__section_name(handle))

    @property
    def type(self) -> int:
        """Its type; UNSPECIFIED if libbpf cannot tell it by the section."""
        return int(library().bpf_program__type(self._handle))

    @property
    def attach_type(self) -> int:
        """Its attach type, such as ATTACH_DEVMAP."""
        return int(library().bpf_program__expected_attach_type(self._handle))

    @property
    def is_wanted(self) -> bool:
        """Whether it will be loaded."""
        return bool(library().bpf_program__autoload(self._handle))

    def become(self, kind: int, attach_type: int) -> None:
        """Set its type and its attach type."""
        check(library().bpf_program__set_type(self._handle, kind), f"set the type of {self.name}")
        check(
            library().bpf_program__set_expected_attach_type(self._handle, attach_type), f"set the type of {self.name}"
        )

    def want(self, is_wanted: bool) -> None:
        """Set whether it will be loaded."""
        check(library().bpf_program__set_autoload(self._handle, is_wanted), f"choose {self.name}")

    @property
    def flags(self) -> int:
        """The flags (BPF_F_…) that it is loaded with."""
        return int(library().bpf_program__flags(self._handle))

    @property
    def instructions(self) -> bytes:
        """Its instructions; once it is loaded, as the kernel was given them."""
        size = library().bpf_program__insn_cnt(self._handle) * _INSTRUCTION_BYTES
        return ctypes.string_at(library().bpf_program__insns(self._handle), size)

    @property
    def fd(self) -> int:
        """Its descriptor, once it is loaded."""
        return int(library().bpf_program__fd(self._handle))


class ObjectMap:
    """A map of an object."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self.name = _text(library().bpf_map__name(handle))
        self.is_internal = bool(library().bpf_map__is_internal(handle))

    def number(self, what: str) -> int:
        """Return one of its properties, by libbpf's name, such as key_size."""
        return int(getattr(library(), f"bpf_map__{what}")(self._handle))

    def set(self, what: str, number: int) -> None:
        """Change one of its properties."""
        check(getattr(library(), f"bpf_map__set_{what}")(self._handle, number), f"{what} of {self.name}")

    @property
    def pin(self) -> str:
        """Where libbpf will pin it; "" for nowhere."""
        return _text(library().bpf_map__pin_path(self._handle))

    def reuse(self, fd: int) -> None:
        """Use this existing map instead of a new one, and do not pin it."""
        check(library().bpf_map__set_pin_path(self._handle, None), f"pin {self.name}")
        check(library().bpf_map__reuse_fd(self._handle, fd), f"use the map {self.name} that is there")

    def initial(self) -> "ctypes.Array[ctypes.c_char] | None":
        """Return its content before it is loaded, as a buffer that can be changed; None if it has none."""
        size = ctypes.c_size_t()
        address = library().bpf_map__initial_value(self._handle, ctypes.byref(size))
        return (ctypes.c_char * size.value).from_address(address) if address else None

    @property
    def fd(self) -> int:
        """Its descriptor, once it is loaded."""
        return int(library().bpf_map__fd(self._handle))


class ObjectFile:
    """An open BPF object. It is never closed: its process is short-lived, and its programs live on."""

    def __init__(self, data: bytes, name: str, pin_root: str) -> None:
        """Open an object that is in memory; raises OSError if libbpf does not understand it."""
        self._data = ctypes.create_string_buffer(data, len(data))
        size = ctypes.sizeof(_Options)
        self._options = _Options(size, name.encode(), relaxed_maps=True, pin_root=pin_root.encode())
        self._handle = library().bpf_object__open_mem(self._data, len(data), ctypes.byref(self._options))
        if not self._handle:
            number = ctypes.get_errno() or errno.EINVAL
            raise OSError(number, os.strerror(number))
        self.programs = [Program(each) for each in self._each("bpf_object__next_program")]
        self.maps = [ObjectMap(each) for each in self._each("bpf_object__next_map")]

    def _each(self, function: str) -> Iterator[int]:
        following = None
        while following := getattr(library(), function)(self._handle, following):
            yield following

    def types(self) -> bytes:
        """Return its BTF; nothing if it has none."""
        types = library().bpf_object__btf(self._handle)
        size = ctypes.c_uint32()
        address = library().btf__raw_data(types, ctypes.byref(size)) if types else None
        return ctypes.string_at(address, size.value) if address else b""

    def load(self) -> None:
        """Make its maps and load its programs; raises OSError if the kernel refuses any."""
        check(library().bpf_object__load(self._handle), "load the object")


def _text(text: bytes | None) -> str:
    return (text or b"").decode(errors="replace")
