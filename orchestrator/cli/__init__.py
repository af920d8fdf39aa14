"""The `braid` command. What a command needs is imported when it runs, so that `--help` answers at once."""

from braid.orchestrator.cli.app import app, main

__all__ = ["app", "main"]
