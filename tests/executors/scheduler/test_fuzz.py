"""Random patches on running graphs, and plans with random damage.

All errors are typed, there is no cycle, every run ends, and nothing in a plan's text is executed.
"""

from __future__ import annotations

import asyncio
import builtins
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from braid.engine import BraidError
from braid.executors import GraphPatch, Limits, RunContext, TaskGraph, ToolRegistry, run_graph, tool
from braid.executors.graph import GraphError
from braid.executors.graph.state import NodeRecord
from braid.executors.nodes import Compare, Const, Field, Node, Ref, Template
from braid.executors.tools.errors import ToolError
from braid.planner import compile_plan
from tests.support.virtual_clock import VirtualClockLoop
from tests.support.written_plans import answer, branch, call, expr, joined, mapped

CI, LONG = 1_000, 50_000
"""Plans, and as many patch sequences."""


@tool
async def now(x: Any = None) -> Any:
    return x


@tool(effect="idempotent")
async def later(x: Any = None, seconds: float = 1.0) -> Any:
    await asyncio.sleep(seconds)
    return x


@tool
async def fails(x: Any = None) -> Any:
    raise ToolError("no")


@tool
async def crashes(x: Any = None) -> Any:
    await asyncio.sleep(0.5)
    raise RuntimeError("no")


@tool
async def listed(n: int = 3) -> list[int]:
    return list(range(n))


@tool(max_concurrency=2)
async def narrow(x: Any = None) -> Any:
    await asyncio.sleep(0.1)
    return x


@tool
async def picky(x: Any = None) -> Any:
    await asyncio.sleep(0.2)
    if x == 1:
        raise ToolError("not 1")
    return x


@tool
async def check(x: Any) -> bool:
    await asyncio.sleep(0.3)
    return x in (0, 1, "text")


@tool(effect="mutating")
async def books(x: Any = None) -> Any:
    await asyncio.sleep(0.4)
    return x


async def is_one(question: str, answer: Any) -> bool:
    return answer == 1


TOOLS = ToolRegistry([now, later, fails, crashes, listed, narrow, picky, check, books])
POLICIES = ["all", "first", "some", "vote", "verified", "confident"]
NAMES = [f"v{i}" for i in range(12)]


class Patches:
    """Patches as a planner gone mad would write them, most of them valid."""

    def __init__(self, rng: random.Random, graph: TaskGraph) -> None:
        self.rng = rng
        self.graph = graph
        self.made = 0
        self.fresh: list[str] = []

    def name(self) -> str:
        """A name to read: mostly one that is bound, or is about to be by this very patch."""
        rng = self.rng
        if self.fresh and rng.random() < 0.15:
            return rng.choice(self.fresh)
        known = self.graph.names() or self.fresh
        return rng.choice(known if known and rng.random() < 0.98 else NAMES)

    def new_name(self) -> str:
        """A name to bind: mostly a new one, or one that may be bound anew."""
        rng = self.rng
        free = [name for name in self.graph.names() if self.graph.rebindable(name)]
        if free and rng.random() < 0.3:
            return rng.choice(free)
        return rng.choice(NAMES) if rng.random() < 0.1 else f"w{self.made}"

    def value(self) -> Any:
        rng = self.rng
        match rng.randrange(9) if len(self.fresh) > 1 or self.graph.names() else 8:
            case 0 | 1 | 2:
                return Ref(self.name())
            case 3:
                return Ref(self.name(), (rng.choice([0, 1, -1, 7, "x"]),))
            case 4:
                return [self.value() for _ in range(rng.randrange(3))]
            case 5:
                return Template(("a", Field(Ref(self.name()), rng.choice(["", ".2f"]))))
            case _:
                return rng.choice([0, 1, 2.5, "text", "$1 {v0} __import__('os')", None, True])

    def node(self) -> Node:
        rng = self.rng
        self.made += 1
        id = f"n{self.made}" if rng.random() < 0.99 else f"n{rng.randrange(1, self.made + 1)}"
        name = self.new_name()
        self.fresh.append(name)
        guards = ()
        if rng.random() < 0.25:
            name_read = self.name()
            condition = Compare(
                rng.choice(["==", "<", "in"]), Ref(name_read), Const(rng.choice([0, 1, "text"]))
            )
            guards = branch(condition, holds=rng.random() < 0.5)
        match rng.randrange(9):
            case 8:
                return self.join(id, name, guards)
            case 0:
                lists = [e.node.name for e in self.graph.entries.values() if e.children or e.tool == "listed"]
                named = [name for name in lists if name is not None]
                over = Ref(rng.choice(named)) if named and rng.random() < 0.7 else self.value()
                body = rng.choice(["now", "later", "picky", "picky", "narrow"])
                on_error = rng.choice(["fail", "collect"])
                made = mapped(id, over, body, on_error=on_error, x=Ref("m"))
                return Node(id=id, op=made.op, name=name, guards=guards)
            case 1:
                return call(id, "listed", bind=name, guards=guards, n=rng.randrange(4))
            case 2 if rng.random() < 0.3:
                return answer(self.value(), id=id, guards=guards)
            case _:
                which = rng.choice(
                    ["now", "now", "later", "later", "fails", "crashes", "narrow", "books", "unknown"]
                )
                return call(id, which, bind=name, guards=guards, x=self.value())

    def join(self, id: str, name: str, guards: Any) -> Node:
        rng = self.rng
        parts = [expr(self.value()) for _ in range(rng.randrange(4))]
        policy: Any = rng.choice(POLICIES)
        count, total = (
            (rng.randrange(1, 3), rng.choice([2, len(parts)])) if policy == "some" else (None, None)
        )
        verifier = rng.choice(["check", "check", "picky", None]) if policy == "verified" else None
        over: Any = self.name() if self.graph.names() and rng.random() < 0.4 else parts
        made = joined(id, over, policy, guards=guards, count=count, total=total, verifier=verifier)
        return replace(made, name=name)

    def patch(self) -> GraphPatch:
        rng = self.rng
        version = self.graph.version + (rng.random() < 0.02)
        self.fresh.clear()
        add = [self.node() for _ in range(rng.randrange(5))]
        rng.shuffle(add)
        known = list(self.graph.entries) or ["nobody"]
        cancel = tuple(rng.sample(known, min(len(known), rng.randrange(3)))) if rng.random() < 0.3 else ()
        return GraphPatch(version, tuple(add), cancel)


def assert_acyclic(graph: TaskGraph) -> None:
    """No unstarted node waits for itself, however far around."""
    done: set[NodeRecord] = set()
    for root in graph.entries.values():
        path: set[NodeRecord] = set()
        stack: list[tuple[NodeRecord, Any]] = [(root, iter(waits_for(graph, root)))]
        while stack:
            entry, rest = stack[-1]
            path.add(entry)
            following = next((one for one in rest if one not in done), None)
            if following is None:
                stack.pop()
                path.discard(entry)
                done.add(entry)
            else:
                assert following not in path, f"{entry.node.id} waits for itself"
                stack.append((following, iter(waits_for(graph, following))))


def waits_for(graph: TaskGraph, entry: NodeRecord) -> list[NodeRecord]:
    if entry.state not in ("pending", "blocked"):
        return []
    return [one for one in graph.producers(entry) if one.state in ("pending", "blocked") and one is not entry]


async def run_patches(seed: int) -> None:
    rng = random.Random(seed)
    graph = TaskGraph()
    made = Patches(rng, graph)
    refused = 0

    async def stream() -> AsyncIterator[GraphPatch]:
        nonlocal refused
        for _ in range(rng.randrange(1, 16)):
            patch = made.patch()
            before = graph.version, list(graph.entries)
            try:
                graph.check(patch)
            except GraphError as error:
                refused += 1
                assert str(error)
                assert before == (graph.version, list(graph.entries))
            else:
                yield patch
                assert_acyclic(graph)
            if rng.random() < 0.6:
                await asyncio.sleep(rng.choice([0, 0.05, 0.2, 1.0]))

    async with asyncio.timeout(10_000):
        for _ in range(rng.choice([1, 1, 2])):
            width = rng.choice([1, 2, 64])
            await run_graph(
                graph,
                stream(),
                RunContext(
                    tools=TOOLS,
                    limits=Limits(max_concurrency=width, max_nodes=10_000),
                    emit=(lambda _: None) if rng.random() < 0.5 else None,
                    approve=lambda _: True,
                    verifier=is_one if rng.random() < 0.5 else None,
                ),
                sequential=rng.random() < 0.1,
            )
            states = {entry.state for entry in graph.entries.values()}
            assert not states & {"pending", "running"}, states
    assert len(asyncio.all_tasks()) == 1


def fuzz_patches(seeds: range) -> None:
    for seed in seeds:
        with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
            try:
                runner.run(run_patches(seed))
            except BaseException as error:
                error.add_note(f"patch sequence of seed {seed}")
                raise


PLANS = [
    'a = now(x="one")\nb = later(x=a)\nanswer(b)\n',
    'xs = [now(x=m) for m in ["a", "b", "c"]]\nys = [later(x=m) for m in xs]\nz = now(x=xs[0])\n'
    'answer(f"{z} and {ys[1]}")\n',
    'a = listed(n=3)\nif a[1] > 0 and not a[0] == 1:\n    b = now(x=a)\nelse:\n    b = fails(x=1)\n'
    'answer(b, a[2])\n',
    'n = listed()\nys = [narrow(x=i) for i in n]\nc = now(x={"k": [1, 2.5, None, True], "r": ys})\n'
    'answer(c)\n',
    'xs = [later(x=m) for m in [3, 1, 2]]\na = later(x="one")\nd = join([a, xs[1]], policy="first")\n'
    'e = join(xs, policy="2 of 3")\nf = join([a, xs[0]], policy="verified", verifier="check")\n'
    'answer(d, e)\n',
    'a = crashes(x="no")\nb = now(x=a.field)\nc = now(x=f"{a:.2f} of {b}")\nanswer(c)\n',
]  # fmt: skip

PIECES = [
    "(", ")", "[", "]", "{", "}", ":", ",", "=", "\n", "\n    ", "if ", "else:\n", "for m in ", " in ",
    "answer(", "f\"{a}\"", "'", '"', '"""', "\\", "#", "\x00", "\u2028", "é", "a", "xs", ".__class__",
    ".__globals__",
    "__import__('os').system('{touch}')", "open('{file}', 'w').write('x')", "exec(\"open('{file}','w')\")",
    "eval('1')", "lambda: 0", "(x := 1)", "import os\n", "f\"{open('{file}','w')}\"", "f\"{a!r:{b}}\"",
    "[m for m in xs if m]", "*a", "**a", "@now\n", "async ", "await ", "yield ", "del a\n", "9" * 5_000,
    "1e999",
    "-", "+", "while True:\n    ", "def f():\n    ", "class A:\n    ", "global a\n", "(" * 300, "[" * 300,
    "a" * 3_000,
    "think(\"x\", given=[a])", "ask(\"?\")", "now(x=now(x=1))", "a = a\n", "answer()\n", "<|end|>", "```",
    "builtins.pwned = 1", "print(1)\n",
]  # fmt: skip


def damaged(rng: random.Random, file: Path) -> str:
    text = rng.choice(PLANS)
    if rng.random() < 0.3:
        text += rng.choice(PLANS).replace("a", "q")
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        at = rng.randrange(len(text) + 1)
        match rng.randrange(6):
            case 0:
                text = text[:at] + text[at + rng.randrange(1, 6) :]
            case 1:
                piece = rng.choice(PIECES).replace("{file}", str(file)).replace("{touch}", f"touch {file}")
                text = text[:at] + piece + text[at:]
            case 2:
                lines = text.splitlines(keepends=True)
                rng.shuffle(lines)
                text = "".join(lines)
            case 3:
                other = rng.randrange(len(text) + 1)
                low, high = min(at, other), max(at, other)
                text = text[:low] + text[low:high] * rng.randrange(3) + text[high:]
            case 4:
                text = text[:at] + chr(rng.choice([rng.randrange(128), rng.randrange(0x110000)])) + text[at:]
            case _:
                words = text.split(" ")
                if len(words) > 2:
                    first, second = rng.sample(range(len(words)), 2)
                    words[first], words[second] = words[second], words[first]
                text = " ".join(words)
    return text


async def run_plan(text: str) -> None:
    nodes, errors = compile_plan(text, TOOLS.specs())
    for error in errors:
        assert isinstance(error, BraidError)
        assert error.line >= 1
    graph = TaskGraph()
    graph.apply(GraphPatch(0, tuple(nodes)))  # what the planner lets through is a valid patch
    assert_acyclic(graph)
    async with asyncio.timeout(10_000):
        await run_graph(graph, None, RunContext(tools=TOOLS))
    assert not {entry.state for entry in graph.entries.values()} & {"pending", "running"}


def fuzz_plans(seeds: range, folder: Path) -> None:
    file = folder / "executed"
    for seed in seeds:
        text = damaged(random.Random(seed), file)
        with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
            try:
                runner.run(run_plan(text))
                assert not file.exists()
                assert not hasattr(builtins, "pwned")
            except BaseException as error:
                error.add_note(f"plan of seed {seed}:\n{text}")
                raise


def test_patch_sequences() -> None:
    fuzz_patches(range(CI))


def test_damaged_plans(tmp_path: Path) -> None:
    fuzz_plans(range(CI), tmp_path)


@pytest.mark.long
@pytest.mark.timeout(3_000)
def test_very_many_patch_sequences() -> None:
    fuzz_patches(range(CI, CI + LONG))


@pytest.mark.long
@pytest.mark.timeout(3_000)
def test_very_many_damaged_plans(tmp_path: Path) -> None:
    fuzz_plans(range(CI, CI + LONG), tmp_path)
