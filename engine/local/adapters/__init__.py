"""LoRA adapters of the local engine: read from a PEFT folder, and added to the rows that use them."""

from braid.engine.local.adapters.low_rank import (
    Adapted,
    LowRank,
    Rows,
    RowsOf,
    add_low_rank,
    group_rows,
    rows_among,
)
from braid.engine.local.adapters.weights import read_low_ranks

__all__ = [
    "Adapted",
    "LowRank",
    "Rows",
    "RowsOf",
    "add_low_rank",
    "group_rows",
    "read_low_ranks",
    "rows_among",
]
