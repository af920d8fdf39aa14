"""Versions and dependencies of what is installed, from package metadata. Nothing is imported for it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires, version

DISTRIBUTION = "braid-agents"


def braid_version() -> str:
    """The version of Braid, or a remark that it is not installed."""
    return version_of(DISTRIBUTION) or "(not installed)"


def version_of(distribution: str) -> str | None:
    """The version of a distribution. None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def dependencies() -> dict[str, list[str]]:
    """Distribution names by extra. The key "" has those that are always needed."""
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
