"""Grades many submissions, by what `netlab demo` and `netlab test` judge, each play in a process of its own."""
