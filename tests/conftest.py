"""For all tests: data of runs and the cache go into folders of the test run, and a weaker sandbox will do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("BRAID_HOME", raising=False)
        # The tests pass where the kernel refuses namespaces, too. Those of the refusal unset it.
        patch.setenv("BRAID_SANDBOX", "best-effort")
        yield
