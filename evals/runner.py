"""Running a task: samples times epochs, some at a time, each logged. A log can be resumed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from braid.engine import Engine
from braid.evals.log import Header, LogWriter, Row, header_for, is_begun, read_log
from braid.evals.report import EvalReport, report_on
from braid.evals.task import EvalError, Options, Sample, Task


async def run_task(
    task: Task,
    engine: Engine,
    options: Options,
    *,
    epochs: int = 1,
    max_concurrency: int = 1,
    sample_ids: frozenset[str] = frozenset(),
    log: Path | None = None,
    resume: bool = False,
    on_progress: Callable[[Row, int, int], None] | None = None,
) -> EvalReport:
    """Run `task` on `engine` and report.

    Args:
        task: What to run.
        engine: What to run it on.
        options: What the task reads.
        epochs: Number of runs of each sample. Each has a seed of its own.
        max_concurrency: Number of samples that run at a time.
        sample_ids: Run these only.
        log: File that rows are appended to.
        resume: Go on with the existing `log`. Samples with a score are not run again.
        on_progress: Called with each row, the number of finished samples and the number of all samples.

    Raises:
        EvalError: The options do not fit the task, or the log is one of another run.
    """
    if epochs < 1 or max_concurrency < 1:
        raise EvalError(f"epochs and samples at once must be at least 1, got {epochs} and {max_concurrency}")
    samples = task.samples(options)
    if sample_ids:
        missing = sample_ids - {sample.id for sample in samples}
        if missing:
            raise EvalError(f"no sample {min(missing)!r} in task {task.name!r} with these options")
        samples = [sample for sample in samples if sample.id in sample_ids]
    header = header_for(
        task.name,
        engine.info.uri,
        seed=options.seed,
        epochs=epochs,
        sequential=options.sequential,
        arguments=dict(options.arguments),
    )
    rows = _resumed(log, header) if resume and log is not None and is_begun(log) else []
    finished = {(row.sample, row.epoch) for row in rows if row.score is not None}
    work = [(s, e) for e in range(epochs) for s in samples if (s.id, e) not in finished]
    total, done = len(work) + len(finished), len(finished)
    slots = asyncio.Semaphore(max_concurrency)

    async def solve(sample: Sample, epoch: int) -> None:
        async with slots:
            keep(await _solve(task, engine, sample, epoch, options))

    def keep(row: Row) -> None:
        nonlocal done
        done += 1
        rows.append(row)
        if writer is not None:
            writer.append(row)
        if on_progress is not None:
            on_progress(row, done, total)

    with nullcontext() if log is None else LogWriter(log, header, resume=resume) as writer:
        async with asyncio.TaskGroup() as group:
            for sample, epoch in work:
                group.create_task(solve(sample, epoch))
    return report_on(header, rows, log=str(log) if log is not None else None)


async def _solve(task: Task, engine: Engine, sample: Sample, epoch: int, options: Options) -> Row:
    row = Row(sample=sample.id, epoch=epoch, question=sample.question, target=sample.target)
    digest = hashlib.blake2b(f"{options.seed}/{sample.id}/{epoch}".encode(), digest_size=4).digest()
    try:
        output = await task.solve(engine, sample, options, seed=int.from_bytes(digest, "big") >> 1)
        score = await task.score(sample, output)
    except Exception as error:
        # One sample's failure must not cost the others their results. The row records it.
        return row.model_copy(update={"error": f"{type(error).__name__}: {error}"})
    return row.model_copy(update={"output": output, "score": score})


def _resumed(log: Path, header: Header) -> list[Row]:
    before, rows = read_log(log)
    if before.identity != header.identity:
        raise EvalError(
            f"{str(log)!r} is the log of another run: {before.identity!r}, "
            f"and this one is {header.identity!r}"
        )
    return rows
