"""Guidance whose update is decomposed: projected (APG) and frequency-decoupled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.errors import InvalidFile
from nodegraph.families.model_step import Moment, Side
from nodegraph.sampling.guiders.base import GuidedModel, StatelessGuider

_ROW = (1.0, 4.0, 6.0, 4.0, 1.0)
"""Binomial weights, as Laplacian pyramids are made with. Source: Burt & Adelson 1983."""


@dataclass(frozen=True, slots=True)
class FrequencyGuidance(StatelessGuider):
    """Classifier-free guidance, level by level of a Laplacian pyramid.

    Source: Sadat et al. 2025, arXiv:2506.19713, algorithm 2.

    Attributes:
        guided_model: What it is begun for; its scale is that of low frequencies.
        high_cfg: Scale of high frequencies: details, edges.
        levels: Of the pyramid, at least 2; all but the last have the scale of high frequencies.
    """

    guided_model: GuidedModel
    high_cfg: float
    levels: int = 2

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both."""
        return self.guided_model.both_sides()

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The levels, each guided by its scale, put together again."""
        towards, away = (pyramid(outputs[name], self.levels) for name in ("positive", "negative"))
        scales = [self.high_cfg] * (len(away) - 1) + [self.guided_model.scale(moment)]
        levels = [
            base + scale * (top - base)
            for top, base, scale in zip(towards, away, scales, strict=True)
        ]
        return reconstruct(levels)


def pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """What is lost from level to level as an image is halved, and what is left in the end.

    Args:
        x: Shape (…, height, width).
        levels: At most; it ends sooner where a side would go below 4.
    Returns:
        The finest first; `built` gives the image again.
    """
    details: list[Tensor] = []
    while len(details) < levels - 1 and min(x.shape[-2:]) >= 2 * _LEAST:
        smaller = _resized(_blurred(x), x.shape[-2] // 2, x.shape[-1] // 2)
        details.append(x - _enlarged(smaller, x))
        x = smaller
    return [*details, x]


_LEAST = 4
"""Cells that a side of a level has at least, as the blur looks two further."""


def reconstruct(levels: list[Tensor]) -> Tensor:
    """The image that a pyramid is of."""
    picture = levels[-1]
    for level in reversed(levels[:-1]):
        picture = _enlarged(picture, level) + level
    return picture


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return _blurred(_resized(x, *like.shape[-2:]))


def _resized(x: Tensor, height: int, width: int) -> Tensor:
    flat = x.flatten(0, -4) if x.ndim > 4 else x
    sized = functional.interpolate(flat, (height, width), mode="bilinear", align_corners=False)
    return sized.reshape(*x.shape[:-2], height, width)


def _blurred(x: Tensor) -> Tensor:
    row = torch.tensor(_ROW, dtype=x.dtype, device=x.device) / sum(_ROW)
    flat = x.reshape(-1, 1, *x.shape[-2:])
    padded = functional.pad(flat, (2, 2, 2, 2), mode="reflect")
    return functional.conv2d(padded, torch.outer(row, row)[None, None]).reshape(x.shape)


_CLASS, _PROJECTED_CLASS = "AdaptiveProjectedMixGuidance", "AdaptiveProjectedGuidance"
_SUPPORTED = {"guidance_rescale": 0.0, "start": 0.0, "stop": 1.0}
"""Keys of a guider's file that are understood at one value, which a missing one means too."""

_RUNNING = "running"


@dataclass(slots=True)
class ProjectedGuidance:
    """Classifier-free guidance at first, later along what is at right angles to the prediction.

    The way from the negative prompt's output to the positive's is averaged over the steps from the
    first on; later that is cut to a length, and what lies along the positive's output taken away.
    As HunyuanImage's, AdaptiveProjectedMixGuidance of diffusers.

    Source: Sadat et al. 2024, arXiv:2410.02416, section 4.

    Attributes:
        cfg: Scale of the first steps.
        scale: Scale of the later ones.
        after: The last step, counted from 0, of the first ones.
        momentum: What a step keeps of those before; negative momentum pushes away from them.
        longest: Norm that the averaged way is cut to; 0 leaves it.
        along: Share that is kept of what lies along the positive's output.
        changing: The scale at a moment, in place of the two.
        from_positive: Whether the way is added to the positive's output, as in the paper.
        sides_of_norm: Dimensions that norms are over; empty for all but the first.
    """

    cfg: float
    scale: float = 10.0
    after: int = 5
    momentum: float | None = -0.5
    longest: float = 10.0
    along: float = 0.0
    changing: Callable[[Moment], float] | None = None
    from_positive: bool = False
    sides_of_norm: tuple[int, ...] = ()
    _running: Tensor | None = field(default=None, init=False)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], cfg: float) -> ProjectedGuidance | None:
        """Read a diffusers guider file; what it leaves out is as diffusers' defaults.

        Args:
            cfg: In place of the file's ``guidance_scale``; 1 is the positive prompt alone.
        Returns:
            None where the file turns it off.
        Raises:
            InvalidFile: It asks for something that isn't supported.
        """
        is_plain = config.get("_class_name") == _PROJECTED_CLASS
        name = _PROJECTED_CLASS if is_plain else _CLASS
        supported = {"_class_name": name, "use_original_formulation": is_plain, **_SUPPORTED}
        for key, value in supported.items():
            if config.get(key, value) != value:
                raise InvalidFile(
                    f"the model's guider file sets {key} to an unsupported value",
                    port="model",
                    given=str(config[key]),
                    expected=str(value),
                )
        if not config.get("enabled", True):
            return None
        named = {name: config[key] for name, key in _KEYS.items() if key in config}
        if is_plain:
            side = config["adaptive_projected_guidance_norm_dim"]
            named |= {"scale": cfg, "after": -1, "from_positive": True, "sides_of_norm": (side,)}
        return cls(cfg, **named)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both."""
        return ("positive", "negative")

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The output of one step, which goes into those of later ones, too."""
        towards, away = outputs["positive"], outputs["negative"]
        way = towards - away
        if self.momentum is not None:
            before = 0 if self._running is None else self._running.to(way.device)
            self._running = way + self.momentum * before
        cfg, scale = self.cfg, self.scale
        if self.changing is not None:
            cfg = scale = self.changing(moment)
        if moment.step <= self.after or scale == 1:
            return away + cfg * way
        projected = self._projected(way if self._running is None else self._running, towards)
        return towards + (scale - 1) * projected if self.from_positive else away + scale * projected

    def _projected(self, way: Tensor, towards: Tensor) -> Tensor:
        sides = list(self.sides_of_norm or range(1, way.ndim))
        if self.longest > 0:
            norm = way.norm(p=2, dim=sides, keepdim=True)
            way = way * (self.longest / norm).clamp(max=1)
        # In float64 as in the paper's own code: it is a small difference of large sums.
        unit = nn.functional.normalize(towards.double(), dim=sides)  # type: ignore[arg-type]
        parallel = (way.double() * unit).sum(dim=sides, keepdim=True) * unit
        right = way.double() - parallel
        return right.type_as(way) + self.along * parallel.type_as(way)

    def state(self) -> dict[str, Tensor]:
        """The running average."""
        return {} if self._running is None else {_RUNNING: self._running}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned."""
        self._running = state.get(_RUNNING)


_KEYS = {
    "scale": "adaptive_projected_guidance_scale",
    "after": "adaptive_projected_guidance_start_step",
    "momentum": "adaptive_projected_guidance_momentum",
    "longest": "adaptive_projected_guidance_rescale",
    "along": "eta",
}
"""Names of a guider's file, by those of attributes."""
