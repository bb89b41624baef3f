"""LTX-2: videos with sound from prompts, also with a first image. Imports no torch.

The transformer denoises a video and its sound together. Gemma 3 reads the prompt, and two small
connector networks turn its layers into the embeddings for the video and for the sound.

Sources: diffusers, ``pipelines/ltx2`` and ``models/transformers/transformer_ltx2.py``;
https://huggingface.co/Lightricks/LTX-2
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
    check_video_size,
    denoise_mask,
    with_first_frame,
)
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN
from nodegraph.families.ltx import LTX_SCHEDULER, LTXFormat
from nodegraph.families.model_step import Batch, Moment, SamplingRequest, SoundLayout
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.renamed_layouts import denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry, Latent
    from nodegraph.families.components import Denoiser, TextModel

SOUND_BANDS = 16
"""Mel bands of a sound latent; the decoder makes four of each."""
USUAL_RATE = 24.0
"""Frames per second of a video whose conditioning does not state them."""

_TOKENS = 1024
_SOUND_EMBEDDINGS, _SOUND = "sound_embeddings", "sound_layout"
"""Tensors of a prompt: its embeddings for the sound, and the fields of `SoundLayout`, (1, 4)."""


class LTX2Format(LTXFormat):
    """Videos and their sound, each with a mean and a deviation per channel beside the weights."""

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
                hint="Use the VAE output of LoadModel.",
            )
        return modules[role]


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
    spatial=32,
    temporal=8,
    autoencoders=("AutoencoderKLLTX2Video",),
    sound_parts=(
        ("audio_vae", ("AutoencoderKLLTX2Audio",)),
        ("vocoder", ("LTX2Vocoder", "LTX2VocoderWithBWE")),
    ),
)
"""LTX-2."""


_HEADS = 32
"""Of both streams, in all published models; no tensor shows it."""

_ATTENTIONS = ("attn1", "attn2", "audio_attn1", "audio_attn2")
_CROSS_ATTENTIONS = ("audio_to_video_attn", "video_to_audio_attn")
_EMBEDDERS = {
    "time_embed": "adaln_single",
    "audio_time_embed": "audio_adaln_single",
    "av_cross_attn_video_scale_shift": "av_ca_video_scale_shift_adaln_single",
    "av_cross_attn_video_a2v_gate": "av_ca_a2v_gate_adaln_single",
    "av_cross_attn_audio_scale_shift": "av_ca_audio_scale_shift_adaln_single",
    "av_cross_attn_audio_v2a_gate": "av_ca_v2a_gate_adaln_single",
    "prompt_adaln": "prompt_adaln_single",
    "audio_prompt_adaln": "audio_prompt_adaln_single",
}
_EMBEDDER_LAYERS = (
    "emb.timestep_embedder.linear_1",
    "emb.timestep_embedder.linear_2",
    "linear",
)
_BLOCK = "transformer_blocks.*."
_LAYER_NAMES: Table = (
    ("proj_in", "patchify_proj"),
    ("audio_proj_in", "audio_patchify_proj"),
    *(
        (f"{_BLOCK}{name}.norm_{letter}", f"{_BLOCK}{name}.{letter}_norm")
        for name in (*_ATTENTIONS, *_CROSS_ATTENTIONS)
        for letter in "qk"
    ),
    *(
        (f"{ours}.{layer}", f"{original}.{layer}")
        for ours, original in _EMBEDDERS.items()
        for layer in _EMBEDDER_LAYERS
    ),
    *(
        (
            f"{_BLOCK}{stream}_a2v_cross_attn_scale_shift_table",
            f"{_BLOCK}scale_shift_table_a2v_ca_{stream}",
        )
        for stream in ("video", "audio")
    ),
)


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["proj_in.weight"]
    sound_width, sound_channels = shapes["audio_proj_in.weight"]
    block = "transformer_blocks.0."
    config = {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0],
        "num_attention_heads": _HEADS,
        "attention_head_dim": width // _HEADS,
        "cross_attention_dim": shapes[f"{block}attn2.to_k.weight"][1],
        "audio_in_channels": sound_channels,
        "audio_out_channels": shapes["audio_proj_out.weight"][0],
        "audio_num_attention_heads": _HEADS,
        "audio_attention_head_dim": sound_width // _HEADS,
        "audio_cross_attention_dim": shapes[f"{block}audio_attn2.to_k.weight"][1],
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "rope_type": "split",
        "rope_double_precision": True,
        # LTX-2.3 differs from 2.0 in these.
        "gated_attn": f"{block}attn1.to_gate_logits.weight" in shapes,
        "audio_gated_attn": f"{block}audio_attn1.to_gate_logits.weight" in shapes,
        "cross_attn_mod": f"{block}prompt_scale_shift_table" in shapes,
        "audio_cross_attn_mod": f"{block}audio_prompt_scale_shift_table" in shapes,
        "use_prompt_embeddings": "caption_projection.linear_1.weight" in shapes,
    }
    if config["use_prompt_embeddings"]:
        config["caption_channels"] = shapes["caption_projection.linear_1.weight"][1]
    return config


_FILE = denoiser_layout(
    "ltx2-transformer",
    "the transformer of LTX-2",
    "LTX2VideoTransformer3DModel",
    marks=(
        ("patchify_proj.weight", "audio_patchify_proj.weight"),
        ("proj_in.weight", "audio_proj_in.weight"),
    ),
    names=OriginalNames(_LAYER_NAMES),
    config=_config,
    scheduler=LTX_SCHEDULER,
    # LTX-2.5 has feed-forward layers without bias, and another text encoder.
    without=("keyframes_abs_pos_embedding",),
    unused=("video_embeddings_connector.", "audio_embeddings_connector."),
)


class LTX2Video(Family):
    """A transformer of a video and its sound. Each cell of the video is a token, and so is each
    latent frame of the sound."""

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
        layout = request.sound
        if layout is None:
            return fitted
        numbers = [layout.frames, layout.length, layout.channels, layout.bands]
        return {**fitted, _SOUND: torch.tensor([numbers])}

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """In the pipeline's order, which sums several guidance terms."""
        return towards + (cfg - 1) * (towards - away)

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
        cells = with_first_frame(video, first).flatten(2).transpose(1, 2).contiguous()
        timestep = moment.timestep.expand(len(x))
        of_video = timestep
        if first is not None:
            of_video = timestep.unsqueeze(-1) * denoise_mask(video, first).flatten()
        of_cells, of_sound = model.module(
            hidden_states=cells.to(model.dtype),
            audio_hidden_states=heard.to(model.dtype),
            encoder_hidden_states=batch["embeddings"],
            audio_encoder_hidden_states=batch[_SOUND_EMBEDDINGS],
            timestep=of_video,
            audio_timestep=timestep,
            sigma=timestep,
            encoder_attention_mask=batch["mask"],
            audio_encoder_attention_mask=batch["mask"],
            num_frames=frames,
            height=height,
            width=width,
            fps=_frame_rate(batch),
            audio_num_frames=heard.shape[1],
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


LTX2 = LTX2Video(
    "ltx2",
    "LTX-2",
    latent=LTX2_LATENTS,
    pipelines=("LTX2Pipeline", "LTX2ImageToVideoPipeline"),
    denoisers=(Part("transformer", ("LTX2VideoTransformer3DModel",), files=(_FILE,)),),
    encoders=(
        Part("text_encoder", ("Gemma3ForConditionalGeneration",)),
        Part("connectors", ("LTX2TextConnectors",)),
    ),
    tokenizers=(Part("tokenizer", ("GemmaTokenizer",)),),
    noise="flow",
    spread="ramp",
    mu=line_mu,
    multiple=32,
    held=TokenMemory(15, 24, patch=1),
    first_picture="frame",
    wide=True,
    guides_clean=True,
    sound=sound_layout,
    speedups=ATTENTION_CACHES,
    # Its blocks return the sound beside the video, which no hook of the guiders knows.
    perturbs_attention=False,
    skips_blocks=False,
    resolutions={"ltx2": Resolutions(768 * 512, 32)},
    lora_signs=(CROSS_ATTENTION_SIGN,),
)
