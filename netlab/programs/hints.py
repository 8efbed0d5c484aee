"""Hints for programs that clang or the verifier refuses, found by the text of their message."""

from netlab.topology.dialect import BCC, LIBBPF

_OFFSET = (
    "bound the offset before it is added to a pointer; older kernels forget the bounds of what bpf_ntohs() returns: "
    '#include "bounds.h", and add host_u16(N) in the place of bpf_ntohs(N)'
)
_LENGTH = (
    "bound the length, above and below, right before the helper is called; barrier_var() of bounds.h keeps the "
    "compiler from leaving out a check whose outcome it knows"
)
_BOUND = "bound the length, above and below, right before the helper is called"
_METHOD = (
    "bcc knows methods of maps in the program's own file alone: put a function there, above the include of the header, "
    "such as static inline u64 *find(u32 *key) { return MAP.lookup(key); }, and let the header call that"
)
Hints = tuple[tuple[tuple[str, ...], str], ...]
# The first entry whose words are all in the message gives the hint.
_OF_BCC: Hints = (
    (("redefinition of '_license'",), "bcc adds the licence GPL itself: leave it out, or #define BPF_LICENSE another"),
    (("SEC(",), "bcc needs no SEC(): leave it out, or say `dialect: libbpf`"),
    (("bpf_helpers.h",), "bcc declares the helpers itself: leave the include out, or say `dialect: libbpf`"),
    (("bpf_endian.h",), "bcc declares bpf_htons() and the like itself: leave the include out"),
    (("file not found",), "headers are looked for beside the program, in netlab's bpf folder and in linux-libc-dev"),
    (("unknown opcode 8d",), _METHOD),
    (("cannot use map function inside a macro",), "call it in a static inline function instead"),
    (("stack limit",), "keep large things in a BPF_PERCPU_ARRAY"),
    (("invalid mem access 'scalar'",), "that is no address; global variables and tables must be kept in a BPF_ARRAY"),
    (("invalid mem access 'inv'",), "that is no address; global variables and tables must be kept in a BPF_ARRAY"),
    (("math between pkt pointer",), _OFFSET),
    (("unbounded memory access",), _LENGTH),
    (("min value is negative",), _LENGTH),
    (("last insn is not an exit",), "programs cannot call functions that are not inlined: leave `noinline` out"),
)
_OF_LIBBPF: Hints = (
    (("BPF_HASH",), 'BPF_HASH() and the like are bcc\'s: say `dialect: bcc`, or declare a struct in SEC(".maps")'),
    (("BPF_ARRAY",), 'BPF_ARRAY() and the like are bcc\'s: say `dialect: bcc`, or declare a struct in SEC(".maps")'),
    (
        ("a specifier or qualifier", "__uint("),
        "__uint() and SEC() are in <bpf/bpf_helpers.h>, which the source must include",
    ),
    (("'SEC'",), "SEC() is in <bpf/bpf_helpers.h>"),
    (("expected parameter declarator", "SEC("), "SEC() is in <bpf/bpf_helpers.h>, which the source must include"),
    (
        ("file not found",),
        "headers are looked for beside the program, in the folders of `include:`, and in /usr/include",
    ),
    (("GPL-restricted",), 'say under which licence it is: char _license[] SEC("license") = "GPL";'),
    (("Invalid usage of the XADD",), "an atomic operation whose result is used needs `cflags: [-mcpu=v3]`"),
    (("stack limit",), "keep large things in a BPF_MAP_TYPE_PERCPU_ARRAY"),
    (("BTF is required",), "compile it with -g, which brings the types of its maps"),
    (("parameter mismatch",), "another program of this node has pinned a map of this name and of another shape"),
    (("math between pkt pointer",), "bound the offset before it is added to a pointer"),
    (("unbounded memory access",), _BOUND),
    (("min value is negative",), _BOUND),
    (("invalid mem access 'scalar'",), "that is no address: was a pointer kept in a variable, or reckoned with?"),
    (("invalid mem access 'inv'",), "that is no address: was a pointer kept in a variable, or reckoned with?"),
)
_OF_BOTH: Hints = (
    (("nested too deeply",), "a file includes itself: a header begins with #pragma once"),
    (("bpf_trace_printk(", "expected ';' at end of declaration"), "the format must be a string literal"),
    (("too many arg", "bpf_trace_printk"), "it prints three values at most"),
    (("too many arg", "bpf_printk"), "it prints three values at most"),
    (("implicit declaration",), "there is no such function or helper: is it misspelt?"),
    (("undeclared function",), "there is no such function or helper: is it misspelt?"),
    (("Invalid usage of the XADD",), "an atomic operation whose result is used needs a 64-bit variable"),
    (("built-in function",), "a program has no library: copy a constant number of bytes, or loop"),
    (("invalid access to packet",), "first compare the end of what is read with ctx->data_end"),
    (("map_value_or_null",), "the lookup may have found nothing: first test the pointer for NULL"),
    (("invalid access to map value",), "the verifier cannot see that the index stays inside the value: bound it first"),
    (("zero-sized read",), "the length may be 0: go on only if it is 1 or more"),
    (("back-edge",), "the verifier sees no end of a loop: give it a constant bound"),
    (("infinite loop",), "the verifier sees no end of a loop: give it a constant bound"),
    (("program is too large",), "the verifier walks every path, and gave up: smaller bounds, fewer branches in loops"),
    (("too complex",), "the verifier walks every path, and gave up: smaller bounds, fewer branches in loops"),
    (("R0 !read_ok",), "a program returns one of the XDP_ verdicts on every path"),
    (("At program exit",), "a program returns one of the XDP_ verdicts on every path"),
    (("!read_ok",), "a variable is used before it has a value"),
    (("invalid read from stack",), "a variable, or part of one, is used before it has a value"),
    (("invalid indirect read from stack",), "a variable, or the padding of a struct, is used before it has a value"),
    (("holding a lock",), "call helpers before bpf_spin_lock() or after bpf_spin_unlock()"),
    (("cannot be made", "Cannot allocate memory"), "it is larger than the memory that the kernel has for it"),
    (("cannot be made", "Argument list too long"), "it has more entries than its kind can have"),
)


def with_hint(message: str, dialect: str = BCC) -> str:
    """Return the message, and below it the hint for this dialect, if there is one."""
    for words, hint in (*(_OF_LIBBPF if dialect == LIBBPF else _OF_BCC), *_OF_BOTH):
        if all(word in message for word in words):
            return f"{message}\n({hint})"
    return message
