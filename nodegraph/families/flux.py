"""Flux.1: dev, schnell, Fill, Depth, Canny and Kontext. Imports no torch.

Source: https://github.com/black-forest-labs/flux; guidance distillation is Meng et al. 2023,
arXiv:2210.03142. What no tensor shows: its ``flux/util.py``, and ``scheduler_config.json`` of
https://huggingface.co/black-forest-labs/FLUX.1-dev and -schnell. diffusers' converter of single
files does the same, but only for published widths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    ATTENTION_CACHES,
    BLOCK_CACHES,
    CONTROLS,
    FUSED,
    INDEXED_REFERENCES,
    LITE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
    usual_pipelines,
)
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.image_conditioning import (
    CONTROL_IMAGE,
    INPAINT_MASK,
    MASKED_IMAGE,
    with_control_image,
    with_masked_image,
)
from nodegraph.families.latent_formats import FLUX as FLUX_LATENTS
from nodegraph.families.layer_names import DOUBLE_STREAM, DOUBLE_STREAM_SIGN, JOINT_ATTENTION_SIGN
from nodegraph.families.model_step import (
    BLOCKS,
    SINGLES,
    Batch,
    Moment,
    SamplingRequest,
    distribute_residuals,
)
from nodegraph.families.patches import (
    pack_latents,
    pad_residuals,
    reference_latents,
    reference_positions,
    reference_tensors,
    token_positions,
    unpack_latents,
)
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.clip import clip_layout
from nodegraph.weights.single_files.controlnets import transformer_controlnet_layout
from nodegraph.weights.single_files.language import T5, T5_GGUF
from nodegraph.weights.single_files.renamed_layouts import DYNAMIC_FLOW, EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel
    from nodegraph.families.model_step import ControlNetCall, Residuals

FILL_CHANNELS = 384
"""That Flux.1 Fill takes for each patch: of the latent, of the rest of the image, and the mask's
256."""

_AXES = (16, 56, 56)
"""Of a head's width, for each axis that places have: which image, row, column."""


def common_config(shapes: Shapes) -> dict[str, Any]:
    width, taken = shapes["x_embedder.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    if head != sum(_AXES):
        raise ValueError(f"attention heads are {head} wide, not {sum(_AXES)}")
    return {
        "patch_size": 1,
        "in_channels": taken,
        "out_channels": shapes["proj_out.weight"][0],
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_single_layers": count_of(shapes, r"single_transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["context_embedder.weight"][1],
        "axes_dims_rope": _AXES,
    }


def _flux_config(shapes: Shapes) -> dict[str, Any]:
    embedder = "time_text_embed.{}_embedder.linear_1.weight"
    return {
        **common_config(shapes),
        "pooled_projection_dim": shapes[embedder.format("text")][1],
        "guidance_embeds": embedder.format("guidance") in shapes,
    }


def _scheduler(config: Config) -> Config:
    """That of schnell, which was distilled to a few steps, isn't shifted."""
    return DYNAMIC_FLOW if config["guidance_embeds"] else {**EULER_FLOW, "shift": 1.0}


def takes_known_channels(shapes: Shapes) -> bool:
    """Whether it takes a latent alone, fills masked ones, or takes one more: Depth and Canny."""
    taken = shapes.get("x_embedder.weight", (0, 0))[-1]
    out_channels = shapes.get("proj_out.weight", (0,))[0]
    return taken in (out_channels, 2 * out_channels, FILL_CHANNELS)


LAYERS: Table = (
    *DOUBLE_STREAM,
    ("transformer_blocks.*.norm1.linear", "double_blocks.*.img_mod.lin"),
    ("transformer_blocks.*.norm1_context.linear", "double_blocks.*.txt_mod.lin"),
    ("transformer_blocks.*.ff.net.0.proj", "double_blocks.*.img_mlp.0"),
    ("transformer_blocks.*.ff.net.2", "double_blocks.*.img_mlp.2"),
    ("transformer_blocks.*.ff_context.net.0.proj", "double_blocks.*.txt_mlp.0"),
    ("transformer_blocks.*.ff_context.net.2", "double_blocks.*.txt_mlp.2"),
    (
        "single_transformer_blocks.*.{attn.to_q,attn.to_k,attn.to_v,proj_mlp}",
        "single_blocks.*.linear1",
    ),
    # XLabs changes the first three of the four.
    ("single_transformer_blocks.*.attn.{to_q,to_k,to_v}", "single_blocks.*.qkv"),
    ("single_transformer_blocks.*.proj_out", "single_blocks.*.linear2"),
    ("single_transformer_blocks.*.norm.linear", "single_blocks.*.modulation.lin"),
    ("time_text_embed.timestep_embedder.linear_1", "time_in.in_layer"),
    ("time_text_embed.timestep_embedder.linear_2", "time_in.out_layer"),
    ("time_text_embed.guidance_embedder.linear_1", "guidance_in.in_layer"),
    ("time_text_embed.guidance_embedder.linear_2", "guidance_in.out_layer"),
    ("time_text_embed.text_embedder.linear_1", "vector_in.in_layer"),
    ("time_text_embed.text_embedder.linear_2", "vector_in.out_layer"),
    ("distilled_guidance_layer.in_proj", "distilled_guidance_layer.in_proj"),
    ("distilled_guidance_layer.out_proj", "distilled_guidance_layer.out_proj"),
    ("distilled_guidance_layer.layers.*.linear_1", "distilled_guidance_layer.layers.*.in_layer"),
    ("distilled_guidance_layer.layers.*.linear_2", "distilled_guidance_layer.layers.*.out_layer"),
    ("distilled_guidance_layer.norms.*", "distilled_guidance_layer.norms.*"),
)
"""Of Flux.1, of Chroma, and of models made from Flux.1 with fewer blocks."""

FLUX_FILE = denoiser_layout(
    "flux-transformer",
    "the transformer of Flux.1",
    "FluxTransformer2DModel",
    marks=(
        ("img_in.weight", "double_blocks.0.img_mod.lin.weight", "vector_in.in_layer.weight"),
        (
            "x_embedder.weight",
            "transformer_blocks.0.norm1_context.linear.weight",
            "single_transformer_blocks.0.proj_mlp.weight",
            "time_text_embed.text_embedder.linear_1.weight",
        ),
    ),
    names=OriginalNames(LAYERS, swaps_output=True, widened="x_embedder"),
    config=_flux_config,
    scheduler=_scheduler,
    fits=takes_known_channels,
)


def _control_config(net: Shapes) -> dict[str, Any]:
    width, taken = net["x_embedder.weight"]
    (head,) = net["transformer_blocks.0.attn.norm_q.weight"]
    modes = net.get("controlnet_mode_embedder.weight")
    eyes = net.get("input_hint_block.conv_out.weight")
    return {
        "patch_size": 2 if eyes else 1,
        "in_channels": taken,
        "num_layers": count_of(net, r"transformer_blocks\.(\d+)\."),
        "num_single_layers": count_of(net, r"single_transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": net["context_embedder.weight"][1],
        "pooled_projection_dim": net["time_text_embed.text_embedder.linear_1.weight"][1],
        "guidance_embeds": "time_text_embed.guidance_embedder.linear_1.weight" in net,
        "axes_dims_rope": _AXES,
        "num_mode": modes[0] if modes else None,
        "conditioning_embedding_channels": eyes[0] if eyes else None,
    }


_CONTROLNET = transformer_controlnet_layout(
    "flux",
    "Flux.1",
    "FluxControlNetModel",
    ("controlnet_x_embedder.weight", "x_embedder.weight", "context_embedder.weight"),
    _control_config,
)


GUIDANCE = 3.5
"""Scale that guidance-distilled models get where the conditioning says none."""

_T5_TOKENS = 512
_FEWEST = 256
"""Tokens that ComfyUI pads T5's prompts to (``comfy/text_encoders/flux.py``)."""


class Flux(Family):
    """A transformer led by T5, and by CLIP's pooled prompt.

    Latents are seen as 2 x 2 patches. Editing models see the tokens of reference images beside
    them; filling models see with each token the rest of the image and the mask, Canny and Depth
    the image that they follow.
    """

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        config = configs.get("transformer", {})
        taken = config.get("in_channels", 64)
        out_channels = config.get("out_channels") or taken
        if taken in (out_channels, 2 * out_channels, FILL_CHANNELS):
            return None
        return f"a {self.title} whose transformer takes {taken} channels instead of {out_channels}"

    def channels(self, config: Config) -> int:
        return int(config.get("out_channels") or config["in_channels"]) // 4

    def context_width(self, config: Config) -> int | None:
        return int(config["joint_attention_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_apart(model, [text, text], warn)

    def encode_apart(
        self, model: TextModel, texts: Sequence[str], warn: Warn | None = None
    ) -> ConditioningEntry:
        from nodegraph.families.text_encoders import (
            clip_pooled,
            padded_length,
            t5_states,
            tokenize_padded,
        )

        for_clip, for_t5 = texts
        clip = model.modules["text_encoder"]
        first = tokenize_padded(
            model.tokenizers["tokenizer"], for_clip, clip.config.max_position_embeddings
        )
        tokenizer = model.tokenizers["tokenizer_2"]
        room = (
            padded_length(tokenizer, for_t5, _FEWEST, _T5_TOKENS)
            if model.as_comfyui
            else _T5_TOKENS
        )
        second = tokenize_padded(tokenizer, for_t5, room, warn)
        states = t5_states(model.modules["text_encoder_2"], second)
        return encoded({"embeddings": states, "pooled": clip_pooled(clip, first)})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        if model.config.get("guidance_embeds"):
            fitted.setdefault("guidance", torch.tensor([GUIDANCE]))
        else:
            fitted.pop("guidance", None)
        fitted |= reference_tensors(entry.references, request.side)
        fills = self.fills_masked_image(model.config)
        fitted = with_masked_image(fitted, request, fills=fills)
        follows = model.config["in_channels"] == 2 * (model.config.get("out_channels") or 0)
        return with_control_image(fitted, entry, request, follows=follows)

    def fills_masked_image(self, config: Config) -> bool:
        """Flux.1 Fill: the noise, the masked image, and a channel for each pixel of a cell."""
        return bool(config["in_channels"] == FILL_CHANNELS)

    def inpaint_mask(self, mask: Tensor) -> Tensor:
        """Each pixel of a cell is a channel."""
        cell, (height, width) = self.latent.spatial, mask.shape[-2:]
        cut = mask[:, 0].view(-1, height // cell, cell, width // cell, cell)
        return cut.permute(0, 2, 4, 1, 3).reshape(-1, cell**2, height // cell, width // cell)

    def controlled(
        self, model: Denoiser, question: ControlNetCall, x: Tensor, moment: Moment, batch: Batch
    ) -> Residuals:
        network, (height, width) = question.network, x.shape[-2:]
        hint = question.repeat(question.hints[0])
        sees_pixels = network.input_hint_block is not None
        embeddings = batch["embeddings"]
        options: dict[str, Any] = {}
        if network.union:
            mode = torch.tensor(question.modes[0], device=x.device)
            options["controlnet_mode"] = mode.view(-1, 1).expand(len(x), 1)
        if network.config.guidance_embeds:
            guidance = batch.get("guidance")
            # A model that was distilled otherwise takes no scale, and the network still wants one.
            usual = torch.tensor([GUIDANCE], device=x.device, dtype=x.dtype).expand(len(x))
            options["guidance"] = usual if guidance is None else guidance
        doubles, singles = network(
            hidden_states=pack_latents(x),
            controlnet_cond=hint if sees_pixels else pack_latents(hint),
            conditioning_scale=question.strengths[0],
            timestep=moment.timestep.expand(len(x)).to(x.dtype) / 1000,
            pooled_projections=batch["pooled"],
            encoder_hidden_states=embeddings,
            txt_ids=torch.zeros(embeddings.shape[1], 3, device=x.device),
            img_ids=token_positions(height // 2, width // 2, x.device),
            return_dict=False,
            **options,
        )
        own, single = model.module.transformer_blocks, model.module.single_transformer_blocks
        residuals = {}
        if doubles:
            # What XLabs trained is begun anew after its last block.
            residuals[BLOCKS] = (
                [doubles[at % len(doubles)] for at in range(len(own))]
                if sees_pixels
                else distribute_residuals(doubles, len(own))
            )
        if singles:
            residuals[SINGLES] = distribute_residuals(singles, len(single))
        return residuals

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        height, width = x.shape[-2:]
        tokens, grid = pack_latents(x), [token_positions(height // 2, width // 2, x.device)]
        own = tokens.shape[1]
        if MASKED_IMAGE in batch:
            tokens = torch.cat(
                [tokens, pack_latents(batch[MASKED_IMAGE]), pack_latents(batch[INPAINT_MASK])], 2
            )
        if CONTROL_IMAGE in batch:
            tokens = torch.cat([tokens, pack_latents(batch[CONTROL_IMAGE])], 2)
        looked_at = reference_latents(batch)
        sizes = [(item.shape[-2] // 2, item.shape[-1] // 2) for item in looked_at]
        firsts = reference_positions(sizes, numbered=INDEXED_REFERENCES in batch)
        for picture, size, first in zip(looked_at, sizes, firsts, strict=True):
            tokens = torch.cat([tokens, pack_latents(picture)], 1)
            grid.append(token_positions(*size, x.device, first))
        output: Tensor = model.module(
            hidden_states=tokens,
            timestep=moment.timestep.expand(len(x)).to(x.dtype) / 1000,
            encoder_hidden_states=batch["embeddings"],
            txt_ids=torch.zeros(batch["embeddings"].shape[1], 3, device=x.device),
            img_ids=torch.cat(grid),
            return_dict=False,
            **self.control_inputs(batch, tokens.shape[1] - own),
            **self.extra_inputs(batch, tokens.shape[1]),
        )[0][:, :own]
        return unpack_latents(output, height, width)

    def control_inputs(self, batch: Batch, extra_tokens: int) -> Mapping[str, Any]:
        """What control networks add, as inputs of the model.

        Args:
            extra_tokens: Tokens of images that it looks at, to which nothing is added.
        """
        residuals = batch.get(CONTROLS)
        if residuals is None:
            return {}
        places = {
            "blocks": "controlnet_block_samples",
            "singles": "controlnet_single_block_samples",
        }
        return {
            option: pad_residuals(residuals[name], extra_tokens)
            for name, option in places.items()
            if name in residuals
        }

    def extra_inputs(self, batch: Batch, tokens: int) -> Mapping[str, Tensor | None]:
        """Further inputs of the model, for so many tokens of images."""
        return {"pooled_projections": batch["pooled"], "guidance": batch.get("guidance")}


FLUX = Flux(
    "flux",
    "Flux.1",
    latent=FLUX_LATENTS,
    pipelines=(
        *usual_pipelines("Flux"),
        "FluxFillPipeline",
        "FluxControlPipeline",
        "FluxKontextPipeline",
        "FluxKontextInpaintPipeline",
    ),
    denoisers=(Part("transformer", ("FluxTransformer2DModel",), files=(FLUX_FILE,)),),
    encoders=(
        Part("text_encoder", ("CLIPTextModel",), files=(clip_layout("CLIP-L"),)),
        Part("text_encoder_2", ("T5EncoderModel",), files=(T5, T5_GGUF)),
    ),
    tokenizers=(
        Part("tokenizer", ("CLIPTokenizer",), vocabulary="clip-l"),
        Part("tokenizer_2", ("T5Tokenizer",), vocabulary="t5"),
    ),
    noise="flow",
    spread="ramp",
    mu=line_mu,
    multiple=16,
    control=Part("controlnet", ("FluxControlNetModel",), files=(_CONTROLNET,)),
    controlled_by_positive=True,
    held=TokenMemory(16, 512),
    needs_negative=False,
    joint=False,
    lengthens=True,
    readers=("clip_l", "t5"),
    speedups=ATTENTION_CACHES | BLOCK_CACHES | LITE | FUSED,
    has_mag_ratios=True,
    resolutions={
        "flux": Resolutions(1024 * 1024, 16),
        # Of Flux.1 Kontext, as diffusers' pipeline has them.
        "flux-kontext": Resolutions(
            1024 * 1024,
            16,
            (
                *((1024, 1024), (1104, 944), (1184, 880), (1248, 832), (1328, 800), (1392, 752)),
                *((1456, 720), (1504, 688), (1568, 672)),
            ),
        ),
    },
    image_inputs=frozenset({"references", "control"}),
    lora_signs=(
        DOUBLE_STREAM_SIGN,
        JOINT_ATTENTION_SIGN,
    ),
    control_sees_latents=True,
    # Source: https://huggingface.co/InstantX/FLUX.1-dev-Controlnet-Union
    control_modes={
        "edges": 0,
        "lines": 0,
        "tile": 1,
        "depth": 2,
        "blur": 3,
        "pose": 4,
        "grey": 5,
        "low quality": 6,
    },
    comfyui_type="flux",
)
