"""Hunyuan-DiT. Imports no torch.

Source: Li et al. 2024, arXiv:2405.08748; diffusers' ``HunyuanDiTPipeline`` and its transformer, by
Tencent Hunyuan; of ControlNets diffusers' ``HunyuanDiTControlNetPipeline``.

Source of the original names: diffusers' ``scripts/convert_hunyuandit_to_diffusers.py`` and
``scripts/convert_hunyuandit_controlnet_to_diffusers.py``; of the schedules, which no tensor shows:
ComfyUI ``comfy/supported_models.py``, ``HunyuanDiT`` (1.2) and ``HunyuanDiT1`` (1.0 and 1.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    ATTENTION_CACHES,
    CONTROLS,
    CROP,
    ORIGINAL_SIZE,
    TARGET_SIZE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.latent_formats import SDXL as SDXL_LATENTS
from nodegraph.families.layer_names import BLOCK_ATTENTION_SIGN, DIT_SIGN, LoraSign
from nodegraph.families.model_step import BLOCKS, Batch, Moment, SamplingRequest
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.controlnets import transformer_controlnet_layout
from nodegraph.weights.single_files.renamed_layouts import denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel
    from nodegraph.families.model_step import ControlNetCall, Residuals

_BERT_TOKENS, _T5_TOKENS = 77, 256
"""Of a prompt at the most; shorter ones are padded to them."""
_BASE_CELLS = 64
"""Side of the latents whose positions are counted as they are: of images of 512 pixels."""
_ORIGINAL_SIDE = 1024.0
"""Size of the training image in the size conditioning, unless the prompt says another."""

_STYLE = "time_extra_emb.style_embedder.weight"
"""Tensor of versions 1.0 and 1.1, which have size conditioning."""

_LAYERS: Table = (
    ("blocks.*.attn1.{to_q,to_k,to_v}", "blocks.*.attn1.Wqkv"),
    ("blocks.*.attn2.{to_k,to_v}", "blocks.*.attn2.kv_proj"),
    ("blocks.*.attn2.to_q", "blocks.*.attn2.q_proj"),
    *((f"blocks.*.{attn}.norm_q", f"blocks.*.{attn}.q_norm") for attn in ("attn1", "attn2")),
    *((f"blocks.*.{attn}.norm_k", f"blocks.*.{attn}.k_norm") for attn in ("attn1", "attn2")),
    *((f"blocks.*.{attn}.to_out.0", f"blocks.*.{attn}.out_proj") for attn in ("attn1", "attn2")),
    ("blocks.*.norm1.norm", "blocks.*.norm1"),
    ("blocks.*.norm1.linear", "blocks.*.default_modulation.1"),
    # diffusers counts them in the order that they compute in.
    ("blocks.*.norm2", "blocks.*.norm3"),
    ("blocks.*.norm3", "blocks.*.norm2"),
    ("blocks.*.ff.net.0.proj", "blocks.*.mlp.fc1"),
    ("blocks.*.ff.net.2", "blocks.*.mlp.fc2"),
    ("time_extra_emb.pooler.positional_embedding", "pooler.positional_embedding"),
    *((f"time_extra_emb.pooler.{kind}_proj", f"pooler.{kind}_proj") for kind in "kqvc"),
    ("time_extra_emb.timestep_embedder.linear_1", "t_embedder.mlp.0"),
    ("time_extra_emb.timestep_embedder.linear_2", "t_embedder.mlp.2"),
    ("time_extra_emb.extra_embedder.linear_1", "extra_embedder.0"),
    ("time_extra_emb.extra_embedder.linear_2", "extra_embedder.2"),
    ("time_extra_emb.style_embedder", "style_embedder"),
    ("pos_embed.proj", "x_embedder.proj"),
    ("text_embedder.linear_1", "mlp_t5.0"),
    ("text_embedder.linear_2", "mlp_t5.2"),
    ("norm_out.linear", "final_layer.adaLN_modulation.1"),
    ("proj_out", "final_layer.linear"),
)
_NAMES = OriginalNames(_LAYERS, swaps_output=True, equal_rows=True)


def _config(shapes: Shapes) -> dict[str, Any]:
    channels, patch = shapes["pos_embed.proj.weight"][1:3]
    return {
        **_shared_config(shapes),
        "num_layers": count_of(shapes, r"^blocks\.(\d+)\."),
        "learn_sigma": shapes["proj_out.weight"][0] == 2 * channels * patch**2,
    }


def _control_config(shapes: Shapes) -> dict[str, Any]:
    # The network has a block for each skip connection of its transformer.
    skips = count_of(shapes, r"^blocks\.(\d+)\.")
    return {**_shared_config(shapes), "transformer_num_layers": 2 * (skips + 1)}


def _shared_config(shapes: Shapes) -> dict[str, Any]:
    """Return what the configurations of the transformer and of its ControlNets both have."""
    width, channels, patch, _ = shapes["pos_embed.proj.weight"]
    (head,) = shapes["blocks.0.attn1.norm_q.weight"]
    t5_tokens = shapes["time_extra_emb.pooler.positional_embedding"][0] - 1
    return {
        "num_attention_heads": width // head,
        "attention_head_dim": head,
        "in_channels": channels,
        "patch_size": patch,
        "sample_size": 128,
        "hidden_size": width,
        # The class rounds the product down, so half a row more keeps it from one row less.
        "mlp_ratio": (shapes["blocks.0.ff.net.0.proj.weight"][0] + 0.5) / width,
        "cross_attention_dim": shapes["blocks.0.attn2.to_k.weight"][1],
        "cross_attention_dim_t5": shapes["text_embedder.linear_1.weight"][1],
        "pooled_projection_dim": shapes["time_extra_emb.pooler.c_proj.weight"][0],
        "text_len": shapes["text_embedding_padding"][0] - t5_tokens,
        "text_len_t5": t5_tokens,
        "use_style_cond_and_image_meta_size": _STYLE in shapes,
    }


def _schedule(config: Config) -> dict[str, Any]:
    has_sizes = config["use_style_cond_and_image_meta_size"]
    return {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.03 if has_sizes else 0.018,
        "beta_schedule": "scaled_linear",
        "prediction_type": "v_prediction",
        "clip_sample": False,
    }


_TITLE, _CLASS = "the transformer of Hunyuan-DiT", "HunyuanDiT2DModel"
_CONTROL_CLASS = "HunyuanDiT2DControlNetModel"
_OF_CONTROL, _OF_ORIGINAL_CONTROL = "input_block.weight", "before_proj.weight"
"""Tensors of ControlNets that the transformer does not have."""
# Two norms have each other's name, so that files of the two kinds need a layout each.
_FILE = denoiser_layout(
    "hunyuan-dit-transformer",
    _TITLE,
    _CLASS,
    marks=(("text_embedder.linear_1.weight", "time_extra_emb.pooler.c_proj.weight"),),
    config=_config,
    scheduler=_schedule,
    without=(_OF_CONTROL,),
)
_ORIGINAL_FILE = denoiser_layout(
    "hunyuan-dit-original",
    _TITLE,
    _CLASS,
    marks=(("mlp_t5.0.weight", "pooler.c_proj.weight"),),
    config=_config,
    scheduler=_schedule,
    names=_NAMES,
    without=(_OF_ORIGINAL_CONTROL,),
)
_CONTROL_TITLE = "a ControlNet for Hunyuan-DiT"
_CONTROL_FILE = transformer_controlnet_layout(
    "hunyuan-dit",
    "Hunyuan-DiT",
    _CONTROL_CLASS,
    (_OF_CONTROL, "text_embedder.linear_1.weight"),
    _control_config,
)
_ORIGINAL_CONTROL_FILE = denoiser_layout(
    "hunyuan-dit-original-controlnet",
    _CONTROL_TITLE,
    _CONTROL_CLASS,
    marks=((_OF_ORIGINAL_CONTROL, "after_proj_list.0.weight", "mlp_t5.0.weight"),),
    config=_control_config,
    scheduler={},
    names=OriginalNames(
        (
            *_LAYERS,
            ("input_block", "before_proj"),
            ("controlnet_blocks.*", "after_proj_list.*"),
        ),
        equal_rows=True,
    ),
)


class HunyuanDiT(Family):
    """A transformer that reads a bilingual BERT and mT5, with padding it has learned.

    Versions 1.0 and 1.1 are also conditioned on sizes. The stock pipeline brings images to the
    nearest of ten sizes; here images have the size that is asked for.
    """

    def context_width(self, config: Config) -> int | None:
        return int(config["cross_attention_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import t5_states, tokenize_padded

        # Only the cut of the longer one loses words.
        bert = tokenize_padded(model.tokenizers["tokenizer"], text, _BERT_TOKENS)
        t5 = tokenize_padded(model.tokenizers["tokenizer_2"], text, _T5_TOKENS, warn)
        encoder, mask = model.modules["text_encoder"], bert["attention_mask"]
        states = encoder(
            bert["input_ids"].to(encoder.device), attention_mask=mask.to(encoder.device)
        )[0]
        return encoded(
            {
                "embeddings": states.to("cpu", torch.float32),
                "mask": mask,
                "embeddings_2": t5_states(model.modules["text_encoder_2"], t5, masked=True),
                "mask_2": t5["attention_mask"],
            }
        )

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        size = torch.tensor([[float(request.height), float(request.width)]])
        usual = {
            ORIGINAL_SIZE: torch.full((1, 2), _ORIGINAL_SIDE),
            TARGET_SIZE: size,
            CROP: torch.zeros(1, 2),
        }
        for name, default in usual.items():
            item = fitted.get(name, default)
            # 0 stands for the size of the image.
            fitted[name] = item if name == CROP else torch.where(item == 0, size, item)
        return fitted

    @property
    def row_names(self) -> tuple[str, ...]:
        return ("embeddings", "mask", "embeddings_2", "mask_2", ORIGINAL_SIZE, TARGET_SIZE, CROP)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        residuals = batch.get(CONTROLS, {}).get(BLOCKS)
        output: Tensor = model.module(
            x,
            **_inputs(model, x, moment, batch),
            # The transformer empties the list.
            controlnet_block_samples=None if residuals is None else list(residuals),
        )[0]
        # Variances may follow the velocities; no sampler reads them.
        return output[:, : x.shape[1]]

    def controlled(
        self, model: Denoiser, question: ControlNetCall, x: Tensor, moment: Moment, batch: Batch
    ) -> Residuals:
        residuals = question.network(
            x,
            **_inputs(model, x, moment, batch),
            controlnet_cond=question.repeat(question.hints[0]),
            conditioning_scale=question.strengths[0],
        )[0]
        return {BLOCKS: residuals}


def _inputs(model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> dict[str, Any]:
    """Return the inputs besides the latent that the transformer and its ControlNets both take."""
    sizes = torch.cat([batch[name] for name in (ORIGINAL_SIZE, TARGET_SIZE, CROP)], 1)
    return {
        "timestep": moment.timestep.expand(len(x)).to(x.dtype),
        "encoder_hidden_states": batch["embeddings"],
        "text_embedding_mask": batch["mask"],
        "encoder_hidden_states_t5": batch["embeddings_2"],
        "text_embedding_mask_t5": batch["mask_2"],
        "image_meta_size": sizes.to(x.dtype),
        "style": torch.zeros(len(x), dtype=torch.int64, device=x.device),
        "image_rotary_emb": _rotary_positions(x, model.config),
        "return_dict": False,
    }


def _rotary_positions(x: Tensor, config: Config) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of the positions, each of shape (tokens, head width).

    The longer side of the latent spans the positions of `_BASE_CELLS`.
    """
    from diffusers.models.embeddings import get_2d_rotary_pos_embed
    from diffusers.pipelines.hunyuandit.pipeline_hunyuandit import get_resize_crop_region_for_grid

    patch = config["patch_size"]
    grid = x.shape[-2] // patch, x.shape[-1] // patch
    region = get_resize_crop_region_for_grid(grid, _BASE_CELLS // patch)
    positions: tuple[Tensor, Tensor] = get_2d_rotary_pos_embed(
        config["attention_head_dim"], region, grid, device=x.device, output_type="pt"
    )
    return positions


HUNYUAN_DIT = HunyuanDiT(
    "hunyuan-dit",
    "Hunyuan-DiT",
    latent=SDXL_LATENTS,
    pipelines=("HunyuanDiTPipeline",),
    denoisers=(Part("transformer", (_CLASS,), files=(_ORIGINAL_FILE, _FILE)),),
    encoders=(Part("text_encoder", ("BertModel",)), Part("text_encoder_2", ("T5EncoderModel",))),
    tokenizers=(Part("tokenizer", ("BertTokenizer",)), Part("tokenizer_2", ("T5Tokenizer",))),
    multiple=16,
    control=Part("controlnet", (_CONTROL_CLASS,), files=(_ORIGINAL_CONTROL_FILE, _CONTROL_FILE)),
    control_sees_latents=True,
    held=TokenMemory(16, 256),
    tells_sizes=True,
    speedups=ATTENTION_CACHES,
    # Guiders know neither the class of its attention nor that of its blocks.
    perturbs_attention=False,
    skips_blocks=False,
    # Source: ``SUPPORTED_SHAPE`` of diffusers' pipeline, those that are wider than high.
    resolutions={
        "hunyuan-dit": Resolutions(
            1024 * 1024,
            16,
            ((1024, 1024), (1280, 1280), (1024, 768), (1152, 864), (1280, 960), (1280, 768)),
        )
    },
    lora_signs=(
        LoraSign(
            r"^blocks_\d+_(attn1_Wqkv$|attn2_(q|kv)_proj$|attn[12]_out_proj$|skip_linear$"
            r"|default_modulation_|norm1_linear$|ff_net_)",
            "Hunyuan-DiT",
        ),
        BLOCK_ATTENTION_SIGN,
        DIT_SIGN,
    ),
)
