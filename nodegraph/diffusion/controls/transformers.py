"""ControlNets beside transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from nodegraph.diffusion.controls.questions import ControlQuestion, Residuals, spread
from nodegraph.diffusion.families.flux import GUIDANCE
from nodegraph.diffusion.families.patches import packed, places

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.diffusion.components import Denoiser
    from nodegraph.diffusion.model_step import Batch, Moment

BLOCKS, SINGLES = "blocks", "singles"


def sd3_residuals(
    model: Denoiser, question: ControlQuestion, x: Tensor, moment: Moment, batch: Batch
) -> Residuals:
    """What a network adds behind the blocks of Stable Diffusion 3's transformer."""
    network = question.network
    pooled, config = batch["pooled"], network.config
    # Those that fill are told no pooled prompt either; only their pipeline says so.
    untold = config.force_zeros_for_pooled_projection or config.extra_conditioning_channels
    # Those without a table of places read that of the model.
    seen = x if network.pos_embed is not None else model.module.pos_embed(x)
    found = network(
        hidden_states=seen,
        timestep=moment.timestep.expand(len(x)),
        encoder_hidden_states=(None if config.joint_attention_dim is None else batch["embeddings"]),
        pooled_projections=torch.zeros_like(pooled) if untold else pooled,
        controlnet_cond=question.repeat(question.hints[0]),
        conditioning_scale=question.strengths[0],
        return_dict=False,
    )[0]
    blocks = len(model.module.transformer_blocks)
    share = blocks / len(found)
    return {BLOCKS: [found[int(block / share)] for block in range(blocks)]}


def flux_residuals(
    model: Denoiser, question: ControlQuestion, x: Tensor, moment: Moment, batch: Batch
) -> Residuals:
    """What a network adds behind the blocks of Flux.1's transformer."""
    network, (height, width) = question.network, x.shape[-2:]
    hint = question.repeat(question.hints[0])
    sees_pixels = network.input_hint_block is not None
    embeddings = batch["embeddings"]
    options: dict[str, Any] = {}
    if network.union:
        mode = torch.tensor(question.modes[0], device=x.device)
        options["controlnet_mode"] = mode.view(-1, 1).expand(len(x), 1)
    if network.config.guidance_embeds:
        given = batch.get("guidance")
        # A model that was distilled otherwise takes no scale, and the network still wants one.
        usual = torch.tensor([GUIDANCE], device=x.device, dtype=x.dtype).expand(len(x))
        options["guidance"] = usual if given is None else given
    doubles, singles = network(
        hidden_states=packed(x),
        controlnet_cond=hint if sees_pixels else packed(hint),
        conditioning_scale=question.strengths[0],
        timestep=moment.timestep.expand(len(x)).to(x.dtype) / 1000,
        pooled_projections=batch["pooled"],
        encoder_hidden_states=embeddings,
        txt_ids=torch.zeros(embeddings.shape[1], 3, device=x.device),
        img_ids=places(height // 2, width // 2, x.device),
        return_dict=False,
        **options,
    )
    own, single = model.module.transformer_blocks, model.module.single_transformer_blocks
    found = {}
    if doubles:
        # What XLabs trained is begun anew after its last block.
        found[BLOCKS] = (
            [doubles[at % len(doubles)] for at in range(len(own))]
            if sees_pixels
            else spread(doubles, len(own))
        )
    if singles:
        found[SINGLES] = spread(singles, len(single))
    return found


def qwen_residuals(
    model: Denoiser, question: ControlQuestion, x: Tensor, moment: Moment, batch: Batch
) -> Residuals:
    """What a network adds behind the blocks of Qwen-Image's transformer."""
    height, width = x.shape[-2:]
    found = question.network(
        hidden_states=packed(x),
        controlnet_cond=packed(question.repeat(question.hints[0])),
        conditioning_scale=question.strengths[0],
        timestep=moment.timestep.expand(len(x)).to(x.dtype) / 1000,
        encoder_hidden_states=batch["embeddings"],
        encoder_hidden_states_mask=None,
        img_shapes=[[(1, height // 2, width // 2)]] * len(x),
        return_dict=False,
    )
    return {BLOCKS: spread(found, len(model.module.transformer_blocks))}
