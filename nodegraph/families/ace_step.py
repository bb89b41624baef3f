"""ACE-Step 1.5: music from tags and lyrics. Imports no torch.

A transformer denoises 25 latent frames per second of stereo sound. Qwen3-Embedding reads the tags,
and a condition encoder turns them, the lyrics and the timbre of a reference into one sequence.

Sources: diffusers, ``pipelines/ace_step`` and ``models/transformers/ace_step_transformer.py``, by
the ACE-Step team.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.ace_step_files import (
    CONDITIONS,
    DETOKENIZER,
    SILENT_FRAMES,
    TEXT_ENCODER,
    TOKENIZER,
    TRANSFORMER,
    VAE,
    is_ace_step_length,
)
from nodegraph.families.base import (
    GENERATED_FRAMES,
    NULL_EMBEDDING,
    SILENCE,
    SOURCE_SOUND,
    Config,
    Family,
    Part,
    Warn,
    encoded,
)
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.prompts import MusicPrompt
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import StepMemory

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

FEATURES = 64
"""Numbers of a latent frame."""
FRAMES_PER_SECOND = 25
"""Latent frames per second of the published models."""

_SILENT_FRAMES = 64
"""Of the silence that the VAE encodes."""

_CONTEXT = "context"
"""Tensor of a fitted prompt: the latents to start from and which frames are generated, shape
(1, frames, 128)."""

_TEXT_TOKENS, _LYRIC_TOKENS = 256, 2048
_TIMBRE_SECONDS = 30
_TEMPLATE = "# Instruction\n{}\n\n# Caption\n{}\n\n# Metas\n{}<|endoftext|>\n"
_LYRIC_TEMPLATE = "# Languages\n{}\n\n# Lyric\n{}<|endoftext|>"
"""Texts that the model was trained with, so each letter counts. Source: diffusers' pipeline."""
_INSTRUCTIONS: Mapping[str, tuple[str, str]] = {
    task: (alone, named)
    for task, alone, named in (
        ("text2music", "Fill the audio semantic mask based on the given conditions:", ""),
        ("repaint", "Repaint the mask area based on the given conditions:", ""),
        ("cover", "Generate audio semantic tokens based on the given conditions:", ""),
        ("extract", "Extract the track from the audio:", "Extract the {} track from the audio:"),
        (
            "lego",
            "Generate the track based on the audio context:",
            "Generate the {} track based on the audio context:",
        ),
        ("complete", "Complete the input track:", "Complete the input track with {}:"),
    )
}
"""By task: the instruction, and that with the name of a track. Source: diffusers' pipeline."""

_OPEN = "N/A"
"""What an entry that is up to the model reads as."""

_LOUDNESS = 10.0 ** (-1.0 / 20.0)
"""Peak of the decoded sound, -1 dBFS."""


@dataclass(frozen=True)
class AceStepFormat(LatentFormat):
    """Latents of sound alone, as an image of one channel: a row for each latent frame.

    In this layout, noise has the order of diffusers' pipeline, and masks keep frames.
    """

    def check_size(self, size: tuple[int, int], title: str) -> None:
        """Refuse latents of images."""
        if size[0] != FEATURES:
            raise InvalidValue(
                f"{title} generates music, and the latent is not one of music",
                port="latent",
                given=f"{size[0]} x {size[1]}",
                expected=f"{FEATURES} numbers for each latent frame",
                hint="Link an EmptyMusicLatent.",
            )

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        """Refused: the autoencoder encodes sound."""
        raise self._no_images("VAEEncodeAudio")

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """Refused: the autoencoder decodes sound."""
        raise self._no_images("VAEDecodeAudio")

    def _no_images(self, node: str) -> InvalidValue:
        return InvalidValue(
            "the VAE is one for sound, not for images", port="vae", hint=f"Use a {node} instead."
        )

    def sound_rate(self, modules: Mapping[str, Any]) -> int:
        """See `LatentFormat.sound_rate`."""
        return int(modules["vae"].config.sampling_rate)

    def silent_samples(self, modules: Mapping[str, Any]) -> int:
        """See `LatentFormat.silent_samples`; the VAE sees about ten latent frames to each side."""
        return _SILENT_FRAMES * int(modules["vae"].hop_length)

    def fits_config(self, config: Mapping[str, Any]) -> bool:
        """See `LatentFormat.fits_config`."""
        return is_ace_step_length(math.prod(config.get("downsampling_ratios") or ()))

    def reference_part(self, waveform: Tensor, rate: int) -> Tensor:
        """Half a minute: ten seconds each of the start, the middle and the end. A shorter reference
        is repeated."""
        whole, part = _TIMBRE_SECONDS * rate, _TIMBRE_SECONDS * rate // 3
        if waveform.shape[-1] < whole:
            waveform = waveform.repeat(1, math.ceil(whole / waveform.shape[-1]))
        length = waveform.shape[-1]
        starts = (0, length // 3, length - part)
        return torch.cat([waveform[:, start : start + part] for start in starts], -1)

    def encode_sound(self, modules: Mapping[str, Any], waveform: Tensor) -> Tensor:
        """See `LatentFormat.encode_sound`."""
        vae = modules["vae"]
        if waveform.shape[-1] < vae.hop_length:
            raise InvalidValue(
                "the audio is shorter than a latent frame of the VAE",
                port="audio",
                given=f"{waveform.shape[-1]} samples",
                expected=f"{vae.hop_length} samples or more at {vae.config.sampling_rate} Hz",
            )
        mode: Tensor = vae.encode(waveform.to(vae.dtype)).latent_dist.mode()
        return mode.transpose(1, 2).unsqueeze(1)

    def decode_sound(self, modules: Mapping[str, Any], sound: Tensor) -> tuple[Tensor, int]:
        """See `LatentFormat.decode_sound`; the peak of the sound becomes -1 dBFS."""
        vae = modules["vae"]
        decoded = vae.decode(sound[:, 0].transpose(1, 2).to(vae.dtype)).sample.float()
        # in two steps as the pipeline does, which makes the bits equal
        decoded = decoded / decoded.abs().amax(dim=[1, 2], keepdim=True).clamp(min=1.0)
        peak = decoded.abs().amax(dim=[1, 2], keepdim=True).clamp(min=1e-6)
        return decoded * (_LOUDNESS / peak), self.sound_rate(modules)


ACE_STEP_LATENTS = AceStepFormat(
    "ace-step",
    1,
    spatial=1,
    autoencoders=("AutoencoderOobleck",),
    files=(VAE,),
    is_sound=True,
)
"""ACE-Step 1.5."""


def music_frames(seconds: float) -> int:
    """Latent frames of music of a length; at least one."""
    return max(1, math.ceil(seconds * FRAMES_PER_SECOND))


def _instruction(prompt: MusicPrompt) -> str:
    alone, named = _INSTRUCTIONS[prompt.task]
    tracks = [name.strip().upper() for name in prompt.track.split(",") if name.strip()]
    return named.format(" | ".join(tracks)) if named and tracks else alone


def _metadata(prompt: MusicPrompt) -> str:
    """The lines that state bpm, time signature, key and length."""
    signature, key = (
        item if item.strip() else _OPEN for item in (prompt.time_signature, prompt.key)
    )
    return (
        f"- bpm: {prompt.bpm or _OPEN}\n- timesignature: {signature}\n- keyscale: {key}\n"
        f"- duration: {int(prompt.seconds)} seconds\n"
    )


class AceStep(Family):
    """A transformer of latent frames that attends to tags, lyrics and timbre.

    `cfg` is adaptive projected guidance with the scale of diffusers' pipeline. It goes from a
    learned embedding of no prompt to the prompt.
    """

    def channels(self, config: Config) -> int:
        return self.latent.channels

    def trained_size(self, config: Config) -> tuple[int, int]:
        return FEATURES, music_frames(60)

    def context_width(self, config: Config) -> int | None:
        return int(config.get("encoder_hidden_size") or config["hidden_size"])

    def step_memory(self, config: Config) -> StepMemory:
        width, patch = int(config.get("hidden_size", 2048)), int(config.get("patch_size", 2))
        held = 16 * width
        return StepMemory(held / (FEATURES * patch), held * 512, 1 / (FEATURES * patch))

    def tokens(self, shape: Sequence[int]) -> int:
        return int(shape[-2])

    def guides_itself(self, config: Config, settings: Config) -> bool:
        return bool(config.get("is_turbo")) or config.get("model_version") == "turbo"

    def guider_config(
        self, model: Denoiser, prompts: Sequence[Mapping[str, Tensor]]
    ) -> Config | None:
        return {
            "_class_name": "AdaptiveProjectedGuidance",
            "adaptive_projected_guidance_momentum": -0.75,
            "adaptive_projected_guidance_rescale": 2.5,
            # the frames; in the pipeline's layout, this is dimension 1
            "adaptive_projected_guidance_norm_dim": 2,
            "eta": 0.0,
            "use_original_formulation": True,
        }

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_music(model, MusicPrompt(text), warn)

    def encode_music(
        self,
        model: TextModel,
        prompt: MusicPrompt,
        warn: Warn | None = None,
        source: Tensor | None = None,
        reference: Tensor | None = None,
        silence: Tensor | None = None,
    ) -> ConditioningEntry:
        """See `Family.encode_music`."""
        encoder, conditions = model.modules["text_encoder"], model.modules["condition_encoder"]
        tags = _TEMPLATE.format(_instruction(prompt), prompt.tags, _metadata(prompt))
        lyrics = _LYRIC_TEMPLATE.format(prompt.language, prompt.lyrics)
        tag_ids = _tokens(model, tags, _TEXT_TOKENS, warn)
        lyric_ids = _tokens(model, lyrics, _LYRIC_TOKENS, warn)
        states = encoder.base_model(input_ids=tag_ids).last_hidden_state
        words = encoder.get_input_embeddings()(lyric_ids)
        silent = _silence(model, silence)
        timbre = silent[:, : _TIMBRE_SECONDS * FRAMES_PER_SECOND]
        if reference is not None:
            timbre = reference[:, 0].to(silent.device)
        device, dtype = conditions.device, conditions.dtype
        embeddings, _ = conditions(
            text_hidden_states=states.to(device, dtype),
            text_attention_mask=torch.ones_like(tag_ids, dtype=torch.bool, device=device),
            lyric_hidden_states=words.to(device, dtype),
            lyric_attention_mask=torch.ones_like(lyric_ids, dtype=torch.bool, device=device),
            refer_audio_acoustic_hidden_states_packed=timbre.to(dtype),
            refer_audio_order_mask=torch.zeros(1, dtype=torch.long, device=device),
        )
        edited = _source_tensors(model, prompt, source, silent)
        return _entry(model, embeddings, {SILENCE: silent, **edited})

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        conditions = model.modules["condition_encoder"]
        known = {SILENCE: conditions.silence_latent} if _has_silence(model) else {}
        return _entry(model, conditions.null_condition_emb, known)

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        frames = request.shape[-2]
        silence, null = fitted.pop(SILENCE), fitted.pop(NULL_EMBEDDING)
        if not fitted["embeddings"].any():
            fitted["embeddings"] = null  # of ZeroOutConditioning
        source, generated = fitted.pop(SOURCE_SOUND, None), fitted.pop(GENERATED_FRAMES, None)
        if source is None or generated is None:
            source = _tiled(silence, frames)
            generated = torch.ones(1, frames, 1)
        if source.shape[1] != frames:
            raise InvalidValue(
                "the source of the prompt is not as long as the latent",
                port=request.side,
                given=f"{source.shape[1]} latent frames",
                expected=f"{frames} latent frames",
                hint="Sample the latent of the source, from VAEEncodeAudio.",
            )
        return {**fitted, _CONTEXT: torch.cat([source, generated.expand_as(source)], -1)}

    def groups(self, prompts: Sequence[Mapping[str, Tensor]]) -> list[list[int]]:
        """A prompt of one token is the same in every length, so it joins the others."""
        lengths = {prompt["embeddings"].shape[1] for prompt in prompts} - {1}
        if len(lengths) > 1:
            return [[index] for index in range(len(prompts))]
        return [[*range(len(prompts))]]

    def join(self, prompts: Sequence[Mapping[str, Tensor]], batch: int) -> Batch:
        length = max(prompt["embeddings"].shape[1] for prompt in prompts)
        widened = [
            {**prompt, "embeddings": prompt["embeddings"].expand(-1, length, -1)}
            for prompt in prompts
        ]
        return super().join(widened, batch)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        # Dividing the timestep would round the level, which the pipeline uses as it is.
        level = moment.timestep / moment.training_timesteps
        if moment.sigma:
            level = torch.full_like(level, moment.sigma)
        timestep = level.expand(len(x)).to(x.device, x.dtype)
        output: Tensor = model.module(
            hidden_states=x[:, 0],
            timestep=timestep,
            timestep_r=timestep,
            encoder_hidden_states=batch["embeddings"],
            context_latents=batch[_CONTEXT],
            return_dict=False,
        )[0]
        return output.unsqueeze(1)


def _tokens(model: TextModel, text: str, length: int, warn: Warn | None) -> Tensor:
    from nodegraph.families.text_encoders import padded_length, tokenize_padded

    tokenizer = model.tokenizers["tokenizer"]
    needed = padded_length(tokenizer, text, 1, length)
    heeded = warn if needed == length else None
    ids: Tensor = tokenize_padded(tokenizer, text, needed, heeded)["input_ids"]
    return ids.to(model.modules["text_encoder"].device)


def _tiled(silence: Tensor, frames: int) -> Tensor:
    """Latents of silence of a length."""
    return silence.repeat(1, -(-frames // silence.shape[1]), 1)[:, :frames]


def _has_silence(model: TextModel) -> bool:
    """Whether the model has latents of silence; single files have none."""
    return bool(model.modules["condition_encoder"].silence_latent.any())


def _silence(model: TextModel, encoded_silence: Tensor | None) -> Tensor:
    """Latents of silence, shape (1, frames, features): the model's own, or those of its VAE.

    Args:
        encoded_silence: What the VAE makes of a short silence, shape (1, 1, frames, features).
    Raises:
        InvalidValue: Both are missing.
    """
    own: Tensor = model.modules["condition_encoder"].silence_latent
    if _has_silence(model):
        return own
    if encoded_silence is None:
        raise InvalidValue(
            "the files of the text encoder hold no latents of silence, which ACE-Step 1.5 needs",
            port="vae",
            expected="the VAE of the model, which encodes silence",
            hint="Use an EncodeMusicPrompt, and link the VAE to it.",
        )
    frames = encoded_silence[:, 0].to(own.device, own.dtype)
    # Far from both ends, all frames of silence are the same.
    middle = frames.shape[1] // 2
    inner = frames[:, middle : middle + 1].expand(-1, SILENT_FRAMES - middle, -1)
    return torch.cat([frames[:, :middle], inner], 1)


def _source_tensors(
    model: TextModel, prompt: MusicPrompt, source: Tensor | None, silence: Tensor
) -> dict[str, Tensor]:
    """What a prompt tells of the sound that it edits.

    Args:
        source: Latents, shape (1, 1, frames, features).
        silence: See `_silence`.
    """
    if source is None:
        return {}
    latents = source[:, 0].to(silence.device, silence.dtype)
    frames = latents.shape[1]
    generated = torch.ones(1, frames, 1, device=silence.device)
    if prompt.task == "cover":
        latents = _as_codes(model, latents, silence)
    if prompt.task in ("repaint", "lego"):
        start = min(int(prompt.start * FRAMES_PER_SECOND), frames - 1)
        end = int(prompt.end * FRAMES_PER_SECOND) if prompt.end > 0 else frames
        generated[:] = 0
        generated[:, start : max(start + 1, end)] = 1
    if prompt.task == "repaint":
        latents = torch.where(generated > 0, _tiled(silence, frames), latents)
    return {SOURCE_SOUND: latents, GENERATED_FRAMES: generated}


def _as_codes(model: TextModel, latents: Tensor, silence: Tensor) -> Tensor:
    """Latents rounded to audio codes, five per second, and back to latents."""
    roles = "audio_tokenizer", "audio_token_detokenizer"
    if not all(role in model.modules for role in roles):
        raise InvalidValue(
            "the model has no audio tokenizer, which covers need",
            port="task",
            expected=" and ".join(roles),
            hint="Use a folder of ACE-Step 1.5 with both.",
        )
    tokenizer, detokenizer = (model.modules[role] for role in roles)
    codes, _ = tokenizer.tokenize(latents, silence)
    restored: Tensor = detokenizer(codes)
    return restored[:, : latents.shape[1]]


def _entry(model: TextModel, embeddings: Tensor, more: Mapping[str, Tensor]) -> ConditioningEntry:
    tensors = {
        **more,
        "embeddings": embeddings,
        NULL_EMBEDDING: model.modules["condition_encoder"].null_condition_emb,
    }
    return encoded({name: item.detach().to("cpu", torch.float32) for name, item in tensors.items()})


ACE_STEP = AceStep(
    "ace-step",
    "ACE-Step 1.5",
    latent=ACE_STEP_LATENTS,
    pipelines=("AceStepPipeline",),
    denoisers=(Part("transformer", ("AceStepTransformer1DModel",), files=(TRANSFORMER,)),),
    encoders=(
        Part("text_encoder", ("Qwen3Model",), files=(TEXT_ENCODER,), only_embeds=True),
        Part("condition_encoder", ("AceStepConditionEncoder",), files=(CONDITIONS,)),
        Part("audio_tokenizer", ("AceStepAudioTokenizer",), optional=True, files=(TOKENIZER,)),
        Part(
            "audio_token_detokenizer",
            ("AceStepAudioTokenDetokenizer",),
            optional=True,
            files=(DETOKENIZER,),
        ),
    ),
    tokenizers=(Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="qwen3-embedding"),),
    noise="flow",
    # The folder's scheduler leaves the shift to the pipeline, whose default this is.
    scheduler={"num_train_timesteps": 1000, "shift": 3.0},
    published_scheduler={"num_train_timesteps": 1, "shift": 1.0},
    spread="open32",
    multiple=1,
    positive_first=True,
    speedups=frozenset(),
    perturbs_attention=False,
    skips_blocks=False,
    lora_signs=(
        LoraSign(
            # Stable Audio has these names, too.
            r"^(decoder_)?layers_\d+_(self|cross)_attn_(?!norm\d|to_(q|kv|qkv|out)$)",
            "ACE-Step 1.5",
        ),
    ),
    comfyui_type="ace",
)
