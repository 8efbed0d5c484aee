"""The JSON Schema of a topology's file, with which editors complete and check it: `netlab schema`.

It says which keys there are, what they mean, and of which form values are. What one place says of another only netlab
itself can check. A test compares its keys with those that `validate` takes.
"""

from collections.abc import Mapping
from typing import Any

_DRAFT = "http://json-schema.org/draft-07/schema#"  # what most editors know
Schema = dict[str, Any]

_TEXT: Schema = {"type": ["string", "number", "integer"]}
_TIME: Schema = {"type": ["string", "number"], "examples": ["20ms", "3s", "1m"]}
_SHARE_MODEL: Schema = {
    "anyOf": [
        {"type": ["string", "number"], "examples": ["1%"]},
        {
            "type": "object",
            "properties": {
                "every": {"type": "integer", "description": "each packet whose number is a multiple of this"},
                "numbers": {"type": "array", "items": {"type": "integer"}, "description": "packets by their numbers"},
                "model": {"const": "gilbert-elliott", "description": "bursts"},
                **{key: {"type": ["string", "number"]} for key in ("p", "r", "bad", "good")},
            },
            "additionalProperties": False,
        },
    ]
}


def _about(words: str, schema: Mapping[str, Any]) -> Schema:
    return {"description": words, **schema}


def _choice(*words: str) -> Schema:
    return {"enum": list(words)}


def _list_of(schema: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": schema, **({"minItems": least} if least else {})}


def _one_or_more(schema: Schema) -> Schema:
    return {"anyOf": [schema, _list_of(schema)]}


def _mapping(of: Schema, names: str = "") -> Schema:
    return {"type": "object", "additionalProperties": of, **({"propertyNames": {"pattern": names}} if names else {})}


def _keys(properties: Mapping[str, Schema], *required: str) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
        **({"required": list(required)} if required else {}),
    }


_BOOLEAN: Schema = {"type": "boolean"}
_NAMES = _one_or_more(_TEXT)
_ARGV = _list_of({"type": ["string", "number", "boolean"]}, 1)
_ENV = _mapping({"type": ["string", "number", "boolean"]})
_IMPAIRMENTS: dict[str, Schema] = {
    "delay": _about("how long each packet is held up", _TIME),
    "jitter": _about("how much more or less, at most", _TIME),
    "loss": _about("packets that are lost", _SHARE_MODEL),
    "duplicate": _about("packets that come twice", _SHARE_MODEL),
    "reorder": _about("packets that are not held up, and so overtake others", _SHARE_MODEL),
    "corrupt": _about("packets with a flipped bit", _SHARE_MODEL),
    "rate": _about("bits per second", {"type": ["string", "number"], "examples": ["10mbit"]}),
    "queue": _about("bytes that may wait for the rate", {"type": ["string", "number"], "examples": ["100kB"]}),
    "seed": _about("decides which packets are chosen", {"type": "integer"}),
}
_READY = _keys(
    {
        "line": _about("a line has this text or regular expression", _TEXT),
        "port": _about("something listens there, such as 80 or 53/udp", _TEXT),
        "file": _about("this file is there", _TEXT),
        "command": _about("this command ends with code 0", _ARGV),
        "http": _about("this page answers, such as :8080/health", _TEXT),
        "within": _about("how long to wait for it", _TIME),
    }
)
_RESTART: Schema = {
    "anyOf": [
        _choice("no", "on-failure", "always"),
        _keys({"when": _choice("no", "on-failure", "always"), "at_most": {"type": "integer"}}),
    ]
}
_PROCESS: dict[str, Schema] = {
    "role": _about("a Python program: a path that ends in .py, or a name", _TEXT),
    "args": _about("options of the role: key: value becomes --key value", {"type": "object"}),
    "command": _about("an argv in the place of a role", _ARGV),
    "after": _about("nodes, or processes NODE/NAME, that start first", _NAMES),
    "ready": _about("what shows that the process is ready", _READY),
    "restart": _about("when it starts again by itself", _RESTART),
    "may_exit": _about("it may end at any time", _BOOLEAN),
}
_AUTOSTART = {"autostart": _about("false: only netlab start or run starts it", _BOOLEAN)}
_PROGRAM_KEYS: dict[str, Schema] = {
    "program": _about("a C file, a ready object (.o), or the name of one of netlab's", _TEXT),
    "name": _about("what it is called", _TEXT),
    "function": _about("the entry, or its section", _TEXT),
    "define": _about("constants for the compiler, or global variables", _mapping({"type": ["string", "integer"]})),
    "interfaces": _about("where it is attached (to all)", _NAMES),
    "dialect": _choice("bcc", "libbpf"),
    "include": _about("folders with headers", _NAMES),
    "cflags": _about("more options for the compiler", _NAMES),
    "mode": _choice("native", "generic"),
}


def _programs(keys: Mapping[str, Schema]) -> Schema:
    one: Schema = {"anyOf": [_TEXT, _keys(keys, "program")]}
    return _one_or_more(one)


_OF_TC = _programs({key: value for key, value in _PROGRAM_KEYS.items() if key != "mode"})
_LIMITS = {"cpu": {"type": "number"}, "memory": _TEXT, "pids": {"type": "integer"}}
_FILE: Schema = {
    "anyOf": [
        _TEXT,
        _keys(
            {
                "source": _about("a file, or a folder, beside the topology", _TEXT),
                "text": _about("its content", {"type": "string"}),
                "mode": {"type": ["integer", "string"]},
                "owner": _about("USER or USER:GROUP", _TEXT),
            }
        ),
    ]
}
_FOLDER: Schema = {
    "anyOf": [
        _TEXT,
        _keys(
            {
                "path": _TEXT,
                "content": _choice("empty", "host"),
                "mode": {"type": ["integer", "string"]},
                "owner": _TEXT,
            },
            "path",
        ),
    ]
}
_ROUTE = _keys(
    {
        "to": _about("a network, or default", _TEXT),
        "via": _about("an address of a neighbour, or its name", _TEXT),
        "interface": _TEXT,
        "type": _choice("unreachable", "blackhole", "prohibit"),
        "metric": {"type": "integer", "minimum": 0},
    },
    "to",
)
_SETUP: Schema = {"anyOf": [_TEXT, _list_of({"anyOf": [_TEXT, _ARGV]})]}
_NODE = {
    "anyOf": [
        {"type": "null"},
        _keys(
            {
                "kind": _about("switch: a bridge; host: this host itself", _choice("node", "switch", "host")),
                "replicas": _about(
                    "as many nodes: name1, name2, …", {"type": "integer", "minimum": 1, "maximum": 1000}
                ),
                **_PROCESS,
                **_AUTOSTART,
                "processes": _about("several processes", _mapping(_keys({**_PROCESS, **_AUTOSTART, "env": _ENV}))),
                "setup": _about(
                    "commands that prepare the node", {"anyOf": [_TEXT, _list_of({"anyOf": [_TEXT, _ARGV]})]}
                ),
                "xdp": _about("an XDP program, or several on different interfaces", _programs(_PROGRAM_KEYS)),
                "tc": _about("tc programs", _keys({"ingress": _OF_TC, "egress": _OF_TC})),
                "maps": _about("what is written into maps of its programs", {"type": "object"}),
                "address": _about("none: it hands frames from link to link", _choice("none")),
                "loopback": _about("addresses of lo", _NAMES),
                "routes": _about("static routes", {"anyOf": [_choice("none", "auto"), {"type": "array"}]}),
                "sysctls": _about("settings below net.", _mapping(_TEXT, r"^net\.")),
                "env": _about("variables of its processes", _ENV),
                "files": _about("files that only this node sees", _mapping(_FILE, "^/")),
                "private": _about("folders that only this node sees", _list_of(_FOLDER)),
                "limits": _about("what its processes may use", _keys(_LIMITS)),
                "image": _about("of the node's container", _TEXT),
                "capabilities": _about("of its processes in a container", _list_of(_TEXT)),
                "internet": _about("of a host: the lab reaches the outside", _BOOLEAN),
                "stp": _about("of a switch: a spanning tree", _BOOLEAN),
                "vlan_filtering": _about("of a switch: VLANs are told apart", _BOOLEAN),
            }
        ),
    ]
}
_END: Schema = {
    "anyOf": [
        _TEXT,
        _keys(
            {
                "node": _TEXT,
                "interface": _about("its name (eth0, eth1, …)", _TEXT),
                "address": _about("addresses, with or without a prefix length, or none", _NAMES),
                "peer": _about("the other end of a point-to-point address", _NAMES),
                "mac": _TEXT,
                "vlan": _about("of a switch's port: frames without a tag", {"type": "integer"}),
                "vlans": _about("of a switch's port: frames with these tags", {"type": ["array", "integer", "string"]}),
                **_IMPAIRMENTS,
            },
            "node",
        ),
    ]
}
_ENDS = {"type": "array", "items": _END, "minItems": 2, "maxItems": 2}
_FAMILIES = _choice("auto", "ipv4", "ipv6", "none")
_LINK: Schema = {
    "anyOf": [
        _ENDS,
        _keys(
            {
                "endpoints": _ENDS,
                "subnet": _about("a subnet, or one of each family", _NAMES),
                "addresses": _about("families of automatic addresses", _FAMILIES),
                "mtu": {"type": "integer", "minimum": 68, "maximum": 65535},
                **_IMPAIRMENTS,
            },
            "endpoints",
        ),
    ]
}
_FAULT_KEYS: dict[str, Schema] = {
    "at": _about("when it happens, after the begin", _TIME),
    "kill": _about("processes", _NAMES),
    "pause": _about("processes", _NAMES),
    "resume": _about("processes", _NAMES),
    "drain": _about("backends of a balancer", _NAMES),
    "undrain": _about("backends of a balancer", _NAMES),
    "link": _about("links, such as a-b", _NAMES),
    "partition": _about('groups of nodes, such as [[a, b], [c]] or "a, b | c"', {"type": ["array", "string"]}),
    "restore": _about("all, partition, a node, a process or a link", _NAMES),
    "set": _about("what a link is set to", {"anyOf": [_choice("up", "down"), _keys(_IMPAIRMENTS)]}),
    "for": _about("how long it holds", _TIME),
    "signal": _about("by which signal it is killed", _TEXT),
}
_FAULTS = _list_of(_keys(_FAULT_KEYS))
_CHECKS = _list_of(
    _keys(
        {
            "ping": _about("[NODE, NODE or address]", _ARGV),
            "run": _about("[NODE, COMMAND, …]", {"anyOf": [_ARGV, _keys({"node": _TEXT, "command": _TEXT})]}),
            "line": _about("[NODE, regular expression]", _ARGV),
            "stats": _about("[NODE, path in netlab stats]", _ARGV),
            "map": _about("[NODE, MAP, KEY]", _ARGV),
            "interface": _about("[NODE, INTERFACE, COUNTER]", _ARGV),
            "name": _about("what the check is called", _TEXT),
            "code": _about("the exit code that is expected (0)", {"type": "integer"}),
            "shows": _about("what the output has", _TEXT),
            "hides": _about("what the output has not", _TEXT),
            "is": _about('a value, or a comparison such as ">= 5"', {"type": ["string", "number", "boolean"]}),
            "fails": _about("the opposite is expected", _BOOLEAN),
            "within": _about("until then", _TIME),
            "for": _about("and so for this long", _TIME),
            "after": _about("faults that happen before", _FAULTS),
        }
    )
)
_DEMO = _keys(
    {
        **dict.fromkeys(("client", "balancer", "server"), _TEXT),
        "workers": _NAMES,
        "prints": {"type": "object"},
        **{
            key: {"type": "integer"}
            for key in ("threads", "service_port", "worker_port", "completion_port", "port", "queue")
        },
    }
)
TOPOLOGY: Schema = {
    "$schema": _DRAFT,
    "title": "A topology of netlab",
    **_keys(
        {
            "name": _about("of the lab", {"type": ["string", "number"]}),
            "description": _about("one line", {"type": "string"}),
            "message": _about("shown after up", {"type": "string"}),
            "runtime": _about("where nodes live", _choice("netns", "docker")),
            "defaults": _about(
                "for nodes and links that say nothing else",
                _keys({"routes": _choice("none", "auto"), "addresses": _FAMILIES}),
            ),
            "nodes": _mapping(_NODE),
            "links": _list_of(_LINK),
            "faults": _about("a time line for netlab fault run", _FAULTS),
            "checks": _about("what netlab test looks at", _CHECKS),
            "demo": _about("what netlab demo is told", _DEMO),
        },
        "name",
        "nodes",
    ),
}
