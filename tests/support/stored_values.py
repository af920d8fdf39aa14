"""What `journal_v1_values.sql` holds: a value of every kind that the journal can store, and the runs' tools.

The fixture names the types of this module `stored_values:...`, and the versions of these tools. So what
stands
here stays as it is. Only the modules that it imports from may change.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import threading
import uuid
from collections import Counter, OrderedDict, deque
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from braid.engine import EngineInfo, Envelope, Event, Grammar, Price, SamplingParams, Token, Usage
from braid.engine.scope.budget import Spending
from braid.engine.types import ToolCall as WrittenToolCall
from braid.evals import EvalReport, Figure, Header, Options, Output, Row, Sample, Score
from braid.executors import (
    ApprovalRefused,
    BudgetExceeded,
    GraphPatch,
    Limits,
    NodeAdded,
    NodeBlocked,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRetried,
    NodeSkipped,
    NodeStarted,
    NodeUncertain,
    NodeWaits,
    PlanPatched,
    RunOutcome,
    ThinkText,
    ToolAbandoned,
    ToolContext,
    ToolHedged,
    ToolReused,
    tool,
)
from braid.executors.builtin.atlas.lookup import Entity, Fact
from braid.executors.builtin.now import Moment
from braid.executors.builtin.python.tool import PythonResult
from braid.executors.journal.store import Pruned, RunRow
from braid.executors.nodes.nodes import (
    AllOf,
    Answer,
    AnyOf,
    Ask,
    Compare,
    Const,
    DictOf,
    Field,
    Guard,
    Join,
    ListOf,
    Map,
    Node,
    Not,
    Ref,
    Template,
    Think,
    ToolCall,
)
from braid.executors.report.report import RunReport
from braid.executors.report.spans import Span as NodeSpan
from braid.executors.sandbox.run import Isolation, SandboxLimits, SandboxResult
from braid.executors.scheduler import ToolCallRequest
from braid.executors.scheduler.revisions import RevisionRequest
from braid.executors.tools import Cached, Done, NotDone, Recorded
from braid.executors.tools.spec import ToolSpec, UsageResult
from braid.executors.values.values import ItemError
from braid.orchestrator import (
    AnswerDoubted,
    Comparison,
    JournalFailed,
    ModelSettings,
    PersonSaid,
    Rewritten,
    RoundFinished,
    RoundStarted,
    RunAnswered,
    RunFailed,
    RunFinished,
    RunResumed,
    RunStarted,
)
from braid.planner import (
    Asked,
    DirectText,
    Doubt,
    PartialPlan,
    PlannerFinished,
    PlannerRejected,
    PlannerRepaired,
    PlannerStatement,
    PlannerText,
    Routed,
)
from braid.planner.follow_up import LookUp, Turn
from braid.reasoning import Candidate, Group, Solution, ThreadCall, ThreadedSolution, ThreadResult, TokenSpan

# Types of a user.


class Colour(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass(frozen=True)
class Place:
    name: str
    at: Point | None = None

    def short_form(self) -> str:
        return self.name


class City(BaseModel):
    place: Place
    colour: Colour = Colour.RED
    extra: dict[int, Any] = {}


# Values.

K2: Final = Fact(title="K2", attribute="height", value=8611, unit="m", text="K2 (mountain): height 8611 m")
USAGE: Final = Usage(prompt_tokens=9, cached_tokens=4, generated_tokens=3, critical_path_tokens=3, calls=1)
CANDIDATE: Final = Candidate(text="I think yes", answer="yes", weight=0.5, critical_path_tokens=3)

EVENTS: Final[tuple[Event, ...]] = (
    BudgetExceeded(limit="tokens", scope="run", message="no token is left"),
    JournalFailed(error="the disk is full"),
    NodeAdded(node="a", op="tool", name="a", tool="search", source="a = search('K2')", depends_on=("b",)),
    NodeBlocked(node="a", reason="b failed"),
    NodeCancelled(node="a", at=1.5, seconds=0.5, reason="revised"),
    NodeFailed(node="a", at=1.5, seconds=0.5, error="no"),
    NodeFinished(node="a", at=1.5, seconds=0.5, result="8611 m"),
    NodeRetried(node="a", attempt=1, error="no", wait=0.25),
    NodeSkipped(node="a", reason="its branch was not taken"),
    NodeStarted(node="a", at=1.0),
    NodeUncertain(node="a", at=1.5, reason="nobody knows"),
    NodeWaits(node="a", reason="approval"),
    PlanPatched(version=2, added=("a",), cancelled=("b",), reason="revised"),
    PlannerFinished(valid=True, plan="answer(1)", text="answer(1)\n", seconds=0.5),
    PlannerRejected(line=1, column=2, message="no such tool", fix="write search", text="serch()"),
    PlannerRepaired(rejected=1),
    PlannerStatement(nodes=("a",), name="a", source="a = search('K2')", line=1),
    PlannerText(text="a = "),
    RoundFinished(round=0, answered=True),
    RoundStarted(round=1, feedback="no answer", revision=True),
    RunAnswered(answer="8611 m"),
    RunFailed(error="no engine"),
    RunFinished(answer="8611 m", rounds=1, seconds=2.5),
    RunResumed(done=3),
    RunStarted(question="How high?", engine="local:braid-mini", tools=("search",), max_rounds=3),
    ToolAbandoned(node="a", tool="search", seconds=2.5),
    ToolHedged(node="a", tool="search", second_won=True, wasted_seconds=0.5),
    ToolReused(node="a", tool="search", source="run"),
)

NODES: Final = (
    Node(id="a", op=ToolCall("search", (("query", Template(("x ", Field(Ref("b"), ".2f")))),)), name="a"),
    Node(
        id="m", op=Map("x", ListOf((Const(1), Ref("a", (0,)))), ToolCall("f", (("x", Ref("x")),)), "collect")
    ),
    Node(
        id="t",
        op=Think(Const("why?"), (Ref("a"),), "direct", (("n", 3),)),
        guards=(Guard(Not(Compare("<", Ref("a", ("value",)), Const(1.5))), False),),
    ),
    Node(id="q", op=Ask(Const("who?")), guards=(Guard(AllOf((Ref("a"), AnyOf(()))), True),), round=2, line=7),
    Node(id="r", op=Answer((DictOf((("k", Const(None)),)),)), tags=frozenset({"tag"})),
)

VALUES: Final[dict[str, Any]] = {
    # Python's own.
    "none": None,
    "true": True,
    "int": -(2**63),
    "large int": 2**64,
    "hexadecimal int": 10**5000,
    "float": 1.5,
    "infinity": -math.inf,
    "text": "half a pair \ud800, a nul \x00 and é",
    "list": [1, [2, {"a": None}]],
    "tuple": (1, (2,)),
    "dict with our key": {"$": "a key that is our own"},
    "dict of keys": {1: "a", (2, 3): "b", None: "c"},
    "set": {1, 2},
    "frozenset": frozenset({"a"}),
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"x"),
    "complex": 1 + 2j,
    "range": range(3, 9, 2),
    "deque": deque([1, 2]),
    "counter": Counter("aab"),
    "ordered": OrderedDict([("b", 1), ("a", 2)]),
    "decimal": decimal.Decimal("1.10"),
    "fraction": fractions.Fraction(1, 3),
    "datetime": datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC),
    "date": datetime.date(2026, 1, 2),
    "time": datetime.time(1, 2),
    "timedelta": datetime.timedelta(days=-1, microseconds=3),
    "uuid": uuid.UUID(int=5),
    "path": Path("a") / "b",
    # A user's.
    "enum": Colour.RED,
    "named tuple": Point(1, 2),
    "dataclass": Place("K2", Point(3, 4)),
    "model": City(place=Place("Rome"), extra={1: (2, 3)}),
    # Braid's own: what its tools and methods return, and what its rooms offer.
    "Fact": K2,
    "many facts": [K2] * 40,
    "Entity": Entity(title="K2", kind="mountain", aliases=("Chogori",), facts={"height": (8611, "m")}),
    "Moment": Moment(
        iso="2026-01-02T03:04:05+00:00", date="2026-01-02", time="03:04:05", weekday="Friday", timezone="UTC"
    ),
    "PythonResult": PythonResult(stdout="1\n", stderr="", returncode=0, value={"a": [1]}, network="blocked"),
    "SandboxResult": SandboxResult(
        stdout="1\n",
        stderr="",
        returncode=0,
        stopped=None,
        seconds=0.5,
        isolation=Isolation(network=True, refused=("files",)),
        report=b"{}",
    ),
    "SandboxLimits": SandboxLimits(seconds=3.0),
    "ItemError": [ItemError("gone"), K2],
    "Metered": [UsageResult(value=K2, usage=USAGE)],
    "Solution": Solution(
        answer="yes", candidates=(CANDIDATE,), reason="the only one", usage=USAGE, confidence=0.5
    ),
    "ThreadedSolution": ThreadedSolution(
        answer="yes",
        candidates=(CANDIDATE,),
        reason="",
        usage=USAGE,
        threads=2,
        spans=(TokenSpan(0, 5), TokenSpan(5, 9)),
    ),
    "ThreadResult": ThreadResult(call=ThreadCall(name="t1", prompt="why?"), text="so", finished=True),
    "Group": Group(answer="yes", members=(0, 2), weight=1.5),
    "Usage": USAGE,
    "Token": Token(text="yes", id=3, logprob=-0.5, top_logprobs=(("no", -1.5),), usage=USAGE),
    "EngineInfo": EngineInfo(
        uri="local:m",
        model="m",
        max_context=64,
        capabilities=frozenset({"chat"}),
        details={"dtype": "float32"},
    ),
    "SamplingParams": SamplingParams(n=2, seed=7, grammar=Grammar("regex", "yes|no"), logit_bias={3: -1.5}),
    "Price": Price(prompt=2.5, generated=10.0),
    "Spending": Spending(12.0, 100.0, 0.0),
    "effects": (Done(K2), NotDone(), Cached(K2), Recorded("failed", error="no")),
    "ToolSpec": ToolSpec(name="search", description="Look up.", parameters={"type": "object"}),
    "ToolCallRequest": ToolCallRequest(node="a", tool="pay", args={"amount": 3}, effect="mutating"),
    "Trigger": RevisionRequest(kind="failed", text="a failed", node="a"),
    "Limits": Limits(max_concurrency=8, node_timeout=2.5),
    "RunOutcome": RunOutcome(answer=(K2,), answered=True, failures=(("a", "no"),), usage=USAGE, seconds=2.5),
    "RunReport": RunReport(
        work=2.0,
        critical_path=1.0,
        parallelism=2.0,
        wall=1.0,
        speedup=2.0,
        nodes=2,
        states={"done": 2},
        usage=USAGE,
    ),
    "NodeSpan": NodeSpan(id="a", op="tool", depends_on=("b",), state="done", started=0.5, finished=1.5),
    "RunRow": RunRow(
        no=1,
        id="abc",
        created=1.0,
        updated=2.0,
        status="answered",
        question="?",
        answer="yes",
        spec={"seed": 0},
        spent={"calls": 1},
    ),
    "Pruned": Pruned(runs=1, size=4096),
    "Comparison": Comparison(side_by_side=1.0, planning=0.5, one_by_one=2.0, nodes=4),
    "Written": PartialPlan(attempts=[("answer(", False)], tokens=3),
    "GraphPatch": GraphPatch(base_version=3, add=NODES, cancel=("z",), reason="why"),
    "Envelope": [Envelope(run="abc", seq=seq, at=12.5, event=event) for seq, event in enumerate(EVENTS)],
    "Row": Row(
        sample="s1",
        epoch=0,
        question="?",
        target="yes",
        output=Output(answer="yes", seconds=0.5, usage=USAGE, detail={"fact": K2}),
        score=Score(correct=1.0, metrics={"nodes": 3.0}),
    ),
    "Header": Header(
        task="planning",
        engine="local:m",
        seed=0,
        epochs=1,
        sequential=False,
        arguments={"split": "train"},
        versions={"braid": "0.1.0"},
        started=1.5,
    ),
    "Sample": Sample(id="s1", question="?", target="yes", metadata={"fact": K2}),
    "Options": Options(seed=3, data_dir=Path("data"), arguments={"split": "train"}),
    "EvalReport": EvalReport(
        task="planning",
        engine="local:m",
        samples=1,
        errors=0,
        accuracy=Figure(mean=1.0, stderr=None, n=1),
        metrics={"nodes": Figure(mean=3.0, stderr=0.5, n=2)},
        usage=USAGE,
        critical_path_tokens=3.0,
        seconds_p50=0.5,
        seconds_p95=0.5,
    ),
}

NEWER: Final[dict[str, Any]] = {
    "tool call of a model": WrittenToolCall(name="search", arguments="{}", id="1"),
    "refused": ApprovalRefused(node="p", tool="pay", call="pay:1"),
    "doubted": AnswerDoubted(round=0, answer="3 km", reason="no name"),
    "said": PersonSaid(text="use blue"),
    "rewritten": Rewritten(question="How high is K2?", reason="it is K2"),
    "text of a thought": ThinkText(node="t", text="so"),
    "direct text": DirectText(text="Hello"),
    "routed": Routed(route="arithmetic", reason="sum", answer="4", value=4),
    "asked": Asked(kind="number", quantities=("length",), shown="a length"),
    "doubt": Doubt(reason="found a name"),
    "turn": Turn(
        question="How high is K2?",
        answer="8611 m",
        value=8611,
        unit="m",
        lookups=(LookUp(name="K2", attribute="height", value=8611, unit="m", tool="search"),),
    ),
    "look-up": LookUp(name="K2", tool="search"),
    "join": Join((Ref("a"), Const(1)), "verified", verifier="check", at_least=0.7),
    "settings": ModelSettings(temperature=0.5, stop=("#",), seed=3),
}
"""Values of types that are newer than the fixture."""

# The runs, and their tools.

FINISHED_PLAN: Final = """\
ns = names()
vs = [value(n) for n in ns]
xs = [fragile(i, on_error="collect") for i in [1, 2]]
f = look("K2")
w = think("Is it high?", given=[f])
r = note(f"{f.value}")
k = kept(7)
c = count(vs)
answer(r, f, w, k, c)
"""
FINISHED_QUESTION: Final = "What is there to store?"
FINISHED_ANSWER: Final = f"noted 8611, 8611 m, It is high, K2 no. 7, {len(VALUES)}"

KILLED_PLAN: Final = """\
f = look("K2")
p = pay(f.value)
answer(p, f)
"""
KILLED_QUESTION: Final = "Pay for it."
KILLED_ANSWER: Final = "receipt 8611, 8611 m"


class Tools:
    """The tools of both runs. They write down their calls.

    `pay` leaves its receipt in the file `world`, and then hangs until its process is killed. Without a file
    it must not be called.
    """

    def __init__(self, world: Path | None = None) -> None:
        self.calls: list[tuple[str, Any]] = []
        calls = self.calls

        @tool(version="1")
        def names() -> list[str]:
            """The names of all values."""
            calls.append(("names", None))
            return list(VALUES)

        @tool(version="1")
        def value(name: str) -> Any:
            """The value of that name."""
            calls.append(("value", name))
            return VALUES[name]

        @tool(version="1", inline=True)
        def count(items: list[Any]) -> int:
            """How many there are."""
            calls.append(("count", len(items)))
            return len(items)

        @tool(version="1")
        def fragile(number: int) -> int:
            """Works for odd numbers."""
            calls.append(("fragile", number))
            if number % 2 == 0:
                raise ValueError(f"{number} is even")
            return number

        @tool(version="1", effect="mutating")
        def note(text: str) -> str:
            """Write down a text."""
            calls.append(("note", text))
            return f"noted {text}"

        @tool(version="1", cache="always")
        async def kept(number: int) -> UsageResult:
            """A result that later runs use."""
            calls.append(("kept", number))
            return UsageResult(value=Place(f"K2 no. {number}"), usage=USAGE)

        @tool(version="1")
        def look(title: str) -> Fact:
            """Look up a fact."""
            calls.append(("look", title))
            return K2

        def paid_before(key: str) -> Done | NotDone:
            calls.append(("paid_before", key.partition(":")[2]))
            return Done("receipt 8611")

        @tool(version="1", effect="mutating", reconcile=paid_before)
        def pay(context: ToolContext, amount: int) -> str:
            """Pay an amount."""
            calls.append(("pay", amount))
            assert world is not None, "it was paid, and is not paid again"
            world.write_text(f"receipt {amount}")
            threading.Event().wait()
            return "never"

        self.all = [names, value, count, fragile, note, kept, look, pay]


async def yes(_: object) -> bool:
    return True
