"""Budgets never go over by one unit, whoever races; scopes nest; reservations are settled once."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Budget, BudgetExceededError, InvalidParamsError, ambient_budget, budget, use_budget

NOTHING = {"tokens": 0, "calls": 0}


def test_threads_racing_for_a_budget_never_cross_it():
    root = Budget(tokens=1000, calls=400)
    scopes = [root.child(f"branch {i}", tokens=200) for i in range(8)]
    granted: list[int] = []
    start = threading.Barrier(len(scopes))

    def work(number: int) -> None:
        mine = 0
        start.wait()
        for attempt in range(300):
            amount = 1 + (number * 7 + attempt) % 5
            try:
                held = scopes[number].reserve(tokens=amount, calls=1)
            except BudgetExceededError:
                continue
            assert root.spent["tokens"] + root.reserved["tokens"] <= 1000
            if attempt % 3:
                held.settle(tokens=amount, calls=1)
                mine += amount
            else:
                held.refund()
        granted.append(mine)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(scopes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == len(scopes)
    assert root.spent["tokens"] == sum(granted) <= 1000
    assert root.spent["calls"] <= 400
    assert root.reserved == NOTHING and root.overshoot == NOTHING
    for scope in scopes:
        assert scope.spent["tokens"] <= 200 and scope.reserved == NOTHING
    assert sum(scope.spent["tokens"] for scope in scopes) == root.spent["tokens"]


def test_all_units_of_a_contended_budget_are_given_out():
    root = Budget(calls=500)
    taken = [0] * 8

    def work(number: int) -> None:
        try:
            while True:
                root.reserve(calls=1).settle(calls=1)
                taken[number] += 1
        except BudgetExceededError:
            return

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == root.spent["calls"] == 500


@given(
    limits=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    amounts=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10), st.booleans()), max_size=20),
)
def test_any_order_of_reserving_and_settling_adds_up(limits, amounts):
    root = Budget(tokens=limits[0])
    child = root.child("inner", tokens=limits[1])
    spent = 0
    open_reservations = []
    for asked, used, now in amounts:
        used = min(asked, used)
        held_before = root.reserved["tokens"]
        fits = spent + held_before + asked <= min(limits) or asked == 0
        try:
            held = child.reserve(tokens=asked)
        except BudgetExceededError as error:
            assert not fits
            assert error.limit == "tokens" and error.asked == asked
            continue
        assert fits
        if now:
            held.settle(tokens=used)
            spent += used
        else:
            open_reservations.append((held, used))
        assert root.spent == child.spent and root.reserved == child.reserved
    for held, used in open_reservations:
        held.settle(tokens=used)
        held.settle(tokens=99)  # settled once
        spent += used
    assert root.spent["tokens"] == spent and root.reserved == NOTHING and root.overshoot == NOTHING


def test_a_refused_reservation_holds_nothing_anywhere():
    root = Budget(tokens=100)
    inner = root.child("inner", calls=0)
    with pytest.raises(BudgetExceededError) as caught:
        inner.reserve(tokens=10, calls=1)
    assert (caught.value.limit, caught.value.scope) == ("calls", "inner")
    assert root.reserved == inner.reserved == NOTHING


def test_leaving_a_reservation_unsettled_refunds_it():
    scope = Budget(tokens=5)
    with pytest.raises(RuntimeError), scope.reserve(tokens=5):
        raise RuntimeError
    assert scope.remaining("tokens") == 5


def test_overshoot_is_booked_and_reported():
    root = Budget(tokens=10)
    inner = root.child("inner")
    inner.reserve(tokens=8).settle(tokens=13)
    assert root.spent["tokens"] == 13 and root.overshoot["tokens"] == 3
    assert inner.overshoot["tokens"] == 0  # it has no limit of its own
    assert root.remaining("tokens") == 0
    with pytest.raises(BudgetExceededError):
        inner.reserve(tokens=1)


def test_remaining_is_the_tightest_scope():
    root = Budget(tokens=100, calls=3)
    inner = root.child("inner", tokens=500)
    assert inner.remaining("tokens") == 100 and inner.remaining("calls") == 3
    assert Budget().remaining("tokens") is None


def test_deadline():
    scope = Budget(seconds=0.0, parent=Budget(seconds=1000))
    assert scope.remaining_seconds() is not None and scope.remaining_seconds() <= 0
    with pytest.raises(BudgetExceededError, match="seconds"):
        scope.reserve(tokens=1)
    with pytest.raises(BudgetExceededError, match="seconds"):
        scope.child("inner").check_time()
    assert Budget().remaining_seconds() is None


@pytest.mark.parametrize("limit", ["tokens", "calls", "seconds"])
def test_negative_limits_are_refused(limit):
    with pytest.raises(InvalidParamsError, match=limit):
        Budget(**{limit: -1})


async def test_ambient_budget_follows_tasks_and_nests():
    assert ambient_budget().tokens is None
    with budget(tokens=100, name="outer") as outer:
        with budget(tokens=1000, name="inner") as inner:
            assert inner.parent is outer and ambient_budget() is inner

            async def spend() -> None:
                ambient_budget().reserve(tokens=30).settle(tokens=30)

            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(spend())
            with pytest.raises(BudgetExceededError, match="outer"):
                await spend()
        assert ambient_budget() is outer and outer.spent["tokens"] == 90
    mine = Budget()
    with use_budget(mine):
        assert ambient_budget() is mine
    assert ambient_budget() is not mine


async def test_the_ambient_budget_reaches_a_thread():
    with use_budget(Budget(name="here")):
        assert (await asyncio.to_thread(ambient_budget)).name == "here"
