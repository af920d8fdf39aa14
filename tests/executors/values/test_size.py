"""Values that are small in memory and endless on paper: they are refused, or told in short."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from braid.engine import BraidError
from braid.executors import tool
from braid.executors.journal.value_codec import dump_value
from braid.executors.nodes import DictOf, Expr, Field, ListOf, Ref, Template
from braid.executors.nodes.evaluate import evaluate
from braid.executors.values import (
    ValueTooLargeError,
    check_size,
    own_copy,
    plain_data,
    preview,
    short_form,
)
from braid.executors.values.size import LARGEST_VALUE, size_of


class Shelf(BaseModel):
    things: Any


@dataclass(frozen=True)
class Pair:
    left: Any
    right: Any


FOLDS: dict[str, Callable[[Any], Any]] = {
    "lists": lambda value: [value] * 10,
    "tuples": lambda value: (value,) * 10,
    "dicts": lambda value: {str(i): value for i in range(10)},
    "models": lambda value: Shelf(things=[value] * 10),
    "frozen": lambda value: Pair((value,) * 5, (value,) * 5),
    "frozen sets": lambda value: frozenset((i, value) for i in range(10)),
}


def folded(kind: str, times: int) -> Any:
    value: Any = "x"
    for _ in range(times):
        value = FOLDS[kind](value)
    return value


def walk(kind: str) -> None:
    """Do with an endless value whatever a run does with values."""
    value = folded(kind, 12)
    assert 0 < len(preview(value)) <= 200
    assert len(str(plain_data(value, 1000))) < 100_000
    plain_data(value)
    with pytest.raises(ValueTooLargeError):
        short_form(value)
    assert "too large" in (dump_value(value).lost or "")
    own_copy(value)
    with pytest.raises(ValueTooLargeError):
        check_size(value, "this", result=True)


@pytest.mark.parametrize("kind", FOLDS)
def test_shared_parts_are_looked_at_once_or_not_at_all(kind: str) -> None:
    script = f"from tests.executors.values.test_size import walk; walk({kind!r})"
    subprocess.run([sys.executable, "-c", script], timeout=60, check=True)


def test_sizes() -> None:
    inner = ["ab", 1]
    assert size_of([]) == (8, 8)
    assert size_of(inner) == (26, 26)
    assert size_of([inner, inner]) == (60, 34)
    assert size_of({"k": 2.5}) == (25, 25)
    assert size_of(10**1_000_000)[0] > 800_000
    endless: list[Any] = [1]
    endless.append(endless)
    assert size_of(endless) == (16, 16)


GROWING: dict[str, Expr] = {
    "f-string": Template(tuple(Field(Ref("a", (0,))) for _ in range(16))),
    "list": ListOf(tuple(Ref("a") for _ in range(16))),
    "dict": DictOf(tuple((str(i), Ref("a")) for i in range(16))),
    "text of a list": Template((Field(Ref("a")),) * 16),
}


@pytest.mark.parametrize("form", GROWING)
def test_what_a_plan_builds_stops_growing(form: str) -> None:
    value: Any = ["x" * 1000, "y"]
    began = time.monotonic()
    with pytest.raises(ValueTooLargeError, match=r"use less|select"):
        for _ in range(8):
            value = [evaluate(GROWING[form], {"a": value}), "y"]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "grow",
    [
        lambda text: text * 16,
        lambda text: text.replace("x", "x" * 16),
        lambda text: "".join([text] * 16),
        lambda text: [text] * 16,
    ],
    ids=["repeat", "replace", "join", "map"],
)
async def test_results_of_tools_stop_growing(grow: Callable[[Any], Any]) -> None:
    @tool(inline=True)
    def more(value: Any) -> Any:
        return grow(value) if isinstance(value, str) else [grow(value[0])] * 16

    value: Any = "x" * 1000
    with pytest.raises(ValueTooLargeError, match="the result of more is too large"):
        for _ in range(8):
            value = await more.call({"value": value})


@pytest.mark.parametrize("text", ["", ", ", "ab, c"])
def test_previews_are_the_beginning_of_the_short_form(text: str) -> None:
    for value in ([text] * 3, [[text, [text]], text], {"a": [text]}, [{"a": text}] * 4, ([], text, [])):
        whole = short_form(value)
        for limit in range(1, len(whole) + 3):
            assert preview(value, limit) == (whole if len(whole) <= limit else whole[: limit - 1] + "…")


def test_the_error_says_what_to_do() -> None:
    check_size("x" * (LARGEST_VALUE - 8), "this text")
    with pytest.raises(BraidError, match=r"this text is too large.*4000001.*select what is needed"):
        check_size("x" * (LARGEST_VALUE - 7), "this text")
