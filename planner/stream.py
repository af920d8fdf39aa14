"""The plan of one round as a stream of patches."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Self

from braid.executors import GraphPatch
from braid.planner.errors import PlanningError


class PlanStream:
    """An async iterator of patches, one for each statement, while the plan is being written.

    A planner that gives up ends the stream. The patches before that stand, and `error` says why it gave up.
    Close the stream to stop the model.

    It belongs to one event loop.
    """

    def __init__(
        self, patches: AsyncGenerator[GraphPatch], *, unread: Callable[[], tuple[str, ...]] = tuple
    ) -> None:
        self._patches = patches
        self._unread = unread
        self.error: PlanningError | None = None
        """Why the planner gave up. None while it plans, and after a valid plan."""

    @property
    def unread(self) -> tuple[str, ...]:
        """The results that nothing reads, in a plan that answers."""
        return self._unread()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> GraphPatch:
        try:
            return await anext(self._patches)
        except PlanningError as error:
            self.error = error
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Stop the model. Closing twice does nothing."""
        await self._patches.aclose()
