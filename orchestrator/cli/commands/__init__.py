"""The commands of `braid`, one module each. `braid.orchestrator.cli.group` imports them."""
