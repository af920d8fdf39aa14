"""Runs in the journal: a new run is entered with its options, and a later process resumes it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, TypeAlias

from pydantic import ValidationError

from braid.engine import Budget, Envelope, Event
from braid.executors import ToolRegistry
from braid.executors.nodes import Join, Map, Op, Think, ToolCall
from braid.executors.values import Secrets
from braid.orchestrator.errors import InvalidHistoryError, ResumeRefusedError
from braid.orchestrator.events import PersonSaid, RoundFinished, RoundStarted, RunFinished, RunResumed
from braid.orchestrator.history import History
from braid.orchestrator.loop import EarlierRound, Job
from braid.orchestrator.review import PlanReviewed
from braid.orchestrator.sampled_plans import SamplesRead
from braid.orchestrator.settings import RunSpec, first_reason, journal_file
from braid.planner import PartialPlan, PlannerFinished, PlannerRejected, PlannerText

if TYPE_CHECKING:
    from braid.executors import Tool
    from braid.executors.journal import Journal, RunLog, RunRow
    from braid.executors.scheduler import RecordedRun

JournalOption: TypeAlias = "bool | str | PathLike[str] | Journal"
"""True is the user's own journal, False is none. Else it is a file, or a journal that is open already."""


def open_journal(option: JournalOption) -> Journal | None:
    """The journal of an agent.

    Raises:
        JournalError: It cannot be opened.
    """
    from braid.executors.journal import Journal

    if isinstance(option, Journal):
        return option
    if option is False:
        return None
    return Journal(journal_file() if option is True else option)


def enter_run(journal: Journal, run: str, job: Job) -> RunLog:
    """Enter the run of `job` into the journal, with its options."""
    from braid.executors.journal import secret_arguments, start_run

    spec = job.spec.model_copy(update={"tools": {tool.name: fingerprint(tool) for tool in job.tools}})
    secret = secret_arguments(job.tools.specs())
    log = start_run(
        journal,
        run,
        question=job.question,
        spec=spec.model_dump(mode="json"),
        secrets=job.secrets,
        secret_arguments=secret,
    )
    log.spending = lambda: spending(job.budget)
    return log


def stored_spec(row: RunRow) -> RunSpec:
    """The options that a run was started with.

    Raises:
        ResumeRefusedError: They cannot be used.
    """
    try:
        return RunSpec.model_validate(row.spec)
    except ValidationError as error:
        raise ResumeRefusedError(
            f"the options of run {row.id} in the journal cannot be used: {first_reason(error)}"
        ) from error


def spending(budget: Budget) -> dict[str, float]:
    """What a scope has spent, by limit, seconds included."""
    return {**budget.spent, "seconds": time.monotonic() - budget.started}


def charge_earlier(scope: Budget, spent: Mapping[str, float]) -> None:
    """Charge what earlier processes have spent to `scope`."""
    scope.started -= spent.get("seconds", 0.0)
    for key, amount in spent.items():
        if key != "seconds":
            scope.spent[key] = scope.spent.get(key, 0) + amount


def earlier_rounds(events: Sequence[Event]) -> list[EarlierRound]:
    """The rounds of a run, from its events. The last one counts as not over. The rest of it is done anew."""
    rounds: list[_Round] = []
    for event in events:
        match event:
            case RoundStarted() if event.revision and rounds:
                rounds[-1].begun = event.round + 1
                rounds[-1].open = False
            case RoundStarted():
                rounds.append(_Round(event))
            case PlanReviewed() if rounds and rounds[-1].open:
                rounds[-1].reviewed = event
            case RoundFinished() if rounds:
                rounds[-1].why = event.why
            case PlannerText() if rounds and rounds[-1].open:
                rounds[-1].attempts.text(event)
            case PlannerRejected() if rounds and rounds[-1].open:
                rounds[-1].attempts.rejected()
            case PlannerFinished() if rounds and rounds[-1].open:
                rounds[-1].attempts.counted()
            case RunResumed() if rounds:
                rounds[-1].attempts.cut_off()
                rounds[-1].samples.cut_off()
            case _ if rounds and rounds[-1].open:
                rounds[-1].samples.take(event)
            case _:
                pass
    return [
        EarlierRound(
            number=current.started.round,
            begun=current.begun,
            feedback=current.started.feedback,
            final=current.started.final,
            written=current.attempts.written(),
            why=current.why if current is not rounds[-1] else None,
            reviewed=current.reviewed,
            sampled=current.samples.read(),
        )
        for current in rounds
    ]


def history_of(journal: Journal, run: str) -> History:
    """The conversation up to a recorded run, this run included.

    Raises:
        UnknownRunError: There is no such run.
        InvalidHistoryError: The run is not over.
        JournalError: The journal cannot be read.
    """
    from braid.executors.journal import recorded_events

    row = journal.find(run)
    spec = stored_spec(row)
    events = [envelope.event for envelope in recorded_events(journal, row)]
    finished = next((event for event in reversed(events) if isinstance(event, RunFinished)), None)
    if finished is None:
        raise InvalidHistoryError(
            f"run {row.id} is {row.status}, so there is no answer to go on from; finish it with "
            f"`braid resume {row.id}`"
        )
    return History.of(spec.history, spec.turns).extended(row.question, finished.answer, finished.turn)


def unheard_words(events: Sequence[Event]) -> list[str]:
    """What the person said after the last plan was begun, so that no plan has taken it up."""
    said: list[str] = []
    for event in events:
        match event:
            case PersonSaid():
                said.append(event.text)
            case RoundStarted():
                said.clear()
            case _:
                pass
    return said


class _Round:
    """A round, put together from its events."""

    def __init__(self, started: RoundStarted) -> None:
        self.started = started
        self.begun = started.round + 1
        self.attempts = _Attempts()
        self.samples = SamplesRead()
        self.why: str | None = None
        self.reviewed: PlanReviewed | None = None
        self.open = True
        """Whether no revision has begun. From then on, text is the revision's."""


class _Attempts:
    """What a planner wrote in one round before the kill: its first text and each repair.

    A journal holds that text in pieces, event by event. This puts them together.
    """

    def __init__(self) -> None:
        self._ended: list[tuple[str, bool]] = []
        self._pieces: list[str] = []
        self._tokens = 0

    def text(self, event: PlannerText) -> None:
        self._pieces.append(event.text)
        self._tokens += 1

    def rejected(self) -> None:
        self._ended.append(("".join(self._pieces), True))
        self._pieces.clear()

    def cut_off(self) -> None:
        if self._pieces:
            self._ended.append(("".join(self._pieces), False))
            self._pieces.clear()

    def counted(self) -> None:
        """An event of its own counts the tokens so far."""
        self._tokens = 0

    def written(self) -> PartialPlan | None:
        self.cut_off()
        return PartialPlan(attempts=tuple(self._ended), tokens=self._tokens) if self._ended else None


def check_tools(pasts: Sequence[RecordedRun], spec: RunSpec, tools: ToolRegistry) -> None:
    """Check the tools that unfinished nodes call.

    Raises:
        ResumeRefusedError: One is missing, or is not what it was.
    """
    from braid.executors.scheduler import Patched

    stored = spec.tools
    needed: dict[str, None] = {}
    for recorded in pasts:
        for record in recorded.records:
            for node in record.patch.add if isinstance(record, Patched) else ():
                op = node.op.body if isinstance(node.op, Map) else node.op
                if node.id not in recorded.known:
                    needed |= dict.fromkeys(_tools_of(op))
    missing = [name for name in needed if name in stored and name not in tools]
    changed = [
        name
        for name in needed
        if name in stored and name in tools and stored[name] != fingerprint(tools.get(name))
    ]
    if missing or changed:
        problems = [f"{name} is not here" for name in missing] + [f"{name} has changed" for name in changed]
        raise ResumeRefusedError(
            f"tools that the run still needs are not what they were: {', '.join(problems)}; put them back, "
            "or go on all the same by --force (force=True)"
        )


def check_values(pasts: Sequence[RecordedRun]) -> None:
    """Check that what a run found out before it changed something can still be read.

    Computed anew, a value could be another one by now, and take the run another way.

    Raises:
        ResumeRefusedError: A value that is still needed was written down, and cannot be read here.
    """
    from braid.executors.scheduler import Patched

    for recorded in pasts:
        nodes = {
            node.id: node
            for record in recorded.records
            for node in (record.patch.add if isinstance(record, Patched) else ())
        }
        for id, settled in recorded.known.items() if recorded.begun else ():
            node = nodes.get(id.partition("[")[0])
            if settled.unreadable and node is not None and node.name in recorded.wanted:
                raise ResumeRefusedError(
                    f"the value of {node.name} cannot be read here: {settled.lost}. It was found out before "
                    "something was changed, and could be another one by now; resume the run as it was "
                    "started, or compute the value anew all the same by --force (force=True)"
                )


def _tools_of(op: Op) -> Iterator[str]:
    """The tools that a node calls, those that check its parts or samples included."""
    match op:
        case ToolCall(tool):
            yield tool
        case Join(verifier=str() as verifier):
            yield verifier
        case Think(options=options):
            yield from (str(value) for name, value in options if name == "verifier")
        case _:
            pass


def fingerprint(tool: Tool) -> str:
    """A hash of a tool's signature, effect and version."""
    spec = tool.spec
    text = json.dumps(
        [spec.parameters, spec.returns, spec.effect, str(tool.version)], sort_keys=True, default=str
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def reopen_run(journal: Journal, row: RunRow, tools: ToolRegistry) -> tuple[RunLog, list[Envelope]]:
    """Open the log of a run, and read its events so far. Nothing is written to one that cannot go on.

    Raises:
        RunBusyError: A live process works on it.
        JournalError: The journal cannot be read.
    """
    from braid.executors.journal import resume_run, secret_arguments

    secrets = Secrets(schemas={spec.name: spec.parameters for spec in tools.specs()})
    log = resume_run(journal, row, secrets=secrets, secret_arguments=secret_arguments(tools.specs()))
    try:
        return log, log.load(read_only=row.final)
    except BaseException:
        log.close()
        raise
