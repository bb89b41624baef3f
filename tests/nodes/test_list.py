"""Lists for mapping."""

from __future__ import annotations

from nodegraph_nodes.list import Lines


def test_lines_leave_out_empty_ones_and_space_around() -> None:
    assert Lines(" a red apple \n\n\n a fox\n") == ["a red apple", "a fox"]


def test_no_text_is_no_lines() -> None:
    assert Lines("") == []
