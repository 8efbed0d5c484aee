"""A role for tests: only its OPTIONS are read."""

OPTIONS = {
    "target": {"type": "endpoint", "required": True, "help": "the service, as NODE:PORT"},
    "count": {"type": "integer", "default": 30, "minimum": 0, "help": "requests to send"},
    "interval": {"type": "number", "default": 0.1, "minimum": 0, "help": "seconds between requests"},
    "sleep": {"type": "number", "values": [1, 2], "default": [0.2, 0.5], "minimum": 0, "help": "seconds to sleep"},
    "payload": {"type": "integer", "minimum": 1, "maximum": 1472, "help": "bytes"},
    "verbose": {"type": "flag", "help": "print more"},
    "greeting": {"type": "text", "help": "what to say"},
}
