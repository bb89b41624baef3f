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
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.image_conditioning import MediaCondition, media_conditions
from nodegraph.families.latent_formats import LatentFormat, SoundPart
from nodegraph.families.layer_names import JOINT_ATTENTION_SIGN, LoraSign
from nodegraph.families.minimax_h3_files import (
    PUBLISHED_SOUND_SHIFT,
    SPATIAL,
    TEMPORAL,
    TRANSFORMER,
    VIDEO_SHIFT,
)
from nodegraph.families.minimax_h3_rows import (
    TEXT,
    VIDEO,
    PackedRows,
    frames_of_latents,
    from_rows,
    packed_rows,
    to_rows,
)
from nodegraph.families.minimax_h3_vae_files import SOUND_VAE, VIDEO_VAE
from nodegraph.families.model_step import Batch, Moment, SamplingRequest, SoundLayout
from nodegraph.families.qwen_image_edit import check_no_picture, image_features
from nodegraph.families.scheduler_file import SOUND_SHIFT
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.single_files.language import QWEN3_VL

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry, Latent
    from nodegraph.families.components import Denoiser, TextModel

FRAMES_PER_SECOND = 24
SOUND_PER_SECOND = 40
"""Latent frames of sound per second."""
_CHANNELS, _FEATURES = 2, 32
"""Channels of the sound, and features of each latent frame of a channel."""
_CHUNK, _CHUNK_LATENTS = 17, 5
"""Frames of a video that the autoencoder encodes at once, and their latent frames."""
_LAYER = 50
"""Layer of Qwen3-VL whose output the model reads, counted from 1."""
_CONDITION_TIMESTEP = 0.999
"""Timestep of images and videos among the conditions: they have a little noise."""
_CONDITION_SEED, _ENCODING_SEED = 0, 42
_LEAST_SIGMA = 1e-6

_TAGS, _SOUND = "text_tags", "sound_layout"
"""Tensors of a prompt: the kind of each of its rows, and the fields of `SoundLayout`, (1, 4)."""
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colors of an image as the autoencoder takes it."""


class MiniMaxH3Format(LatentFormat):
    """Videos of 17k + 5 frames, or images; each channel has a mean and a deviation."""

    @property
    def frame_counts(self) -> str:
        """See `LatentFormat.frame_counts`."""
        return f"{_CHUNK}k + {_CHUNK_LATENTS}"

    def latent_frames(self, frames: int) -> int:
        """See `LatentFormat.latent_frames`."""
        chunks, more = divmod(frames, _CHUNK)
        return chunks * _CHUNK_LATENTS + ((more - 1) // TEMPORAL + 1 if more else 0)

    def pixel_frames(self, latent_frames: int) -> int:
        """See `LatentFormat.pixel_frames`."""
        return frames_of_latents(latent_frames)

    def nearest_frames(self, frames: int) -> tuple[int, ...]:
        """See `LatentFormat.nearest_frames`."""
        if frames <= 1:
            return (1,)
        chunks, more = divmod(max(frames, _CHUNK_LATENTS) - _CHUNK_LATENTS, _CHUNK)
        below = chunks * _CHUNK + _CHUNK_LATENTS
        return (below,) if not more and frames >= _CHUNK_LATENTS else (below, below + _CHUNK)

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        """See `LatentFormat.encode`."""
        mode = vae.encode(_to_vae(pixels)).latent_dist.mode()
        mean, deviation = _statistics(vae, mode)
        scaled: Tensor = (mode - mean) / deviation
        return scaled

    def encode_condition(self, vae: Any, pixels: Tensor) -> Tensor:
        """As `encode`, but a sample that always draws the same noise, rounded to float16, as the
        model was trained."""
        generator = torch.Generator().manual_seed(_ENCODING_SEED)
        sample = vae.encode(_to_vae(pixels)).latent_dist.sample(generator=generator)
        sample = sample.to(torch.float16).float().cpu()
        mean, deviation = _statistics(vae, sample)
        scaled: Tensor = (sample - mean) / deviation
        return scaled

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """See `LatentFormat.decode`."""
        mean, deviation = _statistics(vae, latents)
        video = _from_vae(vae, latents * deviation + mean).float()
        centre, spread = (_colours(item, video) for item in (_MEAN, _DEVIATION))
        return (video * spread + centre).clamp(0, 1) * 2 - 1

    def sound_rate(self, modules: Mapping[str, Any]) -> int:
        """See `LatentFormat.sound_rate`."""
        rate: int = _sound_vae(modules).config.sampling_rate
        return rate

    def decode_sound(self, modules: Mapping[str, Any], sound: Tensor) -> tuple[Tensor, int]:
        """See `LatentFormat.decode_sound`."""
        vae = _sound_vae(modules)
        mean, deviation = _statistics(vae, sound, axes=3)
        channels = sound[0].transpose(1, 2) * deviation + mean
        waveform = vae.decode(channels, return_dict=False)[0]
        return waveform.float().permute(1, 0, 2), int(vae.config.sampling_rate)

    def encode_sound(self, modules: Mapping[str, Any], waveform: Tensor) -> Tensor:
        """See `LatentFormat.encode_sound`."""
        vae = _sound_vae(modules)
        mode = vae.encode(waveform[0][:, None]).latent_dist.mode().float()
        mean, deviation = _statistics(vae, mode, axes=3)
        scaled: Tensor = ((mode - mean) / deviation).transpose(1, 2)[None]
        return scaled


def _statistics(vae: Any, like: Tensor, axes: int = 5) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel, with so many axes."""
    shape = (1, -1, *(1,) * (axes - 2))
    mean, deviation = (
        torch.tensor(vae.config[name]).view(shape).to(like.device, like.dtype)
        for name in ("latents_mean", "latents_std")
    )
    return mean, deviation


def _colours(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device).view(1, -1, 1, 1, 1)


def _to_vae(pixels: Tensor) -> Tensor:
    """Pixels in -1..1 as the autoencoder takes them.

    They become whole levels of 8 bits, of which the released model's own code makes its inputs.
    """
    levels = ((pixels.float() + 1) * 127.5).round()
    return (levels.div(255.0) - _colours(_MEAN, levels)) / _colours(_DEVIATION, levels)


def _from_vae(vae: Any, latents: Tensor) -> Tensor:
    """What the decoder gives, also for images and for videos that are shorter than two chunks."""
    count = latents.shape[2]
    if count == 1:
        image: Tensor = vae._decode_clip(latents.to(vae.dtype))[:, :, -1:]
        return image
    whole = _CHUNK_LATENTS + 2
    if count < whole:
        last = latents[:, :, -1:].expand(-1, -1, whole - count, -1, -1)
        latents = torch.cat([latents, last], 2)
    video: Tensor = vae.decode(latents, return_dict=False)[0]
    return video[:, :, : frames_of_latents(count)]


def _sound_vae(modules: Mapping[str, Any]) -> Any:
    if "audio_vae" not in modules:
        raise InvalidValue(
            "this VAE decodes videos alone: the part for sound is missing",
            port="vae",
            expected="audio_vae",
            hint="Use the VAE output of LoadModel, or LoadVae with a file that has it.",
        )
    return modules["audio_vae"]


MINIMAX_H3_LATENTS = MiniMaxH3Format(
    "minimax-h3",
    24,
    spatial=SPATIAL,
    temporal=TEMPORAL,
    autoencoders=("AutoencoderKLMiniMaxH3",),
    files=(VIDEO_VAE,),
    sound_parts=(SoundPart("audio_vae", ("AutoencoderKLMiniMaxH3Audio",), (SOUND_VAE,)),),
)
"""MiniMax H3."""


class MiniMaxH3(Family):
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

    def sound_frames(self, frames: int) -> int:
        return sound_length(frames)

    def sound_scale(self, model: Denoiser) -> float:
        video, sound = shifts(model)
        return video / sound

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_edit(model, text, (), warn)

    def encode_edit(
        self, model: TextModel, text: str, images: Sequence[Tensor], warn: Warn | None = None
    ) -> ConditioningEntry:
        from nodegraph.media.images.images import to_pil

        check_no_picture(text)
        pictures = [to_pil(image).convert("RGB") for image in images]
        presentation = _Presentation(model)
        if pictures:
            processor = model.tokenizers["processor"]
            features, counts = image_features(processor, pictures)
            presentation.pixels |= features
            for number, tokens in enumerate(counts, 1):
                presentation.add_text(f"<Picture {number}>: ")
                presentation.add_vision(_IMAGE, tokens)
        presentation.add_text(text)
        return presentation.encode()

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        if _TAGS not in fitted:
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
    rows = packed_rows(batch[_TAGS][at].cpu(), conditions, shape, sound.shape[2], patch)
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
    folder = model.settings.get("audio_scheduler") or {}
    sound = schedule.get(SOUND_SHIFT, folder.get("shift", PUBLISHED_SOUND_SHIFT))
    return float(schedule.get("shift", VIDEO_SHIFT)), float(sound)


_IMAGE, _VIDEO = "<|image_pad|>", "<|video_pad|>"
"""Tokens that stand for the patches of an image and of a video."""
_END = "<|endoftext|>"


class _Presentation:
    """What Qwen3-VL reads: texts and images in turn, without a template.

    Attributes:
        ids, tags: Of each token, the id and the kind.
        pixels: Inputs of the part that sees.
    """

    def __init__(self, model: TextModel) -> None:
        self._model, self._tokenizer = model, model.tokenizers["tokenizer"]
        self.ids: list[int] = []
        self.tags: list[int] = []
        self.pixels: dict[str, Tensor] = {}

    def add_text(self, text: str) -> None:
        """Append a text."""
        ids = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        self.ids += ids
        self.tags += [TEXT] * len(ids)

    def add_vision(self, pad: str, count: int) -> None:
        """Append an image or a part of a video."""
        mark = self._tokenizer.convert_tokens_to_ids
        start, end = mark("<|vision_start|>"), mark("<|vision_end|>")
        ids = [start, *[mark(pad)] * count, end]
        self.ids += ids
        self.tags += [VIDEO] * len(ids)

    def encode(self) -> ConditioningEntry:
        """The embeddings and the kinds of their rows."""
        from nodegraph.families.text_encoders import layer_states

        mark = self._tokenizer.convert_tokens_to_ids
        if not self.ids:
            # Something is to be read of an empty prompt; as in ComfyUI.
            self.ids, self.tags = [mark(_END)], [TEXT]
        ids = torch.tensor([self.ids])
        kinds = (ids == mark(_IMAGE)).long() + 2 * (ids == mark(_VIDEO)).long()
        tokens = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_token_type_ids": kinds,
            **self.pixels,
        }
        encoder = self._model.modules["text_encoder"]
        (states,) = layer_states(encoder, tokens, [_LAYER])
        return encoded({"embeddings": states, _TAGS: torch.tensor([self.tags])})


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
    denoisers=(Part("transformer", ("MiniMaxH3Transformer3DModel",), files=(TRANSFORMER,)),),
    encoders=(
        Part(
            "text_encoder", ("Qwen3VLForConditionalGeneration", "Qwen3VLModel"), files=(QWEN3_VL,)
        ),
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
    settings={},
    extra_configs=("audio_scheduler/scheduler_config.json",),
    multiple=32,
    held=TokenMemory(16, 512),
    needs_negative=False,
    joint=False,
    wide=True,
    sound=sound_layout,
    takes_conditions=True,
    first_picture="keyframes",
    # Its blocks take their rows' modulation by index, which no hook of the guiders knows.
    perturbs_attention=False,
    skips_blocks=False,
    lora_signs=(
        LoraSign(
            r"^(token_refiner_)?blocks_\d+_(attn_(qkv|out)_proj|mlp_fc[12])|"
            r"^(video|audio)_patch_proj|^final_layer_(video|audio)_out|"
            r"^token_refiner_refiner_blocks_|^transformer_blocks_\d+_adaln_proj_linear",
            "MiniMax H3",
        ),
        JOINT_ATTENTION_SIGN,
    ),
    resolutions={"minimax-h3": Resolutions(1344 * 768, 32)},
    comfyui_type="minimax",
)
