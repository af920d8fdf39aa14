"""Questions written one by one, for a look beyond what the generators ask; no model is trained on them, and none is chosen by them."""

from __future__ import annotations

import json
from importlib.resources import files

from evals.planning_set.generate import Sample


def handwritten() -> list[Sample]:
    """All of them, in the order in which they were written; the answers were worked out from the atlas without the plans."""
    text = (files("evals.planning_set") / "handwritten.jsonl").read_text(encoding="utf-8")
    return [
        Sample(
            id=f"handwritten-{number}",
            question=row["question"],
            plan=row["plan"],
            answer=row["answer"],
            template="handwritten",
            entities=(),
        )
        for number, row in enumerate(map(json.loads, text.splitlines()))
    ]
