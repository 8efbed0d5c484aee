"""Prints ten gigabytes, if it can, beside its work."""

import threading


def shout() -> None:
    for _ in range(100_000):
        print("x" * 100_000, flush=True)


threading.Thread(target=shout, daemon=True).start()
