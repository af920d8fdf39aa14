"""What counts as a number in options: True and False, infinity and NaN do not."""

from __future__ import annotations

import sys
from typing import TypeGuard


def is_whole(value: object) -> TypeGuard[int]:
    """Whether `value` is an int. True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is an int or a float, and finite. True and False are none."""
    return (is_whole(value) or isinstance(value, float)) and abs(value) <= sys.float_info.max
