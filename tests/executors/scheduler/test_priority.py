"""What the executor tells the engine about urgency."""

from __future__ import annotations

from typing import Any

import pytest

from braid.engine.scope.priority import ambient_priority
from braid.engine.scripted import ScriptedEngine
from braid.executors import tool
from braid.executors.nodes import Const, Node, Ref, Think
from tests.support.written_plans import Recorded, answer, call


@tool
async def same(x: Any) -> Any:
    return x


class Listening(ScriptedEngine):
    """Remembers how urgent each prompt was."""

    def __init__(self) -> None:
        super().__init__(lambda prompt: "Answer: yes")
        self.heard: dict[str, float] = {}

    async def prefill(self, prompt: Any, **options: Any) -> Any:
        self.heard[prompt[-1]["content"]] = ambient_priority()
        return await super().prefill(prompt, **options)


async def test_thinking_is_as_urgent_as_its_slack_is_small() -> None:
    engine = Listening()
    seconds = {"long": 2.0, "short": 1.0, "after": 5.0}
    nodes = [
        Node(id="long", op=Think(Const("long")), name="long"),
        Node(id="short", op=Think(Const("short")), name="short"),
        call("after", "same", x=Ref("long", ("answer",))),
        answer(Ref("after"), Ref("short")),
    ]

    def estimate(node: Node) -> float | None:
        return seconds.get(node.id)

    outcome = await Recorded().run(chunks=[nodes], tools=[same], engine=engine, estimate=estimate)
    assert outcome.answered
    assert engine.heard["long"] == pytest.approx(0.0, abs=0.5), "nothing may keep the critical path waiting"
    assert engine.heard["short"] == pytest.approx(-6.0, abs=0.5), "1 second in place of 2 + 5"
    assert ambient_priority() == 0.0
