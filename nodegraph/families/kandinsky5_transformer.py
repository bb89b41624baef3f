"""The transformer of Kandinsky 5: in files, and its attention in long videos. Imports no torch.

Source of what no tensor shows: ``configs`` of https://github.com/kandinskylab/kandinsky-5. The
names of tensors in published files are diffusers' own.

Transformers for long videos have NABLA attention: each block of 8 x 8 tokens of a frame attends to
its neighbours in time and space, and to those other blocks that most of its attention goes to.
Source: Mikhailov et al. 2025, arXiv:2507.13546; as diffusers' pipelines have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nodegraph.weights.lazy import torch
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, count_of
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

PATCH = 2
"""Cells along a token's side."""
_CELL = PATCH**2
"""Numbers of a channel in a token."""
_IMAGE_WIDTH = 2560
"""Of transformers for images. Those for edited images differ from those for videos only in it."""
BLOCK = 8
"""Tokens along a block's side."""


def _config(shapes: Shapes) -> dict[str, Any]:
    block = "visual_transformer_blocks.0"
    (head,) = shapes[f"{block}.self_attention.query_norm.weight"]
    channels = _output_channels(shapes)
    time_width, width = shapes["time_embeddings.in_layer.weight"]
    return {
        "in_visual_dim": channels,
        "out_visual_dim": channels,
        "in_text_dim": shapes["text_embeddings.in_layer.weight"][1],
        "in_text_dim2": shapes["pooled_text_embeddings.in_layer.weight"][1],
        "time_dim": time_width,
        "patch_size": (1, PATCH, PATCH),
        "model_dim": width,
        "ff_dim": shapes[f"{block}.feed_forward.in_layer.weight"][0],
        "num_text_blocks": count_of(shapes, r"text_transformer_blocks\.(\d+)\."),
        "num_visual_blocks": count_of(shapes, r"visual_transformer_blocks\.(\d+)\."),
        # 16, 24 and 24 of 64
        "axes_dims": (head // 4, 3 * head // 8, 3 * head // 8),
        "visual_cond": _is_conditioned(shapes),
    }


def _output_channels(shapes: Shapes) -> int:
    return shapes["out_layer.out_layer.weight"][0] // _CELL


def _is_conditioned(shapes: Shapes) -> bool:
    """Whether it takes an image and a mask beside the latent."""
    taken, channels = shapes["visual_embeddings.in_layer.weight"][1], _output_channels(shapes)
    return taken == _CELL * (2 * channels + 1)


def _is_for_images(shapes: Shapes) -> bool:
    taken, channels = shapes["visual_embeddings.in_layer.weight"][1], _output_channels(shapes)
    return taken == _CELL * channels


def _is_for_edits(shapes: Shapes) -> bool:
    return _is_conditioned(shapes) and _width(shapes) == _IMAGE_WIDTH


def _is_for_videos(shapes: Shapes) -> bool:
    return _is_conditioned(shapes) and _width(shapes) != _IMAGE_WIDTH


def _width(shapes: Shapes) -> int:
    return shapes["visual_embeddings.in_layer.weight"][0]


def _layout(kind: str, title: str, shift: float, fits: Callable[[Shapes], bool]) -> FileLayout:
    """A layout of a transformer.

    No tensor shows that models of videos of 10 seconds attend to a part of the video alone: those
    in files attend to all of it, which takes longer.
    """
    return denoiser_layout(
        f"kandinsky5-{kind}-transformer",
        f"the transformer of {title}",
        "Kandinsky5Transformer3DModel",
        marks=(
            (
                "visual_embeddings.in_layer.weight",
                "pooled_text_embeddings.in_layer.weight",
                "visual_transformer_blocks.0.cross_attention.to_query.weight",
            ),
        ),
        config=_config,
        scheduler={**EULER_FLOW, "shift": shift},
        fits=fits,
    )


IMAGE_FILE = _layout("image", "Kandinsky 5 Image", 3.0, _is_for_images)
EDIT_FILE = _layout("edit", "Kandinsky 5 Edit", 3.0, _is_for_edits)
VIDEO_FILE = _layout("video", "Kandinsky 5 Video", 10.0, _is_for_videos)


def is_sparse(config: Mapping[str, Any]) -> bool:
    """Whether a transformer attends so, by its configuration."""
    return config.get("attention_type") == "nabla"


def nabla_parameters(
    config: Mapping[str, Any], shape: tuple[int, int, int], device: torch.device
) -> dict[str, Any] | None:
    """Return what a transformer takes for it; None if it attends to all tokens.

    Args:
        config: The transformer's.
        shape: Of the video in tokens: frames, height and width; the last two multiples of `BLOCK`.
    """
    if not is_sparse(config):
        return None
    blocks = shape[0], shape[1] // BLOCK, shape[2] // BLOCK
    reach = tuple(int(config[f"attention_w{axis}"]) for axis in ("T", "H", "W"))
    return {
        "sta_mask": neighbours(blocks, reach, device)[None, None],
        "to_fractal": True,
        "P": config["attention_P"],
    }


def neighbours(blocks: tuple[int, ...], reach: tuple[int, ...], device: torch.device) -> Tensor:
    """Return which blocks are neighbours: boolean, shape (blocks, blocks) of all blocks.

    Args:
        blocks: Along time, height and width.
        reach: Blocks of a neighbourhood along each, with the block itself in the middle.
    """
    total = torch.ones(1, 1, dtype=torch.bool, device=device)
    for count, width in zip(blocks, reach, strict=True):
        positions = torch.arange(count, device=device)
        near = (positions[:, None] - positions[None]).abs() <= width // 2
        size = len(total) * count
        total = (total[:, None, :, None] & near[None, :, None, :]).reshape(size, size)
    return total


@contextmanager
def sparse_attention(blocks: Any, *, enabled: bool) -> Iterator[None]:
    """Have blocks attend by FlexAttention for one call: of torch's kernels it alone takes blocks.

    Args:
        blocks: Of a transformer, each with a ``self_attention``.
    """
    if not enabled:
        yield
        return
    processors = [block.self_attention.processor for block in blocks]
    usual = [processor._attention_backend for processor in processors]
    for processor in processors:
        processor._attention_backend = "flex"
    try:
        yield
    finally:
        for processor, backend in zip(processors, usual, strict=True):
            processor._attention_backend = backend
