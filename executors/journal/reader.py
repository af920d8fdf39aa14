"""The reader of a run: its events, its recorded runs of a graph, and its mutating calls."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from braid.engine import BraidError, Envelope, Event, UnknownEventError, Usage
from braid.executors.graph import names_read
from braid.executors.journal.errors import JournalDamagedError, JournalError
from braid.executors.journal.plan_codec import load_patch
from braid.executors.journal.store import Journal, RunRow
from braid.executors.journal.value_codec import LostValueError, load_value, readable_text, was_stored
from braid.executors.scheduler import Begun, Patched, Planned, Record, RecordedRun, Settled
from braid.executors.tools import Recorded

_USAGE: Final = frozenset(field.name for field in dataclasses.fields(Usage))


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """What the journal holds of one run."""

    envelopes: list[Envelope]
    """Its events. Those of kinds that this version does not know are left out."""
    recorded: Sequence[RecordedRun]
    """One for each call of `run_graph`."""
    calls: Mapping[str, Recorded | LostValueError]
    """Its mutating calls by idempotency key. An error stands for a result that cannot be restored."""
    num_rows: int
    """Rows of its log."""


def read_run(journal: Journal, run: str, no: int, *, read_only: bool) -> StoredRun:
    """Read everything that the journal holds of a run.

    Args:
        journal: The journal.
        run: The run's id.
        no: Its number.
        read_only: The run is over and nothing of it will be run. Values that cannot be restored come as text.

    Raises:
        JournalDamagedError: What it holds of the run is damaged.
        JournalError: The journal cannot be read, or holds a row of an unknown kind.
    """
    with _naming(journal, run):
        return _read_run(journal, run, no, read_only=read_only)


@contextmanager
def _naming(journal: Journal, run: str) -> Iterator[None]:
    """Errors by damage as one that names the run."""
    try:
        yield
    except JournalDamagedError as error:
        raise journal.damaged(run, error) from error
    except BraidError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise journal.damaged(run, f"{type(error).__name__} in a row of its log") from error


def _read_run(journal: Journal, run: str, no: int, *, read_only: bool) -> StoredRun:
    reader = _Reader(run, as_text=read_only)
    num_rows = 0
    for row in journal.log(no):
        reader.take(row.at, row.kind, row.data, row.value)
        num_rows += 1
    calls: dict[str, Recorded | LostValueError] = {}
    begun: dict[str, Begun] = {}
    for call in journal.calls(no):
        calls[call.key] = _recorded(call.state, call.value, call.error)
        begun[call.node] = Begun(call.tool, _arguments(call.args), unclear=call.state == "started")
    return StoredRun(
        envelopes=reader.envelopes,
        recorded=reader.recorded(begun, answered=read_only),
        calls=calls,
        num_rows=num_rows,
    )


def recorded_events(journal: Journal, row: RunRow) -> list[Envelope]:
    """The events of a run as they came. Those of unknown kinds are left out.

    Raises:
        JournalDamagedError: What the journal holds of the run is damaged.
    """
    reader = _Reader(row.id)
    with _naming(journal, row.id):
        for line in journal.log(row.no, values=False):
            if line.kind == "event":
                reader.take(line.at, line.kind, line.data, None)
    return reader.envelopes


class _Reader:
    """Turns the rows of a log into events and recorded runs."""

    def __init__(self, run: str, *, as_text: bool = False) -> None:
        self.run = run
        self._as_text = as_text
        self.envelopes: list[Envelope] = []
        self._rounds: list[list[Record]] = []
        self._known: dict[str, Settled] = {}

    def take(self, at: float, kind: str, data: str, value: str | None) -> None:
        match kind:
            case "event":
                for event in _event(data):
                    self.envelopes.append(Envelope(run=self.run, seq=len(self.envelopes), at=at, event=event))
            case "begin":
                self._rounds.append([])
            case "patch":
                patch, running = load_patch(data)
                self._rounds[-1].append(Patched(patch, at, running))
            case "planned":
                self._rounds[-1].append(Planned(at))
            case "settled":
                settled = _settled(at, data, value, as_text=self._as_text)
                self._rounds[-1].append(settled)
                self._known[settled.node] = settled
            case _:
                raise JournalError(
                    f"run {self.run} holds a line of kind {kind!r}, which this Braid does not know"
                )

    def recorded(self, begun: Mapping[str, Begun], *, answered: bool) -> list[RecordedRun]:
        last = len(self._rounds) - 1
        until = max((_time(record) for records in self._rounds for record in records), default=0.0)
        added = [
            node
            for records in self._rounds
            for record in records
            for node in (record.patch.add if isinstance(record, Patched) else ())
        ]
        wanted = {name for node in added if node.id not in self._known for name in names_read(node)}
        return [
            RecordedRun(
                records,
                self._known,
                over=i < last,
                answered=answered,
                until=until,
                wanted=wanted,
                begun=begun,
            )
            for i, records in enumerate(self._rounds)
        ]


def _time(record: Record) -> float:
    return record.finished if isinstance(record, Settled) else record.at


def _event(data: str) -> Iterator[Event]:
    found = json.loads(data)
    known = Event.registry.get(str(found.get("kind")))
    if known is not None:
        try:
            yield known.model_validate(found)
        except (ValueError, UnknownEventError):
            return


def _settled(at: float, data: str, value: str | None, *, as_text: bool) -> Settled:
    node, state, started, error, usage, *more = json.loads(data)
    restored, lost, unreadable = None, None, False
    if value is not None:
        try:
            restored = load_value(value)
        except LostValueError as raised:
            lost, unreadable = str(raised), was_stored(value)
            if as_text:
                restored, lost = readable_text(value), None
    return Settled(
        node=node,
        state=state,
        value=restored,
        error=error,
        started=started,
        finished=at,
        usage=None if usage is None else Usage(**{k: v for k, v in usage.items() if k in _USAGE}),
        lost=lost,
        failure=more[0] if more else "error",  # older journals do not say
        unreadable=unreadable,
    )


def _recorded(state: str, value: str | None, error: str | None) -> Recorded | LostValueError:
    if state == "done" and value is not None:
        try:
            return Recorded("done", value=load_value(value))
        except LostValueError as raised:
            return LostValueError(f"the call was made, but its result is not in the journal: {raised}")
    return Recorded(state if state in ("started", "done", "not_done") else "failed", error=error)


def _arguments(text: str) -> Mapping[str, Any]:
    """Arguments of a call, to be shown.

    None where they cannot be read, or a secret was taken out of their text.
    """
    try:
        return load_value(text)
    except (LostValueError, ValueError):
        return {}
