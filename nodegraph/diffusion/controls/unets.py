"""ControlNets and T2I adapters beside UNets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from nodegraph.diffusion.controls.questions import DOWN, FEATURES, MID, ControlQuestion, Residuals

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.diffusion.model_step import Batch, Moment


def unet_residuals(
    question: ControlQuestion,
    x: Tensor,
    moment: Moment,
    batch: Batch,
    told: Mapping[str, Tensor],
) -> Residuals:
    """What a control network adds inside a UNet.

    Args:
        x, moment, batch: As of `Family.predict`.
        told: What the UNet is told beside the prompt.
    """
    kind = type(question.network).__name__
    if kind == "T2IAdapter":
        return _features(question)
    options: dict[str, Any] = {
        "encoder_hidden_states": batch["embeddings"],
        "added_cond_kwargs": dict(told) or None,
        "guess_mode": question.faint,
        "return_dict": False,
    }
    if kind == "ControlNetUnionModel":
        options |= _together(question, x)
    else:
        options |= {
            "controlnet_cond": question.repeat(question.hints[0]),
            "conditioning_scale": question.strengths[0],
        }
    down, mid = question.network(x, moment.timestep, **options)
    return {DOWN: down, MID: [mid]}


def _together(question: ControlQuestion, x: Tensor) -> dict[str, Any]:
    """What one that takes several pictures at once is told of them."""
    modes = [int(mode or 0) for mode in question.modes]
    kinds = torch.zeros(question.network.config.num_control_type).scatter_(
        0, torch.tensor(modes), 1
    )
    return {
        "controlnet_cond": [question.repeat(hint) for hint in question.hints],
        "control_type": kinds.reshape(1, -1).to(x.device, x.dtype).repeat(len(x), 1),
        "control_type_idx": modes,
        "conditioning_scale": list(question.strengths),
    }


def _features(question: ControlQuestion) -> Residuals:
    """It looks at the picture alone, so that once is enough."""
    if FEATURES not in question.kept:
        found = question.network(question.hints[0])
        question.kept[FEATURES] = [item * question.strengths[0] for item in found]
    return {FEATURES: [question.repeat(item) for item in question.kept[FEATURES]]}
