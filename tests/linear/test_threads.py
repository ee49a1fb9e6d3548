"""BLAS threads: one for small data, all for large, and as before afterwards."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from threadpoolctl import threadpool_info

from spred.linear.threads import MEDIUM, SMALL, blas_threads


def threads() -> dict[str, int]:
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_small_data_have_one_thread_and_large_ones_all() -> None:
    before = threads()
    with blas_threads(SMALL):
        assert set(threads().values()) == {1}
    with blas_threads(MEDIUM + 1):
        assert threads() == before
    assert threads() == before


def test_medium_data_leave_scipys_threads_alone() -> None:
    before = threads()
    with blas_threads(SMALL + 1):
        now = threads()
    assert {name: count for name, count in now.items() if "numpy" in name} == {
        name: 1 for name in before if "numpy" in name
    }
    assert {name: count for name, count in now.items() if "numpy" not in name} == {
        name: count for name, count in before.items() if "numpy" not in name
    }


def test_solvers_in_several_threads_leave_the_limits_as_they_were() -> None:
    """The first to begin is the first to end: what the second found was the limit of the first."""
    before, began, ended = threads(), Event(), Event()

    def second() -> None:
        with blas_threads(SMALL):
            began.set()
            assert ended.wait(60)

    with ThreadPoolExecutor(1) as pool:
        with blas_threads(SMALL):
            other = pool.submit(second)
            assert began.wait(60)
            assert set(threads().values()) == {1}
        ended.set()
        other.result()
    assert threads() == before


def test_limits_may_be_nested_and_an_error_puts_them_back() -> None:
    def fail() -> None:
        with blas_threads(SMALL + 1), blas_threads(SMALL):
            assert set(threads().values()) == {1}
            raise ZeroDivisionError

    before = threads()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert threads() == before
