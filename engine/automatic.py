"""The engine that is taken where none is named: the best planner that this machine has at hand."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import resources

from braid.engine.catalogue import cached_model
from braid.engine.system import processors, recall, remember

AUTO = "auto"
"""The address of the engine that `choose_engine` chooses."""
PLANNER = "local:braid-planner"
SMALL = "local:braid-mini"
BASE = "smollm2-135m"
"""The model of the catalogue that braid-planner is an adapter of."""
SLOWEST = 3.0
"""Seconds that braid-planner may take from the question to the first statement of a plan."""
_KIND = "speed"
_FRESH = 7 * 24 * 3600.0
"""Seconds for which a measurement counts."""


@dataclass(frozen=True)
class Choice:
    """An engine that was chosen."""

    address: str
    reason: str
    """Why this one, for a person."""


def choose_engine() -> Choice:
    """braid-planner where its base is in the cache and it was quick so far, else braid-mini.

    Nothing is loaded, and the network is not asked.
    """
    folder = resources.files("braid.engine") / "local" / "models" / "braid-planner"
    if not (folder / "adapter_config.json").is_file():
        return Choice(SMALL, "this installation has no braid-planner")
    if cached_model(BASE) is None:
        return Choice(SMALL, f"the base of braid-planner is not here: braid models pull {BASE}")
    seconds, at = recall(_KIND, PLANNER, str(processors().usable)) or (0.0, 0.0)
    if seconds > SLOWEST and time.time() - at < _FRESH:
        return Choice(
            SMALL, f"braid-planner took {seconds:.1f} s to its first statement here (limit {SLOWEST:g} s)"
        )
    return Choice(PLANNER, "its base is here")


def resolve(address: str) -> str:
    """`address`, or that of the engine that is chosen where it is `AUTO`."""
    return choose_engine().address if address == AUTO else address


def note_speed(address: str, seconds: float) -> None:
    """Remember how long braid-planner took to its first statement. The later of two runs counts."""
    if address == PLANNER:
        remember(_KIND, PLANNER, str(processors().usable), value=[seconds, time.time()])
