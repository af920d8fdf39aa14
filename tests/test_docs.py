"""The Python blocks of README and docs run as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))


def blocks() -> Iterator[tuple[str, str]]:
    """(page:line, code) of each fenced Python block.

    Blank lines in front keep the page's line numbers in tracebacks.
    """
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, found.start(1))
            yield f"{page.relative_to(ROOT)}:{line + 1}", "\n" * line + found[1]


@pytest.mark.parametrize(("place", "code"), [pytest.param(*block, id=block[0]) for block in blocks()])
def test_the_python_blocks_run(place: str, code: str) -> None:
    exec(compile(code, place, "exec"), {"__name__": "__main__"})
