"""An example as a user starts it: `python examples/NAME.py ...`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_example(
    name: str, *args: str | Path, lines: str = "", engine: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run an example in the repository's root to its end.

    Args:
        name: the file without its ending.
        args: the command line.
        lines: what the person types.
        engine: the value of `BRAID_ENGINE`. None leaves the embedded model.
    """
    kept = {key: value for key, value in os.environ.items() if key not in ("BRAID_ENGINE", "BRAID_MCP")}
    return subprocess.run(
        [sys.executable, f"examples/{name}.py", *map(str, args)],
        cwd=ROOT,
        env={**kept, **({} if engine is None else {"BRAID_ENGINE": engine})},
        input=lines,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
