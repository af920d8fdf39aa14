"""Questions for the common tools that stand beside the look-ups: weather, mail, translations, the time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from braid.executors.tools import ToolSpec
from braid.training.questions import invented_names as names
from braid.training.questions.program import Builder
from braid.training.questions.template import Choice

_LANGUAGES = ("French", "German", "Spanish", "Italian", "Japanese", "Latin", "Polish", "Dutch", "Greek")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "tomorrow", "today")
_COINS = ("euros", "dollars", "pounds", "yen", "francs", "rupees", "pesos", "kronor")

Service = Callable[[Choice, str], tuple[str, list[str | int | float]]]


def _place(c: Choice) -> str:
    return names.proper_name(c.rng, "city")


def _words(c: Choice) -> str:
    return " ".join(names.word(c.rng, accents=0.0) for _ in range(c.rng.randint(1, 4)))


def _get_weather(c: Choice, x: str) -> tuple[str, list[str | int | float]]:
    return c.frame(
        "[what's|what is|how is] the weather [like|] in {x}",
        "weather in {x}",
        "is it [raining|sunny|cold|hot] in {x}",
        "[tell me|check] the weather [in|for] {x}",
        x=x,
    ), [x]


def _weather(c: Choice, x: str) -> tuple[str, list[str | int | float]]:
    day = c.rng.choice(_DAYS)
    return c.frame(
        "[what's|what will be] the weather in {x} [on|] {d}",
        "weather [forecast|] for {x} [on|,] {d}",
        "will it [rain|snow] in {x} [on|] {d}",
        x=x,
        d=day,
    ), [x, day]


def _translate(c: Choice, x: str) -> tuple[str, list[str | int | float]]:
    text, language = _words(c), c.rng.choice(_LANGUAGES)
    return c.frame(
        'translate "{t}" [into|to] {l}',
        "[how do you say|what is] '{t}' in {l}",
        'say "{t}" in {l}',
        "translate {t} into {l}",
        t=text,
        l=language,
    ), [text, language]


def _convert(c: Choice, x: str) -> tuple[str, list[str | int | float]]:
    source, target = c.rng.sample(_COINS, 2)
    amount = c.rng.choice((c.rng.randint(1, 2000), round(c.rng.uniform(1, 500), 2)))
    return c.frame(
        "convert {a} {s} [to|into] {t}",
        "how [many|much] {t} [are|is|do I get for] {a} {s}",
        "what are {a} {s} in {t}",
        a=str(amount),
        s=source,
        t=target,
    ), [amount, source, target]


def _stock(c: Choice, x: str) -> tuple[str, list[str | int | float]]:
    symbol = "".join(c.rng.choice("ABCDEFGHKLMNPRSTVWX") for _ in range(c.rng.randint(2, 4)))
    return c.frame(
        "[what is|what's] the [price of a share of|share price of|stock price of] {x}",
        "how much is one {x} share",
        "[quote|price of] {x}",
        x=symbol,
    ), [symbol]


def _file(c: Choice, x: str) -> tuple[str, list[str | int | float]]:
    path = f"{names.word(c.rng, accents=0.0)}.{c.rng.choice(('txt', 'md', 'csv', 'log'))}"
    return c.frame(
        "[read|open|show me|what is in|print] [the file|] {x}", "what does [the file|] {x} say", x=path
    ), [path]


def _news(c: Choice, x: str) -> tuple[str, list[str | int | float]]:
    return c.frame(
        "[what's new|any news|what is the news] [about|on] {x}",
        "[latest|recent] [headlines|news] [on|about] {x}",
        "[show me|give me] the headlines about {x}",
        x=x,
    ), [x]


def _song(c: Choice, x: str) -> tuple[str, list[str | int | float]]:
    return c.frame("play [the song|] {x}", "[put on|I want to hear|let me hear] {x}", x=x), [x]


def _alarm(c: Choice, x: str) -> tuple[str, list[str | int | float]]:
    time = f"{c.rng.randint(0, 23)}:{c.rng.randint(0, 59):02d}"
    return c.frame("[set an alarm|wake me] [for|at] {t}", "wake me up at {t}", t=time).replace(
        "alarm at", "alarm for"
    ), [time]


def _route(c: Choice, x: str) -> tuple[str, list[str | int | float]]:
    y = _place(c)
    return c.frame(
        "how do I get from {x} to {y}",
        "[directions|the way|route] from {x} to {y}",
        "[show me|find] the way from {x} to {y}",
        x=x,
        y=y,
    ), [x, y]


def _random(c: Choice, x: str) -> tuple[str, list[str | int | float]]:
    low = c.rng.randint(0, 50)
    high = low + c.rng.randint(1, 1000)
    return c.frame(
        "[give me|pick|draw] a random number [between|from] {a} [and|to] {b}",
        "[roll|throw] a number between {a} and {b}",
        a=str(low),
        b=str(high),
    ), [low, high]


def _flight(c: Choice, x: str) -> tuple[str, list[str | int | float]]:
    y, day = _place(c), c.rng.choice(_DAYS)
    return c.frame(
        "book [a flight|me a flight] from {x} to {y} [on|for] {d}",
        "I [want|need] to fly from {x} to {y} on {d}",
        x=x,
        y=y,
        d=day,
    ), [x, y, day]


def _now(c: Choice, x: str) -> tuple[str, list[str | int | float]]:
    return c.frame(
        "what time is it [now|]",
        "[what's|what is] the [time|date] [today|now|]",
        "what day is [it|today]",
        "[today's date|current time]",
        "[tell me|do you have] the time",
    ), []


def _calendar(c: Choice, x: str) -> tuple[str, list[str | int | float]]:
    day = c.rng.choice(_DAYS)
    return c.frame(
        "[what do I have|what is planned|my appointments] [on|for] {d}",
        "[show|check] my calendar for {d}",
        "am I [free|busy] on {d}",
        d=day,
    ), [day]


_SERVICES: dict[str, Service] = {
    "the weather in a city": _get_weather,
    "weather forecast": _weather,
    "translate a text into a language": _translate,
    "convert money between currencies": _convert,
    "the price of a share": _stock,
    "read a text file": _file,
    "recent headlines": _news,
    "play a song": _song,
    "set an alarm": _alarm,
    "directions from one place to another": _route,
    "a random number": _random,
    "book a flight": _flight,
    "the current date and time": _now,
    "Tell the present date, time and weekday": _now,
    "appointments of a day": _calendar,
}


def draw_service(rng: random.Random, specs: Sequence[ToolSpec]) -> tuple[str, Builder]:
    """A question for one of the tools.

    Raises:
        LookupError: None of them is known here.
    """
    known = [
        spec
        for spec in specs
        if spec.description.rstrip(".") in _SERVICES
        and not (spec.parameters.get("required") and _SERVICES[spec.description.rstrip(".")] is _now)
    ]
    if not known:
        raise LookupError("none of the tools is a known service")
    spec = rng.choice(known)
    c = Choice(rng)
    question, arguments = _SERVICES[spec.description.rstrip(".")](c, _place(c))
    b = Builder()
    b.answer(b.call(spec.name, *arguments))
    opening = rng.choice(("", "", "", "please ", "hey, ", "can you "))
    if opening == "can you " and not question.startswith(
        (
            "translate",
            "convert",
            "play",
            "set",
            "book",
            "read",
            "open",
            "show",
            "find",
            "give",
            "pick",
            "draw",
            "check",
            "tell",
        )
    ):
        opening = ""
    text = opening + question
    ask = text.startswith(("what", "how", "is", "will", "any", "am", "can"))
    return text[:1].upper() + text[1:] + ("?" if ask and rng.random() < 0.85 else rng.choice((".", ""))), b
