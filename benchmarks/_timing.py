"""What the scripts of this folder have in common."""

from __future__ import annotations

import os
import platform
import threading


def machine() -> dict[str, str | int | float]:
    """What the numbers were measured on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count() or 0,
        "threads": threading.active_count(),
        "load": round(os.getloadavg()[0], 2),
    }
