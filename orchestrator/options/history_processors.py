"""History processors: functions that choose what of a conversation a model is shown."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from braid.engine import BudgetExceededError, Message
from braid.orchestrator.errors import HistoryProcessorError, InvalidHistoryError
from braid.orchestrator.history import read_history

HistoryProcessor: TypeAlias = Callable[[list[Message]], Sequence[Message] | Awaitable[Sequence[Message]]]
"""Takes the messages so far and returns those that the model is to see. It may be a coroutine function."""


async def processed(
    history: Sequence[Message], processors: Sequence[HistoryProcessor]
) -> tuple[Message, ...]:
    """`history` after each of `processors` in turn. None of them sees the messages of another run.

    Raises:
        HistoryProcessorError: One raised, or did not return messages.
        BudgetExceededError: One spent more than the run's budget allows.
    """
    for processor in processors:
        name = getattr(processor, "__name__", type(processor).__name__)
        try:
            given: Any = processor(read_history(history))
            if inspect.isawaitable(given):
                given = await given
            if given is None:
                raise InvalidHistoryError("it returned None")
            history = read_history(given)
        except BudgetExceededError:
            raise
        except Exception as error:
            raise HistoryProcessorError(name, error) from error
    return tuple(history)
