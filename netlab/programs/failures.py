"""Turns the failure of a loader's child into an error: about the program, or about this host."""

import os
import signal

from netlab.errors import BuildError, BuildLimitError, HostError, NetlabError, OutsideError, VerifierError
from netlab.programs import diagnostics, features, object_diagnostics
from netlab.programs.build import Refused
from netlab.programs.diagnostics import Source
from netlab.programs.loader import Job, Limits
from netlab.topology import dialect
from netlab.topology.document.tree import printable

_NO_MAP = "could not open bpf map: "  # in bcc's output
_NO_MEMORY = ("LLVM ERROR: out of memory", "std::bad_alloc", "MemoryError")
# The error of each kind of refusal (build.Refused); of all others BuildError.
_TYPES: dict[str, type[NetlabError]] = {
    "verify": VerifierError,
    "refused": VerifierError,
    "limit": BuildLimitError,
    "outside": OutsideError,
    "attach": NetlabError,
}
# The same of messages that a room has made: they are whole.
_SAID: dict[str, type[NetlabError]] = {
    "said-limit": BuildLimitError,
    "said-build": BuildError,
    "said-verifier": VerifierError,
    "said-outside": OutsideError,
    "host": HostError,
    "said": NetlabError,
}
_REFUSED_OURS = (
    "this kernel, {1}, refuses {0}, a program of netlab's own, though it is new enough (docs/kernels.md says which are "
    "tried): a fault of netlab's, to be reported with this: {2}"
)


def refused(job: Job, kind: str, text: str, talk: str, source: Source) -> NetlabError:
    """Return the error of a child that was refused for a reason of this kind; `talk` is the compilers' output."""
    return _for_a_terminal(_refused(job, kind, text, talk, source))


def _for_a_terminal(error: NetlabError) -> NetlabError:
    """Return an error without characters that could disturb a terminal: names in an object may contain them."""
    lines = str(error).split("\n")
    shown = ("\t".join(map(printable, line.split("\t"))) for line in lines)
    return type(error)("\n".join(shown))


def as_refusal(error: NetlabError, job: Job) -> Refused:
    """Return an error as a room tells it to `refused`, which makes the same error of it."""
    kind = next(kind for kind, each in _SAID.items() if isinstance(error, each))
    return Refused(kind, str(error).removeprefix(f"{job.key}: "))


def _refused(job: Job, kind: str, text: str, talk: str, source: Source) -> NetlabError:
    if kind in _SAID:
        return _SAID[kind](f"{job.key}: {text}")
    if lack := _lack(job, kind, talk):
        return HostError(f"{job.key}: {source.shown} {lack}")
    match kind:
        case "compile":
            text = diagnostics.compile_error(talk, source)
        case "verify":
            text = diagnostics.verifier_error(talk, source, text)
            if features.is_ours(job.path):
                line = text.partition("\n")[0]  # the rest helps only the author of a program
                return HostError(f"{job.key}: {_REFUSED_OURS.format(source.shown, os.uname().release, line)}")
        case "clang":
            text = object_diagnostics.compile_error(talk, source, text)
        case "refused":
            text = object_diagnostics.verifier_error(talk, source, text)
        case "object":
            text = object_diagnostics.object_error(talk, source, text)
        case "redefined":
            text = diagnostics.redefinition(talk, source, text)
        case _:
            text = f"{source.shown}: {text}"
    return _TYPES.get(kind, BuildError)(f"{job.key}: {text}")


def _lack(job: Job, kind: str, talk: str) -> str:
    """Return one line on what this kernel lacks, if that may be why it has refused the program; else ""."""
    if kind in {"verify", "refused"} or (kind == "compile" and _NO_MAP in talk):
        return features.lack(job.path)
    return features.attach_lack(job.hook) if kind == "attach" and job.mode != "generic" else ""


def crashed(job: Job, status: int, talk: str, source: Source, limits: Limits) -> NetlabError:
    """Return the error of a child that ended without an answer.

    `status` is its exit status, negative for a signal; `talk` is the output of the compilers.
    """
    if status == -signal.SIGPROF:
        limit = f"more than {limits.cpu_s:g} s of CPU time"
        return BuildLimitError(f"{job.key}: {source.shown}: takes too long to compile and load: {limit}")
    if any(words in talk for words in _NO_MEMORY):
        limit = f"more than {limits.memory >> 20:,} MB of memory"
        return BuildLimitError(f"{job.key}: {source.shown}: takes too much to compile and load: {limit}")
    is_object = not source.lines or dialect.of_text("\n".join(source.lines)) == dialect.LIBBPF
    crash = object_diagnostics.crash if is_object or job.dialect == dialect.LIBBPF else diagnostics.crash
    return _for_a_terminal(BuildError(f"{job.key}: {crash(talk, source, status)}"))
