"""How many prompt tokens of a plan can share KV, under two ways of laying prompts out.

    python benchmarks/prompt_sharing.py [--json] [--tokenizer FOLDER]

Runs the 20 plans of `_sharing_plans.py` with the real planner prompts, scheduler and tools, and records every
prompt that the engine is given. The engine is scripted. It writes the plan, and thoughts of 25 to 60 words.
Layouts:

    root   what Braid does. Each prompt begins with the run's root (language, tools, task), what differs comes
           last.
    node   each call has a prompt of its own: the planner gets language, tools and task, a thought a short
           system message.

A token is shareable when the prompt's prefix up to it was the prefix of an earlier prompt, as in a prefix
tree. `computed` is the rest, which an engine must read. Samples that fork one prompt (`n=...`) count that
prompt once in both layouts. `in a run` starts each run with an empty tree. `across runs` keeps one tree for
all 20.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from _sharing_plans import PLANS
from tokenizers import Tokenizer

from braid.engine import Message
from braid.engine.scripted import ScriptedEngine
from braid.executors import RunContext, TaskGraph, ToolRegistry, run_graph
from braid.executors.builtin import builtin_tools
from braid.planner import LLMPlanner, PlanTask, run_root

_NODE_SYSTEM: list[Message] = [
    {
        "role": "system",
        "content": "You work out one step of a larger task. "
        "Reply with the result only, in one or two sentences.",
    }
]
_WORDS = """
    the of and a to in is that it for on with as this by from its which
    more than deep high wide long river mountain people
    because however most risk cost far near water sun wind cold warm
    city country speed short large small about nearly
""".split()  # noqa: SIM905


@dataclass
class Count:
    """Number of prompts and of their tokens."""

    prompts: int = 0
    tokens: int = 0
    shared: int = 0
    """Tokens that an earlier prompt shares."""

    @property
    def computed(self) -> int:
        return self.tokens - self.shared


class PrefixTree:
    """The prefixes that were seen. A prefix is known by the number of its last token's node."""

    def __init__(self) -> None:
        self._next: dict[tuple[int, int], int] = {}

    def add(self, ids: Sequence[int]) -> int:
        """Insert `ids`. Returns how many leading tokens were there already."""
        node, shared = 0, 0
        for token in ids:
            known = self._next.get((node, token))
            shared += known is not None
            node = self._next.setdefault((node, token), len(self._next) + 1)
        return shared


def thought(prompt: str) -> str:
    """A made-up thought, the same for the same prompt."""
    rng = random.Random(prompt)
    return " ".join(rng.choice(_WORDS) for _ in range(rng.randint(25, 60))).capitalize() + "."


async def prompts_of(question: str, plan: str, *, shared_root: bool) -> list[str]:
    """Every prompt of one run, in the order in which the engine was given them."""

    def respond(prompt: str) -> str:
        return plan if "Write the plan" in prompt.rsplit("User:", 1)[-1] else thought(prompt)

    engine = ScriptedEngine(respond)
    tools = ToolRegistry(builtin_tools())
    task = PlanTask(question=question, tools=tools.specs(), graph=TaskGraph())
    outcome = await run_graph(
        task.graph,
        LLMPlanner(engine).start(task),
        RunContext(tools=tools, engine=engine, root=run_root(task) if shared_root else _NODE_SYSTEM),
    )
    if not outcome.answered:
        raise SystemExit(f"the plan for {question!r} did not run: {outcome.failures}")
    return engine.prefills


async def measure(encode: Callable[[str], list[int]]) -> dict[str, dict[str, Count]]:
    """Counts by layout and scope."""
    result: dict[str, dict[str, Count]] = {}
    for layout in ("root", "node"):
        counts = {"in a run": Count(), "across runs": Count()}
        everything = PrefixTree()
        for question, plan in PLANS:
            alone = PrefixTree()
            for prompt in await prompts_of(question, plan.strip() + "\n", shared_root=layout == "root"):
                ids = encode(prompt)
                for scope, tree in (("in a run", alone), ("across runs", everything)):
                    counts[scope].prompts += 1
                    counts[scope].tokens += len(ids)
                    counts[scope].shared += tree.add(ids)
        result[layout] = counts
    return result


def main() -> None:
    """Read the options, measure, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--tokenizer", type=Path, help="folder of a tokenizer (default: braid-mini's)")
    options = parser.parse_args()
    folder: Path = options.tokenizer or Path(__file__).parents[1] / "engine/local/models/braid-mini"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    counts = asyncio.run(measure(lambda text: tokenizer.encode(text, add_special_tokens=False).ids))
    if options.json:
        document = {
            layout: {scope: {**vars(c), "computed": c.computed} for scope, c in scopes.items()}
            for layout, scopes in counts.items()
        }
        print(json.dumps(document, indent=2))
        return
    print(f"{len(PLANS)} plans, tokens of {folder.name}")
    print(
        f"{'layout':<8}{'scope':<14}{'prompts':>8}{'tokens':>10}{'shareable':>11}{'share':>8}{'computed':>10}"
    )
    for layout, scopes in counts.items():
        for scope, c in scopes.items():
            share = c.shared / c.tokens
            print(
                f"{layout:<8}{scope:<14}{c.prompts:>8}{c.tokens:>10}"
                f"{c.shared:>11}{share:>8.1%}{c.computed:>10}"
            )


if __name__ == "__main__":
    main()
