"""Terms that added guidance contributes: perturbed networks, prompts, classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.families.model_step import Moment, Side
from nodegraph.models.noisy_classifier import GuidanceClassifier, log_prob_gradient
from nodegraph.sampling.guiders.base import GuidedModel
from nodegraph.sampling.guiders.output_conversions import OutputArithmetic
from nodegraph.sampling.guiders.perturbed_networks import blur_cells, grid_of, with_attention
from nodegraph.sampling.model_calls import ModelEvaluator, evaluate_mean
from nodegraph.sampling.prompts import Prompts
from nodegraph.sampling.regions import Window

_ATTENTION_LAYER = "mid_block.attentions.0.transformer_blocks.0"
_SALIENT = 1.0
"""Attention that a place gets from all others, from which on its details matter."""
_SIZE = 9
"""Cells that the blur covers."""


@dataclass(slots=True)
class SelfAttentionTerm:
    """Blurs the clean latent where the middle of the UNet looks, noises it again, and leads away
    from what the network says of that.

    Source: Hong et al. 2023, arXiv:2210.00939, algorithm 1; as StableDiffusionSAGPipeline.

    Attributes:
        side: Whose answer is looked at: the negative one where there is guidance.
        scale: How strongly it leads.
        blur: Standard deviation of the blur in cells.
        start, end: Part of the sampling in which it does.
    """

    guided_model: GuidedModel
    side: Side
    scale: float
    blur: float
    start: float = 0.0
    end: float = 1.0
    evaluators: Mapping[Side, ModelEvaluator] = field(init=False)
    _attention_sums: dict[Window | None, list[Tensor]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        looked_at = with_attention(self.guided_model.model, (_ATTENTION_LAYER,), self._look)
        self.evaluators = {self.side: self.guided_model.evaluator.for_model(looked_at)}

    def _look(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        scores = query @ key.mT / query.shape[-1] ** 0.5
        window = self.evaluators[self.side].window
        self._attention_sums.setdefault(window, []).append(scores.softmax(-1).mean(1).sum(1))

    def applies(self, moment: Moment) -> bool:
        """In its part."""
        return self.scale != 0 and moment.is_within(self.start, self.end)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """The one that is looked at."""
        self._attention_sums.clear()
        return (self.side,)

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The way from the answer about the blurred latent to the one about the latent."""
        output = outputs[self.side]
        arithmetic = OutputArithmetic.of(self.guided_model.model.scheduler_config)
        clean = arithmetic.to_clean(x, output, moment)
        noise = arithmetic.to_noise(x, output, moment)
        salient = self._salient(x)
        alpha, deviation = arithmetic.scales(moment)
        size = min(_SIZE, 2 * min(x.shape[-2:]) - 1)
        vague = blur_cells(clean, self.blur, size) * salient + clean * (1 - salient)
        degraded = (alpha * vague + deviation * noise).to(x.dtype)
        prompts = self.guided_model.sides[self.side]
        return self.scale * (
            output - evaluate_mean(self.evaluators[self.side], prompts, degraded, moment)
        )

    def _salient(self, x: Tensor) -> Tensor:
        """1 where details matter, else 0; shape (batch, 1, height, width). The mean over prompts:
        over those that are shown a cell."""
        total, count = torch.zeros_like(x[:, :1]), torch.zeros_like(x[:1, :1])
        for window, maps in self._attention_sums.items():
            looked, part = torch.cat(maps), x if window is None else window.crop(x)
            looks = looked.view(-1, len(x), looked.shape[-1])
            grid = grid_of(looks.shape[-1], *part.shape[-2:])
            assert grid is not None, "the middle of a UNet has the proportions of what it is shown"
            cells = looks.sum(0).view(len(x), 1, *grid).to(x.dtype)
            for whole, more in (
                (total, functional.interpolate(cells, part.shape[-2:])),
                (count, len(looks)),
            ):
                within = whole if window is None else window.crop(whole)
                within += more
        return (total > _SALIENT * count).to(x.dtype)


@dataclass(frozen=True, slots=True)
class ClassifierTerm:
    """Where a classifier of the noisy latent finds what is wished for likelier.

    Source: Dhariwal & Nichol 2021, arXiv:2105.05233, algorithm 2.

    Attributes:
        network: Computes in float32.
        label, background: Places of the names that are wished for; None is anything.
        arithmetic: Of the model.
        scale: Of the gradient.
        start, end: Part of the sampling in which it leads.
    """

    network: GuidanceClassifier
    label: int | None
    background: int | None
    arithmetic: OutputArithmetic
    scale: float
    start: float = 0.0
    end: float = 1.0
    evaluators: Mapping[Side, ModelEvaluator] = field(default_factory=dict)

    def applies(self, moment: Moment) -> bool:
        """In its part."""
        return self.scale != 0 and moment.is_within(self.start, self.end)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """The positive one, which is asked anyway."""
        return ("positive",)

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The gradient, as the model's output has it: less noise where the wish is likelier."""
        gradient = log_prob_gradient(
            self.network, x, moment.timestep_value, self.label, self.background
        )
        _, deviation = self.arithmetic.scales(moment)
        change = self.arithmetic.from_noise_change(-deviation * self.scale * gradient, moment)
        return change.to(outputs["positive"].dtype)


@dataclass(frozen=True, slots=True)
class NegativePromptTerm:
    """Away from its own prompt, as seen from the negative side.

    Source: Liu et al. 2022, arXiv:2206.01714, equation 11; with `apart` Armandpour et al. 2023,
    arXiv:2304.04968, equation 10.

    Attributes:
        side: The prompt's.
        scale: How strongly it leads away.
        apart: Whether only away from what has nothing to do with the positive prompt.
        start, end: Part of the sampling in which it does.
    """

    side: Side
    scale: float
    apart: bool = False
    start: float = 0.0
    end: float = 1.0
    evaluators: Mapping[Side, ModelEvaluator] = field(default_factory=dict)

    def applies(self, moment: Moment) -> bool:
        """In its part."""
        return self.scale != 0 and moment.is_within(self.start, self.end)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Its own, and the two that it is compared with."""
        return ("negative", "positive", self.side)

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The way from its prompt to the negative side."""
        away = outputs["negative"]
        way = outputs[self.side] - away
        if self.apart:
            towards = outputs["positive"] - away
            axes = list(range(1, way.ndim))
            length = (towards**2).sum(axes, keepdim=True).clamp(min=1e-12)
            way = way - (way * towards).sum(axes, keepdim=True) / length * towards
        return -self.scale * way


@dataclass(frozen=True, slots=True)
class ReplacedNegative:
    """Adds nothing: where somebody asks about the negative side, another answers.

    Attributes:
        other: Who is asked.
        start, end: Part of the sampling in which it is.
    """

    other: ModelEvaluator
    start: float = 0.0
    end: float = 1.0
    evaluators: Mapping[Side, ModelEvaluator] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "evaluators", {"negative": self.other})

    def applies(self, moment: Moment) -> bool:
        """In its part."""
        return moment.is_within(self.start, self.end)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """None for its own sake."""
        return ()

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Nothing."""
        return outputs["positive"].new_zeros(())


@dataclass(frozen=True, slots=True)
class WeakModelTerm:
    """Away from what a worse network says about the positive prompt.

    Source: Karras et al. 2024, arXiv:2406.02507, equation 4, with scale = w - 1; equation 6 of
    Ahn et al. 2024, arXiv:2403.17377, is the same of another network.

    Attributes:
        weak_model: Who is asked.
        prompts: The positive ones, as it takes them.
        scale: How strongly it leads.
        start, end: Part of the sampling in which it does.
    """

    weak_model: ModelEvaluator
    prompts: Prompts
    scale: float
    start: float = 0.0
    end: float = 1.0
    evaluators: Mapping[Side, ModelEvaluator] = field(default_factory=dict)

    def applies(self, moment: Moment) -> bool:
        """In its part."""
        return self.scale != 0 and moment.is_within(self.start, self.end)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """The positive one."""
        return ("positive",)

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The way from the worse answer to the better."""
        return self.scale * (
            outputs["positive"] - evaluate_mean(self.weak_model, self.prompts, x, moment)
        )
