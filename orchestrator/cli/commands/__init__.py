"""The commands of `braid`, one file each. A command's modules are imported when it runs."""

from braid.orchestrator.cli.commands.doctor import doctor_command
from braid.orchestrator.cli.commands.journal import (
    list_command,
    prune_command,
    read_age,
    read_size,
    replay_command,
    resume_command,
    show_command,
    view_command,
)
from braid.orchestrator.cli.commands.plan import plan_command
from braid.orchestrator.cli.commands.repl import repl_command
from braid.orchestrator.cli.commands.run import run_command
from braid.orchestrator.cli.commands.serve import ServeOptions, serve_command
from braid.orchestrator.cli.commands.tools import tools_command

__all__ = [
    "ServeOptions",
    "doctor_command",
    "list_command",
    "plan_command",
    "prune_command",
    "read_age",
    "read_size",
    "repl_command",
    "replay_command",
    "resume_command",
    "run_command",
    "serve_command",
    "show_command",
    "tools_command",
    "view_command",
]
