"""`python -m braid`: the `braid` command."""

from braid.orchestrator.cli import main

if __name__ == "__main__":
    main()
