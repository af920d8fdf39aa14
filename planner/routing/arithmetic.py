"""Arithmetic in words and signs, worked out exactly.

A question is taken only where an expression explains every word of it. All numbers are fractions. A root that
has no exact value is taken to 50 digits, and its result is said to be approximate.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Final

from braid.planner.routing.numbers import ENGLISH, PLAIN, digits, plain_value, said
from braid.planner.routing.wording import respelt, tokens, translations, unwrapped

_OPERATIONS: Final = {
    "+": ("plus", "added to", "increased by"),
    "-": ("minus", "less", "take away", "reduced by", "decreased by", "without"),
    "*": ("times", "multiplied by", "multiplied with", "x", "multiply by"),
    "/": ("divided by", "over", "divide by", "split by"),
    "mod": ("mod", "modulo", "modulus"),
    "^": (
        "to the power of",
        "to the power",
        "raised to the power of",
        "raised to the",
        "raised to",
        "* *",
        "power",
    ),
    "^2": ("squared", "square", "to the second power"),
    "^3": ("cubed", "to the third power"),
    "%": ("percent", "per cent", "pct", "procent", "percentage"),
    "!": ("factorial",),
    "root 2": (
        "the square root of",
        "square root of",
        "square root",
        "sqrt of",
        "sqrt",
        "√",
        "the root of",
        "root of",
        "squareroot of",
        "square root from",
    ),
    "root 3": (
        "the cube root of",
        "cube root of",
        "cubic root of",
        "the cubic root of",
        "third root of",
        "cbrt",
    ),
    "double": ("double", "twice", "the double of", "double of", "two times"),
    "triple": ("triple", "thrice", "three times"),
    "fact": ("factorial of", "the factorial of"),
    "abs": ("the absolute value of", "absolute value of", "abs", "abs of"),
    "square": ("the square of", "square of"),
    "cube": ("the cube of", "cube of"),
    "sum": ("the sum of", "sum of", "sum", "the total of", "add up", "add together"),
    "product": ("the product of", "product of"),
    "difference": ("the difference between", "difference between", "the difference of", "difference of"),
    "quotient": ("the quotient of", "quotient of"),
    "mean": (
        "the average of",
        "average of",
        "the mean of",
        "mean of",
        "average",
        "the arithmetic mean of",
        "mean",
        "avg of",
        "avg",
        "the average between",
    ),
    "median": ("the median of", "median of", "median"),
    "max": (
        "the largest of",
        "the maximum of",
        "max of",
        "max",
        "the biggest of",
        "the greatest of",
        "the highest of",
    ),
    "min": ("the smallest of", "the minimum of", "min of", "min", "the lowest of"),
    "gcd": (
        "the greatest common divisor of",
        "the gcd of",
        "gcd of",
        "gcd",
        "greatest common divisor of",
        "the greatest common factor of",
        "greatest common factor of",
        "the highest common factor of",
    ),
    "lcm": (
        "the least common multiple of",
        "the lcm of",
        "lcm of",
        "lcm",
        "least common multiple of",
        "the lowest common multiple of",
        "the smallest common multiple of",
    ),
    "remainder": ("the remainder of", "remainder of", "the remainder when"),
    "pi": ("pi", "π"),
}
_PHRASES: Final = {
    tuple(tokens(phrase)): code
    for code, phrases in _OPERATIONS.items()
    for phrase in phrases
    if phrase != "* *"
}
_LISTS: Final = (
    "sum",
    "product",
    "difference",
    "quotient",
    "mean",
    "median",
    "max",
    "min",
    "gcd",
    "lcm",
    "remainder",
)
_PREFIXES: Final = ("root 2", "root 3", "double", "triple", "fact", "abs", "square", "cube")
_FRAME_WORDS: Final = frozenset(
    [
        "what",
        "is",
        "whats",
        "the",
        "of",
        "and",
        "percent",
        "off",
        "from",
        "add",
        "subtract",
        "multiply",
        "divide",
        "with",
        "increase",
        "decrease",
        "reduce",
        "number",
        "prime",
        "even",
        "odd",
        "divisible",
        "greater",
        "bigger",
        "larger",
        "smaller",
        "than",
        "less",
        "which",
        "does",
        "equal",
        "tip",
        "round",
        "rounded",
        "decimal",
        "places",
        "place",
        "nearest",
        "whole",
        "as",
        "fraction",
        "percentage",
        "calculate",
        "much",
        "how",
        "please",
        "result",
        "answer",
        "into",
        "tenth",
        "remainder",
        "average",
        "square",
        "root",
        "cube",
        "power",
        "price",
        "paid",
        "net",
        "times",
        "plus",
        "minus",
        "divided",
        "multiplied",
        "factorial",
    ]
)
VOCABULARY: Final = frozenset({*ENGLISH, *_FRAME_WORDS, *(word for phrase in _PHRASES for word in phrase)})
"""Words that slips of the keyboard are mended to."""

_MOST_BITS: Final = 4096
_NAMED: Final = frozenset(
    {"9/11", "24/7", "50/50", "20/20", "7/7", "7-11", "9-11", "50-50", "24-7", "80/20", "16/9", "4/4"}
)
"""Numerals with a meaning of their own."""
_DATE_LIKE: Final = re.compile(
    r"\d+[-/.]\d+[-/.]\d{2,4}|\d+\. \d+\. \d{2,4}|\d{4}-\d\d?(-\d\d?)?|\d{3,4}-\d{4}|[012]?\d:\d\d"
)
_LONE_PART: Final = re.compile(r"\( \d+ / \d+ \)")
"""A fraction in words with nothing asked of it."""
_CURRENCY: Final = {
    "$": "$", "£": "£", "€": "€", "dollars": "$", "dollar": "$", "usd": "$", "euros": "€", "euro": "€", "eur": "€",
    "pounds sterling": "£", "bucks": "$",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Worked:
    """A result: the sentence, and the value behind it."""

    answer: str
    value: int | float | str | bool | None
    declined: bool = False
    unit: str = ""
    """The unit of a number. Empty where it has none, or where the answer says it in several."""


class _NotArithmetic(Exception):
    """The words are no expression."""


class _Undefined(Exception):
    """The expression has no value. The message says why."""


def arithmetic(text: str) -> Worked | None:
    """The result of `text`. None where it is no arithmetic, or not only that."""
    bare = text.strip().rstrip("?. ").casefold()
    for lead in ("what is ", "what's ", "whats ", "what was "):
        bare = bare.removeprefix(lead)
    if bare.rstrip("! ") in _NAMED or _DATE_LIKE.fullmatch(bare):
        return None
    if not re.search(r"\d", text) and len(text.split()) < 2:
        return None
    found = _worked(["factorial", "of", bare[:-1]] if re.fullmatch(r"\d+!", bare) else tokens(text))
    if found is not None:
        return found
    for language, words in translations(text):
        if (found := _worked(words)) is not None:
            return _local(found, language)
    return None


def _worked(words: list[str]) -> Worked | None:
    words = respelt(words, VOCABULARY)
    currency = [_CURRENCY[word] for word in words if word in _CURRENCY]
    if currency:
        words = [word for word in words if word not in _CURRENCY]
    for reading in (words, unwrapped(words)):
        sentence = digits(" ".join(reading))
        try:
            found = _read(sentence, money=currency[0] if len(set(currency)) == 1 else None)
        except _Undefined as undefined:
            return Worked(answer=str(undefined), value=None, declined=False)
        except (_NotArithmetic, RecursionError):
            continue
        if found is not None and (not currency or len(set(currency)) == 1):
            return found
    return None


def _local(found: Worked, language: str) -> Worked:
    """The result as it is written in a language with decimal commas."""
    if isinstance(found.value, bool):
        yes, no = {"de": ("Ja", "Nein"), "fr": ("Oui", "Non"), "es": ("Sí", "No"), "it": ("Sì", "No")}.get(
            language, ("Sim", "Não")
        )
        return Worked(answer=yes if found.value else no, value=found.value)
    if found.value is None or isinstance(found.value, str):
        return found
    about = {"de": "etwa", "fr": "environ", "es": "aproximadamente", "it": "circa", "pt": "cerca de"}[
        language
    ]
    text = re.sub(r"(?<=\d),(?=\d{3})", "\u00a0", found.answer)
    return Worked(answer=re.sub(r"(?<=\d)\.(?=\d)", ",", text).replace("about", about), value=found.value)


# Whole questions that are no single expression. Slots are expressions, and those named raw_ are words.
_Frame = Callable[..., "Worked | None"]
_FRAMES: list[tuple[re.Pattern[str], _Frame]] = []


def _frame(*patterns: str) -> Callable[[_Frame], _Frame]:
    def add(function: _Frame) -> _Frame:
        _FRAMES.extend((re.compile(pattern), function) for pattern in patterns)
        return function

    return add


def _read(sentence: str, *, money: str | None) -> Worked | None:
    for pattern, function in _FRAMES:
        if match := pattern.fullmatch(sentence):
            try:
                slots = {
                    name: text if name.startswith("raw_") else _slot(text)
                    for name, text in match.groupdict().items()
                    if text
                }
                found = function(**slots, **({"money": money} if function in _MONEY else {}))
            except _NotArithmetic:
                continue
            if found is not None:
                return found
    value, approximate, operations, slashes = _evaluated(sentence)
    if not operations or _LONE_PART.fullmatch(sentence):
        return None
    fractions = (bool(re.search(r"\d / \d", sentence)) and slashes > 1) or (
        "/" in sentence and operations > slashes and value.denominator <= 1000
    )
    return _result(value, approximate=approximate, fraction=fractions, money=money)


def _slot(text: str) -> Fraction:
    return _evaluated(text.strip())[0]


def _result(
    value: Fraction, *, approximate: bool = False, fraction: bool = False, money: str | None = None
) -> Worked:
    answer = _money(value, money) if money else said(value, approximate=approximate, as_fraction=fraction)
    return Worked(answer=answer, value=plain_value(value))


def _money(value: Fraction, sign: str) -> str:
    cents = Decimal(round_half_up(value * 100)) / 100
    shown = f"{abs(cents):,.2f}".removesuffix(".00")
    exact = "" if Fraction(cents) == value else f" (exactly {said(value)})"
    return f"{'-' * (value < 0)}{sign}{shown}{exact}"


def round_half_up(value: Fraction) -> int:
    """`value` rounded to a whole number as people round: a half goes away from nought."""
    whole = math.floor(abs(value) + Fraction(1, 2))
    return -whole if value < 0 else whole


def _yes(value: bool, why: str) -> Worked:
    return Worked(
        answer=f"{'Yes' if value else 'No'}: {why}." if why else "Yes" if value else "No", value=value
    )


@_frame(r"(?:what |how many )?(?:% |percent )of (?P<whole>.+?) is (?P<part>.+)",
        r"(?:what |the )?(?:percentage|%) of (?P<whole>.+?) is (?P<part>.+)",
        r"(?P<part>.+) is (?:what|how many|which) (?:percent|%|percentage) of (?P<whole>.+)",
        r"(?:what |which )?(?:percent|percentage|%) is (?P<part>.+?) (?:of|out of|from) (?P<whole>.+)",
        r"(?P<part>.+) is (?:what|how many|which) (?:percent|%|percentage) from (?P<whole>.+)",
        r"(?P<part>.+?) (?:as|in) (?:a |the )?(?:percent|percentage|%) of (?P<whole>.+)",
        r"(?P<part>.+?) out of (?P<whole>.+?) (?:as|in|into) (?:a |the )?(?:percent|percentage|%)")  # fmt: skip
def _share(*, part: Fraction, whole: Fraction) -> Worked:
    if whole == 0:
        raise _Undefined("There is no percentage of zero: that would be a division by zero.")
    share = part / whole * 100
    exact = said(share)
    return Worked(
        answer=f"{exact}%" if "(" not in exact else f"{said(share, approximate=True)}%",
        value=plain_value(share),
    )


@_frame(r"(?P<part>.+) is (?P<share>[\d.]+) (?:%|percent) of (?:what|what number|which number|how much)",
        r"(?:of what number is )(?P<part>.+) (?P<share>[\d.]+) (?:%|percent)")  # fmt: skip
def _whole(*, part: Fraction, share: Fraction) -> Worked:
    if share == 0:
        raise _Undefined("No number has that as 0 percent: that would be a division by zero.")
    return _result(part / share * 100)


@_frame(r"(?:increase|raise|grow|mark up|add) (?P<base>.+?) (?:by|with) (?P<share>[\d.]+) (?:%|percent)",
        r"add (?P<share>[\d.]+) (?:%|percent) to (?P<base>.+)",
        r"(?P<base>.+?) (?:increased|raised|up) (?:by )?(?P<share>[\d.]+) (?:%|percent)",
        r"(?P<base>.+?) (?:with|plus) (?P<share>[\d.]+) (?:%|percent) (?:tax|vat|sales tax|interest|gst|service charge)",
        r"(?P<base>.+?) with (?P<share>[\d.]+) (?:%|percent) (?:added|more|on top)",
        r"(?P<share>[\d.]+) (?:%|percent) more than (?P<base>.+)")  # fmt: skip
def _raised(*, base: Fraction, share: Fraction, money: str | None) -> Worked:
    return _result(base * (1 + share / 100), money=money)


@_frame(r"(?:decrease|reduce|lower|discount|cut) (?P<base>.+?) by (?P<share>[\d.]+) (?:%|percent)",
        r"(?:take|subtract|deduct|get) (?P<share>[\d.]+) (?:%|percent) (?:off|from|off of) (?P<base>.+)",
        r"(?P<share>[\d.]+) (?:%|percent) (?:off|off of|less than) (?P<base>.+)",
        r"(?P<base>.+?) (?:with|at|after|minus|less)(?: an?)? (?P<share>[\d.]+) (?:%|percent) (?:off|discount|reduction)",
        r"(?P<base>.+?) (?:decreased|reduced|lowered|down) (?:by )?(?P<share>[\d.]+) (?:%|percent)",
        r"(?P<base>.+?) (?:(?:and|with) )?(?:there is |there's |it is |it's )?(?P<share>[\d.]+) (?:%|percent) off",
        r"(?P<share>[\d.]+) (?:%|percent) (?:off|discount)(?: on| from)? (?P<base>[\d.]+) (?:what|how much) (?:do|will|must|should|would) i (?:have to )?pay",
        r"(?:the )?(?:final |new |sale )?price (?:after|with) (?:a )?(?P<share>[\d.]+) (?:%|percent) (?:off|discount)(?: on| from| of)? (?P<base>[\d.]+)",
        r"(?:if )?(?:a|an|the|my) [a-z]+ (?:costs?|is) (?P<base>[\d.]+) (?:and|but)(?: (?:it|it's|its|is|there is|there's|i get|a))* (?P<share>[\d.]+) (?:%|percent) (?:off|discount) ?,? (?:how much (?:is it|do i pay|does it cost)|what (?:do i pay|is the price|does it cost))")  # fmt: skip
def _lowered(*, base: Fraction, share: Fraction, money: str | None) -> Worked:
    return _result(base * (1 - share / 100), money=money)


@_frame(r"(?:a |the )?(?P<share>[\d.]+) (?:%|percent) (?:tip|gratuity) (?:on|for|of) (?:a |the )?(?:bill (?:of |for )?)?(?P<base>.+?)(?: bill| meal| dinner)?",
        r"(?:a |the )?tip (?:of )?(?P<share>[\d.]+) (?:%|percent) (?:on|for|of) (?:a |the )?(?:bill (?:of )?)?(?P<base>.+?)(?: bill)?",
        r"(?:a |the )?tip (?:on|for) (?:a |the )?(?:bill (?:of )?)?(?P<base>.+?)(?: bill)? at (?P<share>[\d.]+) (?:%|percent)",
        r"tip (?P<share>[\d.]+) (?:%|percent) on (?P<base>.+)",
        r"(?:i )?(?:want to )?(?:leave|tip|give) (?P<share>[\d.]+) (?:%|percent)(?: tip)? on (?:a )?(?P<base>.+?)(?: bill)?")  # fmt: skip
def _tip(*, base: Fraction, share: Fraction, money: str | None) -> Worked:
    tip = base * share / 100
    sign = money or ""
    return Worked(
        answer=f"{_money(tip, sign)}, which makes {_money(base + tip, sign)} in all", value=plain_value(tip)
    )


@_frame(r"(?:a |the )?(?P<share>[\d.]+) (?:%|percent) (?P<raw_what>tax|vat|sales tax|interest|commission|gst|service charge) (?:on|for|of) (?P<base>.+)",
        r"(?:a |the )?(?P<share>[\d.]+) (?:%|percent) (?P<raw_what>discount) (?:on|for|of|from) (?P<base>.+)")  # fmt: skip
def _on_top(*, base: Fraction, share: Fraction, raw_what: str, money: str | None) -> Worked:
    part, sign = base * share / 100, money or ""
    rest = base - part if raw_what == "discount" else base + part
    return Worked(
        answer=f"{_money(part, sign)}, which makes {_money(rest, sign)} {'to pay' if raw_what == 'discount' else 'in all'}",
        value=plain_value(part),
    )


_TAX: Final = r"(?:vat|tax|sales tax|gst)"


@_frame(rf"(?:how much )?{_TAX} (?:of )?(?:at )?(?P<share>[\d.]+) (?:%|percent) (?:is )?(?:included|contained) in (?P<total>[\d.]+)",
        rf"(?:how much (?:is (?:the )?)?)?(?P<share>[\d.]+) (?:%|percent) {_TAX} (?:is )?(?:included|contained) in (?P<total>[\d.]+)",
        rf"how much {_TAX} is (?:included )?in (?P<total>[\d.]+) at (?P<share>[\d.]+) (?:%|percent)")  # fmt: skip
def _tax_in(*, total: Fraction, share: Fraction, money: str | None) -> Worked:
    return _result(total * share / (100 + share), money=money)


@_frame(rf"(?P<total>[\d.]+) (?:including|includes|incl|with|inclusive of) (?P<share>[\d.]+) (?:%|percent) {_TAX} ?,? (?:what is |what's |whats )?(?:the )?(?:net|price without {_TAX}|net price|price before {_TAX}|net amount)",
        rf"(?:the )?(?:net|net price|net amount) (?:of|for) (?P<total>[\d.]+) (?:including|incl|with|at) (?P<share>[\d.]+) (?:%|percent) {_TAX}",
        rf"(?P<total>[\d.]+) (?:without|before|minus|less) (?:the )?(?P<share>[\d.]+) (?:%|percent) {_TAX}")  # fmt: skip
def _net(*, total: Fraction, share: Fraction, money: str | None) -> Worked:
    return _result(total * 100 / (100 + share), money=money)


@_frame(r"(?:the )?interest (?:on|for|of) (?P<base>[\d.]+) at (?P<share>[\d.]+) (?:%|percent)(?: interest)?(?: (?:for|over|after|in) (?:1|one|a) year| (?:a|per) year)?")  # fmt: skip
def _interest(*, base: Fraction, share: Fraction, money: str | None) -> Worked:
    return _result(base * share / 100, money=money)


@_frame(r"(?:the )?(?P<raw_how>log ?10|log|log 2|ln|natural log(?:arithm)?|logarithm)(?: base (?P<base>[\d.]+))?(?: of)? \(? ?(?P<a>[\d.]+) ?\)?(?: (?:to (?:the )?base|in base|base) (?P<base2>[\d.]+))?")  # fmt: skip
def _logarithm(
    *, a: Fraction, raw_how: str, base: Fraction | None = None, base2: Fraction | None = None
) -> Worked | None:
    base = base or base2 or (Fraction(2) if raw_how == "log 2" else None)
    natural = raw_how.startswith(("ln", "natural"))
    if a <= 0 or base == 1:
        raise _Undefined("Only numbers above zero have a logarithm.")
    if (natural and base is not None) or (base is not None and base <= 0):
        return None
    value = math.log(a) if natural else math.log10(a) if base in (None, 10) else math.log(a) / math.log(base)
    exact = base is not None or not natural
    power = Fraction(10) if base is None else base
    if exact and power ** round(value) == a:
        return _result(Fraction(round(value)))
    return _result(Fraction(value).limit_denominator(10**12), approximate=True)


@_frame(r"(?:the )?(?P<raw_how>sin|sine|cos|cosine|tan|tangent)(?: of)? \(? ?(?P<a>-?[\d.]+) ?\)? ?(?P<raw_unit>degrees?|deg|°|radians?|rad)")  # fmt: skip
def _sine(*, a: Fraction, raw_how: str, raw_unit: str) -> Worked:
    angle = math.radians(a) if raw_unit[:1] in "d°" else float(a)
    if raw_how[:3] == "tan" and abs(math.cos(angle)) < 1e-12:
        raise _Undefined("That angle has no tangent.")
    value = round({"sin": math.sin, "cos": math.cos, "tan": math.tan}[raw_how[:3]](angle), 12)
    shown = Fraction(str(value + 0.0))
    return _result(shown, approximate=len(str(value)) > 8)


@_frame(r"(?:the )?sum of (?:all |the )?(?:whole |natural )?(?:numbers |integers )?(?:from )?(?P<a>\d+) (?:to|through|up to) (?P<b>\d+)",
        r"(?:add|sum)(?: up)? (?:all |the )?(?:whole |natural )?(?:numbers |integers )(?:from )?(?P<a>\d+) (?:to|through|up to) (?P<b>\d+)")  # fmt: skip
def _series(*, a: Fraction, b: Fraction) -> Worked | None:
    return _result((a + b) * (b - a + 1) / 2) if a <= b else None


@_frame(
    r"(?:how many )?years (?:are (?:there )?|lie |is |passed )?(?:between|from) (?P<a>[12]\d{3}) (?:and|to|until) (?P<b>[12]\d{3})"
)
def _years(*, a: Fraction, b: Fraction) -> Worked:
    years = abs(b - a)
    return Worked(answer=f"{said(years)} year{'s' * (years != 1)}", value=plain_value(years), unit="years")


_GO: Final = r"(?:drive|go|travel|cycle|walk|run|ride|fly|cover)"
_WAY: Final = r"(?P<way>[\d.]+) ?(?P<raw_way>km|kilometres?|kilometers?|miles?|mi)"
_HOURS: Final = r"(?P<time>[\d.]+) ?(?P<raw_time>hours?|h|hrs?|minutes?|mins?)"
_SPEED: Final = r"(?P<speed>[\d.]+) ?(?P<raw_speed>km / h|kmh|kph|km per hour|kilometers per hour|kilometres per hour|mph|miles per hour|miles an hour|km an hour)"
_WHO: Final = r"(?:(?:if )?(?:i|you|we|a car|a train|a bus|a bike|someone) )?"
_MOVES: Final = r"(?:drives?|goes?|travels?|cycles?|walks?|runs?|rides?|flies|fly|covers?|do|does)"


@_frame(rf"{_WAY} (?:at|with) {_SPEED} ?,? (?:how long(?: (?:does it take|will it take|is that|do i need))?|what time does it take)",
        rf"how long (?:does it take|will it take|do i need|would it take|does)(?: to| for)?(?: {_GO})? {_WAY} (?:at|with) {_SPEED}(?: take)?",
        rf"{_WHO}{_MOVES} {_WAY} (?:at|with) (?:a (?:steady|constant) )?{_SPEED} ?,? how long (?:does|will|do) (?:it|the trip|that|i|you) (?:take|need)")  # fmt: skip
def _duration(*, way: Fraction, raw_way: str, speed: Fraction, raw_speed: str) -> Worked | None:
    if raw_way.startswith("k") != raw_speed.startswith("k"):
        return None
    hours = _divided(way, speed)
    minutes = hours * 60
    if hours.denominator == 1:
        return Worked(
            answer=f"{said(hours)} hour{'s' * (hours != 1)}", value=plain_value(hours), unit="hours"
        )
    whole, rest = divmod(minutes, 60)
    exact = said(rest) if rest.denominator < 1000 and rest.denominator in (1, 2, 4, 5, 10) else ""
    part = f"{exact} minutes" if exact else f"about {round_half_up(rest)} minutes"
    text = f"{whole} hour{'s' * (whole != 1)} and {part}" if whole else part
    return Worked(answer=text, value=plain_value(hours), unit="hours")


@_frame(rf"how far (?:do|does|can|will|would) (?:i|you|we|it|one|a car|a train)(?: (?:get|go|travel|drive|come))? in {_HOURS} (?:at|with) {_SPEED}",
        rf"{_WHO}{_MOVES}(?: at)? {_SPEED} for {_HOURS} ?,? how far(?: (?:does|do|will|did) (?:it|i|you|we|the (?:car|train))(?: (?:go|get|travel|drive))?| is that)?")  # fmt: skip
def _distance(*, time: Fraction, raw_time: str, speed: Fraction, raw_speed: str) -> Worked:
    way = speed * (time / 60 if raw_time.startswith("m") else time)
    unit = "km" if raw_speed.startswith("k") else "miles"
    return Worked(answer=f"{said(way)} {unit}", value=plain_value(way), unit=unit)


@_frame(rf"{_WHO}{_MOVES} {_WAY} in {_HOURS} ?,? (?:what is|what's|whats|how fast is) (?:my|the|your|its|that)? ?(?:average )?(?:speed)?",
        rf"(?:the )?(?:average )?speed (?:of|for) {_WAY} in {_HOURS}")  # fmt: skip
def _speed(*, way: Fraction, raw_way: str, time: Fraction, raw_time: str) -> Worked:
    speed = _divided(way, time / 60 if raw_time.startswith("m") else time)
    unit = "km/h" if raw_way.startswith("k") else "mph"
    return Worked(answer=f"{said(speed)} {unit}", value=plain_value(speed), unit=unit)


@_frame(r"(?:the )?(?:percent|percentage|%) (?:change|increase|decrease|difference|growth) (?:from|between) (?P<before>.+?) (?:to|and) (?P<after>.+)")  # fmt: skip
def _change(*, before: Fraction, after: Fraction) -> Worked:
    if before == 0:
        raise _Undefined("There is no percentage of change from zero: that would be a division by zero.")
    change = (after - before) / abs(before) * 100
    shown = said(abs(change), approximate=said(change).find("(") >= 0)
    way = "more" if change > 0 else "less"
    return Worked(answer=f"{shown}% {way}" if change else "no change (0%)", value=plain_value(change))


@_frame(r"add (?P<a>.+?) (?:and|to|with) (?P<b>.+)")
def _add(*, a: Fraction, b: Fraction, money: str | None) -> Worked:
    return _result(a + b, money=money)


@_frame(r"(?:subtract|take|deduct) (?P<a>.+?) (?:from|away from|off) (?P<b>.+)")
def _subtract(*, a: Fraction, b: Fraction, money: str | None) -> Worked:
    return _result(b - a, money=money)


@_frame(r"multiply (?P<a>.+?) (?:by|and|with|times) (?P<b>.+)")
def _multiply(*, a: Fraction, b: Fraction, money: str | None) -> Worked:
    return _result(a * b, money=money)


@_frame(r"(?:divide|split) (?P<a>.+?) (?:by|with|into) (?P<b>.+)",
        r"(?:divide|split|share) (?P<a>[\d.]+) (?:evenly |equally )?(?:between|among|amongst|by) (?P<b>\d+) (?:people|persons|friends|kids|children|of us|ways)",
        r"(?:how often|how many times) (?:does|do|will|can) (?P<b>.+?) (?:go into|fit into|fit in|go in) (?P<a>.+)")  # fmt: skip
def _divide(*, a: Fraction, b: Fraction, money: str | None) -> Worked:
    return _result(_divided(a, b), money=money)


@_frame(r"(?:the )?remainder (?:of|when|if) (?:you divide )?(?P<a>.+?) (?:is )?(?:divided by|/|by) (?P<b>.+)",
        r"(?P<a>.+?) (?:/|divided by) (?P<b>.+?) remainder")  # fmt: skip
def _rest(*, a: Fraction, b: Fraction) -> Worked:
    return _result(_modulo(a, b))


@_frame(
    r"(?:is )?(?P<a>.+?) (?:is )?(?:a )?prime(?: number)?",
    r"is (?:the number )?(?P<a>.+?) (?:a )?prime(?: number)?",
)
def _prime(*, a: Fraction) -> Worked | None:
    if a.denominator != 1 or a >= 10**12:
        return None if a.denominator == 1 else _yes(False, "only whole numbers can be prime")
    number = a.numerator
    if number < 2:
        return _yes(False, f"{number} is not prime, the smallest prime is 2")
    divisor = _smallest_divisor(number)
    if divisor == number:
        return _yes(True, f"{number} is prime")
    return _yes(False, f"{number} = {divisor} × {number // divisor}")


@_frame(
    r"(?:the )?prime (?:factors|factorization|factorisation|decomposition) of (?P<a>.+)",
    r"factor(?:ize|ise)? (?P<a>[\d.]+)",
)
def _factors(*, a: Fraction) -> Worked | None:
    if a.denominator != 1 or not 2 <= a < 10**12:
        return None
    found: list[int] = []
    rest = a.numerator
    while rest > 1:
        found.append(_smallest_divisor(rest))
        rest //= found[-1]
    text = " × ".join(map(str, found))
    return Worked(
        answer=f"{a.numerator} is prime" if len(found) == 1 else f"{a.numerator} = {text}", value=text
    )


def _smallest_divisor(number: int) -> int:
    if number % 2 == 0:
        return 2
    return next((divisor for divisor in range(3, math.isqrt(number) + 1, 2) if number % divisor == 0), number)


@_frame(
    r"is (?:the number )?(?P<a>.+?) (?:an )?(?P<raw_kind>even|odd)(?: number)?",
    r"is (?P<a>.+?) (?:an )?(?P<raw_kind>even|odd) or (?:an )?(?:even|odd)(?: number)?",
)
def _even(*, a: Fraction, raw_kind: str) -> Worked:
    if a.denominator != 1:
        return _yes(False, "only whole numbers are even or odd")
    real = "odd" if a.numerator % 2 else "even"
    return _yes(real == raw_kind, f"{said(a)} is {real}")


@_frame(r"is (?P<a>.+?) (?:divisible|dividable|evenly divisible) by (?P<b>.+)", r"is (?P<a>.+?) a multiple of (?P<b>.+)",
        r"is (?P<b>.+?) a (?:factor|divisor) of (?P<a>.+)")  # fmt: skip
def _divisible(*, a: Fraction, b: Fraction) -> Worked:
    if b == 0:
        raise _Undefined("No: nothing can be divided by zero.")
    quotient = a / b
    return _yes(quotient.denominator == 1, f"{said(a)} divided by {said(b)} is {said(quotient)}")


@_frame(
    r"is (?P<a>.+?) (?P<raw_how>more|greater|bigger|larger|higher|less|smaller|lower) than (?P<b>.+)",
    r"is (?P<a>.+?) (?P<raw_how>>|<) (?P<b>.+)",
)
def _compared(*, a: Fraction, b: Fraction, raw_how: str) -> Worked:
    more = raw_how in ("more", "greater", "bigger", "larger", "higher", ">")
    relation = "more than" if a > b else "less than" if a < b else "equal to"
    return _yes(a > b if more else a < b, f"{said(a)} is {relation} {said(b)}")


@_frame(r"(?:what|which)(?: number)? is (?:the )?(?P<raw_how>greater|bigger|larger|higher|more|smaller|less|lower) ?[,:]? ?(?P<a>.+?) or (?P<b>.+)",
        r"(?P<raw_how>greater|bigger|larger|higher|more|smaller|less|lower) ?[,:]? ?(?P<a>.+?) or (?P<b>.+)")  # fmt: skip
def _which(*, a: Fraction, b: Fraction, raw_how: str) -> Worked:
    if a == b:
        return Worked(answer=f"Neither: both are {said(a)}", value="equal")
    wanted = (min if raw_how in ("smaller", "less", "lower") else max)(a, b)
    return _result(wanted)


@_frame(r"(?:is|does|is it true that) (?P<a>.+?) (?:=|equal|equals|equal to|make|makes|the same as|really) (?P<b>.+)",
        r"(?P<a>[^?]+?) = (?P<b>.+)")  # fmt: skip
def _equal(*, a: Fraction, b: Fraction) -> Worked:
    return _yes(a == b, f"it is {said(a)}" if a != b else "")


@_frame(r"(?:round )?(?P<a>.+?) (?:rounded )?(?:to|on) (?P<n>\d+) (?:decimal places?|decimals?|decimal digits|places|digits after the point)",
        r"round (?P<a>.+?) (?:to|on) (?P<n>\d+) (?:decimal places?|decimals?|decimal digits|places)")  # fmt: skip
def _round(*, a: Fraction, n: Fraction) -> Worked | None:
    if n > 30:
        return None
    factor = 10**n.numerator
    return _result(Fraction(round_half_up(a * factor), factor))


@_frame(r"(?:round )?(?P<a>.+?) (?:rounded )?to the (?:nearest|closest) (?P<raw_step>whole number|integer|whole|one|unit|10|ten|100|hundred|1000|thousand|tenth|hundredth|10th|100th)",
        r"round (?P<a>.+?) (?P<raw_step>up|down|off)(?: to (?:a|the next|the nearest) (?:whole number|integer))?", r"round (?P<a>[\d.]+)()?")  # fmt: skip
def _nearest_step(*, a: Fraction, raw_step: str = "whole") -> Worked:
    if raw_step in ("up", "down"):
        return _result(Fraction(math.ceil(a) if raw_step == "up" else math.floor(a)))
    sizes = {"10": 10, "ten": 10, "100": 100, "hundred": 100, "1000": 1000, "thousand": 1000}
    size = (
        Fraction(sizes.get(raw_step, 1))
        if "th" not in raw_step[-2:]
        else Fraction(1, 10 if raw_step in ("tenth", "10th") else 100)
    )
    return _result(round_half_up(a / size) * size)


@_frame(
    r"(?:convert |write |express )?(?P<a>.+?) (?:as|into|in|to) (?:a |an )?(?P<raw_form>percent|percentage|%|decimal|fraction|decimal number)"
)
def _form(*, a: Fraction, raw_form: str) -> Worked | None:
    if raw_form == "fraction":
        return Worked(
            answer=f"{a.numerator}/{a.denominator}" if a.denominator != 1 else said(a), value=plain_value(a)
        )
    if raw_form.startswith("decimal"):
        exact = said(a)
        return Worked(answer=exact if "(" not in exact else said(a, approximate=True), value=plain_value(a))
    return _share(part=a, whole=Fraction(1))


@_frame(
    r"(?:convert |write )?(?P<a>\d+) (?:in|to|as|into) (?:a )?(?P<raw_base>binary|hexadecimal|hex|octal|roman numerals?|roman)(?: number| numbers)?"
)
def _base(*, a: Fraction, raw_base: str) -> Worked | None:
    number = a.numerator
    if raw_base.startswith("roman"):
        if not 0 < number < 4000:
            return Worked(answer="Roman numerals go from 1 to 3999.", value=None)
        numerals = zip(
            (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
            ("M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"),
            strict=True,
        )
        text = ""
        for size, numeral in numerals:
            text += numeral * (number // size)
            number %= size
    else:
        text = {"b": f"{number:b}", "h": f"{number:X}", "o": f"{number:o}"}[raw_base[0]]
    return Worked(answer=text, value=text)


_MONEY: Final = (
    _raised, _lowered, _tip, _on_top, _add, _subtract, _multiply, _divide, _tax_in, _net, _interest,
)  # fmt: skip
"""Frames that are told a currency."""


def _evaluated(sentence: str) -> tuple[Fraction, bool, int, int]:
    parser = _Parser(list(_coded(sentence.split())))
    value = parser.expression()
    if parser.left():
        raise _NotArithmetic
    return value, parser.approximate, parser.operations, parser.slashes


def _coded(words: list[str]) -> Iterator[str]:
    """The words with each operation as its code."""
    at = 0
    while at < len(words):
        for size in range(min(6, len(words) - at), 0, -1):
            piece = tuple(words[at : at + size])
            if piece in _PHRASES:
                yield _PHRASES[piece]
                at += size
                break
        else:
            yield {"**": "^", "[": "(", "]": ")"}.get(words[at], words[at])
            at += 1


def _divided(a: Fraction, b: Fraction) -> Fraction:
    if b == 0:
        raise _Undefined("That has no answer: nothing can be divided by zero.")
    return a / b


def _modulo(a: Fraction, b: Fraction) -> Fraction:
    if b == 0:
        raise _Undefined("That has no answer: nothing can be divided by zero.")
    return a % b


class _Parser:
    """An expression of codes, from the loosest operation to the tightest."""

    def __init__(self, codes: list[str]) -> None:
        self._codes = codes
        self._at = 0
        self._depth = 0
        self.approximate = False
        self.operations = 0
        self.slashes = 0

    def left(self) -> bool:
        return self._at < len(self._codes)

    def _peek(self, ahead: int = 0) -> str:
        place = self._at + ahead
        return self._codes[place] if place < len(self._codes) else ""

    def _take(self, *codes: str) -> str | None:
        if self._peek() not in codes or not self.left():
            return None
        self._at += 1
        return self._codes[self._at - 1]

    def expression(self) -> Fraction:
        self._depth += 1
        if self._depth > 60:
            raise _NotArithmetic
        value = self._term()
        while self.left():
            if self._peek() == "," and self._peek(1) in ("+", "-", "*", "/"):
                # "two thirds of 912, plus 41": the comma ends what stands before it.
                self._at += 1
                if self._peek() in ("*", "/"):
                    value = self._factors(value)
                continue
            sign = self._take("+", "-")
            if sign is None:
                break
            self.operations += 1
            begin = self._at
            other = self._term()
            if self._codes[self._at - 1] == "%" and "of" not in self._codes[begin : self._at]:
                other = value * other  # "60 plus 20%" is 20% of 60 more
            value = value + other if sign == "+" else value - other
        self._depth -= 1
        return value

    def _term(self) -> Fraction:
        return self._factors(self._sign())

    def _factors(self, value: Fraction) -> Fraction:
        while True:
            if self._peek() == "of" and self._part():
                self._at += 1
                self.operations += 1
                value *= self._sign()
                continue
            operation = self._take("*", "/", "mod")
            if operation is None and self._peek() == "(" and self._at and self._codes[self._at - 1] == ")":
                operation = "*"
            if operation is None:
                return value
            self.operations += 1
            self.slashes += operation == "/"
            other = self._sign()
            if operation == "*":
                value *= other
            else:
                value = _divided(value, other) if operation == "/" else _modulo(value, other)
            self._bounded(value)

    def _part(self) -> bool:
        """Whether what stands before `of` is a share: a percentage, a fraction, or a half."""
        before = self._codes[: self._at]
        if not before:
            return False
        if before[-1] in ("%", ")"):
            return True
        return (len(before) > 2 and before[-2] == "/") or (
            PLAIN.fullmatch(before[-1]) is not None and 0 < Fraction(before[-1]) < 1
        )

    def _sign(self) -> Fraction:
        if self._take("-", "negative"):
            self._depth += 1
            if self._depth > 200:
                raise _NotArithmetic
            return -self._sign()
        if self._take("+"):
            return self._sign()
        return self._power()

    def _power(self) -> Fraction:
        base = self._suffixed(self._primary())
        if self._take("^"):
            self.operations += 1
            exponent = self._sign()
            self._take("power")
            return self._raise(base, exponent)
        if self._peek() == "root 2" and base.denominator == 1 and self._at == 1:
            raise _NotArithmetic
        return base

    def _suffixed(self, value: Fraction) -> Fraction:
        while code := self._take("^2", "^3", "%", "!"):
            self.operations += code != "%"
            if code == "%":
                value /= 100
            elif code == "!":
                value = self._factorial(value)
            else:
                value = self._raise(value, Fraction(int(code[1])))
        return value

    def _primary(self) -> Fraction:
        code = self._peek()
        if not self.left():
            raise _NotArithmetic
        self._at += 1
        if PLAIN.fullmatch(code) or re.fullmatch(r"\d+(\.\d+)?e[+-]?\d{1,3}", code):
            if len(code) > 400:
                raise _NotArithmetic
            value = Fraction(code)
            if PLAIN.fullmatch(self._peek()) and self._peek(1) == "/" and PLAIN.fullmatch(self._peek(2)):
                # A mixed number such as 3 1/2.
                part = _divided(Fraction(self._peek()), Fraction(self._peek(2)))
                if value.denominator != 1 or not 0 < part < 1:
                    raise _NotArithmetic
                self._at += 3
                return value + part
            return value
        if code == "(":
            value = self.expression()
            if not self._take(")"):
                raise _NotArithmetic
            return value
        if code == "pi":
            self.approximate = True
            return Fraction("3.14159265358979323846264338327950288419716939937510")
        self.operations += 1
        if code in _PREFIXES:
            return self._prefixed(code)
        if code in _LISTS:
            return self._over(code, self._list())
        raise _NotArithmetic

    def _prefixed(self, code: str) -> Fraction:
        self._take("of")
        value = self._sign() if code in ("double", "triple") else self._suffixed(self._operand())
        match code:
            case "double":
                return 2 * value
            case "triple":
                return 3 * value
            case "abs":
                return abs(value)
            case "square" | "cube":
                return self._raise(value, Fraction(2 if code == "square" else 3))
            case "fact":
                return self._factorial(value)
            case _:
                return self._root(value, int(code[-1]))

    def _operand(self) -> Fraction:
        if self._take("-", "negative"):
            return -self._primary()
        return self._primary()

    def _list(self) -> list[Fraction]:
        closing = self._take("(")
        values = [self.expression()]
        while self._peek() in (",", "and", "&"):
            while self._take(",", "and", "&"):
                pass
            values.append(self.expression())
        if closing and not self._take(")"):
            raise _NotArithmetic
        return values

    def _over(self, code: str, values: list[Fraction]) -> Fraction:
        if len(values) < 2:
            raise _NotArithmetic
        match code:
            case "sum":
                return sum(values, Fraction(0))
            case "product":
                return math.prod(values, start=Fraction(1))
            case "mean":
                return sum(values, Fraction(0)) / len(values)
            case "median":
                middle = sorted(values)[(len(values) - 1) // 2 : len(values) // 2 + 1]
                return sum(middle, Fraction(0)) / len(middle)
            case "max" | "min":
                return max(values) if code == "max" else min(values)
            case "gcd" | "lcm":
                if any(value.denominator != 1 for value in values):
                    raise _NotArithmetic
                return Fraction(
                    (math.gcd if code == "gcd" else math.lcm)(*(value.numerator for value in values))
                )
            case _:
                if len(values) != 2:
                    raise _NotArithmetic
                first, second = values
                if code == "difference":
                    return abs(first - second)
                return _divided(first, second) if code == "quotient" else _modulo(first, second)

    def _raise(self, base: Fraction, exponent: Fraction) -> Fraction:
        if exponent.denominator != 1:
            if base < 0:
                raise _Undefined("That has no real value: it is a root of a negative number.")
            if exponent.denominator > 12 or abs(exponent) > 1000:
                raise _NotArithmetic
            return self._root(self._raise(base, Fraction(exponent.numerator)), exponent.denominator)
        if base == 0 and exponent < 0:
            raise _Undefined("That has no answer: nothing can be divided by zero.")
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(exponent) * bits > 4 * _MOST_BITS and abs(base) not in (0, 1):
            raise _Undefined("That number is too long to write here.")
        return self._bounded(base**exponent.numerator)

    def _root(self, value: Fraction, degree: int) -> Fraction:
        if value < 0 and degree % 2 == 0:
            raise _Undefined("There is no real root of a negative number.")
        sign = -1 if value < 0 else 1
        value = abs(value)
        parts = [_whole_root(value.numerator, degree), _whole_root(value.denominator, degree)]
        if parts[0] is not None and parts[1] is not None:
            return Fraction(sign * parts[0], parts[1])
        self.approximate = True
        with localcontext() as context:
            context.prec = 50
            decimal = Decimal(value.numerator) / Decimal(value.denominator)
            return sign * Fraction(decimal.sqrt() if degree == 2 else decimal ** (Decimal(1) / degree))

    def _factorial(self, value: Fraction) -> Fraction:
        if value.denominator != 1 or value < 0:
            raise _Undefined("Only whole numbers from 0 on have a factorial.")
        if value > 1000:
            raise _Undefined("That number is too long to write here.")
        return Fraction(math.factorial(value.numerator))

    def _bounded(self, value: Fraction) -> Fraction:
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > 8 * _MOST_BITS:
            raise _Undefined("That number is too long to write here.")
        return value


def _whole_root(number: int, degree: int) -> int | None:
    root = math.isqrt(number) if degree == 2 else round(number ** (1 / degree)) if number < 2**1000 else 0
    return next((near for near in (root, root - 1, root + 1) if near >= 0 and near**degree == number), None)
