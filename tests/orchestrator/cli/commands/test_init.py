"""`braid init`, and the page of settings: both say what the settings are."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from braid.orchestrator.cli import app
from braid.orchestrator.cli.commands.init import config_text, described_settings
from braid.orchestrator.settings import Settings, config_file, load_settings

PAGE = Path(__file__).parents[4] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in list(os.environ):
        if name.startswith("BRAID_"):
            monkeypatch.delenv(name)


def test_the_file_has_every_setting_as_a_comment_with_its_default() -> None:
    done = CliRunner().invoke(app, ["init"])
    assert done.exit_code == 0 and str(config_file()) in done.stderr.replace("\n", "")
    text = config_file().read_text()
    assert tomllib.loads(text) == {}
    active = tomllib.loads(re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE))
    assert list(active) == list(Settings.model_fields)
    defaults = Settings.model_construct()
    assert all(
        active[name] == json.loads(json.dumps(field.default))
        for name, field in Settings.model_fields.items()
        if field.default is not None
    ), defaults
    config_file().write_text(re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE))
    load_settings()  # each example can be used


def test_a_file_that_is_there_is_kept() -> None:
    config_file().parent.mkdir(parents=True)
    config_file().write_text("seed = 3\n")
    refused = CliRunner().invoke(app, ["init"])
    assert refused.exit_code == 1 and "--force" in refused.stderr
    assert load_settings().seed == 3
    assert CliRunner().invoke(app, ["init", "--force"]).exit_code == 0
    assert config_file().read_text() == config_text()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    done = CliRunner().invoke(app, ["init"])
    assert done.exit_code == 1 and "cannot write" in done.stderr


def test_the_page_of_settings_has_every_setting() -> None:
    rows = "".join(
        f"| `{name}` | `BRAID_{name.upper()}` | {f'`{value}`' if is_set else ''} | {meaning} |\n"
        for name, meaning, value, is_set in described_settings()
    )
    text = PAGE.read_text(encoding="utf-8")
    head = "| key in the file | variable | default | meaning |\n|---|---|---|---|\n"
    before, rest = text.split(head)
    after = rest[rest.index("\n\n") :] if not rest.startswith("\n") else rest
    if os.environ.get("REWRITE_SNAPSHOTS") == "1":
        PAGE.write_text(before + head + rows + "\n" + after.lstrip("\n"), encoding="utf-8")
    assert head + rows + "\n" in PAGE.read_text(encoding="utf-8"), "run with REWRITE_SNAPSHOTS=1"


def test_shells_complete_commands_and_options() -> None:
    env = {"_BRAID_COMPLETE": "complete_bash", "COMP_WORDS": "braid run --budget-s", "COMP_CWORD": "2"}
    done = CliRunner().invoke(app, [], env=env, prog_name="braid")
    assert done.stdout.split() == ["--budget-seconds", "--budget-soft"]
