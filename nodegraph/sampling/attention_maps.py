"""Where in a picture a UNet looks for each word of a prompt: its cross-attention, recorded.

Source: Tang et al. 2022, arXiv:2210.04885, who sum attention over layers, heads and steps. Here a
finished latent is made noisy anew at some levels, so that any picture can be asked about, also one
that no model has made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from nodegraph.core.values import Conditioning, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.clip import ClipEncoder, word_token_indices
from nodegraph.families.components import Denoiser, TextModel
from nodegraph.families.flow_noise import model_noise
from nodegraph.families.registry import get_family
from nodegraph.models.attention_support import ScaleOf, check_attention_support
from nodegraph.models.text import encode_prompt
from nodegraph.sampling.noise_drawing import add_noise
from nodegraph.sampling.single_prediction import SinglePrediction

_HALVINGS = 8


class WordMaps(NamedTuple):
    """Where a model looks for words.

    Attributes:
        words: In the prompt's order.
        maps: Of each, float32 in 0..1, shape (batch, height, width) in pixels.
    """

    words: list[str]
    maps: list[Tensor]


class _Recorder(TorchFunctionMode):
    """Inside the `with`, adds up this thread's attention of cells to tokens.

    Self-attention is told from it by its keys, which are cells and not tokens; where there are as
    many of these as of those, the layer is left out.
    """

    def __init__(self, tokens: int, height: int, width: int) -> None:
        super().__init__()
        self._tokens, self._size = tokens, (height, width)
        sizes = [(-(-height // 2**at), -(-width // 2**at)) for at in range(_HALVINGS)]
        self._grids = {high * wide: (high, wide) for high, wide in reversed(sizes)}
        self.total: Tensor | None = None
        self.layers = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is functional.scaled_dot_product_attention:
            query, key = args[:2] if len(args) > 1 else (kwargs["query"], kwargs["key"])  # type: ignore[index]
            self._note(query, key, (kwargs or {}).get("scale"))
        return func(*args, **(kwargs or {}))

    def _note(self, query: Tensor, key: Tensor, scale: float | None) -> None:
        """Of queries and keys, (batch, heads, cells or tokens, width)."""
        cells = query.shape[-2]
        if key.shape[-2] != self._tokens or cells == self._tokens or cells not in self._grids:
            return
        factor = query.shape[-1] ** -0.5 if scale is None else scale
        scores = (query.float() @ key.float().mT * factor).softmax(-1).mean(1)  # (batch, cells, t)
        grid = scores.mT.reshape(*scores.mT.shape[:2], *self._grids[cells])
        grid = functional.interpolate(grid, self._size, mode="bilinear")
        self.total = grid if self.total is None else self.total + grid
        self.layers += 1


def word_maps(
    model: Denoiser,
    encoder: TextModel,
    text: str,
    latent: Latent,
    *,
    levels: int,
    seed: int,
    scale: ScaleOf,
    on_level: Callable[[int], None] = lambda _: None,
) -> WordMaps:
    """Where in pictures a UNet looks for the words of a prompt.

    Args:
        latent: Of the pictures, without noise.
        levels: Noise levels that the model is asked at, spread evenly over its timesteps.
        seed: Of the noise of the first item.
        scale: Whether each word's largest value is 1, or that of all.
        on_level: Called with how many levels are done.
    Raises:
        InvalidValue: The model is of no family that can be looked into, the prompt isn't a plain
            one, or the latent is empty.
    """
    check_attention_support(model.family)
    prompt = encode_prompt(encoder, text)
    if len(prompt.entries) > 1:
        raise InvalidValue(
            "the words of several prompts at once aren't told apart",
            port="text",
            hint="Write one prompt, without AND or changes at steps.",
        )
    words = _words(encoder, text)
    if not words:
        raise InvalidValue("the prompt has no words to look for", port="text", given=repr(text))
    plain = replace(model, attention="auto", one_by_one=False, caching=None)
    attention = torch.stack(list(_recorded(plain, prompt, latent, levels, seed, on_level))).mean(0)
    maps = [_sized(attention[:, list(places)].sum(1), latent) for _, places in words]
    return WordMaps([word for word, _ in words], _scaled(maps, scale))


def _words(encoder: TextModel, text: str) -> list[tuple[str, tuple[int, ...]]]:
    # The encoders of XL have one vocabulary, so tokens are at the same places of both.
    clip = ClipEncoder(encoder.modules["text_encoder"], encoder.tokenizers["tokenizer"], layer=1)
    with encoder.turn:
        return word_token_indices(clip, text)


def _recorded(
    model: Denoiser,
    prompt: Conditioning,
    latent: Latent,
    levels: int,
    seed: int,
    on_level: Callable[[int], None],
) -> Iterator[Tensor]:
    """At each level the mean over layers and heads, (batch, tokens, height, width) in cells."""
    schedule = model_noise(model.scheduler_config, get_family(model.family))
    tokens = int(prompt.entries[0].embeddings.shape[1])
    for level in range(levels):
        timestep = int((level + 0.5) / levels * schedule.timesteps)
        noisy = add_noise(latent, schedule, seed=seed, timestep=timestep)
        question = SinglePrediction(model, noisy)
        with _Recorder(tokens, *question.shape[-2:]) as recorder:
            question.evaluate_sides(prompt, None, alone=True)
        if recorder.total is None:
            raise InvalidValue("the model has no layer that looks at words", port="model")
        yield (recorder.total / recorder.layers).cpu().clone()
        on_level(level + 1)


def _sized(cells: Tensor, latent: Latent) -> Tensor:
    size = (latent.height, latent.width)
    return functional.interpolate(cells[:, None], size, mode="bicubic")[:, 0].clamp(min=0)


def _scaled(maps: list[Tensor], scale: ScaleOf) -> list[Tensor]:
    """By the largest value of each picture."""
    most = torch.stack([item.amax((1, 2), keepdim=True) for item in maps])
    if scale == "all words":
        most = most.amax(0, keepdim=True).expand_as(most)
    return [(item / top.clamp(min=1e-12)).clamp(0, 1) for item, top in zip(maps, most, strict=True)]
