"""MiniMax Music 3: songs from a description and lyrics. Imports no torch.

A language model composes 25 frames per second; see `minimax_music3_song`. A flow transformer
denoises 86 latent frames per second of stereo sound, conditioned on the states of these frames, and
a vocoder turns latents into sound.

Long songs are denoised in overlapping windows of eight seconds. Their outputs are averaged at each
step, as in ComfyUI (``comfy/ldm/minimax_music/dit.py``). diffusers' pipeline denoises one window
after the other, which no sampler of a whole latent can do.

Sources: diffusers, ``modular_pipelines/minimax_music3`` and ``models/transformers/
transformer_minimax_music3.py``, by the MiniMax team.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import SECONDS, Config, Family, Part, Warn, encoded
from nodegraph.families.layer_names import JOINT_ATTENTION_SIGN, LoraSign
from nodegraph.families.minimax_music3_files import (
    CONDITIONS,
    DEPTH_DECODER,
    HOP,
    LANGUAGE_MODEL,
    TRANSFORMER,
    VOCODER,
)
from nodegraph.families.minimax_music3_song import (
    FRAMES_PER_SECOND,
    MAX_FRAMES,
    check_text,
    compose,
    song_tokens,
)
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.prompts import MusicPrompt, SongReader
from nodegraph.families.stable_audio import StableAudioFormat, check_no_sound
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import StepMemory

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

CHANNELS = 128
"""Numbers of a latent frame."""
_RATE, _COMPOSED_RATE, _COMPOSED_HOP = 44_100, 24_000, 960
"""Samples per second of the sound, and of what the language model composes; samples of a frame."""
_WINDOW, _STRIDE = 200, 100
"""Frames that the transformer was trained on, and from one window to the next."""
_INSTRUMENTAL = "[intro]\n[inst]\n[outro]"
"""Lyrics of a plain prompt."""
_PLAIN_SECONDS = 8.0
"""Length of a plain prompt's music."""
_CONDITION_ENCODER = "condition_encoder"


def latent_frames(frames: int) -> int:
    """Latent frames that some composed frames are as long as; at least one.

    The order of the operations is that of diffusers' ``MiniMaxMusic3ConditionEncoder``.
    """
    return max(1, int(frames * _RATE / _COMPOSED_RATE * _COMPOSED_HOP / HOP))


def song_latent_frames(seconds: float) -> int:
    """Latent frames of a song of a length, in whole composed frames."""
    return latent_frames(min(max(1, round(seconds * FRAMES_PER_SECOND)), MAX_FRAMES))


@dataclass(frozen=True)
class MiniMaxMusic3Format(StableAudioFormat):
    """Latents of sound alone, which a vocoder decodes; there is no encoder."""

    features: int = CHANNELS

    def fits_config(self, config: Config) -> bool:
        """See `LatentFormat.fits_config`."""
        return True

    def encode_sound(self, modules: Mapping[str, Any], waveform: Tensor) -> Tensor:
        """Refused: a vocoder decodes alone."""
        raise InvalidValue(
            "the vocoder of MiniMax Music 3 decodes sound and encodes none",
            port="vae",
            hint="Sample an EmptyMusicLatent.",
        )

    def decode_sound(self, modules: Mapping[str, Any], sound: Tensor) -> tuple[Tensor, int]:
        """See `LatentFormat.decode_sound`."""
        vocoder = modules["vae"]
        decoded: Tensor = vocoder(sound[:, 0].to(vocoder.dtype))
        return decoded.float().clamp(-1.0, 1.0), self.sound_rate(modules)


MINIMAX_MUSIC3_LATENTS = MiniMaxMusic3Format(
    "minimax-music3",
    1,
    spatial=1,
    autoencoders=("MiniMaxMusic3Vocoder",),
    files=(VOCODER,),
    is_sound=True,
)
"""MiniMax Music 3."""


class MiniMaxMusic3(Family, SongReader):
    """A flow transformer of latent frames beside the frames that a language model composed.

    Its time goes from noise to sound: the timestep is 0 for noise, and it predicts latent - noise.
    Zeros stand for no prompt.
    """

    def channels(self, config: Config) -> int:
        return self.latent.channels

    def trained_size(self, config: Config) -> tuple[int, int]:
        return latent_frames(_WINDOW), CHANNELS

    def step_memory(self, config: Config) -> StepMemory:
        heads = int(config.get("num_attention_heads", 32))
        held = 16 * heads * int(config.get("attention_head_dim", 64))
        return StepMemory(held / CHANNELS, held, 1 / CHANNELS)

    def tokens(self, shape: Sequence[int]) -> int:
        return int(shape[-1])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        """Encode a description of eight seconds without words."""
        return self.encode_music(model, MusicPrompt(text, _INSTRUMENTAL, _PLAIN_SECONDS), warn)

    def check_song_text(self, port: str, text: str) -> None:
        check_text(port, text)

    def encode_music(
        self,
        model: TextModel,
        prompt: MusicPrompt,
        warn: Warn | None = None,
        source: Tensor | None = None,
        reference: Tensor | None = None,
        silence: Tensor | None = None,
    ) -> ConditioningEntry:
        """See `Family.encode_music`; it composes the song, which may end before its length."""
        check_no_sound(self.title, source, reference)
        states = compose(model, song_tokens(model.tokenizers["tokenizer"], prompt), prompt)
        seconds = states.shape[1] / FRAMES_PER_SECOND
        return encoded(
            {
                "embeddings": states.detach().to("cpu", torch.float32),
                SECONDS: torch.tensor([[0.0, seconds]]),
            }
        )

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        depth = model.modules["rvq_depth_decoder"].config
        return encoded({"embeddings": torch.zeros(1, 1, depth.hidden_size * depth.num_codebooks)})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        encoder = model.modules[_CONDITION_ENCODER]
        states, length = entry.embeddings, request.shape[-1]
        width = encoder.config.condition_hidden_dim * encoder.config.num_condition_layers
        if states.ndim != 3 or states.shape[-1] != width:
            raise InvalidValue(
                "the prompt's embeddings do not fit the model",
                port=request.side,
                given=f"shape {tuple(states.shape)}",
                expected=f"shape (1, frames, {width})",
                hint="Encode the prompt with the text encoder of the same LoadModel.",
            )
        condition = torch.zeros(1, length, int(encoder.config.out_dim))
        if bool(states.any()):
            with torch.no_grad():
                heard = encoder(states.to(encoder.device, encoder.dtype))[:, :length]
            # A latent may be longer than its song.
            condition = torch.nn.functional.pad(heard, (0, 0, 0, length - heard.shape[1]))
        return {"embeddings": condition}

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        # Dividing the timestep would round the level, which the pipeline uses as it is.
        level = moment.timestep / moment.training_timesteps
        if moment.sigma:
            level = torch.full_like(level, moment.sigma)
        timestep = (1.0 - level).expand(len(x)).to(x.device, x.dtype)
        sound, condition = x[:, 0], batch["embeddings"].to(x.dtype)
        windows = [*_windows(sound.shape[-1])]
        outputs = torch.zeros_like(sound)
        counts = sound.new_zeros(sound.shape[-1])
        for window in windows:
            output: Tensor = model.module(
                hidden_states=sound[..., window],
                timestep=timestep,
                encoder_hidden_states=condition[:, window],
                return_dict=False,
            )[0]
            if len(windows) == 1:
                return -output.unsqueeze(1)
            outputs[..., window] -= output
            counts[window] += 1
        return (outputs / counts).unsqueeze(1)


def _windows(length: int) -> Iterator[slice]:
    """Overlapping parts of a song, in latent frames; one for a song that is no longer."""
    size, stride = latent_frames(_WINDOW), latent_frames(_STRIDE)
    start = 0
    while start + size < length:
        yield slice(start, start + size)
        start += stride
    yield slice(start, length)


MINIMAX_MUSIC3 = MiniMaxMusic3(
    "minimax-music3",
    "MiniMax Music 3",
    latent=MINIMAX_MUSIC3_LATENTS,
    pipelines=("MiniMaxMusic3ModularPipeline",),
    denoisers=(
        Part("transformer", ("MiniMaxMusic3Transformer1DModel",), files=(TRANSFORMER,)),
        Part(
            _CONDITION_ENCODER,
            ("MiniMaxMusic3ConditionEncoder",),
            files=(CONDITIONS,),
            conditioner=True,
        ),
    ),
    encoders=(
        Part("language_model", ("Qwen3ForCausalLM",), files=(LANGUAGE_MODEL,), only_embeds=True),
        Part("rvq_depth_decoder", ("MiniMaxMusic3RVQDepthDecoder",), files=(DEPTH_DECODER,)),
    ),
    tokenizers=(Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="minimax-music3"),),
    vae="vocoder",
    noise="flow",
    # `predict` turns the time round, so the noise levels are those of other flows.
    scheduler={"num_train_timesteps": 1000, "shift": 1.0, "invert_sigmas": False},
    published_scheduler={"num_train_timesteps": 1, "invert_sigmas": True},
    spread="rising",
    multiple=1,
    joint=False,
    speedups=frozenset(),
    perturbs_attention=False,
    skips_blocks=False,
    lora_signs=(
        LoraSign(
            r"^diffusion_transformer_|^transformer_blocks_\d+_ff_(in|out)(_|$)",
            "MiniMax Music 3",
        ),
        JOINT_ATTENTION_SIGN,
    ),
    comfyui_type="minimax",
)
