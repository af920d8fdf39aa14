"""How threads are read and joined."""

from __future__ import annotations

import pytest

from braid.evals.countdown.notation import TraceError
from braid.evals.countdown.thread_format import CountdownThreads
from braid.reasoning import ThreadResult


def test_threads_are_read_strictly() -> None:
    form, header = CountdownThreads(), "SPAWN 2 S 54 45 43 7 4"
    calls = form.calls(header, " 1 45 - 43 = 2 ; 7 4 2 2 43 - 7 = 36 ; 45 4 36")
    assert [call.prompt for call in calls] == ["SERIAL S 54 7 4 2", "SERIAL S 54 45 4 36"]
    for block in (
        "1 45 - 43 = 2 7 4 2",
        "1 45 - 43 = 2 ; 7 4",
        "1 45 ~ 43 = 2 ; 7 4 2",
        "a 45 - 43 = 2 ; 7 4 2",
    ):
        with pytest.raises(TraceError):
            form.calls(header, block)
    wrong = ThreadResult(call=calls[0], text=" ANS 7 - 4 = 2 2 + 2 = 54", finished=True)
    right = ThreadResult(call=calls[1], text=" NO ANS 36 / 4 = 9 45 + 9 = 54", finished=True)
    silent = ThreadResult(call=calls[0], text=" NO FAIL", finished=True)
    assert form.join([silent, right]) == " SUBS 2 43 - 7 = 36 36 / 4 = 9 45 + 9 = 54 END"
    assert form.join([wrong]) != " SUBS END"
    assert CountdownThreads(check=True).join([wrong]) == " SUBS END"
