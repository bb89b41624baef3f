"""Shapes, proteins, texts, and two pipelines in a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import diffusers
import torch
import transformers
from diffusers.pipelines.shap_e import ShapERenderer

from tests.pipelines.tiny.base import SIDE, SIZED, TEXT, WIDTH, Tiny
from tests.pipelines.tiny.parts import clip_pixels, clip_vision
from tests.pipelines.tiny.words import (
    clip_text,
    clip_tokenizer,
    decoder_config,
    qwen_tokenizer,
)


def _shape() -> Tiny:
    rows = 8
    prior = diffusers.PriorTransformer(
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=1,
        embedding_dim=WIDTH,
        num_embeddings=4 * rows,  # one for each row of the renderer's four weights
        additional_embeddings=0,
        time_embed_act_fn="gelu",
        norm_in_type="layer",
        encoder_hid_proj_type=None,
        added_emb_type=None,
        time_embed_dim=32,
        embedding_proj_dim=WIDTH,
        clip_embed_dim=2 * WIDTH,
    )
    renderer = ShapERenderer(
        param_shapes=((rows, 93), (rows, rows), (rows, rows), (rows, rows)),
        d_latent=WIDTH,
        d_hidden=rows,
        n_output=12,
        background=(0.1, 0.1, 0.1),
    )
    made = diffusers.ShapEPipeline(
        prior=prior,
        text_encoder=clip_text(projected=True),
        tokenizer=clip_tokenizer(),
        scheduler=diffusers.HeunDiscreteScheduler(
            beta_schedule="exp", prediction_type="sample", use_karras_sigmas=True, clip_sample=True
        ),
        shap_e_renderer=renderer,
    )
    # A rendering takes twenty seconds, whatever its size.
    return Tiny(made, {**TEXT, "output_type": "latent"})


def _protein() -> Tiny:
    tokens, residues, kinds = 6, 8, 3
    small: dict[str, Any] = {
        "nlayers": 1,
        "token_dim": 16,
        "nheads": 2,
        "pair_repr_dim": 8,
        "latent_dim": 4,
        "token_type_emb_dim": 4,
        "num_token_types": kinds,
    }
    denoiser = diffusers.RFD4ProteinaTransformer(
        **small,
        dim_cond=16,
        t_emb_dim=8,
        feats_seq=("xt_bb_ca", "xt_local_latents", "token_type"),
        feats_cond_seq=("time_emb_bb_ca", "time_emb_local_latents"),
        feats_pair_repr=("xt_bb_ca_pair_dists",),
        update_pair_repr_every_n=1,
        tri_mult_c=8,
        num_sequence_classes=residues,
    )
    coder = diffusers.RFD4ProteinaAutoencoder(
        **small,
        dim_cond=8,
        atom37_mask=[[True] * 37] * residues,
        allowed_residue_types=[[True] * residues] * kinds,
        n_residue_types=residues,
        encoder_feats_seq=("token_type", "x1_a37coors_nm"),
        decoder_feats_seq=("ca_coors_nm", "z_latent_seq", "token_type"),
    )
    schedules = [
        diffusers.RFD4ProteinaScheduler("power", "1/t", tsr_k=1.0, tsr_sigma=1.0, tail_steps=0)
        for _ in range(2)
    ]
    made = diffusers.RFD4ProteinaPipeline(denoiser, coder, *schedules, recycle_depths=[1, 1])
    whole, none = torch.ones(1, tokens, dtype=torch.bool), torch.zeros(1, tokens, dtype=torch.long)
    call = {
        "padding_mask": whole,
        "is_in_context_conditioning": ~whole,
        "supports_local_latent": whole,
        "token_type": none,
        "conditioning_features": {"condition_sequence_1_residue": none, "molecule_iid": none},
    }
    return Tiny(made, call)


def _llada() -> Tiny:
    tokenizer = qwen_tokenizer()
    made = diffusers.LLaDA2Pipeline(
        model=transformers.Qwen3ForCausalLM(decoder_config("Qwen3", words=40)),
        scheduler=diffusers.BlockRefinementScheduler(block_length=8),
        tokenizer=tokenizer,
    )
    length = {"gen_length": 8, "block_length": 8, "num_inference_steps": 3}
    words = {"prompt": "a bird", "mask_token_id": 39, "eos_token_id": 0}
    return Tiny(made, {**words, **length}, besides={"tokenizer": tokenizer})


def _prior() -> dict[str, Any]:
    prior = diffusers.PriorTransformer(
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=1,
        embedding_dim=WIDTH,
        num_embeddings=16,
        additional_embeddings=4,
    )
    # It begins as zeros, and what comes would be the same for all texts.
    torch.nn.init.ones_(prior.clip_std)
    return {
        "prior": prior,
        "image_encoder": clip_vision(),
        "text_encoder": clip_text(projected=True),
        "tokenizer": clip_tokenizer(),
        "scheduler": diffusers.UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample"
        ),
        "image_processor": clip_pixels(),
    }


def _decoder() -> dict[str, Any]:
    backbone = diffusers.UNet2DConditionModel(
        sample_size=SIDE // 8,
        in_channels=4,
        out_channels=8,  # what it predicts, and how sure it is
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        encoder_hid_dim=WIDTH,
        encoder_hid_dim_type="image_proj",
        addition_embed_type="image",
        cross_attention_dim=16,
        attention_head_dim=8,
        resnet_time_scale_shift="scale_shift",
    )
    coder = diffusers.VQModel(
        down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
        block_out_channels=(32, 64),
        norm_num_groups=32,
        latent_channels=4,
        num_vq_embeddings=12,
        vq_embed_dim=4,
        norm_type="spatial",
    )
    return {"unet": backbone, "scheduler": diffusers.DDIMScheduler(), "movq": coder}


def _prior_alone() -> Tiny:
    return Tiny(diffusers.KandinskyV22PriorPipeline(**_prior()), TEXT)


def _kandinsky() -> Tiny:
    embedding = torch.linspace(-1, 1, WIDTH)[None]
    call = {"image_embeds": embedding, "negative_image_embeds": torch.zeros(1, WIDTH)}
    sized = {"num_inference_steps": 2, "height": SIDE, "width": SIDE}
    return Tiny(diffusers.KandinskyV22Pipeline(**_decoder()), {**call, **sized})


def _combined() -> Tiny:
    prior = {f"prior_{name}": part for name, part in _prior().items()}
    made = diffusers.KandinskyV22CombinedPipeline(**prior, **_decoder())
    return Tiny(made, {**SIZED, "prior_num_inference_steps": 2})


PIPELINES: Mapping[str, Callable[[], Tiny]] = {
    "ShapEPipeline": _shape,
    "RFD4ProteinaPipeline": _protein,
    "LLaDA2Pipeline": _llada,
    "KandinskyV22PriorPipeline": lambda: Tiny(
        diffusers.KandinskyV22PriorPipeline(**_prior()), TEXT
    ),
    "KandinskyV22Pipeline": _kandinsky,
    "KandinskyV22CombinedPipeline": _combined,
}
