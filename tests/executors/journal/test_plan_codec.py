"""Plans come back from the journal exactly."""

from __future__ import annotations

import dataclasses
from typing import Any

from braid.executors import GraphPatch
from braid.executors.journal.plan_codec import dump_patch, load_patch
from braid.executors.nodes import AllOf, AnyOf, Ask, Const, Guard, Node, Ref, nodes
from tests.support.recorded_runs import plan


def test_plans_come_back_exactly() -> None:
    patch = GraphPatch(base_version=3, add=plan(), cancel=("z",), reason="why")
    assert load_patch(dump_patch(patch, running=("p",))) == (patch, ("p",))
    used = {type(part).__name__ for node in plan() for part in _parts(node)}
    known = {
        name for name, one in vars(nodes).items() if isinstance(one, type) and dataclasses.is_dataclass(one)
    }
    assert used == known, "a new part of plans is to be added here"


def _parts(value: Any) -> list[Any]:
    if dataclasses.is_dataclass(value):
        return [value, *(part for f in dataclasses.fields(value) for part in _parts(getattr(value, f.name)))]
    if isinstance(value, tuple):
        return [part for item in value for part in _parts(item)]
    return []


def test_parts_that_were_renamed_are_stored_under_their_first_names() -> None:
    condition = AllOf((Ref("a"), AnyOf((Ref("b"),))))
    patch = GraphPatch(
        base_version=0, add=(Node(id="q", op=Ask(Const("?")), guards=(Guard(condition, True),)),)
    )
    text = dump_patch(patch)
    assert '"":"All"' in text and '"":"Any_"' in text
    assert load_patch(text)[0] == patch
    later = text.replace('"":"All"', '"":"AllOf"').replace('"":"Any_"', '"":"AnyOf"')
    assert load_patch(later)[0] == patch
