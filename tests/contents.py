"""What may stand in the place of a file of a lab's, by hand, by a crash or by a full disk."""

import os

LAB_FILES = (
    *("lab.json", "env.json", "status.json", "pinned", "processes"),
    *("supervisor", "supervisor.sock", "up", "containers", "group"),
)
_TEXTS = {
    "empty": b"",
    "a number": b"7\n",
    "a list": b"[]\n",
    "an object": b"{}\n",
    "wrong values": b'{"nodes": 5, "lab": ["a"], "pid": "x", "engine": {}}\n',
    "wrong nodes": b'{"nodes": {"a": 7}, "runtime": "netns", "node": ["a"]}\n',
    "half a line": b'{"lab": "dmg", "nod',
    "binary": bytes(range(256)) * 8,
    "nested": b"[" * 100_000,
}
CONTENTS = (*_TEXTS, "a folder", "a pipe")


def put(path: str, content: str) -> None:
    """Make something of this kind, where nothing is."""
    match content:
        case "a folder":
            os.mkdir(path)
        case "a pipe":
            os.mkfifo(path)
        case _:
            with open(path, "xb") as file:
                file.write(_TEXTS[content])
