"""The journal's file: one SQLite database (WAL) for all runs of a user. Any number of processes write to it.

Tables:

- `runs`: one row for each run.
- `log`: everything that happened in a run, in order. The key is the run's number and the place in it.
- `calls`: every mutating call, by idempotency key.
- `blobs`: large values, each once, by content hash.
- `results`: results of pure tools that later runs use again (`braid.executors.journal.result_cache`).
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, cast, get_args

from braid.executors.journal.errors import (
    JournalDamagedError,
    JournalError,
    RunBusyError,
    UnknownRunError,
)
from braid.executors.journal.locks import JournalFile, RunLock, is_locked
from braid.executors.journal.schema import BUSY_SECONDS, prepare, transaction

_SHIFT: Final = 32
"""Bits of a log key that hold the place in the run."""

Status = Literal["running", "interrupted", "answered", "declined", "partial", "failed", "cancelled"]
"""`running` and `interrupted` are the same on disk. The first has a live process.

`declined` said why there is no answer. `partial` ended early with results. `failed` ended early without any,
or by an error.
"""

_OLDER: Final[dict[str, Status]] = {"stopped": "partial"}
"""What earlier versions wrote."""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """A run as the journal knows it. Times are seconds since the epoch."""

    no: int
    """Its number, which is the key of its rows."""
    id: str
    created: float
    updated: float
    status: Status
    question: str
    answer: str | None
    spec: dict[str, Any]
    """The options that the run was started with."""
    spent: dict[str, Any]
    """What it has spent, by kind."""
    damage: str = ""
    """What is wrong with the row, where it is damaged. The other fields hold what could be read."""

    @property
    def final(self) -> bool:
        """Whether the run cannot go on: it was answered or declined."""
        return self.status in ("answered", "declined")


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What `Journal.prune` did."""

    runs: int
    """Number of runs that were removed."""
    size: int
    """Size of the file afterwards, in bytes."""


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of a run's log."""

    at: float
    kind: str
    data: str
    value: str | None
    """The text of a stored value, if there is one."""


class CallRow(NamedTuple):
    """A mutating call as the journal knows it."""

    key: str
    """Its idempotency key."""
    node: str
    tool: str
    state: str
    value: str | None
    """The text of its result, if it has one."""
    error: str | None
    args: str
    """The text of its arguments."""


class Journal:
    """The journal at `path`, which is made if it is not there.

    Threads and loops may share it.

    Raises:
        JournalVersionError: It was written by a version that is too new, or too old to be brought up to date.
        JournalError: It cannot be opened, is damaged, or is some other program's database.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._mutex = threading.RLock()
        self._closed = False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # First these, since a journal that is being made has them after it has content.
            left = [file for suffix in ("-wal", "-shm") if (file := _beside(self.path, suffix)).exists()]
            fresh = not self.path.exists() or self.path.stat().st_size == 0
            if fresh and left:
                raise JournalError(
                    f"there is no journal at {self.path}, but {' and '.join(map(str, left))} of one that was "
                    "moved away or removed, perhaps while a process still works on it; move them along with "
                    "it, or remove them too"
                )
            if fresh:
                self.path.touch(mode=0o600)
            self._db = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._file = JournalFile.at(self.path)
        except (OSError, sqlite3.Error) as error:
            raise self.error(error, "opened") from error
        try:
            prepare(self._db, self.path)
        except sqlite3.Error as error:
            self._db.close()
            raise self.error(error, "opened") from error
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        with self._mutex:
            if not self._closed:
                self._closed = True
                self._db.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def error(self, error: Exception, what: str) -> JournalError:
        """An error of the database as one that says what to do. `what` is a participle, such as "read"."""
        # The lowest byte is the kind of error, the others its details.
        detailed = getattr(error, "sqlite_errorcode", None)
        if detailed is None and isinstance(error, sqlite3.OperationalError):
            detailed = sqlite3.SQLITE_CORRUPT  # Python's own: text that is no UTF-8
        code = (detailed or 0) & 0xFF
        if code == sqlite3.SQLITE_FULL or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
            hint = "free some space, or remove old runs by `braid runs prune`"
        elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            hint = f"another process has kept it locked for {BUSY_SECONDS:g} s; try again when that has ended"
        elif code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return JournalDamagedError(
                f"the journal {self.path} cannot be {what}: {error}; the file is damaged, or no journal; "
                "move it away, and a new one is made"
            )
        else:
            hint = "run without one by --no-journal or journal=False"
        return JournalError(f"the journal {self.path} cannot be {what}: {error}; {hint}")

    def add_run(self, id: str, *, question: str, spec: str) -> tuple[int, RunLock]:
        """Enter a new run.

        Args:
            id: Its id.
            question: Its question.
            spec: Its options, as a JSON object.

        Returns:
            Its number, and the lock that says that it is alive.
        """
        now = time.time()
        lock: RunLock | None = None
        try:
            with self._guarded("written"), self.transaction() as db:
                cursor = db.execute(
                    "INSERT INTO runs (id, created, updated, status, question, spec) "
                    "VALUES (?, ?, ?, 'running', ?, ?)",
                    (id, now, now, question, spec),
                )
                no = cursor.lastrowid
                assert no is not None
                lock = self._acquire(no)
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        if lock is None:  # a process holds it for another file, which had the number of this one
            raise RunBusyError(f"run {id} cannot be entered into the journal {self.path}: {no} is locked")
        return no, lock

    def runs(self, *, limit: int | None = None, nested: bool = False) -> list[RunRow]:
        """The runs, the latest first.

        Args:
            limit: Most runs to return.
            nested: Include runs of agents within runs. Their ids have a colon.
        """
        sql = "SELECT * FROM runs" + ("" if nested else " WHERE instr(id, ':') = 0") + " ORDER BY no DESC"
        sql += f" LIMIT {int(limit)}" if limit is not None else ""
        try:
            with self._mutex:
                rows = self._db.execute(sql).fetchall()
        except sqlite3.Error as error:
            found = self._runs_one_by_one(self.error(error, "read"), nested=nested)
            return found[:limit]
        return [self._row(row) for row in rows]

    def _runs_one_by_one(self, error: JournalError, *, nested: bool) -> list[RunRow]:
        """The runs of a damaged file. Their ids come from the index."""
        if not isinstance(error, JournalDamagedError):
            raise error
        found: list[RunRow] = []
        with self._guarded("read"), self._mutex:
            numbers = self._db.execute(
                "SELECT no, CAST(id AS BLOB) FROM runs INDEXED BY sqlite_autoindex_runs_1 ORDER BY id"
            ).fetchall()
        for no, name in sorted(numbers, reverse=True):
            id = name.decode(errors="replace")
            if ":" in id and not nested:
                continue
            found.append(self._read_row(no, id))
        return found

    def get(self, id: str) -> RunRow | None:
        """The run of exactly this id, if there is one."""
        with self._guarded("read"), self._mutex:
            row = self._db.execute("SELECT no FROM runs WHERE id = ?", (id,)).fetchone()
        return None if row is None else self._whole(self._read_row(row[0], id))

    def find(self, prefix: str) -> RunRow:
        """The run whose id is `prefix`, or the only one whose id begins with it. "last" is the latest.

        Raises:
            UnknownRunError: There is none, or more than one.
            JournalDamagedError: Its row is damaged.
        """
        with self._guarded("read"), self._mutex:
            if prefix == "last":
                rows = self._db.execute(
                    "SELECT no, id FROM runs WHERE instr(id, ':') = 0 ORDER BY no DESC LIMIT 1"
                ).fetchall()
            else:
                rows = self._db.execute(
                    "SELECT no, id FROM runs WHERE substr(id, 1, ?) = ? AND (instr(id, ':') = 0 OR ?) "
                    "ORDER BY id = ? DESC, no DESC LIMIT 6",
                    (len(prefix), prefix, ":" in prefix, prefix),
                ).fetchall()
        if not rows or not prefix:
            raise UnknownRunError(
                f"there is no run {prefix!r} in the journal {self.path}; `braid runs` lists them"
            )
        found = rows[0][1]
        if len(rows) > 1 and found != prefix:
            ids = ", ".join(row[1] for row in rows[:5]) + (", ..." if len(rows) > 5 else "")
            raise UnknownRunError(f"more than one run begins with {prefix!r}: {ids}")
        return self._whole(self._read_row(*rows[0]))

    def lock(self, run: RunRow) -> RunLock:
        """Lock `run`.

        Raises:
            RunBusyError: A live process works on it.
        """
        lock = self._acquire(run.no)
        if lock is None:
            raise RunBusyError(f"run {run.id} is being worked on by a live process; wait until it has ended")
        return lock

    def log(self, no: int, *, values: bool = True) -> Iterator[LogRow]:
        """The log of run number `no` in order. Without `values`, large values are not read."""
        with self._guarded("read"):
            with self._mutex:
                rows = self._db.execute(
                    "SELECT at, kind, data, value, blob FROM log WHERE id BETWEEN ? AND ? ORDER BY id",
                    (no << _SHIFT, ((no + 1) << _SHIFT) - 1),
                ).fetchall()
            for at, kind, data, value, blob in rows:
                yield LogRow(at, kind, data, self.blob(blob) if blob is not None and values else value)

    def calls(self, no: int) -> list[CallRow]:
        """The mutating calls of run number `no`, in the order in which they began."""
        with self._guarded("read"), self._mutex:
            rows = self._db.execute(
                "SELECT key, node, tool, state, value, blob, error, args FROM calls "
                "WHERE run = ? ORDER BY at",
                (no,),
            ).fetchall()
        return [
            CallRow(key, node, tool, state, value if blob is None else self.blob(blob), error, args)
            for key, node, tool, state, value, blob, error, args in rows
        ]

    def blob(self, hash: bytes) -> str:
        """The large value with this content hash."""
        with self._guarded("read"), self._mutex:
            found = self._db.execute("SELECT data FROM blobs WHERE hash = ?", (hash,)).fetchone()
        if found is None:
            raise JournalDamagedError(f"the value {hash.hex()} is not in the journal {self.path}")
        return found[0]

    def size(self) -> int:
        """Bytes of the database, including free pages."""
        with self._guarded("read"), self._mutex:
            (pages,) = self._db.execute("PRAGMA page_count").fetchone()
            (size,) = self._db.execute("PRAGMA page_size").fetchone()
        return pages * size

    def prune(self, *, older_than: float | None = None, max_size: int | None = None) -> Pruned:
        """Remove runs that nobody works on, and kept results.

        Args:
            older_than: Remove runs that were not written to for so many seconds.
            max_size: Then remove the oldest runs until the file has at most so many bytes.
        """
        removed = 0
        now = time.time()
        self._drop_results(older_than=older_than, max_size=max_size)
        for row in reversed(self.runs(nested=True)):
            old = older_than is not None and now - row.updated > older_than
            large = max_size is not None and self.size() > max_size
            if not old and not large:
                continue
            lock = self._acquire(row.no)
            if lock is None:
                continue
            try:
                self._remove(row.no)
                removed += 1
            finally:
                lock.release()
        self.checkpoint()
        return Pruned(runs=removed, size=self.size())

    def checkpoint(self) -> None:
        """Move everything into the main file, and empty the write-ahead log."""
        with self._guarded("written"), self._mutex:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The database, for a query. SQLite's errors pass."""
        with self._mutex:
            yield self._db

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """The database, for statements that are committed together or not at all.

        Args:
            durable: The commit survives a power cut. Others are much cheaper and survive the end of the
                process.
        """
        with self._mutex, transaction(self._db, durable=durable) as db:
            yield db

    def _acquire(self, no: int) -> RunLock | None:
        try:
            return RunLock.acquire(self._file, no)
        except OSError as error:
            raise self.error(error, "locked") from error

    @contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self.error(error, what) from error

    def _remove(self, no: int) -> None:
        with self._guarded("written"):
            with self.transaction() as db:
                db.execute(
                    "DELETE FROM log WHERE id BETWEEN ? AND ?", (no << _SHIFT, ((no + 1) << _SHIFT) - 1)
                )
                db.execute("DELETE FROM calls WHERE run = ?", (no,))
                db.execute(
                    "DELETE FROM blobs WHERE hash IN ("
                    "SELECT mine.hash FROM run_blobs AS mine WHERE mine.run = ? AND NOT EXISTS ("
                    "SELECT 1 FROM run_blobs AS other WHERE other.hash = mine.hash AND other.run != ?))",
                    (no, no),
                )
                db.execute("DELETE FROM run_blobs WHERE run = ?", (no,))
                db.execute("DELETE FROM runs WHERE no = ?", (no,))
            with self._mutex:
                self._db.executescript("PRAGMA incremental_vacuum")  # `execute` would free one page

    def _drop_results(self, *, older_than: float | None, max_size: int | None) -> None:
        """Remove kept results. They can be computed again, so they go before any run."""
        with self._guarded("written"):
            if older_than is not None:
                with self.transaction() as db:
                    db.execute("DELETE FROM results WHERE at < ?", (time.time() - older_than,))
            if max_size is not None and self.size() > max_size:
                with self.transaction() as db:
                    db.execute("DELETE FROM results")
            with self._mutex:
                self._db.executescript("PRAGMA incremental_vacuum")

    def _read_row(self, no: int, id: str) -> RunRow:
        try:
            with self._mutex:
                row = self._db.execute("SELECT * FROM runs WHERE no = ?", (no,)).fetchone()
        except sqlite3.Error as error:
            raised = self.error(error, "read")
            if not isinstance(raised, JournalDamagedError):
                raise raised from error
            return _damaged_row(no, id, str(error))
        return _damaged_row(no, id, "its row is not there") if row is None else self._row(row)

    def _whole(self, row: RunRow) -> RunRow:
        if row.damage:
            raise self.damaged(row.id, row.damage)
        return row

    def damaged(self, run: str, why: object) -> JournalDamagedError:
        """The error that says that what is known of `run` is damaged."""
        return JournalDamagedError(
            f"what the journal {self.path} holds of run {run} is damaged: {why}; other runs can be read "
            "(`braid runs` lists them), and the question can be asked anew"
        )

    def _row(self, row: tuple[Any, ...]) -> RunRow:
        no, id, created, updated, status, question, answer, spec, spent = row
        try:
            if status == "running" and not is_locked(self._file, no):
                status = "interrupted"
            return RunRow(
                no=no,
                id=id,
                created=float(created),
                updated=float(updated),
                status=_status(_OLDER.get(status, status)),
                question=question,
                answer=answer,
                spec=dict(json.loads(spec).items()),
                spent=dict(json.loads(spent).items()),
            )
        except (ValueError, TypeError, AttributeError) as error:
            return _damaged_row(no, str(id), f"{type(error).__name__} in its row")


def _status(text: str) -> Status:
    if text not in get_args(Status):
        raise ValueError(f"{text!r} is no status")
    return cast("Status", text)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _damaged_row(no: int, id: str, damage: str) -> RunRow:
    empty: dict[str, Any] = {}
    return RunRow(
        no=no,
        id=id,
        created=0.0,
        updated=0.0,
        status="failed",
        question="",
        answer=None,
        spec=empty,
        spent=empty,
        damage=damage,
    )


def log_key(no: int, place: int) -> int:
    """The key of a log row."""
    return (no << _SHIFT) + place
