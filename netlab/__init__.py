"""netlab builds a network lab on one Linux machine from one YAML file."""

__version__ = "0.1.0"
