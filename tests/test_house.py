"""The house rules that no linter knows: the size of folders and faces, and prose without semicolons."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("engine", "reasoning", "executors", "planner", "orchestrator", "evals", "training")
MOST_NAMES, MOST_MODULES = 30, 15
FOLDERS = sorted(file.parent for room in ROOMS for file in (ROOT / room).rglob("__init__.py"))


def face(init: Path) -> list[str]:
    for node in ast.parse(init.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Docstrings of modules, classes and functions, and of attributes."""
    for node in ast.walk(tree):
        for statement in (
            getattr(node, "body", None) or () if not isinstance(node, ast.Lambda | ast.IfExp) else ()
        ):
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_can_be_kept_in_mind(folder: Path) -> None:
    modules = [file.stem for file in folder.glob("*.py") if file.stem != "__init__"]
    assert len(modules) <= MOST_MODULES, modules
    names = face(folder / "__init__.py")
    assert len(names) <= MOST_NAMES, names
    assert len(names) == len(set(names))


@pytest.mark.parametrize("room", [*ROOMS, "src/braid", "benchmarks", "examples", "tests"])
def test_no_docstring_hangs_on_a_semicolon(room: str) -> None:
    found = [
        f"{file.relative_to(ROOT)}:{text.lineno}"
        for file in sorted((ROOT / room).rglob("*.py"))
        if not any(parent.is_symlink() for parent in file.parents)
        for text in docstrings(ast.parse(file.read_text(encoding="utf-8")))
        if re.search(r"\w\)?; ", re.sub(r"`[^`]*`", "X", str(text.value)))
    ]
    assert not found
