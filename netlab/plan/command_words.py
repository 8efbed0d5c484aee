"""Words of the commands that steps stand for: names of namespaces, quoted words."""


def namespace(lab: str, node: str) -> str:
    """Return the name of a node's network namespace; no label contains a dot, so no two are equal."""
    return f"{lab}.{node}" if lab else node


def quoted(word: str) -> str:
    """Return a word, quoted for the shell."""
    import shlex

    return shlex.quote(word)
