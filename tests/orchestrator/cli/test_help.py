"""The help of every command, compared with a committed file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.snapshots import check_snapshot

HERE = Path(__file__).parent


def test_the_help_of_every_command_is_what_it_was() -> None:
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONUTF8": "1",
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        [sys.executable, HERE / "help_pages.py"],
        capture_output=True,
        encoding="utf-8",
        env=env,
        check=True,
        timeout=60,
    )
    # Trailing blanks fill the lines up to the width.
    text = "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"
    check_snapshot(HERE / "help.txt", text)
