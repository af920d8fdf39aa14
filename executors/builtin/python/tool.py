"""The tool `python`: a program in a fresh, limited interpreter (`braid.executors.sandbox`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final, Literal, cast

from pydantic import BaseModel, ConfigDict

from braid.executors.sandbox import (
    SandboxError,
    SandboxLimits,
    SandboxResult,
    allowed_isolation,
    run_sandboxed,
)
from braid.executors.tools import ToolError, ToolTimeoutError, tool
from braid.executors.values import short_form

BOOTSTRAP: Final = Path(__file__).with_name("bootstrap.py")
LIMITS: Final = SandboxLimits()
ERROR_LINES: Final = 12
"""Number of last lines of a traceback that an error carries."""


class PythonResult(BaseModel):
    """What a program printed, and the value of its last expression.

    Its short form is what it printed, or, if it printed nothing, its value.
    """

    model_config = ConfigDict(frozen=True)

    stdout: str
    stderr: str
    returncode: int
    value: Any = None
    """None, a number, text, a list or a dict. Other values are given as their `repr`."""
    network: Literal["blocked", "open"]
    """Whether the program could reach the network. "open" only where the user allows a weaker sandbox."""

    def short_form(self) -> str:
        printed = self.stdout.strip()
        return printed if printed or self.value is None else short_form(self.value)


# Idempotent: it starts from nothing and what it writes is thrown away, so it may be run again. Not pure: a
# program can read the clock or draw random numbers.
@tool(effect="idempotent", max_concurrency=8)
async def python(code: str) -> PythonResult:
    """Run a Python program and return what it prints, or the value of its last expression.

    Args:
        code: the program. It has 10 seconds, no network, no input, and a directory that is deleted
            afterwards.
    """
    try:
        result = await run_sandboxed(
            [sys.executable, "-I", "-B", "-X", "utf8", str(BOOTSTRAP), "code.py"],
            files={"code.py": code},
            limits=LIMITS,
            isolation=allowed_isolation(),
            report_variable="BRAID_REPORT",
        )
    except SandboxError as error:
        raise ToolError(f"python: {error}", tool="python") from error
    _raise_failure(result)
    return PythonResult(
        stdout=result.stdout,
        stderr=result.stderr,
        returncode=result.returncode,
        value=_value(result.report),
        network="blocked" if result.isolation.network else "open",
    )


def _raise_failure(result: SandboxResult) -> None:
    if result.stopped == "timeout":
        raise ToolTimeoutError(
            f"python: the program was stopped after {LIMITS.seconds:g} s",
            seconds=LIMITS.seconds,
            tool="python",
        )
    if result.stopped == "output":
        raise ToolError(f"python: the program printed more than {LIMITS.output_total} bytes", tool="python")
    if result.stopped == "memory":
        raise ToolError(
            f"python: the program used more than {LIMITS.memory >> 20} MiB of memory", tool="python"
        )
    if result.stopped == "processes":
        raise ToolError(f"python: the program ran more than {LIMITS.processes} processes", tool="python")
    if result.returncode != 0:
        ending = f"signal {-result.returncode}" if result.returncode < 0 else f"exit code {result.returncode}"
        last = "\n".join(result.stderr.strip().splitlines()[-ERROR_LINES:])
        raise ToolError(
            f"python: the program ended with {ending}" + (f":\n{last}" if last else ""), tool="python"
        )


def _value(report: bytes) -> Any:
    # The program has the descriptor too and may write anything to it.
    try:
        decoded = json.loads(report) if report else None
    except ValueError:
        return None
    return cast("dict[str, Any]", decoded).get("value") if isinstance(decoded, dict) else None
