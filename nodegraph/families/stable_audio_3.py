"""Stable Audio 3: sounds and music of up to six minutes from a text. Imports no torch.

A flow transformer denoises 10.8 latent frames per second of stereo sound. T5Gemma reads the text,
and an embedding of the length follows it.

Source: diffusers, ``pipelines/stable_audio_3``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import SECONDS, Config, Family, Part, Warn, encoded
from nodegraph.families.layer_names import STABLE_AUDIO_SIGN, LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.prompts import MusicPrompt
from nodegraph.families.stable_audio import StableAudioFormat, check_tags_alone, layer_names
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import StepMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import (
    FileLayout,
    OriginalNames,
    Table,
    Tensors,
    count_of,
)
from nodegraph.weights.single_files.renamed_layouts import (
    EULER_FLOW,
    denoiser_layout,
    renamed_layout,
)

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

CHANNELS = 256
"""Numbers of a latent frame."""
RATE, HOP = 44_100, 4_096
"""Samples per second, and those of a latent frame, of the published models."""
_TOKENS = 256

_MASK = "mask"
"""Tensor of a prompt: 1 for tokens of the text and 0 for padding, shape (1, tokens)."""
_RANGE = "seconds_range"
"""Tensor of a prompt: least and greatest length, shape (1, 2)."""
_LENGTH = "length"
"""Tensor of a fitted prompt: the length as the transformer takes it, shape (1, width)."""
_PROJECTION = ("frequencies", "weight", "bias")
"""Tensors of a prompt: what turns a length into an embedding."""


@dataclass(frozen=True)
class StableAudio3Format(StableAudioFormat):
    """Latents of the SAME autoencoder, which are not drawn but computed."""

    def fits_config(self, config: Config) -> bool:
        """See `LatentFormat.fits_config`."""
        return True

    def encode_sound(self, modules: Mapping[str, Any], waveform: Tensor) -> Tensor:
        """See `LatentFormat.encode_sound`; silence fills the last latent frame."""
        vae = modules["vae"]
        missing = -waveform.shape[-1] % int(vae.downsampling_ratio)
        filled = torch.nn.functional.pad(waveform.to(vae.dtype), (0, missing))
        latents: Tensor = vae.encode(filled).latents
        return latents.unsqueeze(1)

    def decode_sound(self, modules: Mapping[str, Any], sound: Tensor) -> tuple[Tensor, int]:
        """See `LatentFormat.decode_sound`."""
        decoded, rate = super().decode_sound(modules, sound)
        return decoded.clamp(-1.0, 1.0), rate


STABLE_AUDIO_3_LATENTS = StableAudio3Format(
    "stable-audio-3",
    1,
    spatial=1,
    autoencoders=("AutoencoderSAME",),
    is_sound=True,
    features=CHANNELS,
)
"""Stable Audio 3."""


def sound_frames_3(seconds: float) -> int:
    """Latent frames of a sound of a length; at least one."""
    return max(1, math.ceil(seconds * RATE / HOP))


# The published file. Its VAE is not read, and T5Gemma has a folder.

_BLOCK, _LAYER = "transformer_blocks.*.", "transformer.layers.*."
_LAYERS: Table = (
    *((name, name) for name in ("self_attn.to_qkv", "self_attn.to_out")),
    *((name, name) for name in ("cross_attn.to_q", "cross_attn.to_kv", "cross_attn.to_out")),
    *((name, name) for name in ("to_local_embed.0", "to_local_embed.2")),
    ("ff.proj_in", "ff.ff.0.proj"),
    ("ff.proj_out", "ff.ff.2"),
)
_TENSORS = (
    *(f"{norm}.gamma" for norm in ("pre_norm", "cross_attend_norm", "ff_norm")),
    *(f"{part}_attn.{norm}.gamma" for part in ("self", "cross") for norm in ("q_norm", "k_norm")),
    "to_scale_shift_gate",
)
_NAMES: Table = (
    *layer_names(_LAYERS),
    *((f"{_BLOCK}{name}", f"{_LAYER}{name}") for name in _TENSORS),
    *(
        (f"proj_{end}", f"{prefix}project_{end}")
        for end in ("in", "out")
        for prefix in ("transformer.", "")
    ),
    *(
        (name, f"transformer.{name}")
        for name in ("global_cond_embedder.0", "global_cond_embedder.2", "memory_tokens")
    ),
    ("rotary_pos_emb.inv_freq", "transformer.rotary_pos_emb.inv_freq"),
)
_PADDING = "conditioner.conditioners.prompt.padding_embedding"
"""What stands for padding of the text, which diffusers has in the transformer."""


def _transformer_config(shapes: Shapes) -> dict[str, Any]:
    width, features = shapes["to_timestep_embed.0.weight"]
    block = "transformer_blocks.0."
    return {
        "io_channels": shapes["preprocess_conv.weight"][0],
        "embed_dim": width,
        "depth": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_heads": width // shapes[f"{block}self_attn.q_norm.gamma"][0],
        "cond_token_dim": shapes["to_cond_embed.0.weight"][1],
        "global_cond_dim": shapes["to_global_embed.0.weight"][1],
        "local_add_cond_dim": shapes[f"{block}to_local_embed.0.weight"][1],
        "timestep_features_dim": features,
        "ff_mult": shapes[f"{block}ff.proj_out.weight"][1] / width,
        "num_memory_tokens": shapes["memory_tokens"][0],
        "use_differential_attention": shapes[f"{block}self_attn.to_qkv.weight"][0] == 5 * width,
    }


_TRANSFORMER = denoiser_layout(
    "stable-audio-3-transformer",
    "the transformer of Stable Audio 3",
    "StableAudio3DiTModel",
    marks=tuple(
        (
            "to_cond_embed.0.weight",
            f"{prefix}global_cond_embedder.0.weight",
            f"{prefix}memory_tokens",
        )
        for prefix in ("transformer.", "")
    ),
    names=OriginalNames(
        _NAMES,
        # Queries, keys and values of the first attention stand before those of the second there.
        reordered=(("self_attn.to_qkv", (0, 3, 1, 4, 2)),),
    ),
    config=_transformer_config,
    scheduler={**EULER_FLOW, "num_train_timesteps": 1, "shift": 1.0},
)
_WHOLE = replace(
    renamed_layout(
        "stable-audio-3-file",
        _TRANSFORMER,
        ((r"model\.model\.", ""), (re.escape(_PADDING), "prompt_padding_embedding")),
    ),
    beginnings=("model.model.", _PADDING),
    marks=tuple(tuple(f"model.model.{name}" for name in group) for group in _TRANSFORMER.marks),
)
"""Source: diffusers, ``scripts/convert_stable_audio_3_to_diffusers.py``."""

_CONDITIONER = "conditioner.conditioners.seconds_total."
_LINEAR = f"{_CONDITIONER}embedder.embedding.1."
_LOWEST, _HIGHEST = 0.5, 10_000.0
"""Frequencies of the features of a length."""


def _convert_length(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    """The weights of the embedder, and its frequencies as its class computes them."""
    ramp = torch.linspace(0.0, 1.0, config["fourier_dim"] // 2)
    low, high = math.log(_LOWEST), math.log(_HIGHEST)
    return {
        "freqs": torch.exp(ramp * (high - low) + low),
        **{f"linear.{name}": tensors[f"{_LINEAR}{name}"] for name in ("weight", "bias")},
    }


_LENGTH_FILE = FileLayout(
    "stable-audio-3-length",
    "the length conditioner of Stable Audio 3",
    "StableAudio3DurationEmbedder",
    # Stable Audio Open has learned frequencies.
    lambda shapes: (
        f"{_LINEAR}weight" in shapes and f"{_CONDITIONER}embedder.embedding.0.weights" not in shapes
    ),
    lambda shapes: dict(
        zip(("output_dim", "fourier_dim"), shapes[f"{_LINEAR}weight"], strict=True)
    ),
    _convert_length,
    beginnings=(_CONDITIONER,),
)
"""Source: diffusers, ``scripts/convert_stable_audio_3_to_diffusers.py``."""


class StableAudio3(Family):
    """A flow transformer of latent frames that attends to a text and the length."""

    def channels(self, config: Config) -> int:
        return self.latent.channels

    def trained_size(self, config: Config) -> tuple[int, int]:
        return sound_frames_3(60), CHANNELS

    def context_width(self, config: Config) -> int | None:
        return int(config["cond_token_dim"])

    def step_memory(self, config: Config) -> StepMemory:
        held = 16 * int(config.get("embed_dim", 1536))
        return StepMemory(held / CHANNELS, held * _TOKENS, 1 / CHANNELS)

    def tokens(self, shape: Sequence[int]) -> int:
        return int(shape[-1])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return _encoded(model, text, None, warn)

    def encode_music(
        self,
        model: TextModel,
        prompt: MusicPrompt,
        warn: Warn | None = None,
        source: Tensor | None = None,
        reference: Tensor | None = None,
        silence: Tensor | None = None,
    ) -> ConditioningEntry:
        """See `Family.encode_music`; the model reads tags and the length alone."""
        check_tags_alone(self.title, prompt, source, reference, warn)
        return _encoded(model, prompt.tags, prompt.seconds, warn)

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        length = _embedded(fitted, model.dtype, request.shape[-1])
        text, mask = fitted["embeddings"], fitted[_MASK]
        return {
            "embeddings": torch.cat([text, length.unsqueeze(1).to(text.dtype)], 1),
            _MASK: torch.cat([mask, mask.new_ones(1, 1)], 1),
            _LENGTH: length,
        }

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        # The timestep divided by their number would round the level, which diffusers uses as it is.
        level = torch.full((len(x),), moment.sigma, dtype=torch.float32, device=x.device)
        output: Tensor = model.module(
            x[:, 0],
            level,
            encoder_hidden_states=batch["embeddings"],
            global_hidden_states=batch[_LENGTH],
            encoder_attention_mask=batch[_MASK],
            return_dict=False,
        )[0]
        return output.unsqueeze(1)


def _encoded(
    model: TextModel, text: str, seconds: float | None, warn: Warn | None
) -> ConditioningEntry:
    """Encode a text.

    Args:
        seconds: Length of the sound; None for that of the latent.
    """
    from nodegraph.families.text_encoders import tokenize_padded

    tokenizer, encoder = model.tokenizers["tokenizer"], model.modules["text_encoder"]
    embedder = model.modules["duration_embedder"]
    length = min(int(tokenizer.model_max_length), _TOKENS)
    tokens = tokenize_padded(tokenizer, text, length, warn)
    mask = tokens["attention_mask"]
    states = encoder(
        tokens["input_ids"].to(encoder.device), attention_mask=mask.to(encoder.device)
    )[0]
    limits = embedder.config.min_val, embedder.config.max_val
    tensors = {"embeddings": states, _MASK: mask, _RANGE: torch.tensor([limits])}
    if seconds is not None:
        tensors[SECONDS] = torch.tensor([[0.0, seconds]])
    parts = embedder.freqs[None], embedder.linear.weight, embedder.linear.bias
    tensors |= dict(zip(_PROJECTION, parts, strict=True))
    return encoded({name: item.detach().to("cpu", torch.float32) for name, item in tensors.items()})


def _embedded(tensors: Mapping[str, Tensor], dtype: Any, frames: int) -> Tensor:
    """The embedding of a length, shape (1, width).

    Args:
        frames: Latent frames of the sound, for a prompt without a length.
    Source: diffusers, ``StableAudio3DurationEmbedder``.
    """
    frequencies, weight, bias = (tensors[name] for name in _PROJECTION)
    low, high = tensors[_RANGE][0].tolist()
    known = tensors.get(SECONDS)
    seconds = torch.tensor([frames * HOP / RATE]) if known is None else known[:, 1]
    share = ((seconds.clamp(low, high) - low) / (high - low)).reshape(-1, 1)
    turns = share * frequencies * 2.0 * math.pi
    features = torch.cat([turns.cos(), turns.sin()], -1).to(dtype)
    return torch.nn.functional.linear(features, weight.to(dtype), bias.to(dtype))


STABLE_AUDIO_3 = StableAudio3(
    "stable-audio-3",
    "Stable Audio 3",
    latent=STABLE_AUDIO_3_LATENTS,
    pipelines=(
        "StableAudio3Pipeline",
        "StableAudio3AudioToAudioPipeline",
        "StableAudio3InpaintPipeline",
    ),
    denoisers=(Part("transformer", ("StableAudio3DiTModel",), files=(_WHOLE, _TRANSFORMER)),),
    encoders=(
        Part("text_encoder", ("T5GemmaEncoderModel",)),
        Part("duration_embedder", ("StableAudio3DurationEmbedder",), files=(_LENGTH_FILE,)),
    ),
    tokenizers=(Part("tokenizer", ("GemmaTokenizer",)),),
    noise="flow",
    # The pipeline passes its own levels, which no shift changes.
    scheduler={"num_train_timesteps": 1000, "shift": 1.0},
    published_scheduler={"num_train_timesteps": 1},
    spread="logsnr",
    multiple=1,
    positive_first=False,
    speedups=frozenset(),
    perturbs_attention=False,
    skips_blocks=False,
    lora_signs=(
        LoraSign(
            r"^transformer_blocks_\d+_(self|cross)_attn_to_|^(transformer_)?global_cond_embedder_"
            r"|^(transformer_blocks|(transformer_)?layers)_\d+_to_local_embed_",
            "Stable Audio 3",
        ),
        STABLE_AUDIO_SIGN,
    ),
    comfyui_type="stable_audio",
)
