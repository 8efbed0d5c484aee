"""Compares patterns of `prints` with lines, in a child: a pattern may take for ever.

The child is `matching_child`. It gives each pattern some seconds of CPU time, and says which one has used them up.
"""

import json
import subprocess
import sys
from collections.abc import Sequence

from netlab import paths
from netlab.judge.lines import Fitting
from netlab.kernel.searching import shown
from netlab.words import count

CPU_S = 5.0  # for one pattern; a good one takes some microseconds a line
_PATIENCE_S = 120.0  # for the child, on a machine that is busy
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from netlab.demo.matching_child import main; main()"


def compare(
    patterns: Sequence[tuple[str, str]], texts: Sequence[str], cpu_s: float = CPU_S
) -> tuple[list[Fitting], str]:
    """Return what each pattern finds in these texts, and why there is no telling, "" if there is."""
    if not patterns:
        return [], ""
    asked = json.dumps({"patterns": patterns, "texts": texts, "cpu_s": cpu_s})
    argv = [sys.executable, "-IS", "-c", _BOOT, paths.IMPORTED_FROM]
    try:
        answer = subprocess.run(argv, input=asked.encode(), capture_output=True, check=False, timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        return (
            [],
            f"the patterns of `prints` have not been compared with {count(len(texts), 'line')} in {_PATIENCE_S:g} s",
        )
    if answer.returncode:
        last = answer.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return [], f"the patterns of `prints` could not be compared with the lines: {last or 'the process was killed'}"
    told = json.loads(answer.stdout)
    if "slow" in told:
        kind, pattern = told["slow"]
        return [], f"the pattern {shown(pattern)} of `{kind}` takes too long on {told['text']!r}: write a simpler one"
    fits = zip(patterns, told["values"], strict=True)
    return [Fitting(kind, pattern, values) for (kind, pattern), values in fits], ""
