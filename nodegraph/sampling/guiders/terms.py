"""Terms that added guidance contributes: perturbed networks, prompts, classifiers, valences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.families.model_step import Moment, Side
from nodegraph.families.noise import CleanArithmetic, FlowArithmetic, OutputArithmetic
from nodegraph.media.molecules.tables import ELEMENTS, ORDERS, VALENCES, bond_scores
from nodegraph.models.noisy_classifier import GuidanceClassifier, log_prob_gradient
from nodegraph.sampling.guiders.base import GuidedModel
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


GUIDED = "guided"
"""Name among the outputs of what they add up to by now."""


@dataclass(frozen=True, slots=True)
class CleanLatentTerm:
    """Changes the guided prediction as a clean latent.

    Attributes:
        arithmetic: Arithmetic of the model.
        change: Function of the clean latents of the guided, the positive and the negative
            prediction (None without a negative prompt), and of the moment. It returns the changed
            clean latent.
        start, end: Range of the sampling in which it applies, 0 to 1.
    """

    arithmetic: CleanArithmetic
    change: Callable[[Tensor, Tensor, Tensor | None, Moment], Tensor]
    start: float = 0.0
    end: float = 1.0
    evaluators: Mapping[Side, ModelEvaluator] = field(default_factory=dict)

    def applies(self, moment: Moment) -> bool:
        """Return whether the moment is in the range."""
        return moment.is_within(self.start, self.end)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Return the positive side, which is evaluated at every step."""
        return ("positive",)

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Return the difference between the changed and the guided output."""
        x32, guided = x.float(), outputs[GUIDED].float()
        clean = {
            name: self.arithmetic.to_clean(x32, outputs[name].float(), moment)
            for name in (GUIDED, "positive", "negative")
            if name in outputs
        }
        changed = self.change(clean[GUIDED], clean["positive"], clean.get("negative"), moment)
        term = self.arithmetic.from_clean(x32, changed, moment) - guided
        return term.to(outputs[GUIDED].dtype)


def bias_to_positive(guided: Tensor, positive: Tensor, negative: Tensor, scale: float) -> Tensor:
    """Mix a guided prediction with the scaled positive one, by the similarity of both sides.

    With p and n for scale · positive and scale · negative, and s for the mean cosine similarity
    over cells of the signed square roots of n and of (p + guided) / 2, the result is
    (1 + s) / 2 · guided + (1 - s) / 2 · p.

    Source: positive-biased guidance of ComfyUI (``Mahiro``).

    Args:
        guided, positive, negative: Clean latents, float32, shape (batch, channels, …).
        scale: Guidance scale.
    Returns:
        A clean latent of the same shape. Each item has its own similarity.
    """
    leap = scale * positive
    roots = (signed_root(scale * negative), signed_root((leap + guided) / 2))
    similarity = functional.cosine_similarity(*roots, dim=1).flatten(1).mean(1)
    share = ((1 + similarity) / 2).view(-1, *[1] * (guided.ndim - 1))
    return share * guided + (1 - share) * leap


def signed_root(values: Tensor) -> Tensor:
    """Return the square roots of absolute values, with the signs of the values."""
    return values.abs().sqrt() * values.sign()


def limit_item_norm(guided: Tensor, positive: Tensor, limit: float) -> Tensor:
    """Scale each item down to a multiple of the norm of the positive prediction.

    Source: Qin et al. 2025, arXiv:2503.21758 (CFG-Renorm); ComfyUI's ``RenormCFG``
    applies it to clean latents.

    Args:
        guided, positive: Clean latents, shape (batch, …).
        limit: Largest norm, as a multiple of the positive one's.
    """
    sides = list(range(1, guided.ndim))
    norm, longest = (
        torch.linalg.vector_norm(item, dim=sides, keepdim=True) for item in (guided, positive)
    )
    # A norm of 0 stays 0 whatever the factor is.
    factor: Tensor = (limit * longest / norm.clamp(min=torch.finfo(norm.dtype).tiny)).clamp(max=1)
    return guided * factor


_STEPS = 6
"""Down the slope, each time."""
_LONGEST = 1.0
"""Of such a step; the numbers of two classes are 2 apart."""
_FLAT = 1e-12
"""A slope that leads nowhere any more."""
_SHARPNESS = 3.0
"""How surely a class is meant by the highest of its numbers."""
_TOLERANCE = 0.1
"""Bonds too many that are none: eight that aren't there seem to be a tenth of one together."""
_LATEST = 0.9
"""Share of the noise above which single atoms cannot be classified."""


@dataclass(frozen=True, slots=True)
class ValenceTerm:
    """Where the clean molecule that is predicted has atoms with too many bonds, or with none, down
    the slope of the square of how many those are.

    The derivative of a prediction by what is wished of it leads without a network of its own, as
    in Bansal et al. 2023, arXiv:2302.07121, section 3.3.

    Attributes:
        scale: How much of what is wrong a step is to undo; 1 is all.
        start, end: Part of the sampling in which it leads.
    """

    scale: float
    start: float = 0.0
    end: float = 1.0
    evaluators: Mapping[Side, ModelEvaluator] = field(default_factory=dict)

    def applies(self, moment: Moment) -> bool:
        """In its part, and where atoms can be classified."""
        share = moment.timestep_value / moment.training_timesteps
        is_told = self.scale != 0 and 0 < share < _LATEST
        return is_told and moment.is_within(self.start, self.end)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """The positive one, which is asked anyway."""
        return ("positive",)

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """What the guided output lacks to say the mended molecule."""
        arithmetic, guided = FlowArithmetic(), outputs[GUIDED]
        clean = arithmetic.to_clean(x.float(), guided.float(), moment)
        mended = clean - descent(clean[:, 0], self.scale)[:, None]
        return (arithmetic.from_clean(x.float(), mended, moment) - guided.float()).to(guided.dtype)


def descent(items: Tensor, scale: float) -> Tensor:
    """What to take from items so that less is wrong with the bonds of their atoms.

    Each step is as long as would undo all that is wrong if the slope stayed as it is, within a
    bound: where classes are almost certain the slope is next to nothing.

    Args:
        items: Clean ones, shape (batch, 9, 37).
        scale: Share of that length that is gone.
    """
    with torch.inference_mode(False), torch.enable_grad():
        at = start = items.detach().clone()
        for _ in range(_STEPS):
            point = at.detach().requires_grad_()
            wrong = torch.cat([bond_excess(point), bond_deficit(point)], 1).square().sum(1)
            (slope,) = torch.autograd.grad(wrong.sum(), point)
            steepness = slope.flatten(1).norm(dim=1).clamp(min=_FLAT)
            # The root of what is wrong falls half as steeply, in relation.
            length = scale * (2 * wrong / steepness).clamp(max=_LONGEST)
            at = at - (length / steepness)[:, None, None] * slope
    return start - at


def bond_excess(items: Tensor) -> Tensor:
    """By how much the bonds that are expected of each atom exceed its valence, (batch, 9)."""
    limits = items.new_tensor([float(VALENCES[element]) for element in ELEMENTS])
    return (_bonds(items) - _kinds(items) @ limits - _TOLERANCE).clamp(min=0)


def bond_deficit(items: Tensor) -> Tensor:
    """By how much the bonds that are expected of each atom fall short of one, (batch, 9); nothing
    where there is no atom, or no other one."""
    there = 1 - _kinds(items)[..., 0].detach()
    others = (there.sum(1, keepdim=True) - there).clamp(max=1)
    return (there * others - _bonds(items) - _TOLERANCE).clamp(min=0)


def _kinds(items: Tensor) -> Tensor:
    return (items[..., : len(ELEMENTS)] * _SHARPNESS).softmax(-1)


def _bonds(items: Tensor) -> Tensor:
    """Of each atom in all, (batch, 9)."""
    counts = torch.arange(ORDERS, device=items.device, dtype=items.dtype)
    # On and above the diagonal all is 0: no class is likelier there, so these are left out.
    bonds = ((bond_scores(items) * _SHARPNESS).softmax(-1) @ counts).tril(-1)
    return bonds.sum(2) + bonds.sum(1)
