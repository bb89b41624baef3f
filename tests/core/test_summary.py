"""Values in a few words."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nodegraph.api import Audio, Latent, Video
from nodegraph.core.summary import size_in_bytes, summarize


def test_a_tensor_is_its_dtype_and_shape() -> None:
    import torch

    assert summarize(torch.zeros(1, 4, 4, 3)) == "float32 [1, 4, 4, 3]"
    latent = Latent(torch.zeros(1, 4, 8, 8), 64, 64)
    size = "width=64, height=64, batch_size=1, frames=1, gradual=0.0, any_size=False"
    text = f"Latent(samples=float32 [1, 4, 8, 8], {size})"
    assert summarize(latent) == text
    assert size_in_bytes(latent) >= 4 * 4 * 64
    assert size_in_bytes(torch.zeros(10, dtype=torch.float16)) == 20


def test_a_video_is_its_frames_its_rate_and_its_audio() -> None:
    import torch

    video = Video(torch.zeros(2, 4, 6, 3), Fraction(24000, 1001), Audio(torch.zeros(2, 9), 8000))
    audio = "Audio(waveform=float32 [2, 9], rate=8000)"
    assert summarize(video) == (
        f"Video(frames=float32 [2, 4, 6, 3], rate=24000/1001, audio={audio})"
    )
    assert size_in_bytes(video) >= 4 * (2 * 4 * 6 * 3 + 2 * 9)


def test_long_values_are_cut_short() -> None:
    assert len(summarize("x" * 1000)) == 60
    assert summarize([1, 2, 3]) == "list of 3 (1, …)"
    assert summarize([]) == "list of 0"
    assert summarize({"a": 1}) == "{'a': 1}"


def test_of_a_large_value_only_the_beginning_is_read() -> None:
    read = []

    class Item:
        def __repr__(self) -> str:
            read.append(self)
            return "item"

    items = [Item() for _ in range(1000)]
    assert summarize(dict(enumerate(items))).startswith("{0: item, 1: item")
    assert summarize(set(items)).startswith("{item, item")
    assert len(read) < 200


def test_a_container_is_as_large_as_its_parts() -> None:
    assert size_in_bytes({"a": b"x" * 1000}) > 1000
    assert size_in_bytes([b"x" * 1000] * 2) > 2000
    assert size_in_bytes(1) > 0


def test_values_in_values_a_thousand_deep_have_a_size() -> None:
    chain: Any = None
    for _ in range(3000):
        chain = [{"next": chain}]
    assert size_in_bytes(chain) > 3000
    chain.append(chain)
    assert size_in_bytes(chain) > 3000
