from collections.abc import Iterator
from pathlib import Path

import pytest

from braid.executors.journal import Journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "deep" / "journal.db") as journal:
        yield journal
