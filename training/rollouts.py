"""An engine that records what it samples, so that a method's run can be learned from."""

from __future__ import annotations

from dataclasses import dataclass

from braid.engine import Budget, Completion, Context, Engine, EngineWrapper, SamplingParams


@dataclass(frozen=True)
class Segment:
    """One branch of a call of `generate`."""

    context: str
    """The text that it continues."""
    sampled: tuple[int, ...]
    """The sampled tokens, the ending one included."""


class RecordingEngine(EngineWrapper):
    """Keeps a `Segment` for each branch that was generated. Needs token ids."""

    def __init__(self, inner: Engine) -> None:
        inner.require("token_ids", "what was sampled has to be known exactly")
        super().__init__(inner)
        self.segments: list[Segment] = []

    async def generate(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> list[Completion]:
        completions = await super().generate(context, params, budget=budget)
        self.segments += [Segment(context.text, completion.token_ids or ()) for completion in completions]
        return completions
