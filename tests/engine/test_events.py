"""Events register themselves, and an envelope comes back from JSON as what it was."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from braid.engine import BraidError, Envelope, Event, UnknownEventError


class Measured(Event):
    kind: Literal["test.measured"] = "test.measured"
    node: str
    seconds: float
    tags: tuple[str, ...] = ()


class Noted(Event):
    kind: Literal["test.noted"] = "test.noted"
    text: str


def test_events_are_registered_by_kind():
    assert Event.registry["test.measured"] is Measured and Event.registry["test.noted"] is Noted


@given(
    node=st.text(),
    seconds=st.floats(allow_nan=False, allow_infinity=False),
    tags=st.lists(st.text(), max_size=3),
)
def test_an_envelope_survives_the_journal(node, seconds, tags):
    event = Measured(node=node, seconds=seconds, tags=tuple(tags))
    envelope = Envelope(run="r1", seq=3, at=1.5, event=event)
    again = Envelope.model_validate_json(envelope.model_dump_json())
    assert again == envelope and type(again.event) is Measured


def test_the_fields_of_the_subclass_are_written():
    dumped = Envelope(run="r", seq=0, at=0.0, event=Noted(text="hi")).model_dump()
    assert dumped["event"] == {"kind": "test.noted", "text": "hi"}


def test_an_unknown_kind_is_named():
    with pytest.raises((UnknownEventError, ValidationError), match=r"from\.tomorrow"):
        Envelope.model_validate({"run": "r", "seq": 0, "at": 0.0, "event": {"kind": "from.tomorrow"}})
    assert issubclass(UnknownEventError, BraidError)


def test_a_kind_belongs_to_one_class():
    with pytest.raises(TypeError, match="defined twice"):

        class Impostor(Event):
            kind: Literal["test.noted"] = "test.noted"

    assert Event.registry["test.noted"] is Noted


def test_events_are_frozen_and_strict():
    with pytest.raises(ValidationError):
        Noted(text="hi").text = "changed"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Noted(text="hi", more=1)  # type: ignore[call-arg]
