"""GLM-Image. Imports no torch.

A language model first generates the picture as image tokens, one for 32 x 32 pixels, by the prompt
and a seed. The transformer then denoises a latent by these prior tokens, and by what ByT5 reads of
the texts in quotation marks.

Source: diffusers' pipeline ``GlmImagePipeline`` and its transformer, and transformers' model
``GlmImageForConditionalGeneration`` with its processor, by Zhipu AI.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from nodegraph.errors import InvalidValue
from nodegraph.families.base import (
    ATTENTION_CACHES,
    CROP,
    TARGET_SIZE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.cogview4 import root_mu, shift_factor, unshifted_timestep
from nodegraph.families.image_conditioning import PRIOR_TOKENS
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_PRIOR = "vision_language_encoder"
"""Role of the language model that generates prior tokens."""
_PIXELS = 32
"""Pixels along the side of a prior token."""
_CELLS = 4
"""Latent cells along the side of a prior token; a token of the transformer has half of them."""
_PREVIEW = 16
"""Prior tokens along the side of the square preview, which the model generates first."""
_TOKENS = 2048
"""Of a text in quotation marks at the most."""
_MAX_SIDE = 512
"""Prior tokens along a side at the most."""
_PROMPT, _NUMBERS = "prompt_tokens", "number_tokens"
"""Tensors of a prompt, for the language model: its tokens, int64, (1, tokens), with `_SIZE` and
`_PREVIEW_SIZE` where sizes belong; and those of each number, first without and then with a space
before it, int64, (1, 2, numbers, tokens), -1 behind shorter ones."""
_SIZE, _PREVIEW_SIZE = -1, -2
_KEPT = 16
"""Sets of prior tokens that are kept for each language model."""
_QUOTED = (
    r"'([^']*)'",
    "\u201c([^\u201c\u201d]*)\u201d",
    r'"([^"]*)"',
    "\u300c([^\u300c\u300d]*)\u300d",
)
"""Texts in quotation marks, in the order in which ByT5 reads them."""


class GlmImageFormat(LatentFormat):
    """Images whose autoencoder states a mean and a deviation for each channel."""

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        mean, deviation = _statistics(vae, pixels)
        latents: Tensor = (vae.encode(pixels).latent_dist.mode() - mean) / deviation
        return latents

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        mean, deviation = _statistics(vae, latents)
        pixels: Tensor = vae.decode(latents * deviation + mean, return_dict=False)[0]
        return pixels


def _statistics(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel; (1, channels, 1, 1)."""
    mean, deviation = (
        torch.tensor(vae.config[name]).view(1, -1, 1, 1).to(like.device, like.dtype)
        for name in ("latents_mean", "latents_std")
    )
    return mean, deviation


GLM_IMAGE_LATENTS = GlmImageFormat("glm-image", 16)


class GlmImage(Family):
    """A transformer that adds the embeddings of prior tokens to those of the latent.

    The language model belongs to the denoiser, as what it generates depends on the size and the
    seed of a sampling. All items of a batch share the prior tokens, which have the first item's
    seed. Negative prompts have none.
    """

    def context_width(self, config: Config) -> int | None:
        return int(config["text_embed_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return encoded(
            {
                "embeddings": _glyph_states(model, text, warn),
                **_prompt_tokens(model.tokenizers["processor"], text),
            }
        )

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        return encoded({"embeddings": _glyph_states(model, "", None)})

    def matched(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        if first.dtype == torch.int64:
            # The language model reads the first prompt: tokens have no mean.
            return first, first
        return super().matched(first, second)

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        fitted[TARGET_SIZE] = torch.tensor([[float(request.height), float(request.width)]])
        fitted[CROP] = torch.zeros(1, 2)
        tokens, numbers = fitted.pop(_PROMPT, None), fitted.pop(_NUMBERS, None)
        fitted[PRIOR_TOKENS] = torch.full((1, 1, *request.shape[-2:]), -1)
        if tokens is not None and numbers is not None and request.side == "positive":
            grid = _prior_grid(model, tokens, numbers, request)
            spread = grid.repeat_interleave(_CELLS, 0).repeat_interleave(_CELLS, 1)
            fitted[PRIOR_TOKENS] = spread[None, None]
        return fitted

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        shift = shift_factor(model.scheduler_config, self.tokens(x.shape))
        patch = int(model.config["patch_size"])
        prior = batch[PRIOR_TOKENS][:, 0, ::patch, ::patch].flatten(1)
        output: Tensor = model.module(
            hidden_states=x.to(model.dtype),
            encoder_hidden_states=batch["embeddings"],
            prior_token_id=prior.clamp(min=0),
            prior_token_drop=prior < 0,
            # The model counts timesteps from 0.
            timestep=(unshifted_timestep(moment, shift) - 1).expand(len(x)),
            target_size=batch[TARGET_SIZE],
            crop_coords=batch[CROP],
            return_dict=False,
        )[0]
        return output.float()


def _glyph_states(model: TextModel, text: str, warn: Warn | None) -> Tensor:
    """What ByT5 makes of the texts in quotation marks; float32 on the CPU, (1, tokens, width)."""
    from nodegraph.families.text_encoders import t5_states, warn_of_cut

    tokenizer = model.tokenizers["tokenizer"]
    texts = [quoted for pattern in _QUOTED for quoted in re.findall(pattern, text)] or [""]
    if warn is not None:
        warn_of_cut(tokenizer, texts, _TOKENS, warn)
    read = tokenizer(texts, max_length=_TOKENS, truncation=True).input_ids
    padding = tokenizer.pad_token_id
    # The pipeline begins each with padding if their number is even, which the mask counts as text.
    rows = [[padding] * ((len(read) + 1) % 2) + ids for ids in read]
    length = max(map(len, rows))
    mask = torch.tensor([[1] * len(ids) + [0] * (length - len(ids)) for ids in rows])
    ids = torch.tensor([ids + [padding] * (length - len(ids)) for ids in rows])
    tokens = {"input_ids": ids, "attention_mask": mask}
    states = t5_states(model.modules["text_encoder"], tokens, masked=True)
    return states[mask.bool()].unsqueeze(0)


def _prompt_tokens(tokenizer: Any, text: str) -> dict[str, Tensor]:
    """The tensors `_PROMPT` and `_NUMBERS` of a prompt.

    Raises:
        InvalidValue: The tokenizer lacks the marks around sizes; on port ``encoder``.
    """
    start, end = (getattr(tokenizer, f"grid_{side}_token", None) for side in ("bos", "eos"))
    if start is None or end is None or tokenizer.bos_token is None:
        raise InvalidValue(
            "the tokenizer of the prompt is not that of GLM-Image",
            port="encoder",
            given="a tokenizer without grid_bos_token, grid_eos_token or bos_token",
            expected="the processor folder of GLM-Image",
        )
    content = [{"type": "text", "text": text}]
    chat = tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
    size = f"{start}1 1{end}"
    # As transformers' processor: a template that writes the first token needs no second one.
    special = not chat.startswith(tokenizer.bos_token)
    whole = f"{chat}{size}{size}{tokenizer.bos_token}"
    ids: list[int] = tokenizer(whole, add_special_tokens=special)["input_ids"]
    # The last two are those of the sizes, whatever the prompt says.
    starts, ends = (
        [at for at, token in enumerate(ids) if token == tokenizer.convert_tokens_to_ids(mark)][-2:]
        for mark in (start, end)
    )
    parts = ids[: starts[0] + 1], ids[ends[0] : starts[1] + 1], ids[ends[1] :]
    joined = [*parts[0], _SIZE, *parts[1], _PREVIEW_SIZE, *parts[2]]
    texts = [f"{space}{number}" for space in ("", " ") for number in range(_MAX_SIDE + 1)]
    numbers: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    longest = max(map(len, numbers))
    table = torch.tensor([each + [-1] * (longest - len(each)) for each in numbers])
    return {_PROMPT: torch.tensor([joined]), _NUMBERS: table.view(1, 2, _MAX_SIDE + 1, longest)}


@dataclass(frozen=True, slots=True)
class _PriorSize:
    """Rows and columns of prior tokens, and those of the preview that precedes them."""

    rows: int
    columns: int
    preview_rows: int
    preview_columns: int

    @classmethod
    def of(cls, width: int, height: int) -> _PriorSize:
        """For a picture, in pixels; as transformers' processor of GLM-Image has them."""
        rows, columns = height // _PIXELS, width // _PIXELS
        ratio = rows / columns
        return cls(
            rows, columns, int(math.sqrt(ratio) * _PREVIEW), int(math.sqrt(1 / ratio) * _PREVIEW)
        )

    @property
    def preview(self) -> int:
        """Tokens of the preview."""
        return self.preview_rows * self.preview_columns

    @property
    def count(self) -> int:
        """Tokens of the picture."""
        return self.rows * self.columns

    def fill(self, tokens: Tensor, numbers: Tensor) -> Tensor:
        """The tokens of a prompt with those of the sizes in it; arguments as `_PROMPT` says."""
        sizes = {
            _SIZE: (self.rows, self.columns),
            _PREVIEW_SIZE: (self.preview_rows, self.preview_columns),
        }
        ids: list[int] = []
        for token in tokens[0].tolist():
            if token not in sizes:
                ids.append(token)
                continue
            for spaced, number in enumerate(sizes[token]):
                ids += [each for each in numbers[0, spaced, number].tolist() if each >= 0]
        return torch.tensor([ids])


_LOCK = Lock()
"""Held while a language model generates: it keeps positions between its steps."""
_PRIORS: WeakKeyDictionary[Any, OrderedDict[tuple[Any, ...], Tensor]] = WeakKeyDictionary()
"""The latest prior tokens of each language model: generating them takes longer than many steps."""


def _prior_grid(
    model: Denoiser, tokens: Tensor, numbers: Tensor, request: SamplingRequest
) -> Tensor:
    """The prior tokens of a prompt; int64 on the CPU, (rows, columns).

    Args:
        tokens, numbers: As `_PROMPT` says.
    Raises:
        InvalidValue: There is no seed, the picture is too large, or the tokens are no picture.
    """
    if request.seed is None:
        raise InvalidValue(
            "GLM-Image plans whole pictures, and cannot be evaluated in tiles",
            port=request.side,
            hint="Sample the whole picture at once.",
        )
    size = _PriorSize.of(request.width, request.height)
    if max(size.rows, size.columns) > _MAX_SIDE:
        raise InvalidValue(
            "the picture is too large for GLM-Image",
            port="latent",
            given=f"{request.width} x {request.height}",
            expected=f"at most {_MAX_SIDE * _PIXELS} pixels along a side",
        )
    ids, writer = size.fill(tokens, numbers), model.modules[_PRIOR]
    key = (tuple(ids[0].tolist()), request.seed, size, writer.device, writer.dtype)
    with _LOCK:
        known = _PRIORS.setdefault(writer, OrderedDict())
        if key not in known:
            settings = model.settings.get(_PRIOR, {})
            known[key] = _generated(writer, settings, ids, size, request.seed)
            if len(known) > _KEPT:
                known.popitem(last=False)
        known.move_to_end(key)
        grid = known[key]
    codes = int(model.config["prior_vq_quantizer_codebook_size"])
    if len(grid) < size.count or int(grid.max()) >= codes:
        raise InvalidValue(
            "the language model of GLM-Image ended before the picture was whole",
            port=request.side,
            given=f"{int((grid < codes).sum())} image tokens",
            expected=f"{size.count} image tokens",
            hint="Choose another seed.",
        )
    return grid.view(size.rows, size.columns)


def _generated(writer: Any, settings: Config, ids: Tensor, size: _PriorSize, seed: int) -> Tensor:
    """The tokens of the picture as the language model draws them; int64 on the CPU, (tokens,).

    Args:
        settings: Content of its ``generation_config.json``; empty if there is none.
    """
    from transformers import GenerationConfig

    if settings:
        writer.generation_config = GenerationConfig.from_dict(dict(settings))
    sizes = [
        [1, size.rows, size.columns],
        [1, size.preview_rows, size.preview_columns],
    ]
    device = writer.device
    # On the CPU, as all noise is drawn: a seed has the same numbers on each device.
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        tokens = writer.generate(
            input_ids=ids.to(device),
            attention_mask=torch.ones_like(ids, device=device),
            image_grid_thw=torch.tensor(sizes, device=device),
            images_per_sample=torch.tensor([len(sizes)], device=device),
            max_new_tokens=size.count + size.preview + 1,
            do_sample=True,
            custom_generate=_sampling_with(generator),
        )
    begin = ids.shape[1] + size.preview
    picture: Tensor = tokens[0, begin : begin + size.count].cpu()
    return picture


def _sampling_with(generator: torch.Generator) -> Callable[..., Any]:
    """A decoding method for transformers' `generate` that samples with a generator.

    The usual one samples with torch's global generator, whose state other threads change.
    """
    from transformers import LogitsProcessorList

    def draw(_: Tensor, scores: Tensor) -> Tensor:
        chances = torch.nn.functional.softmax(scores, dim=-1).cpu()
        drawn = torch.multinomial(chances, 1, generator=generator)
        return torch.zeros_like(scores).scatter_(1, drawn.to(scores.device), 1.0)

    def decode(
        model: Any, input_ids: Tensor, logits_processor: Sequence[Any], **options: Any
    ) -> Any:
        # The highest score is the token that was drawn.
        options["generation_config"].do_sample = False
        return model._sample(
            input_ids, logits_processor=LogitsProcessorList([*logits_processor, draw]), **options
        )

    return decode


GLM_IMAGE = GlmImage(
    "glm-image",
    "GLM-Image",
    latent=GLM_IMAGE_LATENTS,
    pipelines=("GlmImagePipeline",),
    denoisers=(
        Part("transformer", ("GlmImageTransformer2DModel",)),
        Part(_PRIOR, ("GlmImageForConditionalGeneration",), conditioner=True),
    ),
    encoders=(Part("text_encoder", ("T5EncoderModel",)),),
    tokenizers=(
        Part("tokenizer", ("ByT5Tokenizer",)),
        Part("processor", ("PreTrainedTokenizerFast",), processor="GlmImageProcessor"),
    ),
    noise="flow",
    spread="open_whole",
    mu=root_mu,
    extra_configs=(f"{_PRIOR}/generation_config.json",),
    needs_seed=True,
    multiple=_PIXELS,
    held=TokenMemory(22, 256),
    joint=False,
    wide=True,
    speedups=ATTENTION_CACHES,
    block_outputs={"GlmImageTransformerBlock": (0, 1)},
    resolutions={"glm-image": Resolutions(1024 * 1024, _PIXELS)},
    lora_signs=(CROSS_ATTENTION_SIGN,),
)
