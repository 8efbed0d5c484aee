"""From a program's source or object to what is attached, and the pinned maps."""
