"""Events that a run emits. Defining an event's class registers it."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict, SerializeAsAny, field_validator

from braid.engine.errors import BraidError


class UnknownEventError(BraidError, ValueError):
    """An event of a kind that no installed room defines, such as one from a newer Braid's journal."""


class Event(BaseModel):
    """Base of all events.

    A subclass sets `kind` to a literal, such as `kind: Literal["node.started"] = "node.started"`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    registry: ClassVar[dict[str, type[Event]]] = {}
    kind: Any  # a str: each subclass narrows it to a literal, which a field of type str would not allow

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        kind = cls.model_fields["kind"].default
        if isinstance(kind, str):
            known = Event.registry.setdefault(kind, cls)
            if known.__qualname__ != cls.__qualname__ or known.__module__ != cls.__module__:
                raise TypeError(f"event kind {kind!r} is defined twice: {known!r} and {cls!r}")


class Envelope(BaseModel):
    """An event with its place in its run."""

    model_config = ConfigDict(frozen=True)
    run: str
    """Id of the run."""
    seq: int
    """Number of the event in its run. It counts from 0 without gaps."""
    at: float
    """Time in seconds since the epoch."""
    event: SerializeAsAny[Event]

    @field_validator("event", mode="before")
    @classmethod
    def _restore(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        data = cast("dict[str, Any]", value)
        known = Event.registry.get(str(data.get("kind")))
        if known is None:
            raise UnknownEventError(
                f"unknown event kind {data.get('kind')!r}; known: {sorted(Event.registry)}"
            )
        return known.model_validate(data)
