"""Peak memory of models besides weights, by their configurations.

All is counted in numbers, each of as many bytes as what the model computes in has. The factors are
measured: on the CPU's kernels, of networks of true widths, by the bytes of the tensors that live.
Attention is taken to hold no table of scores, as torch's usual kernels don't. Imports no torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

Config = Mapping[str, Any]


class StepMemory(NamedTuple):
    """Numbers that a denoiser's step holds for one item, and how much there is to do.

    Attributes:
        cell: For each cell of each latent frame.
        fixed: Besides, whatever the size: for the prompt.
        parameter_uses: How often each of its parameters is used for a cell.
    """

    cell: float
    fixed: float
    parameter_uses: float


class TokenMemory(NamedTuple):
    """What a transformer holds.

    Attributes:
        numbers: For each token of an image, times the transformer's width.
        prompt: How many such tokens a prompt counts for.
        patch: Cells along a token's side where the configuration doesn't say.
    """

    numbers: float
    prompt: int
    patch: int = 2

    def of(self, config: Config) -> StepMemory:
        """By a transformer's configuration."""
        token, cells = self.numbers * _width(config), _cells(config, self.patch)
        return StepMemory(token / cells, token * self.prompt, 1 / cells)


USUAL_WIDTH = 2048
"""Width of a transformer whose configuration has neither `hidden_size` nor `dim`, nor heads. Those
of published models are 1152 (PixArt-Σ) to 6144 (Flux.2)."""


def _width(config: Config) -> int:
    for name in ("hidden_size", "dim"):
        if isinstance(config.get(name), int):
            return int(config[name])
    heads, head_width = config.get("num_attention_heads"), config.get("attention_head_dim")
    if isinstance(heads, int) and isinstance(head_width, int):
        return heads * head_width
    return USUAL_WIDTH


def _cells(config: Config, patch: int) -> int:
    """Cells that share a token, in one frame."""
    patch_size = config.get("patch_size")
    if isinstance(patch_size, (list, tuple)) and len(patch_size) == 3:
        return int(patch_size[1]) * int(patch_size[2])
    # Some are handed patches, and say 1.
    return max(patch, patch_size if isinstance(patch_size, int) else 1) ** 2


_LAYER, _SKIPPED, _PLAIN = 26, 3, 8
"""What a UNet holds for each cell of a stage and unit of the stage's width: in a block with
attention, whose inner layer is eight times as wide; for the way up; in a block without."""
_UNET_USE = 0.11
"""SD 1.x has 860 million parameters, and multiplies 0.4e12 times for 64 × 64 cells."""


def unet_memory(config: Config) -> StepMemory:
    """What a UNet holds, by its configuration: the most of its stages."""
    widths = config.get("block_out_channels") or (320, 640, 1280, 1280)
    kinds = config.get("down_block_types") or ("CrossAttnDownBlock2D",)
    most = skipped = 0.0
    for stage, width in enumerate(widths):
        attends = "Attn" in kinds[min(stage, len(kinds) - 1)]
        cells = 0.25**stage
        most = max(most, skipped + (_LAYER if attends else _PLAIN) * width * cells)
        skipped += _SKIPPED * width * cells
    return StepMemory(most, 0.0, _UNET_USE)


def peak_offloaded_bytes(sizes: Mapping[str, int]) -> int:
    """Of a module's weights, about the most that is on a device at once when they come in parts.

    See `nodegraph.models.offloading`: two blocks and what is in none, or two layers.

    Args:
        sizes: Bytes by the tensors' names.
    """
    blocks, layers, other_bytes = Counter[str](), Counter[str](), 0
    for name, size in sizes.items():
        places = name.split(".")
        at = next((at for at, component in enumerate(places) if component.isdigit()), None)
        layers[name.rpartition(".")[0]] += size
        if at is None:
            other_bytes += size
        else:
            blocks[".".join(places[: at + 1])] += size
    by_blocks = other_bytes + sum(size for _, size in blocks.most_common(2))
    by_layers = sum(size for _, size in layers.most_common(2))
    return by_blocks if 2 * by_blocks <= sum(sizes.values()) else by_layers


class CodingMemory(NamedTuple):
    """Numbers that a VAE holds for each pixel of one image or video.

    Attributes:
        image: Of an image.
        video: Of a video, whatever its length, as VAEs take few frames at a time.
        frame: Besides, for each frame.
    """

    image: float
    video: float = 0.0
    frame: float = 0.0

    def times(self, factor: float) -> CodingMemory:
        """So many times as much."""
        return CodingMemory(self.image * factor, self.video * factor, self.frame * factor)
