"""The offline atlas: facts about places, buildings, animals and heavenly bodies, found in plain words.

`atlas.jsonl` holds the sources in its first line, then one entity a line. `cities.tsv` holds lesser cities,
each with its folded name before the row. `build.py` makes both.
`load_atlas().lookup("height of K2")` gives one typed `Fact` with its source. What was written from memory is
marked unverified. Units are the same wherever an attribute occurs: heights, depths and
elevations in m, areas in km2, speeds in km/h, populations in people. Only lengths differ: they are in km for
rivers, tunnels, canals, walls, canyons and caves, and in m for bridges, vehicles and animals.

A query is matched in these steps:

- Every name that stands in it, whole or all but a word such as "River", becomes a candidate.
- The words around the name say which fact is asked for.
- The candidate that leaves no word unexplained wins. Exact names come first, then those of which the heaviest
  part is there, by the weight of words as in BM25.
- A tunnel, bridge or building named after something does not answer for it: Mont Blanc has no length.
- Words that no candidate explains are taken for misspellings once, unless they are short or common. After
  that they make a miss: a wrong fact is worse than none.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher, get_close_matches
from functools import cache, cached_property
from importlib.resources import files
from typing import Final

from braid.executors.builtin.atlas.entities import Entity, Fact, Source, entity_of
from braid.executors.builtin.atlas.vocabulary import (
    ARTICLES,
    COMMON,
    FILLER,
    GENERIC,
    KIND_WORDS,
    LONGEST_PHRASE,
    NAMED_AFTER,
    PHRASES,
    WANTED,
    Phrase,
    Tokens,
    fold,
)
from braid.executors.tools import ToolError

MAX_QUERY: Final = 300
"""Most characters of a query. A longer one is a paragraph, and asks for more than one fact."""

MAX_SUGGESTIONS: Final = 5
"""Most titles that are suggested after a miss."""

MIN_WORD_SIMILARITY: Final = 0.81
"""Least similarity (0 to 1, as in `difflib`) between a misspelt word and the word that it is taken for."""

MIN_SHORT_SIMILARITY: Final = 0.85
"""Least similarity between a short misspelt word and the word that asks for a fact: "tal" is "tall"."""

MIN_NAME_SIMILARITY: Final = 0.83
"""Least similarity between a whole misspelt name and the name that it is taken for."""

MIN_SUGGESTION_SIMILARITY: Final = 0.62
"""Least similarity of a name that is suggested after a miss.

A share of half as much of the words' weight is enough too.
"""

MIN_MISSPELT: Final = 5
"""Least letters of a word that may be a misspelling. Shorter ones resemble too much."""

MIN_NAME_SHARE: Final = 0.6
"""Least share of a name, by the weight of its words, that a query must hold to mean it."""

_PLACE_FACTS: Final = ("location", "country", "continent", "state", "city", "planet")
_YEAR: Final = re.compile(r"20(1[5-9]|[2-9]\d)")
"""Years of which the atlas' figures may be. It knows nothing of earlier ones."""
_AMERICAN: Final = frozenset({"us", "usa", "united", "state", "america", "american"})


class AtlasError(ToolError):
    """A query that the atlas cannot answer. The message says what to ask instead."""


class QueryError(AtlasError, ValueError):
    """The query is empty, too long, or asks for two facts at once."""


class EntityNotFound(AtlasError, LookupError):
    """No entry of that name, or several that fit equally well.

    Attributes:
        suggestions: Up to five near titles.
    """

    failure = "missing"

    def __init__(self, message: str, *, suggestions: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.suggestions = suggestions


class FactNotFound(AtlasError, LookupError):
    """The entry lacks the fact that was asked for.

    Attributes:
        title: Title of the entry.
        asked: The fact that was asked for.
        known: The facts that the entry has.
    """

    failure = "missing"

    def __init__(self, entity: Entity, asked: str, *, instead: Entity | None = None) -> None:
        self.title = entity.title
        self.asked = asked
        self.known = tuple(entity.facts)
        hint = f"; there is a {asked} of {instead.title} ({instead.kind})" if instead else ""
        super().__init__(
            f"the atlas has no {asked} of {entity.title} ({entity.kind}); "
            f"it has: {', '.join(self.known)}{hint}"
        )


@dataclass(frozen=True, slots=True)
class _Name:
    """One name of an entity, folded."""

    entity: Entity
    tokens: Tokens
    is_title: bool


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One reading of a query: an entity, the facts that are asked for, and the words left unexplained."""

    entity: Entity
    asked: tuple[str, ...]
    unexplained: Tokens
    share: float
    rank: tuple[int, int, float]
    """How well it fits: how many words are unexplained, how well the name is spelt, and the missing share."""
    tie: tuple[int, bool, bool]
    instead: Entity | None = None
    """What else was named, or what has the fact in its place."""


_HELD: Final = 0
"""The middle of the rank of an exact name that has the fact."""
_NAMED: Final = 2
"""The middle of the rank of an exact name that lacks it."""


class Atlas:
    """Entities with an index over their names. Nothing in it changes.

    Threads and loops may share it.
    """

    def __init__(
        self,
        entities: Iterable[Entity],
        sources: Mapping[str, Source] | None = None,
        *,
        lesser: Mapping[Tokens, str] | None = None,
    ) -> None:
        """Index `entities`. A name belongs to the first entity that has it.

        Args:
            entities: The entries.
            sources: Where their facts come from, by the keys that the entries use.
            lesser: Rows of entries that are found by their whole folded name only. Each is read when it is
                asked for, since there are thousands.
        """
        self._entities = tuple(entities)
        self.sources: Final = dict(sources or {})
        self._lesser: Final = dict(lesser or {})
        self._names: list[_Name] = []
        self._exact: dict[Tokens, _Name] = {}
        self._holding: dict[str, list[_Name]] = defaultdict(list)
        for entity in self._entities:
            for spelling in (entity.title, *entity.aliases):
                tokens = _without_article(fold(spelling))
                name = _Name(entity, tokens, spelling == entity.title)
                if tokens and self._exact.setdefault(tokens, name) is name:
                    self._names.append(name)
                    for token in set(tokens) - GENERIC:
                        self._holding[token].append(name)
        self._longest = max((len(tokens) for tokens in (*self._exact, *self._lesser)), default=0)

    def _named(self, tokens: Tokens) -> _Name | None:
        """The entity of exactly that folded name."""
        name = self._exact.get(tokens)
        if name is None and (row := self._lesser.get(tokens)):
            # Two threads may both read the row. They read the same.
            name = self._exact.setdefault(tokens, _Name(entity_of(json.loads(row)), tokens, is_title=True))
        return name

    def __len__(self) -> int:
        return len(self._entities) + len(self._lesser)

    def __iter__(self) -> Iterator[Entity]:
        return iter(self._everything)

    def of_kind(self, kinds: frozenset[str]) -> tuple[Entity, ...]:
        """The entries of these kinds. All lesser entries are cities, and are read only for those."""
        return tuple(e for e in (self if "city" in kinds else self._entities) if e.kind in kinds)

    @cached_property
    def _everything(self) -> tuple[Entity, ...]:
        lesser = (self._named(tokens) for tokens in self._lesser)
        return (*self._entities, *(name.entity for name in lesser if name))

    def get(self, name: str) -> Entity | None:
        """The entity whose title or alias is `name`, apart from case, diacritics and punctuation."""
        found = self._named(_without_article(fold(name)))
        return found.entity if found else None

    def lookup(self, query: str) -> Fact:
        """The fact that `query` asks for.

        Examples are "height of K2", "K2's height", "how tall is K2", and "K2" for its main fact.

        Raises:
            QueryError: The query is empty, too long, or asks for two facts.
            EntityNotFound: No entry has that name, or several fit equally well. It carries near titles.
            FactNotFound: The entry lacks that fact. It names those that the entry has.
        """
        found = self._found(query)
        if not found.asked:
            return self._told(found.entity.main(self.sources), found)
        first, *more = found.asked
        if more:
            raise QueryError(f"{query!r} asks for {' and '.join(found.asked)}; look up one fact at a time")
        return self._answer(found, first)

    def answers(self, query: str) -> tuple[Fact, ...]:
        """Every fact that `query` asks for: "atomic number and symbol of tungsten". None for a bare name.

        Raises:
            QueryError: The query is empty or too long.
            EntityNotFound: No entry has that name, or several fit equally well.
            FactNotFound: The entry lacks one of the facts.
        """
        found = self._found(query, suggest=False)
        return tuple(self._answer(found, attribute) for attribute in found.asked)

    def _answer(self, found: _Candidate, attribute: str) -> Fact:
        if attribute not in found.entity.facts:
            raise FactNotFound(found.entity, attribute, instead=found.instead)
        return self._told(found.entity.fact(attribute, self.sources), found)

    def _found(self, query: str, *, suggest: bool = True) -> _Candidate:
        if len(query) > MAX_QUERY:
            raise QueryError(f"query of {len(query)} characters; ask for one fact in at most {MAX_QUERY}")
        tokens = fold(query)
        if not tokens:
            raise QueryError("empty query; ask for one fact, such as 'height of K2'")
        found = self._read(tokens) or self._read(self._respelt(tokens)) or self._read(self._renamed(tokens))
        if found is None:
            near = self.suggest(query) if suggest else ()
            hint = f"; near titles: {', '.join(near)}" if near else ""
            raise EntityNotFound(f"nothing in the atlas answers {query!r}{hint}", suggestions=near)
        return found

    def _told(self, fact: Fact, found: _Candidate) -> Fact:
        """`fact` with a note of what else the name may mean."""
        namesakes = found.entity.namesakes if found.share == 1 else ()
        others = [found.instead] if found.instead else [self.get(title) for title in namesakes]
        if not any(others):
            return fact
        note = ", ".join(f"{other.title} ({other.kind})" for other in others[:MAX_SUGGESTIONS] if other)
        return fact.model_copy(update={"text": f"{fact.text}; not to be confused with {note}"})

    def suggest(self, query: str, *, limit: int = MAX_SUGGESTIONS) -> tuple[str, ...]:
        """Titles whose names resemble what `query` is about, best first."""
        words = [word for word in _content(fold(query)) if word not in COMMON]
        if not words:
            return ()
        matcher = SequenceMatcher(None, "", "".join(words), autojunk=False)
        scores: dict[str, float] = {}
        for name in self._names:
            matcher.set_seq1("".join(_content(name.tokens)))
            union = self._weight({*words, *name.tokens})
            overlap = self._weight(({*words} & {*name.tokens}) - GENERIC) / union if union else 0.0
            likeness = max(
                overlap and overlap + 0.2,
                matcher.ratio() if matcher.quick_ratio() >= MIN_SUGGESTION_SIMILARITY else 0.0,
            )
            if overlap >= MIN_SUGGESTION_SIMILARITY / 2 or likeness >= MIN_SUGGESTION_SIMILARITY:
                scores[name.entity.title] = max(likeness, scores.get(name.entity.title, 0.0))
        return tuple(sorted(scores, key=lambda title: -scores[title])[:limit])

    @cached_property
    def _idf(self) -> Mapping[str, float]:
        """Rarity of each word, as in BM25: ln(1 + (N - df + 1/2) / (df + 1/2)) over the names."""
        counts = Counter(token for name in self._names for token in set(name.tokens))
        return {token: math.log1p((len(self._names) - df + 0.5) / (df + 0.5)) for token, df in counts.items()}

    def _weight(self, tokens: Iterable[str]) -> float:
        rarest = math.log1p(2 * len(self._names))
        return sum(0.0 if token in FILLER else self._idf.get(token, rarest) for token in tokens)

    def _read(self, tokens: Tokens) -> _Candidate | None:
        """The best reading that leaves no word unexplained. None if there is none.

        Raises:
            EntityNotFound: Several entities fit equally well.
        """
        readings = sorted(self._readings(tokens), key=lambda reading: (reading.rank, reading.tie))
        readings = [reading for reading in readings if not reading.unexplained]
        if not readings:
            return None
        best = readings[0]
        rivals = tuple(dict.fromkeys(r.entity.title for r in readings if r.rank == best.rank))
        if best.share < 1 and len(rivals) > 1:
            rivals = rivals[:MAX_SUGGESTIONS]
            raise EntityNotFound(
                f"several entries fit equally well: {', '.join(rivals)}; say which", suggestions=rivals
            )
        # The Mississippi is a river as well as a state. Mont Blanc is a mountain, and never its tunnel.
        named = next((r for r in readings if r.rank[1] == _NAMED and r.entity is not best.entity), None)
        if named is None or best.rank[1] <= _HELD:
            return best
        if best.entity.kind in NAMED_AFTER:
            return replace(named, instead=best.entity)
        return replace(best, instead=named.entity)

    def _readings(self, tokens: Tokens) -> Iterator[_Candidate]:
        for start in range(len(tokens)):
            for stop in range(start + 1, min(len(tokens), start + self._longest) + 1):
                if name := self._named(tokens[start:stop]):
                    yield self._reading(tokens, name, frozenset(range(start, stop)))
        partial = {id(name): name for token in tokens for name in self._holding.get(token, ())}
        for name in partial.values():
            yield self._reading(tokens, name, _spelling(tokens, name))

    def _reading(self, tokens: Tokens, name: _Name, used: frozenset[int]) -> _Candidate:
        """Read `tokens` as a question about `name`, whose words stand at the positions `used`."""
        entity = name.entity
        missing = {*name.tokens} - {tokens[i] for i in used} - ARTICLES
        share = 1 - self._weight(missing) / (self._weight(name.tokens) or 1.0)
        phrases, rest = _phrases(tokens, used, entity)
        about = KIND_WORDS.get(entity.kind, frozenset[str]()) | FILLER | _surroundings(entity)
        unexplained = tuple(token for token in rest if token not in about and not _YEAR.fullmatch(token))
        nearly = missing <= GENERIC
        exact = not missing and max(used) - min(used) < len(used)
        if not nearly and share < MIN_NAME_SHARE:
            unexplained += tuple(missing)
        asked = _asked(phrases, entity, tokens)
        unexplained += _unanswered(tokens, asked)
        has = all(attribute in entity.facts for attribute in asked)
        # Exact names first, then names without a generic word. Even without the fact an exact name beats half
        # of another.
        tier = (_HELD if has else _NAMED) if exact else (1 if has else 4) if nearly else (3 if has else 5)
        rank = (len(unexplained), tier, -round(share, 3) if not nearly else 0.0)
        # Of exact names the one that explains more by itself: "Congo River", not "Congo". "moons of Earth" is
        # about Earth.
        return _Candidate(entity, asked, unexplained, share, rank, (-len(used), not asked, not name.is_title))

    @cached_property
    def _vocabulary(self) -> Mapping[str, None]:
        """Every word that can mean something in a query, in a fixed order."""
        words = [*self._idf, *(word for phrase in PHRASES for word in phrase), *sorted(GENERIC)]
        return dict.fromkeys(words)

    @cached_property
    def _known(self) -> frozenset[str]:
        """Words that are no misspellings."""
        return COMMON.union(self._vocabulary, *self._exact, *self._lesser)

    def _respelt(self, tokens: Tokens) -> Tokens:
        """`tokens` with each unknown word replaced by the known word that resembles it most, if any does."""

        def correct(token: str) -> str:
            if token in self._known or token.isdigit():
                return token
            if len(token) < MIN_MISSPELT:
                asking = get_close_matches(token, _ASKING, n=1, cutoff=MIN_SHORT_SIMILARITY)
                return next(iter(asking), token)
            known = [
                word
                for word in self._vocabulary
                if abs(len(word) - len(token)) <= 2 and len(word) >= MIN_MISSPELT and word not in COMMON
            ]
            return next(iter(get_close_matches(token, known, n=1, cutoff=MIN_WORD_SIMILARITY)), token)

        return tuple(correct(token) for token in tokens)

    def _renamed(self, tokens: Tokens) -> Tokens:
        """`tokens` with a misspelt name ("Kili manjaro") replaced by the name that resembles it most."""
        words = _content(self._respelt(tokens))
        spelling = "".join(words)
        if len(spelling) < MIN_MISSPELT or (GENERIC | COMMON).issuperset(words):
            return tokens
        # Both names with and without their generic words may be misspelt.
        names = {"".join(name.tokens): name.tokens for name in self._names}
        names |= {"".join(_content(name.tokens)): name.tokens for name in reversed(self._names)}
        near = get_close_matches(spelling, names, n=1, cutoff=MIN_NAME_SIMILARITY)
        if not near or _too_many(words, names[near[0]]):
            return tokens
        kept = tuple(token for token in self._respelt(tokens) if token not in words)
        return kept + names[near[0]]


def _without_article(tokens: Tokens) -> Tokens:
    return tokens[1:] if tokens[:1] == ("the",) and len(tokens) > 1 else tokens


def _spelling(tokens: Tokens, name: _Name) -> frozenset[int]:
    """Positions in `tokens` of the words of `name`, in any order."""
    return frozenset(i for i, token in enumerate(tokens) if token in name.tokens and token not in ARTICLES)


def _phrases(tokens: Tokens, used: frozenset[int], entity: Entity) -> tuple[list[Phrase], Tokens]:
    """The phrases around a name that ask for something, and the words that are left.

    At each place the longest phrase counts.
    """
    found: list[Phrase] = []
    rest: list[str] = []
    at = 0
    while at < len(tokens):
        size = 1
        if at not in used:
            for length in range(min(LONGEST_PHRASE, len(tokens) - at), 0, -1):
                words = tokens[at : at + length]
                phrase = PHRASES.get(words)
                beside = at + length in used, at - 1 in used
                if (
                    phrase
                    and used.isdisjoint(range(at, at + length))
                    and _asks(words, phrase, entity, beside)
                ):
                    found.append(phrase)
                    size = length
                    break
            else:
                rest.append(tokens[at])
        at += size
    return found, tuple(rest)


def _asks(words: Tokens, phrase: Phrase, entity: Entity, beside: tuple[bool, bool]) -> bool:
    """Whether a phrase asks for a fact of `entity`.

    In "the moon Titan" and "the capital Lima", unlike "the capital of New York", it only says what the entity
    is.

    Args:
        words: The words of the phrase.
        phrase: What it asks for.
        entity: The entity.
        beside: Whether the name comes right after the phrase, and right before it.
    """
    if any(attribute in entity.facts for attribute in phrase.attributes):
        return True
    before, after = beside
    describes = before and KIND_WORDS.get(entity.kind, frozenset[str]()).issuperset(words)
    return phrase.strength > 0 and not describes and not (after and words == fold(entity.kind))


def _asked(phrases: list[Phrase], entity: Entity, tokens: Tokens) -> tuple[str, ...]:
    """The attributes that the strongest phrases ask for: none, one, or several."""
    strength = max((phrase.strength for phrase in phrases), default=0)
    resolved: list[str] = []
    for phrase in phrases:
        if phrase.strength == strength:
            fit = [attribute for attribute in phrase.attributes if not _unanswered(tokens, (attribute,))]
            fit = fit or [*phrase.attributes]
            resolved.append(next((attribute for attribute in fit if attribute in entity.facts), fit[0]))
    distinct = tuple(dict.fromkeys(resolved))
    if strength == 3:
        return distinct
    held = tuple(attribute for attribute in distinct if attribute in entity.facts)
    return (held or distinct)[:1]


def _unanswered(tokens: Tokens, asked: tuple[str, ...]) -> Tokens:
    """The "who" or "when" in `tokens` that none of the facts `asked` answers."""
    return tuple(
        token for token in tokens if token in WANTED and not (asked and WANTED[token].issuperset(asked))
    )


_ASKING: Final = frozenset(word for phrase in PHRASES for word in phrase if len(phrase) == 1)


def _too_many(words: list[str], name: Tokens) -> bool:
    """Whether `words` spell `name` and hold another word, which may ask for something unknown."""
    if not {*words}.issuperset(_content(name)):
        return False
    return any(all(SequenceMatcher(None, word, token).ratio() < 0.6 for token in name) for word in words)


def _content(tokens: Tokens) -> list[str]:
    """The words of a query or a name that identify something.

    These are no fillers and no words that ask. Generic words count only where there are no others.
    """
    words = [token for token in tokens if token not in FILLER and token not in _ASKING]
    return [word for word in words if word not in GENERIC] or words


def _surroundings(entity: Entity) -> frozenset[str]:
    """Words for the place of an entity, which may follow its name: "Lima, Peru"."""
    places = [str(entity.facts[key][0]) for key in _PLACE_FACTS if key in entity.facts]
    words = {word for place in places for word in fold(place)}
    if entity.kind == "US state" or "United States" in places:
        words |= _AMERICAN
    return frozenset(words)


@cache
def load_atlas() -> Atlas:
    """The built-in atlas, read and indexed on the first call.

    Raises:
        pydantic.ValidationError: The file's table of sources is damaged.
    """
    folder = files("braid.executors.builtin.atlas")
    header, *rows = folder.joinpath("atlas.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
    cities = folder.joinpath("cities.tsv").read_text(encoding="utf-8").rstrip("\n").split("\n")
    return Atlas(
        (entity_of(json.loads(row)) for row in rows),
        {key: Source.model_validate(row) for key, row in json.loads(header)["sources"].items()},
        lesser={tuple(name.split(" ")): row for name, row in (line.split("\t") for line in cities)},
    )
