"""The commands of `braid`, one module each. `braid.orchestrator.cli.app` imports a command's module when the command runs."""
