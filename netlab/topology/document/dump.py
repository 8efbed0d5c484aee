"""Plain data → YAML text, for people to read."""

from collections.abc import Sequence


def dump(data: object, comments: Sequence[str] = ()) -> str:
    """Return the data, in its own order, as one YAML document with these lines of comment at the top."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's own signature
            """Write what is there twice two times, without aliases."""
            return True

    text: str = yaml.dump(data, Dumper=Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)
    return "".join(f"# {line}\n" for line in comments) + text
