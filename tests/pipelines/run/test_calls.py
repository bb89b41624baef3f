"""A node of a pipeline gives what a plain call of its class gives, to the last bit; and one that
is cancelled ends at once and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph import Audio, Video
from nodegraph.core.digests import digest_value
from nodegraph.errors import Cancelled
from nodegraph.interop.pipelines.pipeline_call import run_pipeline
from tests.pipelines.run.conftest import SEED, Shelf, Watched, class_named
from tests.pipelines.run.plainly import answer
from tests.pipelines.tiny import TINY

PIPELINES = ()
"""Each is added when its turn comes, as a plain run takes few of them."""
NAMES = sorted(TINY.keys() - {"ShapEPipeline"})
"""But for one whose rendering takes twenty seconds at its smallest; see test_outputs."""

_OF_EACH_KIND = {
    # Followed by a callback: an image, sound, and one that swaps attention and hooks.
    *("AmusedPipeline", "StableAudioPipeline", "StableDiffusionSAGPipeline"),
    # Followed by its progress bar: an image, directions.
    *("DDPMPipeline", "MarigoldNormalsPipeline"),
    # Followed at the end of steps: of words, of an image, with attention swapped.
    *("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionPAGPipeline"),
    # Videos, of words and of an image; text; numbers; and one that is made of two.
    *("LTXPipeline", "LTXImageToVideoPipeline", "LLaDA2Pipeline"),
    *("RFD4ProteinaPipeline", "KandinskyV22CombinedPipeline"),
}
_OF_EACH_WAY = {
    # One for each way of following, one that swaps attention, and one with the VAE swapped.
    *("AmusedPipeline", "DDPMPipeline", "FluxPipeline", "StableDiffusionPAGPipeline"),
    *("StableDiffusionXLPipeline", "LLaDA2Pipeline", "RFD4ProteinaPipeline"),
}


def _quick(names: set[str]) -> list[Any]:
    return [pytest.param(name, marks=[] if name in names else [pytest.mark.slow]) for name in NAMES]


_DIRECTIONS = {"MarigoldNormalsPipeline"}
"""Gives directions, which are shown as colors."""


@pytest.mark.slow
@pytest.mark.parametrize("name", _quick(_OF_EACH_KIND))
def test_a_node_gives_what_the_class_gives(shelf: Shelf, name: str) -> None:
    shelf.add(name)
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


@pytest.mark.parametrize("name", _quick(_OF_EACH_WAY))
def test_a_cancelled_call_ends_at_once_and_leaves_nothing_behind(shelf: Shelf, name: str) -> None:
    before = _called(shelf, name, whole := Watched(shelf))
    structures = shelf.structures(name)
    ways = {"module": 0, "callback": whole.callbacks, "step": len(whole.steps)}
    for way, times in ways.items():
        if way != "module" and not times:
            continue
        cancelled = Watched(shelf, way, whole.modules // 2)
        with pytest.raises(Cancelled):
            _called(shelf, name, cancelled)
        assert cancelled.after == 0
        assert cancelled.modules <= whole.modules
    assert whole.steps
    assert shelf.structures(name) == structures
    after = _called(shelf, name, Watched(shelf))
    assert digest_value(after) == digest_value(before)


def _called(shelf: Shelf, name: str, ctx: Any) -> Any:
    inputs = {"generator": SEED, **shelf.given(name)}
    return run_pipeline(ctx, class_named(name), shelf.pipeline(name), inputs)
