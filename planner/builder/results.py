"""Results that a plan will have, conditions over them, and Python values as expressions of the language."""

from __future__ import annotations

import itertools
import math
import re
import secrets
from collections.abc import Sequence
from typing import Any, Final, NoReturn, cast

from braid.executors.nodes import (
    AllOf,
    AnyOf,
    Compare,
    CompareOp,
    Const,
    DictOf,
    Expr,
    Field,
    ListOf,
    Not,
    Ref,
    Template,
)
from braid.planner.errors import PlanValueError
from braid.planner.language import render_expr

_MARK: Final = secrets.token_hex(8)
"""Marks results in f-strings. No text from elsewhere holds it."""
_MARKED: Final = re.compile(f"\ue000{_MARK}:(\\d+):(\\d+)\ue001")
_numbers = itertools.count(1)


class Condition:
    """A condition over results. Combine conditions with `&`, `|` and `~`."""

    def __init__(self, owner: Expressions, expr: Expr) -> None:
        self.owner = owner
        self.expr = expr

    def __and__(self, other: Condition | Result) -> Condition:
        return Condition(self.owner, AllOf((self.expr, self.owner.condition(other))))

    def __or__(self, other: Condition | Result) -> Condition:
        return Condition(self.owner, AnyOf((self.expr, self.owner.condition(other))))

    def __invert__(self) -> Condition:
        return Condition(self.owner, Not(self.expr))

    def __bool__(self) -> bool:
        raise PlanValueError(
            f"whether `{render_expr(self.expr)}` holds is known only when the plan runs; "
            "use `with plan.when(...)`, and combine conditions with & | ~"
        )

    def __repr__(self) -> str:
        return f"<condition {render_expr(self.expr)}>"


class Result:
    """A result that a plan will have. `a.value`, `a[0]` and `a["key"]` are parts of it.

    It may be an argument, stand in an f-string (`f"{a.value:.1f}"`), or be compared.
    """

    __slots__ = ("_owner", "_ref")

    def __init__(self, owner: Expressions, ref: Ref) -> None:
        self._owner = owner
        self._ref = ref

    def __getattr__(self, name: str) -> Result:
        if name.startswith("_"):
            raise AttributeError(f"{name!r}: private names of results cannot be read")
        return self[name]

    def __getitem__(self, key: str | int) -> Result:
        return Result(self._owner, Ref(self._ref.name, (*self._ref.path, key)))

    def __iter__(self) -> NoReturn:
        raise PlanValueError(
            f"the items of `{render_expr(self._ref)}` are known only when the plan runs; use `plan.map(...)`"
        )

    def __len__(self) -> NoReturn:
        raise PlanValueError(f"the length of `{render_expr(self._ref)}` is known only when the plan runs")

    def __format__(self, spec: str) -> str:
        return self._owner.mark(Field(self._ref, spec))

    def __str__(self) -> str:
        return format(self)

    def __repr__(self) -> str:
        return f"<result {render_expr(self._ref)}>"

    def __bool__(self) -> bool:
        raise PlanValueError(
            f"`{render_expr(self._ref)}` is known only when the plan runs; use `with plan.when(...)`"
        )

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Condition:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._compare("==", other)

    def __ne__(self, other: object) -> Condition:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._compare("!=", other)

    def __lt__(self, other: object) -> Condition:
        return self._compare("<", other)

    def __le__(self, other: object) -> Condition:
        return self._compare("<=", other)

    def __gt__(self, other: object) -> Condition:
        return self._compare(">", other)

    def __ge__(self, other: object) -> Condition:
        return self._compare(">=", other)

    def is_in(self, container: object) -> Condition:
        """The condition that this is one of `container`, or a part of it where that is text."""
        return self._compare("in", container)

    def __and__(self, other: Condition | Result) -> Condition:
        return Condition(self._owner, self._ref) & other

    def __or__(self, other: Condition | Result) -> Condition:
        return Condition(self._owner, self._ref) | other

    def __invert__(self) -> Condition:
        return ~Condition(self._owner, self._ref)

    def _compare(self, op: CompareOp, other: object) -> Condition:
        return Condition(self._owner, Compare(op, self._ref, self._owner.expr(other)))


class Expressions:
    """Turns the Python values of one plan into expressions."""

    def __init__(self) -> None:
        self._number = next(_numbers)
        self._fields: list[Field] = []

    def mark(self, field: Field) -> str:
        """What stands for a result inside a Python text."""
        self._fields.append(field)
        return f"\ue000{_MARK}:{self._number}:{len(self._fields) - 1}\ue001"

    def expr(self, value: Any) -> Expr:
        """A Python value as an expression of the language."""
        match value:
            case Result():
                return self._ref_of(value)
            case Condition():
                self._refuse(value, "use it in `with plan.when(...)`")
            case str():
                return self._text(value)
            case float() if not math.isfinite(value):
                self._refuse(value, "numbers of a plan are finite")
            case None | bool() | int() | float():
                return Const(value)
            case list() | tuple():
                return ListOf(tuple(self.expr(item) for item in cast("Sequence[Any]", value)))
            case dict():
                given = cast("dict[Any, Any]", value)
                items = given.items()
                if not all(isinstance(key, str) and not _MARKED.search(key) for key, _ in items):
                    self._refuse(given, "keys are plain text")
                return DictOf(tuple((key, self.expr(item)) for key, item in items))
            case _:
                self._refuse(value, "it takes text, numbers, True, False, None, lists, dicts and results")

    def _text(self, text: str) -> Const | Template:
        pieces = _MARKED.split(text)
        if len(pieces) == 1:
            return Const(text)
        parts: list[str | Field] = []
        for literal, plan, field in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=False):
            if int(plan) != self._number:
                raise PlanValueError("the text holds a result of another plan")
            parts += [literal, self._fields[int(field)]]
        return Template(tuple(part for part in (*parts, pieces[-1]) if part != ""))

    def condition(self, condition: object) -> Expr:
        """A condition as an expression."""
        if not isinstance(condition, (Condition, Result)):
            raise PlanValueError(f"a condition compares results (`a.value > 3`), got {condition!r:.80}")
        if isinstance(condition, Result):
            return self._ref_of(condition)
        self._check_own(condition.owner)
        return condition.expr

    def _ref_of(self, result: Result) -> Ref:
        # By name, since the attributes of a result are those of its value.
        self._check_own(object.__getattribute__(result, "_owner"))
        return cast("Ref", object.__getattribute__(result, "_ref"))

    def _check_own(self, owner: Expressions) -> None:
        if owner is not self:
            raise PlanValueError("a result belongs to the plan that made it; this one is of another plan")

    def _refuse(self, value: object, why: str) -> NoReturn:
        raise PlanValueError(f"a plan cannot hold {type(value).__name__} {value!r:.80}: {why}")
