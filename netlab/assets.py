"""Where netlab's own programs, roles, topologies and starts of a lab are."""

import os

from netlab import paths


def folder(kind: str) -> str:
    """Return the absolute path of netlab's own `bpf`, `roles`, `topologies` or `templates`.

    An installed wheel has them in the package. In a checkout they are beside the package.
    """
    installed = os.path.join(paths.PACKAGE, "assets", kind)
    return installed if os.path.isdir(installed) else os.path.join(paths.IMPORTED_FROM, kind)
