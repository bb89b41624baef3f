"""Classifier-free guidance and its variants, with rescaling and norm limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nodegraph.core.pack_faults import is_fault, plugin_fault, tensor_misfit
from nodegraph.families.base import Family
from nodegraph.families.model_step import GuideLayout, Moment, Side
from nodegraph.families.noise import CleanArithmetic
from nodegraph.sampling.guiders.base import GuidedModel, LatentOperation, StatelessGuider


@dataclass(frozen=True, slots=True)
class NormLimit:
    """Each cell's clean latent, over its channels, is cut to the length of the positive one's.

    Source: as Qwen-Image's pipeline does with what its network gives,
    https://github.com/QwenLM/Qwen-Image; here with the clean latent, so that it is the same of
    every kind of model.

    Attributes:
        arithmetic: Of the model.
        strength: What the clean latent is multiplied by besides.
    """

    arithmetic: CleanArithmetic
    strength: float = 1.0

    def limit(self, x: Tensor, guided: Tensor, towards: Tensor, moment: Moment) -> Tensor:
        """A guided output, by the positive one; float32 in between.

        Args:
            x: The latent as the model takes it.
        """
        x32 = x.float()
        clean, wanted = (
            self.arithmetic.to_clean(x32, item.float(), moment) for item in (guided, towards)
        )
        longest, length = (item.norm(dim=1, keepdim=True) for item in (wanted, clean))
        clean = clean * (longest / length.clamp(min=1e-8)).clamp(max=1) * self.strength
        return self.arithmetic.from_clean(x32, clean, moment).to(guided.dtype)


@dataclass(frozen=True, slots=True)
class OperatedDirection:
    """Operations on the clean latent of the positive side, as seen from the negative one.

    Source: ComfyUI's LatentApplyOperationCFG.

    Attributes:
        arithmetic: Of the model.
        operations: Applied in this order.
    """

    arithmetic: CleanArithmetic
    operations: Sequence[LatentOperation]

    def positive(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The positive output with the operations applied; float32 in between.

        Args:
            x: The latent as the model takes it.
            outputs: Of the evaluated sides. Without a negative one, the latent itself is changed.
        """
        x32, output = x.float(), outputs["positive"]
        clean = self.arithmetic.to_clean(x32, output.float(), moment)
        away = torch.zeros_like(clean)
        if "negative" in outputs:
            away = self.arithmetic.to_clean(x32, outputs["negative"].float(), moment)
        for operation in self.operations:
            clean = operation.apply(clean - away) + away
        return self.arithmetic.from_clean(x32, clean, moment).to(output.dtype)


@dataclass(frozen=True, slots=True)
class ClassifierFree(StatelessGuider):
    """Away from the negative prompt, towards the positive one; see `Family.guided`.

    Attributes:
        scale: The guidance scale at a moment: 1 is the positive prompt alone.
    """

    family: Family
    scale: Callable[[Moment], float]

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both, in the order in which the family's model is asked."""
        return ("positive", "negative") if self.family.positive_first else ("negative", "positive")

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """What the family makes of the two."""
        return self.family.guided(outputs["positive"], outputs["negative"], self.scale(moment))


@dataclass(frozen=True, slots=True)
class CleanCombination:
    """Classifier-free guidance of the clean latents that a flow model predicts, not of its outputs.

    Both are the same but for rounding. Source: diffusers' LTX2Pipeline, which adds guidance terms
    up in this way, and LTX2ConditionPipeline, which then blends frame guides in.
    """

    family: Family
    guides: GuideLayout | None = None

    def combine(
        self,
        x: Tensor,
        outputs: Mapping[Side, Tensor],
        guider: ClassifierFree | None,
        moment: Moment,
        *,
        holds: bool = True,
    ) -> Tensor:
        """The guided output.

        Args:
            x: The latent as the model takes it.
            outputs: Of the evaluated sides.
            guider: The guider. None if the positive prompt guides alone; the output is converted
                all the same, as in the pipeline.
            holds: Whether frame guides are blended in.
        """
        sigma = torch.tensor(moment.sigma)
        towards = x - outputs["positive"] * sigma
        guided = towards
        if guider is not None:
            away = x - outputs["negative"] * sigma
            guided = self.family.guided(towards, away, guider.scale(moment))
        if holds and self.guides is not None:
            guided = self.guides.hold(guided)
        output: Tensor = (x - guided) / sigma
        return output


@dataclass(frozen=True, slots=True)
class Rescaling:
    """Brings a guided answer to the spread of the positive prompt's, see `rescale_guidance`.

    Attributes:
        share: How far, 0 to 1.
        arithmetic: Of the model, where the spread is that of velocities; None: of what the network
            gives. For models that predict velocities both are one. Source of the former: ComfyUI's
            RescaleCFG (``comfy_extras/nodes_model_advanced.py``).
    """

    share: float
    arithmetic: CleanArithmetic | None = None

    def applied(self, x: Tensor, guided: Tensor, towards: Tensor, moment: Moment) -> Tensor:
        """The guided output, rescaled.

        Args:
            x: The latent as the model takes it.
        """
        if self.arithmetic is None:
            return rescale_guidance(guided, towards, self.share)
        x32, (of_x, of_velocity) = x.float(), self.arithmetic.velocity_scales(moment)
        own, wanted = (
            (of_x * x32 - self.arithmetic.to_clean(x32, output.float(), moment)) / of_velocity
            for output in (guided, towards)
        )
        clean = of_x * x32 - of_velocity * rescale_guidance(own, wanted, self.share)
        return self.arithmetic.from_clean(x32, clean, moment).to(guided.dtype)


def rescale_guidance(guided: Tensor, towards: Tensor, share: float) -> Tensor:
    """A guided output brought to the spread of the positive prompt's, as overexposure goes along
    with a larger one.

    Source: Lin et al. 2023, arXiv:2305.08891, equations 15 and 16.
    """
    sides = list(range(1, towards.ndim))
    spread, wanted = (item.std(dim=sides, keepdim=True) for item in (guided, towards))
    # CFG-Zero* gives zeros at first, which have no spread and stay as they are.
    spread = spread.clamp(min=torch.finfo(spread.dtype).tiny)
    return share * (guided * (wanted / spread)) + (1 - share) * guided


@dataclass(frozen=True, slots=True)
class DualGuidance(StatelessGuider):
    """From the negative prompt towards the second one, and from there towards the positive.

    Source: Brooks et al. 2023, arXiv:2211.09800, equation 3.

    Attributes:
        scale: At a moment, of the way from the second prompt to the positive one.
        second_cfg: Scale of the way to the second.
    """

    scale: Callable[[Moment], float]
    second_cfg: float

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """All three."""
        return ("negative", "second", "positive")

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The sum of the two ways."""
        away, second, towards = (outputs[side] for side in self.sides(moment))
        return away + self.second_cfg * (second - away) + self.scale(moment) * (towards - second)


@dataclass(frozen=True, slots=True)
class MagnitudeGuidance(StatelessGuider):
    """Classifier-free guidance whose scale goes down where both answers differ much, as in the
    first steps.

    Source: MAMBO-G, arXiv:2508.03442.

    Attributes:
        guided_model: What it is begun for.
        damping: How fast the scale goes down, from 0 up; 0 leaves it.
    """

    guided_model: GuidedModel
    damping: float

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both."""
        return self.guided_model.both_sides()

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Guided by the scale that goes with each item."""
        towards, away = outputs["positive"], outputs["negative"]
        axes = list(range(1, away.ndim))
        way = towards - away
        far, base = (torch.linalg.vector_norm(item, dim=axes, keepdim=True) for item in (way, away))
        ratio = far / base
        scale = 1 + (self.guided_model.scale(moment) - 1) * (-self.damping * ratio).exp()
        guided: Tensor = away + scale * way
        return guided


@dataclass(frozen=True, slots=True)
class FunctionGuidance(StatelessGuider):
    """Guidance by a function of a package or a pack.

    Attributes:
        guided_model: What it is begun for.
        name: Of the guidance.
        function: See `nodegraph.sampling.guiders.methods.GuiderFunction`.
    """

    guided_model: GuidedModel
    name: str
    function: Callable[[Tensor, Tensor, float], Tensor]

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both."""
        return self.guided_model.both_sides()

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """See `guided_by_function`."""
        scale = self.guided_model.scale(moment)
        positive, negative = outputs["positive"], outputs["negative"]
        return guided_by_function(self.name, self.function, positive, negative, scale)


def guided_by_function(
    name: str,
    function: Callable[[Tensor, Tensor, float], Tensor],
    positive: Tensor,
    negative: Tensor,
    scale: float,
) -> Tensor:
    """The guided prediction of a package's or a pack's function, in the precision of the model.

    Args:
        name: Name of the guider.
        function: See `nodegraph.sampling.guiders.methods.GuiderFunction`.
        positive, negative: The model's predictions.
    Raises:
        InvalidValue: The function raises an error, or returns something else than a tensor like the
            predictions; on port ``guider``.
    """
    try:
        guided: Any = function(positive.float(), negative.float(), scale)
    except BaseException as error:
        if not is_fault(error):
            raise
        raise plugin_fault("guider", name, function, error) from error
    misfit = tensor_misfit(guided, positive)
    if misfit is not None:
        actual, expected = misfit
        what = "returns no prediction"
        raise plugin_fault("guider", name, function, what, actual=actual, expected=expected)
    combined: Tensor = guided.to(positive.dtype)
    return combined


@dataclass(frozen=True, slots=True)
class TangentialGuidance(StatelessGuider):
    """Classifier-free guidance away from what the negative answer has along the main direction of
    both; what lies across it only disturbs.

    Source: Kwon et al. 2025, arXiv:2503.18137.
    """

    guided_model: GuidedModel

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both."""
        return self.guided_model.both_sides()

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Guided away from the negative answer's part."""
        towards, away = outputs["positive"], _along_main(outputs["positive"], outputs["negative"])
        return away + self.guided_model.scale(moment) * (towards - away)


def _along_main(towards: Tensor, away: Tensor) -> Tensor:
    """The second's part along the first singular vector of both, for each item."""
    rows = torch.stack([towards, away], 1).float().flatten(2)
    # That vector lies in the span of the two rows: it is found from their 2 x 2 products.
    products = rows.double() @ rows.double().mT
    shares = torch.linalg.eigh(products).eigenvectors[:, :, -1]
    main = torch.nn.functional.normalize((shares[:, None] @ rows.double())[:, 0], dim=1)
    lengths = (rows[:, 1].double() * main).sum(1, keepdim=True)
    return (lengths * main).reshape(away.shape).to(away.dtype)


@dataclass(frozen=True, slots=True)
class ZeroStarGuidance(StatelessGuider):
    """Classifier-free guidance away from the part of the negative answer that the positive shares.

    Source: Fan et al. 2025, arXiv:2503.18886, equations 8 to 11.

    Attributes:
        guided_model: What it is begun for.
        zero_steps: Steps at the beginning that stay where they are: the output is zero.
    """

    guided_model: GuidedModel
    zero_steps: int = 1

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both; at first the positive one alone, as its shape is all that counts."""
        return (
            ("positive",)
            if moment.schedule_step < self.zero_steps
            else self.guided_model.both_sides()
        )

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Zero at first, then guided."""
        towards = outputs["positive"]
        if moment.schedule_step < self.zero_steps:
            return torch.zeros_like(towards)
        away = outputs["negative"]
        away = away * _share(towards, away)
        return away + self.guided_model.scale(moment) * (towards - away)


def _share(towards: Tensor, away: Tensor) -> Tensor:
    """How long the first is along the second, measured by it, for each item."""
    axes = list(range(1, towards.ndim))
    wide, base = towards.float(), away.float()
    length = (base**2).sum(axes, keepdim=True) + 1e-8
    return ((wide * base).sum(axes, keepdim=True) / length).to(towards.dtype)


@dataclass(frozen=True, slots=True)
class ThresholdedGuidance(StatelessGuider):
    """Classifier-free guidance, each channel of which is cut at a quantile and brought to the
    range that a lower scale gives.

    Source: Saharia et al. 2022, arXiv:2205.11487, section 2.3; for latents, and with a lower scale,
    https://github.com/mcmonkeyprojects/sd-dynamic-thresholding

    Attributes:
        guided_model: What it is begun for.
        mimic_cfg: The lower scale.
        quantile: Part of a channel's values, by their distance from its mean, that isn't cut.
    """

    guided_model: GuidedModel
    mimic_cfg: float
    quantile: float

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both."""
        return self.guided_model.both_sides()

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Guided by the high scale, in the range of the lower one."""
        towards, away = outputs["positive"], outputs["negative"]
        way = towards - away
        mean, offsets = _centred(away + self.guided_model.scale(moment) * way)
        _, lower = _centred(away + self.mimic_cfg * way)
        wanted = lower.abs().amax(2, keepdim=True)
        # Sorted, as a quantile is refused of as many values as large latents have.
        quantile_index = round(self.quantile * (offsets.shape[2] - 1))
        reach = offsets.abs().sort(2).values[:, :, quantile_index : quantile_index + 1]
        bound = torch.maximum(wanted, reach).clamp(min=1e-12)
        brought = offsets.clamp(-bound, bound) / bound * wanted
        return (brought + mean).view_as(towards).to(towards.dtype)


def _centred(x: Tensor) -> tuple[Tensor, Tensor]:
    """Means of the channels, and how far the values are from them; (batch, channels, values)."""
    flat = x.float().flatten(2)
    mean = flat.mean(2, keepdim=True)
    return mean, flat - mean


_DONE = "done"


@dataclass(slots=True)
class AdaptiveGuidance:
    """Classifier-free guidance of each image until both answers are alike; then the positive
    prompt leads it alone. Once that is so of all, the negative one isn't asked any more, which
    takes half the time.

    Source: Castillo et al. 2023, arXiv:2312.12487, section 5.

    Attributes:
        guided_model: What it is begun for.
        alike: Cosine of the angle between both answers from which on they are alike.
    """

    guided_model: GuidedModel
    alike: float
    _done: Tensor | None = field(default=None, init=False)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both, as long as there is somebody who needs them."""
        is_over = self._done is not None and bool(self._done.all())
        return ("positive",) if is_over else self.guided_model.both_sides()

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Guided, or the positive answer, for each item."""
        towards, away = outputs["positive"], outputs.get("negative")
        if away is None:
            return towards
        guided = self.guided_model.family.guided(towards, away, self.guided_model.scale(moment))
        combined = guided
        if self._done is not None:
            done = self._done.to(guided.device).view(-1, *(1,) * (guided.ndim - 1))
            combined = torch.where(done, towards, guided)
        self._note(towards, away)
        return combined

    def _note(self, towards: Tensor, away: Tensor) -> None:
        wide, base = towards.double().flatten(1), away.double().flatten(1)
        now = torch.nn.functional.cosine_similarity(wide, base) >= self.alike
        self._done = now if self._done is None else now | self._done.to(now.device)

    def state(self) -> dict[str, Tensor]:
        """Which items need no guidance any more."""
        return {} if self._done is None else {_DONE: self._done}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned."""
        self._done = state.get(_DONE)
