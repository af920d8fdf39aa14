"""The tables of the journal's file, its versions, and how an older file is brought up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from braid.executors.journal.errors import JournalError, JournalVersionError

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x42524149  # "BRAI"
BUSY_SECONDS: Final = 10.0

_SCHEMA: Final = """
CREATE TABLE runs (
    no INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    created REAL NOT NULL, updated REAL NOT NULL, status TEXT NOT NULL,
    question TEXT NOT NULL, answer TEXT, spec TEXT NOT NULL, spent TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE log (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL, value TEXT, blob BLOB
);
CREATE TABLE calls (
    key TEXT PRIMARY KEY, run INTEGER NOT NULL, node TEXT NOT NULL, tool TEXT NOT NULL,
    effect TEXT NOT NULL, at REAL NOT NULL, state TEXT NOT NULL, args TEXT NOT NULL,
    value TEXT, blob BLOB, error TEXT
);
CREATE INDEX calls_of_run ON calls (run);
CREATE TABLE blobs (hash BLOB PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE run_blobs (run INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (run, hash)) WITHOUT ROWID;
CREATE INDEX runs_of_blob ON run_blobs (hash);
CREATE TABLE results (key TEXT PRIMARY KEY, at REAL NOT NULL, value TEXT NOT NULL);
"""

_MIGRATIONS: Final[dict[int, str]] = {}
"""For each older version, the statements that make the next one of it.

A version without an entry cannot be opened.
"""


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Set up a connection, and bring the file up to the present version.

    Raises:
        JournalVersionError: It was written by a version that is too new, or too old to be brought up to date.
        JournalError: It is some other program's database.
        sqlite3.Error: It cannot be read or written.
    """
    db.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION_ID:
        raise JournalError(f"{path} is some other program's database and no journal; name another file")
    if version > SCHEMA_VERSION:
        raise JournalVersionError(
            f"the journal {path} has version {version}, written by a newer Braid; this one knows versions"
            f" up to {SCHEMA_VERSION}: update Braid, or name another file"
        )
    if not tables:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL").fetchone()
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA secure_delete = ON")
    db.execute("PRAGMA wal_autocheckpoint = 4000")
    if version < SCHEMA_VERSION or not tables:
        _upgrade(db, path)


def _upgrade(db: sqlite3.Connection, path: Path) -> None:
    with transaction(db, durable=True):
        # Another process may have upgraded it since.
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            _execute(db, _SCHEMA)
            version = SCHEMA_VERSION
        while version < SCHEMA_VERSION:
            script = _MIGRATIONS.get(version)
            if script is None:
                raise JournalVersionError(
                    f"the journal {path} has version {version}, which this Braid cannot bring up to version "
                    f"{SCHEMA_VERSION}; read it with the Braid that wrote it, or move it away, "
                    "and a new one is made"
                )
            _execute(db, script)
            version += 1
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def transaction(db: sqlite3.Connection, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
    """Statements that are committed together or not at all. A `durable` commit survives a power cut."""
    if durable:
        db.execute("PRAGMA synchronous = FULL")
    try:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
    finally:
        if durable:
            db.execute("PRAGMA synchronous = NORMAL")


def _execute(db: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";\n"):
        if statement.strip():
            db.execute(statement)
