"""The program that the tool `python` starts in the sandbox.

It runs a file and reports the value of the last expression.

It uses the standard library only, and imports nothing of Braid.
"""

from __future__ import annotations

import ast
import json
import linecache
import os
import sys
import traceback
from pathlib import Path
from typing import Any

MAX_VALUE = 8000
"""Most characters of a reported value."""


def main() -> int:
    """Run the file. Returns the exit code."""
    source = Path(sys.argv[1]).read_text(encoding="utf-8")
    # Tracebacks quote source lines from this cache.
    linecache.cache["<code>"] = (len(source), None, source.splitlines(keepends=True), "<code>")
    namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    try:
        tree = ast.parse(source, "<code>")
        last = tree.body[-1] if tree.body else None
        last = last if isinstance(last, ast.Expr) else None
        if last is not None:
            tree.body.pop()
        exec(compile(tree, "<code>", "exec"), namespace)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<code>", "eval"), namespace)
            if value is not None:
                os.write(int(os.environ["BRAID_REPORT"]), json.dumps(described(value)).encode())
    except SystemExit:
        raise
    except BaseException as error:
        trace = error.__traceback__
        traceback.print_exception(error.with_traceback(trace.tb_next if trace is not None else None))
        return 1
    return 0


def described(value: object) -> dict[str, Any]:
    """The value itself where JSON carries it unchanged, else its `repr`."""
    try:
        encoded = json.dumps(value)
        if len(encoded) <= MAX_VALUE and same(json.loads(encoded), value):
            return {"value": value}
    except (TypeError, ValueError, RecursionError):
        pass
    try:
        return {"value": repr(value)[:MAX_VALUE]}
    except ValueError as error:  # a whole number of too many digits
        return {"value": f"<{type(value).__name__}: {error}>"}


def same(decoded: object, value: object) -> bool:
    """Whether JSON carried the value unchanged."""
    return type(decoded) is type(value) and decoded == value and repr(decoded) == repr(value)


if __name__ == "__main__":
    sys.exit(main())
