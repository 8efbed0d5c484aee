"""Processes of a lab: the supervisor, what it starts, and what it writes down."""
