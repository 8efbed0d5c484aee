"""Where netlab's own programs, roles and topologies are."""

import os

from netlab import paths


def folder(kind: str) -> str:
    """Return the absolute path of netlab's own `bpf`, `roles` or `topologies`.

    An installed wheel has them in the package. In a checkout they are beside the package.
    """
    installed = os.path.join(paths.PACKAGE, "assets", kind)
    return installed if os.path.isdir(installed) else os.path.join(paths.IMPORTED_FROM, kind)
