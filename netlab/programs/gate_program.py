"""Loads a program of a room's, from copies of what its call names."""

import ctypes

from netlab.named_tuple import NamedTuple
from netlab.programs import bpf
from netlab.programs.gate_rules import ProgramAsked


class CopiedProgram(NamedTuple):
    """A program but for its instructions: what the room asks, license, records of functions and lines, types."""

    asked: ProgramAsked
    terms: bytes
    functions: bytes
    lines: bytes
    types: int

    def load(self, code: bytes, log: "ctypes.Array[ctypes.c_char] | None") -> int:
        """Return a descriptor of the program with these instructions; OSError if the verifier refuses it."""
        asked, functions, lines = self.asked, self.functions, self.lines
        room = [
            ctypes.create_string_buffer(each, max(len(each), 1))
            for each in (code, self.terms + b"\0", functions, lines)
        ]
        at_code, at_terms, at_functions, at_lines = map(ctypes.addressof, room)
        logged = (len(log), ctypes.addressof(log)) if log else (0, 0)
        made = bpf.attributes(
            "IIQQIIQII16s3IIQIIQI",
            *(asked.kind, asked.instructions, at_code, at_terms, asked.log_level if log else 0, *logged),
            *(asked.version, asked.flags, asked.name, 0, asked.attach_type, self.types),
            *(asked.function_bytes, at_functions if functions else 0, asked.function_count),
            *(asked.line_bytes, at_lines if lines else 0, asked.line_count),
        )
        return bpf.call(bpf.PROG_LOAD, made, "load a program")
