"""Units that people ask in, how they follow from the units of facts, and how people write numbers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from braid.training.questions.templates import Attribute
from braid.training.questions.world import Thing

BASE = {
    "height": "m",
    "depth": "m",
    "length": "km",
    "area": "km2",
    "population": "people",
    "top speed": "km/h",
    "weight": "kg",
    "lifespan": "years",
    "diameter": "km",
    "elevation": "m",
    "melting point": "°C",
    "boiling point": "°C",
    "orbital period": "days",
    "wingspan": "m",
    "average depth": "m",
    "longest span": "m",
}
"""The unit of each attribute's facts, where there is but one for the kinds that people convert."""


@dataclass(frozen=True)
class Unit:
    """A unit by the words for it, and the arithmetic that turns the base unit into it."""

    words: tuple[str, ...]
    suffix: str
    convert: Callable[[float], float]
    prefix: str = ""


def _times(words: str, factor: str) -> Unit:
    return Unit(tuple(words.split("|")), f" * {factor}", lambda v: v * float(factor))


def _over(words: str, factor: str) -> Unit:
    return Unit(tuple(words.split("|")), f" / {factor}", lambda v: v / float(factor))


SAME: dict[str, tuple[str, ...]] = {
    "m": ("m", "metres", "meters", "m"),
    "km": ("km", "kilometres", "kilometers", "km"),
    "km2": ("km2", "square kilometres", "square kilometers", "square km", "sq km", "km²"),
    "people": ("people", "inhabitants", "residents", "people"),
    "km/h": ("km/h", "kilometres per hour", "kilometers per hour", "kph"),
    "kg": ("kg", "kilograms", "kilos"),
    "years": ("years",),
    "°C": ("°C", "degrees Celsius", "degrees"),
    "days": ("days",),
}
"""Words for the base units themselves."""


def unit_words(rng: random.Random, unit: str) -> str:
    """A word for a unit that facts come in, with a space before it. Nothing where people use none."""
    return f" {rng.choice(SAME[unit])}" if unit in SAME else ""


OTHER: dict[str, tuple[Unit, ...]] = {
    "m": (
        _times("feet|feet|feet|ft|foot", "3.28084"),
        _over("km|kilometres|kilometers", "1000"),
        _over("miles", "1609.344"),
        _times("yards", "1.09361"),
        _times("cm|centimetres|centimeters", "100"),
    ),
    "km": (_times("miles|miles|mi", "0.621371"), _times("m|metres|meters", "1000")),
    "km2": (
        _times("square miles|sq mi|square miles", "0.386102"),
        _times("hectares", "100"),
        _times("acres", "247.105"),
    ),
    "people": (_over("million people|millions of people|million inhabitants", "1e6"),),
    "km/h": (
        _times("mph|miles per hour|mph", "0.621371"),
        _over("m/s|metres per second|meters per second", "3.6"),
    ),
    "kg": (
        _times("pounds|pounds|lbs", "2.20462"),
        _over("tonnes|tons|metric tons", "1000"),
        _times("grams", "1000"),
    ),
    "years": (_times("months", "12"), _times("days", "365.25")),
    "°C": (
        Unit(("°F", "Fahrenheit", "degrees Fahrenheit"), " * 9 / 5 + 32", lambda v: v * 9 / 5 + 32),
        Unit(("kelvin", "K", "kelvins"), " + 273.15", lambda v: v + 273.15),
    ),
    "days": (_over("years", "365.25"), _times("hours", "24"), _over("weeks", "7")),
}


def base_unit(attribute: Attribute, thing: Thing) -> str:
    """The unit of the attribute's facts.

    Raises:
        LookupError: The thing's fact comes in another one.
    """
    base = BASE.get(attribute.noun)
    if base is None or thing.unit(attribute) != base:
        raise LookupError(f"{attribute.noun} of {thing.name} has no base unit")
    return base


_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}
_SCALES = ((1e9, "billion", "e9"), (1e6, "million", "e6"), (1e3, "thousand", "e3"))


def number_near(rng: random.Random, value: float) -> tuple[str, str, float]:
    """A round number near `value`, never equal to it.

    Returns:
        The number as people write it, as a plan does, and itself.
    """
    if not 1e-2 <= abs(value) < 1e12:
        raise LookupError(f"nobody writes a number near {value} in digits")
    guess = value * rng.uniform(0.5, 1.6)
    for scale, word, exponent in _SCALES:
        if abs(guess) >= scale * (2 if word == "thousand" else 1) and rng.random() < (
            0.12 if word == "thousand" else 0.65
        ):
            count = guess / scale
            text = f"{round(count):d}" if count >= 10 or rng.random() < 0.5 else f"{count:.1f}"
            if float(text) == 0 or float(text) * scale == value:
                raise LookupError(f"{text} {word} does not tell {value} from less or more")
            spoken = _WORDS.get(int(float(text)), text) if "." not in text and rng.random() < 0.35 else text
            return f"{spoken} {word}", f"{text}{exponent}", float(text) * scale
    digits = max(0, len(str(int(abs(guess)))) - rng.choice((1, 2, 2)))
    text = str(int(round(guess, -digits))) if abs(guess) >= 5 else f"{guess:.1f}"
    if float(text) == value:
        raise LookupError(f"{text} does not tell {value} from less or more")
    shown = f"{int(text):,}" if "." not in text and abs(float(text)) >= 1000 and rng.random() < 0.4 else text
    return shown, text, float(text)
