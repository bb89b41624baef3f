"""The methods of guidance that can be chosen, as values. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nodegraph.core.values import Conditioning
from nodegraph.diffusion.guidable import check_from_zero
from nodegraph.diffusion.guiders.base import GuidanceMethod, GuidedModel, Guider, Side


@dataclass(frozen=True, slots=True)
class Usual(GuidanceMethod):
    """Classifier-free guidance, or what the model's family has in place of it."""

    @property
    def is_usual(self) -> bool:
        """It is."""
        return True

    def begin(self, given: GuidedModel) -> Guider:
        """See `Family.guider` and `ClassifierFree`."""
        from nodegraph.diffusion.guiders.classifier_free import ClassifierFree

        own = given.family.guider(given.model, given.cfg, given.prompts)
        return own or ClassifierFree(given.family, given.scale)


@dataclass(frozen=True, slots=True)
class Dual(GuidanceMethod):
    """See `nodegraph.diffusion.guiders.dual.DualGuidance`.

    Attributes:
        second: Another prompt to lead to, from the negative one; the positive one then leads from
            there. Source: Brooks et al. 2023, arXiv:2211.09800, equation 3.
        second_cfg: Its guidance scale.
    """

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

    def begin(self, given: GuidedModel) -> Guider:
        """With the scale as it was chosen."""
        from nodegraph.diffusion.guiders.dual import DualGuidance

        return DualGuidance(given.cfg, self.second_cfg)


@dataclass(frozen=True, slots=True)
class Projected(GuidanceMethod):
    """See `nodegraph.diffusion.guiders.projected.ProjectedGuidance`.

    Attributes:
        momentum: What a step keeps of those before; negative momentum pushes away from them.
        longest: Norm that the averaged way is cut to; 0 leaves it.
        along: Share that is kept of what lies along the positive's output.
    """

    momentum: float = -0.5
    longest: float = 10.0
    along: float = 0.0

    def begin(self, given: GuidedModel) -> Guider:
        """Projected from the first step on."""
        from nodegraph.diffusion.guiders.projected import ProjectedGuidance

        cfg, momentum = given.cfg, self.momentum or None
        return ProjectedGuidance(cfg, cfg, -1, momentum, self.longest, self.along)
