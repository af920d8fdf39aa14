"""The `braid` command. The module of a command is imported when it is used, so that `--help` is quick."""

from braid.orchestrator.cli.app import app

__all__ = ["app"]
