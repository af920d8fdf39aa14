"""A training run that is killed and goes on, held against one that is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from braid.training.trainer import Progress, Trainer


class KilledError(Exception):
    pass


def ends_as_if_not_killed(trainer: Callable[[Path], Trainer], folder: Path) -> None:
    """Kill a run of six steps in its fourth. `trainer` makes or resumes the run in a folder."""
    whole = trainer(folder / "whole")
    whole.run()

    def kill(progress: Progress, _: float) -> None:
        if progress.step == 4:
            raise KilledError

    with pytest.raises(KilledError):
        # A checkpoint after every step; the kill comes before the fourth is written.
        trainer(folder / "killed").run(on_step=kill, save_every=0.0)
    resumed = trainer(folder / "killed")
    assert resumed.progress.step == 3
    resumed.run()
    assert resumed.progress.step == whole.progress.step == 6
    assert resumed.progress.tokens == whole.progress.tokens
    theirs = whole.model.state_dict()
    for name, weight in resumed.model.state_dict().items():
        assert torch.equal(weight, theirs[name]), name
