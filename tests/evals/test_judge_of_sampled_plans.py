"""The judge of `benchmarks/sampled_plans.py`: units, names, yes and no, and declines."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "sampled_plans.py"


@pytest.fixture(scope="module")
def judge() -> Any:
    module = runpy.run_path(str(SCRIPT))
    assert str(SCRIPT.parent) not in sys.path
    return module["judge"]


@pytest.mark.parametrize(
    ("row", "answer", "right"),
    [
        ({"answer": 3.805, "unit": "km"}, "3805 m", True),
        ({"answer": 3805, "unit": "m"}, "3805", True),
        ({"answer": 3805, "unit": "m"}, "3.8 km", True),
        ({"answer": 3805, "unit": "m"}, "-3805 m", False),
        ({"answer": 3805, "unit": "m"}, "3805 km", False),
        ({"answer": "1.2 million"}, "1200000", True),
        ({"answer": 1_200_000}, "1.2 million people", True),
        ({"answer": 1.2, "unit": "million people"}, "1200000 people", True),
        ({"answer": 1.2, "unit": "million km2"}, "1,200,000 km²", True),
        ({"answer": 25, "unit": "%"}, "25.1%", True),
        ({"answer": 25, "unit": "%", "tolerance": 0.001}, "25.1%", False),
        ({"answer": "Nile"}, "the Nile", True),
        ({"answer": "Nile"}, "Amazon", False),
        ({"answer": ["Peru", "Republic of Peru"]}, "Peru", True),
        ({"answer": "yes"}, "yes", True),
        ({"answer": "yes"}, "no", False),
        ({"answer": "no", "kind": "yes_no"}, "No, it is not", True),
    ],
)
def test_answers_are_judged_after_their_units(
    judge: Any, row: dict[str, Any], answer: str, right: bool
) -> None:
    assert judge(row, answer, declined=False) is right
    assert judge(row, answer, declined=True) is False


def test_where_there_is_no_answer_only_a_decline_is_right(judge: Any) -> None:
    assert judge({"answer": None, "kind": "decline"}, "", declined=True)
    assert judge({"answer": None}, "I am not sure about that", declined=False)
    assert not judge({"answer": None}, "42", declined=False)
