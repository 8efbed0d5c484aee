"""A lab on disk: its record, its lock and its mark."""
