"""How long `braid run` takes to the first statement of a plan, now and at an earlier commit.

    python benchmarks/start_up.py [--before 586e139] [--repeats 7] [--threads 1] [--json]

Two cases: the plan is written by braid-mini (`--no-shortcuts`), or by code, which needs no model. Every run
is a fresh process. The clock runs from its start to the first line of the plan on stderr. The earlier commit
is unpacked from git and runs in the same Python. `import torch` alone is the floor of the first case. Arms
alternate. The first round does not count, since it compiles modules and fills the file cache.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from _timing import machine

ROOT = Path(__file__).parents[1]
QUESTION = "How tall is Mount Everest?"
FLOOR = "import sys, torch; print('[] plan', file=sys.stderr)"


def unpack(commit: str, folder: Path) -> None:
    """Write the files of a commit into `folder`."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="tar")


def seconds_to_plan(command: Sequence[str], source: Path, home: Path) -> float:
    """Seconds until a new process writes the first line of a plan.

    Raises:
        SystemExit: it ends without one.
    """
    environment = {**os.environ, "PYTHONPATH": str(source / "src"), "BRAID_HOME": str(home)}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said: list[str] = []
    taken = None
    for line in process.stderr:
        said.append(line)
        if taken is None and "] plan" in line:
            taken = time.perf_counter() - began
    process.wait()
    if taken is None:
        raise SystemExit(f"{command} wrote no plan:\n{''.join(said)}")
    return taken


@dataclass(frozen=True)
class Arm:
    """What is timed."""

    case: str
    version: str
    command: tuple[str, ...]
    source: Path


def measure(before: Path, options: argparse.Namespace, home: Path) -> dict[Arm, list[float]]:
    """Seconds of every counted run of each arm."""
    braid = ("-m", "braid", "run", QUESTION)
    if options.threads is not None:
        braid += ("--threads", str(options.threads))
    cases = {"written by braid-mini": (*braid, "--no-shortcuts"), "written by code": braid}
    versions = {f"before ({options.before})": before, "now": ROOT}
    taken: dict[Arm, list[float]] = {
        Arm(case, version, command, source): []
        for case, command in cases.items()
        for version, source in versions.items()
    }
    taken[Arm("import torch", "", ("-c", FLOOR), ROOT)] = []
    for repeat in range(options.repeats + 1):
        for arm, seconds in taken.items():
            found = seconds_to_plan(arm.command, arm.source, home)
            if repeat:
                seconds.append(found)
    return taken


def main() -> None:
    """Read the options, measure, and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", default="586e139", help="the earlier commit")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--threads", type=int, help="CPU threads of the model. By default each version chooses"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        before, home = Path(folder, "before"), Path(folder, "home")
        home.mkdir()
        unpack(options.before, before)
        taken = measure(before, options, home)
    about = machine() | {"threads": options.threads or "as each version chooses"}
    if options.json:
        rows = [{"case": arm.case, "version": arm.version, "seconds": taken[arm]} for arm in taken]
        print(json.dumps({"machine": about, "rows": rows}))
        return
    print(f"seconds from the start of the process to the first statement, medians of {options.repeats}")
    medians: dict[str, list[float]] = {}
    for arm, seconds in taken.items():
        median = statistics.median(seconds)
        medians.setdefault(arm.case, []).append(median)
        spread = f"from {min(seconds):.2f} to {max(seconds):.2f}"
        print(f"{arm.case:<24}{arm.version:<20}{median:>8.2f}   {spread}")
        if len(medians[arm.case]) == 2:
            print(f"{'':<24}{'now / before':<20}{median / medians[arm.case][0]:>8.2f}")
    print(", ".join(f"{key} {value}" for key, value in about.items()))


if __name__ == "__main__":
    main()
