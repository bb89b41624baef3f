"""MiniMax H3: videos with sound from prompts, images, videos and sound. Imports no torch.

One transformer denoises a video and its sound in a packed sequence, which also holds the prompt,
keyframes and references; see `nodegraph.families.minimax_h3_rows`. Qwen3-VL 32B reads the prompt.
The models are distilled: they evaluate one prompt, without guidance.

The noise levels of the sound are those of the video, shifted less. Samplers walk along the levels
of the video. So they carry the latents of the sound scaled by the ratio of both shifts: then its
levels, as part of the noise over the latent, are those of the video.

Sources: diffusers, ``modular_pipelines/minimax_h3`` and
``models/transformers/transformer_minimax_h3.py``; the scale of the sound: ComfyUI,
``comfy/ldm/minimax/model.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Config, Family, Part, Resolutions, Warn
from nodegraph.families.diffusers_folder import SOUND_SCHEDULER
from nodegraph.families.image_conditioning import (
    MediaCondition,
    media_conditions,
)
from nodegraph.families.layer_names import DIT_SIGN, JOINT_ATTENTION_SIGN, LoraSign
from nodegraph.families.minimax_h3_files import (
    ENCODER,
    PRUNED_TRANSFORMER,
    PUBLISHED_SOUND_SHIFT,
    TRANSFORMER,
    VIDEO_SHIFT,
)
from nodegraph.families.minimax_h3_latents import MINIMAX_H3_LATENTS
from nodegraph.families.minimax_h3_prompts import TAGS, present
from nodegraph.families.minimax_h3_rows import (
    FRAMES_PER_SECOND,
    PackedRows,
    frames_of_latents,
    from_rows,
    packed_rows,
    to_rows,
)
from nodegraph.families.model_step import Batch, Moment, SamplingRequest, SoundLayout
from nodegraph.families.prompt_media import MediaReader, PromptMedia
from nodegraph.families.scheduler_file import SOUND_SHIFT
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry, Latent
    from nodegraph.families.components import Denoiser, TextModel

SOUND_PER_SECOND = 40
"""Latent frames of sound per second."""
_CHANNELS, _FEATURES = 2, 32
"""Channels of the sound, and features of each latent frame of a channel."""
_CONDITION_TIMESTEP = 0.999
"""Timestep of images and videos among the conditions: they have a little noise."""
_CONDITION_SEED = 0
_LEAST_SIGMA = 1e-6

_SOUND = "sound_layout"
"""Tensors of a prompt: the kind of each of its rows, and the fields of `SoundLayout`, (1, 4)."""


class MiniMaxH3(Family, MediaReader):
    """A transformer of a packed sequence. It predicts latent - noise, and its time goes from noise,
    0, to the latent, 1."""

    def trained_size(self, config: Config) -> tuple[int, int]:
        return 1344, 768

    def context_width(self, config: Config) -> int | None:
        return int(config["text_dim"])

    def guides_itself(self, config: Config, settings: Config) -> bool:
        return True

    def tokens(self, shape: Sequence[int]) -> int:
        return prod(shape[2:]) // 4

    def sound_scale(self, model: Denoiser) -> float:
        video, sound = shifts(model)
        return video / sound

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_edit(model, text, (), warn)

    def encode_edit(
        self, model: TextModel, text: str, images: Sequence[Tensor], warn: Warn | None = None
    ) -> ConditioningEntry:
        return self.encode_media(model, text, [PromptMedia(image[None]) for image in images], warn)

    def encode_media(
        self, model: TextModel, text: str, media: Sequence[PromptMedia], warn: Warn | None = None
    ) -> ConditioningEntry:
        """See `MediaReader.encode_media`."""
        return present(model, text, media)

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        if TAGS not in fitted:
            raise InvalidValue(
                "this conditioning is not for MiniMax H3",
                port=request.side,
                hint="Encode the prompt with the text encoder of the same LoadModel.",
            )
        layout = request.sound
        _check_keyframes(fitted, request)
        if layout is not None:
            numbers = [layout.frames, layout.length, layout.channels, layout.bands]
            fitted[_SOUND] = torch.tensor([numbers])
        return fitted

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        """The velocity of the videos and their sound, one after the other.

        A sequence holds one video, and all its rows share the timesteps. Where nothing states the
        sound, as in training, there is none.
        """
        sigmas = moment.timestep.float() / moment.training_timesteps
        if moment.sigma:
            sigmas = torch.full_like(sigmas, moment.sigma)
        levels = sigmas.reshape(-1).expand(len(x)).tolist()
        return torch.cat(
            [
                self._predict_one(model, item[None], level, batch, at)
                for at, (item, level) in enumerate(zip(x, levels, strict=True))
            ]
        )

    def _predict_one(
        self, model: Denoiser, x: Tensor, sigma: float, batch: Batch, at: int
    ) -> Tensor:
        layout = SoundLayout(*batch[_SOUND][at].tolist()) if _SOUND in batch else None
        video, carried = (x, None) if layout is None else layout.split(x)
        video_shift, sound_shift = shifts(model)
        sigma = max(sigma, _LEAST_SIGMA)
        base = sigma / (video_shift + sigma * (1 - video_shift))
        sound_sigma = sound_shift * base / (1 + (sound_shift - 1) * base)
        scale = video_shift / sound_shift
        sound = x.new_zeros(1, _CHANNELS, 0, _FEATURES)
        if carried is not None:
            sound = carried * (sound_sigma / sigma)
        of_video, of_sound = _call(model, video, sound, batch, at, sigma, sound_sigma)
        if layout is None:
            return -of_video
        # What the carried latents change by with the level of the video.
        slope = (1 - scale) * sound - (1 + (scale - 1) * sound_sigma) * of_sound
        return layout.join(-of_video, slope)


def _check_keyframes(tensors: Mapping[str, Tensor], request: SamplingRequest) -> None:
    """Refuse keyframes of another video than the one that is sampled."""
    layout = request.sound
    frames = request.shape[2] if layout is None else layout.frames
    height, width = request.shape[3:]
    for item in media_conditions(tensors):
        if item.frame is None:
            continue
        is_behind = item.frame >= frames_of_latents(frames)
        has_other_size = item.video is not None and item.video.shape[3:] != (height, width)
        if is_behind or has_other_size:
            raise InvalidValue(
                "a keyframe was encoded for a video of another size or length",
                port=request.side,
                given=f"frame {item.frame}"
                if item.video is None
                else f"frame {item.frame}, {tuple(item.video.shape[3:])} in latent cells",
                expected=f"{frames_of_latents(frames)} frames, {(height, width)} in latent cells",
                hint="Sample the latent that the keyframes were encoded for.",
            )


def _call(
    model: Denoiser,
    video: Tensor,
    sound: Tensor,
    batch: Batch,
    at: int,
    sigma: float,
    sound_sigma: float,
) -> tuple[Tensor, Tensor]:
    """The velocities of a video and its sound, float32, of their shapes.

    Args:
        at: The item of the batch.
        sigma, sound_sigma: Their noise levels.
    """
    patch = (int(model.config["patch_size"][1]), int(model.config["patch_size"][2]))
    shape = (video.shape[2], video.shape[3], video.shape[4])
    conditions = sorted(media_conditions(batch, at), key=lambda item: item.frame is None)
    rows = packed_rows(batch[TAGS][at].cpu(), conditions, shape, sound.shape[2], patch)
    # In float32, in which the noise levels are.
    of_video = float(1 - torch.tensor(sigma, dtype=torch.float32))
    steps, indices = rows.timesteps(of_video, 1 - sound_sigma, max(of_video, _CONDITION_TIMESTEP))
    hidden = torch.cat([*_noised(conditions, patch), to_rows(video, patch)])
    heard = [item.sound.reshape(-1, _FEATURES) for item in conditions if item.sound is not None]
    velocities = model.module(
        hidden_states=hidden[None],
        audio_hidden_states=torch.cat([*heard, sound.reshape(-1, _FEATURES)])[None],
        encoder_hidden_states=batch["embeddings"][at : at + 1],
        timestep=steps.to(video.device),
        timestep_indices=indices.to(video.device),
        return_dict=False,
        **_placed(rows, video.device),
    )
    made, made_sound = (item[0].float() for item in velocities)
    return (
        from_rows(made[rows.video_conditions :], shape, patch),
        made_sound[rows.sound_conditions :].reshape(sound.shape),
    )


def _placed(rows: PackedRows, device: torch.device) -> dict[str, Tensor]:
    # The transformer computes in float32, and some devices have no float64.
    return {
        "position_ids": rows.positions.float().to(device),
        "token_tags": rows.tags.to(device),
        "video_indices": rows.video.to(device),
        "audio_indices": rows.sound.to(device),
        "text_indices": rows.text.to(device),
    }


def _noised(conditions: Sequence[MediaCondition], patch: tuple[int, int]) -> list[Tensor]:
    """Rows of images and videos with their little noise, which is drawn once for all of them."""
    generator = torch.Generator().manual_seed(_CONDITION_SEED)
    share = torch.tensor(_CONDITION_TIMESTEP)
    rows = []
    for item in conditions:
        if item.video is None:
            continue
        clean = item.video.float()
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        here = share.to(clean.device)
        rows.append(to_rows(here * clean + (1.0 - here) * noise, patch))
    return rows


def shifts(model: Denoiser) -> tuple[float, float]:
    """The shifts of the noise levels of the video and of its sound."""
    schedule = model.scheduler_config
    folder = model.settings.get(SOUND_SCHEDULER) or {}
    sound = schedule.get(SOUND_SHIFT, folder.get("shift", PUBLISHED_SOUND_SHIFT))
    return float(schedule.get("shift", VIDEO_SHIFT)), float(sound)


def sound_length(frames: int) -> int:
    """Latent frames of the sound of a video."""
    return round(frames / FRAMES_PER_SECOND * SOUND_PER_SECOND)


def sound_layout(config: Config, latent: Latent, first: ConditioningEntry) -> SoundLayout:
    """See `SoundPlacement`: the latent's own sound, or sound as long as the video."""
    features = int(config.get("audio_in_channels", _FEATURES))
    length = sound_length(latent.frames)
    if latent.sound is not None:
        batch, channels, length, actual = latent.sound.shape
        if batch not in (1, latent.batch_size) or (channels, actual) != (_CHANNELS, features):
            raise InvalidValue(
                "the sound does not fit the model or the video",
                port="latent",
                given=f"sound latents of shape {tuple(latent.sound.shape)}",
                expected=f"({latent.batch_size}, {_CHANNELS}, length, {features})",
                hint="Encode the sound with the VAE of the same LoadModel.",
            )
    frames = MINIMAX_H3_LATENTS.latent_frames(latent.frames)
    return SoundLayout(frames, length, _CHANNELS, features)


MINIMAX_H3 = MiniMaxH3(
    "minimax-h3",
    "MiniMax H3",
    latent=MINIMAX_H3_LATENTS,
    pipelines=("MiniMaxH3ModularPipeline",),
    denoisers=(
        Part(
            "transformer",
            ("MiniMaxH3Transformer3DModel", "MiniMaxH3PrunedTransformer3DModel"),
            files=(TRANSFORMER, PRUNED_TRANSFORMER),
        ),
    ),
    encoders=(
        Part("text_encoder", ("Qwen3VLForConditionalGeneration", "Qwen3VLModel"), files=(ENCODER,)),
    ),
    tokenizers=(
        Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="minimax-h3"),
        Part(
            "processor",
            # By Pillow, as the other of the two needs torchvision.
            ("Qwen2VLImageProcessorPil",),
            vocabulary="qwen3-vl-pictures",
            processor="Qwen3VLProcessor",
        ),
    ),
    noise="flow",
    spread="open_float32",
    settings={
        # The rules of its pipeline for sizes, which saved folders keep.
        "canvas_short_edge": 768,
        "canvas_max_pixels": 768 * 1344,
        "reference_image_short_edge": 2048,
    },
    extra_configs=(f"{SOUND_SCHEDULER}/scheduler_config.json",),
    multiple=32,
    held=TokenMemory(16, 512),
    needs_negative=False,
    joint=False,
    wide=True,
    sound=sound_layout,
    first_picture="keyframes",
    # Its blocks take their rows' modulation by index, which no hook of the guiders knows.
    perturbs_attention=False,
    skips_blocks=False,
    lora_signs=(
        LoraSign(
            r"^(token_refiner_)?blocks_\d+_(attn_(qkv|out)_proj|adaln_proj_)|"
            r"^(video|audio)_patch_proj|^final_layer_(video|audio)_out|"
            r"^token_refiner_refiner_blocks_|^transformer_blocks_\d+_adaln_proj_linear",
            "MiniMax H3",
        ),
        DIT_SIGN,
        JOINT_ATTENTION_SIGN,
    ),
    resolutions={"minimax-h3": Resolutions(1344 * 768, 32)},
    comfyui_type="minimax",
)
