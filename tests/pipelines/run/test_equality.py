"""A node of a pipeline gives what a plain call of its class gives, to the last bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph import Audio, Video
from tests.pipelines.run.conftest import SEED, Shelf
from tests.pipelines.run.plainly import answer
from tests.pipelines.tiny import TINY

_DIRECTIONS = {"MarigoldNormalsPipeline"}
"""Gives directions, which are shown as colours."""
_SLOW = {"ShapEPipeline"}
"""A rendering takes twenty seconds at its smallest; see test_calling."""


@pytest.mark.parametrize("name", sorted(TINY.keys() - _SLOW))
def test_a_node_gives_what_the_class_gives(shelf: Shelf, name: str) -> None:
    result = shelf.run(name)
    assert not result.errors, result.errors
    with shelf.plain(name) as made:
        plain = answer(made, shelf.call(name), SEED)
    outputs = result.outputs.values()
    for value, wanted in zip(outputs, plain.values(), strict=False):
        if wanted is not None:
            _check_equal(value, _as_colours(wanted) if name in _DIRECTIONS else wanted)


def _as_colours(directions: Any) -> Any:
    return (torch.as_tensor(directions) + 1) / 2


def _check_equal(value: Any, wanted: Any) -> None:
    if isinstance(value, Video):
        value, wanted = value.frames, _only(wanted)
    elif isinstance(value, Audio):
        value, wanted = value.waveform, _only(wanted)
    if not isinstance(value, Tensor):
        assert value == wanted
        return
    wanted = torch.as_tensor(wanted)
    assert torch.equal(value, wanted.expand_as(value).to(value.dtype))


def _only(several: Any) -> Any:
    assert len(several) == 1
    return torch.as_tensor(several[0])
