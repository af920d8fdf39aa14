"""Toolsets drawn at random: the built-in tools, sensible others, and ones with names nobody has seen.

A planner must read its tools' names, parameters and fields from the prompt, never from memory. So training
shows every question with other tools.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from braid.executors.builtin import builtin_tools
from braid.executors.tools import ToolSpec
from braid.training.questions import invented_names as names
from braid.training.questions.program import LookupTool, RankTool, Style, Toolset
from braid.training.questions.template import words

Schema = dict[str, Any]
STR: Schema = {"type": "string"}
NUM: Schema = {"type": "number"}

_SEARCH_NAMES = words(
    "lookup look_up find find_fact wiki wikipedia encyclopedia fetch_fact get_fact query ask_atlas "
    "atlas knowledge facts retrieve fact_search search_facts web_search google reference get_info "
    "find_info almanac"
)
_SEARCH_TEXT = (
    "look up one fact, such as the height of a mountain",
    "look up a fact in the atlas",
    "search the built-in atlas for one fact about one thing",
    "find one fact about a place, an animal or a thing",
    "find a fact",
    "look something up",
    "encyclopedia lookup",
    "search for a fact, e.g. 'population of France'",
    "returns a fact about a subject",
    "answer a factual query with a typed fact",
    "get an attribute of an entity",
    "retrieve a single fact from the encyclopedia",
    "search the knowledge base",
    "fetch a number or a name from a reference work",
    "",
)
_CALC_NAMES = words(
    "calc compute evaluate math arithmetic eval_math calculator do_math solve evaluate_expression "
    "number_cruncher"
)
_CALC_TEXT = (
    "evaluate arithmetic",
    "evaluate an arithmetic expression",
    "evaluate an arithmetic expression exactly and safely",
    "compute the value of a formula",
    "work out an expression such as 2 * (3 + 4)",
    "a calculator",
    "do the sums: + - * / and parentheses",
    "arithmetic on numbers",
    "returns the numeric result of an expression",
    "calculator for plain arithmetic",
    "",
)
_RANK_NAMES = words(
    "sort_by order sort rank_by sort_names leaderboard ranking order_by rank_names sort_items arrange"
)
_RANK_TEXT = (
    "sort names by their values",
    "rank names by value",
    "order names by the numbers that belong to them",
    "put items in order of their values",
    "returns the names sorted by value",
    "sort a list of names, given one value for each",
    "rank items",
)
_ORDERS = (
    ("descending", "ascending"),
    ("descending", "ascending"),
    ("desc", "asc"),
    ("high_to_low", "low_to_high"),
    ("largest_first", "smallest_first"),
    ("largest first", "smallest first"),
    ("down", "up"),
    ("decreasing", "increasing"),
)
_ENTITY_PARAMETERS = words("entity name subject thing topic item of about title target place object")
_ATTRIBUTE_PARAMETERS = words("attribute property field fact what key measure quantity aspect feature")
_QUERY_PARAMETERS = words("query query query q text question phrase what term request")
_VALUE_FIELDS = words(
    "value value value amount number result quantity figure magnitude data content val answer"
)
_UNIT_FIELDS = words("unit unit unit units measure uom unit_name dimension")
_RECORD_NAMES = words("Fact Fact Record Entry Result Item Finding Info Row Value Measurement Answer")
_EXTRA_FIELDS = words("title text source name confidence url year id note kind description label page date")

_DISTRACTORS: tuple[tuple[str, Mapping[str, Schema], Schema | None, str], ...] = (
    (
        "python",
        {"code": STR},
        {"type": "object", "title": "PythonResult", "properties": {"stdout": STR, "value": STR}},
        "run Python code",
    ),
    ("python", {"code": STR}, STR, "run Python code in a sandbox and return what it prints"),
    ("now", {}, STR, "the current date and time"),
    ("now", {"timezone": STR}, STR, "the current date and time"),
    ("get_weather", {"city": STR}, STR, "the weather in a city"),
    (
        "weather",
        {"location": STR, "day": STR},
        {"type": "object", "title": "Weather", "properties": {"temperature": NUM, "sky": STR}},
        "weather forecast",
    ),
    ("translate", {"text": STR, "language": STR}, STR, "translate a text into a language"),
    ("send_email", {"to": STR, "subject": STR, "body": STR}, {"type": "boolean"}, "send an e-mail"),
    (
        "convert_currency",
        {"amount": NUM, "source": STR, "target": STR},
        NUM,
        "convert money between currencies",
    ),
    ("stock_price", {"symbol": STR}, NUM, "the price of a share"),
    ("read_file", {"path": STR}, STR, "read a text file"),
    ("write_file", {"path": STR, "content": STR}, None, "write a text file"),
    ("list_files", {"folder": STR}, {"type": "array", "items": STR}, "the files in a folder"),
    ("summarize", {"text": STR}, STR, "summarize a text"),
    ("book_flight", {"origin": STR, "destination": STR, "date": STR}, STR, "book a flight"),
    ("news", {"topic": STR}, {"type": "array", "items": STR}, "recent headlines"),
    ("set_alarm", {"time": STR}, None, "set an alarm"),
    (
        "random_number",
        {"low": {"type": "integer"}, "high": {"type": "integer"}},
        {"type": "integer"},
        "a random number",
    ),
    ("spell_check", {"text": STR}, STR, "correct the spelling"),
    ("sql", {"statement": STR}, {"type": "array", "items": {"type": "object"}}, "run a database query"),
    ("play_music", {"title": STR}, None, "play a song"),
    ("calendar", {"day": STR}, {"type": "array", "items": STR}, "appointments of a day"),
    ("draw_chart", {"values": {"type": "array", "items": NUM}}, STR, "draw a chart"),
    (
        "route",
        {"start": STR, "end": STR},
        {"type": "array", "items": STR},
        "directions from one place to another",
    ),
)
_ODD_VERBS = words(
    "fold polish mark count weave tune trace rinse stack label clean split merge wrap cool heat shift "
    "bind tag scan"
)


@dataclass(frozen=True)
class Toolbox:
    """A drawn toolset and the tools as the prompt shows them, distractors included, in random order."""

    toolset: Toolset
    specs: Sequence[ToolSpec]


def parameters(properties: Mapping[str, Schema]) -> Schema:
    """A JSON schema of parameters. Those without a default are required."""
    required = [name for name, schema in properties.items() if "default" not in schema]
    return {"type": "object", "properties": dict(properties), "required": required}


def draw_toolbox(
    rng: random.Random,
    attributes: Sequence[tuple[str, str, bool]],
    *,
    ranker: bool,
    calculator: bool,
    ranks: bool,
    more: Sequence[ToolSpec] = (),
    moods: tuple[float, float, float] = (38, 27, 35),
    described: float = 0.35,
) -> Toolbox:
    """Tools for questions about `attributes`.

    Args:
        rng: Draws.
        attributes: noun, kind of thing, and whether numeric, for each attribute that the plan looks up.
        ranker: whether a ranking tool may be there.
        calculator: whether the plan calculates. Otherwise the calculator may be missing.
        ranks: whether the plan ranks. The ranking tool is then there.
        more: further tools that the questions need.
        moods: how often the tools are the built-in ones, readable others, or ones with names of no meaning.
        described: how often a built-in tool is described in other words than its own.
    """
    mood = rng.choices(("builtin", "sensible", "odd"), moods)[0]
    odd = mood == "odd"

    def named(builtin: str, sensible: Sequence[str]) -> str:
        if mood == "sensible" and rng.random() < 0.25:
            return builtin
        return names.identifier(rng) if odd else rng.choice(sensible)

    def parameter(builtin: str, sensible: Sequence[str]) -> str:
        if mood == "sensible" and rng.random() < 0.3:
            return builtin
        return names.identifier(rng) if odd and rng.random() < 0.4 else rng.choice(sensible)

    if mood == "builtin":
        return _builtin_box(
            rng, attributes, ranker=ranker, calculator=calculator, ranks=ranks, more=more, described=described
        )
    specs: list[ToolSpec] = []
    style: Style = rng.choices(("query", "entity_attribute", "attribute_entity"), (6, 2, 2))[0]
    general = LookupTool(name=named("search", _SEARCH_NAMES), style=style)
    returns, value, unit = _lookup_result(rng, odd)
    general = LookupTool(name=general.name, style=style, value_field=value, unit_field=unit)
    if style == "query":
        properties = {parameter("query", _QUERY_PARAMETERS): STR}
    else:
        pair = rng.choice(_ENTITY_PARAMETERS), rng.choice(_ATTRIBUTE_PARAMETERS)
        properties = dict.fromkeys(pair if style == "entity_attribute" else pair[::-1], STR)
    if rng.random() < 0.06:
        properties[rng.choice(("limit", "top_k", "max_results"))] = {
            "type": "integer",
            "default": rng.choice((1, 3, 5, 10)),
        }
    general_spec = ToolSpec(
        name=general.name,
        description=_text(rng, _SEARCH_TEXT),
        parameters=parameters(properties),
        returns=returns,
    )

    specific: dict[str, LookupTool] = {}
    if rng.random() < 0.35:
        specific, specs = _specifics(rng, attributes, odd)
    if any(noun not in specific for noun, _, _ in attributes) or rng.random() < 0.5:
        specs.append(general_spec)

    calculate = named("calculate", _CALC_NAMES)
    if calculator or rng.random() < 0.85:
        name = parameter("expression", ("expression", "formula", "expr", "input", "text", "sum"))
        number = rng.choice((NUM, NUM, {"type": "integer"}, STR, {"anyOf": [{"type": "integer"}, NUM]}))
        specs.append(
            ToolSpec(
                name=calculate,
                description=_text(rng, _CALC_TEXT),
                parameters=parameters({name: STR}),
                returns=number,
            )
        )

    rank: RankTool | None = None
    if ranks or (ranker and rng.random() < 0.85):
        rank, spec = _ranker(rng, named("rank", _RANK_NAMES), parameter=parameter)
        specs.append(spec)

    toolset = Toolset(general=general, specific=specific, calculate=calculate, rank=rank)
    specs += more
    taken = {spec.name for spec in specs}
    if len(taken) < len(specs):
        raise LookupError("two tools drew the same name")
    specs += _others(rng, taken, room=7 - len(specs), odd=odd)
    rng.shuffle(specs)
    return Toolbox(toolset, specs)


def _text(rng: random.Random, options: Sequence[str]) -> str:
    text = rng.choice(options)
    return text[:1].upper() + text[1:] + "." if rng.random() < 0.3 and text else text


def _record(title: str, fields: Sequence[str]) -> Schema:
    return {"type": "object", "title": title, "properties": dict.fromkeys(fields, STR)}


def _lookup_result(rng: random.Random, odd: bool) -> tuple[Schema, str | None, str | None]:
    """The schema of a look-up's result with the names of its value and unit fields."""
    if rng.random() < 0.15:
        return NUM, None, None
    value = names.identifier(rng) if odd and rng.random() < 0.3 else rng.choice(_VALUE_FIELDS)
    unit = rng.choice(_UNIT_FIELDS) if rng.random() < 0.8 else None
    if unit == value:
        unit = None
    if value not in _VALUE_FIELDS:
        # A field of unknown name is the value because nothing else in the record can be.
        fields = [value] if unit is None else [value, unit]
        title = "Record"
    else:
        extra = rng.sample(_EXTRA_FIELDS, rng.randint(0, 2))
        fields = [value, *extra] if unit is None else [value, unit, *extra]
        title = (
            names.identifier(rng).capitalize() if odd and rng.random() < 0.4 else rng.choice(_RECORD_NAMES)
        )
    rng.shuffle(fields)
    return _record(title, fields), value, unit


def _specific(
    rng: random.Random, noun: str, kind: str, numeric: bool, odd: bool
) -> tuple[LookupTool, ToolSpec]:
    base = "_".join("".join(ch if ch.isalnum() else " " for ch in noun).split())
    name = rng.choice(
        (
            base,
            base,
            f"get_{base}",
            f"{base}_of",
            f"find_{base}",
            f"lookup_{base}",
            f"{kind.replace(' ', '_')}_{base}",
        )
    )
    if odd and rng.random() < 0.5:
        name = names.identifier(rng)
    text = rng.choice(
        (
            f"the {noun} of a {kind}",
            f"{noun} of a {kind}",
            f"returns the {noun}",
            f"look up the {noun} of something",
            f"get the {noun}",
        )
    )
    parameter = rng.choice((kind.replace(" ", "_"), "name", rng.choice(_ENTITY_PARAMETERS)))
    value: str | None = None
    unit: str | None = None
    if rng.random() < 0.6:
        returns = rng.choice((NUM, {"type": "integer"})) if numeric else STR
    else:
        returns, value, unit = _lookup_result(rng, odd)
        if value is None and not numeric:
            returns = STR
    tool = LookupTool(name=name, style="entity", value_field=value, unit_field=unit)
    return tool, ToolSpec(
        name=name, description=text, parameters=parameters({parameter: STR}), returns=returns
    )


def _ranker(rng: random.Random, name: str, *, parameter: Any) -> tuple[RankTool, ToolSpec]:
    items = parameter("names", ("names", "items", "labels", "things", "keys"))
    values = parameter("values", ("values", "scores", "numbers", "amounts", "weights"))
    order = parameter("order", ("order", "direction", "mode", "how"))
    if len({items, values, order}) < 3:
        items, values, order = "names", "values", "order"
    down, up = rng.choice(_ORDERS)
    words = [down, up] if rng.random() < 0.6 else [up, down]
    swapped = rng.random() < 0.2
    listing: Schema = {"type": "array", "items": STR}
    numbers: Schema = {"type": "array", "items": NUM}
    pair = {values: numbers, items: listing} if swapped else {items: listing, values: numbers}
    order_schema: Schema = {"enum": words}
    literals = f'"{down}"', f'"{up}"'
    if rng.random() < 0.12:
        order = rng.choice(("descending", "reverse"))
        order_schema, literals = {"type": "boolean"}, ("True", "False")
    if rng.random() < 0.3:
        order_schema["default"] = words[0] if "enum" in order_schema else rng.choice((True, False))
    spec = ToolSpec(
        name=name,
        description=_text(rng, _RANK_TEXT),
        parameters=parameters({**pair, order: order_schema}),
        returns=listing,
    )
    return RankTool(name=name, descending=literals[0], ascending=literals[1], values_first=swapped), spec


def _others(rng: random.Random, taken: set[str], *, room: int, odd: bool) -> list[ToolSpec]:
    """Tools that the question does not need."""
    others: list[ToolSpec] = []
    chosen = rng.sample(_DISTRACTORS, min(max(0, room), rng.choices((0, 1, 2, 3), (3, 3, 2, 1))[0]))
    for name, properties, returns, text in chosen:
        if odd and rng.random() < 0.5:
            name = names.identifier(rng)
            if rng.random() < 0.5:
                text = f"{rng.choice(_ODD_VERBS)} a {names.word(rng, accents=0.0)}"
        if name not in taken and room > 0:
            taken.add(name)
            room -= 1
            others.append(
                ToolSpec(name=name, description=text, parameters=parameters(properties), returns=returns)
            )
    return others


def builtin_toolbox() -> list[ToolSpec]:
    """What a planner sees of the built-in tools."""
    return [tool.spec for tool in builtin_tools()]


def _builtin_box(
    rng: random.Random,
    attributes: Sequence[tuple[str, str, bool]],
    *,
    ranker: bool,
    calculator: bool,
    ranks: bool,
    more: Sequence[ToolSpec],
    described: float,
) -> Toolbox:
    """The built-in tools, now and then described otherwise, with others beside them or some missing."""
    texts = {"search": _SEARCH_TEXT, "calculate": _CALC_TEXT, "rank": _RANK_TEXT}
    needed = {"search", *(["calculate"] if calculator else []), *(["rank"] if ranks else [])}
    specs: list[ToolSpec] = []
    whole = rng.random() < 0.6
    for spec in _BUILTIN:
        if spec.name == "rank" and not ranker:
            continue
        if spec.name not in needed and not whole and rng.random() < 0.5:
            continue
        if spec.name in texts and rng.random() < described:
            spec = replace(spec, description=_text(rng, texts[spec.name]))
        specs.append(spec)
    specific: dict[str, LookupTool] = {}
    if rng.random() < 0.08:
        specific, own = _specifics(rng, attributes, odd=False)
        specs += own
    specs += more
    taken = {spec.name for spec in specs}
    if len(taken) < len(specs):
        raise LookupError("two tools drew the same name")
    if rng.random() < 0.15:
        specs += _others(rng, taken, room=7 - len(specs), odd=False)
    if rng.random() < 0.7:
        rng.shuffle(specs)
    return Toolbox(Toolset(specific=specific, rank=RankTool() if "rank" in taken else None), specs)


def _specifics(
    rng: random.Random, attributes: Sequence[tuple[str, str, bool]], odd: bool
) -> tuple[dict[str, LookupTool], list[ToolSpec]]:
    """Tools of their own for some of the attributes."""
    tools: dict[str, LookupTool] = {}
    specs: list[ToolSpec] = []
    wanted = list(dict.fromkeys(attributes))
    for noun, kind, numeric in rng.sample(wanted, min(len(wanted), 3)):
        if rng.random() < 0.75:
            tool, spec = _specific(rng, noun, kind, numeric, odd)
            tools[noun] = tool
            specs.append(spec)
    return tools, specs


_BUILTIN = tuple(builtin_toolbox())
