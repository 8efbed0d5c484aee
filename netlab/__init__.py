"""netlab builds a network lab on one Linux machine from one YAML file.

From Python:

    from netlab import Lab

    with Lab.up("topologies/pair.yml") as lab:
        print(lab["left"].run(["ping", "-c1", "right"], check=True).stdout)

`Lab` and `Topology` are loaded when they are first used: the command line starts without them.
"""

TYPE_CHECKING = False  # as in typing, which the command line loads only when it has put off the collection of garbage
if TYPE_CHECKING:
    from netlab import errors
    from netlab.api.lab import Lab
    from netlab.api.topology import Topology

__all__ = ["Lab", "Topology", "__version__", "errors"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load what is used of the public face."""
    from importlib import import_module

    homes = {"Lab": "netlab.api.lab", "Topology": "netlab.api.topology"}
    if name in homes:
        found: object = getattr(import_module(homes[name]), name)
        globals()[name] = found
        return found
    if name == "errors":
        return import_module("netlab.errors")
    raise AttributeError(f"module netlab has no attribute {name!r}")
