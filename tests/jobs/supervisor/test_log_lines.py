"""What is kept of a worker's output."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.jobs.supervisor.crash_evidence import KEPT, LONGEST, LogLines


def kept(*parts: bytes) -> list[str]:
    lines = LogLines("worker-1")
    for part in parts:
        lines.feed(part)
    return lines.last()


def test_lines_are_kept_wherever_they_are_cut() -> None:
    assert kept(b"on", b"e\ntwo\r", b"\nthr", b"ee") == ["one", "two", "three"]


def test_only_the_last_ones_are_kept() -> None:
    lines = kept(*(f"{number}\n".encode() for number in range(1000)))
    assert lines == [str(number) for number in range(1000 - KEPT, 1000)]
    assert kept(b"".join(f"{number}\n".encode() for number in range(1000))) == lines


def test_a_progress_bar_counts_as_one_line() -> None:
    assert kept(b"start\n", *(f"\r{step} %".encode() for step in range(101))) == ["start", "100 %"]


def test_what_could_steer_a_terminal_is_taken_out() -> None:
    assert kept(b"a\x1b[31mb\x9b\x00\tc\xff\n") == ["a�[31mb�\N{REPLACEMENT CHARACTER}\tc�"]


@given(st.lists(st.binary(max_size=3 * LONGEST), max_size=20))
def test_whatever_comes_little_is_kept(parts: list[bytes]) -> None:
    lines = kept(*parts, b"x" * 100_000, b"\n")
    assert len(lines) <= KEPT
    assert all(len(line) <= LONGEST for line in lines)


def test_a_flood_is_logged_in_part_and_the_rest_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    lines = LogLines("worker-1")
    for number in range(1000):
        lines.feed(f"{number}\n".encode())
    assert len(caplog.records) == 100
    lines.reset_log_limit()
    assert caplog.messages[-1] == "worker-1: 900 lines of its output are not shown here"
    lines.feed(b"more\n")
    assert caplog.messages[-1] == "worker-1: more"
