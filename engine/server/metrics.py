"""Counters and histograms in the text format of Prometheus, for one server. No registry, no threads.

Source: the Prometheus text exposition format, version 0.0.4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class Counter:
    """A number that only grows, one for each set of labels."""

    def __init__(self, name: str, help: str) -> None:
        self.name = name
        self.help = help
        self._values: dict[Labels, float] = {}

    def add(self, amount: float = 1, **labels: str) -> None:
        key = tuple(sorted(labels.items()))
        self._values[key] = self._values.get(key, 0) + amount

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.help, "counter")
        for labels, value in sorted(self._values.items()):
            yield _line(self.name, labels, value)


class Gauge:
    """A number that is read when it is shown."""

    def __init__(self, name: str, help: str, read: Callable[[], float]) -> None:
        self.name = name
        self.help = help
        self._prompt_usages = read

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.help, "gauge")
        yield _line(self.name, (), self._prompt_usages())


class Histogram:
    """Distribution of observations over buckets, in seconds."""

    def __init__(self, name: str, help: str, bounds: tuple[float, ...] = _SECONDS) -> None:
        self.name = name
        self.help = help
        self._bounds = bounds
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, value: float, **labels: str) -> None:
        key = tuple(sorted(labels.items()))
        counts = self._counts.setdefault(key, [0] * (len(self._bounds) + 1))
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[key] = self._sums.get(key, 0.0) + value

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.help, "histogram")
        for labels, counts in sorted(self._counts.items()):
            bounds = [*map(_number, self._bounds), "+Inf"]
            for bound, count in zip(bounds, accumulate(counts), strict=True):
                yield _line(f"{self.name}_bucket", (*labels, ("le", bound)), count)
            yield _line(f"{self.name}_sum", labels, self._sums[labels])
            yield _line(f"{self.name}_count", labels, sum(counts))


class Metrics:
    """The metrics of `/metrics`. The gauges read admission and engine."""

    def __init__(
        self,
        *,
        running: Callable[[], int],
        waiting: Callable[[], int],
        open_contexts: Callable[[], int],
        kv_bytes: Callable[[], int] | None = None,
    ) -> None:
        self.requests = Counter(
            "braid_requests_total", "Requests by endpoint and HTTP status; 499: client hung up."
        )
        self.prompt_tokens = Counter("braid_prompt_tokens_total", "Prompt tokens, cached ones included.")
        self.cached_tokens = Counter("braid_cached_tokens_total", "Prompt tokens whose KV was reused.")
        self.generated_tokens = Counter("braid_generated_tokens_total", "Tokens sampled.")
        self.request_seconds = Histogram(
            "braid_request_seconds", "From a request's arrival to its last byte."
        )
        self.first_token_seconds = Histogram(
            "braid_first_token_seconds", "From a request's arrival to its first token, waiting included."
        )
        for counter in (self.prompt_tokens, self.cached_tokens, self.generated_tokens):
            counter.add(0)
        self._gauges = [
            Gauge("braid_requests_in_flight", "Requests that are generating.", running),
            Gauge("braid_requests_queued", "Requests that wait for their turn.", waiting),
            Gauge("braid_open_contexts", "Contexts of the engine that are not released.", open_contexts),
        ]
        if kv_bytes is not None:
            text = "KV that the engine holds now, for contexts, running requests and reuse."
            self._gauges.append(Gauge("braid_kv_bytes", text, kv_bytes))

    def text(self) -> str:
        counters = (self.requests, self.prompt_tokens, self.cached_tokens, self.generated_tokens)
        shown = (*counters, *self._gauges, self.request_seconds, self.first_token_seconds)
        return "".join(f"{line}\n" for metric in shown for line in metric.lines())


def _head(name: str, help: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {help}"
    yield f"# TYPE {name} {kind}"


def _line(name: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{name}{{{shown}}} {_number(value)}" if shown else f"{name} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
