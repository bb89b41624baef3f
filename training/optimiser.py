"""AdamW on one vector of weights, with orthogonalised updates of the matrices within it."""

from collections import defaultdict

import torch
from torch import Tensor

from training.config import FitConfig
from training.flat import FlatWeights, Place
from training.team import Team

_BETA1, _MUON_BETA = 0.9, 0.95
_EPSILON = 1e-8
_ADAM_LIKE = 0.2
"""Root mean square of an orthogonalised update: about AdamW's, so that both share one rate."""
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_APART = ("embedding", "conv_in.", "conv_out.", "quant_conv")
"""Tables, and the layers next to pictures, latents and tokens: no maps between features."""


class Optimiser:
    """Steps a model's flat weights along their flat gradient.

    AdamW (arXiv:1711.05101) for all; where the settings ask for it, the update of a matrix, a
    convolution being one too, is instead its averaged gradient with all singular values made about
    one (Muon, https://kellerjordan.github.io/posts/muon; scaled as in arXiv:2502.16982).

    Attributes:
        moments: What is remembered of the gradient, by name, each (count,).
        step: Steps taken.
    """

    def __init__(self, flat: FlatWeights, fit: FitConfig) -> None:
        self._flat, self._fit = flat, fit
        self.step = 0
        self.moments = {name: torch.zeros_like(flat.gradient) for name in ("exp_avg", "exp_avg_sq")}
        self._update = torch.zeros_like(flat.gradient)
        self._gain = torch.full_like(flat.gradient, 1.0 - _BETA1)
        self._matrices = _by_shape(flat.places) if fit.muon else []
        for places in self._matrices:
            for place in places:
                place.view(self._gain).fill_(1.0 - _MUON_BETA)

    @torch.no_grad()
    def advance(self, rate: float, team: Team) -> None:
        """One step with learning rate `rate`; each worker orthogonalises its share for all.

        All workers must hold the same gradient.
        """
        self.step += 1
        gradient, fit = self._flat.gradient, self._fit
        first, second = self.moments["exp_avg"], self.moments["exp_avg_sq"]
        first.lerp_(gradient, self._gain)
        second.mul_(fit.beta2).addcmul_(gradient, gradient, value=1.0 - fit.beta2)
        torch.div(second, 1.0 - fit.beta2**self.step, out=self._update).sqrt_().add_(_EPSILON)
        torch.div(first, self._update, out=self._update).div_(1.0 - _BETA1**self.step)
        for places in self._matrices:
            self._orthogonalise(places, team)
        if self._matrices:
            team.average(self._update, 0.0)
        values = self._flat.values
        values.mul_(1.0 - rate * fit.weight_decay).add_(self._update, alpha=-rate)

    def _orthogonalise(self, places: list[Place], team: Team) -> None:
        first, gradient = self.moments["exp_avg"], self._flat.gradient
        mine = places[team.rank :: team.size]
        for place in places:
            place.view(self._update).zero_()
        if not mine:
            return
        ahead = torch.stack(
            [
                _matrix(place.view(first)).lerp(_matrix(place.view(gradient)), 1.0 - _MUON_BETA)
                for place in mine
            ]
        )
        # Times the size of the team, as the workers' updates, zero but for one, are averaged.
        scale = team.size * _ADAM_LIKE * max(ahead.shape[-2:]) ** 0.5
        for place, update in zip(mine, orthogonal(ahead) * scale, strict=True):
            view = place.view(self._update)
            view.copy_(update.reshape(view.shape))


def orthogonal(matrices: Tensor) -> Tensor:
    """The matrices, (n, rows, columns), with singular values of about 0.7 to 1.2; float32.

    By five steps of a Newton-Schulz iteration of fifth order, in bfloat16, which is exact enough.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    wide = (matrices.mT if tall else matrices).bfloat16()
    wide = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    first, third, fifth = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        square = wide @ wide.mT
        wide = torch.baddbmm(
            wide, torch.baddbmm(square, square, square, beta=third, alpha=fifth), wide, beta=first
        )
    return (wide.mT if tall else wide).float()


def _matrix(weight: Tensor) -> Tensor:
    return weight.flatten(1)


def _by_shape(places: dict[str, Place]) -> list[list[Place]]:
    """The matrices of a model, those of one shape together, as they are computed in one go."""
    groups: dict[tuple[int, int], list[Place]] = defaultdict(list)
    for name, place in places.items():
        if len(place.size) >= 2 and not any(part in name for part in _APART):
            groups[place.size[0], place.size.numel() // place.size[0]].append(place)
    return list(groups.values())
