"""Typed errors of the engine. Every error that Braid raises on purpose derives from `BraidError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from braid.engine.scope import Budget


class BraidError(Exception):
    """Base class. `except BraidError` catches what Braid raises on purpose, and no programming error."""

    wrong_usage: ClassVar[bool] = False
    """Whether the caller named or wrote something that cannot be used. A command then exits with 2."""


class EngineError(BraidError):
    """An engine could not do what it was asked."""


class EngineURIError(EngineError, ValueError):
    """The engine address given to `connect` cannot be read, or names nothing that exists."""

    wrong_usage = True


class AdapterError(EngineError, ValueError):
    """An adapter cannot be read or used, or does not belong to the base that it was put on."""

    wrong_usage = True


class ModelFileError(EngineError, ValueError):
    """A model's file is damaged, lacks a part, or is not what it says."""


class ModelPullError(EngineError):
    """A model could not be fetched. What was there before is untouched."""


class MissingPackageError(EngineError):
    """A package that this part of Braid needs is not installed.

    `extra` is the extra of `braid-agents` that brings it.
    """

    def __init__(self, package: str, *, needed_by: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed, and {needed_by} need it; "
            f"pip install 'braid-agents[{extra}]' brings it"
        )
        self.package = package
        self.extra = extra


class CapabilityError(EngineError):
    """The backend cannot do this. Engines never degrade by themselves. Callers may."""

    def __init__(self, capability: str, engine: str, hint: str = "") -> None:
        super().__init__(f"{engine} does not support {capability!r}" + (f": {hint}" if hint else ""))
        self.capability = capability


class ContextReleasedError(EngineError):
    """A Context was used after it was released, or on an engine that does not own it."""


class ContextLengthError(EngineError, ValueError):
    """Prompt plus requested tokens exceed what the model can attend to."""


class EngineConnectionError(EngineError):
    """The server could not be reached, or hung up. Raised after the retries are used up."""


class EngineResponseError(EngineError):
    """The server answered with an error that a retry does not mend, or with something unreadable.

    `status` is its HTTP status, `retry_after` the seconds that it asks to wait. Each is None where it said
    none.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class InvalidParamsError(EngineError, ValueError):
    """Sampling parameters or a prompt are out of range or of the wrong type.

    `param` is the name of the sampling parameter, where it is known.
    """

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class BudgetExceededError(BraidError):
    """A hard limit was hit.

    It says which limit of which scope, and by how much. `budget` is the scope itself.
    """

    def __init__(
        self,
        *,
        limit: str,
        scope: str,
        allowed: float,
        spent: float,
        asked: float,
        budget: Budget | None = None,
    ) -> None:
        super().__init__(
            f"budget {scope!r}: {limit} limit {allowed:g} reached "
            f"({spent:g} spent or reserved, {asked:g} more asked)"
        )
        self.limit = limit
        self.scope = scope
        self.allowed = allowed
        self.spent = spent
        self.asked = asked
        self.budget = budget
