"""Flux.2: dev and Klein. Imports no torch.

Latents are patches of 2 x 2 cells, normalized by the mean and variance of a batch norm in the
autoencoder; the rest of the autoencoder is like Flux.1's.

Source: https://github.com/black-forest-labs/flux2 (``model.py`` for what no tensor shows,
``src/flux2/autoencoder.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import (
    ATTENTION_CACHES,
    FUSED,
    LITE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.flow_shift import flux2_mu
from nodegraph.families.key_values import (
    KEY_VALUES,
    PIPELINE_CLASS,
    KeyValueStore,
    has_fixed_references,
    move_layers,
    store_in,
)
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import (
    DOUBLE_STREAM,
    DOUBLE_STREAM_SIGN,
    JOINT_ATTENTION_SIGN,
    LoraSign,
)
from nodegraph.families.model_step import Batch, Lead, Moment, SamplingRequest
from nodegraph.families.patches import reference_latents, reference_names
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.autoencoders import (
    BATCH_NORM,
    PREFIXES,
    convert_vae,
    decoder_widths,
    vae_config,
)
from nodegraph.weights.single_files.base import (
    FileLayout,
    OriginalNames,
    Table,
    check_downscale,
    count_of,
)
from nodegraph.weights.single_files.language import MISTRAL3, QWEN3, QWEN3_GGUF
from nodegraph.weights.single_files.renamed_layouts import DYNAMIC_FLOW, denoiser_layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_MOVED = {
    "encoder.quant_conv.": "quant_conv.",
    "decoder.post_quant_conv.": "post_quant_conv.",
}
_CHANNELS = 32
"""Of its latents, of which four make one of a patch."""
_STATISTICS = "bn."
_COUNT = "bn.num_batches_tracked"
"""Of no use any more, and left out by some."""


def _vae_config(vae: Shapes) -> dict[str, Any]:
    named = {_name(name): item for name, item in vae.items()}
    config = vae_config(named, (1.0, 0.0))
    kept = {name: item for name, item in config.items() if not name.endswith("_factor")}
    check_downscale(2 ** len(kept["block_out_channels"]), 2 * 8)
    return {
        **kept,
        "decoder_block_out_channels": decoder_widths(named),
        "patch_size": (2, 2),
        "use_quant_conv": True,
        "use_post_quant_conv": True,
    }


def _convert_vae(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    named = {_name(name): item for name, item in tensors.items()}
    statistics = {name: item for name, item in named.items() if name.startswith(_STATISTICS)}
    others = {name: item for name, item in named.items() if name not in statistics}
    statistics.setdefault(_COUNT, torch.tensor(0))
    return convert_vae(others, config) | statistics


def _name(name: str) -> str:
    for old, new in _MOVED.items():
        if name.startswith(old):
            return f"{new}{name.removeprefix(old)}"
    return name


FLUX2_VAE = FileLayout(
    "flux2-vae",
    "the VAE of Flux.2",
    "AutoencoderKLFlux2",
    lambda vae: BATCH_NORM in vae and vae.get("decoder.conv_in.weight", ())[1:2] == (_CHANNELS,),
    _vae_config,
    _convert_vae,
    PREFIXES,
)


CELLS_FIRST = "statistics_by_cells"
"""Entry of an autoencoder's configuration, which some families set: whether its statistics have the
channels of a patch cell by cell; else they have the cells of a channel one after the other."""
BY_RECIPROCAL = "statistics_by_reciprocal"
"""Likewise: whether latents are normalized by the reciprocal of the deviation, in float32."""


class NormalisedPatches(LatentFormat):
    """Each patch's channels are normalized by what a batch norm in the autoencoder has learned."""

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        patches = patchify(vae.encode(pixels).latent_dist.mode())
        if getattr(vae.config, BY_RECIPROCAL, False):
            mean, scale = _reciprocal_statistics(vae, patches.float())
            return (patches.float() - mean) * scale
        mean, deviation = _statistics(vae, patches)
        return (patches - mean) / deviation

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        if getattr(vae.config, BY_RECIPROCAL, False):
            mean, scale = _reciprocal_statistics(vae, latents.float())
            patches = (latents.float() / scale + mean).to(latents.dtype)
        else:
            mean, deviation = _statistics(vae, latents)
            patches = latents * deviation + mean
        pixels: Tensor = vae.decode(unpatchify(patches), return_dict=False)[0]
        return pixels

    def to_cells(self, latents: Tensor) -> Tensor:
        return unpatchify(latents)

    def from_cells(self, cells: Tensor) -> Tensor:
        return patchify(cells)

    def latent_channels(self, config: Mapping[str, Any]) -> int:
        height, width = config["patch_size"]
        return int(config["latent_channels"]) * int(height) * int(width)


def patchify(latents: Tensor) -> Tensor:
    """Latents (n, channels, height, width) with 2 x 2 cells in one: (n, channels · 4, height / 2,
    width / 2), the four of a channel one after the other."""
    n, channels, height, width = latents.shape
    cut = latents.view(n, channels, height // 2, 2, width // 2, 2)
    return cut.permute(0, 1, 3, 5, 2, 4).reshape(n, channels * 4, height // 2, width // 2)


def unpatchify(patches: Tensor) -> Tensor:
    """What `patched` made patches of."""
    n, channels, height, width = patches.shape
    cut = patches.reshape(n, channels // 4, 2, 2, height, width)
    return cut.permute(0, 1, 4, 2, 5, 3).reshape(n, channels // 4, height * 2, width * 2)


def _statistics(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, shape (1, channels, 1, 1)."""
    mean: Tensor = vae.bn.running_mean.view(1, -1, 1, 1)
    variance: Tensor = vae.bn.running_var.view(1, -1, 1, 1)
    if getattr(vae.config, CELLS_FIRST, False):
        mean, variance = (
            item.view(1, 4, -1, 1, 1).transpose(1, 2).flatten(1, 2) for item in (mean, variance)
        )
    return mean.to(like), (variance + vae.config.batch_norm_eps).sqrt().to(like)


def _reciprocal_statistics(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and reciprocal of the standard deviation of each channel, shape (1, channels, 1, 1)."""
    mean: Tensor = vae.bn.running_mean.view(1, -1, 1, 1)
    scale = 1 / torch.sqrt(vae.bn.running_var + vae.config.batch_norm_eps)
    return mean.to(like), scale.view(1, -1, 1, 1).to(like)


# Of the autoencoder's own channels. Source: https://github.com/Comfy-Org/ComfyUI,
# comfy/latent_formats.py, `Flux2`.
_CELL_RGB = (
    (0.0058, 0.0113, 0.0073),
    (0.0495, 0.0443, 0.0836),
    (-0.0099, 0.0096, 0.0644),
    (0.2144, 0.3009, 0.3652),
    (0.0166, -0.0039, -0.0054),
    (0.0157, 0.0103, -0.0160),
    (-0.0398, 0.0902, -0.0235),
    (-0.0052, 0.0095, 0.0109),
    (-0.3527, -0.2712, -0.1666),
    (-0.0301, -0.0356, -0.0180),
    (-0.0107, 0.0078, 0.0013),
    (0.0746, 0.0090, -0.0941),
    (0.0156, 0.0169, 0.0070),
    (-0.0034, -0.0040, -0.0114),
    (0.0032, 0.0181, 0.0080),
    (-0.0939, -0.0008, 0.0186),
    (0.0018, 0.0043, 0.0104),
    (0.0284, 0.0056, -0.0127),
    (-0.0024, -0.0022, -0.0030),
    (0.1207, -0.0026, 0.0065),
    (0.0128, 0.0101, 0.0142),
    (0.0137, -0.0072, -0.0007),
    (0.0095, 0.0092, -0.0059),
    (0.0000, -0.0077, -0.0049),
    (-0.0465, -0.0204, -0.0312),
    (0.0095, 0.0012, -0.0066),
    (0.0290, -0.0034, 0.0025),
    (0.0220, 0.0169, -0.0048),
    (-0.0332, -0.0457, -0.0468),
    (-0.0085, 0.0389, 0.0609),
    (-0.0076, 0.0003, -0.0043),
    (-0.0111, -0.0460, -0.0614),
)

FLUX2_LATENTS = NormalisedPatches(
    "flux2",
    128,
    spatial=16,
    autoencoders=("AutoencoderKLFlux2",),
    files=(FLUX2_VAE,),
    # a patch has the mean color of its four cells, whose channels follow each other
    rgb=tuple((red / 4, green / 4, blue / 4) for red, green, blue in _CELL_RGB for _ in range(4)),
    rgb_bias=(-0.0329, -0.0718, -0.0851),
)


_GUIDANCE_WEIGHT = "time_guidance_embed.guidance_embedder.linear_1.weight"
"""Of models that take the guidance as input: dev, but none of Klein."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["x_embedder.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    return {
        "patch_size": 1,
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0],
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_single_layers": count_of(shapes, r"single_transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["context_embedder.weight"][1],
        "timestep_guidance_channels": shapes[
            "time_guidance_embed.timestep_embedder.linear_1.weight"
        ][1],
        "mlp_ratio": shapes["transformer_blocks.0.ff.linear_out.weight"][1] / width,
        "axes_dims_rope": (head // 4,) * 4,
        "rope_theta": 2000,
        "eps": 1e-6,
        "guidance_embeds": _GUIDANCE_WEIGHT in shapes,
    }


_LAYERS: Table = (
    *DOUBLE_STREAM,
    ("transformer_blocks.*.ff.linear_in", "double_blocks.*.img_mlp.0"),
    ("transformer_blocks.*.ff.linear_out", "double_blocks.*.img_mlp.2"),
    ("transformer_blocks.*.ff_context.linear_in", "double_blocks.*.txt_mlp.0"),
    ("transformer_blocks.*.ff_context.linear_out", "double_blocks.*.txt_mlp.2"),
    ("single_transformer_blocks.*.attn.to_qkv_mlp_proj", "single_blocks.*.linear1"),
    ("single_transformer_blocks.*.attn.to_out", "single_blocks.*.linear2"),
    ("time_guidance_embed.timestep_embedder.linear_1", "time_in.in_layer"),
    ("time_guidance_embed.timestep_embedder.linear_2", "time_in.out_layer"),
    ("time_guidance_embed.guidance_embedder.linear_1", "guidance_in.in_layer"),
    ("time_guidance_embed.guidance_embedder.linear_2", "guidance_in.out_layer"),
    ("double_stream_modulation_img.linear", "double_stream_modulation_img.lin"),
    ("double_stream_modulation_txt.linear", "double_stream_modulation_txt.lin"),
    ("single_stream_modulation.linear", "single_stream_modulation.lin"),
)


def _layout(name: str, title: str, *, takes_guidance: bool) -> FileLayout:
    return denoiser_layout(
        f"{name}-transformer",
        f"the transformer of {title}",
        "Flux2Transformer2DModel",
        marks=(
            ("double_stream_modulation_img.lin.weight", "img_in.weight"),
            ("double_stream_modulation_img.linear.weight", "x_embedder.weight"),
        ),
        names=OriginalNames(_LAYERS, swaps_output=True),
        config=_config,
        scheduler=DYNAMIC_FLOW,
        fits=lambda shapes: (_GUIDANCE_WEIGHT in shapes) == takes_guidance,
    )


FLUX2_FILE = _layout("flux2", "Flux.2", takes_guidance=True)
FLUX2_KLEIN_FILE = _layout("flux2-klein", "Flux.2 Klein", takes_guidance=False)


GUIDANCE = 4.0
"""Scale that guidance-distilled models get where the conditioning says none."""

SYSTEM = (
    "You are an AI that reasons about image descriptions. You give structured responses focusing "
    "on object relationships, object\nattribution and actions without speculation."
)
"""What the language model of dev reads first; the model was trained with it, so each letter
counts, the line break too. Source: ``system_messages.py`` of Black Forest Labs' repository."""

_TOKENS = 512
_MARK = "[IMG]"
"""Stands for an image in what the language model reads; it is shown none."""
_APART = 10
"""Steps in time between an image and the next reference."""


@dataclass(frozen=True)
class Flux2(Family):
    """A transformer led by what three layers of a language model say of a prompt.

    Latents are tokens as they are; images to look at stand beside them, at later times.

    Attributes:
        layers: Of the language model.
    """

    layers: tuple[int, ...] = (10, 20, 30)

    def context_width(self, config: Config) -> int | None:
        return int(config["joint_attention_dim"])

    def tokens(self, shape: Sequence[int]) -> int:
        return int(shape[-2]) * int(shape[-1])

    def chat(self, tokenizer: Any, text: str) -> str:
        """A prompt as the language model is asked."""
        contents = {"system": SYSTEM, "user": text.replace(_MARK, "")}
        messages = [
            {"role": role, "content": [{"type": "text", "text": content}]}
            for role, content in contents.items()
        ]
        prompt: str = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=False
        )
        return prompt

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import layer_states, tokenize_padded

        tokenizer = model.tokenizers["tokenizer"]
        # The template has written what begins a text already.
        chat = self.chat(tokenizer, text)
        tokens = tokenize_padded(tokenizer, chat, _TOKENS, warn, add_special_tokens=False)
        states = layer_states(model.modules["text_encoder"], tokens, self.layers)
        return encoded({"embeddings": torch.cat(states, -1)})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        if model.config["guidance_embeds"]:
            fitted.setdefault("guidance", torch.tensor([GUIDANCE]))
        else:
            fitted.pop("guidance", None)
        check_references(entry.references, self.channels(model.config), request.side)
        return fitted | dict(zip(reference_names(), entry.references, strict=False))

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        references = reference_latents(batch)
        places = torch.cat(
            [_token_positions(item, _APART * at) for at, item in enumerate([x, *references])]
        )
        own = x.shape[-2] * x.shape[-1]
        length = batch["embeddings"].shape[1]
        output: Tensor = model.module(
            hidden_states=torch.cat([_tokens(item) for item in [x, *references]], 1),
            timestep=moment.timestep.expand(len(x)).to(x.dtype) / 1000,
            guidance=batch.get("guidance"),
            encoder_hidden_states=batch["embeddings"],
            txt_ids=_grid(0, 1, 1, length, x.device),
            img_ids=places,
            return_dict=False,
        )[0][:, :own]
        return output.transpose(1, 2).reshape(x.shape)


@dataclass(frozen=True)
class Flux2Klein(Flux2):
    """Led by Qwen 3, and away from an empty prompt unless it was distilled.

    With fixed references, as Klein KV was trained, these have timestep 0, attend to themselves
    alone, and lie before the latent.
    """

    layers: tuple[int, ...] = (9, 18, 27)

    def chat(self, tokenizer: Any, text: str) -> str:
        prompt: str = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        return prompt

    def guides_itself(self, config: Config, settings: Config) -> bool:
        return bool(settings.get("is_distilled"))

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        references = reference_latents(batch)
        if not (references and has_fixed_references(model)):
            return super().predict(model, x, moment, batch)
        _attend_to_kept(model.module)
        store = store_in(batch) or KeyValueStore()
        options: dict[str, Any] = {
            "timestep": moment.timestep.expand(len(x)).to(x.dtype) / 1000,
            "encoder_hidden_states": batch["embeddings"],
            "txt_ids": _grid(0, 1, 1, batch["embeddings"].shape[1], x.device),
            "return_dict": False,
        }
        if store.cache is None:
            places = [_token_positions(item, _APART * at) for at, item in enumerate(references, 1)]
            tokens = torch.cat([_tokens(item) for item in references], 1)
            output, store.cache = model.module(
                hidden_states=torch.cat([tokens, _tokens(x)], 1),
                img_ids=torch.cat([*places, _token_positions(x, 0)]),
                kv_cache_mode="extract",
                num_ref_tokens=tokens.shape[1],
                **options,
            )
            if store.on_host:
                move_layers(store.cache.double_block_caches)
                move_layers(store.cache.single_block_caches)
        else:
            (output,) = model.module(
                hidden_states=_tokens(x),
                img_ids=_token_positions(x, 0),
                kv_cache=store.cache,
                kv_cache_mode="cached",
                **options,
            )
        prediction: Tensor = output.transpose(1, 2).reshape(x.shape)
        return prediction


def _attend_to_kept(network: Any) -> None:
    """Let a network's attention keep keys and values where it is asked to.

    What it computes otherwise stays the same. So others may call it at the same time.
    """
    from diffusers.models.transformers import transformer_flux2 as source

    for blocks, usual, other in (
        (network.transformer_blocks, source.Flux2AttnProcessor, source.Flux2KVAttnProcessor),
        (
            network.single_transformer_blocks,
            source.Flux2ParallelSelfAttnProcessor,
            source.Flux2KVParallelSelfAttnProcessor,
        ),
    ):
        for block in blocks:
            if type(block.attn.processor) is usual:
                block.attn.set_processor(other())


def check_references(references: Sequence[Tensor], channels: int, side: Lead) -> None:
    """Refuse reference images that are no latents of this format.

    Raises:
        InvalidValue: One has another shape; on the port of the side.
    """
    for reference in references:
        if reference.ndim != 4 or reference.shape[1] != channels:
            raise InvalidValue(
                "a reference image has another latent format",
                port=side,
                given=f"a latent of shape {tuple(reference.shape)}",
                expected=f"(1, {channels}, height / 16, width / 16)",
                hint="Encode it with the VAE of the same LoadModel.",
            )


def _tokens(latents: Tensor) -> Tensor:
    return latents.flatten(2).transpose(1, 2)


def _token_positions(latents: Tensor, time: int) -> Tensor:
    return _grid(time, latents.shape[-2], latents.shape[-1], 1, latents.device)


def _grid(time: int, height: int, width: int, length: int, device: torch.device) -> Tensor:
    """Where tokens lie: (time, row, column, place in a text); int64, (tokens, 4)."""
    sides = [torch.arange(side, device=device) for side in (height, width, length)]
    return torch.cartesian_prod(torch.arange(time, time + 1, device=device), *sides)


def _denoisers(file: FileLayout) -> tuple[Part, ...]:
    return (Part("transformer", ("Flux2Transformer2DModel",), files=(file,)),)


_COMMON: dict[str, Any] = {
    "latent": FLUX2_LATENTS,
    "noise": "flow",
    "spread": "ramp",
    "mu": flux2_mu,
    "multiple": 16,
    # a token is a cell, as patches are
    "held": TokenMemory(22, 512, patch=1),
    "joint": False,
    "image_inputs": frozenset({"references"}),
}

FLUX2 = Flux2(
    "flux2",
    "Flux.2",
    pipelines=("Flux2Pipeline",),
    denoisers=_denoisers(FLUX2_FILE),
    encoders=(Part("text_encoder", ("Mistral3ForConditionalGeneration",), files=(MISTRAL3,)),),
    tokenizers=(Part("tokenizer", ("PreTrainedTokenizerFast",), vocabulary="mistral3"),),
    needs_negative=False,
    speedups=ATTENTION_CACHES | LITE | FUSED | {"mag"},
    resolutions={"flux2": Resolutions(1024 * 1024, 16)},
    lora_signs=(
        LoraSign(
            r"_attn_to_qkv_mlp_proj$|^transformer_blocks_\d+_ff(_context)?_linear_(in|out)$"
            r"|_stream_modulation_",
            "Flux.2",
        ),
        DOUBLE_STREAM_SIGN,
        JOINT_ATTENTION_SIGN,
    ),
    comfyui_type="flux2",
    **_COMMON,
)
FLUX2_KLEIN = Flux2Klein(
    "flux2-klein",
    "Flux.2 Klein",
    pipelines=("Flux2KleinPipeline", "Flux2KleinInpaintPipeline", "Flux2KleinKVPipeline"),
    denoisers=_denoisers(FLUX2_KLEIN_FILE),
    encoders=(Part("text_encoder", ("Qwen3ForCausalLM",), files=(QWEN3, QWEN3_GGUF)),),
    tokenizers=(Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="qwen3"),),
    settings={"is_distilled": False, PIPELINE_CLASS: "Flux2KleinPipeline"},
    speedups=ATTENTION_CACHES | LITE | FUSED | {"mag", KEY_VALUES},
    lora_signs=FLUX2.lora_signs,
    comfyui_type="flux2",
    **_COMMON,
)
