"""What to do about a program that clang or the verifier refuses, by what they say about it."""

_OFFSET = (
    "bound the offset before it is added to a pointer; older kernels forget the bounds of what bpf_ntohs() returns: "
    '#include "bounds.h", and add host_u16(N) in the place of bpf_ntohs(N)'
)
_LENGTH = (
    "bound the length, above and below, right before the helper is called; barrier_var() of bounds.h keeps the "
    "compiler from leaving out a check whose outcome it knows"
)
_METHOD = (
    "bcc knows methods of maps in the program's own file alone: put a function there, above the include of the header, "
    "such as static inline u64 *find(u32 *key) { return MAP.lookup(key); }, and let the header call that"
)
# The first whose words are all in the message is given.
_HINTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("SEC(",), "bcc needs no SEC(): leave it out"),
    (("bpf_helpers.h",), "bcc declares the helpers itself: leave the include out"),
    (("bpf_endian.h",), "bcc declares bpf_htons() and the like itself: leave the include out"),
    (("nested too deeply",), "a file includes itself: a header begins with #pragma once"),
    (("file not found",), "headers are looked for beside the program, in netlab's bpf folder and in linux-libc-dev"),
    (("bpf_trace_printk(", "expected ';' at end of declaration"), "the format must be a string literal"),
    (("too many arg", "bpf_trace_printk"), "it prints three values at most"),
    (("too many arg", "bpf_printk"), "it prints three values at most"),
    (("unknown opcode 8d",), _METHOD),
    (("implicit declaration",), "there is no such function or helper: is it misspelt?"),
    (("undeclared function",), "there is no such function or helper: is it misspelt?"),
    (("cannot use map function inside a macro",), "call it in a static inline function instead"),
    (("Invalid usage of the XADD",), "an atomic operation whose result is used needs a 64-bit variable"),
    (("stack limit",), "keep large things in a BPF_PERCPU_ARRAY"),
    (("built-in function",), "a program has no library: copy a constant number of bytes, or loop"),
    (("invalid access to packet",), "first compare the end of what is read with ctx->data_end"),
    (("map_value_or_null",), "the lookup may have found nothing: first test the pointer for NULL"),
    (("invalid access to map value",), "the verifier cannot see that the index stays inside the value: bound it first"),
    (("invalid mem access 'scalar'",), "that is no address; global variables and tables must be kept in a BPF_ARRAY"),
    (("invalid mem access 'inv'",), "that is no address; global variables and tables must be kept in a BPF_ARRAY"),
    (("math between pkt pointer",), _OFFSET),
    (("unbounded memory access",), _LENGTH),
    (("min value is negative",), _LENGTH),
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
    (("last insn is not an exit",), "programs cannot call functions that are not inlined: leave `noinline` out"),
    (("cannot be made", "Cannot allocate memory"), "it is larger than the memory that the kernel has for it"),
    (("cannot be made", "Argument list too long"), "it has more entries than its kind can have"),
)


def with_hint(message: str) -> str:
    """Return the message, and below it what to do about it, where that is known."""
    for words, hint in _HINTS:
        if all(word in message for word in words):
            return f"{message}\n({hint})"
    return message
