"""Convert between a network's output, the clean latent and the noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from nodegraph.families.base import Family
from nodegraph.families.model_step import Moment
from nodegraph.families.noise import NoiseSchedule


class CleanArithmetic(Protocol):
    """Between a network's output and the clean latent that it says is in x."""

    def to_clean(self, x: Tensor, output: Tensor, moment: Moment) -> Tensor:
        """The clean latent that an output says is in x."""
        ...

    def from_clean(self, x: Tensor, clean: Tensor, moment: Moment) -> Tensor:
        """The output that says so."""
        ...

    def velocity_scales(self, moment: Moment) -> tuple[float, float]:
        """What x and the velocity are multiplied by, of which the clean latent is the difference:
        ``clean = of_x · x - of_velocity · velocity``."""
        ...


def clean_arithmetic(config: Mapping[str, Any], family: Family) -> CleanArithmetic:
    """For a model with a scheduler file."""
    return FlowArithmetic() if family.noise == "flow" else OutputArithmetic.of(config)


@dataclass(frozen=True, slots=True)
class FlowArithmetic:
    """Of flow models: x = (1 - sigma) · clean + sigma · noise, and the output is noise - clean.

    Source: Liu et al. 2022, arXiv:2209.03003, equation 1.
    """

    def to_clean(self, x: Tensor, output: Tensor, moment: Moment) -> Tensor:
        """The clean latent that an output says is in x."""
        return x - moment.timestep_value / moment.training_timesteps * output

    def from_clean(self, x: Tensor, clean: Tensor, moment: Moment) -> Tensor:
        """The output that says so."""
        return (x - clean) * (moment.training_timesteps / moment.timestep_value)

    def velocity_scales(self, moment: Moment) -> tuple[float, float]:
        """As ComfyUI takes it of all models: as if x were clean + sigma · noise."""
        sigma = moment.timestep_value / moment.training_timesteps
        return 1 / (sigma**2 + 1), sigma * (sigma**2 + 1) ** -0.5


@dataclass(frozen=True, slots=True)
class OutputArithmetic:
    """Of models of noise variances: conversions at the timestep that the network is asked at.

    The latent as the network takes it is x = alpha · clean + deviation · noise, with
    alpha² + deviation² = 1. Of the velocity see Salimans & Ho 2022, arXiv:2202.00512, section 4.
    """

    noise: NoiseSchedule

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> OutputArithmetic:
        """For a model with a scheduler file."""
        return cls(NoiseSchedule.from_config(config))

    def scales(self, moment: Moment) -> tuple[float, float]:
        """Of the clean latent and the noise, between whole timesteps by interpolation."""
        sigma = float(self.noise.timestep_to_sigma(moment.timestep_value))
        alpha = (1 + sigma**2) ** -0.5
        return alpha, sigma * alpha

    def velocity_scales(self, moment: Moment) -> tuple[float, float]:
        """Those of the definition, which are `scales`."""
        return self.scales(moment)

    def to_noise(self, x: Tensor, output: Tensor, moment: Moment) -> Tensor:
        """The noise that an output says is in x."""
        alpha, deviation = self.scales(moment)
        if self.noise.prediction_type == "v_prediction":
            return alpha * output + deviation * x
        if self.noise.prediction_type == "sample":
            return (x - alpha * output) / deviation
        return output

    def to_clean(self, x: Tensor, output: Tensor, moment: Moment) -> Tensor:
        """The clean latent that an output says is in x."""
        alpha, deviation = self.scales(moment)
        if self.noise.prediction_type == "v_prediction":
            return alpha * x - deviation * output
        if self.noise.prediction_type == "sample":
            return output
        return (x - deviation * output) / alpha

    def from_clean(self, x: Tensor, clean: Tensor, moment: Moment) -> Tensor:
        """The output that says that this clean latent is in x."""
        alpha, deviation = self.scales(moment)
        if self.noise.prediction_type == "v_prediction":
            return (alpha * x - clean) / deviation
        if self.noise.prediction_type == "sample":
            return clean
        return (x - alpha * clean) / deviation

    def from_noise_change(self, change: Tensor, moment: Moment) -> Tensor:
        """How the output changes where the noise in x does by so much."""
        alpha, deviation = self.scales(moment)
        if self.noise.prediction_type == "v_prediction":
            return change / alpha
        if self.noise.prediction_type == "sample":
            return -deviation / alpha * change
        return change
