"""Typed errors of the orchestrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from braid.engine import BraidError

if TYPE_CHECKING:
    from braid.orchestrator.result import RunResult


class OrchestratorError(BraidError):
    """Base of what the orchestrator raises on purpose."""


class InvalidQuestionError(OrchestratorError, ValueError):
    """The question is no text, or has nothing in it."""

    def __init__(self, given: object) -> None:
        what = "an empty text" if isinstance(given, str) else f"{type(given).__name__} {given!r:.60}"
        super().__init__(f"a question is needed as non-empty text, got {what}")


class InvalidHistoryError(OrchestratorError, ValueError):
    """`history` is not a sequence of chat messages."""


class HistoryProcessorError(OrchestratorError):
    """A history processor raised, or did not return messages. The cause has what it raised."""

    def __init__(self, processor: str, cause: Exception) -> None:
        super().__init__(f"the history processor {processor} failed: {type(cause).__name__}: {cause}")
        self.processor = processor


class NestingError(OrchestratorError, RecursionError):
    """A run was started within a run, at too deep a level."""


class OutputTypeError(OrchestratorError, ValueError):
    """The answer does not fit the `output_type` that was asked for."""

    result: RunResult[Any] | None = None
    """The run with its answer, and None as its output. None where the run had no answer yet."""

    def __init__(self, expected: object, got: object, why: str) -> None:
        name = getattr(expected, "__name__", None) or str(expected)
        super().__init__(f"the answer does not fit output_type {name}: got {got!r:.200}; {why}")
        self.expected = expected
        self.got = got


class RunningLoopError(OrchestratorError, RuntimeError):
    """`run_sync` was called where an event loop is already running."""

    def __init__(self) -> None:
        super().__init__(
            "run_sync() cannot be used inside a running event loop; use `await agent.run(...)` here"
        )


class ResumeRefusedError(OrchestratorError):
    """A run cannot be resumed: tools are missing or have changed, or there is no journal to read it from."""


class ConfigurationError(OrchestratorError, ValueError):
    """An option, a BRAID_* variable or the configuration file holds something that cannot be used."""

    wrong_usage = True
