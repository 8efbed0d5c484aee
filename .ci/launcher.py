"""Prints what .ci/setup makes .venv/bin/netlab of: `.venv/bin/python -I .ci/launcher.py`.

Before a program, Python runs its module site, which looks through all folders of packages for .pth files and runs what
stands in them: 3 ms at best, and as much as others have put there. The launcher has written down which folders site
finds, and goes without it (-S). Nor is anything taken from PYTHONPATH, the user's own packages or the folder that one
is in (-I): a module `encodings` there would run before any of netlab's. All that netlab starts in its turn runs under
sys.executable, that is .venv/bin/python, and roles find PYTHONPATH as it was.

Nothing is printed, and pip's own launcher stays, where a line `#!` cannot say which interpreter it is.
"""

import os
import sys

LINE_BYTES = 127  # of which Linux reads a line `#!`

line = f"#!{os.path.realpath(sys.executable)} -IS"
if len(os.fsencode(line)) <= LINE_BYTES and len(line.split()) == 2:
    print(f"""{line}
# Made by .ci/launcher.py when .venv was.
import sys

sys.path[:] = {sys.path}
sys.executable = {sys.executable!r}

from netlab.__main__ import run

run()""")
