"""Pinned BPF maps and programs, for roles: open, look up, update, test run. Made in `netlab.programs.maps`."""

from netlab.programs.maps import BPF_ANY, BPF_F_LOCK, DEVMAP, LoadedProgram, Map, TestRun, possible_cpus

__all__ = ["BPF_ANY", "BPF_F_LOCK", "DEVMAP", "LoadedProgram", "Map", "TestRun", "possible_cpus"]
