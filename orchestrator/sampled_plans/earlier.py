"""What an earlier process of a resumed run has drawn, read from its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from braid.engine import Event
from braid.orchestrator.sampled_plans.events import (
    PlanSampled,
    PlansRequested,
    PlansVoted,
    SampleRejected,
    SampleText,
)
from braid.planner import PartialPlan


@dataclass(frozen=True)
class EarlierSamples:
    """The plans of one round as earlier processes left them."""

    samples: int
    """How many were to be drawn."""
    ballots: Sequence[PlanSampled] = ()
    """Those that were tried."""
    written: Mapping[int, PartialPlan] = field(default_factory=lambda: dict[int, PartialPlan]())
    """What was written of the others."""
    vote: PlansVoted | None = None


class SamplesRead:
    """Takes the events of one round, and gives what they say of its plans."""

    def __init__(self) -> None:
        self._samples = 0
        self._ballots: dict[int, PlanSampled] = {}
        self._ended: dict[int, list[tuple[str, bool]]] = {}
        self._open: dict[int, list[str]] = {}
        self._pieces: Counter[int] = Counter()
        self._vote: PlansVoted | None = None

    def take(self, event: Event) -> None:
        """Take an event. Those of other kinds are passed over."""
        match event:
            case PlansRequested():
                self._samples = event.samples
            case SampleText():
                self._open.setdefault(event.sample, []).append(event.text)
                self._pieces[event.sample] += 1
            case SampleRejected():
                self._end(event.sample, rejected=True)
            case PlanSampled():
                self._ballots[event.sample] = event
            case PlansVoted():
                self._vote = event
            case _:
                pass

    def cut_off(self) -> None:
        """Another process goes on from here."""
        for sample in tuple(self._open):
            self._end(sample, rejected=False)

    def read(self) -> EarlierSamples | None:
        """What was drawn. None where a single plan was written."""
        if not self._samples:
            return None
        self.cut_off()
        written = {
            sample: PartialPlan(attempts=tuple(attempts), tokens=self._pieces[sample])
            for sample, attempts in self._ended.items()
            if sample not in self._ballots
        }
        return EarlierSamples(self._samples, tuple(self._ballots.values()), written, self._vote)

    def _end(self, sample: int, *, rejected: bool) -> None:
        text = "".join(self._open.pop(sample, []))
        if text or rejected:
            self._ended.setdefault(sample, []).append((text, rejected))
