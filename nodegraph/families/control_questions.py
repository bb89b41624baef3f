"""What a control network is asked, and what it answers. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

BLOCKS, SINGLES = "blocks", "singles"
"""Where in transformers what control networks give is added: behind blocks, and single blocks."""

Residuals = Mapping[str, Sequence["Tensor"]]
"""What is added inside a model, by where: a tensor for each place, the prompts one after the other
as in the model's batch."""


@dataclass(frozen=True, slots=True)
class ControlNetCall:
    """One call of a control network.

    Attributes:
        network: The module.
        hints: What it is shown: one picture, or several of a network that takes them together. In
            the network's dtype, on its device, with one item or as many as are sampled.
        strengths: How strongly each leads.
        modes: Which of the network's kinds of pictures each is; None where it knows but one.
        repeat: Brings a tensor of such items to those of the model's batch.
        cache: What doesn't change between steps may be kept here.
        faint: As of `nodegraph.core.values.Control`.
    """

    network: Any
    hints: Sequence[Tensor]
    strengths: Sequence[float]
    modes: Sequence[int | None]
    repeat: Callable[[Tensor], Tensor]
    cache: dict[str, Any]
    faint: bool = False


def add_residuals(residuals: Residuals, other: Residuals) -> Residuals:
    """The sum of two answers for the same model."""
    common = {
        name: [left + right for left, right in zip(tensors, other[name], strict=True)]
        for name, tensors in residuals.items()
        if name in other
    }
    return {**residuals, **other, **common}


def distribute_residuals(residuals: Sequence[Tensor], blocks: int) -> list[Tensor]:
    """One for each block of a model, of a network with fewer; as diffusers' transformers do it."""
    share = -(-blocks // len(residuals))
    return [residuals[block // share] for block in range(blocks)]


DOWN, MID, FEATURES = "down", "mid", "features"
"""Behind the blocks on the way down and the middle one; and inside of the former."""


def unet_options(residuals: Residuals) -> dict[str, Any]:
    """The inputs of a UNet by which it is given residuals."""
    options: dict[str, Any] = {}
    if DOWN in residuals:
        options["down_block_additional_residuals"] = list(residuals[DOWN])
        options["mid_block_additional_residual"] = residuals[MID][0]
    if FEATURES in residuals:
        # It takes them from the list.
        options["down_intrablock_additional_residuals"] = list(residuals[FEATURES])
    return options
