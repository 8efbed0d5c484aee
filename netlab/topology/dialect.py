"""Which dialect of C a program is written in: bcc's, or that of libbpf, in which ready objects are, too."""

import re
from collections.abc import Iterable, Sequence

from netlab.topology import object_file, program_text

BCC, LIBBPF = "bcc", "libbpf"
_TRANSMIT = (3, "XDP_TX")
_OF_LIBBPF = re.compile(
    r'^[ \t]*#[ \t]*include[ \t]*["<](?:[\w./-]*/)?(?:bpf_helpers|vmlinux)\.h[">]|\b(?:SEC|__section|section)\s*\(\s*"',
    re.MULTILINE,
)
_WORDS_OF_LIBBPF = ("bpf_helpers", "vmlinux", "SEC", "section")  # without any of them, the pattern above fits nowhere
_OF_BCC = re.compile(
    r"^[ \t]*BPF_(?:F?TABLE\w*|(?:(?:PERCPU|LRU|LRU_PERCPU)_)?HASH|(?:PERCPU_)?ARRAY|HISTOGRAM|PERF_OUTPUT|PERF_ARRAY"
    r"|(?:PERCPU_)?CGROUP_STORAGE|LPM_TRIE|STACK_TRACE|STACK|QUEUE|QUEUESTACK|PROG_ARRAY|DEVMAP|CPUMAP|XSKMAP|SOCKMAP"
    r"|XDP_REDIRECT_MAP|(?:ARRAY|HASH)_OF_MAPS|RINGBUF_OUTPUT|SOCKHASH|SK_STORAGE)\s*\(",
    re.MULTILINE,
)
_MAPS_OF_LIBBPF = re.compile(r'"\.?maps\b|\bstruct\s+bpf_(?:map_def|elf_map)\b')


def of_text(text: str) -> str:
    """Return the dialect of a source, given with its headers.

    Maps of bcc's tell it, as libbpf has none such; or else sections, and the headers of libbpf. A source that has
    maps of both is written for both, by #ifdef, and clang needs no macro to take its half.
    """
    if not any(word in text for word in _WORDS_OF_LIBBPF):  # to remove comments takes longer
        return BCC
    code = program_text.without_comments(text)
    if not _OF_LIBBPF.search(code):
        return BCC
    return BCC if _OF_BCC.search(code) and not _MAPS_OF_LIBBPF.search(code) else LIBBPF


def of_file(path: str, data: bytes, include: Sequence[str] = ()) -> str:
    """Return the dialect of a program at a path."""
    if object_file.is_object(data):
        return LIBBPF
    source = data.decode(errors="replace")
    return of_text(program_text.with_headers(path, source, include))


def may_transmit(
    path: str,
    data: bytes,
    define: Iterable[tuple[str, str | int]],
    include: Sequence[str] = (),
    cflags: Sequence[str] = (),
) -> bool:
    """Say whether a program may return XDP_TX, whose text or object this is.

    In an object `define` sets variables, of which any may be the verdict.
    """
    if not object_file.is_object(data):
        return program_text.may_transmit(path, data.decode(errors="replace"), define, include, cflags)
    try:
        return object_file.may_transmit(data) or any(value in _TRANSMIT for _, value in define)
    except object_file.BadObjectError:
        return False  # it will not be loaded
