"""What is installed, from package metadata alone: nothing is imported to find out."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires, version

DISTRIBUTION = "braid-agents"


def braid_version() -> str:
    return version_of(DISTRIBUTION) or "(not installed)"


def version_of(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def dependencies() -> dict[str, list[str]]:
    """Distribution names by extra; the key "" holds what is always needed."""
    found: dict[str, list[str]] = {"": []}
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        lines = []
    for line in lines:
        requirement, _, marker = line.partition(";")
        name = requirement.strip()
        for index, char in enumerate(name):
            if not (char.isalnum() or char in "-_."):
                name = name[:index]
                break
        extra = ""
        if "extra ==" in marker:
            extra = marker.split("extra ==")[1].strip().strip("\"'").split()[0].strip("\"')")
        found.setdefault(extra, []).append(name)
    return found
