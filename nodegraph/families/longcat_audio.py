"""LongCat-AudioDiT: speech and sounds of up to half a minute from a text. Imports no torch.

A flow transformer denoises 11.7 latent frames per second of mono sound. UMT5 reads the text.

Source: diffusers, ``pipelines/longcat_audio_dit``, by the LongCat team.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.families.ace_step import AceStepFormat
from nodegraph.families.base import Config, Family, Part, Warn, encoded
from nodegraph.families.cosmos import PREDICT2_SIGN
from nodegraph.families.layer_names import SELF_AND_CROSS_SIGN
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.prompts import MusicPrompt
from nodegraph.families.stable_audio import check_tags_alone
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import StepMemory
from nodegraph.weights.single_files.language import UMT5, UMT5_GGUF, UMT5_ORIGINAL
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

CHANNELS = 64
"""Numbers of a latent frame."""
RATE, HOP = 24_000, 2_048
"""Samples per second, and those of a latent frame, of the published model."""
MAX_SECONDS = 30.0
_LENGTH, _PROMPT = "length", "prompt"
"""Tensors of a batch: tokens of each row's text, and its number among the prompts; (rows,)."""
_MOST_TOKENS, _USUAL_TOKENS = 32_768, 512
_EPS = 1e-6


@dataclass(frozen=True)
class LongCatAudioFormat(AceStepFormat):
    """Latents of mono sound alone, as an image of one channel: a row for each latent frame."""

    def sound_rate(self, modules: Mapping[str, Any]) -> int:
        """See `LatentFormat.sound_rate`."""
        return int(modules["vae"].config.sample_rate)

    def fits_config(self, config: Config) -> bool:
        """See `LatentFormat.fits_config`."""
        return True

    def reference_part(self, waveform: Tensor, rate: int) -> Tensor:
        """See `LatentFormat.reference_part`."""
        return waveform

    def encode_sound(self, modules: Mapping[str, Any], waveform: Tensor) -> Tensor:
        """See `LatentFormat.encode_sound`; channels are mixed, and silence fills the last latent
        frame."""
        vae = modules["vae"]
        missing = -waveform.shape[-1] % int(vae.config.downsampling_ratio)
        mono = torch.nn.functional.pad(waveform.mean(1, keepdim=True), (0, missing))
        latents: Tensor = vae.encode(mono, sample_posterior=False).latents
        return latents.transpose(1, 2).unsqueeze(1)

    def decode_sound(self, modules: Mapping[str, Any], sound: Tensor) -> tuple[Tensor, int]:
        """See `LatentFormat.decode_sound`."""
        decoded: Tensor = modules["vae"].decode(sound[:, 0].transpose(1, 2)).sample
        return decoded.float(), self.sound_rate(modules)


LONGCAT_AUDIO_LATENTS = LongCatAudioFormat(
    "longcat-audio",
    1,
    spatial=1,
    autoencoders=("LongCatAudioDiTVae",),
    is_sound=True,
)
"""LongCat-AudioDiT."""


def longcat_frames(seconds: float) -> int:
    """Latent frames of a sound of a length, rounded down as in diffusers; at least one."""
    return max(1, int(min(seconds, MAX_SECONDS) * RATE // HOP))


class LongCatAudio(Family):
    """A flow transformer of latent frames that attends to a text.

    Its time goes from noise to sound: the timestep is 0 for noise, and it predicts latent - noise.
    Without a negative prompt, guidance goes from zeros that are as long as the prompt.
    """

    def channels(self, config: Config) -> int:
        return self.latent.channels

    def trained_size(self, config: Config) -> tuple[int, int]:
        return CHANNELS, longcat_frames(MAX_SECONDS)

    def context_width(self, config: Config) -> int | None:
        return int(config["dit_text_dim"])

    def step_memory(self, config: Config) -> StepMemory:
        held = 16 * int(config.get("dit_dim", 1536))
        return StepMemory(held / CHANNELS, held * _USUAL_TOKENS, 1 / CHANNELS)

    def tokens(self, shape: Sequence[int]) -> int:
        return int(shape[-2])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return _encoded(model, plain_text(text), warn)

    def encode_music(
        self,
        model: TextModel,
        prompt: MusicPrompt,
        warn: Warn | None = None,
        source: Tensor | None = None,
        reference: Tensor | None = None,
        silence: Tensor | None = None,
    ) -> ConditioningEntry:
        """See `Family.encode_music`; the model reads tags alone."""
        check_tags_alone(self.title, prompt, source, reference, warn)
        return self.encode(model, prompt.tags, warn)

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        width = int(model.modules["text_encoder"].config.d_model)
        return encoded({"embeddings": torch.zeros(1, 1, width)})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        return {"embeddings": fitted["embeddings"]}

    def groups(self, prompts: Sequence[Mapping[str, Tensor]]) -> list[list[int]]:
        """All together: what stands for no prompt is as long as the longest of the others."""
        return [[*range(len(prompts))]]

    def join(self, prompts: Sequence[Mapping[str, Tensor]], batch: int) -> Batch:
        lengths = [prompt["embeddings"].shape[1] for prompt in prompts]
        longest = max(lengths)
        widened = []
        for index, (prompt, length) in enumerate(zip(prompts, lengths, strict=True)):
            text = prompt["embeddings"]
            own = length if bool(text.any()) else longest
            widened.append(
                {
                    "embeddings": torch.nn.functional.pad(text, (0, 0, 0, longest - text.shape[1])),
                    _LENGTH: torch.tensor([own], device=text.device),
                    _PROMPT: torch.tensor([index], device=text.device),
                }
            )
        return super().join(widened, batch)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        # As the pipeline's scheduler computes it, whose rounding shows.
        level = torch.full_like(moment.timestep, moment.sigma, dtype=torch.float32)
        count = moment.training_timesteps
        time = (1.0 - level) * count / count
        outputs = []
        # Prompts one after the other, as in the pipeline: a batch would change last bits.
        for prompt in batch[_PROMPT].unique().tolist():
            rows = batch[_PROMPT] == prompt
            sound, length = x[rows, 0], int(batch[_LENGTH][rows][0])
            text = batch["embeddings"][rows, :length]
            ones = torch.ones(1, dtype=torch.bool, device=x.device)
            outputs.append(
                model.module(
                    hidden_states=sound,
                    encoder_hidden_states=text,
                    encoder_attention_mask=ones.expand(text.shape[:2]),
                    timestep=time.expand(len(sound)).to(x.device, text.dtype),
                    attention_mask=ones.expand(sound.shape[:2]),
                    latent_cond=torch.zeros_like(sound),
                    return_dict=False,
                )[0]
            )
        return -torch.cat(outputs).unsqueeze(1)


def plain_text(text: str) -> str:
    """A text in lower case without double quotation marks and runs of spaces."""
    return re.sub(r"\s+", " ", re.sub(r'["“”‘’]', " ", text.lower())).strip()


def _encoded(model: TextModel, text: str, warn: Warn | None) -> ConditioningEntry:
    """The last states of UMT5 with those of its embeddings added, each normalized."""
    from nodegraph.families.text_encoders import warn_of_cut

    tokenizer, encoder = model.tokenizers["tokenizer"], model.modules["text_encoder"]
    known = int(tokenizer.model_max_length)
    most = known if 0 < known <= _MOST_TOKENS else _USUAL_TOKENS
    tokens = tokenizer(text, truncation=True, max_length=most, return_tensors="pt")
    if warn is not None and tokens["input_ids"].shape[1] == most:
        warn_of_cut(tokenizer, text, most, warn)
    output = encoder(
        input_ids=tokens["input_ids"].to(encoder.device),
        attention_mask=tokens["attention_mask"].to(encoder.device),
        output_hidden_states=True,
    )
    last, first = (
        torch.nn.functional.layer_norm(item, item.shape[-1:], eps=_EPS)
        for item in (output.last_hidden_state, output.hidden_states[0])
    )
    return encoded({"embeddings": (last + first).detach().to("cpu", torch.float32)})


LONGCAT_AUDIO = LongCatAudio(
    "longcat-audio",
    "LongCat-AudioDiT",
    latent=LONGCAT_AUDIO_LATENTS,
    pipelines=("LongCatAudioDiTPipeline",),
    denoisers=(Part("transformer", ("LongCatAudioDiTTransformer",)),),
    encoders=(Part("text_encoder", ("UMT5EncoderModel",), files=(UMT5, UMT5_ORIGINAL, UMT5_GGUF)),),
    tokenizers=(Part("tokenizer", ("T5Tokenizer",), vocabulary="umt5"),),
    noise="flow",
    # `predict` turns the time round, so the noise levels are those of other flows.
    scheduler={**EULER_FLOW, "shift": 1.0, "invert_sigmas": False},
    published_scheduler={"invert_sigmas": True},
    spread="rising32",
    multiple=1,
    positive_first=True,
    speedups=frozenset(),
    perturbs_attention=False,
    skips_blocks=False,
    lora_signs=(
        SELF_AND_CROSS_SIGN,
        # Norms have the same names there.
        PREDICT2_SIGN,
    ),
)
