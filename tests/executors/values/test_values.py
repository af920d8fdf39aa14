from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from braid.executors.nodes import (
    AllOf,
    AnyOf,
    Compare,
    Const,
    DictOf,
    Expr,
    Field,
    ListOf,
    Not,
    Ref,
    Template,
)
from braid.executors.nodes.evaluate import SKIPPED, evaluate
from braid.executors.values import (
    ExpressionError,
    ItemError,
    PathError,
    plain_data,
    preview,
    resolve_path,
    short_form,
    shown,
)


class Measure(BaseModel):
    value: float
    unit: str = "m"
    _secret: str = "hidden"

    @property
    def doubled(self) -> float:
        return self.value * 2

    def short_form(self) -> str:
        return f"{short_form(self.value)} {self.unit}"


@dataclass(frozen=True)
class Verdict:
    answer: str

    def short_form(self) -> str:
        return self.answer


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is, {x} $1", "as it is, {x} $1"),
        (None, "none"),
        (True, "yes"),
        (False, "no"),
        (7, "7"),
        (7.0, "7"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (8848.86, "8848.86"),
        (1.5e20, "1.5e+20"),
        (math.inf, "inf"),
        ([1, 2.0, "a"], "1, 2, a"),
        ((True,), "yes"),
        ({3, 1}, "1, 3"),
        ({"a": [1.0, None]}, '{"a":[1.0,null]}'),
        (Measure(value=2.50), "2.5 m"),
        (Verdict("yes"), "yes"),
        (Colour.RED, "red"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (ItemError("gone"), "failed: gone"),
    ],
)
def test_short_form(value: Any, text: str) -> None:
    assert short_form(value) == text


def test_short_form_refuses_numbers_that_python_cannot_print_and_preview_says_so() -> None:
    with pytest.raises(ExpressionError, match="too long"):
        short_form(10**20_000)
    assert "too long" in preview(10**20_000)


def test_preview_cuts() -> None:
    assert preview("x" * 500, 10) == "x" * 9 + "…"
    assert len(preview(list(range(10**6)))) == 200


def test_plain_data_is_json() -> None:
    assert plain_data({"m": Measure(value=1.5), 2: (Colour.RED, math.nan)}) == {
        "m": {"value": 1.5, "unit": "m"},
        "2": ["red", "nan"],
    }


def test_paths() -> None:
    rows = [{"name": "K2", "height": Measure(value=8611.0)}]
    assert resolve_path(rows, (0, "height", "value")) == 8611.0
    assert resolve_path(rows, (-1, "name")) == "K2"
    assert resolve_path(Measure(value=2.0), ("doubled",)) == 4.0


@pytest.mark.parametrize(
    ("value", "path", "says"),
    [
        ([1, 2], (5,), "2 items"),
        (Measure(value=1.0), ("height",), "it has value, unit, doubled"),
        (Measure(value=1.0), ("short_form",), "there is no 'short_form'"),
        (Measure(value=1.0), ("_secret",), "there is no '_secret'"),
        (Measure(value=1.0), ("__class__",), "there is no '__class__'"),
        (Measure(value=1.0), ("model_fields",), "there is no 'model_fields'"),
        ("text", ("upper",), "which is text"),
        ("text", (0,), "needs a list"),
        ({"a": 1}, ("b",), "it has a"),
        ({"a": [1]}, ("a", 3), "'a'"),
        (None, ("value",), "which is nothing"),
    ],
)
def test_paths_that_lead_nowhere_say_what_is_there(
    value: Any, path: tuple[str | int, ...], says: str
) -> None:
    with pytest.raises(PathError, match=says):
        resolve_path(value, path)


def compared(op: Any, left: Any, right: Any) -> Any:
    return evaluate(Compare(op, Ref("a"), Ref("b")), {"a": left, "b": right})


@pytest.mark.parametrize(
    ("left", "op", "right", "result"),
    [
        (Measure(value=8.0), ">", 7, True),
        (Measure(value=8.0), "==", Measure(value=8.0, unit="km"), True),
        (Verdict("yes"), "==", "yes", True),
        (Verdict("42"), ">", 41.5, True),
        (True, "==", "yes", True),
        ("1,642", ">=", 1642, True),
        ("b", "<", "c", True),
        (3, "in", [1, 2, 3.0], True),
        (Verdict("yes"), "in", ["no", "maybe"], False),
        ("ran", "in", "France", True),
        ("a", "not in", {"a": 1}, False),
        (None, "==", None, True),
        ("yes", "!=", "no", True),
    ],
)
def test_comparisons(left: Any, op: Any, right: Any, result: bool) -> None:
    assert compared(op, left, right) is result


@pytest.mark.parametrize(
    ("left", "op", "right"), [("tall", ">", 3), (None, "<", 1), ([1], "<", 2), (1, "in", 5)]
)
def test_comparisons_that_make_no_sense_say_so(left: Any, op: Any, right: Any) -> None:
    with pytest.raises(ExpressionError):
        compared(op, left, right)


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (True, True),
        ("no", False),
        ("No.", False),
        ("", False),
        ("anything", True),
        (Verdict("yes"), True),
        (Verdict("no"), False),
        (0, False),
        ([], False),
        (Measure(value=0.0), False),
    ],
)
def test_truth(value: Any, holds: bool) -> None:
    assert evaluate(Not(Ref("a")), {"a": value}) is not holds
    assert evaluate(AllOf((Ref("a"), Const(True))), {"a": value}) is holds
    assert evaluate(AnyOf((Ref("a"), Const(False))), {"a": value}) is holds


def test_templates_take_format_specifications_of_numbers_and_facts() -> None:
    template = Template(("h=", Field(Ref("m"), ".1f"), ", ", Field(Ref("m")), ", ", Field(Ref("n"), ",")))
    assert evaluate(template, {"m": Measure(value=2.25), "n": 12345}) == "h=2.2, 2.25 m, 12,345"
    with pytest.raises(ExpressionError, match=r"format '\.1f' does not fit"):
        evaluate(Template((Field(Ref("t"), ".1f"),)), {"t": "tall"})


def test_skipped_names_are_dropped_from_lists_and_skip_everything_else() -> None:
    env = {"s": SKIPPED, "a": 1}
    assert evaluate(ListOf((Ref("s"), Ref("a"))), env) == [1]
    strict: list[Expr] = [
        Ref("s"),
        Ref("s", ("x",)),
        Template((Field(Ref("s")),)),
        DictOf((("k", Ref("s")),)),
        Compare("==", Ref("s"), Const(1)),
        Not(Ref("s")),
        AllOf((Ref("a"), Ref("s"))),
    ]
    for expr in strict:
        assert evaluate(expr, env) is SKIPPED


def test_unknown_names_are_refused() -> None:
    with pytest.raises(PathError, match="known: a"):
        evaluate(Ref("b"), {"a": 1})


@given(st.text())
def test_text_is_data(text: str) -> None:
    assert evaluate(Template(("<", Field(Ref("x")), ">")), {"x": text, "1": "no", "y": "no"}) == f"<{text}>"
    assert evaluate(Ref("x"), {"x": text}) == text
    assert evaluate(Const(text), {}) == text


class Doubtful(BaseModel):
    value: int

    def short_form(self) -> str:
        return f"{self.value} m"

    def caution(self) -> str:
        return "unverified" if self.value else ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Doubtful(value=8611), "8611 m (unverified)"),
        (Doubtful(value=0), "0 m"),
        (5, "5"),
        (Doubtful, str(Doubtful)),
    ],
)
def test_what_people_see_says_what_is_doubtful(value: Any, text: str) -> None:
    assert shown(value) == text
    assert short_form(value) == text.removesuffix(" (unverified)")
