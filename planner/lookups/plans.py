"""The plan of a question that the atlas understands word by word. No model is asked.

The embedded model is small, and knows few of the facts that can be asked for by name. A question about one
thing becomes one look-up or one query. A question about several becomes look-ups that run side by side, and
what is computed from them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from braid.executors.builtin import answer_query
from braid.executors.builtin.atlas import Fact, ask, load_atlas
from braid.executors.tools import ToolError
from braid.planner.lookups.draft import quoted
from braid.planner.lookups.facts import found_as
from braid.planner.lookups.forms import WORDINGS, known_words, readings
from braid.planner.lookups.languages import languages_of, translated
from braid.planner.lookups.names import known_as, masked, named_alone, parts_of_question
from braid.planner.lookups.several import written

MOST_WORDS: Final = 20
"""Most words of a question about one thing."""


def lookup_plan(
    question: str,
    tools: Collection[str] = ("search", "calculate", "rank", "now"),
    *,
    remarks: bool = True,
) -> str:
    """The plan that answers `question` from the atlas. Empty where a planner is needed.

    Args:
        question: What a person typed.
        tools: Names of the tools that the plan may call.
        remarks: Whether the answer may be a sentence. Values of other types than text are none.
    """
    if not remarks:
        return _about_one(question)
    for text in translated(question):
        if plan := _plan(text, tools):
            return plan
    return "" if languages_of(question) else _plan(question, tools)


def _plan(question: str, tools: Collection[str]) -> str:
    return _about_name(question) or _about_several(question, tools) or _about_one(question)


def _about_name(question: str) -> str:
    """The plan for a name alone: what is known of it, and of what else is called so."""
    text = re.sub(WORDINGS["edges"]["about"], "", question.strip(" ?!."), flags=re.IGNORECASE)
    entities = named_alone(text)
    if not entities or any(found_as(entity.title) is not entity for entity in entities):
        return ""
    names = "abcdefgh"[: len(entities)]
    lines = [f"{name} = search({quoted(each.title)})" for name, each in zip(names, entities, strict=True)]
    return "\n".join((*lines, f"answer({', '.join(f'{name}.text' for name in names)})\n"))


def _about_several(question: str, tools: Collection[str]) -> str:
    found = masked(question, known_words())
    if found is None:
        return ""
    for reading in readings(found.text):
        draft = written(reading, [known_as(mention) for mention in found.mentions])
        if draft is not None and draft.tools <= {*tools}:
            return str(draft)
    return ""


def _about_one(question: str) -> str:
    """The plan for one or more questions about one thing."""
    if len(question.split()) > MOST_WORDS:
        return ""
    asked = [(part, fact) for part in parts_of_question(question) for fact in answer_query(part)]
    if len({part for part, _ in asked}) < len(parts_of_question(question)):
        return ""
    lines: list[str] = []
    answers: list[str] = []
    for number, (part, fact) in enumerate(asked, 1):
        query = next((query for query in _queries(part, fact) if _finds(query, fact)), None)
        if query is None:
            return ""
        name = f"a{number}" if len(asked) > 1 else "a"
        lines.append(f"{name} = search({quoted(query)})")
        answers.append(_said(name, fact))
    return "\n".join([*lines, f"answer({', '.join(answers)})\n"]) if asked else ""


def _queries(question: str, fact: Fact) -> Iterator[str]:
    if not fact.entries:
        yield f"{fact.attribute} of {fact.title}"
    yield " ".join(question.split())


def _finds(query: str, fact: Fact) -> bool:
    """Whether the tool, asked for `query`, finds `fact`, or for a winner's name what it is named after."""
    try:
        found = ask(load_atlas(), query) or load_atlas().lookup(query)
    except ToolError:
        return False
    if fact.attribute == "name":
        return bool(fact.entries) and found.entries == fact.entries
    return (found.title, found.attribute, found.value) == (fact.title, fact.attribute, fact.value)


def _said(name: str, fact: Fact) -> str:
    if fact.attribute != "name":
        return name
    if len(fact.entries) == 1:
        return f"{name}.title"
    titles = " or ".join(f"{{{name}.entries[{place}].title}}" for place in range(len(fact.entries)))
    return f'f"{titles}"'
