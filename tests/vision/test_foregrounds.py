"""BiRefNet, ISNet and U²-Net open by the names that their published files have, and mask."""

from __future__ import annotations

import json
from math import prod
from typing import Any

import pytest
import torch
from torch.nn import functional

from nodegraph.families.helper_networks import (
    BiRefNetShape,
    birefnet_shape,
    foreground_class,
    u2net_shape,
)
from nodegraph.media.images.masks import as_rgb
from nodegraph.models.foreground_networks import deformable_convolution, patches
from nodegraph.models.model_sources import list_models
from nodegraph.models.vision_networks import has_colors_last
from tests.nodes.conftest import Bench, link
from tests.vision.foreground_files import (
    TINY,
    birefnet_shapes,
    save,
    small_u2net,
    u2net_shapes,
    weights_of,
)

WIDTH, HEIGHT, SIDE = 45, 37, 64
REST = (64, 256, (1, 3, 7), 64)
TINY_SHAPES = birefnet_shapes(**TINY, inner=8, branch=8)  # type: ignore[arg-type]


def masked(model: str, batch: int = 1, **inputs: Any) -> dict[str, Any]:
    picture = {"width": WIDTH, "height": HEIGHT, "batch": batch}
    given = {"model": link("load"), "image": link("picture"), "resolution": SIDE, **inputs}
    return {
        "picture": {"type": "Picture", "inputs": picture},
        "load": {"type": "LoadVisionModel", "inputs": {"model": model}},
        "mask": {"type": "ForegroundMask", "inputs": given},
    }


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [
        (BiRefNetShape(96, (2, 2, 6, 2), (3, 6, 12, 24), 7, *REST), 44_313_720),
        (BiRefNetShape(192, (2, 2, 18, 2), (6, 12, 24, 48), 12, *REST), 220_176_498),
    ],
    ids=["lite", "general"],
)
def test_published_sizes_are_told_by_names_and_shapes(
    shape: BiRefNetShape, parameters: int
) -> None:
    shapes = birefnet_shapes(shape.width, shape.depths, shape.heads, shape.window)
    learnt = {name: item for name, item in shapes.items() if ".running_" not in name}
    # As many as the published networks have.
    assert sum(map(prod, learnt.values())) == parameters
    assert birefnet_shape(shapes) == shape
    assert birefnet_shape({f"module._orig_mod.{name}": item for name, item in shapes.items()})


def test_isnet_and_u2net_are_told_by_names_and_shapes() -> None:
    down = {
        "2": (64, 32, 128), "3": (128, 64, 256), "4": (256, 128, 512), "5": (512, 256, 512),
        "6": (512, 256, 512), "5d": (1024, 256, 512), "4d": (1024, 128, 256),
        "3d": (512, 64, 128), "2d": (256, 32, 64), "1d": (128, 16, 64),
    }  # fmt: skip
    isnet = u2net_shapes({"1": (64, 32, 64), **down}, 64)
    learnt = {name: item for name, item in isnet.items() if ".running_" not in name}
    assert sum(map(prod, learnt.values())) == 44_046_790
    found = u2net_shape(isnet)
    assert found is not None
    assert (found.stem, found.fused) == (64, False)
    whole = u2net_shape(u2net_shapes({"1": (3, 32, 64), **down}, None))
    assert whole is not None
    assert (whole.stem, whole.fused) == (None, True)
    assert foreground_class({"side1.weight": (1, 64, 3, 3)}) is None


def test_birefnet_masks_each_picture_alone_at_its_size(bench: Bench) -> None:
    save(
        bench.folder / "models" / "background_removal" / "tiny.safetensors", weights_of(TINY_SHAPES)
    )
    name = "background_removal/tiny.safetensors"
    three = bench.run(masked(name, 3), "mask")
    assert not three.errors
    mask, image = three["mask.mask"], three["mask.image"]
    assert mask.shape == (3, HEIGHT, WIDTH)
    assert 0 <= mask.min() < mask.max() <= 1
    assert mask.std() > 0.01
    assert torch.equal(image[..., 3], mask)
    assert torch.equal(image[..., :3], as_rgb(bench.value(masked(name, 3), "picture.image")))
    first = masked(name, 3)
    first["one"] = {"type": "ImageFromBatch", "inputs": {"image": link("picture"), "index": 1}}
    first["mask"]["inputs"]["image"] = link("one")
    torch.testing.assert_close(bench.value(first, "mask.mask"), mask[1:2], atol=1e-6, rtol=0)


@pytest.mark.slow
def test_a_folder_with_a_configuration_is_the_same_model(bench: Bench) -> None:
    tensors = weights_of(TINY_SHAPES)
    models = bench.folder / "models"
    save(models / "alone.safetensors", tensors)
    save(models / "folder" / "model.safetensors", {f"_orig_mod.{n}": t for n, t in tensors.items()})
    config = {"architectures": ["BiRefNet"], "auto_map": {"AutoConfig": "BiRefNet_config.C"}}
    (models / "folder" / "config.json").write_text(json.dumps(config))
    sizes = {"size": {"height": SIDE, "width": SIDE}}
    (models / "folder" / "preprocessor_config.json").write_text(json.dumps(sizes))
    alone = bench.value(masked("alone"), "mask.mask")
    assert torch.equal(bench.value(masked("folder", resolution=0), "mask.mask"), alone)
    listed = {model.name: model for model in list_models([models])}
    for name in ("alone.safetensors", "folder/model.safetensors"):
        assert (listed[name].node, listed[name].problem) == ("LoadVisionModel", None)


@pytest.mark.parametrize("stem", [None, 8], ids=["u2net", "isnet"])
def test_u2net_masks_at_any_size(bench: Bench, stem: int | None) -> None:
    save(bench.folder / "models" / f"{stem}.safetensors", weights_of(small_u2net(stem)))
    mask = bench.value(masked(f"{stem}", 3), "mask.mask")
    assert mask.shape == (3, HEIGHT, WIDTH)
    assert mask.min() == pytest.approx(0, abs=0.1)
    assert mask.max() == pytest.approx(1, abs=0.1)


@pytest.mark.slow
def test_half_precision_is_near(bench: Bench) -> None:
    save(bench.folder / "models" / "half.safetensors", weights_of(TINY_SHAPES))
    nodes = masked("half")
    full = bench.value(nodes, "mask.mask")
    nodes["load"]["inputs"]["dtype"] = "bfloat16"
    assert (bench.value(nodes, "mask.mask") - full).abs().mean() < 0.05


def test_models_for_something_else_and_damaged_ones_are_told(bench: Bench) -> None:
    models = bench.folder / "models"
    save(models / "whole.safetensors", weights_of(TINY_SHAPES))
    nodes = masked("whole")
    nodes["mask"] |= {"type": "EstimateDepth"}
    del nodes["mask"]["inputs"]["resolution"]
    [other] = bench.problems(nodes, "mask")
    assert "ForegroundMask" in str(other)
    cut = {name: item for name, item in weights_of(TINY_SHAPES).items() if "lateral" not in name}
    save(models / "cut.safetensors", cut)
    assert "decoder.lateral_block" in str(bench.failure(masked("cut"), "mask"))


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        ("pretrained.other.weight", "Depth-Anything-V2-Small-hf"),
        ("image_encoder.blocks.0.norm1.weight", "syscv-community/sam-hq-vit-base"),
        ("emb_params", "LoadTextualInversion"),
        ("unheard.of", "config.json"),
    ],
)
def test_a_single_file_of_another_kind_is_told(bench: Bench, tensor: str, said: str) -> None:
    save(bench.folder / "models" / "other" / "file.safetensors", {tensor: torch.zeros(2, 768)})
    [problem] = bench.problems(masked("other/file.safetensors"), "load")
    assert said in str(problem)


def test_deformed_by_nothing_it_is_a_convolution() -> None:
    picture, weight = torch.randn(2, 3, 6, 9), torch.randn(4, 3, 3, 3)
    plain = functional.conv2d(picture, weight, padding=1)
    none, full = torch.zeros(2, 18, 6, 9), torch.ones(2, 9, 6, 9)
    found = deformable_convolution(picture, weight, none, full, 1)
    torch.testing.assert_close(found, plain, atol=1e-4, rtol=1e-4)
    half = deformable_convolution(picture, weight, none, full / 2, 1)
    torch.testing.assert_close(half, plain / 2, atol=1e-4, rtol=1e-4)
    pixel = torch.randn(1, 3, 1, 1)
    alone = deformable_convolution(pixel, weight, none[:1, :, :1, :1], full[:1, :, :1, :1], 1)
    torch.testing.assert_close(alone, functional.conv2d(pixel, weight, padding=1))


def test_deformed_by_whole_pixels_it_is_a_shift() -> None:
    picture, weight = torch.randn(1, 3, 8, 8), torch.randn(4, 3, 3, 3)
    offsets = torch.zeros(1, 9, 2, 8, 8)
    offsets[:, :, 0], offsets[:, :, 1] = 2, -1
    found = deformable_convolution(
        picture, weight, offsets.flatten(1, 2), torch.ones(1, 9, 8, 8), 1
    )
    moved = functional.pad(picture, (1, 0, 0, 2))[:, :, 2:, :8]
    expected = functional.conv2d(moved, weight, padding=1)
    inner = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(found[inner], expected[inner], atol=1e-4, rtol=1e-4)


def test_patches_are_channels_in_one_of_two_orders() -> None:
    picture = torch.arange(3 * 8 * 4).reshape(1, 3, 8, 4).float()
    first = patches(picture, 2, colors_last=False)
    last = patches(picture, 2, colors_last=True)
    assert first.shape == last.shape == (1, 12, 4, 2)
    color, row, column = 2, 1, 0
    part = picture[0, color, 4 * row : 4 * row + 4, 2 * column : 2 * column + 2]
    assert torch.equal(first[0, color * 4 + row * 2 + column], part)
    assert torch.equal(last[0, (column * 2 + row) * 3 + color], part)


@pytest.mark.parametrize("last", [True, False])
def test_the_order_of_patches_is_told_by_what_was_learnt(last: bool) -> None:
    torch.manual_seed(0)
    # What is learned is alike in what is beside each other: patches of 3 by 3, and colors.
    coarse = torch.randn(64 * 9, 1, 3, 3)
    smooth = functional.interpolate(coarse, size=(8, 8), mode="bilinear").reshape(64, 3, 3, 8, 8)
    smooth = smooth.mean(2, keepdim=True).expand(64, 3, 3, 8, 8)[:, :, :1].expand(64, 3, 9, 8, 8)
    noisy = smooth.permute(0, 2, 1, 3, 4) + 0.5 * torch.randn(64, 9, 3, 8, 8)
    order = (0, 4, 3, 2, 1) if last else (0, 2, 3, 4, 1)
    weight = noisy.permute(order).reshape(64, 192, 3, 3)
    assert has_colors_last({"decoder.ipt_blk3.conv1.weight": weight}) is last
    assert not has_colors_last({"decoder.ipt_blk3.conv1.weight": torch.randn(64, 192, 3, 3)})
