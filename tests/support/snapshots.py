"""Text that is held against a committed file, so that no change to it goes unseen."""

from __future__ import annotations

import difflib
import os
from pathlib import Path


def check_snapshot(file: Path, text: str) -> None:
    """Fail unless `text` is what `file` holds. With REWRITE_SNAPSHOTS=1 in the environment, write it."""
    if os.environ.get("REWRITE_SNAPSHOTS") == "1":
        file.write_text(text, encoding="utf-8")
    known = file.read_text(encoding="utf-8") if file.exists() else ""
    lines = difflib.unified_diff(known.splitlines(), text.splitlines(), str(file), "now", lineterm="")
    assert text == known, (
        f"{file.name} is not what it was; if that is meant, "
        "run this test with REWRITE_SNAPSHOTS=1 and commit the file:\n" + "\n".join(lines)
    )
