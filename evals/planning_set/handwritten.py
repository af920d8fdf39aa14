"""Questions written one by one, for a look beyond what the generators ask; no model is trained on them, and none is chosen by them.

The first and the later forty are development data: what a model got wrong in them has led to wider generators. The latest
forty were written when the generators had taken their present form, before any model was asked.
"""

from __future__ import annotations

import json
from importlib.resources import files

from evals.planning_set.generate import Sample

HANDWRITTEN = ("handwritten", "handwritten-later", "handwritten-latest")
"""The splits that no generator wrote."""


def handwritten(name: str) -> list[Sample]:
    """The questions of one of `HANDWRITTEN`; the answers were worked out from the atlas without the plans."""
    text = (files("evals.planning_set") / f"{name.replace('-', '_')}.jsonl").read_text(encoding="utf-8")
    return [
        Sample(
            id=f"{name}-{number}",
            question=row["question"],
            plan=row["plan"],
            answer=row["answer"],
            template=name,
            entities=(),
        )
        for number, row in enumerate(map(json.loads, text.splitlines()))
    ]
