"""The canonical form of a plan: the same for plans that differ in names and in the order of statements."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, cast

from braid.executors.nodes import Answer, Map, Node, Ref


@dataclass(frozen=True)
class PlanForm:
    """What a plan says, whatever it calls its results."""

    whole: str
    """Equal for equal plans. Only the order of effects and answers counts."""
    answer: str
    """The same for the answers alone, with all that they are made of."""
    nodes: Mapping[str, str]
    """The form of each node, by id, with all that it is made of."""


def plan_form(nodes: Sequence[Node], *, is_effect: Callable[[Node], bool]) -> PlanForm:
    """The form of a plan.

    Args:
        nodes: Its nodes in plan order.
        is_effect: Whether the order of a node among others of that kind matters.
    """
    names: dict[str, str] = {}
    forms: dict[str, str] = {}
    for node in nodes:
        form = forms[node.id] = _digest(_form((node.op, node.guards), names))
        if node.name is not None:  # the branches of an `if` may bind it one after the other
            names[node.name] = _digest(sorted((names.get(node.name, ""), form)))
    ordered = [node for node in nodes if is_effect(node) or isinstance(node.op, Answer)]
    effects = [forms[node.id] for node in ordered]
    answer = [forms[node.id] for node in ordered if isinstance(node.op, Answer)]
    others = sorted(forms[node.id] for node in nodes if node not in ordered)
    return PlanForm(whole=_digest((effects, others)), answer=_digest(answer), nodes=forms)


def _form(part: Any, names: Mapping[str, str]) -> Any:
    match part:
        case Ref(name, path):
            return "ref", names.get(name, f"'{name}"), path
        case Map(var, over, body, on_error):
            inside = {**names, var: "item"}
            return "map", _form(over, names), _form(body, inside), on_error
        case tuple():
            return tuple(_form(item, names) for item in cast("tuple[Any, ...]", part))
        case _ if is_dataclass(part):
            return type(part).__name__, *(_form(getattr(part, f.name), names) for f in fields(part))
        case _:
            return type(part).__name__, part


def _digest(what: Iterable[Any]) -> str:
    return hashlib.blake2b(repr(what).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
