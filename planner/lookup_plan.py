"""Plans of look-ups that code can write: a question that the atlas understands word by word.

The embedded model is small, and knows few of the facts that can be asked for by name. Where one look-up or
one query answers the whole question, its plan needs no model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from braid.executors.builtin import answer_query
from braid.executors.builtin.atlas import Fact, ask, load_atlas
from braid.executors.tools import ToolError


def lookup_plan(question: str) -> str:
    """The plan that looks `question` up with the built-in `search`. Empty where a planner is needed."""
    facts = answer_query(question)
    lines: list[str] = []
    answers: list[str] = []
    for number, fact in enumerate(facts, 1):
        query = next((query for query in _queries(question, fact) if _finds(query, fact)), None)
        if query is None:
            return ""
        name = f"a{number}" if len(facts) > 1 else "a"
        lines.append(f"{name} = search({json.dumps(query, ensure_ascii=False)})")
        answers.append(_said(name, fact))
    return "\n".join([*lines, f"answer({', '.join(answers)})\n"]) if facts else ""


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
