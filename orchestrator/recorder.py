"""The recorder of a run: it numbers and keeps every event, and passes it to a listener and the journal."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from braid.engine import Envelope, Event
from braid.executors.scheduler import Deferred, deferred_json
from braid.executors.values import Secrets
from braid.orchestrator.events import JournalFailed
from braid.orchestrator.telemetry import log_event, logs_events

if TYPE_CHECKING:
    from braid.executors.journal import RunLog


class Recorder(Sequence[Envelope]):
    """Receives the events of a run. As a sequence it is the run's log.

    An event is written into the journal before the listener has it. Without a listener, frequent events are
    built only when the log is read (`braid.executors.scheduler.Deferred`).
    """

    def __init__(self, listener: Callable[[Envelope], None] | None = None, *, run: str | None = None) -> None:
        self.run = run or uuid.uuid4().hex[:12]
        self.deferred: Deferred | None = [] if listener is None and not logs_events() else None
        """Frequent events that are not built yet. None where a listener or the log wants each at once."""
        self.secrets: Secrets | None = None
        """What is left out of the log. None is what the environment holds."""
        self.emitted: list[Event] = []
        """All events except those that were deferred."""
        self._envelopes: list[Envelope] = []
        self._listener = listener
        self._clock = time.time() - time.monotonic()
        self._log: RunLog | None = None
        self._quiet = False
        self._written = 0
        self._mutex = threading.RLock()
        """Threads that share a result may read its events side by side."""

    @property
    def live(self) -> bool:
        """Whether there is a listener."""
        return self._listener is not None

    def write_to(self, log: RunLog, *, earlier: Sequence[Envelope] = (), quiet: bool = False) -> None:
        """Write each event into `log` before the listener has it.

        Args:
            log: The journal of the run.
            earlier: Events of the same run by earlier processes. They come first.
            quiet: Whether all further events are dropped.
        """
        self.run = log.run
        if quiet:
            self.deferred = None
        log.unwritten = self._unwritten
        log.on_failure = lambda error: self(JournalFailed(error=str(error)))
        self._log = log
        self._quiet = quiet
        for envelope in earlier:
            self.emitted.append(envelope.event)
            self._envelopes.append(envelope)
            if self._listener is not None:
                self._listener(envelope)

    def __call__(self, event: Event) -> None:
        if self._quiet:
            return
        log_event(self.run, event, self.secrets)
        self.emitted.append(event)
        if self.deferred is not None:
            self.deferred += (_unchanged, event, time.monotonic())
            if self._log is not None:
                self._log.wake()
        else:
            self._add(event, time.time())

    def __len__(self) -> int:
        return len(self._envelopes) + len(self.deferred or ()) // 3

    @overload
    def __getitem__(self, index: int) -> Envelope: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Envelope]: ...

    def __getitem__(self, index: int | slice) -> Envelope | Sequence[Envelope]:
        self._catch_up()
        return self._envelopes[index]

    def __iter__(self) -> Iterator[Envelope]:
        self._catch_up()
        return iter(self._envelopes)

    def _catch_up(self) -> None:
        with self._mutex:
            if self.deferred:
                if self._log is not None:
                    self._log.flush()
                for build, what, at in _triples(self.deferred):
                    self._add(build(what, at), self._clock + at, written=True)
                self.deferred.clear()
                self._written = 0

    def _unwritten(self) -> Iterator[tuple[float, str]]:
        """What was deferred since the last call, as times and JSON. No events are built for it."""
        found = self.deferred[self._written :] if self.deferred else []
        self._written += len(found)
        for build, what, at in _triples(found):
            yield self._clock + at, deferred_json(build, what, at)

    def _add(self, event: Event, at: float, *, written: bool = False) -> None:
        envelope = Envelope(run=self.run, seq=len(self._envelopes), at=at, event=event)
        self._envelopes.append(envelope)
        if self._log is not None and not written:
            self._log.event(envelope)
        if self._listener is not None:
            self._listener(envelope)


def _triples(deferred: Deferred) -> Iterator[tuple[Callable[[Any, float], Event], Any, float]]:
    items = iter(deferred)
    return zip(items, items, items, strict=True)


def _unchanged(event: Event, at: float) -> Event:
    return event
