"""Numbers in words, and how a result is said.

`digits(text)` turns the number words of a text into digits. `said(value)` writes an exact value as people do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from typing import Final

_ONES: Final = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS: Final = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES: Final = {
    "hundred": 100,
    "thousand": 1000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
}
_PARTS: Final = {
    **{"half": 2, "halves": 2, "quarter": 4, "quarters": 4},
    **{
        word + plural: number
        for number, word in enumerate(
            ("third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"), start=3
        )
        for plural in ("", "s")
    },
    **{"hundredth": 100, "hundredths": 100, "thousandth": 1000, "thousandths": 1000},
}
_SMALL: Final = {
    **{word: number for number, word in enumerate(_ONES)},
    **{word: 10 * number for number, word in enumerate(_TENS, start=2)},
}
ENGLISH: Final = frozenset({*_SMALL, *_SCALES, *_PARTS})
"""The words of English numbers."""

PLAIN: Final = re.compile(r"\d+(?:\.\d+)?")
_DECIMALS: Final = 12
_MOST_DIGITS: Final = 400


def digits(text: str) -> str:
    """`text` with its English numbers as digits. `two and a half` becomes `2.5`, `two thirds` `( 2 / 3 )`."""
    words = text.split()
    written: list[str] = []
    at = 0
    while at < len(words):
        found = _read(words, at)
        if found is None:
            written.append(words[at])
            at += 1
        else:
            value, at = found
            written.append(_written(value))
    return " ".join(written)


def _written(value: Fraction) -> str:
    decimal = terminating(value)
    return decimal if decimal is not None else f"( {value.numerator} / {value.denominator} )"


def _read(words: list[str], at: int) -> tuple[Fraction, int] | None:
    """The number that begins at `at`, and where it ends. None where there is none, and for a lone digit."""
    begin = at
    article = words[at] in ("a", "an", "the", "one") and at + 1 < len(words)
    if article and words[at] != "the" and words[at + 1] in _PARTS and words[at + 1] != "second":
        return Fraction(1, _PARTS[words[at + 1]]), at + 2
    if words[at] in ("half", "quarter", "third"):
        return Fraction(1, _PARTS[words[at]]), at + 1
    if words[at] in ("a", "an") and article and words[at + 1] in _SCALES:
        whole, at = Fraction(1), at + 1
        found = _scaled(words, at, whole)
        assert found is not None
        whole, at = found
    elif PLAIN.fullmatch(words[at]):
        found = _scaled(words, at + 1, Fraction(words[at]))
        whole, at = found if found is not None else (Fraction(words[at]), at + 1)
    elif words[at] in _SMALL or (words[at] in _SCALES and words[at] != "dozen" and at == 0):
        counted = _counted(words, at)
        if counted is None:
            return None
        whole, at = counted
    else:
        return None
    rest = words[at : at + 3]
    if rest[:2] == ["and", "a"] and len(rest) == 3 and rest[2] in _PARTS:
        return whole + Fraction(1, _PARTS[rest[2]]), at + 3
    if rest[:1] and rest[0] in _PARTS and whole.denominator == 1:
        return whole / _PARTS[rest[0]], at + 1
    if rest[:1] == ["and"] and rest[1:] and (part := _read(words, at + 1)) is not None and 0 < part[0] < 1:
        return whole + part[0], part[1]
    if rest[:1] == ["point"]:
        after = at + 1
        decimals = ""
        while after < len(words) and (_SMALL.get(words[after], 99) < 10 or words[after].isdigit()):
            decimals += str(_SMALL.get(words[after], words[after]))
            after += 1
        if decimals:
            return whole + Fraction(int(decimals), 10 ** len(decimals)), after
    if at == begin + 1 and PLAIN.fullmatch(words[begin]):
        return None  # nothing was read beside the digits
    return whole, at


def _scaled(words: list[str], at: int, value: Fraction) -> tuple[Fraction, int] | None:
    """`value` with the scale words behind it. `2 million 5` is no number."""
    begin = at
    while at < len(words) and words[at].removesuffix("s") in _SCALES:
        value *= _SCALES[words[at].removesuffix("s")]
        at += 1
    return (value, at) if at > begin else None


def _counted(words: list[str], at: int) -> tuple[Fraction, int] | None:
    """A number in words such as `two thousand and five`. Two numbers side by side are none."""
    total, part, last = 0, 0, 10**15
    begin = at
    while at < len(words):
        word = words[at]
        if word in _SMALL:
            size = _SMALL[word]
            lower = 10 if part % 100 >= 20 and size < 10 and part % 10 == 0 else 100
            if part % lower or (at > begin and size == 0):
                return None
            part += size
        elif word == "hundred" and 0 < part < 100:
            part *= 100
        elif word in _SCALES and word != "hundred" and part:
            scale = _SCALES[word]
            if scale >= last:
                return None
            total, part, last = total + part * scale, 0, scale
        elif word in ("hundred", "thousand", "million", "billion", "trillion") and at == begin:
            part = _SCALES[word]
        elif (
            word == "and"
            and at + 1 < len(words)
            and words[at - 1] in _SCALES
            and words[at - 1] != "dozen"
            and words[at + 1] in _SMALL
        ):
            pass
        else:
            break
        at += 1
    return (Fraction(total + part), at) if at > begin else None


@cache
def foreign_numbers(language: str) -> Mapping[str, int]:
    """The numbers from 0 to 100, and a few more, in the words of a language. Accents are folded."""
    return dict(_FOREIGN[language]())


def _german() -> Iterator[tuple[str, int]]:
    ones = [
        "null",
        "eins",
        "zwei",
        "drei",
        "vier",
        "funf",
        "sechs",
        "sieben",
        "acht",
        "neun",
        "zehn",
        "elf",
        "zwolf",
    ]
    ones += ["dreizehn", "vierzehn", "funfzehn", "sechzehn", "siebzehn", "achtzehn", "neunzehn"]
    tens = ["zwanzig", "dreissig", "vierzig", "funfzig", "sechzig", "siebzig", "achtzig", "neunzig"]
    for number, word in enumerate(ones):
        yield word, number
    for number, ten in enumerate(tens, start=2):
        yield ten, 10 * number
        for one in range(1, 10):
            yield f"{'ein' if one == 1 else ones[one]}und{ten}", 10 * number + one
    yield from (("hundert", 100), ("einhundert", 100), ("tausend", 1000), ("eintausend", 1000))


def _french() -> Iterator[tuple[str, int]]:
    ones = [
        "zero",
        "un",
        "deux",
        "trois",
        "quatre",
        "cinq",
        "six",
        "sept",
        "huit",
        "neuf",
        "dix",
        "onze",
        "douze",
        "treize",
        "quatorze",
        "quinze",
    ]
    ones += ["seize", "dix sept", "dix huit", "dix neuf"]
    for number, word in enumerate(ones):
        yield word, number
    for ten, word, most in (
        (20, "vingt", 10),
        (30, "trente", 10),
        (40, "quarante", 10),
        (50, "cinquante", 10),
    ):
        yield word, ten
        yield from ((f"{word} {'et un' if one == 1 else ones[one]}", ten + one) for one in range(1, most))
    yield "soixante", 60
    for one in range(1, 20):
        yield f"soixante {'et ' * (one in (1, 11))}{ones[one]}", 60 + one
    yield from (("quatre vingts", 80), ("quatre vingt", 80))
    yield from ((f"quatre vingt {ones[one]}", 80 + one) for one in range(1, 20))
    yield from (("cent", 100), ("mille", 1000))


def _spanish() -> Iterator[tuple[str, int]]:
    ones = [
        "cero",
        "uno",
        "dos",
        "tres",
        "cuatro",
        "cinco",
        "seis",
        "siete",
        "ocho",
        "nueve",
        "diez",
        "once",
        "doce",
        "trece",
        "catorce",
        "quince",
    ]
    ones += [
        "dieciseis",
        "diecisiete",
        "dieciocho",
        "diecinueve",
        "veinte",
        "veintiuno",
        "veintidos",
        "veintitres",
    ]
    ones += ["veinticuatro", "veinticinco", "veintiseis", "veintisiete", "veintiocho", "veintinueve"]
    tens = ["treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa"]
    yield from _joined(ones, tens, " y ", first=3)
    yield from (("cien", 100), ("mil", 1000))


def _portuguese() -> Iterator[tuple[str, int]]:
    ones = [
        "zero",
        "um",
        "dois",
        "tres",
        "quatro",
        "cinco",
        "seis",
        "sete",
        "oito",
        "nove",
        "dez",
        "onze",
        "doze",
        "treze",
        "catorze",
        "quinze",
    ]
    ones += ["dezesseis", "dezessete", "dezoito", "dezenove"]
    tens = ["vinte", "trinta", "quarenta", "cinquenta", "sessenta", "setenta", "oitenta", "noventa"]
    yield from _joined(ones, tens, " e ", first=2)
    yield from (("cem", 100), ("mil", 1000), ("duas", 2), ("dezasseis", 16), ("dezassete", 17))


def _italian() -> Iterator[tuple[str, int]]:
    ones = [
        "zero",
        "uno",
        "due",
        "tre",
        "quattro",
        "cinque",
        "sei",
        "sette",
        "otto",
        "nove",
        "dieci",
        "undici",
        "dodici",
        "tredici",
    ]
    ones += ["quattordici", "quindici", "sedici", "diciassette", "diciotto", "diciannove"]
    tens = ["venti", "trenta", "quaranta", "cinquanta", "sessanta", "settanta", "ottanta", "novanta"]
    yield from ((word, number) for number, word in enumerate(ones))
    for number, ten in enumerate(tens, start=2):
        yield ten, 10 * number
        for one in range(1, 10):
            yield (ten[:-1] if one in (1, 8) else ten) + ones[one], 10 * number + one
    yield from (("cento", 100), ("mille", 1000))


def _joined(ones: list[str], tens: list[str], joiner: str, *, first: int) -> Iterator[tuple[str, int]]:
    yield from ((word, number) for number, word in enumerate(ones))
    for number, ten in enumerate(tens, start=first):
        yield ten, 10 * number
        yield from ((f"{ten}{joiner}{ones[one]}", 10 * number + one) for one in range(1, 10))


_FOREIGN: Final = {
    "de": _german,
    "fr": _french,
    "es": _spanish,
    "it": _italian,
    "pt": _portuguese,
}


def terminating(value: Fraction, most: int = _DECIMALS) -> str | None:
    """`value` as an exact decimal. None where it has more than `most` decimals."""
    for places in range(most + 1):
        scaled = value * 10**places
        if scaled.denominator == 1:
            whole = abs(scaled.numerator)
            text = f"{whole // 10**places}" + (f".{whole % 10**places:0{places}d}" if places else "")
            return "-" * (value < 0) + text
    return None


def rounded(value: Fraction, significant: int = 6) -> str:
    """`value` with so many significant digits, without noughts at the end."""
    with localcontext() as context:
        context.prec = 60
        decimal = Decimal(value.numerator) / Decimal(value.denominator)
        context.prec = max(significant, len(str(abs(int(value)))) if abs(value) < 10**15 else 1)
        text = f"{+decimal:f}" if Decimal("1e-6") <= abs(decimal) < Decimal("1e15") else f"{+decimal:E}"
    if "E" in text:
        mantissa, exponent = text.split("E")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa} × 10^{int(exponent)}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def said(value: Fraction, *, approximate: bool = False, as_fraction: bool = False) -> str:
    """`value` as people say it: a decimal where it ends, else about how much it is, and the fraction."""
    exact = None if approximate else terminating(value)
    if exact is not None:
        if len(exact) > _MOST_DIGITS:
            return f"about {rounded(value)}"
        shown = grouped(exact)
        if as_fraction and value.denominator != 1:
            return f"{value.numerator}/{value.denominator} ({shown})"
        return shown
    if approximate or value.denominator > 10_000 or abs(value.numerator) > 10**7:
        return f"about {grouped(rounded(value, 8))}"
    return f"about {grouped(rounded(value))} ({value.numerator}/{value.denominator})"


def grouped(text: str) -> str:
    """A decimal with commas between thousands, from 10,000 on."""
    whole, dot, decimals = text.partition(".")
    if not whole.lstrip("-").isdigit() or len(whole.lstrip("-")) < 5:
        return text
    return f"{int(whole):,}{dot}{decimals}"


def plain_value(value: Fraction) -> int | float:
    """`value` as Python's own number."""
    if value.denominator == 1:
        return value.numerator
    try:
        return float(value)
    except OverflowError:
        return int(value)
