"""Errors of the journal."""

from __future__ import annotations

from braid.engine import BraidError


class JournalError(BraidError):
    """The journal cannot be read or written. The message says what is wrong with the file, and what to do."""


class JournalVersionError(JournalError):
    """The journal was written by a version of Braid whose journals this version cannot open."""


class JournalDamagedError(JournalError):
    """The file, or what it holds of a run, is damaged. Where it is a run, the message names it."""


class UnknownRunError(JournalError, LookupError):
    """No run has this id, or several ids begin with it."""


class RunBusyError(JournalError):
    """A live process works on this run."""
