"""The `python` tool: a program in a fresh, limited interpreter."""

from braid.executors.builtin.python.tool import PythonResult, python

__all__ = ["PythonResult", "python"]
