"""Processes of a lab: the supervisor, the processes that it starts, and what it records."""
