"""A role for tests: only its OPTIONS are read."""

OPTIONS = {
    "service_port": {"type": "port", "default": 8080, "help": "where requests come in"},
    "policy": {
        "type": "text",
        "choices": ["most-free", "round-robin", "random", "first-free"],
        "default": "most-free",
        "help": "who gets a request",
    },
    "backends": {"type": "node", "values": [1, 128], "required": True, "help": "who serves requests"},
}
