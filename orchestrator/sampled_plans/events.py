"""Events of sampled plans. They are all that a resumed run needs: what was drawn is not drawn again."""

from __future__ import annotations

from typing import Literal

from braid.engine import Event
from braid.executors.nodes import Scalar

VoteDecision = Literal["answer", "doubt", "decline", "open", "none"]
"""What a vote leads to.

- `answer`: enough plans agree.
- `doubt`: the answer is given, and that few plans agree is said with it.
- `decline`: too few plans agree to give an answer.
- `open`: there was nothing to vote on, so the first plan is run as if it were the only one.
- `none`: no plan was valid.
"""


class PlansRequested(Event):
    """Several plans are about to be written side by side."""

    kind: Literal["plans.requested"] = "plans.requested"
    round: int
    samples: int


class SampleText(Event):
    """A piece of the text of one plan."""

    kind: Literal["plans.text"] = "plans.text"
    sample: int
    """Number of the plan, from 0. The first one is the plan that a run of one plan has."""
    text: str


class SampleRejected(Event):
    """A statement of one plan was refused. The plan is repaired."""

    kind: Literal["plans.rejected"] = "plans.rejected"
    sample: int
    message: str


class PlanSampled(Event):
    """One plan was written, and its pure calls were made. This is its vote."""

    kind: Literal["plans.sampled"] = "plans.sampled"
    round: int
    sample: int
    state: Literal["answered", "declined", "unfinished", "failed", "invalid"]
    """How it ended.

    `unfinished`: its answer needs something that is not done before the vote. `failed`: it came to no answer.
    `invalid`: the model wrote no valid plan. The last two have no vote.
    """
    plan: str
    same_as: int | None = None
    """The earlier plan that says the same. It was run once for both."""
    answer: tuple[Scalar, ...] = ()
    """The answer, or what stands for it, in a form that can be compared."""
    effects: tuple[str, ...] = ()
    """The calls that wait for the vote, with their arguments."""
    shown: str = ""
    """The answer for people."""
    weight: float = 1.0
    """The weight of its vote: 0 where a check rejects it."""
    objections: tuple[str, ...] = ()
    """What the checks say against it."""
    attempts: int = 1
    seconds: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    reasoning_tokens: int = 0


class PlansVoted(Event):
    """The vote. What it chose is run now."""

    kind: Literal["plans.voted"] = "plans.voted"
    round: int
    decision: VoteDecision
    samples: int
    """How many plans were written."""
    votes: int = 0
    """How many of them came to the answer that was chosen."""
    agreement: float | None = None
    """Weight of these votes, as a share of all plans. None where there was nothing to vote on."""
    sample: int = 0
    """The plan that is run."""
    plan: str = ""
    """Its text, or that of a plan that declines."""
    reason: str = ""
    """Why the answer is doubted or declined, in words."""
