"""The `braid` command, also as `python -m braid`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Entry point. Ctrl-C while the command is still being imported ends it as quietly as later."""
    try:
        from braid.orchestrator.cli import app

        app()
    except KeyboardInterrupt:
        try:
            sys.stderr.write("braid: interrupted\n")
            sys.stderr.flush()
        finally:
            os._exit(130)


if __name__ == "__main__":
    main()
