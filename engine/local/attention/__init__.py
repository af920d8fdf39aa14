"""Attention over shared segments. Each distinct segment is read once for all rows that see it."""

from braid.engine.local.attention.step import NAME, Chunk, Rotate, Row, Step, running

__all__ = ["NAME", "Chunk", "Rotate", "Row", "Step", "running"]
