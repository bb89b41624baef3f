"""Peaks tell what was taken beyond what was in use, also where measurements overlap."""

from __future__ import annotations

import sys
from mmap import mmap
from time import perf_counter

import pytest

from nodegraph.residency import measuring

MIB = 2**20

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's peak")


def take(size: int) -> None:
    """Take some memory, all pages of it, and give it back.

    From the system itself: what `bytearray` gets may be pages that the process still holds from
    earlier work, and those would not be more than was in use.
    """
    with mmap(-1, size) as block:
        for page in range(0, size, 4096):
            block[page] = 1


@needs_proc
def test_what_was_taken_and_given_back_shows() -> None:
    with measuring("cpu") as peak:
        take(64 * MIB)

    assert peak.bytes is not None
    assert 60 * MIB < peak.bytes < 90 * MIB


@needs_proc
def test_what_was_taken_before_does_not_show() -> None:
    take(64 * MIB)
    with measuring("cpu") as peak:
        pass

    assert peak.bytes is not None
    assert peak.bytes < 8 * MIB


@needs_proc
def test_measurements_that_overlap_each_see_their_own_time() -> None:
    with measuring("cpu") as outer:
        take(64 * MIB)
        with measuring("cpu") as inner:
            pass

    assert outer.bytes is not None
    assert inner.bytes is not None
    assert outer.bytes > 60 * MIB
    assert inner.bytes < 8 * MIB


@needs_proc
def test_a_failure_is_measured_too() -> None:
    with pytest.raises(ValueError, match="mine"), measuring("cpu") as peak:
        raise ValueError("mine")

    assert peak.bytes is not None


def test_where_nothing_tells_it_is_none() -> None:
    with measuring("fpga:7") as peak:
        take(MIB)

    assert peak.bytes is None


@needs_proc
def test_measuring_is_quick() -> None:
    best = min(_seconds() for _ in range(50))

    assert best < 0.005  # some 30 microseconds; how busy the machine is must not matter


def _seconds() -> float:
    start = perf_counter()
    with measuring("cpu"):
        pass
    return perf_counter() - start
