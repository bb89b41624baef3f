"""Names of jobs sort by time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodegraph.jobs.queue.job import is_id, new_id


@given(first=st.floats(-1e9, 1e10), second=st.floats(-1e9, 1e10))
def test_names_sort_by_time(first: float, second: float) -> None:
    one, two = new_id(first), new_id(second)
    assert is_id(one)
    assert one != two
    if max(int(first * 1000), 0) < max(int(second * 1000), 0):
        assert one < two


def test_what_is_no_name() -> None:
    for text in ("", "job_", "job_x", new_id(0)[4:], new_id(0) + "0", new_id(0)[:-1] + "u"):
        assert not is_id(text)
    assert new_id(0).startswith("job_0000000000")
    assert is_id(new_id(1e300))
