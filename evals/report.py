"""The report on an evaluation, from the rows of its log."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from pydantic import BaseModel, ConfigDict

from braid.engine import Usage
from braid.evals.log import Header, Row
from braid.evals.stats import mean_and_stderr, percentile


class Figure(BaseModel):
    """A mean over samples."""

    model_config = ConfigDict(frozen=True)
    mean: float
    stderr: float | None
    """Standard error. None for a single sample."""
    n: int
    """Number of samples."""

    def text(self) -> str:
        """The figure in percent, such as 65.0 ± 3.4 %."""
        spread = "" if self.stderr is None else f" ± {100 * self.stderr:.1f}"
        return f"{100 * self.mean:.1f}{spread} %"


class EvalReport(BaseModel):
    """The result of an evaluation."""

    model_config = ConfigDict(frozen=True)
    task: str
    engine: str
    samples: int
    errors: int
    """Samples that could not be run. They lower no accuracy."""
    accuracy: Figure | None
    metrics: dict[str, Figure]
    """Further figures of the scorer, by name."""
    usage: Usage
    """Totals over the samples."""
    critical_path_tokens: float | None
    """Mean per sample of the longest chain of generated tokens."""
    seconds_p50: float | None
    """Median of the wall seconds of a sample."""
    seconds_p95: float | None
    log: str | None = None
    """The log's file."""

    def text(self) -> str:
        """The report for a terminal."""
        lines = [f"{self.task} on {self.engine}: {self.samples} samples, {self.errors} errors"]
        if self.accuracy is not None:
            lines.append(f"accuracy              {self.accuracy.text()}")
        lines += [f"{name:<22}{figure.text()}" for name, figure in self.metrics.items()]
        if self.seconds_p50 is not None and self.seconds_p95 is not None:
            lines.append(f"seconds a sample      p50 {self.seconds_p50:.2f}, p95 {self.seconds_p95:.2f}")
            lines.append(
                f"tokens                {self.usage.prompt_tokens} read "
                f"({self.usage.cached_tokens} from cache), {self.usage.generated_tokens} generated, "
                f"{self.critical_path_tokens:.0f} on the critical path of a sample"
            )
        if self.log:
            lines.append(f"log                   {self.log}")
        return "\n".join(lines)


def report_on(header: Header, rows: Iterable[Row], *, log: str | None = None) -> EvalReport:
    """The report on `rows`. A later row of the same sample and epoch replaces an earlier one."""
    latest = {(row.sample, row.epoch): row for row in rows}
    scored = [(r, r.output, r.score) for r in latest.values() if r.score is not None and r.output is not None]
    names = sorted({name for _, _, score in scored for name in score.metrics})
    total = Usage.parallel(output.usage for _, output, _ in scored)
    seconds = [output.seconds for _, output, _ in scored]

    def figure(value: Callable[[int], float | None]) -> Figure | None:
        clusters: dict[str, list[float]] = {}
        for index, (row, _, _) in enumerate(scored):
            if (number := value(index)) is not None and math.isfinite(number):
                clusters.setdefault(row.sample, []).append(number)
        if not clusters:
            return None
        mean, stderr = mean_and_stderr(list(clusters.values()))
        return Figure(mean=mean, stderr=None if math.isnan(stderr) else stderr, n=len(clusters))

    metrics = {name: figure(lambda i, name=name: scored[i][2].metrics.get(name)) for name in names}
    return EvalReport(
        task=header.task,
        engine=header.engine,
        samples=len(latest),
        errors=sum(row.error is not None for row in latest.values()),
        accuracy=figure(lambda i: scored[i][2].correct),
        metrics={name: found for name, found in metrics.items() if found is not None},
        usage=total,
        critical_path_tokens=sum(o.usage.critical_path_tokens for _, o, _ in scored) / len(scored)
        if scored
        else None,
        seconds_p50=percentile(seconds, 0.5) if seconds else None,
        seconds_p95=percentile(seconds, 0.95) if seconds else None,
        log=log,
    )
