"""Stable Audio Open: sounds and music of up to 47 seconds from a text. Imports no torch.

A transformer denoises 21.5 latent frames per second of stereo sound, at any noise level. T5 reads
the text, and a projection model tells the transformer from when to when the sound lasts.

Sources: diffusers, ``pipelines/stable_audio`` and ``models/transformers/
stable_audio_transformer.py``; the names in files, ``scripts/convert_stable_audio.py``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import SECONDS, Config, Family, Part, Warn, encoded
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN, STABLE_AUDIO_SIGN, LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.prompts import MusicPrompt
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
from nodegraph.weights.single_files.language import T5
from nodegraph.weights.single_files.oobleck import oobleck_layout
from nodegraph.weights.single_files.renamed_layouts import PREFIXES, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

CHANNELS = 64
"""Numbers of a latent frame."""
RATE, HOP = 44_100, 2_048
"""Samples per second, and those of a latent frame, of the published model."""
_TOKENS = 128

_TIMES = "times"
"""Tensor of a fitted prompt: both times as the transformer takes them, shape (1, 1, 2 · width)."""
_EDGES = ("start", "end")
_RANGE = "seconds_range"
"""Tensor of a prompt: least and greatest number of seconds, shape (1, 2)."""
_PROJECTION = ("frequencies", "weight", "bias")
"""Tensors of a prompt, behind each of `_EDGES`: what turns its time into an embedding."""


@dataclass(frozen=True)
class StableAudioFormat(LatentFormat):
    """Latents of sound alone, as an image of one channel: a column for each latent frame.

    In this layout, noise has the order of diffusers' pipeline, and masks keep frames.

    Attributes:
        features: Numbers of a latent frame.
    """

    features: int = CHANNELS

    def check_size(self, size: tuple[int, int], title: str) -> None:
        """Refuse latents of images, and of other models for music."""
        if size[1] != self.features:
            raise InvalidValue(
                f"{title} generates sound, and the latent is not one of its sounds",
                port="latent",
                given=f"{size[0]} x {size[1]}",
                expected=f"{self.features} numbers for each latent frame",
                hint="Link an EmptyMusicLatent, and choose this model as its family.",
            )

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        """Refused: the autoencoder encodes sound."""
        raise _no_images("VAEEncodeAudio")

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """Refused: the autoencoder decodes sound."""
        raise _no_images("VAEDecodeAudio")

    def sound_rate(self, modules: Mapping[str, Any]) -> int:
        """See `LatentFormat.sound_rate`."""
        return int(modules["vae"].config.sampling_rate)

    def fits_config(self, config: Config) -> bool:
        """See `LatentFormat.fits_config`."""
        return is_power_of_two(math.prod(config.get("downsampling_ratios") or ()))

    def encode_sound(self, modules: Mapping[str, Any], waveform: Tensor) -> Tensor:
        """See `LatentFormat.encode_sound`."""
        vae = modules["vae"]
        mode: Tensor = vae.encode(waveform.to(vae.dtype)).latent_dist.mode()
        return mode.unsqueeze(1)

    def decode_sound(self, modules: Mapping[str, Any], sound: Tensor) -> tuple[Tensor, int]:
        """See `LatentFormat.decode_sound`."""
        vae = modules["vae"]
        decoded: Tensor = vae.decode(sound[:, 0].to(vae.dtype)).sample
        return decoded.float(), self.sound_rate(modules)


def _no_images(node: str) -> InvalidValue:
    return InvalidValue(
        "the VAE is one for sound, not for images", port="vae", hint=f"Use a {node} instead."
    )


def is_power_of_two(samples: int) -> bool:
    """Whether a latent frame of an Oobleck autoencoder is one of Stable Audio Open."""
    return samples & (samples - 1) == 0


STABLE_AUDIO_LATENTS = StableAudioFormat(
    "stable-audio",
    1,
    spatial=1,
    autoencoders=("AutoencoderOobleck",),
    files=(
        oobleck_layout("stable-audio-vae", "the VAE of Stable Audio Open", RATE, is_power_of_two),
    ),
    is_sound=True,
)
"""Stable Audio Open."""


def sound_frames(seconds: float) -> int:
    """Latent frames of a sound of a length, an even number as the model was trained on."""
    return max(2, 2 * round(seconds * RATE / HOP / 2))


# Files

_HEAD = 64
"""Width of an attention head in the published model, which no tensor shows."""
_NORMS = {"norm1": "pre_norm", "norm2": "cross_attend_norm", "norm3": "ff_norm"}
_BLOCK, _LAYER = "transformer_blocks.*.", "transformer.layers.*."
_LAYERS: Table = (
    ("attn1.{to_q,to_k,to_v}", "self_attn.to_qkv"),
    ("attn1.to_out.0", "self_attn.to_out"),
    ("attn2.to_q", "cross_attn.to_q"),
    ("attn2.{to_k,to_v}", "cross_attn.to_kv"),
    ("attn2.to_out.0", "cross_attn.to_out"),
    ("ff.net.0.proj", "ff.ff.0.proj"),
    ("ff.net.2", "ff.ff.2"),
)


def layer_names(layers: Table) -> Table:
    """Names of the layers of transformer blocks, also as files have them whose names begin with
    ``transformer.`` alone, which is taken for a prefix."""
    begins = (_LAYER, _LAYER.removeprefix("transformer."))
    return tuple(
        (f"{_BLOCK}{ours}", f"{begin}{theirs}") for begin in begins for ours, theirs in layers
    )


_NAMES: Table = (
    *layer_names(_LAYERS),
    *(
        (f"{_BLOCK}{ours}.{part}", f"{_LAYER}{theirs}.{letter}")
        for ours, theirs in _NORMS.items()
        for part, letter in (("weight", "gamma"), ("bias", "beta"))
    ),
    *(
        (f"proj_{end}", f"{prefix}project_{end}")
        for end in ("in", "out")
        for prefix in ("transformer.", "")
    ),
    ("time_proj.weight", "timestep_features.weight"),
    *(
        (f"{ours}.{at}", f"{theirs}.{at}")
        for ours, theirs in (
            ("timestep_proj", "to_timestep_embed"),
            ("global_proj", "to_global_embed"),
            ("cross_attention_proj", "to_cond_embed"),
        )
        for at in (0, 2)
    ),
)


def _transformer_config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["proj_in.weight"]
    context, text = shapes["cross_attention_proj.0.weight"]
    return {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0],
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "attention_head_dim": _HEAD,
        "num_attention_heads": width // _HEAD,
        "num_key_value_attention_heads": shapes["transformer_blocks.0.attn2.to_k.weight"][0]
        // _HEAD,
        "cross_attention_dim": context,
        "cross_attention_input_dim": text,
        "time_proj_dim": shapes["timestep_proj.0.weight"][1],
        "global_states_input_dim": shapes["global_proj.0.weight"][1],
    }


_SCHEDULER: Config = {
    "_class_name": "CosineDPMSolverMultistepScheduler",
    "num_train_timesteps": 1000,
    "sigma_min": 0.3,
    "sigma_max": 500.0,
    "prediction_type": "v_prediction",
}
_RENAMED = denoiser_layout(
    "stable-audio-transformer",
    "the transformer of Stable Audio Open",
    "StableAudioDiTModel",
    marks=(
        ("to_cond_embed.0.weight", "timestep_features.weight"),
        ("cross_attention_proj.0.weight", "time_proj.weight"),
    ),
    names=OriginalNames(_NAMES),
    config=_transformer_config,
    scheduler=_SCHEDULER,
    unused=("transformer.rotary_pos_emb.",),
)


def _convert(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    converted = _RENAMED.convert(tensors, config)
    # The original has a column of frequencies.
    return {**converted, "time_proj.weight": converted["time_proj.weight"].flatten()}


_TRANSFORMER = replace(_RENAMED, convert=_convert, prefixes=("model.model.", *PREFIXES))

_CONDITIONERS = "conditioner.conditioners."
_TIMED = ("seconds_start", "seconds_total")
_NUMBER_NAMES = (
    (r"^conditioner\.conditioners\.", ""),
    (r"^seconds_start\.", "start_number_conditioner."),
    (r"^seconds_total\.", "end_number_conditioner."),
    (r"\.embedder\.embedding\.", ".time_positional_embedding."),
)


def _number_name(name: str) -> str:
    for pattern, plain in _NUMBER_NAMES:
        name = re.sub(pattern, plain, name)
    return name


def _projection_config(shapes: Shapes) -> dict[str, Any]:
    width = shapes[f"{_CONDITIONERS}seconds_start.embedder.embedding.1.weight"][0]
    return {
        "text_encoder_dim": width,
        "conditioning_dim": width,
        "min_value": 0,
        "max_value": 512,
    }


_PROJECTION_FILE = FileLayout(
    "stable-audio-projection",
    "the conditioners of Stable Audio Open",
    "StableAudioProjectionModel",
    lambda shapes: (
        {f"{_CONDITIONERS}{name}.embedder.embedding.1.weight" for name in _TIMED} <= {*shapes}
    ),
    _projection_config,
    lambda tensors, config: {
        _number_name(name): item for name, item in tensors.items() if name.startswith(_CONDITIONERS)
    },
    beginnings=(_CONDITIONERS,),
)
_TIED = "encoder.embed_tokens.weight"
_GATE = "encoder.block.0.layer.1.DenseReluDense.wi.weight"


def _t5_config(shapes: Shapes) -> dict[str, Any]:
    gated = {**shapes, _GATE.replace(".wi.", ".wi_0."): shapes[_GATE]}
    return {**T5.config(gated), "feed_forward_proj": "relu", "tie_word_embeddings": True}


_T5_BASE = replace(
    T5,
    name="t5-base",
    title="T5 Base",
    matches=lambda shapes: _GATE in shapes and ("shared.weight" in shapes or _TIED in shapes),
    config=_t5_config,
    prefixes=("text_encoders.t5base.transformer.", "t5base.transformer.", "t5base.", ""),
)
"""T5 of version 1, whose layers have no gate."""


def check_no_sound(title: str, source: Tensor | None, reference: Tensor | None) -> None:
    """Refuse latents of sounds beside a prompt.

    Args:
        title: Of the family.
    Raises:
        InvalidValue: There are some; on port ``source`` or ``reference``.
    """
    if source is not None or reference is not None:
        raise InvalidValue(
            f"{title} edits no sound",
            port="source" if source is not None else "reference",
            hint="Sample the latent of the sound with a denoise below 1.",
        )


def check_tags_alone(
    title: str,
    prompt: MusicPrompt,
    source: Tensor | None,
    reference: Tensor | None,
    warn: Warn | None,
) -> None:
    """Check a prompt of a family that reads tags alone: warn of lyrics, and refuse sounds.

    Errors are those of `check_no_sound`.
    """
    check_no_sound(title, source, reference)
    if prompt.lyrics.strip() and warn is not None:
        warn(f"{title} reads no lyrics")


class StableAudio(Family):
    """A transformer of latent frames that attends to a text and two times.

    Without a negative prompt, guidance goes from zeros, as in diffusers' pipeline.
    """

    def channels(self, config: Config) -> int:
        return self.latent.channels

    def trained_size(self, config: Config) -> tuple[int, int]:
        return int(config.get("sample_size") or 1024), CHANNELS

    def context_width(self, config: Config) -> int | None:
        return int(config["cross_attention_input_dim"])

    def step_memory(self, config: Config) -> StepMemory:
        heads = int(config.get("num_attention_heads", 24))
        width = heads * int(config.get("attention_head_dim", 64))
        held = 16 * width
        return StepMemory(held / CHANNELS, held * _TOKENS, 1 / CHANNELS)

    def tokens(self, shape: Sequence[int]) -> int:
        return int(shape[-1])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self._encoded(model, text, None, warn)

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
        return self._encoded(model, prompt.tags, prompt.seconds, warn)

    def _encoded(
        self, model: TextModel, text: str, seconds: float | None, warn: Warn | None
    ) -> ConditioningEntry:
        """Encode a text.

        Args:
            seconds: Where the sound ends; None for the end of the latent.
        """
        from nodegraph.families.text_encoders import tokenize_padded

        tokenizer, projection = model.tokenizers["tokenizer"], model.modules["projection_model"]
        encoder = model.modules["text_encoder"]
        length = min(int(tokenizer.model_max_length), _TOKENS)
        tokens = tokenize_padded(tokenizer, text, length, warn)
        mask = tokens["attention_mask"].to(encoder.device)
        states = encoder(tokens["input_ids"].to(encoder.device), attention_mask=mask)[0]
        states = projection(text_hidden_states=states.to(projection.device)).text_hidden_states
        states = states * mask.to(states.device)[..., None].to(states.dtype)
        return _entry(model, states, seconds)

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        width = int(model.modules["projection_model"].config.conditioning_dim)
        length = min(int(model.tokenizers["tokenizer"].model_max_length), _TOKENS)
        return _entry(model, torch.zeros(1, length, width), None)

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        times = [_embedded(fitted, edge, model.dtype, request.shape[-1]) for edge in _EDGES]
        text = fitted["embeddings"]
        context = torch.cat([text, *times], 1)
        # Zeros stand for no prompt, its times included.
        return {
            "embeddings": context if bool(text.any()) else torch.zeros_like(context),
            _TIMES: torch.cat(times, 2),
        }

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        from diffusers.models.embeddings import get_1d_rotary_pos_embed

        level = torch.tensor([moment.sigma], dtype=torch.float32).atan() / math.pi * 2
        positions = get_1d_rotary_pos_embed(
            int(model.config["attention_head_dim"]) // 2,
            x.shape[-1] + 1,
            use_real=True,
            repeat_interleave_real=False,
        )
        output: Tensor = model.module(
            x[:, 0],
            level.to(x.device),
            encoder_hidden_states=batch["embeddings"],
            global_hidden_states=batch[_TIMES],
            rotary_embedding=tuple(item.to(x.device) for item in positions),
            return_dict=False,
        )[0]
        return output.unsqueeze(1)


def _entry(model: TextModel, states: Tensor, seconds: float | None) -> ConditioningEntry:
    """A prompt, with what turns seconds into embeddings: the length of a sound that no node stated
    is known when it is sampled."""
    projection = model.modules["projection_model"]
    limits = projection.config.min_value, projection.config.max_value
    tensors = {"embeddings": states, _RANGE: torch.tensor([limits])}
    if seconds is not None:
        tensors[SECONDS] = torch.tensor([[0.0, seconds]])
    for edge in _EDGES:
        layers = getattr(projection, f"{edge}_number_conditioner").time_positional_embedding
        parts = layers[0].weights, layers[1].weight, layers[1].bias
        tensors |= {f"{edge}_{name}": item for name, item in zip(_PROJECTION, parts, strict=True)}
    return encoded({name: item.detach().to("cpu", torch.float32) for name, item in tensors.items()})


def _embedded(tensors: Mapping[str, Tensor], edge: str, dtype: Any, frames: int) -> Tensor:
    """The embedding of when a sound starts or ends, shape (1, 1, width).

    Args:
        frames: Latent frames of the sound, for a prompt without times.
    Source: diffusers, ``StableAudioNumberConditioner``.
    """
    frequencies, weight, bias = (tensors[f"{edge}_{name}"].to(dtype) for name in _PROJECTION)
    known = tensors.get(SECONDS)
    ends = (0.0, frames * HOP / RATE) if known is None else known[0].tolist()
    low, high = tensors[_RANGE][0].tolist()
    seconds = torch.tensor([ends[_EDGES.index(edge)]]).clamp(low, high)
    times = ((seconds - low) / (high - low)).to(dtype)[..., None]
    turns = times * frequencies[None] * 2 * math.pi
    features = torch.cat((times, turns.sin(), turns.cos()), -1)
    embedding: Tensor = torch.nn.functional.linear(features, weight, bias)
    return embedding.view(1, 1, -1)


STABLE_AUDIO = StableAudio(
    "stable-audio",
    "Stable Audio Open",
    latent=STABLE_AUDIO_LATENTS,
    pipelines=("StableAudioPipeline",),
    denoisers=(Part("transformer", ("StableAudioDiTModel",), files=(_TRANSFORMER,)),),
    encoders=(
        Part("text_encoder", ("T5EncoderModel",), files=(_T5_BASE,)),
        Part("projection_model", ("StableAudioProjectionModel",), files=(_PROJECTION_FILE,)),
    ),
    tokenizers=(Part("tokenizer", ("T5Tokenizer",), vocabulary="t5"),),
    multiple=1,
    speedups=frozenset(),
    perturbs_attention=False,
    skips_blocks=False,
    lora_signs=(
        LoraSign(r"^(timestep|global|cross_attention)_proj_[02]$", "Stable Audio Open"),
        STABLE_AUDIO_SIGN,
        CROSS_ATTENTION_SIGN,
    ),
    comfyui_type="stable_audio",
)
