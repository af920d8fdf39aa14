"""Results of pure tools outlive the process."""

from __future__ import annotations

from braid.executors.journal import Journal, StoredResults
from braid.executors.tools import Cached
from tests.support.recorded_runs import Fact


def test_results_of_pure_tools_outlive_the_process(journal: Journal) -> None:
    results = StoredResults(journal)
    results.put("k", Fact("K2", 8611.0))
    results.put("none", None)
    results.put("lost", object())
    assert results.get("k") == Cached(Fact("K2", 8611.0)) and results.get("none") == Cached(None)
    assert results.get("lost") is None and results.get("other") is None
    journal.prune(older_than=3600)
    assert results.get("k") is not None
    journal.prune(older_than=-1)
    assert results.get("k") is None
