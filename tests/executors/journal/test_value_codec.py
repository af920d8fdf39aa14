"""Values come back from the journal as what they were."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
import uuid
from collections import Counter, OrderedDict, deque
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, PrivateAttr, SecretStr

from braid.engine import Usage
from braid.executors.journal.value_codec import LostValueError, dump_value, load_value
from braid.executors.values import ItemError
from braid.reasoning import Solution
from tests.support.recorded_runs import Fact, Point


class Colour(enum.Enum):
    RED = "red"


class City(BaseModel):
    name: str
    facts: list[Fact]
    colour: Colour = Colour.RED
    extra: dict[int, Any] = {}
    _seen: int = PrivateAttr(default=0)


class Login(BaseModel):
    user: str
    password: SecretStr


def back(value: Any) -> Any:
    return load_value(dump_value(value).text)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**63),
        2**64,
        10**5000,
        1.5,
        math.inf,
        "text",
        "half a pair \ud800 and a nul \x00",
        [1, [2, {"a": None}]],
        (1, (2,)),
        {"$": "a key that is our own"},
        {1: "a", (2, 3): "b", None: "c"},
        {1, 2},
        frozenset({"a"}),
        b"\x00\xff",
        bytearray(b"x"),
        1 + 2j,
        range(3, 9, 2),
        deque([1, 2]),
        Counter("aab"),
        OrderedDict([("b", 1), ("a", 2)]),
        decimal.Decimal("1.10"),
        datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC),
        datetime.date(2026, 1, 2),
        datetime.time(1, 2),
        datetime.timedelta(days=-1, microseconds=3),
        uuid.UUID(int=5),
        Path("a") / "b",
        Colour.RED,
        Point(1, 2),
        Fact("K2", 8611.0, Point(3, 4), ("high",)),
        City(name="Rome", facts=[Fact("Rome", 2.8e6)], extra={1: (2, 3)}),
        Solution(answer="yes", candidates=(), reason="", usage=Usage(calls=2)),
        [ItemError("gone"), Fact("a", math.pi)],
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_come_back_as_what_they_were(value: Any) -> None:
    restored = back(value)
    assert restored == value and type(restored) is type(value)
    assert dump_value(value).lost is None


def test_nan_and_private_state_come_back() -> None:
    assert math.isnan(back(math.nan))
    city = City(name="Rome", facts=[])
    city._seen = 3  # pyright: ignore[reportPrivateUsage]
    assert back(city)._seen == 3


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers())
    ),
    max_leaves=12,
)


@given(json_like)
def test_any_nesting_comes_back(value: Any) -> None:
    assert back(value) == value


def test_what_cannot_be_stored_is_text_that_says_so() -> None:
    @dataclasses.dataclass
    class Local:
        x: int

    loop: list[Any] = []
    loop.append(loop)
    for value, why in (
        (object(), "object"),
        (Local(1), "inside a function"),
        ([1, open], "no form"),
        (loop, "contains itself"),
        (SecretStr("hunter2hunter2"), "secret"),
        (Login(user="a", password=SecretStr("hunter2hunter2")), "secret"),
    ):
        stored = dump_value(value)
        assert stored.lost is not None and why in stored.lost
        assert "hunter2" not in stored.text
        with pytest.raises(LostValueError, match="could not be stored"):
            load_value(stored.text)


def test_a_type_that_changed_is_mended_by_defaults_or_refused() -> None:
    stored = json.loads(dump_value(Fact("K2", 1.0, tags=("a",))).text)
    del stored["v"]["tags"]
    assert load_value(json.dumps(stored)) == Fact("K2", 1.0)
    del stored["v"]["value"]
    with pytest.raises(LostValueError, match="gained the field 'value'"):
        load_value(json.dumps(stored))
    stored["t"] = "nowhere:Fact"
    with pytest.raises(LostValueError, match="nowhere"):
        load_value(json.dumps(stored))
