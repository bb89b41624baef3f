"""FILM: its file, its network against the paper's description, and the frames it computes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.errors import InvalidFile, InvalidValue, ModelNotFound, NumericalError
from nodegraph.families.components import Component
from nodegraph.families.film_layout import FilmShape, FlowShape, film_shape
from nodegraph.families.identification import LOAD_FRAME_INTERPOLATOR
from nodegraph.models.frame_interpolation import FilmNetwork, interpolate_frames
from nodegraph.models.helper_files import (
    frame_interpolator_bytes,
    locate_frame_interpolator,
    open_frame_interpolator,
)
from nodegraph.models.loading import compact_bytes, estimate_bytes, load_component
from nodegraph.models.model_sources import list_models
from tests.messages import raises

PUBLISHED = FilmShape(
    (64, 128, 256, 512), tuple(FlowShape(3, width) for width in (32, 64, 128, 256)),
    (512, 256, 128, 64),
)  # fmt: skip
PUBLISHED_BYTES = 68_873_334
"""The published file in half precision has 65.7 MiB."""
TINY = FilmShape((4, 6, 8, 10), tuple(FlowShape(2, width) for width in (4, 6, 6, 8)), (10, 8, 6, 4))
FINE = 3
"""Levels that have an estimator of their own."""


def network(shape: FilmShape = TINY) -> FilmNetwork:
    torch.manual_seed(2)
    film = FilmNetwork(shape).eval().requires_grad_(False)
    for name, tensor in film.state_dict().items():
        # Larger than usual, so that motions of several pixels arise.
        tensor.copy_(torch.randn_like(tensor) * (0.2 if name.endswith("weight") else 0.3))
    return film


def interpolator(film: nn.Module | None = None) -> Component:
    return Component({"frame_interpolator": film or network()}, "film")


def pictures(frames: int = 3, height: int = 70, width: int = 83, channels: int = 3) -> Tensor:
    return torch.rand(
        frames, height, width, channels, generator=torch.Generator().manual_seed(channels)
    )


# The paper's description, in plain steps over the tensors of a file.


def convolved(weights: Mapping[str, Tensor], name: str, planes: Tensor) -> Tensor:
    weight, bias = weights[f"{name}.conv.weight"], weights[f"{name}.conv.bias"]
    before, after = (weight.shape[-1] - 1) // 2, weight.shape[-1] // 2
    padded = functional.pad(planes, (before, after, before, after))
    return functional.conv2d(padded, weight, bias)


def leaky(planes: Tensor) -> Tensor:
    return torch.where(planes > 0, planes, 0.2 * planes)


def read_at(planes: Tensor, flow: Tensor) -> Tensor:
    """Each pixel from where the flow points: the four pixels around it, weighted by distance."""
    _, _, height, width = planes.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y = (x + flow[0, 0]).clamp(0, width - 1), (y + flow[0, 1]).clamp(0, height - 1)
    left, top = x.floor().long(), y.floor().long()
    right, bottom = (left + 1).clamp(max=width - 1), (top + 1).clamp(max=height - 1)
    x, y = x - left, y - top
    upper = planes[0, :, top, left] * (1 - x) + planes[0, :, top, right] * x
    lower = planes[0, :, bottom, left] * (1 - x) + planes[0, :, bottom, right] * x
    return (upper * (1 - y) + lower * y)[None]


def larger(planes: Tensor, like: Tensor, mode: str = "bilinear") -> Tensor:
    return functional.interpolate(planes, like.shape[-2:], mode=mode)


def pyramids(weights: Mapping[str, Tensor], image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Seven sizes of an image, and at each the features of four depths that have this size."""
    images = [image]
    while len(images) < 7:
        images.append(functional.avg_pool2d(images[-1], 2))
    own: list[list[Tensor]] = []
    for level, planes in enumerate(images):
        own.append([])
        for deep in range(min(4, 7 - level)):
            name = f"extract.extract_sublevels.convs.{deep}"
            planes = functional.avg_pool2d(planes, 2) if deep else planes
            planes = leaky(convolved(weights, f"{name}.0", planes))
            planes = leaky(convolved(weights, f"{name}.1", planes))
            own[-1].append(planes)
    features = []
    for level in range(7):
        parts = [own[level - deep][deep] for deep in range(4) if deep <= level]
        features.append(torch.cat(parts, 1))
    return images, features


def flows(
    weights: Mapping[str, Tensor], source: list[Tensor], target: list[Tensor]
) -> list[Tensor]:
    """Motion from coarse to fine: twice the coarser one, and what an estimator adds."""
    result: dict[int, Tensor] = {}
    for level in range(6, -1, -1):
        fine = f"predict_flow._predictors.{FINE - 1 - level}"
        name = fine if level < FINE else "predict_flow._predictor"
        other, before = target[level], torch.zeros(())
        if level < 6:
            before = 2 * larger(result[level + 1], source[level])
            other = read_at(other, before)
        planes = torch.cat([source[level], other], 1)
        last = max(at for at in range(9) if f"{name}._convs.{at}.conv.weight" in weights)
        for at in range(last):
            planes = leaky(convolved(weights, f"{name}._convs.{at}", planes))
        result[level] = before + convolved(weights, f"{name}._convs.{last}", planes)
    return [result[level] for level in range(7)]


def described(weights: Mapping[str, Tensor], first: Tensor, second: Tensor, time: float) -> Tensor:
    """The frame at a time, by the paper. Images are (1, 3, height, width)."""
    (images, features), (others, seen) = pyramids(weights, first), pyramids(weights, second)
    forth, back = flows(weights, features, seen), flows(weights, seen, features)
    aligned = []
    for level in range(5):
        one, two = time * back[level], (1 - time) * forth[level]
        before = read_at(torch.cat([images[level], features[level]], 1), one)
        after = read_at(torch.cat([others[level], seen[level]], 1), two)
        aligned.append(torch.cat([before, after, one, two], 1))
    planes = aligned[4]
    for at, level in enumerate((3, 2, 1, 0)):
        name = f"fuse.convs.{at}"
        planes = convolved(weights, f"{name}.0", larger(planes, aligned[level], "nearest"))
        planes = leaky(convolved(weights, f"{name}.1", torch.cat([aligned[level], planes], 1)))
        planes = leaky(convolved(weights, f"{name}.2", planes))
    return functional.conv2d(
        planes, weights["fuse.output_conv.weight"], weights["fuse.output_conv.bias"]
    )


@pytest.mark.parametrize("size", [(64, 64), (70, 83), (96, 130)])
@pytest.mark.parametrize("time", [0.5, 0.25])
def test_it_equals_the_papers_description(size: tuple[int, int], time: float) -> None:
    film = network()
    first, second = pictures(2, *size).movedim(-1, 1).split(1)
    pair = film.describe(first), film.describe(second)
    motions = film.motion(*pair), film.motion(pair[1], pair[0])
    assert max(flow.abs().max() for flow in motions[0]) > 1
    expected = described(film.state_dict(), first, second, time)
    torch.testing.assert_close(film.between(pair, motions, time), expected, rtol=1e-3, atol=1e-4)


def test_the_published_sizes_are_read_from_a_file() -> None:
    with torch.device("meta"):
        tensors = FilmNetwork(PUBLISHED).state_dict()
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    assert film_shape(shapes) == PUBLISHED
    assert 2 * sum(item.numel() for item in tensors.values()) == PUBLISHED_BYTES
    # As published: the coarse estimator sees 960 features of each frame, the fusion 1930 planes.
    assert shapes["predict_flow._predictor._convs.0.conv.weight"] == (256, 1920, 3, 3)
    assert shapes["predict_flow._predictors.0._convs.0.conv.weight"] == (128, 896, 3, 3)
    assert shapes["fuse.convs.0.0.conv.weight"] == (512, 1930, 2, 2)
    assert shapes["fuse.convs.3.1.conv.weight"] == (64, 202, 3, 3)


@pytest.mark.parametrize("missing", ["fuse.output_conv.weight", "fuse.convs.0.1.conv.weight",
                                     "predict_flow._predictor._convs.0.conv.weight"])  # fmt: skip
def test_files_without_a_part_are_not_film(missing: str) -> None:
    shapes = {name: tuple(item.shape) for name, item in network().state_dict().items()}
    assert film_shape(shapes) == TINY
    del shapes[missing]
    assert film_shape(shapes) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_model_is_loaded_from_its_file(dtype: torch.dtype, tmp_path: Path) -> None:
    folder = tmp_path / "frame_interpolation"
    folder.mkdir()
    tensors = {name: item.to(dtype) for name, item in network().state_dict().items()}
    save_file(tensors, folder / "film.safetensors")
    recipe = open_frame_interpolator("film", [tmp_path])
    loaded = load_component(recipe, "cpu")
    assert loaded.dtype == torch.float32
    assert loaded.module.state_dict().keys() == tensors.keys()
    for name, tensor in loaded.module.state_dict().items():
        assert torch.equal(tensor, tensors[name].float())
    numbers = sum(item.numel() for item in tensors.values())
    assert estimate_bytes(recipe) == frame_interpolator_bytes(recipe) == 4 * numbers
    assert compact_bytes(recipe) is None
    [listed] = [item for item in list_models([tmp_path]) if "film" in item.name]
    assert listed.node == LOAD_FRAME_INTERPOLATOR


def test_half_precision_on_a_device_takes_half_the_memory(tmp_path: Path) -> None:
    save_file({name: item.half() for name, item in network().state_dict().items()},
              tmp_path / "film.safetensors")  # fmt: skip
    recipe = open_frame_interpolator("film", [tmp_path], device="cuda")
    assert recipe.dtype == "float16"
    assert 2 * frame_interpolator_bytes(recipe) == frame_interpolator_bytes(
        open_frame_interpolator("film", [tmp_path])
    )


def test_files_of_another_kind_are_refused_by_name(tmp_path: Path) -> None:
    save_file({"x.lora_up.weight": torch.zeros(2, 2)}, tmp_path / "style.safetensors")
    with raises(InvalidFile):
        locate_frame_interpolator("style", [tmp_path])
    torch.save({}, tmp_path / "film.pt")
    with raises(InvalidFile):
        locate_frame_interpolator("film.pt", [tmp_path])
    with pytest.raises(ModelNotFound):
        locate_frame_interpolator("rife", [tmp_path])


@pytest.mark.parametrize("prefix", ["block0", "module.block0", "flownet.block0", "blocks.0"])
def test_rife_is_refused_by_its_name(prefix: str, tmp_path: Path) -> None:
    """As published, as saved from several devices, and as repackaged for ComfyUI."""
    names = ("conv0.0.0.weight", "conv0.1.0.weight", "lastconv.0.weight", "convblock.0.beta")
    save_file({f"{prefix}.{name}": torch.zeros(2, 2, 3, 3) for name in names},
              tmp_path / "rife.safetensors")  # fmt: skip
    with raises(InvalidFile) as refused:
        locate_frame_interpolator("rife", [tmp_path])
    assert "is RIFE" in str(refused.value)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    tensors = network().state_dict()
    tensors["fuse.convs.1.0.conv.weight"] = torch.zeros(1, 1, 2, 2)
    save_file(tensors, tmp_path / "film.safetensors")
    with raises(InvalidFile):
        load_component(open_frame_interpolator("film", [tmp_path]), "cpu")


@pytest.mark.parametrize("multiplier", [2, 3, 4])
def test_frames_are_kept_and_new_ones_lie_between(multiplier: int) -> None:
    frames = pictures()
    result = interpolate_frames(interpolator(), frames, multiplier)
    assert result.shape == (2 * multiplier + 1, 70, 83, 3)
    assert torch.equal(result[::multiplier], frames)
    assert result.min() >= 0
    assert result.max() <= 1
    # Each pair by itself gives the same: nothing else is remembered.
    pairs = [interpolate_frames(interpolator(), frames[at : at + 2], multiplier) for at in (0, 1)]
    assert torch.equal(result, torch.cat([pairs[0], pairs[1][1:]]))


def test_new_frames_come_at_even_times() -> None:
    times: list[float] = []

    class Recorded(FilmNetwork):
        def between(self, frames: object, motions: object, time: float) -> Tensor:
            times.append(time)
            return torch.full((1, 3, 64, 64), time)

    steps: list[tuple[int, int]] = []
    result = interpolate_frames(
        interpolator(Recorded(TINY)),
        pictures(2, 64, 64),
        4,
        on_frame=lambda step, total: steps.append((step, total)),
    )
    assert times == [0.25, 0.5, 0.75]
    assert torch.equal(result[1:4, 0, 0, 0], torch.tensor(times))
    assert steps == [(1, 3), (2, 3), (3, 3)]


def passing(first: float, second: float) -> FilmNetwork:
    """A FILM that mixes the two aligned images, and sees a motion as set at its last biases."""
    film = FilmNetwork(TINY).eval().requires_grad_(False)
    for tensor in film.state_dict().values():
        tensor.zero_()
    other = TINY.aligned_channels(0) // 2 - 2
    for color in range(3):
        film.fuse.convs[-1][1].conv.weight[color, color, 1, 1] = first
        film.fuse.convs[-1][1].conv.weight[color, other + color, 1, 1] = second
        film.fuse.convs[-1][2].conv.weight[color, color, 1, 1] = 1
        film.fuse.output_conv.weight[color, color, 0, 0] = 1
    return film


def test_without_motion_frames_can_fade() -> None:
    frames = pictures(2)
    result = interpolate_frames(interpolator(passing(0.5, 0.5)), frames, 2)
    torch.testing.assert_close(result[1], (frames[0] + frames[1]) / 2)


@pytest.mark.parametrize("which", [0, 1])
def test_a_uniform_motion_moves_frames_by_its_part(which: int) -> None:
    """Seen at the finest level alone: 8 pixels to the right and 4 down, either way."""
    film = passing(1.0 - which, float(which))
    film.predict_flow.at(0)._convs[-1].conv.bias.copy_(torch.tensor([8.0, 4.0]))
    frames = pictures(2)
    result = interpolate_frames(interpolator(film), frames, 4)
    for part in (1, 2, 3):
        moved = part if which == 0 else 4 - part
        x, y = 2 * moved, moved
        expected = frames[which, y:, x:]
        torch.testing.assert_close(result[part, : 70 - y, : 83 - x], expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (40, 90), (64, 20)])
def test_small_frames_keep_their_size(height: int, width: int) -> None:
    frames = pictures(2, height, width)
    result = interpolate_frames(interpolator(passing(0.5, 0.5)), frames, 2)
    assert result.shape == (3, height, width, 3)
    torch.testing.assert_close(result[1], frames.mean(0))


def test_gray_frames_and_transparency() -> None:
    gray = interpolate_frames(interpolator(passing(1, 0)), pictures(2, channels=1), 2)
    torch.testing.assert_close(gray[1], pictures(2, channels=1)[0])
    clear = pictures(2, channels=4)
    result = interpolate_frames(interpolator(), clear, 3)
    colors = interpolate_frames(interpolator(), clear[..., :3], 3)
    assert torch.equal(result[..., :3], colors)
    torch.testing.assert_close(result[1, ..., 3], (2 * clear[0, ..., 3] + clear[1, ..., 3]) / 3)


def test_single_frames_and_a_multiplier_of_one_stay() -> None:
    assert torch.equal(interpolate_frames(interpolator(), pictures(1), 3), pictures(1))
    assert torch.equal(interpolate_frames(interpolator(), pictures(), 1), pictures())
    with raises(InvalidValue, port="multiplier"):
        interpolate_frames(interpolator(), pictures(), 0)


def test_at_most_two_frames_are_held() -> None:
    """The pyramids of earlier frames are freed while a long video runs."""
    import weakref

    alive: list[weakref.ref[Tensor]] = []
    most = 0

    class Watched(FilmNetwork):
        def describe(self, image: Tensor):  # type: ignore[no-untyped-def]
            nonlocal most
            pyramid = super().describe(image)
            alive.append(weakref.ref(pyramid.features[0]))
            most = max(most, sum(item() is not None for item in alive))
            return pyramid

    interpolate_frames(interpolator(Watched(TINY)), pictures(6, 64, 64), 2)
    assert len(alive) == 6
    assert most <= 3


def test_nan_is_refused() -> None:
    film = network()
    film.fuse.output_conv.bias.fill_(float("nan"))
    with pytest.raises(NumericalError):
        interpolate_frames(interpolator(film), pictures(2), 2)


def test_too_many_frames_are_refused_before_any_is_computed() -> None:
    still = torch.zeros(1, 1, 1, 3).expand(100_000, 8192, 8192, 3)
    with raises(InvalidValue, port="multiplier"):
        interpolate_frames(interpolator(), still, 64)
