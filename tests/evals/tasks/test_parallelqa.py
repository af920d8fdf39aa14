"""The task `parallelqa`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from braid.evals import (
    DataMissingError,
    Options,
    get_task,
)
from braid.evals.tasks.parallelqa import same_answer


def test_parallelqa_is_read_from_a_folder(tmp_path: Path) -> None:
    rows = [{"id": "1", "question": "Which?", "answer": "K2", "branch": 2}]
    (tmp_path / "parallelqa_dataset.json").write_text(json.dumps(rows))
    assert get_task("parallelqa").samples(Options(data_dir=tmp_path))[0].target == "K2"
    with pytest.raises(DataMissingError):
        get_task("parallelqa").samples(Options(data_dir=tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("target", "answer", "same"),
    [
        ("Sahara Desert", "the Sahara desert.", True),
        ("Sahara Desert", "Sahara", False),
        ("100", "109 m", True),
        ("100", "111", False),
        ("1,000", "1050.5 km", True),
        ("100", "no number", False),
    ],
)
def test_parallelqa_scores_by_its_own_rule(target: str, answer: str, same: bool) -> None:
    assert same_answer(target, answer) is same
