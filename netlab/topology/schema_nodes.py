"""The schema of a node: its processes, its programs, and what else it has."""

from collections.abc import Mapping

from netlab.topology.schema_forms import (
    ARGV,
    BOOLEAN,
    NAMES,
    TEXT,
    TIME,
    Schema,
    about,
    choice,
    keys,
    list_of,
    mapping,
    one_or_more,
)

_ENV = mapping({"type": ["string", "number", "boolean"]})
_READY = keys(
    {
        "line": about("a line has this text or regular expression", TEXT),
        "port": about("something listens there, such as 80 or 53/udp", TEXT),
        "file": about("this file is there", TEXT),
        "command": about("this command ends with code 0", ARGV),
        "http": about("this page answers, such as :8080/health", TEXT),
        "within": about("how long to wait for it", TIME),
    }
)
_RESTART: Schema = {
    "anyOf": [
        choice("no", "on-failure", "always"),
        keys(
            {
                "when": about("after which end", choice("no", "on-failure", "always")),
                "at_most": about("how many times", {"type": "integer"}),
            }
        ),
    ]
}
_PROCESS: dict[str, Schema] = {
    "role": about("a Python program: a path that ends in .py, or a name", TEXT),
    "args": about("options of the role: key: value becomes --key value", {"type": "object"}),
    "command": about("an argv in the place of a role", ARGV),
    "after": about("nodes, or processes NODE/NAME, that start first", NAMES),
    "ready": about("what shows that the process is ready", _READY),
    "restart": about("when it starts again by itself", _RESTART),
    "may_exit": about("it may end at any time", BOOLEAN),
}
_AUTOSTART = {"autostart": about("false: only netlab start or run starts it", BOOLEAN)}
_PROGRAM_KEYS: dict[str, Schema] = {
    "program": about("a C file, a ready object (.o), or the name of one of netlab's", TEXT),
    "name": about("what it is called", TEXT),
    "function": about("the entry, or its section", TEXT),
    "define": about("constants for the compiler, or global variables", mapping({"type": ["string", "integer"]})),
    "interfaces": about("where it is attached (to all)", NAMES),
    "dialect": about("whose macros it uses, if its text does not say", choice("bcc", "libbpf")),
    "include": about("folders with headers", NAMES),
    "cflags": about("more options for the compiler", NAMES),
    "mode": about("generic: where the kernel has built the packet's buffer", choice("native", "generic")),
}


def _programs(properties: Mapping[str, Schema]) -> Schema:
    one: Schema = {"anyOf": [TEXT, keys(properties, "program")]}
    return one_or_more(one)


_OF_TC = _programs({key: value for key, value in _PROGRAM_KEYS.items() if key != "mode"})
_LIMITS = {
    "cpu": about("processors: 0.5 is half of one", {"type": "number"}),
    "memory": about("bytes, such as 64M; who needs more is ended", TEXT),
    "pids": about("processes and threads at a time", {"type": "integer"}),
}
_TC = {"ingress": about("for packets that come in", _OF_TC), "egress": about("for those that go out", _OF_TC)}
_MODE = about("its permissions, such as 0640", {"type": ["integer", "string"]})
_FILE: Schema = {
    "anyOf": [
        TEXT,
        keys(
            {
                "source": about("a file, or a folder, beside the topology", TEXT),
                "text": about("its content", {"type": "string"}),
                "mode": _MODE,
                "owner": about("USER or USER:GROUP", TEXT),
            }
        ),
    ]
}
_FOLDER: Schema = {
    "anyOf": [
        TEXT,
        keys(
            {
                "path": about("of the folder", TEXT),
                "content": about("what is in it at first", choice("empty", "host")),
                "mode": _MODE,
                "owner": about("USER or USER:GROUP", TEXT),
            },
            "path",
        ),
    ]
}
_AUTO = choice("none", "auto")
_NOWHERE = choice("unreachable", "blackhole", "prohibit")
_ROUTE = keys(
    {
        "to": about("a network, or default", TEXT),
        "via": about("an address of a neighbour, or its name", TEXT),
        "interface": about("through which it goes", TEXT),
        "type": about("packets go nowhere: with an answer, silently, or with another answer", _NOWHERE),
        "metric": about("the lowest of several ways is taken", {"type": "integer", "minimum": 0}),
    },
    "to",
)
_SETUP: Schema = {"anyOf": [TEXT, list_of({"anyOf": [TEXT, ARGV]})]}
NODE = {
    "anyOf": [
        {"type": "null"},
        keys(
            {
                "kind": about("switch: a bridge; host: this host itself", choice("node", "switch", "host")),
                "replicas": about("as many nodes: name1, name2, …", {"type": "integer", "minimum": 1, "maximum": 1000}),
                **_PROCESS,
                **_AUTOSTART,
                "processes": about(
                    "several processes", mapping(keys({**_PROCESS, **_AUTOSTART, "env": about("its variables", _ENV)}))
                ),
                "setup": about("commands that prepare the node", _SETUP),
                "xdp": about("an XDP program, or several on different interfaces", _programs(_PROGRAM_KEYS)),
                "tc": about("tc programs", keys(_TC)),
                "maps": about("what is written into maps of its programs", {"type": "object"}),
                "address": about("none: it hands frames from link to link", choice("none")),
                "loopback": about("addresses of lo", NAMES),
                "routes": about("static routes", {"anyOf": [_AUTO, list_of({"anyOf": [_AUTO, _ROUTE]})]}),
                "sysctls": about("settings below net.", mapping(TEXT, r"^net\.")),
                "env": about("variables of its processes", _ENV),
                "files": about("files that only this node sees", mapping(_FILE, "^/")),
                "private": about("folders that only this node sees", list_of(_FOLDER)),
                "limits": about("what its processes may use", keys(_LIMITS)),
                "image": about("of the node's container", TEXT),
                "capabilities": about("of its processes in a container", list_of(TEXT)),
                "internet": about("of a host: the lab reaches the outside", BOOLEAN),
                "stp": about("of a switch: a spanning tree", BOOLEAN),
                "vlan_filtering": about("of a switch: VLANs are told apart", BOOLEAN),
            }
        ),
    ]
}
