"""Tests of the counted prompts."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("subject", "count", "prompt"),
    [
        ("red fox", 3, "three red foxes"),
        ("old umbrella", 1, "an old umbrella"),
        ("mouse", 12, "twelve mice"),
        ("child", 0, "zero children"),
    ],
)
def test_a_subject_agrees_with_its_number(
    run_node: Callable[..., Any], subject: str, count: int, prompt: str
) -> None:
    assert run_node("phrases:CountedPrompt", subject=subject, count=count) == prompt
