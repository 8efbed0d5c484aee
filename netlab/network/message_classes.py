"""pyroute2's classes of messages, loaded without the rest of that package."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from netlab import lazy_import
from netlab.named_tuple import NamedTuple


class Classes(NamedTuple):
    """pyroute2's classes of messages."""

    link: Any
    address: Any
    route: Any


class _Log:
    """A stand-in for a logger: pyroute2's modules make one when they are imported, and log nothing."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        import logging

        # not logging.getLogger: it is this class while the stand-in is there
        return getattr(logging.Logger.manager.getLogger(self._name), attribute)


def pyroute2_classes() -> Classes:
    """Return pyroute2's message classes, without running the package's own __init__ if possible."""
    return lazy_import.imported("pyroute2", _stand_ins, _imported)


@contextmanager
def _stand_ins() -> Iterator[None]:
    lazy_import.module("pyroute2")
    # pyroute2's settings: the classes use three of them; to compute the others it loads multiprocessing, 5 ms
    lazy_import.module("pyroute2.config", AF_BRIDGE=7, data_plugins_pkgs=[], data_plugins_path=[])
    with (
        lazy_import.postponed("traceback"),
        lazy_import.postponed("pkgutil"),
        lazy_import.postponed("logging", getLogger=_Log),
    ):
        yield


def _imported() -> Classes:
    from importlib import import_module

    package = "pyroute2.netlink.rtnl"
    link: Any = import_module(f"{package}.ifinfmsg")
    address: Any = import_module(f"{package}.ifaddrmsg")
    route: Any = import_module(f"{package}.rtmsg")
    return Classes(link.ifinfmsg, address.ifaddrmsg, route.rtmsg)
