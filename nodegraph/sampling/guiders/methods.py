"""Descriptions of the guidance methods, as values of guiders. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nodegraph.core.pack_faults import check_plugin_name
from nodegraph.core.plugins import PluginGroup, module_of
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.values import Conditioning
from nodegraph.errors import InvalidValue
from nodegraph.families.model_step import Guider, Side
from nodegraph.sampling.guiders.base import GuidanceMethod, GuidedModel
from nodegraph.sampling.guiders.checks import check_from_zero

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class DefaultGuidance(GuidanceMethod):
    """Classifier-free guidance, or the guider that the model's family uses instead."""

    title: ClassVar[str] = "guidance"

    @property
    def is_default(self) -> bool:
        """True: this is the default guidance."""
        return True

    def begin(self, guided_model: GuidedModel) -> Guider:
        """Create the guider of the model's family; see `Family.guider_config`, `ClassifierFree`."""
        from nodegraph.sampling.guiders.classifier_free import ClassifierFree
        from nodegraph.sampling.guiders.decomposed_guidance import ProjectedGuidance

        positive_tensors = [prompt.tensors for prompt in guided_model.sides["positive"].prompts]
        config = guided_model.family.guider_config(guided_model.model, positive_tensors)
        own = None if config is None else ProjectedGuidance.from_config(config, guided_model.cfg)
        if own is not None and guided_model.scale_changes:
            raise InvalidValue(
                f"the scale of {guided_model.family.title} is set by another guider",
                port="guider",
                hint="Remove ChangingGuidance.",
            )
        return own or ClassifierFree(guided_model.family, guided_model.scale)


@dataclass(frozen=True, slots=True)
class Dual(GuidanceMethod):
    """Guidance with two positive prompts, each with a scale.

    See `nodegraph.sampling.guiders.classifier_free.DualGuidance`. Source: Brooks et al. 2023,
    arXiv:2211.09800, equation 3.

    Attributes:
        second: Second prompt. Guidance goes from the negative prompt to this one, and from this
            one to the positive prompt.
        second_cfg: Guidance scale from the negative to the second prompt.
    """

    title: ClassVar[str] = "dual guidance"

    second: Conditioning
    second_cfg: float = 1.0

    def __post_init__(self) -> None:
        check_from_zero("second_cfg", self.second_cfg)

    @property
    def prompts(self) -> Mapping[Side, Conditioning]:
        """The second prompt."""
        return {"second": self.second}

    @property
    def always(self) -> bool:
        """True: all three prompts are evaluated at every scale."""
        return True

    def begin(self, guided_model: GuidedModel) -> Guider:
        """Create the guider with both scales."""
        from nodegraph.sampling.guiders.classifier_free import DualGuidance

        return DualGuidance(guided_model.scale, self.second_cfg)


@dataclass(frozen=True, slots=True)
class Projected(GuidanceMethod):
    """Adaptive projected guidance (APG).

    See `nodegraph.sampling.guiders.decomposed_guidance.ProjectedGuidance`.

    Attributes:
        momentum: Momentum of the guidance update over steps. Negative momentum pushes away from
            earlier updates.
        longest: Largest norm of the averaged update. 0 for no limit.
        along: Share that is kept of the update's component parallel to the positive output.
    """

    title: ClassVar[str] = "projected guidance"

    momentum: float = -0.5
    longest: float = 10.0
    along: float = 0.0

    def begin(self, guided_model: GuidedModel) -> Guider:
        """Create the guider, which projects from the first step on."""
        from nodegraph.sampling.guiders.decomposed_guidance import ProjectedGuidance

        momentum = self.momentum or None
        return ProjectedGuidance(
            guided_model.cfg,
            guided_model.cfg,
            -1,
            momentum,
            self.longest,
            self.along,
            guided_model.scale,
        )


@dataclass(frozen=True, slots=True)
class ZeroStar(GuidanceMethod):
    """CFG-Zero* guidance; see `nodegraph.sampling.guiders.classifier_free.ZeroStarGuidance`.

    Attributes:
        zero_steps: Number of first steps with zero output, which do not change the latent.
    """

    title: ClassVar[str] = "CFG-Zero*"

    zero_steps: int = 1

    def begin(self, guided_model: GuidedModel) -> Guider:
        """Create the guider, which scales the negative output."""
        from nodegraph.sampling.guiders.classifier_free import ZeroStarGuidance

        return ZeroStarGuidance(guided_model, self.zero_steps)


@dataclass(frozen=True, slots=True)
class Tangential(GuidanceMethod):
    """Tangential guidance; see `nodegraph.sampling.guiders.classifier_free.TangentialGuidance`."""

    title: ClassVar[str] = "tangential guidance"

    def begin(self, guided_model: GuidedModel) -> Guider:
        """Create the guider."""
        from nodegraph.sampling.guiders.classifier_free import TangentialGuidance

        return TangentialGuidance(guided_model)


@dataclass(frozen=True, slots=True)
class Frequency(GuidanceMethod):
    """Frequency-decoupled guidance on the levels of a Laplacian pyramid.

    See `nodegraph.sampling.guiders.decomposed_guidance.FrequencyGuidance`.

    Attributes:
        high_cfg: Guidance scale of high frequencies.
        levels: Number of levels of the pyramid, at least 2.
    """

    title: ClassVar[str] = "frequency-decoupled guidance"

    high_cfg: float = 7.0
    levels: int = 2

    def __post_init__(self) -> None:
        check_from_zero("high_cfg", self.high_cfg)

    def begin(self, guided_model: GuidedModel) -> Guider:
        """Create the guider."""
        from nodegraph.sampling.guiders.decomposed_guidance import FrequencyGuidance

        return FrequencyGuidance(guided_model, self.high_cfg, self.levels)


@dataclass(frozen=True, slots=True)
class Damped(GuidanceMethod):
    """Magnitude-aware guidance (MAMBO-G).

    See `nodegraph.sampling.guiders.classifier_free.MagnitudeGuidance`.

    Attributes:
        damping: How fast the scale decreases with the difference of the positive and the negative
            output. At least 0; 0 does not decrease it.
    """

    title: ClassVar[str] = "magnitude-aware guidance"

    damping: float = 8.0

    def __post_init__(self) -> None:
        check_from_zero("damping", self.damping)

    def begin(self, guided_model: GuidedModel) -> Guider:
        """Create the guider."""
        from nodegraph.sampling.guiders.classifier_free import MagnitudeGuidance

        return MagnitudeGuidance(guided_model, self.damping)


@dataclass(frozen=True, slots=True)
class Adaptive(GuidanceMethod):
    """Adaptive guidance, which stops when the positive and the negative output are alike.

    See `nodegraph.sampling.guiders.classifier_free.AdaptiveGuidance`.

    Attributes:
        alike: Cosine similarity of both outputs at which they count as alike.
    """

    title: ClassVar[str] = "adaptive guidance"

    alike: float = 0.99

    def begin(self, guided_model: GuidedModel) -> Guider:
        """Create the guider."""
        from nodegraph.sampling.guiders.classifier_free import AdaptiveGuidance

        return AdaptiveGuidance(guided_model, self.alike)


@dataclass(frozen=True, slots=True)
class Thresholded(GuidanceMethod):
    """Dynamic thresholding; see `nodegraph.sampling.guiders.classifier_free.ThresholdedGuidance`.

    Attributes:
        mimic_cfg: Lower guidance scale whose value range limits the output.
        quantile: Fraction of a channel's values that is not clipped.
    """

    title: ClassVar[str] = "dynamic thresholding"

    mimic_cfg: float = 5.0
    quantile: float = 0.995

    def __post_init__(self) -> None:
        check_from_zero("mimic_cfg", self.mimic_cfg)

    def begin(self, guided_model: GuidedModel) -> Guider:
        """Create the guider with both scales."""
        from nodegraph.sampling.guiders.classifier_free import ThresholdedGuidance

        return ThresholdedGuidance(guided_model, self.mimic_cfg, self.quantile)


GUIDER_NAMES = ("cfg",)
"""Built-in guiders that are chosen by name; the others each have a node."""
GUIDER_PLUGINS = PluginGroup("nodegraph.guiders", GUIDER_NAMES)
"""Guiders of packages and packs, made by `guider`."""


@dataclass(frozen=True)
class GuiderFunction:
    """Guider defined by a function; see `guider`.

    Attributes:
        name: Name of the guider in nodes.
        combine: Function of the model's predictions for the positive and the negative prompt
            (float32 tensors of the latent's shape) and the guidance scale. It returns the guided
            prediction in the same shape.
    """

    plugin_group: ClassVar[str] = GUIDER_PLUGINS.name

    name: str
    combine: Callable[[Tensor, Tensor, float], Tensor]

    @property
    def module(self) -> str:
        """Name of the module of its function."""
        return module_of(self.combine)

    @property
    def record(self) -> dict[str, Any]:
        """Empty: checks need no properties of a guider."""
        return {}


def guider(name: str) -> Callable[[Callable[[Tensor, Tensor, float], Tensor]], GuiderFunction]:
    """Make a guider from a function of both predictions and the scale; see `GuiderFunction`.

    Use it as a decorator.

    Args:
        name: Name of the guider in nodes.
    """
    check_plugin_name("guider", name)
    return lambda combine: GuiderFunction(name, combine)


@dataclass(frozen=True, slots=True)
class PluginGuidance(GuidanceMethod):
    """Guidance by the guider of a package or a pack.

    Attributes:
        name: Name of the guider, one of `GUIDER_PLUGINS`.
        release: Release of the package or pack, which is part of cache keys.
    """

    title: ClassVar[str] = "guidance of a pack"

    name: str
    release: str

    def begin(self, guided_model: GuidedModel) -> Guider:
        """Create the guider with its function."""
        from nodegraph.sampling.guiders.classifier_free import FunctionGuidance

        function: GuiderFunction = GUIDER_PLUGINS[self.name].load()
        return FunctionGuidance(guided_model, self.name, function.combine)


def named_guidance(name: str) -> GuidanceMethod:
    """Return the guidance method of a name.

    Raises:
        InvalidValue: There is no guider of this name; on port ``guider``.
    """
    if name in GUIDER_NAMES:
        return DefaultGuidance()
    plugin = GUIDER_PLUGINS.get(name)
    if plugin is None:
        names = (*GUIDER_NAMES, *GUIDER_PLUGINS)
        raise InvalidValue(
            f"there is no guider `{name}`",
            port="guider",
            given=name,
            expected=", ".join(names),
            hint=did_you_mean(name, names),
        )
    return PluginGuidance(name, plugin.read_release())
