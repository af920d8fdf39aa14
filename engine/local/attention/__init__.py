"""Attention over shared segments. Each distinct segment is read once for all rows that see it."""

from braid.engine.local.attention.step import Chunk, Rotate, Row, Step

__all__ = ["Chunk", "Rotate", "Row", "Step"]
