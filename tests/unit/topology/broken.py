"""Broken topologies: a good one with one thing changed, and files that were never good.

`python -m tests.unit.topology.broken FOLDER` writes each into a file of its own, to be tried by hand or by another
program.
"""

import os
import shutil
import sys
from collections.abc import Iterator

from tests.checkout import ROOT
from tests.unit.topology.changes import CHANGES, CHANGES_TWICE, GOOD

SURROUNDINGS = os.path.join(ROOT, "tests", "golden", "ok")  # the roles and programs that GOOD names


HORRORS: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\n  \n",
    "comment": b"# nothing\n",
    "dashes": b"---\n",
    "null": b"null\n",
    "text": b"hello world\n",
    "number": b"42\n",
    "list": b"- name: good\n- nodes: {a: }\n",
    "empty-mapping": b"{}\n",
    "no-nodes": b"name: lab\n",
    "empty-nodes": b"name: lab\nnodes: {}\n",
    "null-nodes": b"name: lab\nnodes:\n",
    "list-nodes": b"name: lab\nnodes: [a, b]\n",
    "text-nodes": b"name: lab\nnodes: a b\n",
    "text-links": b"name: lab\nnodes: {a: , b: }\nlinks: a b\n",
    "mapping-links": b"name: lab\nnodes: {a: , b: }\nlinks: {a: b}\n",
    "null-links": b"name: lab\nnodes: {a: , b: }\nlinks:\n",
    "json-cut": b'{"name": "lab", "nodes": {"a": {',
    "tab": b"name: lab\nnodes:\n\ta:\n",
    "bracket": b"name: lab\nnodes: [a, b\n",
    "brace": b"name: lab\nnodes: {a: }}\n",
    "quote": b"name: 'lab\nnodes: {a: }\n",
    "indent": b"name: lab\nnodes:\n  a:\n   role: x\n  b:\n   c\n d:\n",
    "colon": b"name: lab: good\nnodes: {a: }\n",
    "at": b"name: @lab\nnodes: {a: }\n",
    "percent": b"%YAML 9.9\n---\nname: lab\n",
    "directive": b"%TAG ! tag:example.com,2000:\nname: lab\n",
    "two-documents": b"name: lab\nnodes: {a: }\n---\nname: lab2\nnodes: {b: }\n",
    "second-empty": b"name: lab\nnodes: {a: }\n---\n",
    "latin-1": "name: lab\ndescription: Gr\u00f6\u00dfe\nnodes: {a: }\n".encode("latin-1"),
    "utf-16": "name: lab\nnodes: {a: }\n".encode("utf-16"),
    "utf-16-plain": "name: lab\nnodes: {a: }\n".encode("utf-16-le"),
    "utf-32": "name: lab\nnodes: {a: }\n".encode("utf-32"),
    "overlong": b"name: \xc0\xae\xc0\xae\n",
    "surrogate": b"name: \xed\xa0\x80\n",
    "escape": b"name: \x1b[31mlab\n",
    "delete": b"name: la\x7fb\n",
    "nul": b"name: lab\0\nnodes: {a: }\n",
    "nul-escaped": b'name: "lab\\0"\nnodes: {a: }\n',
    "escapes-in-names": b'name: lab\nnodes: {"a\\e[2J": {command: [x], after: "b\\e"}, '
    b'"b\\e": {command: [x], after: "a\\e[2J", xdp: pass}}\nlinks: [[x, y]]\n',
    "bell-key": b'"na\\ame": lab\nnodes: {a: }\n',
    "elf": b"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00>\x00",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "zeros": bytes(4096),
    "every-byte": bytes(range(256)) * 16,
    "ten-megabytes": b"name: lab\n" + b"# padding padding padding padding\n" * 300_000,
    "a-megabyte-of-keys": b"".join(b"k%d: v\n" % number for number in range(90_000)),
    "a-megabyte-of-one-word": b"x" * 1_000_000,
    "a-megabyte-of-digits": b"name: " + b"9" * 1_000_000,
    "half-a-million-values": b"[" + b"a," * 500_000 + b"]",
    "brackets": b"[" * 100_000,
    "braces": b"{a: " * 100_000,
    "brackets-closed": b"[" * 900 + b"]" * 900,
    "dash-dash-dash": b"- " * 500_000,
    "question-marks": b"? " * 300_000,
    "deep-mapping": b"".join(b" " * depth + b"a:\n" for depth in range(1000)),
    "laughs": b"a: &a [x, x, x, x, x, x, x, x, x]\n"
    + b"".join(
        b"%c: &%c [%s]\n" % (97 + level, 97 + level, b", ".join([b"*%c" % (96 + level)] * 9)) for level in range(1, 9)
    ),
    "laughs-in-keys": b"a: &a {k: v, l: v}\n"
    + b"".join(b"%c: &%c {k: *%c, l: *%c}\n" % (97 + n, 97 + n, 96 + n, 96 + n) for n in range(1, 25)),
    "merged-laughs": b"a: &a {k: v}\n" + b"b: {<<: [" + b"*a, " * 1000 + b"*a]}\n",
    "recursive": b"name: lab\nnodes: &n\n  a: *n\n",
    "recursive-list": b"&a [*a]\n",
    "recursive-merge": b"name: lab\nnodes: &n\n  <<: *n\n",
    "unknown-alias": b"name: *lab\n",
    "alias-as-root": b"*lab\n",
    "python": b"!!python/object/apply:os.system ['true']\n",
    "python-deep": b"name: lab\nnodes: {a: !!python/object/new:tuple [1]}\n",
    "binary-tag": b"name: !!binary bGFi\nnodes: {a: }\n",
    "set-tag": b"name: lab\nnodes: !!set {a, b}\n",
    "timestamp": b"name: 2001-12-14t21:59:43.10-05:00\nnodes: {a: }\n",
    "long-keys": b"name: lab\nnodes: {" + b"n" * 1020 + b": }\n",
    "long-text": b"name: " + b"lab " * 10_000 + b"\nnodes: {a: }\n",
    "newline-name": b'name: "lab\\nlab"\nnodes: {a: }\n',
    "many-nodes": b"name: lab\nnodes:\n" + b"".join(b"  %c: {replicas: 1000}\n" % (97 + n) for n in range(5)),
    "very-many-nodes": b"name: lab\nnodes:\n" + b"".join(b"  n%d:\n" % n for n in range(30_000)),
    "many-links": b"name: lab\nnodes: {a: {replicas: 1000}, b: }\nlinks:\n" + b"  - [a, b]\n" * 30,
    "many-bad-links": b"name: lab\nnodes: {a: , b: }\nlinks:\n" + b"  - [nowhere, neither]\n" * 3000,
    "many-ports": b"name: lab\nnodes:\n  a: {replicas: 1000}\n  b: {replicas: 24}\n  s: {kind: switch}\n"
    b"links: [[a, s], [b, s]]\n",
    "loop-of-switches": b"name: lab\nnodes: {a: {kind: switch}, b: {kind: switch}, c: {kind: switch}}\n"
    b"links: [[a, b], [b, c], [c, a]]\n",
    "long-circle": b"name: lab\nnodes:\n"
    + b"".join(b"  n%d: {command: ['true'], after: n%d}\n" % (n, (n + 1) % 2000 + 0) for n in range(2000))
    .replace(b"n0:", b"n0x:")
    .replace(b"after: n0}", b"after: n0x}"),
    "compose-file": b"version: '3'\nservices:\n  web:\n    image: nginx\n    ports: ['80:80']\n",
    "kathara": b'pc1[0]="A"\npc2[0]="A"\n',
    "python-source": b"import os\nprint('hello')\n",
    "html": b"<!DOCTYPE html>\n<html><body>Not found</body></html>\n",
    "ini": b"[lab]\nname = lab\n",
    "toml": b'name = "lab"\n[nodes.a]\nrole = "x"\n',
    "windows": b"name: lab\r\nnodse:\r\n  a:\r\n",
    "old-mac": b"name: lab\rnodse:\r  a:\r",
    "byte-order-mark": b"\xef\xbb\xbfnmae: lab\nnodes: {a: }\n",
}


def changed() -> Iterator[tuple[str, bytes]]:
    """Yield every way of breaking GOOD, each with a name."""
    for changes in (*((change,) for change in CHANGES), *CHANGES_TWICE):
        text = GOOD
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        yield " ".join(new.strip() or f"without {old.strip()}" for old, new in changes), text.encode()


def broken() -> Iterator[tuple[str, bytes]]:
    """Yield every broken topology with its name."""
    yield from changed()
    yield from HORRORS.items()


def write_all(folder: str) -> dict[str, str]:
    """Write every broken topology into `folder`, beside what it names; return their names by path."""
    for kind in ("roles", "bpf"):
        shutil.copytree(os.path.join(SURROUNDINGS, kind), os.path.join(folder, kind), dirs_exist_ok=True)
    names = {}
    for number, (name, content) in enumerate(broken()):
        path = os.path.join(folder, f"broken-{number:03}.yml")
        names[path] = name
        with open(path, "wb") as file:
            file.write(content)
    return names


if __name__ == "__main__":
    write_all(sys.argv[1])
