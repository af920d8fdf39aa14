"""Queries over all entries of a kind: the highest, the five largest, how many, and which.

`ask(atlas, "the five largest countries by area")` reads the whole question, word by word. Every word must be
explained, or the question is none of these. The answer is a `Fact` about the winner, or a list with
`entries`.

A kind that the atlas holds completely can be ranked both ways and counted. Of the others it holds the large
ones: they are ranked from the top only, and by continent at most. The text says of how many.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from braid.executors.builtin.atlas.entities import MEMORY, Entity, Entry, Fact, Value
from braid.executors.builtin.atlas.lookup import Atlas, AtlasError
from braid.executors.builtin.atlas.vocabulary import FILLER, LONGEST_PHRASE, PHRASES, Phrase, Tokens, fold

MOST_LISTED: Final = 50
"""Most rows of an answer. A longer one is cut, and says how many there are."""

SOME: Final = 5
"""How many are listed where a question says no number: "the largest cities of India"."""

CLOSE: Final = 0.05
"""Relative difference of two figures up to which a reading that disagrees may change their order."""

Direction = Literal["most", "least"]
Relation = Literal["", "uses", "speaks", "borders"]


class UnknowableError(AtlasError):
    """The query was understood, and the atlas cannot answer it. The message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """What a word such as "mountains" ranges over."""

    kinds: frozenset[str]
    by: dict[str, str]
    """The attribute that a group of superlatives means for it: `{"tall": "height"}`."""
    complete: bool = False
    """Whether the atlas holds every one."""
    ranked: frozenset[str] = frozenset()
    """Attributes of which the atlas surely holds the largest, if it is not complete."""


def _top(*kinds: str, **by: str) -> _Kind:
    return _Kind(frozenset(kinds), by, ranked=frozenset(by.values()))


def _all(*kinds: str, **by: str) -> _Kind:
    return _Kind(frozenset(kinds), by, complete=True)


_MOUNTAINS = _top("mountain", "volcano", tall="height", large="height")
_BUILDINGS = _top("building", tall="height", large="height")
_PLANETS = _all(
    "planet",
    large="diameter",
    heavy="mass",
    long="orbital period",
    far="distance from the sun",
    hot="surface temperature",
)
_KINDS: Final[dict[str, _Kind]] = {
    "country | nation": _all("country", large="area", populous="population"),
    "continent": _all("continent", large="area", populous="population"),
    "US state | state | american state": _all(
        "US state", large="area", populous="population", old="admission year"
    ),
    "ocean": _all("ocean", large="area", deep="depth"),
    "planet": _PLANETS,
    "element | chemical element": _all(
        "element", heavy="atomic mass", dense="density", hot="melting point", old="discovery year"
    ),
    "mountain | peak | mount | summit": _MOUNTAINS,
    "volcano": _top("volcano", tall="height", large="height"),
    "river": _top("river", long="length", large="length"),
    "lake": _top("lake", large="area", deep="depth"),
    "sea": _top("sea", large="area", deep="depth"),
    "desert": _top("desert", large="area"),
    "island": _top("island", large="area"),
    "ocean trench | trench": _top("ocean trench", deep="depth"),
    "waterfall | fall": _top("waterfall", tall="height", large="height"),
    "city | town | metropolis": _top("city", large="population", populous="population"),
    "building | skyscraper": _BUILDINGS,
    "tower": _top("tower", tall="height", large="height"),
    "structure": _top("building", "tower", tall="height", large="height"),
    "statue": _top("statue", tall="height", large="height"),
    "bridge": _top("bridge", long="length", large="length"),
    "tunnel": _top("tunnel", long="length", large="length"),
    "moon": _top("moon", large="diameter"),
    "animal": _top("animal", fast="top speed", large="weight", heavy="weight", tall="height", long="length"),
    "land animal": _top("animal", tall="height"),
    "rainforest | forest": _top("forest", large="area"),
}

_SUPERLATIVES: Final[dict[str, tuple[str, Direction]]] = {
    "highest | tallest": ("tall", "most"),
    "lowest": ("tall", "least"),
    "largest | biggest | greatest": ("large", "most"),
    "smallest | littlest | tiniest": ("large", "least"),
    "longest": ("long", "most"),
    "shortest": ("long", "least"),
    "deepest": ("deep", "most"),
    "shallowest": ("deep", "least"),
    "fastest | quickest": ("fast", "most"),
    "slowest": ("fast", "least"),
    "heaviest": ("heavy", "most"),
    "lightest": ("heavy", "least"),
    "densest": ("dense", "most"),
    "hottest": ("hot", "most"),
    "coldest": ("hot", "least"),
    "oldest": ("old", "least"),
    "newest | youngest": ("old", "most"),
    "most populous | most populated": ("populous", "most"),
    "least populous | least populated": ("populous", "least"),
    "farthest from the sun | furthest from the sun | outermost": ("far", "most"),
    "closest to the sun | nearest to the sun | nearest the sun | closest the sun | innermost": (
        "far",
        "least",
    ),
    "most": ("", "most"),
    "least | fewest": ("", "least"),
}

_NUMBERS: Final = {
    "one": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "dozen": 12, "twelve": 12, "twenty": 20,
}  # fmt: skip
_ORDINALS: Final = {
    "first": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "fifth": 5, "5th": 5,
    "sixth": 6, "6th": 6, "seventh": 7, "7th": 7, "eighth": 8, "8th": 8, "ninth": 9, "9th": 9, "tenth": 10,
    "10th": 10,
}  # fmt: skip
_WORLD: Final = {*fold("world earth globe solar system universe on our whole entire")} | {"sun"}
_PLACE_KINDS: Final = ("country", "continent", "US state", "planet", "dwarf planet")
_NO_PLACES: Final = FILLER - {*fold("us")}
_EXTRA: Final = FILLER | {
    *fold("list name top have has there exist exists inside within ranked ranking order where")
}
_COUNT: Final = {("how", "many"), ("number", "of"), ("count", "of")}
_LISTING: Final = (("list",), ("name",), ("all",))
_USING: Final = {*fold("use using uses used pay paying accept currency money")}
_SPEAKING: Final = {*fold("speak speaking spoken speaks language official")}
_BORDERING: Final = {*fold("border bordering borders neighbour neighbouring neighbor neighboring touch next")}


@dataclass(slots=True)
class _Words:
    """What the words of a question were recognised as."""

    kind: _Kind | None = None
    kind_word: str = ""
    superlative: tuple[str, Direction] | None = None
    superlative_word: str = ""
    wanted: list[Phrase] = field(default_factory=list[Phrase])
    """Attributes named before the superlative: "capital of the largest country"."""
    by: list[Phrase] = field(default_factory=list[Phrase])
    """Attributes named after it: "largest country by population"."""
    number: int | None = None
    ordinal: int | None = None
    places: list[Entity] = field(default_factory=list[Entity])
    relation: Relation = ""
    objects: list[str] = field(default_factory=list[str])
    """Words of a currency or a language."""
    counts: bool = False
    lists: bool = False
    """Whether the question says "list", "name" or "all"."""


def ask(atlas: Atlas, question: str, *, name: bool = False) -> Fact | None:
    """The answer to a question about all entries of a kind. None if it is no such question.

    Args:
        atlas: What is asked.
        question: The whole question.
        name: Whether the value is the name of the winner, unless the question wants a figure. By default it
            is the figure, which later calculations may use.

    Raises:
        UnknowableError: The atlas does not hold enough to answer.
    """
    words = _recognised(atlas, question)
    if words is None or words.kind is None:
        return None
    if "US state" in words.kind.kinds:
        words.places = [place for place in words.places if place.title != "United States"]
    if words.superlative is not None:
        if not words.number and not words.ordinal and _names_several(question, words):
            words.number = SOME
        return _ranked(atlas, words, name=name)
    plural = _is_plural(question, words.kind)
    if words.by or words.wanted or words.ordinal or not (words.counts or plural):
        return None
    return _selected(atlas, words)


# Reading.


def _plural(word: str) -> str:
    return word[:-1] + "ies" if word.endswith("y") else word + "s"


def _table(rows: Iterable[str]) -> dict[Tokens, str]:
    """Rows by each of their folded words, in the singular and in the plural."""
    words = [(word.strip(), row) for row in rows for word in row.split("|")]
    return {fold(form): row for word, row in words for form in (word, _plural(word))}


_KIND_WORDS: Final = _table(_KINDS)
_SUPERLATIVE_WORDS: Final = _table(_SUPERLATIVES)
SUPERLATIVES: Final = frozenset(words[0] for words in _SUPERLATIVE_WORDS if len(words) == 1)
"""Single words such as "highest". A question with one is no look-up of one thing."""


def _recognised(atlas: Atlas, question: str) -> _Words | None:
    """The question's words by what they are. None if one of them is nothing."""
    tokens = fold(question)
    if not tokens or len(tokens) > 30:
        return None
    words = _Words()
    at = 0
    while at < len(tokens):
        for length in range(min(LONGEST_PHRASE, len(tokens) - at), 0, -1):
            if _take(atlas, words, tokens[at : at + length]):
                at += length
                break
        else:
            return None
    return words


def _take(atlas: Atlas, words: _Words, part: Tokens) -> bool:
    """Add one phrase to `words`, if it means something."""
    word = part[0]
    if row := _SUPERLATIVE_WORDS.get(part):
        if words.superlative is not None:
            return False
        words.superlative, words.superlative_word = _SUPERLATIVES[row], " ".join(part)
        return True
    if part in _COUNT:
        words.counts = True
        return True
    if part in (("where",), *_LISTING):
        words.lists |= part in _LISTING
        return True
    if len(part) == 1 and word in _WORLD and (words.kind is None or "moon" not in words.kind.kinds):
        return True
    if len(part) == 1 and (number := _number(word)) is not None and words.number is None:
        words.number = number
        return True
    if len(part) == 1 and word in _ORDINALS and words.ordinal is None:
        words.ordinal = _ORDINALS[word]
        return True
    if words.kind is None and (row := _KIND_WORDS.get(part)):
        words.kind, words.kind_word = _KINDS[row], row.split("|")[0].strip()
        return True
    if _relates(atlas, words, part):
        return True
    entity = atlas.get(" ".join(part)) if word not in _NO_PLACES else None
    if entity is not None and entity.kind in _PLACE_KINDS:
        words.places.append(entity)
        return True
    if (phrase := PHRASES.get(part)) and not _is_superlative(part):
        (words.wanted if words.superlative is None and words.kind is None else words.by).append(phrase)
        return True
    if len(part) > 1:
        return False
    return word in _EXTRA


def _number(word: str) -> int | None:
    return int(word) if word.isdigit() and len(word) < 4 else _NUMBERS.get(word)


def _is_superlative(part: Tokens) -> bool:
    """Whether a phrase for an attribute, such as "highest mountain", is a query by itself."""
    return any((word,) in _SUPERLATIVE_WORDS for word in part)


_RELATIONS: Final[tuple[tuple[Relation, frozenset[str]], ...]] = (
    ("uses", frozenset(_USING)),
    ("speaks", frozenset(_SPEAKING)),
    ("borders", frozenset(_BORDERING)),
)


def _relates(atlas: Atlas, words: _Words, part: Tokens) -> bool:
    """Whether a word belongs to what countries use, speak or border: "countries that use the euro"."""
    word = part[0]
    if len(part) > 1 or words.kind is None or "country" not in words.kind.kinds:
        return False
    for relation, verbs in _RELATIONS:
        if word in verbs and words.relation in ("", relation):
            words.relation = relation
            return True
    attribute = {"uses": "currency", "speaks": "official language"}.get(words.relation, "")
    for candidate in (attribute,) if attribute else ("official language",):
        if word in _values(atlas, candidate):
            words.objects.append(word)
            if not words.relation and candidate == "official language":
                words.relation = "speaks"
            return True
    return False


@lru_cache(maxsize=8)
def _values(atlas: Atlas, attribute: str) -> frozenset[str]:
    """Words of all values of an attribute of countries."""
    return frozenset(
        word
        for entity in atlas.of_kind(frozenset({"country"}))
        if attribute in entity.facts
        for word in fold(str(entity.facts[attribute][0]))
    ).difference(FILLER)


def _names_several(question: str, words: _Words) -> bool:
    """Whether a question asks for "the largest countries", and not which of them is the largest."""
    asked = re.search(rf"{words.superlative_word}\s+(?:\w+\s+)?\w+(?:s|ies)\b", question.casefold())
    return asked is not None and words.kind is not None and _is_plural(asked[0], words.kind)


def _is_plural(question: str, kind: _Kind) -> bool:
    """Whether a question names a kind in the plural. Folded words no longer tell."""
    row = next(row for row, other in _KINDS.items() if other is kind)
    plurals = {_plural(word.strip()) for word in row.split("|")}
    return any(plural in question.casefold() for plural in plurals)


# Answering.


def _members(atlas: Atlas, kind: _Kind, places: Sequence[Entity]) -> list[Entity]:
    """The entries of a kind in all of `places`. Those on other planets do not count."""
    found = [e for e in atlas.of_kind(kind.kinds) if e.facts.get("location", ("", ""))[0] != "Mars"]
    return [entity for entity in found if all(_lies_in(atlas, entity, place) for place in places)]


def _lies_in(atlas: Atlas, entity: Entity, place: Entity) -> bool:
    facts = {key: str(value) for key, (value, _) in entity.facts.items()}
    match place.kind:
        case "continent":
            continent = facts.get("continent", "")
            if not continent and (country := atlas.get(facts.get("country", ""))):
                continent = str(country.facts.get("continent", ("", ""))[0])
            return place.title in re.split(r", | and ", continent)
        case "country":
            return place.title in re.split(r", | and ", facts.get("country", facts.get("location", "")))
        case "US state":
            return facts.get("state") == place.title
        case _:
            return facts.get("planet") == place.title


def _ranked(atlas: Atlas, words: _Words, *, name: bool) -> Fact | None:
    """The winner, or the first N."""
    kind, (group, direction) = words.kind, words.superlative or ("", "most")
    if kind is None or words.relation or words.counts or (words.number and words.ordinal):
        return None
    members = _members(atlas, kind, words.places)
    attribute = _attribute(members, kind, group, words.by)
    if attribute is None:
        return None
    rows = [e for e in members if attribute in e.facts and not isinstance(e.facts[attribute][0], str)]
    wanted = _first_held(words.wanted, rows)
    if words.wanted and wanted is None:
        return None
    place = _own_fact(atlas, words, direction)
    if place is not None and not (words.number or words.ordinal):
        return _called(place) if name and not words.wanted else place
    _check(kind, attribute, direction, words)
    if not rows:
        return None
    rows.sort(key=lambda e: (_figure(e, attribute), e.title), reverse=False)
    rows.sort(key=lambda e: _figure(e, attribute), reverse=direction == "most")
    whole = f"of the {len(rows)} {_plural(words.kind_word)} in the atlas"
    if words.places:
        whole += f" that lie in {' and '.join(p.title for p in words.places)}"
    if words.number and words.number > 1:
        title = f"{words.superlative_word} {_plural(words.kind_word)} by {attribute}"
        return _listing(rows[: words.number], attribute, title, whole)
    index = (words.ordinal or 1) - 1
    if index >= len(rows):
        raise UnknowableError(f"there are only {len(rows)} {_plural(words.kind_word)}")
    winner = rows[index]
    fact = winner.fact(wanted or attribute, atlas.sources)
    most = f"{words.superlative_word} {attribute}" if not group else words.superlative_word
    rank = f"{most}{f', number {index + 1},' if index else ''} {whole}"
    entries = [winner]
    if not index and (rival := _rival(rows, attribute, direction)):
        entries.append(rival)
        rank += f"; by other figures {rival.title} is first: {rival.fact(attribute, atlas.sources).caution()}"
    fact = fact.model_copy(
        update={"text": f"{fact.text}; {rank}", "entries": tuple(_entry(e, attribute) for e in entries)}
    )
    return _called(fact) if name and not words.wanted else fact


def _called(fact: Fact) -> Fact:
    """A winner by its name. If figures disagree about it, by both names."""
    value = " or ".join(title for title, _, _ in fact.entries)
    return fact.model_copy(update={"attribute": "name", "value": value, "unit": ""})


def _figure(entity: Entity, attribute: str) -> float:
    return float(entity.facts[attribute][0])


def _attribute(members: Sequence[Entity], kind: _Kind, group: str, by: Sequence[Phrase]) -> str | None:
    """The attribute that decides."""
    if by:
        return _first_held(by, members)
    return kind.by.get(group)


def _first_held(phrases: Sequence[Phrase], members: Sequence[Entity]) -> str | None:
    """The one attribute that the phrases name and most members have."""
    found = {
        next(
            (a for a in phrase.attributes if sum(a in e.facts for e in members) * 2 > len(members)),
            "",
        )
        for phrase in phrases
    }
    return found.pop() or None if len(found) == 1 else None


def _own_fact(atlas: Atlas, words: _Words, direction: Direction) -> Fact | None:
    """The answer that the place itself has as a fact: the "highest mountain" of Peru."""
    if len(words.places) != 1 or direction != "most" or words.by:
        return None
    place = words.places[0]
    group = (words.superlative or ("", ""))[0]
    word = {"tall": "highest", "large": "largest", "long": "longest"}.get(group, "")
    name = words.kind_word if words.kind_word not in ("peak", "summit") else "mountain"
    attribute = f"{'highest' if name == 'mountain' else word} {name}"
    if attribute not in place.facts:
        return None
    fact = place.fact(attribute, atlas.sources)
    winner = atlas.get(str(fact.value))
    if winner is None:
        return None if words.wanted else fact
    measure = _first_held(words.wanted, [winner]) or (words.kind.by.get(group) if words.kind else None)
    if measure is None or measure not in winner.facts:
        return None
    answer = winner.fact(measure, atlas.sources)
    return answer.model_copy(
        update={"text": f"{answer.text}; {fact.text}", "entries": (_entry(winner, measure),)}
    )


def _check(kind: _Kind, attribute: str, direction: Direction, words: _Words) -> None:
    """Refuse what the atlas cannot know.

    Raises:
        UnknowableError: It does not hold enough entries.
    """
    if kind.complete:
        return
    small = [place for place in words.places if place.kind != "continent"]
    if (
        direction == "least"
        or attribute not in kind.ranked
        or (small and kind.kinds.isdisjoint(("city", "moon")))
    ):
        raise UnknowableError(
            f"the atlas holds only well-known {_plural(words.kind_word)}, so it cannot say which has the "
            f"{direction} {attribute}{f' in {small[0].title}' if small else ''}; "
            f"ask for one {words.kind_word} by name"
        )


def _rival(rows: Sequence[Entity], attribute: str, direction: Direction) -> Entity | None:
    """An entry that is first by another reading of its figure."""
    best = _figure(rows[0], attribute)
    for rival in rows[1:]:
        if abs(_figure(rival, attribute) - best) > CLOSE * abs(best):
            return None
        for value, _ in rival.others.get(attribute, ()):
            if not isinstance(value, str) and (value > best if direction == "most" else value < best):
                return rival
    return None


def _selected(atlas: Atlas, words: _Words) -> Fact | None:
    """How many there are, or which."""
    kind = words.kind
    if (
        kind is None
        or not kind.complete
        or not (words.counts or words.lists or words.places or words.relation)
    ):
        return None
    if words.relation == "borders":
        places: list[Entity] = []
    elif any(place.kind != "continent" for place in words.places):
        return None
    else:
        places = words.places
    members = _members(atlas, kind, places)
    told = f" in {' and '.join(place.title for place in places)}" if places else ""
    match words.relation:
        case "borders":
            if len(words.places) != 1:
                return None
            name = words.places[0].title
            members = [e for e in members if name in _parts(e, "borders")]
            told = f" that border {name}"
        case "uses" | "speaks":
            if not words.objects:
                return None
            attribute = "currency" if words.relation == "uses" else "official language"
            members = [e for e in members if {*words.objects} <= {*fold(" ".join(_parts(e, attribute)))}]
            name = " ".join(words.objects)
            told += f" with the {attribute} {name.title() if words.relation == 'speaks' else name}"
        case "":
            pass
    title = f"{_plural(words.kind_word)}{told}"
    if not members:
        raise UnknowableError(f"the atlas has no {title}")
    members.sort(key=lambda e: e.title)
    listing = _listing(members, "", title, f"of the {len(_members(atlas, kind, ()))} in the atlas")
    if not words.counts:
        return listing
    return listing.model_copy(update={"attribute": "count", "value": len(members)})


def _parts(entity: Entity, attribute: str) -> list[str]:
    return re.split(r", | and ", str(entity.facts.get(attribute, ("", ""))[0]))


def _listing(rows: Sequence[Entity], attribute: str, title: str, whole: str) -> Fact:
    """Entries as one fact: numbered if an attribute ranks them."""
    entries = [_entry(e, attribute) for e in rows]
    shown = entries[:MOST_LISTED]
    if attribute:
        value = ", ".join(f"{n}. {_row(entry)}" for n, entry in enumerate(shown, 1))
    else:
        value = ", ".join(_row(entry) for entry in shown)
    if len(entries) > len(shown):
        value += f" and {len(entries) - len(shown)} more"
    verified = bool(rows) and all(e.sources.get(attribute, MEMORY) != MEMORY for e in rows)
    return Fact(
        title=title,
        attribute=attribute or "list",
        value=value,
        text=f"{title}: {value}; {len(rows)} {whole}",
        source="the atlas",
        verified=verified or not attribute,
        entries=tuple(entries),
    )


def _entry(entity: Entity, attribute: str) -> Entry:
    value: tuple[Value, str] = entity.facts[attribute] if attribute else (entity.title, "")
    return entity.title, value[0], value[1]


def _row(entry: Entry) -> str:
    """An entry in a list: "Russia (17098246 km2)", or the title alone if there is no figure."""
    title, value, unit = entry
    return title if value == title else f"{title} ({f'{value} {unit}'.rstrip()})"
