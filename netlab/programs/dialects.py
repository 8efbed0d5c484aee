"""Loads a program in its dialect: what is compiled, or taken from the cache, and what the kernel makes of it."""

from collections.abc import Callable

from netlab.programs import build
from netlab.programs.build import Build
from netlab.programs.loader import Order
from netlab.topology import dialect, object_file
from netlab.topology.model import OBJECT


def load(order: Order, text: bytes, note: Callable[[str], None]) -> Build:
    """Load a program in its dialect. Only the modules of this dialect are imported."""
    job = order.job
    if object_file.is_object(text) or job.path.endswith(OBJECT):
        from netlab.programs import libbpf

        return libbpf.load_object(job, text)
    whole = build.whole(job, text.decode(errors="replace"))
    if (job.dialect or dialect.of_text(whole)) == dialect.LIBBPF:
        from netlab.programs import libbpf

        return libbpf.load_source(order, text, whole, note)
    from netlab.programs import bcc

    unit = bcc.Unit.of(job, text, whole)
    return bcc.from_cache(unit, note) or bcc.load(unit)
