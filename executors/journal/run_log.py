"""The writer of one run's journal.

Writing is grouped: everything of one turn of the event loop is one transaction. It is committed before that
turn ends, so before anything outside the process can see it, and it survives the end of the process. Before a
call of a mutating tool everything is committed so that it survives a power cut too.

A journal that fails, as on a full disk, costs the run nothing that it has. The run goes on without it and
says so. Only mutating calls are refused from then on, since nobody could tell later whether they happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from braid.engine import Envelope, Usage
from braid.executors.graph import GraphPatch
from braid.executors.journal.errors import JournalError
from braid.executors.journal.locks import RunLock
from braid.executors.journal.plan_codec import dump_patch
from braid.executors.journal.reader import read_run
from braid.executors.journal.redaction import without_secrets
from braid.executors.journal.store import Journal, RunRow, Status, log_key
from braid.executors.journal.value_codec import LostValueError, dump_value
from braid.executors.nodes import FailureKind
from braid.executors.scheduler import RecordedRun, event_json
from braid.executors.tools import Effect, Recorded
from braid.executors.values import REDACTED, RedactedStream, Secrets, forms_of, json_text

LARGE: Final = 4096
"""Most characters of a value's text in a row. A longer text is stored once for all runs, by its content."""

_SECRET_VALUE: Final = json.dumps({"$": "lost", "why": "there was a secret in it", "text": REDACTED})

_Row = tuple[int, float, str, str, str | None]


class RunLog:
    """The journal of one run: the scheduler's `RunJournal` on disk. Made by `start_run` and `resume_run`.

    It belongs to one run, and so to one event loop.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        run: str,
        no: int,
        lock: RunLock,
        secrets: Secrets,
        secret_arguments: Mapping[str, frozenset[str]],
    ) -> None:
        self.run = run
        self.journal = journal
        self.error: JournalError | None = None
        self.spending: Callable[[], Mapping[str, float]] | None = None
        """Gives what the run has spent. It is stored with every commit."""
        self.on_failure: Callable[[JournalError], None] | None = None
        """Called once, when the journal fails."""
        self.unwritten: Callable[[], Iterable[tuple[float, str]]] | None = None
        """Gives events since the last commit that did not come through `event`, as times and JSON."""
        self._no = no
        self._lock = lock
        self.secrets = secrets
        """What is taken out of everything that is written."""
        secrets.on_learned = self._erase
        self._secret_arguments = secret_arguments
        self._plan_text: tuple[Any, RedactedStream] = None, RedactedStream(secrets)
        self._place = 0
        self._scheduled = False
        self._rows: list[_Row] = []
        self._fresh: set[str] = set()
        self._calls: dict[str, Recorded | LostValueError] = {}
        self._recorded: Sequence[RecordedRun] = ()
        self._begun = 0
        self._closed = False
        self._read_only = False

    def load(self, *, read_only: bool = False) -> list[Envelope]:
        """Read what earlier processes wrote. Call it once, before the run goes on.

        Args:
            read_only: The run is over. Nothing is written, and what could not be stored comes as text.

        Returns:
            The run's events.
        """
        stored = read_run(self.journal, self.run, self._no, read_only=read_only)
        self._place = stored.num_rows
        self._calls = dict(stored.calls)
        self._recorded = stored.recorded
        self._read_only = read_only
        self.secrets.resumed = True
        if not read_only:
            self.flush(also=("UPDATE runs SET status = 'running' WHERE no = ?", (self._no,)))
        return stored.envelopes

    @property
    def recorded(self) -> Sequence[RecordedRun]:
        """What earlier processes recorded: one for each call of `run_graph`."""
        return self._recorded

    def begin(self) -> RecordedRun | None:
        place, self._begun = self._begun, self._begun + 1
        if place < len(self._recorded):
            return self._recorded[place]
        self._write("begin", "")
        return None

    def patched(self, patch: GraphPatch, *, at: float, running: Sequence[str]) -> None:
        if self._secret_arguments:
            patch = self._without_secrets(patch)
        self._fresh.update([node.id for node in patch.add])
        self._write("patch", dump_patch(patch, running=running), at=at)

    def planned(self, *, at: float) -> None:
        self._write("planned", "", at=at)

    def settled(
        self,
        node: str,
        *,
        state: Literal["done", "failed"],
        value: Any,
        error: str | None,
        started: float,
        finished: float,
        usage: Usage | None,
        failure: FailureKind = "error",
    ) -> None:
        self._fresh.add(node.partition("[")[0])
        data = [node, state, started, error, None if usage is None else dataclasses.asdict(usage)]
        if state == "failed":
            data.append(failure)
        text = dump_value(value).text if state == "done" else None
        self._write("settled", json_text(data), text, at=finished)

    def commit(self, nodes: Collection[str] | None = None) -> None:
        if nodes is None or not self._fresh.isdisjoint(nodes):
            self.flush()

    def recall(self, key: str) -> Recorded | None:
        found = self._calls.get(key)
        if isinstance(found, LostValueError):
            raise found
        return found

    def started(self, key: str, *, node: str, tool: str, args: Mapping[str, Any], effect: Effect) -> None:
        if self.error is not None:
            raise JournalError(
                f"{tool} is not called: it changes things, and the journal, "
                f"which would tell later whether it did, has failed: {self.error}"
            )
        secret = self._secret_arguments.get(tool, frozenset())
        kept = {name: value for name, value in args.items() if name not in secret}
        text = self.secrets.redact_json(dump_value(kept).text)
        self.flush(
            durable=effect == "mutating",
            also=(
                "INSERT INTO calls (key, run, node, tool, effect, at, state, args) "
                "VALUES (?, ?, ?, ?, ?, ?, 'started', ?) ON CONFLICT (key) DO UPDATE "
                "SET state = 'started', at = excluded.at, args = excluded.args, error = NULL",
                (key, self._no, node, tool, effect, time.time(), text),
            ),
        )
        if self.error is not None:
            raise self.error
        self._calls[key] = Recorded("started")

    def finished(self, key: str, value: Any) -> None:
        self._calls[key] = Recorded("done", value=value)
        text, blob = self._split(self._redacted_value(dump_value(value).text))
        self.flush(
            also=(
                "UPDATE calls SET state = 'done', value = ?, blob = ? WHERE key = ?",
                (text, blob and blob[0], key),
            ),
            blobs=[blob] if blob else [],
        )

    def failed(self, key: str, error: str) -> None:
        self._calls[key] = Recorded("failed", error=error)
        text = _storable(self.secrets.redact(error))
        self.flush(also=("UPDATE calls SET state = 'failed', error = ? WHERE key = ?", (text, key)))

    def not_done(self, key: str) -> None:
        self._calls[key] = Recorded("not_done")
        self.flush(also=("UPDATE calls SET state = 'not_done' WHERE key = ?", (key,)))

    def event(self, envelope: Envelope) -> None:
        """Write an event that is about to be emitted."""
        self._write("event", event_json(envelope.event), at=envelope.at)

    def wake(self) -> None:
        """Commit what is in `unwritten` before this turn of the event loop ends."""
        if not self._scheduled:
            with contextlib.suppress(RuntimeError):  # no event loop: `close` writes it
                asyncio.get_running_loop().call_soon(self.flush)
                self._scheduled = True

    def finish(self, status: Status, answer: str | None) -> None:
        """The run is over. Others may work on it now."""
        text = None if answer is None else _storable(self.secrets.redact(answer))
        self.flush(also=("UPDATE runs SET status = ?, answer = ? WHERE no = ?", (status, text, self._no)))
        self.close()

    def close(self) -> None:
        """Write what is left and release the run as it is. Closing twice does nothing."""
        if not self._closed:
            self.flush()
            self._closed = True
            self._lock.release()

    def flush(
        self,
        *,
        durable: bool = False,
        also: tuple[str, tuple[Any, ...]] | None = None,
        blobs: Sequence[tuple[bytes, str]] = (),
    ) -> None:
        """Commit everything that was written since the last commit, together or not at all.

        Args:
            durable: The commit survives a power cut.
            also: A further statement, with its parameters.
            blobs: Further large values: content hashes and texts.
        """
        self._scheduled = False
        if self._closed or self._read_only or self.error is not None:
            return
        if self.unwritten is not None:
            for at, data in self.unwritten():
                self._rows.append((self._next_key(), at, "event", data, None))
        rows, self._rows = self._rows, []
        self._fresh.clear()
        if not (rows or also):
            return
        large = list(blobs)
        lines: list[tuple[int, float, str, str, str | None, bytes | None]] = []
        for key, at, kind, data, value in rows:
            blob = None
            if value is not None:
                value, blob = self._split(self._redacted_value(value))
                if blob is not None:
                    large.append(blob)
            lines.append((key, at, kind, self._redacted_data(data), value, blob and blob[0]))
        spent = json.dumps(dict(self.spending())) if self.spending is not None else None
        try:
            with self.journal.transaction(durable=durable) as db:
                if lines:
                    db.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", lines)
                if large:
                    db.executemany("INSERT OR IGNORE INTO blobs VALUES (?, ?)", large)
                    mine = [(self._no, hash) for hash, _ in large]
                    db.executemany("INSERT OR IGNORE INTO run_blobs VALUES (?, ?)", mine)
                if also is not None:
                    db.execute(*also)
                db.execute(
                    "UPDATE runs SET updated = ?, spent = coalesce(?, spent) WHERE no = ?",
                    (time.time(), spent, self._no),
                )
        except sqlite3.Error as error:
            self._fail(self.journal.error(error, "written"))

    def _fail(self, error: JournalError) -> None:
        self.error = error
        if self.on_failure is not None:
            self.on_failure(error)

    def _write(self, kind: str, data: str, value: str | None = None, *, at: float = 0.0) -> None:
        if self._closed or self._read_only or self.error is not None:
            return
        if not self._scheduled:
            self.wake()
        self._rows.append((self._next_key(), at, kind, data, value))

    def _next_key(self) -> int:
        self._place += 1
        return log_key(self._no, self._place)

    def _split(self, text: str) -> tuple[str | None, tuple[bytes, str] | None]:
        if len(text) <= LARGE:
            return text, None
        return None, (hashlib.blake2b(text.encode(), digest_size=20).digest(), text)

    def _redacted_value(self, text: str) -> str:
        return text if self.secrets.redact_json(text) is text else _SECRET_VALUE

    def _redacted_data(self, data: str) -> str:
        if not self.secrets:
            return data
        if data.startswith('{"kind":"planner.'):
            # The plan's text comes in pieces, so one piece may hold a part of a secret.
            event = json.loads(data)
            if event["kind"] == "planner.text":
                if self._plan_text[0] != event.get("attempt"):
                    self._plan_text = event.get("attempt"), RedactedStream(self.secrets)
                return json_text({**event, "text": self._plan_text[1].take(event["text"])})
            if event["kind"] in ("planner.rejected", "planner.finished"):
                self._plan_text = None, RedactedStream(self.secrets)
        return self.secrets.redact_json(data)

    def _without_secrets(self, patch: GraphPatch) -> GraphPatch:
        nodes = list(patch.add)
        found: list[str] = []
        for place, node in enumerate(patch.add):
            nodes[place], values = without_secrets(node, self._secret_arguments)
            found += values
        for value in found:
            if self.secrets.add(value):
                self._erase(value)
        return dataclasses.replace(patch, add=tuple(nodes)) if found else patch

    def _erase(self, secret: str) -> None:
        """Take a secret that became known out of what was written before."""
        self.flush()
        if self._closed or self._read_only or self.error is not None:
            return
        try:
            with self.journal.transaction() as db:
                for form in forms_of(secret):
                    self._erase_form(db, form)
                self._erase_plan_text(db)
            self.journal.checkpoint()  # the write-ahead log still holds the earlier text
        except sqlite3.Error as error:
            self._fail(self.journal.error(error, "written"))
        except JournalError as error:
            self._fail(error)

    def _erase_form(self, db: sqlite3.Connection, form: str) -> None:
        first, last = log_key(self._no, 0), log_key(self._no + 1, 0) - 1
        plain, structured, value = self.secrets.redact, self.secrets.redact_json, self._redacted_value
        for table, column, change, where, keys in (
            ("log", "data", structured, "id BETWEEN ? AND ?", (first, last)),
            ("log", "value", value, "id BETWEEN ? AND ?", (first, last)),
            ("calls", "args", structured, "run = ?", (self._no,)),
            ("calls", "value", value, "run = ?", (self._no,)),
            ("calls", "error", plain, "run = ?", (self._no,)),
            ("runs", "question", plain, "no = ?", (self._no,)),
            ("runs", "spec", structured, "no = ?", (self._no,)),
            ("blobs", "data", value, "hash IN (SELECT hash FROM run_blobs WHERE run = ?)", (self._no,)),
        ):
            found = db.execute(
                f"SELECT rowid, {column} FROM {table} WHERE {where} AND instr({column}, ?)", (*keys, form)
            ).fetchall()
            db.executemany(
                f"UPDATE {table} SET {column} = ? WHERE rowid = ?",
                [(change(text), row) for row, text in found if change(text) is not text],
            )
        db.execute("DELETE FROM results WHERE instr(value, ?)", (form,))

    def _erase_plan_text(self, db: sqlite3.Connection) -> None:
        """The plan's text came in pieces. Where the secret stands across them, all of them go."""
        first, last = log_key(self._no, 0), log_key(self._no + 1, 0) - 1
        ours = "id BETWEEN ? AND ? AND kind = 'event' AND substr(data, 1, 22) = '{\"kind\":\"planner.text\"'"
        pieces = db.execute(
            f"SELECT json_extract(data, '$.text') FROM log WHERE {ours} ORDER BY id", (first, last)
        ).fetchall()
        text = "".join(piece for (piece,) in pieces)
        if self.secrets.redact(text) is not text:
            db.execute(f"UPDATE log SET data = json_set(data, '$.text', '') WHERE {ours}", (first, last))


def start_run(
    journal: Journal,
    run: str,
    *,
    question: str = "",
    spec: Mapping[str, Any] | None = None,
    secrets: Secrets | None = None,
    secret_arguments: Mapping[str, frozenset[str]] | None = None,
) -> RunLog:
    """Enter a new run into the journal.

    Args:
        journal: The journal.
        run: The run's id.
        question: Its question.
        spec: Its options, which must be JSON.
        secrets: What is taken out of all text. The secrets of the environment unless given.
        secret_arguments: Names of secret arguments, by tool.

    Raises:
        JournalError: The journal cannot be written.
    """
    found = Secrets() if secrets is None else secrets
    no, lock = journal.add_run(
        run, question=_storable(found.redact(question)), spec=found.redact_json(json.dumps(dict(spec or {})))
    )
    return RunLog(journal, run=run, no=no, lock=lock, secrets=found, secret_arguments=secret_arguments or {})


def resume_run(
    journal: Journal,
    row: RunRow,
    *,
    secrets: Secrets | None = None,
    secret_arguments: Mapping[str, frozenset[str]] | None = None,
) -> RunLog:
    """Continue a run. Call `RunLog.load` next.

    Args:
        journal: The journal.
        row: The run.
        secrets: What is taken out of all text. The secrets of the environment unless given.
        secret_arguments: Names of secret arguments, by tool.

    Raises:
        RunBusyError: A live process works on it.
        JournalError: The journal cannot be read.
    """
    return RunLog(
        journal,
        run=row.id,
        no=row.no,
        lock=journal.lock(row),
        secrets=Secrets() if secrets is None else secrets,
        secret_arguments=secret_arguments or {},
    )


def _storable(text: str) -> str:
    """`text` without halves of surrogate pairs, which SQLite cannot encode."""
    return text.encode("utf-8", "backslashreplace").decode()
