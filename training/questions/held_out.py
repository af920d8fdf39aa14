"""What training must never show: held-out wordings, held-out titles, and the frozen planning set itself."""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Iterator
from importlib.resources import files

from braid.training.questions.templates import NUMERIC
from braid.training.questions.world import held_out

_PAIRED = frozenset({"Operation", "Problem", "Wording"})
"""Classes whose second argument is the held-out wording."""
_SMALL = frozenset(
    [
        "of",
        "in",
        "a",
        "an",
        "is",
        "are",
        "the",
        "than",
        "by",
        "to",
        "it",
        "and",
        "or",
        "for",
        "how",
        "much",
        "what",
        "which",
        "does",
        "do",
        "be",
        "would",
        "that",
        "with",
        "from",
        "times",
        "as",
        "on",
    ]
)
_SUN = re.compile(r"(?:from|to) the sun\b", re.IGNORECASE)
"""The sun as part of an attribute, "distance from the sun"."""
_WORD = re.compile(r"\w+")


def forbidden_text(question: str, program: str) -> str | None:
    """Why a question with this program must not be trained on, or None.

    Args:
        question: as the prompt shows it.
        program: its plan for the built-in tools.
    """
    if title := _held_title(question):
        return f"the title {title!r} is held out"
    words = frozenset(_plain(question).split())
    for wording, needed, pattern in _wordings():
        if needed <= words and pattern.search(question):
            return f"the wording {wording!r} is held out"
    questions, programs = _frozen()
    if _plain(question) in questions:
        return "the question is in the frozen planning set"
    if program.casefold() in programs:
        return "the program is in the frozen planning set"
    return None


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))


@functools.cache
def _frozen() -> tuple[frozenset[str], frozenset[str]]:
    questions: set[str] = set()
    programs: set[str] = set()
    for file in (files("braid.evals.tasks") / "planning").iterdir():
        if file.name.endswith(".jsonl") and file.name != "facts.jsonl":
            for line in file.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                questions.add(_plain(row["question"]))
                programs.add(row["plan"].casefold())
    return frozenset(questions), frozenset(programs)


@functools.cache
def _titles() -> dict[str, bool]:
    """Titles and other names of the frozen atlas as plain words, and whether they are held out."""
    titles: dict[str, bool] = {}
    text = (files("braid.evals.tasks") / "planning" / "facts.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        titles[_plain(row["title"])] = held_out(row["title"])
    for row in rows:
        for alias in row["aliases"]:
            titles.setdefault(_plain(alias), held_out(row["title"]))
    return titles


@functools.cache
def _longest_title() -> int:
    return max(len(title.split()) for title in _titles())


def _held_title(question: str) -> str | None:
    """A held-out title among the words of the question. One inside a longer title does not count."""
    words = _plain(_SUN.sub(" ", question)).split()
    at = 0
    while at < len(words):
        for size in range(min(_longest_title(), len(words) - at), 0, -1):
            title = " ".join(words[at : at + size])
            if title in _titles():
                if _titles()[title]:
                    return title
                at += size - 1
                break
        at += 1
    return None


@functools.cache
def _wordings() -> tuple[tuple[str, frozenset[str], re.Pattern[str]], ...]:
    """The held-out wordings of the generators, each with the words it must have and a pattern that finds it."""
    found = {pattern for attribute in NUMERIC for pattern in attribute.held_asks}
    folder = files("braid.training.questions")
    for name in ("", "families", "beyond", "templates", "tools"):
        for file in (folder / name if name else folder).iterdir():
            if file.name.endswith(".py"):
                found.update(_held_strings(ast.parse(file.read_text(encoding="utf-8"))))
    found = {re.sub(r"\{\w*\}(?:\s*\{\w*\})+", "{_}", text) for text in found}
    return tuple((text, _needed(text), _pattern(text)) for text in sorted(found) if _telling(text))


def _held_strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="held" | "held_asks", value=value):
                yield from _strings(value)
            case ast.Call(func=ast.Name(id=name), args=[_, second, *_]) if name in _PAIRED:
                yield from _strings(second)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name.lower().startswith(
                ("held", "_held")
            ):
                yield from _strings(value)
            case ast.AugAssign(target=ast.Name(id="held"), value=value):
                yield from _strings(value)
            case _:
                pass


def _strings(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(v.value if isinstance(v, ast.Constant) else "{_}" for v in values)  # pyright: ignore
        case ast.Tuple(elts=elts) | ast.List(elts=elts):
            for element in elts:
                yield from _strings(element)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _strings(body)
            yield from _strings(orelse)
        case ast.Call(func=ast.Attribute(value=value)):
            yield from _strings(value)
        case _:
            pass


def _needed(text: str) -> frozenset[str]:
    """The words that a question in this wording has in any case: those outside slots and alternatives."""
    while (inner := re.sub(r"\[[^\[\]]*\]", " ", text)) != text:
        text = inner
    return frozenset(_plain(re.sub(r"\w*\{\w*\}\w*", " ", text)).split())


def _telling(text: str) -> bool:
    """Whether the wording has words enough of its own to be told from others. Most have."""
    needed = _needed(text)
    if "{" in text:
        return len(needed) > 2 and bool(needed - _SMALL)
    return bool(needed)


def _own_words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", re.sub(r"\{\w*\}", " ", re.sub(r"\|[^\[\]|]*", "", text)).lower())


def _pattern(text: str) -> re.Pattern[str]:
    """A pattern for a wording: `[a|b]` are alternatives, `{x}` is any text.

    A wording of one or two words counts at the beginning of a question or a sentence alone.
    """
    pieces: list[str] = []
    for token in re.findall(r"\{\w*\}|[\[\]|]|\s+|[^\s\[\]|{}]+", text):
        match token:
            case "[":
                pieces.append("(?:")
            case "]":
                pieces.append(")")
            case "|":
                pieces.append("|")
            case _ if token.startswith("{"):
                pieces.append(r"[^?!]{1,150}?")
            case _ if token.isspace():
                pieces.append(r"\s*")
            case _:
                pieces.append(rf"(?<!\w){re.escape(token)}" if token[0].isalnum() else re.escape(token))
                if token[-1].isalnum():
                    pieces.append(r"(?!\w)")
    start = r"(?:^|[.:!?,-]\s*)" if len(_own_words(text)) < 3 and not text.startswith("{") else ""
    return re.compile(start + "".join(pieces), re.IGNORECASE)
