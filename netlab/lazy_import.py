"""Imports only parts of a library, where importing is a good part of the time that `up` takes.

Anything unexpected here only costs time: a stand-in that is asked for more becomes the module, and a library with
another layout is imported whole (`imported`).
"""

import sys
from _thread import RLock
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any, TypeVar

_PATIENCE_S = 30.0

T = TypeVar("T")


def module(name: str, /, **known: object) -> None:
    """Put a module into sys.modules that runs its own code only when it is asked for something unknown.

    Meanwhile modules of a package can be imported. `import pyroute2; pyroute2.IPRoute` of other code in this process
    works as always: the first missing attribute runs the module's code, in this same module object. importlib's
    LazyLoader does not help: it runs the code as soon as a module of the package is imported.
    """
    above, _, own = name.rpartition(".")
    if name in sys.modules or (above and above not in sys.modules):
        return
    spec = PathFinder.find_spec(name, sys.modules[above].__path__ if above else None)
    if spec is None or spec.loader is None:
        return  # it is installed in another way, and is imported as usual
    module = ModuleType(name)
    module.__dict__.update(known, __spec__=spec, __loader__=spec.loader, __package__=spec.parent, __file__=spec.origin)
    if spec.submodule_search_locations is not None:
        module.__path__ = spec.submodule_search_locations

    code = _Code(module, spec.loader.exec_module)

    def complete(attribute: str) -> Any:
        if PathFinder.find_spec(f"{name}.{attribute}", spec.submodule_search_locations or []):
            return import_module(f"{name}.{attribute}")  # from pyroute2 import config
        return code.ask(attribute)

    module.__dict__["__getattr__"] = complete
    sys.modules[name] = module
    if above:
        setattr(sys.modules[above], own, module)


class _Code:
    """The code of a module, run by the first thread that asks it for something; others wait until it has run."""

    def __init__(self, module: ModuleType, execute: Callable[[ModuleType], None]) -> None:
        self._module, self._execute = module, execute
        self._lock, self._runs, self._has_run = RLock(), False, False

    def ask(self, attribute: str) -> Any:
        """Return what the module has by this name after its code has run."""
        if not self._lock.acquire(timeout=_PATIENCE_S):
            raise AttributeError(f"another thread is importing {self._module.__name__}, without an end")
        try:
            if self._runs:  # the code itself asks what is not there yet
                return object.__getattribute__(self._module, attribute)
            if not self._has_run:
                self._run()
        finally:
            self._lock.release()
        return getattr(self._module, attribute)

    def _run(self) -> None:
        names = self._module.__dict__
        ours = names["__getattr__"]
        self._runs = True
        try:
            self._execute(self._module)
            self._has_run = True
        finally:
            self._runs = False
        if names["__getattr__"] is ours:  # or one of the code's own
            del names["__getattr__"]


@contextmanager
def postponed(name: str, /, **known: object) -> Iterator[None]:
    """Let `import NAME` give a stand-in meanwhile, which imports the module when asked for something unknown.

    So code that is loaded meanwhile gets the module at its first use. All other code gets it as always.
    """
    stand_in = ModuleType(name)

    def step_aside() -> None:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]

    def complete(attribute: str) -> Any:
        if attribute == "__path__" and not _is_package(name):  # `from NAME import` asks whether there is one
            raise AttributeError(attribute)
        step_aside()
        return getattr(import_module(name), attribute)

    stand_in.__dict__.update(known, __getattr__=complete)
    sys.modules.setdefault(name, stand_in)
    try:
        yield
    finally:
        step_aside()


def _is_package(name: str) -> bool:
    spec = PathFinder.find_spec(name)
    return spec is None or spec.submodule_search_locations is not None


def imported(library: str, stand_ins: Callable[[], AbstractContextManager[None]], load: Callable[[], T]) -> T:
    """Return what `load` imports of a library with stand-ins; if that fails, without them."""
    before = set(sys.modules)
    try:
        with stand_ins():
            return load()
    except Exception:  # noqa: BLE001 - a version with another layout: import it in the ordinary way
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == library:
                del sys.modules[name]
        return load()
