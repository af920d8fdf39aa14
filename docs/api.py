"""Makes the API reference from the docstrings of the faces: `python docs/api.py FOLDER`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pdoc
import pdoc.render

FACES = (
    *("braid", "braid.engine", "braid.engine.scope", "braid.reasoning"),
    *("braid.executors", "braid.executors.tools", "braid.executors.scheduler", "braid.executors.nodes"),
    *("braid.executors.journal", "braid.executors.mcp", "braid.executors.sandbox", "braid.executors.report"),
    *("braid.planner", "braid.planner.language", "braid.orchestrator", "braid.orchestrator.review"),
    "braid.evals",
)


def build(folder: Path) -> None:
    """Write the reference into `folder`."""
    for face in FACES:
        module = importlib.import_module(face)
        for name in module.__all__:
            # Names that are imported when they are first used are no attributes before that.
            setattr(module, name, getattr(module, name))
    pdoc.render.configure(docformat="google", show_source=False, footer_text="Braid")
    pdoc.pdoc(*FACES, output_directory=folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
