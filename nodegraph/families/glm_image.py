"""GLM-Image. Imports no torch.

A language model first generates the picture as image tokens, one for 32 x 32 pixels, by the prompt
and a seed. The transformer then denoises a latent by these prior tokens, and by what ByT5 reads of
the texts in quotation marks. The language model reads images to edit as tokens, too, and the
transformer attends to their latents.

Source: diffusers' pipeline ``GlmImagePipeline`` and its transformer, and transformers' model
``GlmImageForConditionalGeneration`` with its processor, by Zhipu AI.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

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
from nodegraph.families.glm_image_prior import (
    PIXELS,
    PROCESSOR,
    WRITER,
    PriorPrompt,
    prior_grid,
    prompt_tokens,
    reference_tokens,
)
from nodegraph.families.image_conditioning import PRIOR_TOKENS
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.patches import reference_tensors
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_CELLS = 4
"""Latent cells along the side of a prior token; a token of the transformer has half of them."""
_TOKENS = 2048
"""Of a text in quotation marks at the most."""
_KEYS, _VALUES = "reference_keys", "reference_values"
"""Tensors of a fitted prompt: what the attention of each layer reads of the images to edit,
(1, layers, tokens, heads, head width)."""
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
    seed. Negative prompts have none, and see no images to edit.

    The transformer reads images to edit once, before the first step: without the LoRAs of single
    prompts.
    """

    def context_width(self, config: Config) -> int | None:
        return int(config["text_embed_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_edit(model, text, (), warn)

    def encode_edit(
        self, model: TextModel, text: str, images: Sequence[Tensor], warn: Warn | None = None
    ) -> ConditioningEntry:
        return encoded(
            {
                "embeddings": _glyph_states(model, text, warn),
                **prompt_tokens(model.tokenizers[PROCESSOR], text, images),
            }
        )

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        return encoded({"embeddings": _glyph_states(model, "", None)})

    def matched(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        if not first.is_floating_point():
            # The language model reads the first prompt: tokens and images have no mean.
            return first, first
        return super().matched(first, second)

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        fitted[TARGET_SIZE] = torch.tensor([[float(request.height), float(request.width)]])
        fitted[CROP] = torch.zeros(1, 2)
        prompt = PriorPrompt.take(fitted)
        fitted[PRIOR_TOKENS] = torch.full((1, 1, *request.shape[-2:]), -1)
        if prompt is not None and request.side == "positive":
            references = [reference_tokens(model, image) for image in prompt.images]
            _check_references(references, entry.references, request)
            grid = prior_grid(model, prompt, references, request)
            fitted[PRIOR_TOKENS] = _upsampled(grid, _CELLS)[None, None]
            if references:
                fitted |= _reference_attention(model, references, entry.references)
        return fitted | reference_tensors(entry.references, request.side)

    def join(self, prompts: Sequence[Mapping[str, Tensor]], batch: int) -> Batch:
        """As `Family.join`; items share what is read of images to edit, which is large."""
        shared = {name: prompts[0][name] for name in (_KEYS, _VALUES) if name in prompts[0]}
        plain = [
            {name: item for name, item in prompt.items() if name not in shared}
            for prompt in prompts
        ]
        return {**super().join(plain, batch), **shared}

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
            kv_caches=_attention_cache(batch),
            return_dict=False,
        )[0]
        return output.float()


def _upsampled(grid: Tensor, factor: int) -> Tensor:
    """Repeat each prior token of shape (rows, columns) along both sides."""
    return grid.repeat_interleave(factor, 0).repeat_interleave(factor, 1)


def _check_references(
    tokens: Sequence[Tensor], latents: Sequence[Tensor], request: SamplingRequest
) -> None:
    """Refuse images of a prompt that are not those of its reference latents.

    Raises:
        InvalidValue: On the port of the side.
    """
    sizes = [(item.shape[1] * PIXELS, item.shape[0] * PIXELS) for item in tokens]
    cells = PIXELS // _CELLS
    latent_sizes = [(item.shape[-1] * cells, item.shape[-2] * cells) for item in latents]
    if sizes == latent_sizes:
        return
    raise InvalidValue(
        "the images of the prompt and its reference latents do not match",
        port=request.side,
        given=f"a prompt with {_sizes(sizes)}, and reference latents of {_sizes(latent_sizes)}",
        expected="the same images in the same order, with latents of the prompt's sizes",
        hint="Scale each image to the size of the prompt before the VAEEncode for "
        "ReferenceLatents, and link it to EncodeEditPrompt.",
    )


def _sizes(sizes: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{width} x {height}" for width, height in sizes) or "no images"


def _reference_attention(
    model: Denoiser, tokens: Sequence[Tensor], latents: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Return the tensors `_KEYS` and `_VALUES` of images to edit, one after the other.

    Args:
        tokens: Prior tokens of each image, shape (rows, columns).
        latents: Latents of each image, shape (1, channels, rows * 4, columns * 4).
    """
    from diffusers.models.transformers.transformer_glm_image import GlmImageKVCache

    network, device = model.module, model.device
    caches = GlmImageKVCache(num_layers=int(model.config["num_layers"]))
    caches.set_mode("write")
    per_token = _CELLS // int(model.config["patch_size"])
    width = int(model.config["text_embed_dim"])
    for number, (grid, latent) in enumerate(zip(tokens, latents, strict=True), 1):
        prior = _upsampled(grid, per_token).flatten().to(device)
        rows, columns = grid.shape
        context: AbstractContextManager[object] = nullcontext()
        if model.caching is not None:
            # Hooks of a step cache need a name for what is kept; images differ in size.
            context = network.cache_context(f"reference {number}")
        with torch.no_grad(), context:
            network(
                hidden_states=latent.to(device, model.dtype),
                encoder_hidden_states=torch.zeros(1, 0, width, dtype=model.dtype, device=device),
                prior_token_id=prior,
                prior_token_drop=torch.zeros_like(prior, dtype=torch.bool),
                timestep=torch.zeros(1, device=device),
                target_size=torch.tensor([[rows * PIXELS, columns * PIXELS]], device=device),
                crop_coords=torch.zeros(1, 2, device=device),
                kv_caches=caches,
            )
    layers = caches.caches
    return {
        _KEYS: torch.stack([layer.k_caches[0] for layer in layers], 1),
        _VALUES: torch.stack([layer.v_caches[0] for layer in layers], 1),
    }


def _attention_cache(batch: Batch) -> Any:
    """Return what the transformer attends to beside a latent; None without images to edit."""
    if _KEYS not in batch:
        return None
    from diffusers.models.transformers.transformer_glm_image import GlmImageKVCache

    keys, values = batch[_KEYS], batch[_VALUES]
    caches = GlmImageKVCache(num_layers=keys.shape[1])
    caches.set_mode("read")
    for number, layer in enumerate(caches.caches):
        layer.k_caches, layer.v_caches = [keys[:, number]], [values[:, number]]
    return caches


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


GLM_IMAGE = GlmImage(
    "glm-image",
    "GLM-Image",
    image_inputs=frozenset({"references", "same images"}),
    latent=GLM_IMAGE_LATENTS,
    pipelines=("GlmImagePipeline",),
    denoisers=(
        Part("transformer", ("GlmImageTransformer2DModel",)),
        Part(WRITER, ("GlmImageForConditionalGeneration",), conditioner=True),
    ),
    encoders=(Part("text_encoder", ("T5EncoderModel",)),),
    tokenizers=(
        Part("tokenizer", ("ByT5Tokenizer",)),
        Part(PROCESSOR, ("PreTrainedTokenizerFast",), processor="GlmImageProcessor"),
    ),
    noise="flow",
    spread="open_whole",
    mu=root_mu,
    extra_configs=(
        f"{WRITER}/generation_config.json",
        f"{PROCESSOR}/preprocessor_config.json",
        f"{PROCESSOR}/processor_config.json",
    ),
    needs_seed=True,
    multiple=PIXELS,
    held=TokenMemory(22, 256),
    joint=False,
    wide=True,
    speedups=ATTENTION_CACHES,
    block_outputs={"GlmImageTransformerBlock": (0, 1)},
    resolutions={"glm-image": Resolutions(1024 * 1024, PIXELS)},
    lora_signs=(CROSS_ATTENTION_SIGN,),
)
