"""The names in a question: each is found in the atlas, and replaced by a sign that patterns can match.

"Which is higher, K2 or the Mont Blanc?" becomes "which is higher #0|1". What is no name and no word of any
form is taken for a misspelt word or name, and is resolved only if the rest of the question is understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Final

from braid.executors.builtin.atlas import (
    COMMON,
    FILLER,
    GENERIC,
    KIND_WORDS,
    PHRASES,
    Entity,
    fold,
    load_atlas,
)
from braid.executors.tools import ToolError
from braid.planner.routing import one_slip, plain

LONGEST_NAME: Final = 7
"""Most words of a name."""
MOST_WORDS: Final = 60
"""Most words of a question that is read."""
MOST_UNKNOWN: Final = 4
"""Most unknown words. A question with more is about something else."""
MIN_LIKENESS: Final = 0.8
"""Least similarity (0 to 1, as in `difflib`) of a misspelt name and the name that it is taken for."""

_TOKEN: Final = re.compile(
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\w)|\d+(?:\.\d+)?(?![\w.]*[^\W\d])|km/h|m/s|°[cf]|(?:km|m)[²2](?!\w)"
    r"|[^\W_]+(?:'[^\W_]+)*|[,;&+]",
    re.IGNORECASE,
)
_BETWEEN: Final = re.compile(r"[ .'()\-–,]*")
_JOIN: Final = re.compile(
    r"(#\d+(?:[+|]\d+)*)(?:'s)?"
    r"(?: ,(?: (and|or|vs|versus))?| (and|or|vs|versus|\+|with|against|plus))(?: also)?"
    r"(?: (?:that |those )?(?:of|in))? #(\d+)(?!\d)"
)
_SHORT: Final = ((r"\b(what|which|who|where|how)'?s\b", r"\1 is"), (r"\b(it|that)'s\b", r"\1 is"))


@dataclass(frozen=True, kw_only=True)
class Mention:
    """What a question names."""

    text: str
    entities: tuple[Entity, ...] = ()
    """What it may mean, the likeliest first. Empty for words that are not known."""


@dataclass(frozen=True, kw_only=True)
class Masked:
    """A question with signs in the place of names."""

    text: str
    mentions: tuple[Mention, ...]


@dataclass(frozen=True)
class _Piece:
    text: str
    start: int
    stop: int


def masked(question: str, known: frozenset[str]) -> Masked | None:
    """`question` with signs for names. None if it is too long or names nothing.

    Args:
        question: The question.
        known: Words that stand in forms. Others are parts of names, or misspelt.
    """
    text = question.replace("’", "'").replace("‘", "'")
    for short, full in _SHORT:
        text = re.sub(short, full, text, flags=re.IGNORECASE)
    pieces = [_Piece(found[0], found.start(), found.end()) for found in _TOKEN.finditer(text)]
    if not pieces or len(pieces) > MOST_WORDS:
        return None
    mentions: list[Mention] = []
    words: list[str] = []
    at = 0
    while at < len(pieces):
        size, mention = _name_at(text, pieces, at)
        if mention is None:
            words.append(_word(pieces[at].text))
            at += 1
            continue
        words.append(f"#{len(mentions)}" + ("'s" if re.search(r"'s$|s'$", mention.text) else ""))
        mentions.append(mention)
        at += size
    unknown = [word for word in words if not word.startswith("#") and not _is_known(word, known)]
    if len(unknown) > MOST_UNKNOWN or len(mentions) + len(unknown) == 0:
        return None
    words = list(_misspelt(words, mentions, known))
    return Masked(text=_joined(_bare(words, mentions)), mentions=tuple(mentions))


def named_alone(text: str) -> tuple[Entity, ...]:
    """What `text` may mean if it is a name and nothing else. Empty otherwise."""
    entity = load_atlas().get(text)
    if entity is None or (len(text.split()) == 1 and _is_ordinary(text, [])):
        return ()
    return _readings(entity)


_SECOND: Final = re.compile(r"[,;?.]? and (?=(?:how|what|who|where|when|which)\b)", re.IGNORECASE)
_PRONOUN: Final = re.compile(r"\b(?:(its|their)|(?:it|they|he|she))\b", re.IGNORECASE)


def parts_of_question(question: str) -> list[str]:
    """The questions in "When was X built and how tall is it?", each with its name."""
    parts = _SECOND.split(question)
    if len(parts) != 2 or len(_PRONOUN.findall(parts[1])) != 1:
        return [question]
    found = masked(parts[0], frozenset(_ORDINARY))
    names = [mention.text for mention in found.mentions if mention.entities] if found else []
    if len(names) != 1 or _PRONOUN.search(parts[0]):
        return [question]
    name = re.sub(r"'s$", "", names[0])
    return [parts[0], _PRONOUN.sub(lambda at: f"{name}'s" if at[1] else name, parts[1])]


def known_as(mention: Mention) -> Mention:
    """`mention` with what it names, where it is a misspelt name."""
    entity = None if mention.entities else _near(mention.text)
    return mention if entity is None else Mention(text=mention.text, entities=_readings(entity))


@lru_cache(maxsize=1024)
def _near(text: str) -> Entity | None:
    atlas = load_atlas()
    try:
        fact = atlas.lookup(text)
    except ToolError:
        return None
    entity = atlas.get(fact.title)
    if entity is None or fact.attribute != next(iter(entity.facts)):
        return None
    spelling = "".join(fold(text))
    names = ("".join(fold(name)) for name in (entity.title, *entity.aliases))
    near = any(SequenceMatcher(None, spelling, name).ratio() >= MIN_LIKENESS for name in names)
    return entity if near else None


def _readings(entity: Entity) -> tuple[Entity, ...]:
    others = (load_atlas().get(title) for title in entity.namesakes)
    return (entity, *(other for other in others if other is not None))


def _word(text: str) -> str:
    word = plain(text).replace("^2", "2").strip()
    return {";": ",", "&": "and", "isnt": "isn't", "arent": "aren't", "doesnt": "doesn't"}.get(word, word)


def _name_at(text: str, pieces: list[_Piece], at: int) -> tuple[int, Mention | None]:
    """The longest name that begins at the piece `at`, and how many pieces it takes."""
    if pieces[at].text in (",", ";", "&", "+"):
        return 0, None
    for size in range(min(LONGEST_NAME, len(pieces) - at), 0, -1):
        last = pieces[at + size - 1]
        span = text[pieces[at].start : last.stop]
        if last.text in (",", ";", "&", "+") or re.search(r"[?!:;]|\. ", span[:-1].replace("St. ", "")):
            continue
        if size == 1 and _is_ordinary(span, [piece.text.lower() for piece in pieces[:at]]):
            continue
        if fold(span)[:1] in (("the",), ("a",), ("an",)):
            continue
        entity = load_atlas().get(span)
        if entity is not None:
            return size, Mention(text=span, entities=_readings(entity))
    return 0, None


_ORDINARY: Final = COMMON | FILLER | GENERIC | {word for phrase in PHRASES for word in phrase}


def _is_ordinary(word: str, before: list[str]) -> bool:
    """Whether a single word that is also a name is used as a word."""
    if word.isdigit() or len(word) < 2:
        return True
    if not {*fold(word)} <= _ORDINARY:
        return False
    if word.lower() in ("earth", "sun"):
        near = [each for each in before[-2:] if each != "the"]
        return bool(near) and near[-1] in ("on", "to", "from", "around")
    return not ((word.isupper() and len(word) < 4) or (word.lower() == "moon" and before[-1:] == ["the"]))


def _misspelt(words: list[str], mentions: list[Mention], known: frozenset[str]) -> Iterator[str]:
    """`words`, with those that no form has mended, or taken together as a name to be resolved later."""
    run: list[str] = []
    for word in (*words, ""):
        if word and not word.startswith("#") and not _is_known(word, known):
            run.append(word)
            continue
        mended = [_nearest(each, known) for each in run]
        front, back = 0, len(run)
        if not any(mended) or len(run) == 1 or _near(" ".join(run)) is None:
            while front < back and mended[front] is not None:
                front += 1
            while front < back and mended[back - 1] is not None:
                back -= 1
        yield from (each for each in mended[:front] if each is not None)
        if front < back:
            mentions.append(Mention(text=" ".join(run[front:back])))
            yield f"#{len(mentions) - 1}"
        yield from (each for each in mended[back:] if each is not None)
        run.clear()
        if word:
            yield word


_JOINING: Final = (
    "the",
    "a",
    "an",
    ",",
    "+",
    "and",
    "or",
    "vs",
    "versus",
    "with",
    "against",
    "plus",
    "minus",
)


def _is_known(word: str, known: frozenset[str]) -> bool:
    return word in known or word in _JOINING or word[0].isdigit()


@lru_cache(maxsize=4096)
def _nearest(word: str, known: frozenset[str]) -> str | None:
    """The one word of a form that is a slip of the keyboard away."""
    if len(word) < 3 or not word.isalpha():
        return None
    least = 3 if len(word) > 3 else 4
    near = [o for o in known if len(o) > least and o[0] == word[0] and one_slip(word, o)]
    return near[0] if len({other.removesuffix("s") for other in near}) == 1 else None


def _bare(words: list[str], mentions: list[Mention]) -> list[str]:
    """`words` without articles, and without words that only say what kind of thing a name is."""
    words = [word for word in words if word not in ("the", "a", "an")]
    out: list[str] = []
    for at, word in enumerate(words):
        before = words[at - 1] if at else ""
        after = words[at + 1] if at + 1 < len(words) else ""
        if not (_says_kind(word, before, mentions) or _says_kind(word, after, mentions)):
            out.append(word)
    return out


def _says_kind(word: str, beside: str, mentions: list[Mention]) -> bool:
    found = re.fullmatch(r"#(\d+)", beside)
    folded = fold(word)
    if found is None or (folded in PHRASES and PHRASES[folded].strength == 3) or word in ("capital", "or"):
        return False
    entities = mentions[int(found[1])].entities[:1]
    return any({*folded} <= KIND_WORDS.get(entity.kind, frozenset[str]()) for entity in entities) and bool(
        folded
    )


def _joined(words: list[str]) -> str:
    """The text, with lists of names as one sign each: "#0+1" for "and", "#0|1" for "or"."""
    text = " ".join(words)
    while (found := _JOIN.search(text)) is not None:
        sign = "|" if "or" in (found[2], found[3]) or "|" in found[1] else "+"
        names = re.sub(r"[+|]", sign, found[1])
        text = f"{text[: found.start()]}{names}{sign}{found[4]}{text[found.end() :]}"
    return " ".join(text.replace(",", " ").split())
