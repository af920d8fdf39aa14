"""The log of an evaluation: one JSON object a line.

Rows are appended and flushed as samples finish, so a kill loses nothing.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from braid.evals.task import EvalError, Output, Score
from braid.package_info import DISTRIBUTION, version_of

FORMAT = 1


class Header(BaseModel):
    """The first line: what was run, on what."""

    model_config = ConfigDict(frozen=True)
    format: int = FORMAT
    task: str
    engine: str
    seed: int
    epochs: int
    sequential: bool
    arguments: dict[str, str]
    versions: dict[str, str]
    started: float
    """Seconds since the epoch."""

    @property
    def identity(self) -> tuple[object, ...]:
        """Runs with equal identity answer the same questions in the same way."""
        return (self.task, self.engine, self.seed, self.sequential, tuple(sorted(self.arguments.items())))


class Row(BaseModel):
    """One sample in one epoch."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")
    sample: str
    epoch: int
    question: str
    target: str
    output: Output | None = None
    score: Score | None = None
    error: str | None = None
    """Set when solving failed. Such a row has no score and counts as no verdict."""


def header_for(
    task: str, engine: str, *, seed: int, epochs: int, sequential: bool, arguments: dict[str, str]
) -> Header:
    """A header with the versions of this installation and the current time."""
    found = {name: version_of(name) for name in (DISTRIBUTION, "torch", "transformers")}
    return Header(
        task=task,
        engine=engine,
        seed=seed,
        epochs=epochs,
        sequential=sequential,
        arguments=arguments,
        versions={name: version for name, version in found.items() if version is not None},
        started=time.time(),
    )


def read_log(path: Path) -> tuple[Header, list[Row]]:
    """The header and the rows of a log. A last line that a kill cut off is left out.

    Raises:
        EvalError: The file is missing, or is no log of a format that this version reads.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise EvalError(f"cannot read the log {str(path)!r}: {error.strerror}") from error
    whole = lines[:-1]  # what follows the last line end is empty, or was cut off
    if not whole:
        raise EvalError(f"{str(path)!r} is empty")
    try:
        first: Any = json.loads(whole[0])
        found = cast("dict[str, object]", first).get("format") if isinstance(first, dict) else None
        if found != FORMAT:
            raise EvalError(f"{str(path)!r} is not an evaluation log of format {FORMAT}")
        return Header.model_validate(first), [Row.model_validate_json(line) for line in whole[1:]]
    except (ValidationError, json.JSONDecodeError) as error:
        raise EvalError(f"{str(path)!r} is not a readable evaluation log: {error}") from error


def is_begun(path: Path) -> bool:
    """Whether the log has its whole first line. A kill may have cut it off.

    Raises:
        EvalError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.readline().endswith(b"\n")
    except OSError as error:
        raise EvalError(f"cannot read the log {str(path)!r}: {error.strerror}") from error


class LogWriter:
    """Appends rows to a log file."""

    def __init__(self, path: Path, header: Header, *, resume: bool = False) -> None:
        """Open the log.

        Args:
            path: The file. Its folder is made if it is missing.
            header: The first line of a new file, or of one whose first line was cut off.
            resume: Go on with an existing file, and drop a line that was cut off.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            self._file = path.open("xb")
            self._line(header)
            return
        end = path.read_bytes().rfind(b"\n") + 1
        self._file = path.open("r+b")
        self._file.truncate(end)
        self._file.seek(0, 2)
        if end == 0:
            self._line(header)

    def append(self, row: Row) -> None:
        self._line(row)

    def _line(self, model: BaseModel) -> None:
        self._file.write(model.model_dump_json().encode() + b"\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
