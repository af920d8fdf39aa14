"""Follow-ups: a question that leans on earlier ones becomes a question that stands by itself.

`rewrite` works on the typed turns of the conversation, without a model. It explains every word of the
follow-up or leaves it. Where the words lean on something that cannot be told, it says so (`Unresolved`),
since a guess would be answered with confidence. A question that stands by itself is left alone.

    How high is K2?
    And Mont Blanc?              -> What is the height of Mont Blanc?
    Which of the two is higher?  -> Which has the greater height, K2 or Mont Blanc?
    and in feet?                 -> 8611 m in feet

A rewritten question comes with its plan, since the shape of the last plan says what is wanted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from braid.executors.values import short_form
from braid.planner.follow_up.turns import LookUp, Turn
from braid.planner.follow_up.wordings import WORDINGS, compiled, groups_of
from braid.planner.follow_up.words import (
    ATTRIBUTES,
    COMPARATIVES,
    COUNTED_IN_THINGS,
    KINDS,
    MISSPELLED,
    NEVER_NAMES,
    NUMBERS,
    ORDINALS,
    PARTS,
    PERIODS,
    POSITIVES,
    SUPERLATIVES,
    THING_NOUNS,
    THINGS,
    UNITS,
    UNITS_OF,
    YEARS,
    Comparative,
    Unit,
)


@dataclass(frozen=True, kw_only=True)
class StandaloneQuestion:
    """The follow-up as a question that stands by itself."""

    question: str
    kind: Literal["entity", "attribute", "comparison", "value"]
    """What is new: the thing that is asked about, what is asked of it, or what is done with values."""
    reason: str
    """What the words were taken for, for a person."""
    plan: str = ""
    """Its plan. Empty where a planner must write it."""
    otherwise: str = ""
    """Why there is no answer where no look-up explains the question. Empty where a planner may try."""


@dataclass(frozen=True, kw_only=True)
class Stated:
    """The follow-up asks about the last answer itself. This is what is to be said."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Unresolved:
    """The question leans on something that cannot be told. It is to be declined."""

    reason: str
    names_nothing: bool = False
    """Whether it names nothing of its own, so that later questions are still about what was spoken of."""


MAX_FOLLOW_UP: Final = 200
"""Most characters of a follow-up. A longer question is taken to stand by itself."""

FollowUp: TypeAlias = StandaloneQuestion | Stated | Unresolved


def rewrite(question: str, turns: Sequence[Turn]) -> FollowUp | None:
    """Read a question in the light of the turns before it. None for one that stands by itself."""
    if len(question) > MAX_FOLLOW_UP or is_small_talk(question):
        return None
    question = _without_remarks(question)
    found = _read_one(question, turns)
    certain = isinstance(found, Stated) or (isinstance(found, StandaloneQuestion) and not found.otherwise)
    return found if certain else _read_two(question, turns) or found


def _read_one(question: str, turns: Sequence[Turn]) -> FollowUp | None:
    """Read one question without remarks around it."""
    words, talk = _Words.of(question), _Talk(tuple(turns))
    if not words.text:
        return None
    for read in _READERS:
        if (found := read(talk, words)) is not None:
            return found
    if not _leans(words) or _stands_by_names(words, talk):
        plainly = (words.joined and not _stands_alone(words.text)) or compiled(_LEANING["plain"]).search(words.text) is not None
        return _unresolved(words, talk) if talk.turns and plainly else None
    return _named_instead(talk, words) or _unresolved(words, talk)


def mended(question: str) -> str:
    """A question with the usual spelling of the words that ask: "wich", "ppl"."""
    words = re.split(r"(\W+)", question.replace("’", "'"))
    return "".join(MISSPELLED.get(word.lower(), word) for word in words)


def is_small_talk(question: str) -> bool:
    """Whether it only thanks, greets or agrees: it neither leans on a turn nor is one."""
    return _Words.of(question).match(WORDINGS["small_talk"]["forms"]) is not None


def _without_remarks(question: str) -> str:
    """A question without the sentences around it that ask nothing and name nothing: "That is a lot!"."""
    sentences = re.split(r"(?<=[.!?…])\s+", question.strip())
    asking = [each for each in sentences if not is_small_talk(each)]
    while len(asking) > 1 and _is_remark(asking[0]):
        asking = asking[1:]
    while len(asking) > 1 and asking[-2].endswith("?") and _is_aside(asking[-1]):
        asking = asking[:-1]
    return " ".join(asking) if asking else question


def _is_aside(sentence: str) -> bool:
    """Whether a sentence behind a question only tells something of the person: "My teacher asks that."."""
    doubts = _Words.of(sentence).match(WORDINGS["source"]["forms"]) is not None
    return _is_remark(sentence) and not doubts and _OF_ME.search(sentence) is not None


_OF_ME: Final = re.compile(r"\b(?:I|I'm|i|i'm|my|me|we|we're|our)\b", re.IGNORECASE)


def _is_remark(sentence: str) -> bool:
    plain = sentence.split()
    names = [word for word in plain[1:] if word[:1].isupper() and word.split("'")[0] != "I"]
    return not sentence.endswith("?") and not names and not any(char.isdigit() for char in sentence)


def _read_two(question: str, turns: Sequence[Turn]) -> FollowUp | None:
    """Read "And Peru? Which is bigger?": another thing, and a question about it.

    The first part can also be a guess: "I thought it was Sydney. Which of the two is bigger?".
    """
    for cut in compiled(_TWO["cut"]).finditer(question):
        first, rest = question[: cut.start() + 1].strip(), question[cut.end() :].strip()
        if not first or not rest:
            continue
        if before := _guessed(first, turns):
            second = _read_one(rest, before)
            if isinstance(second, StandaloneQuestion) and second.kind == "comparison":
                return second
        new = _read_one(f"and {first.strip(' ,?.!;')}?" if groups_of(cut) else first, turns)
        if not isinstance(new, StandaloneQuestion) or (looked := _LOOKED_UP.fullmatch(new.plan)) is None:
            continue
        query = str(json.loads(looked["query"]))
        attribute, _, name = query.partition(" of ")
        unit = next((each.unit for each in _Talk(tuple(turns)).group() if each.attribute == attribute), "")
        fact = LookUp(name=name, attribute=attribute, value=0, unit=unit, tool=looked["tool"], query=query)
        second = _read_one(rest, [*turns, Turn(question=new.question, answer="", lookups=(fact,))])
        if not isinstance(second, StandaloneQuestion) or not second.plan:
            continue
        if groups_of(cut):
            return second  # the thing comes first, and only then the question: "And Etna, how high is it?"
        plan = _ANSWERED.sub(lambda said: _also(said["said"]), second.plan)
        return replace(
            second,
            question=f"{new.question} {second.question}",
            plan=f"y = {looked['tool']}({looked['query']})\n{plan}",
        )
    return None


def _guessed(remark: str, turns: Sequence[Turn]) -> list[Turn]:
    """The turns with the last answer and a guess at it as things of their own: "I thought it was Sydney."."""
    names = re.findall(r"(?<!^)(?<!\. )\b(?!I\b)[A-Z][\w'-]*(?: [A-Z][\w'-]*)*", remark)
    last = turns[-1] if turns else None
    if remark.endswith("?") or len(names) != 1 or last is None or len(last.lookups) != 1:
        return []
    (fact,) = last.lookups
    if fact.attribute not in THINGS or not isinstance(fact.value, str) or fact.value != last.value:
        return []
    things = [fact.model_copy(update={"name": name, "query": name}) for name in (fact.value, names[0])]
    return [*turns[:-1], *(Turn(question=last.question, answer=e.name, lookups=(e,)) for e in things)]


_TWO: Final = WORDINGS["two"]
_LOOKED_UP: Final = re.compile(r'a = (?P<tool>\w+)\((?P<query>"(?:[^"\\]|\\.)*")\)\nanswer\(a\)\n')
_ANSWERED: Final = re.compile(r"(?<=answer\()(?P<said>.*)(?=\)$)", re.MULTILINE)


def _also(said: str) -> str:
    """What is said of the second question, behind the answer to the first."""
    if said.startswith('f"'):
        return f'f"{{y}}; {said[2:]}'
    return f'f"{{y}}; {said[1:]}' if said.startswith('"') else f'f"{{y}}; {{{said}}}"'


@dataclass(frozen=True)
class _Words:
    """A question without greeting, punctuation and short forms."""

    text: str
    joined: bool = False
    """Whether it began as a continuation: "and", "what about"."""
    asks: bool = False
    """Whether it ended with a question mark."""

    @classmethod
    def of(cls, question: str) -> _Words:
        text = " ".join(mended(question).split())
        asks = text.endswith("?")
        text = text.strip(" ?!.…,;:")
        for short, full in _SHORT_FORMS:
            text = re.sub(short, full, text, flags=re.IGNORECASE)
        text = compiled(f"^{_EDGES['polite']}").sub("", text)
        lead, joined = compiled(rf"(?:{'|'.join(_EDGES['lead'])})(?:,\s*|\s+|\.\s*)"), False
        while (found := lead.match(text)) and found.end() < len(text):
            joined = joined or "joins" in groups_of(found)
            text = text[found.end() :]
        joined = joined or text.lower() in ("and", "and then", "or")
        return cls(compiled(_EDGES["tail"] + "$").sub("", text).strip(" ,"), joined, asks)

    def match(self, forms: Sequence[str], before: str = "", after: str = "") -> dict[str, str] | None:
        """What the groups of the first form took that takes the whole text."""
        for form in forms:
            if (found := compiled(f"{before}(?:{form}){after}").fullmatch(self.text)) is not None:
                return groups_of(found)
        return None


_SHORT_FORMS: Final[tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]] = (
    (r"\b(what|where|who|how|that)'?s\b", r"\1 is"),
    (r"\b(it|there|when|which)'s\b", r"\1 is"),
    (r"\b(what|where|who|how)'?re\b", r"\1 are"),
    (r"\bthey're\b", "they are"),
    (r"\bdon't\b", "do not"),
    (r"\b(?:even|exactly|actually|really) (?=\w)", ""),
    (r"\bsuch an? \w+\b", "it"),
    (r"\bthan (?:us|ours|we (?:do|have)|here)\b", "than Earth"),
    (rf"\bmore ({'|'.join(POSITIVES.keys() - {'much', 'many'})})\b", lambda found: POSITIVES[found[1].lower()]),
)
_EDGES: Final = WORDINGS["edges"]


class _Talk:
    """The turns, and what words can refer to in them."""

    def __init__(self, turns: tuple[Turn, ...]) -> None:
        self.turns = turns
        self.last = turns[-1] if turns else None
        spoken: list[Turn] = []
        for turn in reversed(turns):
            if turn.lookups:
                spoken.insert(0, turn)
            elif not isinstance(turn.value, (int, float)):
                break  # it was about something that no look-up tells
        self.focus = spoken[-1] if spoken else None
        """The last turn that looked something up."""
        self._spoken = spoken

    def group(self, size: int | None = None) -> list[LookUp]:
        """What the last turns were about, a look-up for each thing, the earliest first.

        Args:
            size: How many things. None takes those of the last turn, or of the last turns about one thing.
        """
        found: dict[str, LookUp] = {}
        for turn in reversed(self._spoken):
            things = {each.name: each for each in turn.lookups}
            if found and (len(found) == size or (len(things) > 1 and len({*found, *things}) != size)):
                break
            found = {name: each for name, each in things.items() if name not in found} | found
            if len(things) > 1:
                break
        return list(found.values())

    def thing(self, word: str, attribute: str = "") -> str | None:
        """The name of what a pronoun stands for, or None where that cannot be told."""
        word = word.lower().removesuffix("'s")
        if compiled("@choice").fullmatch(word):
            return self._chosen(word)
        if self.focus is None:
            return None
        looked_up = {each.name: each for each in self.focus.lookups}
        if len(looked_up) == 1:
            (only,) = looked_up.values()
            if word in _PERSONS and self.focus.value == only.value and isinstance(only.value, str):
                return None  # it is the person that was named, of whom nothing is known
            if self._answers_with_thing(only, word, attribute):
                return str(only.value)
            return only.name
        if word in ("they", "them", "their"):
            return None
        return self._answered(looked_up.values())

    def _answers_with_thing(self, fact: LookUp, word: str, attribute: str) -> bool:
        if self.focus is not self.last or fact.value is None or self.focus is None:
            return False
        if fact.value != self.focus.value or fact.attribute not in THINGS:
            return False
        noun = word.removesuffix("'s").split()[-1]
        if noun in KINDS:
            return noun in THING_NOUNS[fact.attribute].split()
        return attribute.replace(" ", "-") in THINGS[fact.attribute].split()

    def _answered(self, things: object) -> str | None:
        """The one of several things that the last answer named."""
        said = self.focus.value if self.focus is not None else None
        assert self.focus is not None
        named = [e for e in self.focus.lookups if isinstance(said, str) and _same(said, e)]
        return named[0].name if named else None

    def _chosen(self, word: str) -> str | None:
        group = self.group(2)
        if len(group) < 2:
            return None
        compared = word.split(maxsplit=1)[1].removesuffix(" one")
        if (comparative := COMPARATIVES.get(compared)) is not None:
            alike = {each.attribute for each in group} <= {*comparative.attributes} or comparative.any_number
            values = [each.value for each in group if isinstance(each.value, (int, float))]
            one_attribute = len({(each.attribute, each.unit) for each in group}) == 1
            if not alike or not one_attribute or len({*values}) < len(group):
                return None
            best = max(values) if comparative.order == "descending" else min(values)
            return next(each.name for each in group if each.value == best)
        if "other" in word:
            if len(group) != 2:
                return None
            assert self.focus is not None
            several = len({each.name for each in self.focus.lookups}) > 1
            now = self._answered(group) if several else group[-1].name
            return next((each.name for each in group if each.name != now), None) if now else None
        place = {"first": 0, "former": 0, "second": 1, "last": -1, "latter": -1}
        return next(group[at].name for key, at in place.items() if key in word)

    @property
    def tool(self) -> str:
        """The tool of the last look-up, if it takes one text."""
        fact = self.focus.lookups[-1] if self.focus is not None else None
        return fact.tool if fact is not None and fact.query else ""

    def look_up(self, variable: str, attribute: str, name: str) -> str:
        return f"{variable} = {self.tool}({_quoted(f'{attribute} of {name}')})\n"


_PERSONS: Final = frozenset({"he", "she", "him", "her", "his", "who"})


def _same(name: str, fact: LookUp) -> bool:
    return name.casefold() in (fact.name.casefold(), fact.asked.casefold())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _shown(value: float | str, unit: str = "") -> str:
    return f"{short_form(value)} {unit}".rstrip()


# What the last answer rests on.


def _read_source(talk: _Talk, words: _Words) -> FollowUp | None:
    if words.match(WORDINGS["source"]["forms"]) is None or talk.last is None:
        return None
    turn = talk.last if talk.last.lookups or talk.focus is None else talk.focus
    if not turn.lookups:
        return Stated(text=f"It was worked out from the numbers of the question: {talk.last.question}")
    parts = [
        f"{fact.attribute} of {fact.name}: {_shown(fact.value, fact.unit)}"
        + (f" (source: {fact.source})" if fact.source else f" (looked up with {fact.tool})")
        for fact in turn.lookups
        if fact.value is not None
    ]
    if not parts:
        return Stated(text="Nothing was found, so the last answer rests on no look-up.")
    return Stated(text="It rests on " + "; ".join(parts) + ".")


# Arithmetic on the last value.


def _read_arithmetic(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "double it", and "divide by 3 and then add 4"."""
    steps = [_Words.of(step) for step in re.split(r",? (?:and )?then |,? and (?=[a-z]+)", words.text)]
    found = [_operation(step) for step in steps]
    if not all(found):
        found = [_operation(words)]
    if not found[0]:
        return None
    if talk.last is None or not isinstance(talk.last.value, (int, float)):
        return _unresolved(words, talk, "the last answer is no number to calculate with")
    value, unit = short_form(talk.last.value), talk.last.unit
    expression = f"({value})" if talk.last.value < 0 else value
    shown = f"{expression} {unit}".rstrip()
    for at, (formula, amounts) in enumerate(each for each in found if each):
        if at:
            expression, shown = f"({expression})", f"({shown})"
        if "**" in formula or "sqrt" in formula or formula == "{n} / {v}":
            unit = ""
        expression, shown = (formula.format(v=each, **amounts) for each in (expression, shown))
    said = f'answer(f"{{a}} {unit}")' if unit else "answer(a)"
    return StandaloneQuestion(
        question=f"What is {shown}?",
        kind="value",
        reason=f"the last value is {_shown(talk.last.value, talk.last.unit)}",
        plan=f"a = calculate({_quoted(expression)})\n{said}\n",
    )


def _operation(words: _Words) -> tuple[str, dict[str, str]] | None:
    """The formula that the words ask for, and what stands in it beside the value."""
    for operation in WORDINGS["operations"]:
        if (found := words.match(operation["forms"], before="@what", after="@amounts")) is not None:
            number = found.get("n", "").lower()
            amount = str(NUMBERS.get(number, number.replace(",", "")))
            part = str(PARTS.get(found.get("part", "").lower(), ""))
            return operation["formula"], {"n": amount, "part": part}
    return None


def _read_conversion(talk: _Talk, words: _Words) -> FollowUp | None:
    found = words.match(WORDINGS["conversion"]["forms"])
    if found is None or talk.last is None:
        return None
    if re.search(r"\b(?:difference|sum|total)\b", words.text) and talk.last.lookups:
        return _unresolved(words, talk)  # it is still to be worked out of what was looked up
    name = found["unit"]
    target = UNITS.get(name.lower())
    if target is None:
        return None
    fits = UNITS.get(talk.last.unit.lower())
    alike = fits is not None and fits.dimension == target.dimension
    if name == words.text and not (words.joined or words.asks or alike):
        return None
    value, source = talk.last.value, UNITS.get(talk.last.unit.lower())
    if not isinstance(value, (int, float)) or source is None or source.dimension != target.dimension:
        given = _shown(talk.last.value, talk.last.unit) if talk.last.value is not None else talk.last.answer
        return _unresolved(words, talk, f"{given!r:.60} is nothing that {name} measure")
    expression = _converted(short_form(value), source, target)
    return StandaloneQuestion(
        question=f"{_shown(value, talk.last.unit)} in {name}",
        kind="value",
        reason=f"the last value is {_shown(value, talk.last.unit)}",
        plan=f'a = calculate({_quoted(expression)})\nanswer(f"{{a}} {name}")\n',
    )


def _converted(value: str, source: Unit, target: Unit) -> str:
    base = f"({value} * {source.factor!r} + {source.offset!r})"
    if source.factor == 1 and not source.offset:
        base = value
    elif not source.offset:
        base = f"{value} * {source.factor!r}"
    if target.offset:
        return f"({base} - {target.offset!r}) / {target.factor!r}"
    return base if target.factor == 1 else f"{base} / {target.factor!r}"


def _read_attribute_in(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "how high is it in feet?" and "its melting point in F": an attribute that is to be converted."""
    found = words.match(WORDINGS["attribute"]["in_unit"])
    if found is None or talk.last is None:
        return None
    target = UNITS[found["unit"].lower()]
    source = UNITS.get(talk.last.unit.lower())
    if source is not None and source.dimension == target.dimension and not found["asked"].startswith("its"):
        return None  # the last value itself can be what is meant
    asked = _read_attribute(talk, _Words(found["asked"], joined=True, asks=True))
    return _in_unit(talk, asked, found["unit"])


def _in_unit(talk: _Talk, asked: FollowUp | None, name: str) -> StandaloneQuestion | None:
    """A question for one fact, in another unit."""
    if not isinstance(asked, StandaloneQuestion) or talk.focus is None:
        return None
    attribute = asked.question.removeprefix("What is the ").partition(" of ")[0]
    fact, target = talk.focus.lookups[-1], UNITS[name.lower()]
    unit = fact.unit if fact.attribute == attribute else UNITS_OF.get(attribute, "")
    source = UNITS.get(unit.lower())
    if source is None or source.dimension != target.dimension or _LOOKED_UP.fullmatch(asked.plan) is None:
        return None
    lookup, _, _ = asked.plan.partition("\n")
    expression = _converted("{a.value}", source, target)
    return replace(
        asked,
        question=f"{asked.question.removesuffix('?')} in {name}?",
        plan=f'{lookup}\nb = calculate(f"{expression}")\nanswer(f"{{b}} {name}")\n',
    )


def _read_entity_in(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "and the Mississippi, in miles?"."""
    found = words.match(WORDINGS["another"]["in_unit"])
    if found is None or not (words.joined or compiled("@choice").fullmatch(found["asked"])):
        return None
    words = replace(words, joined=True)
    return _in_unit(talk, _read_entity(talk, replace(words, text=found["asked"])), found["unit"])


def _read_of_things(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "how many African elephants is that?" after a weight."""
    found = words.match(WORDINGS["of_things"]["forms"])
    name = _name(found["name"]) if found is not None else None
    if found is None or name is None or talk.last is None or _is_question(name) or name.lower() in KINDS:
        return None
    fact = talk.last.lookups[0] if len(talk.last.lookups) == 1 else None
    if fact is None or fact.value != talk.last.value or fact.attribute not in COUNTED_IN_THINGS:
        return _unresolved(words, talk, f"the last answer is nothing that can be counted in {name}")
    if not talk.tool:
        return _unresolved(words, talk)
    each = "{x.title} {x.value} {x.unit}"
    return StandaloneQuestion(
        question=f"How many times the {fact.attribute} of {name} is the {fact.attribute} of {fact.name}?",
        kind="comparison",
        reason=f"the last value is {_shown(talk.last.value or 0, talk.last.unit)}",
        plan=talk.look_up("a", fact.attribute, fact.name)
        + talk.look_up("b", fact.attribute, name)
        + 'if a.unit == b.unit:\n    c = calculate(f"{a.value} / {b.value}")\n'
        + f'    answer(f"{{c}} ({each.replace("x.", "a.")}, {each.replace("x.", "b.")})")\n'
        + 'else:\n    decline("the two have different units")\n',
    )


def _read_ago(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "how many years ago was that?" after a year."""
    if words.match(WORDINGS["ago"]["forms"]) is None or talk.last is None:
        return None
    year = talk.last.value
    dated = len(talk.last.lookups) == 1 and talk.last.lookups[0].attribute in _DATED
    if not isinstance(year, int) or year <= 0 or not dated or talk.last.lookups[0].value != year:
        return _unresolved(words, talk, "the last answer is no year")
    return StandaloneQuestion(
        question=f"How many years ago was the year {year}?",
        kind="value",
        reason=f"the last value is {year}",
        plan=f'a = now()\nb = calculate(f"{{a.date:.4}} - {year}")\nanswer(f"{{b}} years")\n',
    )


def _read_age(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "how old is it?", "how old was it in 2000?"."""
    found = words.match(WORDINGS["age"]["forms"])
    if found is None or not talk.turns:
        return None
    name, fact = talk.thing(found["p"]), talk.focus.lookups[-1] if talk.focus else None
    if name is None or not talk.tool or fact is None:
        return _unresolved(words, talk)
    attribute = fact.attribute if fact.attribute in _DATED else "completion year"
    year, unit = found.get("year", ""), "years"
    now = "" if year else "n = now()\n"
    of_year = year or "{n.date:.4}"
    return StandaloneQuestion(
        question=f"How many years before {year or 'now'} was the {attribute} of {name}?",
        kind="attribute",
        reason=f"about {name} still",
        plan=now
        + talk.look_up("a", attribute, name)
        + f'b = calculate(f"{of_year} - {{a.value}}")\nanswer(f"{{b}} {unit}")\n',
    )


def _read_date(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "and ten days later?" and "which weekday is that?" after a date."""
    dates = re.findall(r"\b\d{1,2} [A-Z][a-z]+ \d{4}\b", talk.last.answer) if talk.last is not None else []
    later, weekday = (words.match(WORDINGS["date"][way]) for way in ("later", "weekday"))
    if (later is None and weekday is None) or talk.last is None:
        return None
    if len({*dates}) != 1:
        return _unresolved(words, talk, "the last answer is no date") if later is not None else None
    question = f"What day of the week is {dates[0]}?"
    if later is not None:
        way = "after" if later["way"].lower() in ("later", "after") else "before"
        question = f"What date is {later['n']} {later['span']} {way} {dates[0]}?"
    return StandaloneQuestion(question=question, kind="value", reason=f"the last answer is {dates[0]}")


_DATED: Final = frozenset(
    {*YEARS.values(), *COMPARATIVES["earlier"].attributes, "construction start", "last eruption"}
)


# Another place in a ranking.


def _read_ranking(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "and the second longest?" and "and the biggest?" after a question for the longest river."""
    found = words.match(WORDINGS["ranking"]["forms"])
    if found is None or talk.last is None:
        return None
    ordinal = ORDINALS.get(found.get("ordinal", "").lower(), "")
    best, kind = found.get("comp", "").lower(), found.get("kind", "").lower()
    many = len(talk.group()) > 1
    asked = talk.last.question
    ranked = [*compiled(r"(?<!\w)(?:@place[ -])?(?P<comp>@best)(?!\w)").finditer(asked)]
    if not ordinal and many:
        return _read_comparison(talk, replace(words, text=f"which is the {best}"))
    if not best and many and compiled("@choice").fullmatch(words.text):
        return None  # "the second one" of two
    if len(ranked) != 1 or kind not in asked.lower():
        return _unresolved(words, talk) if words.joined or words.asks else None
    was = groups_of(ranked[0])["comp"].lower()
    if best and best != was:
        counted = [each in ("most", "least", "fewest") for each in (best, was)]
        related = re.search(r"\b(?:to|from)\b", asked[ranked[0].end() :])
        if counted[0] != counted[1] or related:
            return _unresolved(words, talk)
    place = f"{ordinal} {best or was}".strip()
    question = f"{asked[: ranked[0].start()]}{place}{asked[ranked[0].end() :]}"
    return StandaloneQuestion(
        question=question,
        kind="attribute",
        reason=f"another place in the ranking of {asked!r}",
        otherwise=_unresolved(words, talk, f"nothing that is known answers {question!r}").reason,
    )


# Comparisons of what the last turns were about.

_SIZES: Final = {"two": 2, "both": 2, "three": 3, "four": 4, "five": 5}


def _read_comparison(talk: _Talk, words: _Words) -> FollowUp | None:
    found, how = None, "which"
    for how, forms in WORDINGS["comparison"].items():  # noqa: B007
        if (found := words.match(forms)) is not None:
            break
    if found is None:
        return None
    word = found.get("comp", "").lower()
    word = POSITIVES.get(word, word)
    if "kind" in found and word in SUPERLATIVES:
        return None  # "which country is the largest?" means all countries
    comparative = COMPARATIVES.get(word, Comparative((), any_number=True))
    sized = next((size for key, size in _SIZES.items() if f" {key}" in f" {words.text.lower()}"), None)
    all_of_them = word in SUPERLATIVES or how in ("sum", "mean")
    if (numbers := _of_numbers(talk, words, how, sized)) is not None:
        return numbers
    group = talk.group(sized or (None if all_of_them else 2))
    if len(group) < 2 or (sized is not None and len(group) != sized) or not talk.tool:
        return _unresolved(words, talk, "there are not enough things to compare")
    if "who" in found and not any(_same(found["who"], each) for each in group):
        return None  # it names something of its own
    if how in ("difference", "ratio") and len(group) != 2:
        return _unresolved(words, talk, "there are more than two things")
    asked = ATTRIBUTES.get(found.get("attr", "").lower(), "")
    attribute = asked or _compared(talk, group, comparative, word)
    if not attribute:
        return _unresolved(words, talk, f"{words.text!r} does not say what is to be compared")
    compared = _comparison(talk, how, [each.name for each in group], attribute, comparative.order)
    if (name := found.get("unit", "")) == "":
        return compared
    source, target = UNITS.get(group[-1].unit.lower()), UNITS[name.lower()]
    if source is None or source.dimension != target.dimension or group[-1].attribute != attribute:
        return _unresolved(words, talk, f"the {attribute} is nothing that {name} measure")
    said = f'y = calculate(f"{_converted("{z}", source, target)}")\nanswer(f"{{y}} {name}")\n'
    question = f"{compared.question.removesuffix('?')} in {name}?"
    return replace(compared, question=question, plan=compared.plan.replace('answer(f"{z} {a.unit}")\n', said))


def _of_numbers(talk: _Talk, words: _Words, how: str, sized: int | None) -> StandaloneQuestion | None:
    """Read "add the two" after two turns that were calculated."""
    numbers: list[Turn] = []
    for turn in reversed(talk.turns):
        if turn.lookups or not isinstance(turn.value, (int, float)):
            break
        numbers.insert(0, turn)
    size = sized or 2
    units = {turn.unit for turn in numbers[-size:]}
    if how not in _OF_NUMBERS or len(numbers) < size or (sized is None and len(numbers) != size):
        return None
    taken = words.match(WORDINGS["comparison"][how])
    if len(units) != 1 or taken is None or taken.get("attr") or taken.get("unit"):
        return None
    values = [short_form(turn.value) for turn in numbers[-size:] if turn.value is not None]
    if any(value.startswith("-") for value in values):
        values = [f"({value})" for value in values]
    if how == "difference" and size != 2:
        return None
    (unit,) = units
    said = f'answer(f"{{a}} {unit}")' if unit else "answer(a)"
    expression = _OF_NUMBERS[how](values)
    return StandaloneQuestion(
        question=f"What is {expression}?",
        kind="value",
        reason=f"the last values are {', '.join(values)}",
        plan=f"a = calculate({_quoted(expression)})\n{said}\n",
    )


_OF_NUMBERS: Final[Mapping[str, Callable[[Sequence[str]], str]]] = {
    "sum": " + ".join,
    "difference": lambda values: f"abs({' - '.join(values)})",
    "mean": lambda values: f"({' + '.join(values)}) / {len(values)}",
}


def _compared(talk: _Talk, group: Sequence[LookUp], comparative: Comparative, word: str) -> str:
    """The attribute that a comparison is about. Empty where it cannot be told."""
    latest = group[-1]
    shared = all(
        (each.attribute, each.unit) == (latest.attribute, latest.unit)
        and isinstance(each.value, (int, float))
        for each in group
    )
    alike = latest.attribute in comparative.attributes or (
        comparative.any_number
        and not (word in ("higher", "highest", "lower", "lowest") and latest.unit in ("km", "km2"))
    )
    if shared and alike:
        return latest.attribute
    if shared:
        return ""
    if latest.attribute in comparative.attributes and all(e.attribute == latest.attribute for e in group):
        return latest.attribute
    return comparative.attributes[0] if comparative.attributes else ""


def _comparison(
    talk: _Talk,
    how: Literal["which", "difference", "sum", "mean", "ratio"],
    names: Sequence[str],
    attribute: str,
    order: Literal["descending", "ascending"],
) -> StandaloneQuestion:
    letters = "abcdefghijklmnopqrstuvw"[: len(names)]
    plan = "".join(talk.look_up(x, attribute, name) for x, name in zip(letters, names, strict=True))
    of_each = [f"the {attribute} of {name}" for name in names]
    values = [f"{{{x}.value}}" for x in letters]
    listed = f"{', '.join(names[:-1])} or {names[-1]}"
    each = f"{', '.join(of_each[:-1])} and {of_each[-1]}"
    if how == "which":
        question = f"Which has the {_DEGREES[order][len(names) > 2]} {attribute}, {listed}?"
        literal = ", ".join(map(_quoted, names))
        numbers = ", ".join(f"{x}.value" for x in letters)
        if len(names) == 2:
            plan += (
                'if a.value == b.value:\n    answer("neither: both have the same value")\nelse:\n'
                f'    z = rank([{literal}], [{numbers}], "{order}")\n    answer(z[0])\n'
            )
        else:
            plan += f'z = rank([{literal}], [{numbers}], "{order}")\nanswer(z[0])\n'
        return StandaloneQuestion(
            question=question, kind="comparison", reason=f"of {', '.join(names)}", plan=plan
        )
    formulas = {
        "difference": f"abs({' - '.join(values)})",
        "sum": " + ".join(values),
        "mean": f"({' + '.join(values)}) / {len(values)}",
        "ratio": f"max({', '.join(values)}) / min({', '.join(values)})",
    }
    questions = {
        "difference": f"What is the difference between {each}?",
        "sum": f"What is the sum of {each}?",
        "mean": f"What is the average of {each}?",
        "ratio": f"What is the ratio of {each}?",
    }
    plan += f'z = calculate(f"{formulas[how]}")\n'
    # Years have no unit: "1889 and 1931" are 42 years apart.
    plan += "answer(z)\n" if how == "ratio" else 'answer(f"{z} {a.unit}")\n'
    return StandaloneQuestion(
        question=questions[how], kind="comparison", reason=f"of {', '.join(names)}", plan=plan
    )


def _read_than(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "Is Etna higher than that?" and "how much higher is it than Etna?": one side is a pronoun."""
    found, asks = None, "forms"
    for asks in ("forms", "how_much", "which", "years"):
        if (found := words.match(WORDINGS["than"][asks])) is not None:
            break
    if found is None:
        return None
    measures = asks in ("how_much", "years")
    sides = [found.get("left", "it"), found["right"]]
    leaning = [compiled("@thing").fullmatch(side) is not None for side in sides]
    if not any(leaning):
        return None
    word = found.get("comp", "later").lower()
    comparative = COMPARATIVES[word]
    if (amount := _Words(sides[1]).match(WORDINGS["than"]["amount"])) is not None:
        return _than_amount(talk, words, comparative, amount, measures=measures)
    names: list[str] = []
    for side, leans in zip(sides, leaning, strict=True):
        name = talk.thing(side) if leans else _name(side)
        if name is None:
            return _unresolved(words, talk)
        names.append(name)
    if len({*names}) < 2 and all(leaning):
        group = talk.group(2)  # "is it higher than that?": the last thing, and the one before it
        names = [each.name for each in reversed(group)]
    known = talk.focus.lookups[-1] if talk.focus is not None else None
    attribute = ATTRIBUTES.get(found.get("attr", "").lower(), "")
    if not attribute and known is not None and known.attribute in THINGS and known.value in names:
        told = THINGS[known.attribute].split()
        attribute = next((each for each in comparative.attributes if each in told), "")
    elif not attribute and known is not None:
        attribute = _compared(talk, [known, known], comparative, word) or "".join(comparative.attributes[:1])
    if len({*names}) < 2 or not attribute or not talk.tool:
        return _unresolved(words, talk)
    if asks != "forms":
        how = "difference" if measures else "which"
        return _comparison(talk, how, names, attribute, comparative.order)
    sign = ">" if comparative.order == "descending" else "<"
    degree = "greater" if comparative.order == "descending" else "smaller"
    return StandaloneQuestion(
        question=f"Is the {attribute} of {names[0]} {degree} than the {attribute} of {names[1]}?",
        kind="comparison",
        reason=f"of {', '.join(names)}",
        plan=talk.look_up("a", attribute, names[0])
        + talk.look_up("b", attribute, names[1])
        + f'if a.value {sign} b.value:\n    answer("yes")\nelse:\n    answer("no")\n',
    )


def _than_amount(
    talk: _Talk, words: _Words, comparative: Comparative, amount: Mapping[str, str], *, measures: bool
) -> FollowUp:
    """Read "Is that more than 8000 m?", of the last value."""
    last = talk.last
    given, unit = amount["n"].replace(",", "").rstrip("."), amount.get("unit", "").lower()
    source, target = UNITS.get(last.unit.lower()) if last else None, UNITS.get(unit)
    if last is None or not isinstance(last.value, (int, float)) or measures:
        return _unresolved(words, talk)
    if unit and unit != last.unit.lower():
        if source is None or target is None or source.dimension != target.dimension or source.offset:
            return _unresolved(words, talk)
        given = f"{given} * {target.factor!r} / {source.factor!r}"
    sign = ">" if comparative.order == "descending" else "<"
    value = _shown(last.value, last.unit)
    return StandaloneQuestion(
        question=f"Is {value} {'more' if sign == '>' else 'less'} than {' '.join(amount.values())}?",
        kind="value",
        reason=f"the last value is {value}",
        plan=f"a = calculate({_quoted(f'{short_form(last.value)} {sign} {given}')})\nanswer(a)\n",
    )


# Another attribute of the same thing.


def _read_attribute(talk: _Talk, words: _Words) -> FollowUp | None:
    for attribute, forms in WORDINGS["asked"].items():
        if (found := words.match(forms)) is not None and (found or talk.turns):
            return _attribute(talk, words, found.get("p", "it"), attribute)
    found = words.match(WORDINGS["attribute"]["its"])
    if found is None:
        found = words.match(WORDINGS["attribute"]["the"])
        if found is None or ("p" not in found and not (words.joined or (words.asks and talk.turns))):
            return _read_explicit(talk, words)
    asked = found["attr"].lower()
    if asked not in ATTRIBUTES and NEVER_NAMES.intersection(asked.split()):
        return None
    if asked in ATTRIBUTES:
        return _attribute(talk, words, found.get("p", "it"), ATTRIBUTES[asked])
    name = talk.thing(found.get("p", "it"))
    if name is None or not talk.tool:
        return _unresolved(words, talk)
    return StandaloneQuestion(
        question=f"What is the {asked} of {name}?",
        kind="attribute",
        reason=f"about {name} still",
        otherwise=_unresolved(words, talk, f"nothing is known here of the {asked} of {name}").reason,
    )


def _read_when(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "and when?" after "who built it?"."""
    if words.match(WORDINGS["when"]["forms"]) is None or not talk.turns:
        return None
    facts = {each.name: each for each in talk.focus.lookups} if talk.focus is talk.last and talk.focus else {}
    (name, fact) = next(iter(facts.items())) if len(facts) == 1 else ("", None)
    if fact is None or not talk.tool or fact.attribute not in YEARS:
        return _unresolved(words, talk)
    return _one(talk, YEARS[fact.attribute], name, kind="attribute")


def _read_more(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "what else do you know about it?"."""
    found = words.match(WORDINGS["more"]["forms"])
    if found is None or not talk.turns:
        return None
    name = talk.thing(found.get("p", "it"))
    if name is None or not talk.tool:
        return _unresolved(words, talk)
    return StandaloneQuestion(
        question=f"What is known about {name}?",
        kind="attribute",
        reason=f"about {name} still",
        plan=f"a = {talk.tool}({_quoted(name)})\nanswer(a.text)\n",
    )


def _read_meant(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "the planet" after something that several things are called."""
    found = words.match(WORDINGS["meant"]["forms"])
    facts = {each.name: each for each in talk.focus.lookups} if talk.focus is not None else {}
    if found is None or len(facts) != 1 or not talk.tool or found["kind"].lower() in ATTRIBUTES:
        return None
    (fact,) = facts.values()
    name = re.sub(r" \([^)]*\)$", "", fact.name)
    return _one(talk, fact.attribute, f"{name} ({found['kind'].lower()})", kind="entity")


def _read_explicit(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "and the population of Italy?". It names both, and is no full question."""
    found = words.match(WORDINGS["attribute"]["of"])
    if found is None or not words.joined or not talk.tool or (name := _name(found["name"])) is None:
        return None
    return _one(talk, ATTRIBUTES[found["attr"].lower()], name, kind="entity")


def _attribute(talk: _Talk, words: _Words, word: str, attribute: str) -> FollowUp:
    name = talk.thing(word, attribute)
    if name is None or not talk.tool:
        return _unresolved(words, talk)
    return _one(talk, attribute, name, kind="attribute")


def _one(
    talk: _Talk, attribute: str, name: str, *, kind: Literal["entity", "attribute"]
) -> StandaloneQuestion:
    if attribute == "population density":
        people, area = talk.look_up("a", "population", name), talk.look_up("b", "area", name)
        plan = (
            people + area + 'c = calculate(f"{a.value} / {b.value}")\nanswer(f"{c} {a.unit} per {b.unit}")\n'
        )
    else:
        plan = talk.look_up("a", attribute, name) + "answer(a)\n"
    reason = f"about {name}" if kind == "entity" else f"about {name} still"
    return StandaloneQuestion(
        question=f"What is the {attribute} of {name}?", kind=kind, reason=reason, plan=plan
    )


# The same question about another thing.


def _read_number(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "And 20%?" after "What is 15% of 80?"."""
    found = words.match(WORDINGS["another"]["number"])
    if found is None:
        return _read_bare_number(talk, words)
    if not words.joined or talk.last is None:
        return None
    unit = re.escape(found["unit"])
    pattern = rf"\d[\d,.]* ?{unit}(?!\w)"
    question, count = re.subn(pattern, lambda _: words.text, talk.last.question, flags=re.IGNORECASE)
    if count != 1:
        return _unresolved(words, talk)
    return StandaloneQuestion(question=question, kind="entity", reason=f"with {words.text}")


def _read_bare_number(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "and 12?" after "convert 5 miles to km": the only number of the last question is another one."""
    found = words.match(WORDINGS["another"]["bare_number"])
    if found is None or talk.last is None or not (words.joined or not words.text[:1].isdigit()):
        return None
    numbers = [*re.finditer(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?!\w)", talk.last.question)]
    if len(numbers) != 1:
        return _unresolved(words, talk, "the last question has no number, or more than one")
    (number,), asked = numbers, talk.last.question
    question = f"{asked[: number.start()]}{found['n']}{asked[number.end() :]}"
    return StandaloneQuestion(question=question, kind="entity", reason=f"with {found['n']}")


def _read_period(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "and in January?" after a question about July."""
    found = words.match(WORDINGS["another"]["period"])
    if found is None or talk.last is None or not (words.joined or words.asks):
        return None
    alike = next(words for words in PERIODS if found["period"].lower() in words)
    spelled = [
        each
        for each in re.finditer(rf"\b(?:{'|'.join(alike)})\b", talk.last.question, re.IGNORECASE)
        if each[0] not in ("may", "march")  # these are other words
    ]
    if len(spelled) != 1:
        return _unresolved(words, talk)
    asked = talk.last.question
    question = f"{asked[: spelled[0].start()]}{found['period'].title()}{asked[spelled[0].end() :]}"
    return StandaloneQuestion(question=question, kind="entity", reason=f"with {found['period'].title()}")


def _read_entity(talk: _Talk, words: _Words) -> FollowUp | None:
    found = words.match(WORDINGS["another"]["name"])
    terse = talk.last is not None and len(talk.last.question.split()) <= 3
    bare = (words.asks or terse) and len(words.text.split()) <= 3
    if found is None or not (words.joined or bare or "p" in found):
        return None
    if "p" in found:
        name = talk.thing(found["p"]) if compiled("@choice").fullmatch(found["p"]) else None
        if name is not None and talk.focus is not None and talk.tool:
            return _one(talk, talk.focus.lookups[0].attribute, name, kind="entity")
        return _unresolved(words, talk)
    else:
        name = _name(found["name"])
        if name is not None and not words.joined and _is_question(name):
            return None
    turn = talk.focus
    if name is None or turn is None:
        leans = _leans(words) or ("prep" in found and talk.turns)
        return _same_place(talk, found) or (_unresolved(words, talk) if leans else None)
    ranked = compiled(r"(?<!\w)@best(?!\w)").search(turn.question)
    if turn is talk.last and ranked and found.get("prep") == "in" and (there := _same_place(talk, found)):
        return there  # "and in Africa?" after the longest river in Europe
    (fact, *others) = {each.name: each for each in turn.lookups}.values()
    if fact.name[:1].isupper() and name.islower():
        name = " ".join(word if word in ("of", "the", "and") else word.capitalize() for word in name.split())
    simple = len(turn.lookups) == 1 and turn.value == fact.value and talk.tool
    after_conversion = turn is not talk.last and talk.last is not None and not talk.last.lookups
    if simple and not (after_conversion and isinstance(fact.value, str)):
        return _one(talk, _attribute_of(turn, fact), name, kind="entity")
    if others:
        several = {(each.attribute, each.tool) for each in turn.lookups}
        if len(several) == 1 and turn.value is None and turn.plan and talk.tool and "prep" not in found:
            return _one(talk, fact.attribute, name, kind="entity")
        if found.get("prep") is None and (both := _and_compared(talk, turn, name)) is not None:
            return both
        if found.get("prep") != "than" or len(others) != 1:
            return _unresolved(words, talk, "it does not say which of the two it takes the place of")
        fact = others[0]
    return _same_shape(turn, fact, name) or _unresolved(words, talk)


def _and_compared(talk: _Talk, turn: Turn, name: str) -> StandaloneQuestion | None:
    """Read "and the Danube?" after "Which is longer, the Nile or the Amazon?": it joins the comparison."""
    facts = list({each.name: each for each in turn.lookups}.values())
    ranked = re.search(r'rank\(\[.*"(descending|ascending)"\)', turn.plan)
    alike = len({(each.attribute, each.unit) for each in facts}) == 1
    if not ranked or not alike or not talk.tool or not any(_same(str(turn.value), each) for each in facts):
        return None
    order = "descending" if ranked[1] == "descending" else "ascending"
    attribute = facts[0].attribute
    found = _comparison(talk, "which", [*(each.name for each in facts), name], attribute, order)
    last = "abcdefghijklmnopqrstuvw"[len(facts)]
    most = f"{{z[0]}} has the {_DEGREES[order][1]} {attribute}"
    said = f'answer(f"{{{last}}} for {{{last}.title}}; of these, {most}")'
    return replace(found, kind="entity", plan=found.plan.replace("answer(z[0])", said))


_DEGREES: Final = {"descending": ("greater", "greatest"), "ascending": ("smaller", "smallest")}


def _attribute_of(turn: Turn, fact: LookUp) -> str:
    """What the turn asked for: what its question names, where its plan looked up something else."""
    named = re.findall(compiled(r"(?<!\w)(?:@attr)(?!\w)").pattern, turn.question, re.IGNORECASE)
    attributes = {ATTRIBUTES[phrase.lower()] for phrase in named} - {"elevation", "area"}
    return attributes.pop() if len(attributes) == 1 else fact.attribute


def _same_place(talk: _Talk, found: Mapping[str, str]) -> StandaloneQuestion | None:
    """Read "And in Rome?" after a question that ends with "in Paris"."""
    if talk.last is None or "prep" not in found or (name := _name(found["name"])) is None:
        return None
    pattern = rf"(?<!\w){found['prep']} (?!.*\b{found['prep']}\b)[^,;]+$"
    asked = talk.last.question.rstrip(" ?")
    question, count = re.subn(pattern, lambda _: f"{found['prep']} {name}?", asked, flags=re.IGNORECASE)
    return StandaloneQuestion(question=question, kind="entity", reason=f"about {name}") if count else None


def _same_shape(turn: Turn, fact: LookUp, name: str) -> StandaloneQuestion | None:
    """The last question and its plan with another name in it."""
    for mention in dict.fromkeys((fact.asked, fact.name)):
        pattern = rf"(?<!\w){re.escape(mention)}(?!\w)"
        question, count = re.subn(pattern, lambda _: name, turn.question, flags=re.IGNORECASE)
        if count != 1:
            continue
        plan, in_plan = re.subn(pattern, lambda _: _quoted(name)[1:-1], turn.plan)
        return StandaloneQuestion(
            question=question, kind="entity", reason=f"about {name}", plan=plan if in_plan else ""
        )
    return None


def _name(text: str) -> str | None:
    """`text` as a name. None where it has words that stand in no name."""
    text = re.sub(r"^(?:(?:in|of|for) )?(?:the |a |an )?", "", text.strip(), flags=re.IGNORECASE)
    text = re.sub(r"'s$", "", text)
    plain = text.lower().replace("'s", "").split()
    if not plain or NEVER_NAMES.intersection(plain) or all(word.isdigit() for word in plain):
        return None
    if {*plain} & UNITS.keys() or plain[0].isdigit():
        return None
    return text


def _is_question(text: str) -> bool:
    """Whether a bare phrase says itself what it asks for: "K2's height", "height of K2"."""
    plain = text.lower().replace("'s", "").split()
    return bool({*plain} & ({"of"} | ATTRIBUTES.keys() | COMPARATIVES.keys()))


# What cannot be told.

_LEANING: Final = WORDINGS["leaning"]
_LONGEST_LEANING: Final = 8
"""Most words of a question that has nothing but a pronoun for what it is about."""


def _named_instead(talk: _Talk, words: _Words) -> FollowUp | None:
    """Read "when was it opened?" as a question with the name in the pronoun's place.

    Only a look-up that explains all of it may answer it: of what it asks for, nothing is known here.
    """
    found = [*compiled(_LEANING["replaced"]).finditer(words.text)]
    indefinite = [each for each in found if each[0].lower() == "they"]
    if len(found) > 1 and len(found) - len(indefinite) == 1:
        found = [each for each in found if each not in indefinite]  # "did they start building it"
    if len(found) != 1 or not talk.tool:
        return None
    (pronoun,) = found
    word = pronoun[0].lower()
    owner = word in ("its", "their", "his", "her") or word.endswith("'s")
    bare = {"its": "it", "their": "they", "his": "he", "her": "she"}.get(word, word.removesuffix("'s"))
    name = talk.thing(bare)
    if name is None:
        return None
    named = f"{name}'s" if owner else f"in {name}" if word == "there" else name
    question = f"{words.text[: pronoun.start()]}{named}{words.text[pronoun.end() :]}?"
    return StandaloneQuestion(
        question=question,
        kind="attribute",
        reason=f"about {name} still",
        otherwise=_unresolved(words, talk, f"nothing that is known of {name} answers it").reason,
    )


def _leans(words: _Words) -> bool:
    """Whether a question plainly leans on what was said before."""
    if compiled(_LEANING["operators"]).match(words.text):
        return True
    if words.joined and len(words.text.split()) <= _LONGEST_LEANING and not _stands_alone(words.text):
        return True
    if compiled(_LEANING["expletives"]).search(words.text):
        return False
    return compiled(_LEANING["pronouns"]).search(words.text) is not None and not _has_own_referent(words.text)


def _stands_by_names(words: _Words, talk: _Talk) -> bool:
    """Whether its pronouns rather stand for what it names itself: "With its depth, does Loch Ness ...".

    Where nothing was asked before, a long question or one with a name is none that leans.
    """
    plain = words.text.split()
    long = len(plain) > _LONGEST_LEANING
    named = any(word[:1].isupper() or word[:1].isdigit() for word in plain[1:] if word[:2] not in ("I", "I'"))
    return (long and named) if talk.turns else (long or named)


def _stands_alone(text: str) -> bool:
    """Whether it is a full question about something that it names."""
    asks = compiled(_LEANING["questions"]).match(text)
    return asks is not None and not compiled(_LEANING["pronouns"]).search(text)


def _has_own_referent(text: str) -> bool:
    """Whether the question names something before its pronoun: "How high is K2 and where is it?"."""
    pronoun = compiled(_LEANING["pronouns"]).search(text)
    before = text[: pronoun.start()] if pronoun else text
    names = [
        word for word in before.split()[1:] if word[:1].isupper() or any(char.isdigit() for char in word)
    ]
    return bool([word for word in names if word not in ("I", "I'm")])


def _unresolved(words: _Words, talk: _Talk, why: str = "") -> Unresolved:
    if not talk.turns:
        why = "nothing was asked before"
    return Unresolved(
        names_nothing=_names_nothing(words),
        reason=f"I cannot tell what {words.text!r} refers to{f': {why}' if why else ''}. "
        "Ask it as a question that stands by itself.",
    )


def _names_nothing(words: _Words) -> bool:
    """Whether a question has nothing but a pronoun to say what it is about: "who built it?"."""
    if compiled(_LEANING["pronouns"]).search(words.text) is None or " than " in words.text:
        return False
    return not any(word[:1].isupper() or word[:1].isdigit() for word in words.text.split()[1:])


_READERS: Final[tuple[Callable[[_Talk, _Words], FollowUp | None], ...]] = (
    _read_source,
    _read_arithmetic,
    _read_than,
    _read_ranking,
    _read_comparison,
    _read_attribute_in,
    _read_conversion,
    _read_ago,
    _read_age,
    _read_date,
    _read_when,
    _read_more,
    _read_meant,
    _read_attribute,
    _read_of_things,
    _read_number,
    _read_period,
    _read_entity_in,
    _read_entity,
)
