"""Texts of the command line → values, for argparse."""

import re
import sys

LONGEST_S = 1e6  # eleven days
MOST_JOBS = 256
_PROTOCOLS = ("arp", "ether", "icmp", "icmp6", "ip", "ip6", "tcp", "udp")
WORDS_OF_FILTERS = (*_PROTOCOLS, "and", "dst", "host", "net", "not", "or", "port", "src")  # the usual ones of tcpdump
LINK_WORDS = (
    "[LINK] show; LINK set KEY=VALUE ..., reset, down or up; LINK is A-B, A B or NODE:INTERFACE, and KEY one of delay,"
    " jitter, loss, duplicate, reorder, corrupt, rate, queue, seed"
)


def number(text: str) -> int:
    """Return a number of lines, for argparse; there is no larger number than a machine can count."""
    if int(text) < 0:
        raise ValueError
    return min(int(text), sys.maxsize)


def seconds(text: str) -> float:
    """Return a number of seconds, for argparse; system calls that wait take at most some weeks."""
    if not 0 < float(text) < float("inf"):
        raise ValueError
    return min(float(text), LONGEST_S)


def port(text: str) -> int:
    """Return a TCP port, for argparse; 0 is any that is free."""
    if not 0 <= int(text) < 1 << 16:
        raise ValueError
    return int(text)


def threads(text: str) -> int:
    """Return a number of threads, for argparse."""
    if not 0 < int(text) < 1 << 16:
        raise ValueError
    return int(text)


def jobs(text: str) -> int:
    """Return how many are to be done at a time, for argparse."""
    if not 0 < int(text) <= MOST_JOBS:
        raise ValueError
    return int(text)


def constant(text: str) -> tuple[str, str]:
    """Return name and value of a C constant, for argparse."""
    name, found, value = text.partition("=")
    if not found or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or "\n" in value:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"expected NAME=VALUE, with a C constant's name, found {text!r}")
    return name, value


def moment(text: str) -> int:
    """Return a time, such as 10s ago or 16:59:03 of the last 24 hours, as nanoseconds since the epoch, for argparse."""
    import time

    now_ns = time.time_ns()
    if ago := re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|)", text, re.ASCII):
        return now_ns - int(float(ago[1]) * {"ms": 1e6, "m": 6e10, "h": 3.6e12}.get(ago[2], 1e9))
    of_day = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(\.\d{1,9})?)?", text, re.ASCII)
    if not of_day:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(
            f"expected a time ago, as 10s, 5m or 2h, or of day, as 16:59 or 16:59:03.5, found {text!r}"
        )
    day = time.localtime()[:3]
    for days in (0, 1):
        clock = (day[0], day[1], day[2] - days, int(of_day[1]), int(of_day[2]), int(of_day[3] or 0), 0, 0, -1)
        found_ns = int(time.mktime(clock)) * 10**9 + int(float(of_day[4] or 0) * 1e9)
        if found_ns <= now_ns:
            break
    return found_ns


def pattern(text: str) -> re.Pattern[str]:
    """Return a regular expression of Python's, for argparse."""
    from netlab.kernel.searching import compiled

    try:
        return compiled(text)
    except re.error as error:
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"expected a regular expression, found {text!r}: {error}") from None


def signal_number(text: str) -> int:
    """Return the number of a signal, from its number or its name with or without SIG, for argparse."""
    import signal

    known = signal.Signals.__members__
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    if name in known:
        return int(known[name])
    if text.isascii() and text.isdigit() and len(text) <= len("64") and int(text) in signal.valid_signals():
        return int(text)
    from argparse import ArgumentTypeError

    raise ArgumentTypeError(f"expected a signal, as KILL, SIGHUP or 9, found {text!r}")


def rotation(text: str) -> tuple[int, int]:
    """Return bytes, and a number of files or 0, from SIZE[:FILES], for argparse."""
    found = re.fullmatch(r"(\d{1,9})([kMG]?)(?::(\d{1,6}))?", text, re.ASCII)
    if not found or not int(found[1]) or found[3] == "0":
        from argparse import ArgumentTypeError

        raise ArgumentTypeError(f"expected a size and a number of files, as 10M or 10M:5, found {text!r}")
    return int(found[1]) * {"": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30}[found[2]], int(found[3] or 0)
