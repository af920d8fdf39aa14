"""A cache of greedy completions by their context.

A curve over thread budgets runs the same threads again and again.
"""

from __future__ import annotations

from dataclasses import replace

from braid.engine import Budget, Completion, Context, Engine, EngineWrapper, SamplingParams


class GreedyCache(EngineWrapper):
    """Computes each greedy completion once. Later calls get the same completion and usage.

    A cached completion counts as if it had been computed, so accounts stay those of separate runs.
    """

    def __init__(self, inner: Engine) -> None:
        super().__init__(inner)
        self._known: dict[tuple[str, str, SamplingParams], tuple[Completion, str]] = {}

    async def generate(
        self, context: Context, params: SamplingParams, *, budget: Budget | None = None
    ) -> list[Completion]:
        if params.temperature > 0 or params.n > 1:
            return await super().generate(context, params, budget=budget)
        key = (self.info.uri, context.text, replace(params, seed=None))
        if key in self._known:
            completion, text = self._known[key]
            return [replace(completion, context=await self.prefill(text, budget=budget))]
        (completion,) = await super().generate(context, params, budget=budget)
        self._known[key] = (completion, completion.context.text)
        return [completion]
