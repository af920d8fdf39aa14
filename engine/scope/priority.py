"""Priority of the running task's requests.

It is a context variable, which tasks inherit and engines read. The unit is seconds. Work whose result may be
ten seconds late without delaying the whole has priority -10. It overtakes nothing on the critical path. A
request that waits becomes more urgent by one second each second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ambient: ContextVar[float] = ContextVar("braid_priority", default=0.0)


def ambient_priority() -> float:
    """The priority of the running task. 0 unless it was set."""
    return _ambient.get()


@contextmanager
def use_priority(value: float) -> Iterator[None]:
    """Give requests made inside the block this priority. Higher is sooner."""
    token = _ambient.set(value)
    try:
        yield
    finally:
        _ambient.reset(token)
