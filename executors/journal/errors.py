"""Errors of the journal."""

from __future__ import annotations

from braid.engine import BraidError


class JournalError(BraidError):
    """The journal cannot be read or written: what is wrong with the file, and what to do."""


class JournalVersionError(JournalError):
    """The journal was written by a version of Braid whose journals this one cannot open."""


class UnknownRunError(JournalError, LookupError):
    """No run has this id, or more than one begins like this."""


class RunBusyError(JournalError):
    """Another process works on this run right now."""
