"""Tasks refuse options that they do not know."""

from __future__ import annotations

import pytest

from braid.engine import BraidError
from braid.evals import (
    DataMissingError,
    EvalError,
    Options,
    UnknownTaskError,
    get_task,
)


def test_mistakes_are_told() -> None:
    with pytest.raises(UnknownTaskError, match="planning"):
        get_task("nonsense")
    with pytest.raises(EvalError, match="takes no argument 'spilt'"):
        get_task("planning").samples(Options(arguments={"spilt": "train"}))
    with pytest.raises(EvalError, match="heldout-entities"):
        get_task("planning").samples(Options(arguments={"split": "nonsense"}))
    with pytest.raises(EvalError, match="seeds 0 and 1, and none of seed 7"):
        get_task("planning").samples(Options(seed=7))
    with pytest.raises(DataMissingError, match="data-dir"):
        get_task("parallelqa").samples(Options())
    assert issubclass(EvalError, BraidError)
