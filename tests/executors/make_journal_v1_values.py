"""Makes `journal_v1_values.sql`: a journal with values of every kind, a run that ended, and one whose process was killed.

It ran on Braid 0.1.0, commit 0d8f182: the last version that stored Braid's own types under the names of their modules. The file
stays as that version wrote it. Run again, this script would write a file with tags in it, which is not what the file is for.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sqlite3
import tempfile
import time
from pathlib import Path

from braid.engine.scripted import ScriptedEngine
from braid.orchestrator import Agent
from tests.support.stored_values import (
    FINISHED_PLAN,
    FINISHED_QUESTION,
    KILLED_PLAN,
    KILLED_QUESTION,
    Tools,
    yes,
)

FILE = Path(__file__).with_name("journal_v1_values.sql")


async def run(folder: Path, plan: str, question: str) -> None:
    agent = Agent(
        ScriptedEngine([plan, "It is high."], chunk="whole"),
        tools=Tools(folder / "world").all,
        builtins=False,
        approve=yes,
        max_rounds=1,
        journal=folder / "journal.db",
        seed=0,
    )
    async with agent:
        result = await agent.run(question)
    print(result.answer)  # noqa: T201
    assert result.complete, result.reason


def killed(folder: Path) -> None:
    asyncio.run(run(folder, KILLED_PLAN, KILLED_QUESTION))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(run(folder, FINISHED_PLAN, FINISHED_QUESTION))
        process = multiprocessing.get_context("spawn").Process(target=killed, args=(folder,))
        process.start()
        while not (folder / "world").exists():
            time.sleep(0.05)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        db = sqlite3.connect(folder / "journal.db")
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        lines = [
            f"PRAGMA application_id = {application};",
            f"PRAGMA user_version = {version};",
            *db.iterdump(),
        ]
        db.close()
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
