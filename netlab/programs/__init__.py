"""Compiles, loads, pins and attaches programs, and reads and writes their pinned maps."""
