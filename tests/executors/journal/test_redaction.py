"""What never gets into the journal."""

from __future__ import annotations

import json
import sqlite3

from pydantic import SecretStr

from braid.engine import Envelope
from braid.executors import GraphPatch, tool
from braid.executors.journal import Journal, resume_run, secret_arguments, start_run
from braid.executors.nodes import Const, Node, ToolCall
from braid.executors.values import Secrets
from braid.executors.values.secrets import secrets_of
from braid.planner import PlannerText
from tests.support.recorded_runs import settle


def test_secrets_of_the_environment_are_told_by_their_names() -> None:
    environment = {
        "OPENAI_API_KEY": "sk-12345678",
        "GITHUB_TOKEN": "ghp_12345678",
        "DB_PASSWORD": "hunter2hunter2",
        "SHORT_KEY": "abc",
        "PATH": "/usr/bin:/bin",
        "TOKENIZERS_PARALLELISM": "falsefalse",
    }
    assert set(secrets_of(environment)) == {"sk-12345678", "ghp_12345678", "hunter2hunter2"}
    addresses = {"DATABASE_URL": "postgres://braid:s3cretpass@db:5432/x", "PWD": "/home/somebody/braid"}
    assert secrets_of({**addresses, "HOME_PAGE": "https://example.org:8000/a@b"}) == ["s3cretpass"]


def everything(journal: Journal) -> str:
    """All that the file holds, as SQL."""
    db = sqlite3.connect(journal.path)
    text = "\n".join(db.iterdump())
    db.close()
    return text


def test_secrets_never_reach_the_file(journal: Journal) -> None:
    @tool(effect="mutating")
    def login(user: str, password: SecretStr, token: SecretStr | None = None) -> str:
        """Log in."""
        return user

    arguments = secret_arguments([login.spec])
    assert arguments == {"login": frozenset({"password", "token"})}
    key, word = 'sk-abc"def/ä12345', "hunter2"
    log = start_run(
        journal,
        "run1",
        question=f"log in with {word} and {key}",
        spec={"engine": key},
        secrets=Secrets([key]),
        secret_arguments=arguments,
    )
    log.begin()
    for place, piece in enumerate(('login("me", ', '"hun', 'ter2")')):
        log.event(Envelope(run="run1", seq=place, at=0.0, event=PlannerText(text=piece)))
    log.flush()
    node = Node(
        id="n",
        op=ToolCall("login", (("user", Const("me")), ("password", Const(word)))),
        source=f'login("me", "{word}")',
    )
    log.patched(GraphPatch(base_version=0, add=(node,)), at=0.0, running=())
    log.started("k", node="n", tool="login", args={"user": "me", "password": word}, effect="mutating")
    settle(log, "n", f"logged in with {key}")
    log.finished("k", [key])
    log.failed("k", f"wrong: {key}")
    log.finish("answered", f"used {key} and {word}")
    files = [journal.path, journal.path.with_name(journal.path.name + "-wal")]
    text = everything(journal) + "".join(
        file.read_bytes().decode("latin-1") for file in files if file.exists()
    )
    for part in (key, key.encode().decode("latin-1"), json.dumps(key)[1:-1], word, "hun", "ter2"):
        assert part not in text
    again = resume_run(journal, journal.find("run1"))
    again.load()
    assert again.recorded[0].known["n"].lost is not None
    again.close()
