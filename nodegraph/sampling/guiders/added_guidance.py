"""Guidance that can be added to a guider, as values. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from nodegraph.core.values import Conditioning, DiffusionModel, Recipe
from nodegraph.errors import InvalidValue
from nodegraph.families.helper_recipes import LatentClassifier
from nodegraph.families.model_step import Side
from nodegraph.families.registry import get_family
from nodegraph.models.helper_files import read_classifier
from nodegraph.sampling.guiders.base import AddedGuidance, AddedTerm, GuidedModel
from nodegraph.sampling.guiders.checks import (
    CLASSIFIED,
    PERTURBED,
    SKIPPED,
    UNET_ATTENTION,
    check_addable,
)

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.families.model_step import Moment


@dataclass(frozen=True, slots=True)
class PerturbedAttention(AddedGuidance):
    """Away from what the network says where tokens attend to themselves alone.

    Source: Ahn et al. 2024, arXiv:2403.17377; of transformers as diffusers' guiders.

    Attributes:
        layers: As of `nodegraph.sampling.guiders.checks`.
    """

    title: ClassVar[str] = "perturbed attention"

    layers: tuple[str, ...] = ()

    def check(self, model: DiffusionModel) -> None:
        """Some transformers compute attention in a way of their own."""
        check_addable(PERTURBED, model.family)

    def begin(self, guided_model: GuidedModel, index: int) -> AddedTerm:
        """By a copy of the network that shares its weights."""
        from nodegraph.sampling.guiders.perturbed_networks import identity_attention, with_attention
        from nodegraph.sampling.guiders.terms import WeakModelTerm

        worse = guided_model.evaluator.for_model(
            with_attention(guided_model.model, self.layers, identity_attention)
        )
        return WeakModelTerm(
            worse, guided_model.sides["positive"], self.scale, self.start, self.end
        )


@dataclass(frozen=True, slots=True)
class SmoothedEnergy(AddedGuidance):
    """Away from what a UNet says where attention is blurred.

    Source: Hong 2024, arXiv:2408.00760.

    Attributes:
        layers: As of `nodegraph.sampling.guiders.checks`.
        blur: Standard deviation in cells of the layer.
    """

    title: ClassVar[str] = "smoothed energy"

    layers: tuple[str, ...] = ()
    blur: float = 9999.0

    def check(self, model: DiffusionModel) -> None:
        """It needs to know where tokens lie."""
        check_addable(UNET_ATTENTION, model.family)

    def begin(self, guided_model: GuidedModel, index: int) -> AddedTerm:
        """By a copy of the network that shares its weights."""
        from nodegraph.sampling.guiders.perturbed_networks import blurred_attention, with_attention
        from nodegraph.sampling.guiders.terms import WeakModelTerm

        def cells() -> Sequence[int]:
            window = worse.window
            return (
                guided_model.fitting.shape[-2:] if window is None else (window.height, window.width)
            )

        attend = blurred_attention(self.blur, cells)
        worse = guided_model.evaluator.for_model(
            with_attention(guided_model.model, self.layers, attend)
        )
        return WeakModelTerm(
            worse, guided_model.sides["positive"], self.scale, self.start, self.end
        )


@dataclass(frozen=True, slots=True)
class SkippedLayers(AddedGuidance):
    """Away from what the network says without some of its blocks.

    Source: https://github.com/Stability-AI/sd3.5; Hyung et al. 2024, arXiv:2411.18664.

    Attributes:
        layers: As of `nodegraph.sampling.guiders.checks`.
        adds: Whether it is asked about the positive prompt besides, and led away from; else it
            answers for the negative one.
    """

    title: ClassVar[str] = "skipped layers"

    layers: tuple[str, ...] = ()
    adds: bool = True

    def check(self, model: DiffusionModel) -> None:
        """Blocks of some transformers can't be left out."""
        check_addable(SKIPPED, model.family)

    @property
    def description(self) -> str:
        """There is no scale where nothing is added."""
        return f"{self.title} at {self.scale:g}" if self.adds else f"{self.title}, negative"

    def begin(self, guided_model: GuidedModel, index: int) -> AddedTerm:
        """By a copy of the network that shares its weights."""
        from nodegraph.sampling.guiders.perturbed_networks import without_layers
        from nodegraph.sampling.guiders.terms import ReplacedNegative, WeakModelTerm

        worse = guided_model.evaluator.for_model(without_layers(guided_model.model, self.layers))
        if not self.adds:
            return ReplacedNegative(worse, self.start, self.end)
        return WeakModelTerm(
            worse, guided_model.sides["positive"], self.scale, self.start, self.end
        )


@dataclass(frozen=True, slots=True)
class SelfAttention(AddedGuidance):
    """See `nodegraph.sampling.guiders.terms.SelfAttentionTerm`.

    Attributes:
        blur: Standard deviation of the blur in cells of the latent.
    """

    title: ClassVar[str] = "self-attention"

    blur: float = 1.0

    def check(self, model: DiffusionModel) -> None:
        """It looks into the middle of a UNet."""
        check_addable(UNET_ATTENTION, model.family)

    def begin(self, guided_model: GuidedModel, index: int) -> AddedTerm:
        """By the negative side where there is one."""
        from nodegraph.sampling.guiders.terms import SelfAttentionTerm

        side = "negative" if "negative" in guided_model.sides else "positive"
        return SelfAttentionTerm(guided_model, side, self.scale, self.blur, self.start, self.end)


@dataclass(frozen=True, slots=True)
class WeakerModel(AddedGuidance):
    """Away from what a weaker model says: smaller, or trained less.

    Source: Karras et al. 2024, arXiv:2406.02507.

    Attributes:
        model: The weaker one, of the same family.
    """

    title: ClassVar[str] = "a weaker model"

    model: DiffusionModel = field(kw_only=True)

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """The weaker model."""
        return (self.model,)

    def check(self, model: DiffusionModel) -> None:
        """Both have to be asked the same, and to answer alike."""
        _check_alike(self.model, model, "the weaker model")

    def begin(self, guided_model: GuidedModel, index: int) -> AddedTerm:
        """With the prompts as it takes them."""
        from dataclasses import replace

        from nodegraph.sampling.guiders.terms import WeakModelTerm

        weaker = guided_model.extra_models[self.model]
        prompts = replace(guided_model.fitting, model=weaker).prompts(
            "positive", guided_model.positive
        )
        return WeakModelTerm(
            guided_model.evaluator.for_model(weaker), prompts, self.scale, self.start, self.end
        )


@dataclass(frozen=True, slots=True)
class OtherNegative(AddedGuidance):
    """Another model answers for the negative prompt, such as one that it is left out of.

    Attributes:
        model: Of the same family.
    """

    title: ClassVar[str] = "another model for the negative prompt"

    model: DiffusionModel = field(kw_only=True)

    @property
    def description(self) -> str:
        """It has no scale."""
        return self.title

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """The other model."""
        return (self.model,)

    def check(self, model: DiffusionModel) -> None:
        """Both have to be asked the same, in one precision, and to answer alike."""
        _check_alike(self.model, model, "the negative prompt's model")
        if self.model.dtype != model.dtype:
            raise InvalidValue(
                "the negative prompt's model has another precision",
                port="guider",
                given=self.model.dtype,
                expected=model.dtype,
                hint="Load both with the same dtype.",
            )

    def begin(self, guided_model: GuidedModel, index: int) -> AddedTerm:
        """With both in memory."""
        from nodegraph.sampling.guiders.terms import ReplacedNegative

        other = guided_model.evaluator.for_model(guided_model.extra_models[self.model])
        return ReplacedNegative(other, self.start, self.end)


def _check_alike(other: DiffusionModel, model: DiffusionModel, title: str) -> None:
    from nodegraph.families.flow_noise import recipe_noise

    if other.family != model.family:
        raise InvalidValue(
            f"{title} belongs to another family",
            port="guider",
            given=get_family(other.family).title,
            expected=get_family(model.family).title,
        )
    kinds = [getattr(recipe_noise(item), "prediction_type", "") for item in (other, model)]
    if kinds[0] != kinds[1]:
        raise InvalidValue(
            f"{title} has another prediction type than the model",
            port="guider",
            given=kinds[0],
            expected=kinds[1],
        )


@dataclass(frozen=True, slots=True)
class FurtherNegative(AddedGuidance):
    """See `nodegraph.sampling.guiders.terms.NegativePromptTerm`.

    Attributes:
        negative: What to lead away from besides.
        apart: Whether only away from what has nothing to do with the positive prompt.
    """

    title: ClassVar[str] = "a further negative prompt"

    negative: Conditioning = field(kw_only=True)
    apart: bool = False

    @property
    def needs_negative(self) -> bool:
        """It does."""
        return True

    def prompts(self, index: int) -> Mapping[Side, Conditioning]:
        """Its own."""
        return {f"negative {index}": self.negative}

    def check(self, model: DiffusionModel) -> None:
        """Where a model can't be asked about several prompts is reported with the rest."""

    def begin(self, guided_model: GuidedModel, index: int) -> AddedTerm:
        """Beside the negative side."""
        from nodegraph.sampling.guiders.terms import NegativePromptTerm

        side = f"negative {index}"
        return NegativePromptTerm(side, self.scale, self.apart, self.start, self.end)


@dataclass(frozen=True, slots=True)
class Classified(AddedGuidance):
    """See `nodegraph.sampling.guiders.terms.ClassifierTerm`.

    Attributes:
        classifier: Of the noisy latents.
        label, background: Names that it knows; empty for anything.
    """

    title: ClassVar[str] = "a classifier"

    classifier: LatentClassifier = field(kw_only=True)
    label: str = ""
    background: str = ""

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """The classifier."""
        return (self.classifier,)

    def check(self, model: DiffusionModel) -> None:
        """It has to know the noise."""
        check_addable(CLASSIFIED, model.family)

    def begin(self, guided_model: GuidedModel, index: int) -> AddedTerm:
        """With the classifier in memory."""
        from nodegraph.families.noise import OutputArithmetic
        from nodegraph.sampling.guiders.terms import ClassifierTerm

        about = read_classifier(Path(self.classifier.files[0].path))
        if about.channels != guided_model.fitting.shape[1]:
            raise InvalidValue(
                "the classifier was trained on another latent format than the model's",
                port="guider",
                given=f"{about.channels} channels",
                expected=f"{guided_model.fitting.shape[1]} channels",
            )
        wished = about.class_indices(self.label, self.background)
        arithmetic = OutputArithmetic.of(guided_model.model.scheduler_config)
        network = guided_model.extra_models[self.classifier].network
        return ClassifierTerm(network, *wished, arithmetic, self.scale, self.start, self.end)


@dataclass(frozen=True, slots=True)
class Valences(AddedGuidance):
    """See `nodegraph.sampling.guiders.terms.ValenceTerm`."""

    title: ClassVar[str] = "valences"

    def check(self, model: DiffusionModel) -> None:
        """It is for molecules."""
        if model.family != "molecules":
            raise InvalidValue(
                "valence guidance works only with models of molecules",
                port="guider",
                given=get_family(model.family).title,
                expected="a model of molecules, such as tiny/molecules",
                hint="Remove the node that adds it.",
            )

    def begin(self, guided_model: GuidedModel, index: int) -> AddedTerm:
        """Without anything else in memory."""
        from nodegraph.sampling.guiders.terms import ValenceTerm

        return ValenceTerm(self.scale, self.start, self.end)


@dataclass(frozen=True, slots=True)
class PositiveBias(AddedGuidance):
    """Positive-biased guidance; see `nodegraph.sampling.guiders.terms.bias_to_positive`."""

    title: ClassVar[str] = "positive-biased guidance"

    @property
    def description(self) -> str:
        """Return the title: there is no scale."""
        return self.title

    def check(self, model: DiffusionModel) -> None:
        """Accept every model: it changes only predictions."""

    def begin(self, guided_model: GuidedModel, index: int) -> AddedTerm:
        """Create the term with the guidance scale of the sampling."""
        from nodegraph.families.noise import clean_arithmetic
        from nodegraph.sampling.guiders.terms import CleanLatentTerm, bias_to_positive

        def change(
            guided: Tensor, positive: Tensor, negative: Tensor | None, moment: Moment
        ) -> Tensor:
            if negative is None:
                return guided
            return bias_to_positive(guided, positive, negative, guided_model.scale(moment))

        config = guided_model.model.scheduler_config
        arithmetic = clean_arithmetic(config, guided_model.family)
        return CleanLatentTerm(arithmetic, change, self.start, self.end)


@dataclass(frozen=True, slots=True)
class ItemNormLimit(AddedGuidance):
    """Limit of the norm of each item; see `nodegraph.sampling.guiders.terms.limit_item_norm`.

    Its scale is the limit, as a multiple of the positive prediction's norm.
    """

    title: ClassVar[str] = "norm limit"

    def check(self, model: DiffusionModel) -> None:
        """Accept every model: it changes only predictions."""

    def begin(self, guided_model: GuidedModel, index: int) -> AddedTerm:
        """Create the term."""
        from nodegraph.families.noise import clean_arithmetic
        from nodegraph.sampling.guiders.terms import CleanLatentTerm, limit_item_norm

        config = guided_model.model.scheduler_config
        return CleanLatentTerm(
            clean_arithmetic(config, guided_model.family),
            lambda guided, positive, _, __: limit_item_norm(guided, positive, self.scale),
            self.start,
            self.end,
        )
