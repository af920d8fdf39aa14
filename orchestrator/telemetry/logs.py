"""Events of runs as lines of the logger `braid.run`.

Nothing is louder than INFO, so a program that does not set up logging sees nothing. INFO has the beginning
and the end of runs and rounds, and nodes that failed, without what a question, a plan or a result says. DEBUG
has each event as JSON, without secrets, and without texts that are still being written.
"""

from __future__ import annotations

import logging
from typing import Final

from braid.engine import Event
from braid.executors import NodeFailed, ThinkText
from braid.executors.scheduler import event_json
from braid.executors.values import Secrets
from braid.orchestrator.events import (
    RoundFinished,
    RoundStarted,
    RunFailed,
    RunFinished,
    RunResumed,
    RunStarted,
)
from braid.planner import DirectText, PlannerText

_LOGGER: Final = logging.getLogger("braid.run")
logging.getLogger("braid").addHandler(logging.NullHandler())


def logs_events() -> bool:
    """Whether somebody wants a line for each event."""
    return _LOGGER.isEnabledFor(logging.DEBUG)


def log_event(run: str, event: Event, secrets: Secrets | None = None) -> None:
    """Write the lines for `event`. `secrets` are left out of them. None are those of the environment."""
    if not _LOGGER.isEnabledFor(logging.INFO):
        return
    match event:
        case RunStarted():
            _LOGGER.info("run %s started: engine %s, %d tools", run, event.engine, len(event.tools))
        case RunResumed():
            _LOGGER.info("run %s resumed: %d nodes were done", run, event.done)
        case RoundStarted():
            kind = "revision" if event.revision else "round"
            _LOGGER.info("run %s: %s %d started", run, kind, event.round + 1)
        case RoundFinished():
            ending = "answered" if event.answered else "no answer"
            _LOGGER.info("run %s: round %d finished: %s", run, event.round + 1, ending)
        case NodeFailed():
            _LOGGER.info(
                "run %s: node %s failed after %.3f s (%s)", run, event.node, event.seconds, event.failure
            )
        case RunFinished():
            _LOGGER.info(
                "run %s finished: %s after %.3f s, %d rounds", run, event.status, event.seconds, event.rounds
            )
        case RunFailed():
            _LOGGER.info("run %s failed", run)
        case PlannerText() | DirectText() | ThinkText():
            return
        case _:
            pass
    if logs_events():
        hidden = Secrets() if secrets is None else secrets
        _LOGGER.debug("run %s: %s", run, hidden.redact_json(event_json(event)))
