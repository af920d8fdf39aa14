import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braid.executors.builtin.calculate import MAX_LENGTH, CalculationError, calculate
from braid.executors.tools import ToolArgumentError


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("2 + 3 * 4", 14),
        ("-2 ** 2", -4),
        ("7 // 2", 3),
        ("7 % 4", 3),
        ("6 / 2", 3.0),
        ("0.1 + 0.2", 0.3),
        ("1,642 * 2", 3284),
        ("1,234,567.5 + 0", 1234567.5),
        ("(1,642 + 358) / 1,000", 2.0),
        ("max(1,642)", 642),
        ("max((1,642), 3)", 1642),
        ("sum([1, 2, 3]) + sum(1, 2)", 9),
        ("mean(1, 2, 6)", 3.0),
        ("median([3, 1, 2])", 2),
        ("round(2.567, 1)", 2.6),
        ("round(8848.86)", 8849),
        ("floor(2.7) + ceil(2.1)", 5),
        ("sqrt(16)", 4.0),
        ("log(100, 10)", 2.0),
        ("2 ** -1", 0.5),
        ("10 − 4 × 2 ÷ 8", 9.0),
        ("+5", 5),
        ("3 < 4", True),
        ("1 < 2 < 2", False),
        ("0.1 + 0.2 == 0.3", True),
        ("8849 - 4806 > 1,642", True),
        ("1_000 + 1", 1001),
        ("+".join(["1"] * 500), 500),
    ],
)
def test_arithmetic(expression: str, expected: object) -> None:
    result = calculate(expression)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("9**9**9", "too large"),
        ("9**9**9**9", "too large"),
        ("(2 ** 4000) * (2 ** 4000)", "too large"),
        ("1e308 * 10", "too large"),
        ("2.0 ** 10000", "too large"),
        ("exp(1000)", "too large"),
        ("1e999", "too large"),
        ("1 / 0", "divides by zero"),
        ("1 % 0", "divides by zero"),
        ("0 ** -1", "divides by zero"),
        ("sqrt(-1)", "not defined"),
        ("log(0)", "not defined"),
        ("log(2, 1)", "not defined"),
        ("(-8) ** 0.5", "no real value"),
        ("2 ^ 3", "**"),
        ("20% * 5", ""),
        ("1000 + 20%", "/ 100"),
        ("x + 1", "allowed are"),
        ("True + 1", "not arithmetic"),
        ("'a' * 3", "not arithmetic"),
        ("__import__('os')", "allowed are"),
        ("(1).real", "not arithmetic"),
        ("abs.__class__(1)", "not a function"),
        ("(lambda: 1)()", "not a function"),
        ("[i for i in range(9)]", "not arithmetic"),
        ("sum(i for i in [1])", "not arithmetic"),
        ("max(*[1, 2])", "not arithmetic"),
        ("round(1.5, ndigits=1)", "without names"),
        ("round(1.5, 10 ** 9)", "whole number"),
        ("sqrt(1, 2)", "takes 1 numbers"),
        ("min()", "1 or more"),
        ("1 if 2 else 3", "not arithmetic"),
        ("1 | 2", "not arithmetic"),
        ("1 << 10 ** 9", "not arithmetic"),
        ("(1 < 2) + 1", "comparison"),
        ("1 in [1]", "not a comparison"),
        ("٣ + 1", "cannot be read"),
        ("1j", "not arithmetic"),
        ("8849 m", "cannot be read"),
        ("1 +", "cannot be read"),
        ("a := 1", "cannot be read"),
        ("1\n2", "cannot be read"),
        ("1\0", "cannot be read"),
        ("", "empty"),
        ("  ", "empty"),
        ("1" * (MAX_LENGTH + 1), "too long"),
        ("(" * 150 + "1" + ")" * 150, ""),
        ("(" * 1500 + "1" + ")" * 1500, "nested"),
        ("-" * 3999 + "1", "nested"),
        ("abs(" * 90 + "1" + ")" * 90, "nested"),
        ("[" * 1999 + "]" * 1999, "nested"),
        ("9" * 3990, "too large"),
    ],
)
def test_refuses(expression: str, says: str) -> None:
    try:
        result = calculate(expression)
    except CalculationError as error:
        assert says in str(error)
        assert len(str(error)) < 500
    else:
        assert says == "", f"{expression[:40]!r} gave {result!r}"


@given(st.text(alphabet="0123456789.,+-*/%() ()[]<=>!absminxrou^e", max_size=40))
def test_anything_gives_a_finite_number_or_a_typed_error(text: str) -> None:
    try:
        result = calculate(text)
    except CalculationError:
        return
    assert isinstance(result, int | float) and math.isfinite(result)


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_agrees_with_python(a: int, b: int) -> None:
    assert calculate(f"{a} + {b} * ({a} - {b})") == a + b * (a - b)
    assert calculate(f"{a:,} - {b:,}") == a - b


async def test_as_a_tool() -> None:
    assert await calculate.call({"expression": "2 * 21"}) == 42
    with pytest.raises(ToolArgumentError, match="expression"):
        await calculate.call({"expression": 42})
