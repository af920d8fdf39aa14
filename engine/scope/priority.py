"""How urgent the running task's requests are: a context variable, which tasks inherit and engines read.

The unit is seconds: work whose result may be ten seconds late without delaying the whole has priority -10, and overtakes nothing
that is on the critical path, but what waits becomes more urgent by a second each second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ambient: ContextVar[float] = ContextVar("braid_priority", default=0.0)


def ambient_priority() -> float:
    """The priority of the running task; 0 unless somebody set it."""
    return _ambient.get()


@contextmanager
def use_priority(value: float) -> Iterator[None]:
    """Requests made inside the block have this priority; higher is sooner."""
    token = _ambient.set(value)
    try:
        yield
    finally:
        _ambient.reset(token)
