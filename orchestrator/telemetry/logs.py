"""Events of runs as lines of the logger `braid.run`.

Nothing is louder than INFO, so a program that does not set up logging sees nothing. What a question, a plan
or a result says is written at DEBUG only.
"""

from __future__ import annotations

import logging
from typing import Final

from braid.engine import Event
from braid.executors import NodeFailed
from braid.orchestrator.events import (
    RoundFinished,
    RoundStarted,
    RunFailed,
    RunFinished,
    RunResumed,
    RunStarted,
)

_LOGGER: Final = logging.getLogger("braid.run")


def log_event(run: str, event: Event) -> None:
    """Write a line for `event`, if it is one of those that are logged."""
    if not _LOGGER.isEnabledFor(logging.INFO):
        return
    match event:
        case RunStarted():
            _LOGGER.info("run %s started: engine %s, %d tools", run, event.engine, len(event.tools))
            _LOGGER.debug("run %s asks: %r", run, event.question)
        case RunResumed():
            _LOGGER.info("run %s resumed: %d nodes were done", run, event.done)
        case RoundStarted():
            kind = "revision" if event.revision else "round"
            _LOGGER.info("run %s: %s %d started", run, kind, event.round + 1)
        case RoundFinished():
            ending = "answered" if event.answered else "no answer"
            _LOGGER.info("run %s: round %d finished: %s", run, event.round + 1, ending)
            _LOGGER.debug("run %s: round %d: %r", run, event.round + 1, event.why)
        case NodeFailed():
            _LOGGER.info(
                "run %s: node %s failed after %.3f s (%s)", run, event.node, event.seconds, event.failure
            )
            _LOGGER.debug("run %s: node %s: %r", run, event.node, event.error)
        case RunFinished():
            _LOGGER.info(
                "run %s finished: %s after %.3f s, %d rounds", run, event.status, event.seconds, event.rounds
            )
            _LOGGER.debug("run %s answers: %r; %r", run, event.answer, event.reason)
        case RunFailed():
            _LOGGER.info("run %s failed", run)
            _LOGGER.debug("run %s: %r", run, event.error)
        case _:
            pass
