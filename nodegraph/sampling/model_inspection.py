"""Ask a model once about a latent: predictions, cross-attention maps, and images made of images.

The maps follow Tang et al. 2022, arXiv:2210.04885, who sum attention over layers, heads and steps.
Here noise is added to a finished latent at some levels, so it also works for images that no model
generated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from nodegraph.core.values import Conditioning, Latent, Leftover
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser, TextModel
from nodegraph.families.flow_noise import model_noise
from nodegraph.families.model_step import Moment
from nodegraph.families.noise import clean_arithmetic
from nodegraph.families.registry import get_family
from nodegraph.families.text_encoders import ClipEncoder, word_token_indices
from nodegraph.models.conditioning import encode_prompt
from nodegraph.models.facts import ScaleOf, check_attention_support
from nodegraph.sampling.composed_schedules import Schedule
from nodegraph.sampling.guidance import Guidance
from nodegraph.sampling.initial_latent import latent_shape
from nodegraph.sampling.latent_noise import add_noise
from nodegraph.sampling.sampling_parts import GuiderChoice

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
    """Where in images a UNet looks for the words of a prompt.

    Args:
        latent: Of the images, without noise.
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
            "words cannot be located in several prompts at once",
            port="text",
            hint="Write one prompt without AND and without changes at steps.",
        )
    words = _words(encoder, text)
    if not words:
        raise InvalidValue("the prompt has no words", port="text", given=repr(text))
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
            raise InvalidValue("the model has no cross-attention layer", port="model")
        yield (recorder.total / recorder.layers).cpu().clone()
        on_level(level + 1)


def _sized(cells: Tensor, latent: Latent) -> Tensor:
    size = (latent.height, latent.width)
    return functional.interpolate(cells[:, None], size, mode="bicubic")[:, 0].clamp(min=0)


def _scaled(maps: list[Tensor], scale: ScaleOf) -> list[Tensor]:
    """By the largest value of each image."""
    most = torch.stack([item.amax((1, 2), keepdim=True) for item in maps])
    if scale == "all words":
        most = most.amax(0, keepdim=True).expand_as(most)
    return [(item / top.clamp(min=1e-12)).clamp(0, 1) for item, top in zip(maps, most, strict=True)]


class PredictionLatents(NamedTuple):
    """What a model says about a noisy latent, as latents of their own.

    Attributes:
        clean: What it takes the latent to be without noise, guided.
        noise: What it takes for noise in it, guided.
        positive, negative: As `clean`, by one prompt alone.
        difference: Positive less negative: what guidance pulls along.
    """

    clean: Latent
    noise: Latent
    positive: Latent
    negative: Latent
    difference: Latent


class SinglePrediction:
    """A model and a noisy latent, as the model takes both.

    Args:
        latent: With the noise that is left in it, such as of AddNoise.
    Attributes:
        x: The latent, alpha · clean + deviation · noise, on the model's device.
        moment: The timestep of its noise level.
        scales: alpha and deviation.
    Raises:
        InvalidValue: There is no noise in the latent, or it doesn't fit the model.
    """

    def __init__(self, model: Denoiser, latent: Latent) -> None:
        left = latent.leftover
        if latent.samples is None or left is None or left.sigma <= 0:
            raise InvalidValue(
                "the latent has no noise left to predict",
                port="latent",
                hint="Put AddNoise before this node, or stop the sampling early.",
            )
        self.model, self.latent = model, latent
        self.family = get_family(model.family)
        self.shape = latent_shape(model, self.family, latent)
        schedule = model_noise(model.scheduler_config, self.family)
        alpha, deviation = (float(item) for item in schedule.scales(sigma=left.sigma))
        self.scales = alpha, deviation
        scale = alpha if left.form == "exploding" else 1.0
        self.x = (latent.samples * scale).to(model.device, model.dtype)
        at = float(schedule.sigma_to_timestep(left.sigma))  # type: ignore[arg-type]
        self.moment = Moment(
            timestep=torch.tensor(at, device=model.device),
            following=torch.tensor(0.0, device=model.device),
            training_timesteps=schedule.timesteps,
            progress=min(max(1 - at / schedule.timesteps, 0.0), 1 - 1e-6),
            timestep_value=at,
            sigma=left.sigma,
        )

    @torch.inference_mode()
    def evaluate_sides(
        self, positive: Conditioning, negative: Conditioning | None, *, alone: bool = False
    ) -> Mapping[str, Tensor]:
        """The network's output for each side, by its name.

        Args:
            alone: Whether the negative side is left out.
        """
        choice = GuiderChoice(positive, negative, cfg=1.0 if alone else 2.0)
        guidance = Guidance(
            self.model,
            choice,
            width=self.latent.width,
            height=self.latent.height,
            shape=self.shape,
        )
        return dict(guidance.evaluate_sides(self.x, self.moment))

    def as_latent(self, samples: Tensor) -> Latent:
        """Samples as a value without noise; a copy out of inference mode."""
        kept = samples.to("cpu", torch.float32).clone()
        return replace(self.latent, samples=kept, leftover=None, noise_mask=None, gradual=0.0)


def predict_once(
    model: Denoiser,
    latent: Latent,
    positive: Conditioning,
    negative: Conditioning | None,
    cfg: float,
) -> PredictionLatents:
    """What a model says about a noisy latent, and of what its guided answer is made.

    Args:
        cfg: Guidance scale; 1 is the positive prompt alone.
    Raises:
        InvalidValue: See `SinglePrediction`; or prompts don't fit the model.
    """
    question = SinglePrediction(model, latent)
    answers = question.evaluate_sides(positive, negative)
    arithmetic = clean_arithmetic(model.scheduler_config, question.family)
    towards = answers["positive"]
    away = answers.get("negative", towards)
    guided = question.family.guided(towards, away, cfg) if cfg != 1 else towards
    x, moment = question.x.float(), question.moment
    clean, positive_denoised, negative_denoised = (
        arithmetic.to_clean(x, output.float(), moment) for output in (guided, towards, away)
    )
    alpha, deviation = question.scales
    noise = (x - alpha * clean) / deviation
    return PredictionLatents(
        *map(
            question.as_latent,
            (
                clean,
                noise,
                positive_denoised,
                negative_denoised,
                positive_denoised - negative_denoised,
            ),
        )
    )


def predict_image(
    model: Denoiser, latent: Latent, prompt: Conditioning, schedule: Schedule
) -> Latent:
    """The latent that a model makes of an image's in one evaluation, without noise.

    The model takes the latent as it is, and its velocity is subtracted from it. Models are trained
    for that to see depth, surface normals or albedo in an image.

    Source: https://github.com/huawei-bayerlab/marigold-v2 (Marigold 2).

    Args:
        latent: Of the image, without noise.
        schedule: Two levels, the second 0; the model is asked at the first.
    Raises:
        InvalidValue: It is no flow model, the latent is empty or noisy, or the schedule has more
            steps or other levels.
    """
    family = get_family(model.family)
    if family.noise != "flow":
        raise InvalidValue(
            "only a flow model predicts an image of an image",
            port="model",
            given=family.title,
            hint="Use the model that its LoRA was trained for.",
        )
    if latent.samples is None or latent.leftover is not None:
        raise InvalidValue(
            "an image is predicted of the latent of another image",
            port="latent",
            given="an empty latent" if latent.samples is None else "a latent with noise",
            hint="Link the latent of VAEEncode.",
        )
    levels = schedule.segments[0].levels
    if len(levels) != 2 or levels[1] != 0:
        raise InvalidValue(
            "a prediction takes a schedule of one step",
            port="schedule",
            given=f"{schedule.steps} steps",
            expected="a ListedSchedule of two levels, the second 0, such as 0.5, 0",
        )
    question = SinglePrediction(model, replace(latent, leftover=Leftover(levels[0], "mixing")))
    velocity = question.evaluate_sides(prompt, None, alone=True)["positive"]
    return question.as_latent(question.x.float() - velocity.float())
