"""Small talk and questions about Braid itself.

A phrase of small talk is taken as a whole. A question about Braid is taken where it has the words that ask for
it, and every other word belongs to the asking too. Answers are built from what this installation is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from braid.planner.routing.wording import one_slip, plain, table

_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_QUESTION_WORDS: Final = frozenset(
    [
        "what",
        "what's",
        "whats",
        "which",
        "who",
        "who's",
        "whos",
        "how",
        "when",
        "where",
        "why",
        "is",
        "are",
        "was",
        "were",
        "do",
        "does",
        "did",
        "can",
        "could",
        "would",
        "will",
        "tell",
        "give",
        "calculate",
        "convert",
        "compute",
        "list",
        "name",
        "show",
        "find",
        "please",
        "i",
        "my",
        "if",
        "in",
        "wie",
        "was",
        "wer",
        "wo",
        "wann",
        "welche",
        "welcher",
        "quel",
        "quelle",
        "combien",
        "que",
        "cuanto",
        "cual",
        "quanto",
        "quante",
        "qual",
        "hoe",
        "wat",
        "square",
        "half",
        "rank",
        "compare",
        "solve",
        "add",
        "divide",
        "multiply",
    ]
)
_PEELED: Final = ("greeting", "thanks", "praise")
_ORDER: Final = (
    "joke",
    "help",
    "who",
    "mood",
    "bored",
    "test",
    "complaint",
    "leave",
    "bye",
    "thanks",
    "sorry",
    "praise",
    "greeting",
)
"""Of several phrases, the first of these is answered."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """What Braid says about itself: the facts of this installation."""

    version: str = ""
    engine: str = ""
    """Address of the engine."""
    model: str = ""
    local: bool = True
    """Whether the engine runs in this process."""
    chat: bool = False
    """Whether the engine's model writes free text."""
    tools: Sequence[str] = ()
    facts: bool = False
    """Whether the built-in look-up of facts is among the tools."""
    other_tools: bool = False
    """Whether tools beside Braid's own are registered."""


@dataclass(frozen=True, kw_only=True)
class Talk:
    """What a text says beside a question, and the question that is left."""

    intent: str | None
    """What the text is. None where a question is left, or it is no small talk."""
    language: str
    question: str
    """The text without the greeting before it and the thanks behind it."""


@cache
def _phrases() -> Mapping[tuple[str, ...], str]:
    return {
        tuple(_WORD.findall(plain(phrase))): intent
        for intent, phrases in table("talk")["phrases"].items()
        for phrase in phrases
        if intent != "leave" or phrase[0].isalpha()
    }


def talk(text: str) -> Talk:
    """Read the small talk of `text`."""
    spans = list(_WORD.finditer(text))
    words = [plain(span[0]) for span in spans]
    intents = _covered(words)
    if intents:
        return Talk(intent=min(intents, key=_ORDER.index), language=_language(words), question="")
    begin, end = 0, len(words)
    while size := _peeled(words[begin:end]):
        behind = (
            text[spans[begin + size - 1].end() : spans[begin + size].start()] if begin + size < end else ""
        )
        if not (
            re.search(r"[,.!;:\n]|\s[-–—]\s", behind)
            or words[begin + size] in _QUESTION_WORDS
            or words[begin + size].isdigit()
        ):
            break
        begin += size
    for size in range(min(4, end - begin - 1), 0, -1):
        if _phrases().get(tuple(words[end - size : end])) == "thanks" and re.search(
            r"[,.!?;:\n]|\s[-–—]\s", text[spans[end - size - 1].end() : spans[end - size].start()]
        ):
            end -= size
            break
    if (begin, end) == (0, len(words)):
        return Talk(intent=None, language="en", question=text.strip())
    stop = spans[end].start() if end < len(spans) else len(text)
    return Talk(
        intent=None,
        language="en",
        question=text[spans[begin].start() if begin else 0 : stop].strip().rstrip(","),
    )


def _peeled(words: list[str]) -> int:
    for size in range(min(5, len(words) - 1), 0, -1):
        if _phrases().get(tuple(words[:size])) in _PEELED:
            return size + (words[size] in ("braid", "there") and size + 1 < len(words))
    return 0


def _covered(words: list[str]) -> list[str]:
    """The intents of the phrases that `words` consist of. Empty where a word is left."""
    if not words or len(words) > 16:
        return []
    best: dict[int, list[str]] = {0: []}
    for end in range(1, len(words) + 1):
        for begin in range(max(0, end - 8), end):
            if begin in best and end not in best:
                intent = _phrases().get(tuple(words[begin:end])) or _slipped(words[begin:end])
                if intent is not None:
                    best[end] = [*best[begin], intent]
                elif best[begin] and all(word in _BETWEEN for word in words[begin:end]):
                    best[end] = best[begin]
    return best.get(len(words), [])


_BETWEEN: Final = frozenset(
    [
        "braid",
        "there",
        "everyone",
        "all",
        "and",
        "so",
        "very",
        "much",
        "please",
        "today",
        "a",
        "lot",
        "you",
        "that",
        "was",
        "friend",
        "my",
        "dear",
        "well",
        "again",
    ]
)


def _slipped(words: list[str]) -> str | None:
    """The intent of a phrase with one slip in each of its longer words."""
    if not any(len(word) > 4 for word in words):
        return None
    for phrase, intent in _phrases().items():
        if len(phrase) == len(words) and all(
            a == b or (len(b) > 4 and a[0] == b[0] and one_slip(a, b))
            for a, b in zip(words, phrase, strict=True)
        ):
            return intent
    return None


def _language(words: list[str]) -> str:
    for language, marks in table("talk")["languages"].items():
        if {*words} & {*marks}:
            return language
    return "en"


def reply(intent: str, language: str, here: Installation) -> tuple[str, bool]:
    """The answer to small talk, and whether it declines."""
    if intent in ("help", "who"):
        return about_answer("can" if intent == "help" else "who", here), False
    replies = table("talk")["replies"]
    return replies.get(language, {}).get(intent) or replies["en"][intent], intent == "joke"


def about(text: str, here: Installation) -> str | None:
    """Which intent a question about Braid has. None where it asks for something else."""
    text = plain(text).replace("’", "'")
    words = re.findall(r"[^\W_]+(?:['-][^\W_]+)*", re.sub(r"\bgpt[- ]?(\d)\w*", "gpt", text))
    if not words or len(words) > 24 or re.search(r"\b(?:a|the|hair) braids?\b", text):
        return None
    if words == ["version"]:
        return "version"
    section: Mapping[str, Any] = table("talk")["about"]
    function = {*section["function"]}
    found = {*words}
    for intent in section["intents"]:
        needed: list[list[str]] = intent["need"]
        explained = function.union(intent["allow"], *needed)
        if not found <= explained or found & {*intent.get("never", ())}:
            continue
        if all(found & {*group} for group in needed) and (found & _YOURS or intent["id"] in _IMPERSONAL):
            return str(intent["id"])
    return None


_YOURS: Final = frozenset({"you", "your", "yours", "yourself", "u", "braid", "you're", "youre", "braid's"})
_IMPERSONAL: Final = ("switch", "privacy", "tools", "model", "licence", "can", "version", "memory", "how")
"""Intents that need no word for Braid. `this` and `i` are enough."""


def about_answer(intent: str, here: Installation) -> str:
    """The answer to a question about Braid, from the facts of this installation."""
    tools = ", ".join(here.tools) or "none"
    where = "in this process, on this machine" if here.local else "on the server of that address"
    model = (
        f"The engine is {here.engine or 'not known'}"
        + (f" with the model {here.model}" if here.model else "")
        + f", which runs {where}."
    )
    match intent:
        case "who":
            return f"I am Braid{f' {here.version}' if here.version else ''}, a program. {_abilities(here)}"
        case "can":
            return f"{_abilities(here)} Tools: {tools}. Try: Which is deeper, Lake Baikal or Lake Tanganyika, and by how much?"
        case "cannot":
            limits = (
                "I have no news, no prices and no live data"
                if here.facts and not here.other_tools
                else "I know what my tools tell me"
            )
            writing = (
                "" if here.chat else " The small model that plans cannot write texts, translate or chat."
            )
            return (
                f"{limits}, and I can be wrong: facts have gaps, and a plan can miss the question.{writing}"
            )
        case "product":
            name = f" The model behind it now is {here.model}." if here.model else ""
            return f"No, I am Braid, a program of its own.{name}"
        case "model":
            return model
        case "privacy":
            return _privacy(here)
        case "switch":
            return (
                f"{model} Another one is taken with --engine, such as `braid run --engine openai:http://127.0.0.1:8000/v1#my-model`, "
                "with BRAID_ENGINE, or with /engine in a session. docs/models.md has the details."
            )
        case "version":
            return (
                f"This is Braid {here.version}."
                if here.version
                else "The version is not known: Braid is not installed as a package."
            )
        case "tools":
            return f"Plans may call these tools: {tools}. `braid tools` describes them, and --mcp adds more."
        case "sources":
            source = (
                "Facts come from an atlas that is installed with Braid, not from the internet."
                if here.facts
                else "Facts come from the tools that are registered."
            )
            return f"{source} Tools: {tools}."
        case "age":
            return f"I am a program{f', version {here.version}' if here.version else ''}, and have no age or home. I run on this machine."
        case _:
            return str(table("talk")["about"]["answers"][intent])


def _abilities(here: Installation) -> str:
    facts = (
        "I answer questions of fact about places, animals, buildings and elements, compare and compute"
        if here.facts
        else "I answer questions with the tools that are registered, and compute"
    )
    writing = ", and write texts" if here.chat else ""
    place = " All of it runs on this machine." if here.local and not here.other_tools else ""
    return f"{facts}, convert units, reckon with dates and time zones{writing}.{place}"


def _privacy(here: Installation) -> str:
    if here.local:
        text = "No: the model runs on this machine, and your questions are not sent anywhere by it."
        text += (
            " The tools that are registered beside Braid's own may reach out."
            if here.other_tools
            else " Facts and sums are worked out here too."
        )
    else:
        text = f"Your questions go to the engine at {here.engine.partition('#')[0]}. Its operator decides what becomes of them."
    return f"{text} Runs are written into a journal on your own disk. --no-journal leaves that out."


def wants_writing(text: str) -> bool:
    """Whether `text` asks for text that a model writes: a poem, a translation, a summary."""
    section = table("talk")["writing"]
    nouns = "|".join(map(re.escape, section["texts"]))
    made = [rf"{verb}(?: [^\W_]+){{0,4}}? (?:{nouns})" for verb in section["making"]]
    return _begins(text, [*section["verbs"], *section["phrases"]]) or _begins(text, made, pattern=True)


def wants_explaining(text: str) -> bool:
    """Whether `text` asks for an explanation in a model's own words."""
    return _begins(text, table("talk")["writing"]["explaining"])


def _begins(text: str, beginnings: Sequence[str], *, pattern: bool = False) -> bool:
    bare = re.sub(
        r"^(?:(?:please|pls|can you|could you|would you|will you|kindly|now)\b[ ,]*)+", "", plain(text)
    )
    return any(re.match(rf"{start if pattern else re.escape(start)}\b", bare) for start in beginnings)
