"""A role for tests: only its OPTIONS are read."""

OPTIONS = {
    "port": {"type": "port", "default": 8080, "help": "where to listen"},
    "threads": {"type": "integer", "default": 5, "minimum": 1, "help": "how many at once"},
    "balancer": {"type": "endpoint", "help": "whom to tell, as NODE:PORT"},
}
