"""The JSON Schema of a topology's file, with which editors complete and check it: `netlab schema`.

It says which keys there are, what they mean, and of which form values are. What one place says of another only netlab
itself can check. A test compares its keys with those that `validate` takes.
"""

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
)
from netlab.topology.schema_nodes import NODE

_DRAFT = "http://json-schema.org/draft-07/schema#"  # what most editors know

_SHARE: Schema = {"type": ["string", "number"], "examples": ["1%"]}
_SHARE_MODEL: Schema = {
    "anyOf": [
        _SHARE,
        {
            "type": "object",
            "properties": {
                "every": {"type": "integer", "description": "each packet whose number is a multiple of this"},
                "numbers": {"type": "array", "items": {"type": "integer"}, "description": "packets by their numbers"},
                "model": {"const": "gilbert-elliott", "description": "bursts"},
                "p": about("chance that a burst begins at a packet", _SHARE),
                "r": about("chance that it ends at a packet", _SHARE),
                "bad": about("share of the packets that are chosen in a burst (100%)", _SHARE),
                "good": about("share of those outside a burst (0%)", _SHARE),
            },
            "additionalProperties": False,
        },
    ]
}


_IMPAIRMENTS: dict[str, Schema] = {
    "delay": about("how long each packet is held up", TIME),
    "jitter": about("how much more or less, at most", TIME),
    "loss": about("packets that are lost", _SHARE_MODEL),
    "duplicate": about("packets that come twice", _SHARE_MODEL),
    "reorder": about("packets that are not held up, and so overtake others", _SHARE_MODEL),
    "corrupt": about("packets with a flipped bit", _SHARE_MODEL),
    "rate": about("bits per second", {"type": ["string", "number"], "examples": ["10mbit"]}),
    "queue": about("bytes that may wait for the rate", {"type": ["string", "number"], "examples": ["100kB"]}),
    "seed": about("decides which packets are chosen", {"type": "integer"}),
}
_END: Schema = {
    "anyOf": [
        TEXT,
        keys(
            {
                "node": about("whose interface it is", TEXT),
                "interface": about("its name (eth0, eth1, …)", TEXT),
                "address": about("addresses, with or without a prefix length, or none", NAMES),
                "peer": about("the other end of a point-to-point address", NAMES),
                "mac": about("its hardware address", TEXT),
                "vlan": about("of a switch's port: frames without a tag", {"type": "integer"}),
                "vlans": about("of a switch's port: frames with these tags", {"type": ["array", "integer", "string"]}),
                **_IMPAIRMENTS,
            },
            "node",
        ),
    ]
}
_ENDS = {"type": "array", "items": _END, "minItems": 2, "maxItems": 2}
_FAMILIES = choice("auto", "ipv4", "ipv6", "none")
_LINK: Schema = {
    "anyOf": [
        _ENDS,
        keys(
            {
                "endpoints": about("NODE or NODE:INTERFACE, or a mapping, of each end", _ENDS),
                "subnet": about("a subnet, or one of each family", NAMES),
                "addresses": about("families of automatic addresses", _FAMILIES),
                "mtu": about(
                    "bytes of the largest packet (1500)", {"type": "integer", "minimum": 68, "maximum": 65535}
                ),
                **_IMPAIRMENTS,
            },
            "endpoints",
        ),
    ]
}
_FAULT_KEYS: dict[str, Schema] = {
    "at": about("when it happens, after the begin", TIME),
    "kill": about("processes", NAMES),
    "pause": about("processes", NAMES),
    "resume": about("processes", NAMES),
    "drain": about("backends of a balancer", NAMES),
    "undrain": about("backends of a balancer", NAMES),
    "link": about("links, such as a-b", NAMES),
    "partition": about('groups of nodes, such as [[a, b], [c]] or "a, b | c"', {"type": ["array", "string"]}),
    "restore": about("all, partition, a node, a process or a link", NAMES),
    "set": about("what a link is set to", {"anyOf": [choice("up", "down"), keys(_IMPAIRMENTS)]}),
    "for": about("how long it holds", TIME),
    "signal": about("by which signal it is killed", TEXT),
}
_FAULTS = list_of(keys(_FAULT_KEYS))
_CHECKS = list_of(
    keys(
        {
            "ping": about("[NODE, NODE or address]", ARGV),
            "run": about(
                "[NODE, COMMAND, …]",
                {
                    "anyOf": [
                        ARGV,
                        keys(
                            {"node": about("where it runs", TEXT), "command": about("what the shell there runs", TEXT)}
                        ),
                    ]
                },
            ),
            "line": about("[NODE, regular expression]", ARGV),
            "stats": about("[NODE, path in netlab stats]", ARGV),
            "map": about("[NODE, MAP, KEY]", ARGV),
            "interface": about("[NODE, INTERFACE, COUNTER]", ARGV),
            "name": about("what the check is called", TEXT),
            "code": about("the exit code that is expected (0)", {"type": "integer"}),
            "shows": about("what the output has", TEXT),
            "hides": about("what the output has not", TEXT),
            "is": about('a value, or a comparison such as ">= 5"', {"type": ["string", "number", "boolean"]}),
            "fails": about("the opposite is expected", BOOLEAN),
            "within": about("until then", TIME),
            "for": about("and so for this long", TIME),
            "after": about("faults that happen before", _FAULTS),
        }
    )
)
_NUMBER: Schema = {"type": "integer"}
_DEMO = keys(
    {
        "client": about("the node whose role asks", TEXT),
        "server": about("the node that serves, in part A", TEXT),
        "balancer": about("the node with the balancer", TEXT),
        "workers": about("the nodes that serve, in part B", NAMES),
        "threads": about("of each worker", _NUMBER),
        "service_port": about("to which clients send", _NUMBER),
        "worker_port": about("on which workers listen", _NUMBER),
        "completion_port": about("to which workers report an end", _NUMBER),
        "port": about("on which the server listens, in part A", _NUMBER),
        "queue": about("how many requests the balancer keeps", _NUMBER),
        "prints": about("regular expressions for the lines of other roles and programs", {"type": "object"}),
    }
)
TOPOLOGY: Schema = {
    "$schema": _DRAFT,
    "title": "A topology of netlab",
    **keys(
        {
            "name": about("of the lab", {"type": ["string", "number"]}),
            "description": about("one line", {"type": "string"}),
            "message": about("shown after up", {"type": "string"}),
            "runtime": about("where nodes live", choice("netns", "docker")),
            "defaults": about(
                "for nodes and links that say nothing else",
                keys(
                    {
                        "routes": about("auto: each node finds each other", choice("none", "auto")),
                        "addresses": about("families of automatic addresses", _FAMILIES),
                    }
                ),
            ),
            "nodes": about("each by its name", mapping(NODE)),
            "links": about("each joins two nodes", list_of(_LINK)),
            "faults": about("a time line for netlab fault run", _FAULTS),
            "checks": about("what netlab test looks at", _CHECKS),
            "demo": about("what netlab demo is told", _DEMO),
        },
        "name",
        "nodes",
    ),
}
