"""Results of pure tools across runs and processes: a `ResultCache` in the journal's file."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from braid.executors.journal.store import Journal
from braid.executors.journal.value_codec import LostValueError, dump_value, load_value
from braid.executors.tools import Cached
from braid.executors.values import Secrets


class StoredResults:
    """The results in `journal`. Where a result cannot be stored or read, the tool is called again.

    Threads and loops may share it.

    Args:
        journal: The journal.
        secrets: A result that holds one is not stored. Those of the environment unless given.
    """

    def __init__(self, journal: Journal, secrets: Secrets | None = None) -> None:
        self.journal = journal
        self._secrets = Secrets() if secrets is None else secrets

    def get(self, key: str) -> Cached | None:
        try:
            with self.journal.reading() as db:
                row = db.execute("SELECT value FROM results WHERE key = ?", (key,)).fetchone()
            return None if row is None else Cached(load_value(row[0]))
        except (sqlite3.Error, LostValueError, ValueError, TypeError, LookupError, AttributeError):
            return None

    def put(self, key: str, value: Any) -> None:
        stored = dump_value(value)
        if stored.lost is not None or self._secrets.redact_json(stored.text) is not stored.text:
            return
        try:
            with self.journal.transaction() as db:
                db.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", (key, time.time(), stored.text))
        except sqlite3.Error:
            return
