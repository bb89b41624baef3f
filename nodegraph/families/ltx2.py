"""LTX-2: videos with sound from prompts, also with a first image. Imports no torch.

The transformer denoises a video and its sound together. Gemma 3 reads the prompt, and two small
connector networks turn its layers into the embeddings for the video and for the sound.

LTX-2.5's network is 2.3's, without biases in the layers behind the attention of the video. It adds
a learned embedding to tokens that stand for one frame instead of eight. Gemma 4 12B reads prompts.

Sources: diffusers, ``pipelines/ltx2`` and ``models/transformers/transformer_ltx2.py``;
https://huggingface.co/Lightricks/LTX-2; ComfyUI, ``comfy/ldm/lightricks/model.py``
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import (
    ATTENTION_CACHES,
    RATE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.image_conditioning import (
    FIRST_FRAME,
    KEPT_SOUND,
    SOUND_MASK,
    check_video_size,
    denoise_mask,
    with_first_frame,
)
from nodegraph.families.latent_formats import SoundPart
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN
from nodegraph.families.ltx import DECODER_WIDTHS, LTXFormat
from nodegraph.families.ltx2_diffusion_decoder import (
    DIFFUSION_DECODER,
    check_encodes,
    decoder_width,
    denoise_pixels,
    is_diffusion_decoder,
)
from nodegraph.families.ltx2_files import (
    AUDIO_VAE,
    CONNECTORS,
    LATER_TRANSFORMER,
    SPATIAL,
    TEMPORAL,
    TRANSFORMER,
    VIDEO_VAE,
    VOCODERS,
)
from nodegraph.families.model_step import Batch, Moment, SamplingRequest, SoundLayout
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import CodingMemory, TokenMemory
from nodegraph.weights.single_files.gemma4 import GEMMA4_12B
from nodegraph.weights.single_files.language import GEMMA3

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry, FrameGuide, Latent
    from nodegraph.families.components import Denoiser, TextModel

SOUND_BANDS = 16
"""Mel bands of a sound latent; the decoder makes four of each."""
USUAL_RATE = 24.0
"""Frames per second of a video whose conditioning does not state them."""

_TOKENS = 1024
_SOUND_EMBEDDINGS, _SOUND = "sound_embeddings", "sound_layout"
"""Tensors of a prompt: its embeddings for the sound, and the fields of `SoundLayout`, (1, 4)."""
_STRENGTHS, _GUIDES, _POSITIONS = "guide_strengths", "guide_latents", "guide_positions"
"""Tensors of a prompt: strengths and clean latents of `GuideLayout`, and the positions of appended
guides, shape (1, 3, tokens, 2)."""


class LTX2Format(LTXFormat):
    """Videos and their sound, each with a mean and a deviation per channel beside the weights.

    A VAE may hold the parts for one of the two alone. That of LTX-2.5 may be its diffusion decoder.
    """

    def decoding(self, config: Config) -> CodingMemory:
        width = decoder_width(config)
        return super().decoding(config if width is None else {DECODER_WIDTHS: (width,)})

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        _check_video(vae)
        check_encodes(vae)
        return super().encode(vae, pixels)

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        if is_diffusion_decoder(vae):
            return denoise_pixels(vae, self.unscale(vae, latents))
        return super().decode(vae, latents)

    def unscale(self, vae: Any, latents: Tensor) -> Tensor:
        _check_video(vae)
        return super().unscale(vae, latents)

    def sound_rate(self, modules: Mapping[str, Any]) -> int:
        """See `LatentFormat.sound_rate`."""
        rate: int = self._sound_module(modules, "audio_vae").config.sample_rate
        return rate

    def decode_sound(self, modules: Mapping[str, Any], sound: Tensor) -> tuple[Tensor, int]:
        """See `LatentFormat.decode_sound`."""
        vae, vocoder = (self._sound_module(modules, role) for role in ("audio_vae", "vocoder"))
        mean, deviation = _statistics(vae, sound)
        mel = vae.decode((sound * deviation + mean).to(vae.dtype), return_dict=False)[0]
        return vocoder(mel), int(vocoder.config.output_sampling_rate)

    def encode_sound(self, modules: Mapping[str, Any], waveform: Tensor) -> Tensor:
        """See `LatentFormat.encode_sound`."""
        vae = self._sound_module(modules, "audio_vae")
        if waveform.shape[-1] <= _WINDOW // 2:
            raise InvalidValue(
                "the audio is too short for the VAE",
                port="audio",
                given=f"{waveform.shape[-1]} samples",
                expected=f"more than {_WINDOW // 2} samples at {vae.config.sample_rate} Hz",
            )
        mode = vae.encode(log_mel(vae.config, waveform).to(vae.dtype)).latent_dist.mode()
        mean, deviation = _statistics(vae, mode)
        scaled: Tensor = (mode - mean) / deviation
        return scaled

    def _sound_module(self, modules: Mapping[str, Any], role: str) -> Any:
        if role not in modules:
            raise InvalidValue(
                "this VAE decodes videos alone: the parts for sound are missing",
                port="vae",
                expected="audio_vae and vocoder",
                hint="Use the VAE output of LoadModel, or LoadVae with a file that has them.",
            )
        return modules[role]


def _check_video(vae: Any) -> None:
    if not hasattr(vae, "spatial_compression_ratio"):
        raise InvalidValue(
            "this VAE encodes and decodes sound alone: the part for videos is missing",
            port="vae",
            expected="a VAE of LTX-2 for videos",
            hint="Use LoadVae with a file that has it.",
        )


_WINDOW = 1024
"""Samples of the window that the audio VAE was trained with."""
_SILENCE = 1e-5


def log_mel(config: Any, waveform: Tensor) -> Tensor:
    """The logarithm of magnitudes in mel bands, as the audio VAE was trained with them.

    Source: Lightricks' LTX-2 repository, ``ltx_core/model/audio_vae``, whose transform is
    torchaudio's MelSpectrogram of power 1 with Slaney's scale and norm.

    Args:
        config: Of the audio VAE.
        waveform: float32, shape (batch, channels, samples).
    Returns:
        Shape (batch, channels, frames, bands).
    """
    from transformers.audio_utils import mel_filter_bank

    filters = mel_filter_bank(
        _WINDOW // 2 + 1,
        config.mel_bins,
        0.0,
        config.sample_rate / 2,
        config.sample_rate,
        norm="slaney",
        mel_scale="slaney",
    )
    spectra = torch.stft(
        waveform.flatten(0, 1),
        _WINDOW,
        config.mel_hop_length,
        window=torch.hann_window(_WINDOW, device=waveform.device),
        return_complex=True,
    )
    bands = torch.from_numpy(filters).to(waveform.device, torch.float32).T @ spectra.abs()
    levels: Tensor = bands.clamp(min=_SILENCE).log().view(*waveform.shape[:2], *bands.shape[1:])
    return levels.transpose(2, 3)


def _statistics(vae: Any, sound: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of sound latents, shape (1, channels, 1, bands)."""
    shape = 1, sound.shape[1], 1, sound.shape[3]
    mean, deviation = (
        item.view(shape).to(sound.device, sound.dtype)
        for item in (vae.latents_mean, vae.latents_std)
    )
    return mean, deviation


LTX2_LATENTS = LTX2Format(
    "ltx2",
    128,
    spatial=SPATIAL,
    temporal=TEMPORAL,
    autoencoders=("AutoencoderKLLTX2Video", DIFFUSION_DECODER),
    files=(VIDEO_VAE,),
    sound_parts=(
        SoundPart("audio_vae", ("AutoencoderKLLTX2Audio",), (AUDIO_VAE,)),
        SoundPart("vocoder", ("LTX2Vocoder", "LTX2VocoderWithBWE"), VOCODERS),
    ),
)
"""LTX-2."""


def is_later(transformer: Config) -> bool:
    """Whether a transformer of this configuration is that of LTX-2.5."""
    marks_frames = bool(transformer.get("use_keyframes_abs_pos_embedding"))
    return marks_frames or not transformer.get("ff_bias", True)


class LTX2Video(Family):
    """A transformer of a video and its sound. Each cell of the video is a token, and so is each
    latent frame of the sound."""

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        return "LTX-2.5" if is_later(configs.get("transformer", {})) else None

    def trained_size(self, config: Config) -> tuple[int, int]:
        return 768, 512

    def context_width(self, config: Config) -> int | None:
        if config.get("use_prompt_embeddings", True):
            return int(config["caption_channels"])
        return int(config["cross_attention_dim"])

    def tokens(self, shape: Sequence[int]) -> int:
        return math.prod(shape[2:])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import every_state, tokenize_padded

        tokenizer, encoder = model.tokenizers["tokenizer"], model.modules["text_encoder"]
        connectors = model.modules["connectors"]
        tokens = tokenize_padded(tokenizer, text.strip(), _TOKENS, warn, padding_side="left")
        states = every_state(encoder, tokens).to(connectors.device, connectors.dtype)
        mask = tokens["attention_mask"].to(connectors.device)
        video, sound, mask_of_both = connectors(states, mask, padding_side="left")
        tensors = {"embeddings": video, _SOUND_EMBEDDINGS: sound}
        wide = {name: item.to("cpu", torch.float32) for name, item in tensors.items()}
        return encoded({**wide, "mask": mask_of_both.to("cpu")})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        check_video_size(fitted, request)
        layout, guides = request.sound, request.guides
        if layout is not None:
            numbers = [layout.frames, layout.length, layout.channels, layout.bands]
            fitted = {**fitted, _SOUND: torch.tensor([numbers])}
        kept = {name: request.masked_image.get(name) for name in (KEPT_SOUND, SOUND_MASK)}
        fitted |= {name: item for name, item in kept.items() if item is not None}
        if guides is None:
            return fitted
        guided = {_STRENGTHS: guides.strengths[None], _GUIDES: guides.clean}
        appended = [guide for guide in guides.guides if guide.is_appended]
        if appended:
            rate = _frame_rate(fitted)
            positions = [guide_positions(guide, model.config, rate) for guide in appended]
            guided[_POSITIONS] = torch.cat(positions, 2)
        return {**fitted, **guided}

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """In the pipeline's order, which sums several guidance terms."""
        return towards + (cfg - 1) * (towards - away)

    def marked_tokens(self, cells: Tensor, per_frame: int) -> Tensor | None:
        """Which tokens stand for one frame of the video: 0 or 1, shape (batch, tokens, 1).

        None for LTX-2.0 and 2.3, which have no embedding for them.

        Args:
            cells: Shape (batch, tokens, channels).
            per_frame: Tokens of a latent frame.
        """
        return None

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        """The velocity of the video and its sound.

        Where nothing states the sound, as in training, it is that of the video alone: the network
        gets one silent token, and its streams do not see each other.
        """
        layout = SoundLayout(*batch[_SOUND][0].tolist()) if _SOUND in batch else None
        if layout is None:
            video, heard = x, x.new_zeros(len(x), 1, int(model.config["audio_in_channels"]))
        else:
            video, sound = layout.split(x)
            heard = sound.transpose(1, 2).flatten(2)
        first = batch.get(FIRST_FRAME)
        frames, height, width = video.shape[2:]
        cells = _with_guides(with_first_frame(video, first), batch)
        cells = cells.flatten(2).transpose(1, 2).contiguous()
        timestep = moment.timestep.expand(len(x))
        of_video = timestep
        if first is not None or _STRENGTHS in batch:
            mask = denoise_mask(video, first)
            if _STRENGTHS in batch:
                mask = mask * (1 - batch[_STRENGTHS][0].to(mask)).view(-1, 1, 1)
            of_video = timestep.unsqueeze(-1) * mask.flatten()
        of_heard = timestep
        if KEPT_SOUND in batch:
            heard, of_heard = _with_kept_sound(heard, timestep, batch)
        of_cells, of_sound = model.module(
            hidden_states=cells.to(model.dtype),
            audio_hidden_states=heard.to(model.dtype),
            encoder_hidden_states=batch["embeddings"],
            audio_encoder_hidden_states=batch[_SOUND_EMBEDDINGS],
            timestep=of_video,
            audio_timestep=of_heard,
            sigma=timestep,
            encoder_attention_mask=batch["mask"],
            audio_encoder_attention_mask=batch["mask"],
            num_frames=frames,
            height=height,
            width=width,
            fps=_frame_rate(batch),
            audio_num_frames=heard.shape[1],
            video_coords=_video_positions(model, video, batch),
            video_keyframes_mask=self.marked_tokens(cells, height * width),
            isolate_modalities=layout is None,
            use_cross_timestep=True,
            return_dict=False,
        )
        # guidance adds up in float32, as the pipeline does
        output: Tensor = of_cells.float().transpose(1, 2).reshape(video.shape)
        if layout is None:
            return output
        tokens = of_sound.float().view(len(x), -1, layout.channels, layout.bands)
        return layout.join(output, tokens.transpose(1, 2))


class LTX25Video(LTX2Video):
    """LTX-2 with an embedding for tokens of one frame, as the first latent frame's are."""

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        """See `Family.mismatch`."""
        return None if is_later(configs.get("transformer", {})) else "LTX-2"

    def marked_tokens(self, cells: Tensor, per_frame: int) -> Tensor | None:
        """Those of the first latent frame, which stands for one frame of the video.

        Frame guides behind the video aren't marked, although they may stand for one frame, too:
        the embedding is for frames that the network makes.
        """
        marked = torch.zeros(len(cells), cells.shape[1], 1, device=cells.device)
        marked[:, :per_frame] = 1
        return marked


def _with_kept_sound(heard: Tensor, timestep: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The tokens of a sound whose kept ones have no noise, and the timestep of each.

    So a video follows a sound. Source: https://github.com/Lightricks/LTX-2, where the timestep of a
    token is its mask times sigma (``timesteps_from_mask``), and a kept token is clean.
    """
    mask = batch[SOUND_MASK].to(heard)
    clean = batch[KEPT_SOUND].to(heard).transpose(1, 2).flatten(2)
    return torch.where(mask.unsqueeze(-1) == 0, clean, heard), timestep.unsqueeze(-1) * mask


def _with_guides(video: Tensor, batch: Batch) -> Tensor:
    """A video with the guides of full strength, which have no noise."""
    if _STRENGTHS not in batch:
        return video
    is_full = batch[_STRENGTHS][:1].to(video.device).view(1, 1, -1, 1, 1) == 1
    return torch.where(is_full, batch[_GUIDES].to(video.device, video.dtype), video)


def _video_positions(model: Denoiser, video: Tensor, batch: Batch) -> Tensor | None:
    """Positions of a video's tokens and of appended guides; None lets the network compute them."""
    if _POSITIONS not in batch:
        return None
    guides = batch[_POSITIONS].to(video.device)
    count, _, frames, height, width = video.shape
    own = frames - guides.shape[2] // (height * width)
    positions: Tensor = model.module.rope.prepare_video_coords(
        count, own, height, width, video.device, fps=_frame_rate(batch)
    )
    return torch.cat([positions, guides.expand(count, -1, -1, -1)], 2)


def guide_positions(guide: FrameGuide, config: Config, rate: float) -> Tensor:
    """Positions of an appended guide's tokens: seconds, and pixels down and to the right.

    A guide at frame 0 lies where the video's own frames do. A later one has no shorter first latent
    frame, and an image lasts one frame.

    Source: diffusers, ``LTX2ConditionPipeline._prepare_keyframe_coords``, and for frame 0
    ``LTX2InContextPipeline``.

    Args:
        config: The transformer's configuration.
        rate: Frames per second.
    Returns:
        Start and end of each token, float32, shape (1, 3, tokens, 2).
    """
    ranges = [torch.arange(length, dtype=torch.float32) for length in guide.samples.shape[2:]]
    grid = torch.stack(torch.meshgrid(*ranges, indexing="ij"))
    cells = torch.stack([grid, grid + 1], -1).flatten(1, 3).unsqueeze(0)
    scales = config.get("vae_scale_factors", (TEMPORAL, SPATIAL, SPATIAL))
    positions = cells * torch.tensor(scales, dtype=torch.float32).view(1, 3, 1, 1)
    frames = positions[:, 0]
    if guide.frame == 0:
        frames = (frames + config.get("causal_offset", 1) - scales[0]).clamp(min=0)
    else:
        frames = frames + guide.frame
        if guide.count == 1:
            frames[..., 1:] = frames[..., :1] + 1
    positions[:, 0] = frames / rate
    return positions


def _frame_rate(tensors: Mapping[str, Tensor]) -> float:
    """Frames per second that a prompt states; see `RATE`."""
    if RATE not in tensors:
        return USUAL_RATE
    numerator, denominator = tensors[RATE][0].tolist()
    return float(numerator / denominator)


def sound_length(config: Config, frames: int, rate: float) -> int:
    """Latent frames of a sound that is as long as a video.

    Args:
        config: The transformer's configuration.
        frames, rate: Of the video; the rate in frames per second.
    """
    per_second: float = (
        config.get("audio_sampling_rate", 16000)
        / config.get("audio_hop_length", 160)
        / float(config.get("audio_scale_factor", 4))
    )
    length = round(frames / rate * per_second)
    return max(1, length)


def sound_layout(config: Config, latent: Latent, first: ConditioningEntry) -> SoundLayout:
    """See `SoundPlacement`: the latent's own sound, or sound as long as the video."""
    channels = int(config.get("audio_in_channels", 128)) // SOUND_BANDS
    if latent.sound is None:
        length = sound_length(config, latent.frames, _frame_rate(first.tensors))
    else:
        batch, length = len(latent.sound), latent.sound.shape[2]
        actual = (batch, *latent.sound.shape[1:])
        if batch not in (1, latent.batch_size) or actual[1::2] != (channels, SOUND_BANDS):
            raise InvalidValue(
                "the sound does not fit the model or the video",
                port="latent",
                given=f"sound latents of shape {actual}",
                expected=f"({latent.batch_size}, {channels}, length, {SOUND_BANDS})",
                hint="Encode the sound with the VAE of the same LoadModel.",
            )
    frames = LTX2_LATENTS.latent_frames(latent.frames)
    return SoundLayout(frames, length, channels, SOUND_BANDS)


_CHANNELS = 8


def empty_sound(frames: int, rate: float, batch: int) -> Latent:
    """A latent of silence that is as long as a video, in the published models' format.

    Args:
        frames, rate: Of the video; the rate in frames per second.
        batch: Number of sounds.
    """
    from nodegraph.core.values import Latent

    length = sound_length({}, frames, rate)
    sound = torch.zeros(batch, _CHANNELS, length, SOUND_BANDS)
    return Latent(None, 0, 0, batch, format=LTX2_LATENTS.name, sound=sound)


COMMON: Config = {
    "latent": LTX2_LATENTS,
    "noise": "flow",
    "spread": "ramp",
    "mu": line_mu,
    "multiple": 32,
    "held": TokenMemory(15, 24, patch=1),
    "first_picture": "frame",
    "wide": True,
    "guides_clean": True,
    "takes_guides": True,
    "sound": sound_layout,
    "speedups": ATTENTION_CACHES,
    # Its blocks return the sound beside the video, which no hook of the guiders knows.
    "perturbs_attention": False,
    "skips_blocks": False,
    "lora_signs": (CROSS_ATTENTION_SIGN,),
    "comfyui_type": "ltxv",
}
"""Of all versions."""

LTX2 = LTX2Video(
    "ltx2",
    "LTX-2",
    pipelines=("LTX2Pipeline", "LTX2ImageToVideoPipeline"),
    denoisers=(Part("transformer", ("LTX2VideoTransformer3DModel",), files=(TRANSFORMER,)),),
    encoders=(
        Part("text_encoder", ("Gemma3ForConditionalGeneration",), files=(GEMMA3,)),
        Part("connectors", ("LTX2TextConnectors",), files=(CONNECTORS,)),
    ),
    tokenizers=(Part("tokenizer", ("GemmaTokenizer",), vocabulary="gemma3"),),
    resolutions={"ltx2": Resolutions(768 * 512, 32)},
    **COMMON,
)

_CONNECTORS = replace(
    CONNECTORS,
    name="ltx25-connectors",
    title="the connectors of LTX-2.5, in the file of its transformer",
)
LTX25 = LTX25Video(
    "ltx25",
    "LTX-2.5",
    pipelines=("LTX2Pipeline", "LTX2ImageToVideoPipeline", "LTX2DFRPipeline"),
    denoisers=(Part("transformer", ("LTX2VideoTransformer3DModel",), files=(LATER_TRANSFORMER,)),),
    encoders=(
        Part("text_encoder", ("Gemma4UnifiedForConditionalGeneration",), files=(GEMMA4_12B,)),
        Part("connectors", ("LTX2TextConnectors",), files=(_CONNECTORS,)),
    ),
    tokenizers=(Part("tokenizer", ("GemmaTokenizer",), vocabulary="gemma4"),),
    **COMMON,
)
