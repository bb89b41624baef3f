"""The methods of guidance that can be chosen, as values. Imports no torch."""

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
    """Classifier-free guidance, or what the model's family has in place of it."""

    title: ClassVar[str] = "guidance"

    @property
    def is_default(self) -> bool:
        """It is."""
        return True

    def begin(self, guided_model: GuidedModel) -> Guider:
        """See `Family.guider_config` and `ClassifierFree`."""
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
    """See `nodegraph.sampling.guiders.classifier_free.DualGuidance`.

    Attributes:
        second: Another prompt to lead to, from the negative one; the positive one then leads from
            there. Source: Brooks et al. 2023, arXiv:2211.09800, equation 3.
        second_cfg: Its guidance scale.
    """

    title: ClassVar[str] = "dual guidance"

    second: Conditioning
    second_cfg: float = 1.0

    def __post_init__(self) -> None:
        check_from_zero("second_cfg", self.second_cfg)

    @property
    def prompts(self) -> Mapping[Side, Conditioning]:
        """The second one."""
        return {"second": self.second}

    @property
    def always(self) -> bool:
        """It does."""
        return True

    def begin(self, guided_model: GuidedModel) -> Guider:
        """With two scales."""
        from nodegraph.sampling.guiders.classifier_free import DualGuidance

        return DualGuidance(guided_model.scale, self.second_cfg)


@dataclass(frozen=True, slots=True)
class Projected(GuidanceMethod):
    """See `nodegraph.sampling.guiders.decomposed_guidance.ProjectedGuidance`.

    Attributes:
        momentum: What a step keeps of those before; negative momentum pushes away from them.
        longest: Norm that the averaged way is cut to; 0 leaves it.
        along: Share that is kept of what lies along the positive's output.
    """

    title: ClassVar[str] = "projected guidance"

    momentum: float = -0.5
    longest: float = 10.0
    along: float = 0.0

    def begin(self, guided_model: GuidedModel) -> Guider:
        """Projected from the first step on."""
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
    """See `nodegraph.sampling.guiders.classifier_free.ZeroStarGuidance`.

    Attributes:
        zero_steps: Steps at the beginning that stay where they are.
    """

    title: ClassVar[str] = "CFG-Zero*"

    zero_steps: int = 1

    def begin(self, guided_model: GuidedModel) -> Guider:
        """From a negative answer that is scaled."""
        from nodegraph.sampling.guiders.classifier_free import ZeroStarGuidance

        return ZeroStarGuidance(guided_model, self.zero_steps)


@dataclass(frozen=True, slots=True)
class Tangential(GuidanceMethod):
    """See `nodegraph.sampling.guiders.classifier_free.TangentialGuidance`."""

    title: ClassVar[str] = "tangential guidance"

    def begin(self, guided_model: GuidedModel) -> Guider:
        """Along the main direction."""
        from nodegraph.sampling.guiders.classifier_free import TangentialGuidance

        return TangentialGuidance(guided_model)


@dataclass(frozen=True, slots=True)
class Frequency(GuidanceMethod):
    """See `nodegraph.sampling.guiders.decomposed_guidance.FrequencyGuidance`.

    Attributes:
        high_cfg: Scale of high frequencies.
        levels: Of the pyramid, at least 2.
    """

    title: ClassVar[str] = "frequency-decoupled guidance"

    high_cfg: float = 7.0
    levels: int = 2

    def __post_init__(self) -> None:
        check_from_zero("high_cfg", self.high_cfg)

    def begin(self, guided_model: GuidedModel) -> Guider:
        """Level by level."""
        from nodegraph.sampling.guiders.decomposed_guidance import FrequencyGuidance

        return FrequencyGuidance(guided_model, self.high_cfg, self.levels)


@dataclass(frozen=True, slots=True)
class Damped(GuidanceMethod):
    """See `nodegraph.sampling.guiders.classifier_free.MagnitudeGuidance`.

    Attributes:
        damping: How fast the scale goes down where both answers differ.
    """

    title: ClassVar[str] = "magnitude-aware guidance"

    damping: float = 8.0

    def __post_init__(self) -> None:
        check_from_zero("damping", self.damping)

    def begin(self, guided_model: GuidedModel) -> Guider:
        """By the length of the way."""
        from nodegraph.sampling.guiders.classifier_free import MagnitudeGuidance

        return MagnitudeGuidance(guided_model, self.damping)


@dataclass(frozen=True, slots=True)
class Adaptive(GuidanceMethod):
    """See `nodegraph.sampling.guiders.classifier_free.AdaptiveGuidance`.

    Attributes:
        alike: Cosine between both answers from which on they are alike.
    """

    title: ClassVar[str] = "adaptive guidance"

    alike: float = 0.99

    def begin(self, guided_model: GuidedModel) -> Guider:
        """As long as it makes a difference."""
        from nodegraph.sampling.guiders.classifier_free import AdaptiveGuidance

        return AdaptiveGuidance(guided_model, self.alike)


@dataclass(frozen=True, slots=True)
class Thresholded(GuidanceMethod):
    """See `nodegraph.sampling.guiders.classifier_free.ThresholdedGuidance`.

    Attributes:
        mimic_cfg: The lower scale, in whose range the answer is kept.
        quantile: Part of a channel's values that isn't cut.
    """

    title: ClassVar[str] = "dynamic thresholding"

    mimic_cfg: float = 5.0
    quantile: float = 0.995

    def __post_init__(self) -> None:
        check_from_zero("mimic_cfg", self.mimic_cfg)

    def begin(self, guided_model: GuidedModel) -> Guider:
        """With both scales."""
        from nodegraph.sampling.guiders.classifier_free import ThresholdedGuidance

        return ThresholdedGuidance(guided_model, self.mimic_cfg, self.quantile)


GUIDER_NAMES = ("cfg",)
"""The built-in guidance that is chosen by name; the others have nodes of their own."""
GUIDER_PLUGINS = PluginGroup("nodegraph.guiders", GUIDER_NAMES)
"""The guidance of packages and packs: what `guider` makes."""


@dataclass(frozen=True)
class GuiderFunction:
    """A guider defined by a function; see `guider`.

    Attributes:
        name: Its name in nodes.
        combine: Function of the model's predictions for the positive and the negative prompt
            (float32 tensors of the latent's shape) and the guidance scale. It returns the guided
            prediction in the same shape.
    """

    plugin_group: ClassVar[str] = GUIDER_PLUGINS.name

    name: str
    combine: Callable[[Tensor, Tensor, float], Tensor]

    @property
    def module(self) -> str:
        """The module of its function."""
        return module_of(self.combine)

    @property
    def record(self) -> dict[str, Any]:
        """Checks ask nothing."""
        return {}


def guider(name: str) -> Callable[[Callable[[Tensor, Tensor, float], Tensor]], GuiderFunction]:
    """Make a guider from a function of both predictions and the scale; see `GuiderFunction`."""
    check_plugin_name("guider", name)
    return lambda combine: GuiderFunction(name, combine)


@dataclass(frozen=True, slots=True)
class PluginGuidance(GuidanceMethod):
    """Guidance of a package or a pack.

    Attributes:
        name: One of `GUIDER_PLUGINS`.
        release: Of the package or pack: results count by it.
    """

    title: ClassVar[str] = "guidance of a pack"

    name: str
    release: str

    def begin(self, guided_model: GuidedModel) -> Guider:
        """By its function."""
        from nodegraph.sampling.guiders.classifier_free import FunctionGuidance

        function: GuiderFunction = GUIDER_PLUGINS[self.name].load()
        return FunctionGuidance(guided_model, self.name, function.combine)


def named_guidance(name: str) -> GuidanceMethod:
    """The guidance of a name.

    Raises:
        InvalidValue: There is none; on port ``guider``.
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
