"""Every node that makes images of images, on the edge cases, with the same demands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import nodegraph_nodes.image_adjust as adjust
import nodegraph_nodes.image_combine as combine
import nodegraph_nodes.image_compare as comparing
import nodegraph_nodes.image_draw as drawing
import nodegraph_nodes.image_filter as filters
import nodegraph_nodes.image_transform as transform
import pytest
import torch
from torch import Tensor

from nodegraph.core.node import NODE_ATTRIBUTE
from tests.cases import case


@dataclass(frozen=True)
class Case:
    """A node with inputs, and which rules hold for it."""

    node: Callable[..., Any]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    keeps_alpha: bool = True
    keeps_channels: bool = True
    seeded: bool = False

    def __str__(self) -> str:
        said = "-".join(str(value) for value in self.inputs.values() if isinstance(value, str))
        return f"{self.node.__name__}-{said}" if said else self.node.__name__

    def __call__(self, image: Tensor, at: int = 0) -> Tensor:
        """The image that it makes.

        Args:
            at: Place of the first image in the batch that it was taken from.
        """
        seed = {"seed": (self.inputs["seed"] + at) % 2**64} if self.seeded else {}
        made = self.node(image, **{**self.inputs, **seed})
        return made if isinstance(made, Tensor) else made[0]


OTHER = torch.rand(1, 4, 6, 3, generator=torch.Generator().manual_seed(5))
CLEAR = torch.rand(1, 3, 3, 4, generator=torch.Generator().manual_seed(6))
MASK = torch.rand(1, 2, 2, generator=torch.Generator().manual_seed(7))
AROUND = {"left": 1, "top": 9, "right": 3, "bottom": 0}

CASES = [
    Case(adjust.BrightnessContrast, {"brightness": 1.3, "contrast": 0.7}),
    Case(adjust.AdjustExposure, {"stops": -0.7, "gamma": 1.4}),
    Case(adjust.ShadowsHighlights, {"shadows": 0.6, "highlights": -0.4}),
    Case(adjust.AdjustLevels, {"black": 0.1, "white": 0.9, "gamma": 1.5, "output_white": 0.8}),
    Case(adjust.AdjustLevels, {"black": 0.1, "channel": "green"}),
    Case(adjust.AdjustCurves),
    Case(adjust.AdjustCurves, {"points": "0,1 0.5 0.4\n1,0", "channel": "blue"}),
    Case(adjust.HueSaturation, {"hue": 40, "saturation": 1.4, "lightness": -0.2, "vibrance": 0.3}),
    Case(adjust.WhiteBalance, {"temperature": 0.4, "tint": -0.2}),
    Case(adjust.WhiteBalance, {"auto": "grey world"}),
    Case(adjust.WhiteBalance, {"auto": "brightest"}),
    Case(adjust.WhiteBalance),
    Case(adjust.InvertImage),
    *(Case(adjust.Grayscale, {"method": m}) for m in ("luma", "luminance", "average", "blue")),
    Case(adjust.GradientMap, {"amount": 0.7}),
    *(
        Case(adjust.MatchColors, {"reference": OTHER, "method": method})
        for method in ("mean and spread", "histogram", "covariance")
    ),
    *(Case(adjust.QuantizeImage, {"colors": 4, "dither": d}) for d in ("none", "ordered")),
    Case(adjust.QuantizeImage, {"palette": "black, white red", "dither": "floyd-steinberg"}),
    Case(adjust.PosterizeImage),
    Case(adjust.ThresholdImage, {"softness": 0.2}),
    *(
        Case(adjust.AutoContrast, {"method": method})
        for method in ("stretch", "stretch channels", "equalize", "local")
    ),
    *(
        Case(filters.BlurImage, {"kind": kind, "radius": 1.6, "angle": 30.0})
        for kind in ("gaussian", "box", "motion", "median", "surface")
    ),
    Case(filters.BlurImage, {"radius": 40.0}),
    Case(filters.SharpenImage, {"threshold": 0.05}),
    Case(filters.HighPass),
    Case(filters.AddGrain, {"seed": 3, "size": 2.0}, seeded=True),
    Case(filters.AddGrain, {"seed": 2**64 - 2, "in_color": True}, seeded=True),
    Case(filters.AddImageNoise, {"seed": 4, "strength": 0.2}, seeded=True),
    Case(filters.MorphImage, {"operation": "gradient"}),
    Case(filters.MorphImage, {"operation": "bottom hat", "radius": 2}),
    Case(filters.Vignette, {"color": "navy"}),
    Case(filters.PixelateImage, {"size": 4}, keeps_alpha=False),
    Case(filters.EmbossImage),
    Case(filters.FindEdges),
    Case(filters.GlowImage, {"radius": 2.0}),
    Case(filters.ChromaticAberration),
    *(
        Case(transform.ResizeImage, {"width": 10, "height": 4, "fit": fit}, keeps_alpha=False)
        for fit in ("stretch", "crop", "pad", "inside", "outside")
    ),
    Case(transform.ResizeImage, {"width": 9, "height": 0, "multiple_of": 4}, keeps_alpha=False),
    Case(transform.ResizeImage, {"like": OTHER, "fit": "pad", "fill": "#0000"}, keeps_alpha=False),
    *(
        Case(transform.ScaleImage, {"by": by, "amount": amount}, keeps_alpha=False)
        for by, amount in (("factor", 1.5), ("longer side", 9.0), ("megapixels", 0.001))
    ),
    Case(transform.CropImage, {"width": 3, "height": 0, "x": 0}, keeps_alpha=False),
    Case(transform.CropImage, {"width": 4, "height": 9, "anchor": "top"}, keeps_alpha=False),
    *(
        Case(transform.PadImage, {**AROUND, "border": border}, keeps_alpha=False)
        for border in ("color", "edge", "reflect", "wrap")
    ),
    Case(transform.PadImage, {**AROUND, "color": "#ff000080"}, keeps_alpha=False),
    *(
        Case(transform.RotateImage, {"angle": angle, "expand": expand}, keeps_alpha=False)
        for angle in (90.0, -180.0, 33.0)
        for expand in (True, False)
    ),
    Case(transform.RotateImage, {"angle": 10.0, "color": "#0000"}, keeps_alpha=False),
    *(Case(transform.FlipImage, {"axis": a}, keeps_alpha=False) for a in ("horizontal", "both")),
    Case(transform.ShiftImage, {"x": 2, "y": -9}, keeps_alpha=False),
    Case(transform.WarpImage, keeps_alpha=False),
    Case(transform.TileImage, {"columns": 3, "mirror": True}, keeps_alpha=False),
    *(
        Case(combine.BlendImages, {"other": OTHER, "mode": mode}, keeps_alpha=False)
        for mode in ("normal", "soft light", "color dodge", "hue")
    ),
    Case(combine.BlendImages, {"other": CLEAR, "mode": "overlay"}, keeps_alpha=False),
    Case(combine.CompositeImage, {"layer": CLEAR, "anchor": "bottom right"}, keeps_alpha=False),
    Case(combine.CompositeImage, {"layer": OTHER, "x": -2, "mask": MASK}, keeps_alpha=False),
    Case(combine.CompositeImage, {"layer": OTHER, "x": 100}),
    Case(combine.FlattenImage, keeps_alpha=False, keeps_channels=False),
    *(
        Case(combine.SplitChannels, {"space": space}, keeps_alpha=False, keeps_channels=False)
        for space in ("rgb", "hsv", "lab")
    ),
    Case(combine.ImageFromBatch, {"length": 0}),
    Case(combine.RepeatImage, {"times": 1}),
    Case(comparing.SplitView, {"other": OTHER}, keeps_alpha=False, keeps_channels=False),
    Case(comparing.ImageHistogram, keeps_alpha=False, keeps_channels=False),
    Case(drawing.DrawShape, {"x": 1.0, "y": 1.0, "width": 3.5, "height": 2.0}, keeps_alpha=False),
]
MODULES = (adjust, combine, comparing, drawing, filters, transform)
each_module = pytest.mark.parametrize(
    "module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2]
)
CHANNELS = (1, 3, 4)
SIZES = [(7, 5), (1, 1), (3, 12)]


def cases_of(module: ModuleType) -> list[Case]:
    found = [one for one in CASES if one.node.__module__ == module.__name__]
    assert found
    return found


def pictures(count: int, channels: int, size: tuple[int, int] = (7, 5)) -> Tensor:
    generator = torch.Generator().manual_seed(channels)
    return torch.rand(count, size[1], size[0], channels, generator=generator)


@each_module
def test_a_batch_is_what_its_pictures_are_alone(module: ModuleType) -> None:
    for one, channels in product(cases_of(module), CHANNELS):
        with case(one, channels):
            given = pictures(3, channels)
            before = given.clone()
            made = one(given)
            singles = [one(given[at : at + 1], at) for at in range(3)]
            assert torch.equal(made, torch.cat(singles))
            assert torch.equal(given, before)


@each_module
def test_what_is_made_is_a_picture(module: ModuleType) -> None:
    for one, channels, size in product(cases_of(module), CHANNELS, SIZES):
        with case(one, channels, size):
            given = pictures(1, channels, size)
            made = one(given)
            assert made.dtype == torch.float32
            assert made.ndim == 4
            assert made.shape[-1] >= (channels if one.keeps_channels else 1)
            assert made.isfinite().all()
            assert made.amin() >= 0
            assert made.amax() <= 1
            if channels == 4 and one.keeps_alpha:
                assert torch.equal(made[..., 3], given[..., 3])


@each_module
def test_flat_pictures_are_worked_on_like_others(module: ModuleType) -> None:
    for one, level in product(cases_of(module), (0.0, 0.5, 1.0)):
        with case(one, level):
            assert one(torch.full((1, 4, 6, 3), level)).isfinite().all()


@each_module
def test_what_is_known_before_is_so_afterwards(module: ModuleType) -> None:
    for one, channels in product(cases_of(module), CHANNELS):
        with case(one, channels):
            given = pictures(2, channels)
            known = _facts(one, given)
            made = one(given)
            count, height, width, depth = made.shape
            found = {"width": width, "height": height, "batch": count, "channels": depth}
            assert known == {name: found[name] for name in known}
            assert {"width", "height", "batch"} <= known.keys()


def test_every_case_is_of_a_module() -> None:
    assert sum(len(cases_of(module)) for module in MODULES) == len(CASES)


def _facts(one: Case, given: Tensor) -> dict[str, Any]:
    """What the node's hooks tell of the image that it makes."""
    from nodegraph import Environment, HookInputs

    definition = getattr(one.node, NODE_ATTRIBUTE)
    linked = {
        name: _told(value)
        for name, value in {**one.inputs, _first_port(definition): given}.items()
        if isinstance(value, Tensor)
    }
    literals = {
        port.name: one.inputs.get(port.name, port.default)
        for port in definition.spec.inputs
        if port.name not in linked and not (port.required and port.name not in one.inputs)
    }
    nowhere = Environment((), Path(), Path(), Path())
    inputs = HookInputs(literals, linked, nowhere)
    assert not list((definition.hooks.get("validate") or (lambda _: ()))(inputs))
    output = definition.spec.outputs[0].name
    if "infer" in definition.hooks:
        return dict(definition.hooks["infer"](inputs).get(output, {}))
    copies = definition.spec.facts.get(output, {})
    told: dict[str, Any] = {}
    for fact, source in copies.items():
        port, _, name = source.partition(".")
        value = inputs.fact(port, name) if name else literals.get(port)
        if value is not None:
            told[fact] = value
    return told


def _first_port(definition: Any) -> str:
    return str(definition.spec.inputs[0].name)


def _told(value: Tensor) -> dict[str, int]:
    facts = {"batch": value.shape[0], "height": value.shape[1], "width": value.shape[2]}
    return facts | ({"channels": value.shape[3]} if value.ndim == 4 else {})
