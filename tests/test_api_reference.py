"""The API reference is made from the docstrings, and has what the faces offer."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_the_reference_has_every_face(tmp_path: Path) -> None:
    pytest.importorskip("pdoc", reason="the reference is made by pdoc")
    module = runpy.run_path(str(ROOT / "docs" / "api.py"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # annotations that only a type checker can read
        module["build"](tmp_path)
    for face in module["FACES"]:
        assert (tmp_path / f"{face.replace('.', '/')}.html").exists(), face
    page = (tmp_path / "braid" / "orchestrator.html").read_text(encoding="utf-8")
    assert 'id="Agent.run_plan"' in page and "Run a plan that was written by hand" in page
