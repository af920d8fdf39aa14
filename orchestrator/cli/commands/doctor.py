"""`braid doctor`: what is installed here, what is missing, and how to get it."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal

import typer
from pydantic import BaseModel

from braid import package_info as installed
from braid.engine import system
from braid.executors.sandbox import SANDBOX_VARIABLE, SandboxError, allowed_isolation, probe
from braid.orchestrator.cli import group
from braid.orchestrator.cli.options import JsonOption
from braid.orchestrator.cli.output import console, print_json
from braid.orchestrator.errors import ConfigurationError
from braid.orchestrator.settings import config_file, load_settings, unknown_keys

HELP = """\
Check this installation: versions, extras, processors, memory, GPU, the embedded model, plugins.

Exit code 1 when something that is needed is missing.
"""

_OLDEST_PYTHON = (3, 11)
_EMBEDDED_MODEL = "engine/local/models/braid-mini"


class Finding(BaseModel):
    """One line of the report."""

    area: str
    name: str
    status: Literal["ok", "absent", "broken", "missing"]
    """`missing`: needed and not there. `absent`: optional and not there. `broken`: does not load."""
    detail: str
    hint: str = ""
    """What to do about it."""


def doctor(as_json: JsonOption = False) -> None:
    """Print the state of this installation."""
    findings = list(examine())
    healthy = all(finding.status != "missing" for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "findings": [finding.model_dump() for finding in findings]})
    else:
        _show(findings)
    if not healthy:
        raise typer.Exit(group.EXIT_FAILURE)


def examine() -> Iterator[Finding]:
    """Every check, in the order in which it is shown."""
    yield _python()
    yield Finding(area="braid", name="braid", status="ok", detail=installed.braid_version())
    yield from _packages()
    yield from _settings()
    yield from _machine()
    yield _sandbox()
    yield _embedded_model()
    yield from _plugins()


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info[:2] < _OLDEST_PYTHON:
        wanted = ".".join(map(str, _OLDEST_PYTHON))
        return Finding(
            area="braid",
            name="python",
            status="missing",
            detail=version,
            hint=f"Python {wanted} or later is needed",
        )
    return Finding(area="braid", name="python", status="ok", detail=f"{version} ({sys.executable})")


def _packages() -> Iterator[Finding]:
    extras = installed.dependencies()
    for name in extras.pop(""):
        version = installed.version_of(name)
        if version is None:
            yield Finding(
                area="package",
                name=name,
                status="missing",
                detail="not installed",
                hint=f"pip install {name}",
            )
        else:
            yield Finding(area="package", name=name, status="ok", detail=version)
    for extra, names in sorted(extras.items()):
        versions = {name: installed.version_of(name) for name in names}
        absent = [name for name, found in versions.items() if found is None]
        there = ", ".join(f"{name} {found}" for name, found in versions.items() if found is not None)
        yield Finding(
            area="extra",
            name=extra,
            status="absent" if absent else "ok",
            detail=f"without {', '.join(absent)}" if absent else there,
            hint=f"pip install 'braid-agents[{extra}]'" if absent else "",
        )


def _settings() -> Iterator[Finding]:
    for key, meant in unknown_keys().items():
        hint = f"did you mean {meant!r}?" if meant else ""
        yield Finding(
            area="settings", name=key, status="broken", detail=f"unknown key in {config_file()}", hint=hint
        )
    try:
        settings = load_settings()
    except ConfigurationError as error:
        yield Finding(area="settings", name="settings", status="missing", detail=str(error))
        return
    there = "read" if config_file().is_file() else "none; optional"
    yield Finding(area="settings", name="engine", status="ok", detail=settings.engine)
    yield Finding(area="settings", name="file", status="ok", detail=f"{config_file()} ({there})")


def _machine() -> Iterator[Finding]:
    cpu = system.processors()
    quota = "no quota" if cpu.quota is None else f"quota {cpu.quota:g}"
    detail = f"{cpu.usable} usable ({cpu.installed} installed, {cpu.allowed} allowed, {quota})"
    yield Finding(area="machine", name="threads", status="ok", detail=detail)
    memory = system.memory()
    parts = [f"{_gib(memory.total)} in all", f"{_gib(memory.available)} free"]
    if memory.limit is not None:
        parts.append(f"limit {_gib(memory.limit)}")
    yield Finding(area="machine", name="memory", status="ok", detail=", ".join(parts))
    found = system.gpus()
    torch = installed.version_of("torch") or ""
    if not found:
        yield Finding(area="machine", name="gpu", status="absent", detail="none; the processors are used")
    elif torch.endswith("+cpu"):
        hint = "install a CUDA build of torch to use it"
        yield Finding(
            area="machine",
            name="gpu",
            status="absent",
            detail=f"{'; '.join(found)}, but torch {torch}",
            hint=hint,
        )
    else:
        yield Finding(area="machine", name="gpu", status="ok", detail="; ".join(found))


def _sandbox() -> Finding:
    try:
        allowed = allowed_isolation()
    except SandboxError as error:
        return Finding(area="machine", name="sandbox", status="broken", detail=str(error))
    isolation = probe()
    if isolation.complete:
        bound = {"cgroup": "bounded by a cgroup", "counted": "counted, since no cgroup can be had"}
        detail = (
            "complete; the python tool runs isolated from network, processes, files and sockets, without "
            f"capabilities; the memory of a run is {bound[isolation.memory]}"
        )
        return Finding(area="machine", name="sandbox", status="ok", detail=detail)
    detail = f"without {isolation.describe_lacking()}; the python tool "
    if allowed == "best-effort":
        detail += f"runs with what is left, as {SANDBOX_VARIABLE}=best-effort allows"
        return Finding(area="machine", name="sandbox", status="absent", detail=detail)
    hint = f"docs/effects.md says what it needs; {SANDBOX_VARIABLE}=best-effort allows a weaker sandbox"
    return Finding(
        area="machine", name="sandbox", status="absent", detail=detail + "refuses to run", hint=hint
    )


def _embedded_model() -> Finding:
    spec = importlib.util.find_spec("braid")
    root = Path(spec.origin).parent if spec and spec.origin else Path()
    folder = root / _EMBEDDED_MODEL
    weights = folder / "model.safetensors"
    if weights.is_file():
        size = weights.stat().st_size / 2**20
        return Finding(area="model", name="braid-mini", status="ok", detail=f"{size:.1f} MiB in {folder}")
    return Finding(
        area="model",
        name="braid-mini",
        status="missing",
        detail=f"no weights in {folder}",
        hint="`braid train mini` makes it, or set BRAID_ENGINE to another engine",
    )


def _plugins() -> Iterator[Finding]:
    for kind, points in (("command", group.plugins()), ("tools", list(entry_points(group="braid.tools")))):
        for point in points:
            try:
                point.load()
            except Exception as error:
                detail = f"{point.value}: {type(error).__name__}: {error}"
                yield Finding(area=f"{kind} plugin", name=point.name, status="broken", detail=detail)
            else:
                yield Finding(area=f"{kind} plugin", name=point.name, status="ok", detail=point.value)


def _gib(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 2**30:.1f} GiB"


def _show(findings: list[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    colours = {"ok": "green", "absent": "yellow", "broken": "red", "missing": "red"}
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("area", "name", "status"):
        table.add_column(column, no_wrap=True)
    table.add_column("detail", overflow="fold")
    for finding in findings:
        detail = finding.detail + (f"\n{finding.hint}" if finding.hint else "")
        status = Text(finding.status, style=colours[finding.status])
        table.add_row(Text(finding.area, style="dim"), Text(finding.name), status, Text(detail))
    console().print(table)
