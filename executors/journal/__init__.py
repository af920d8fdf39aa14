"""The journal: every event of a run is in SQLite before its effect is visible. Resume is replay."""

from braid.executors.journal.errors import (
    JournalDamagedError,
    JournalError,
    JournalVersionError,
    RunBusyError,
    UnknownRunError,
)
from braid.executors.journal.reader import recorded_events
from braid.executors.journal.redaction import secret_arguments
from braid.executors.journal.result_cache import StoredResults
from braid.executors.journal.run_log import RunLog, resume_run, start_run
from braid.executors.journal.store import Journal, Pruned, RunRow
from braid.executors.journal.value_codec import LostValueError, dump_value, load_value

__all__ = [
    "Journal",
    "JournalDamagedError",
    "JournalError",
    "JournalVersionError",
    "LostValueError",
    "Pruned",
    "RunBusyError",
    "RunLog",
    "RunRow",
    "StoredResults",
    "UnknownRunError",
    "dump_value",
    "load_value",
    "recorded_events",
    "resume_run",
    "secret_arguments",
    "start_run",
]
