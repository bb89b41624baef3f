"""VAEEncode and VAEDecode in a graph."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from nodegraph.errors import InvalidValue
from nodegraph.media.images import memory_checks as room
from nodegraph.sampling.inpainting import hard_mask
from tests.messages import raises
from tests.nodes.conftest import Bench, link


def graph(model: Path, **picture: Any) -> dict[str, Any]:
    return {
        "load": {"type": "LoadModel", "inputs": {"model": str(model)}},
        "picture": {"type": "Picture", "inputs": picture},
        "encode": {
            "type": "VAEEncode",
            "inputs": {"vae": link("load.vae"), "image": link("picture")},
        },
        "decode": {
            "type": "VAEDecode",
            "inputs": {"vae": link("load.vae"), "latent": link("encode")},
        },
        "empty": {"type": "EmptyLatent", "inputs": {"width": 32, "height": 16}},
        "early": {
            "type": "VAEDecode",
            "inputs": {"vae": link("load.vae"), "latent": link("empty")},
        },
    }


def test_a_picture_goes_there_and_back(bench: Bench, sd1_folder: Path) -> None:
    result = bench.run(graph(sd1_folder, width=32, height=16, batch=2), "encode", "decode")

    latent, image = result["encode.latent"], result["decode.image"]
    assert (latent.width, latent.height, latent.batch_size, latent.format) == (32, 16, 2, "sd")
    assert latent.samples.shape == (2, 4, 2, 4)
    assert image.shape == (2, 16, 32, 3)
    assert torch.isfinite(image).all()


def test_a_picture_that_shows_nothing_is_told_with_advice(
    bench: Bench, sd1_folder: Path, tmp_path: Path
) -> None:
    broken = shutil.copytree(sd1_folder, tmp_path / "broken")
    [file] = (broken / "vae").glob("*.safetensors")
    tensors = load_file(file)
    tensors["decoder.conv_out.weight"].zero_()
    tensors["decoder.conv_out.bias"].fill_(-5)
    save_file(tensors, file, {"format": "pt"})

    assert not bench.value(graph(broken), "decode.image").any()
    [told] = bench.told("log")
    assert told.data["level"] == "warning"
    assert "black all over" in told.data["message"]


def test_a_size_that_does_not_fit_names_the_nearest(bench: Bench, sd1_folder: Path) -> None:
    error = bench.failure(graph(sd1_folder, width=30, height=16), "encode")

    assert "node `encode` (VAEEncode)" in str(error)
    assert "32 x 16" in str(error)


def test_a_size_known_beforehand_is_told_beforehand(bench: Bench, sd1_folder: Path) -> None:
    nodes = graph(sd1_folder) | {
        "small": {
            "type": "ResizeImage",
            "inputs": {"image": link("picture"), "width": 30, "height": 20},
        }
    }
    nodes["encode"]["inputs"]["image"] = link("small")

    problems = bench.problems(nodes, "encode")

    assert [(item.code, item.port) for item in problems] == [("wrong-size", "image")] * 2
    assert "the width does not fit" in str(problems[0])


def masked(model: Path, width: int, height: int, **filled: Any) -> dict[str, Any]:
    """An image that is filled in places: where one of twenty random pixels is bright."""
    taken = {"vae": link("load.vae"), "image": link("picture"), "mask": link("mask"), **filled}
    return graph(model, width=32, height=16) | {
        "other": {"type": "Picture", "inputs": {"width": width, "height": height, "seed": 1}},
        "red": {"type": "MaskFromChannel", "inputs": {"image": link("other"), "channel": "red"}},
        "mask": {"type": "ThresholdMask", "inputs": {"mask": link("red"), "low": 0.95}},
        "encode": {"type": "VAEEncodeInpaint", "inputs": taken},
    }


@pytest.mark.parametrize("grow", [0, 1, 2, 5, 6])
@pytest.mark.parametrize("size", [(32, 16), (20, 40)])
def test_what_is_filled_grows_as_in_comfyui(
    bench: Bench, sd1_folder: Path, grow: int, size: tuple[int, int]
) -> None:
    result = bench.run(masked(sd1_folder, *size, grow=grow), "encode", "mask")

    # As its formula says: sums over a kernel whose side is `grow`, cut to the image's size.
    given = result["mask.mask"][:, None]
    hard = functional.interpolate(given, size=(16, 32), mode="bilinear").round()
    kernel = torch.ones(1, 1, max(grow, 1), max(grow, 1))
    sums = functional.conv2d(hard, kernel, padding=math.ceil((max(grow, 1) - 1) / 2))
    expected = sums.clamp(0, 1)[:, 0, :16, :32]
    assert 0 < expected.mean() < 1
    assert torch.equal(result["encode.latent"].noise_mask, expected)


def test_what_is_filled_is_grey_where_the_mask_is_before_it_grows(
    bench: Bench, sd1_folder: Path
) -> None:
    half = {"width": 32, "height": 16, "value": 0.5}
    parts = {"base": link("picture"), "overlay": link("grey"), "mask": link("mask")}
    grey = {"vae": link("load.vae"), "image": link("covered")}
    nodes = masked(sd1_folder, 32, 16) | {
        "half": {"type": "SolidMask", "inputs": half},
        "grey": {"type": "MaskToImage", "inputs": {"mask": link("half")}},
        "covered": {"type": "CompositeMasked", "inputs": parts},
        "expected": {"type": "VAEEncode", "inputs": grey},
    }
    result = bench.run(nodes, "encode", "expected")
    assert torch.equal(result["encode.latent"].samples, result["expected.latent"].samples)


@pytest.mark.parametrize("node", ["VAEEncodeInpaint", "InpaintConditioning"])
def test_a_mask_of_another_size_is_scaled(bench: Bench, sd1_folder: Path, node: str) -> None:
    nodes = masked(sd1_folder, 8, 4) | {
        "prompt": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": "a fox"},
        }
    }
    taken = {"conditioning": link("prompt.conditioning")} if node == "InpaintConditioning" else {}
    nodes["encode"] = {"type": node, "inputs": {**nodes["encode"]["inputs"], **taken}}
    assert bench.value(nodes, "encode.latent").noise_mask.shape == (1, 16, 32)


def test_masks_of_another_number_than_pictures_are_refused() -> None:
    with raises(
        InvalidValue, port="mask", given="shape (3, 8, 8)", expected="shape (1 or 2, height, width)"
    ):
        hard_mask(torch.zeros(3, 8, 8), torch.zeros(2, 8, 8, 3))


@pytest.mark.parametrize(
    "node", ["VAEEncode", "VAEEncodeInpaint", "InpaintConditioning", "ImageConditioning"]
)
def test_what_fills_no_cell_is_cropped_if_asked(bench: Bench, sd1_folder: Path, node: str) -> None:
    prompt = {"encoder": link("load.text_encoder"), "text": "a fox"}
    middle = {"anchor": "top left", "x": 2, "y": 3, "width": 40, "height": 24}
    nodes = graph(sd1_folder, width=45, height=31) | {
        "prompt": {"type": "EncodePrompt", "inputs": prompt},
        "mask": {"type": "SolidMask", "inputs": {"width": 45, "height": 31}},
        "middle": {"type": "CropImage", "inputs": {"image": link("picture"), **middle}},
    }
    shown = {"vae": link("load.vae"), "image": link("picture"), "crop": True}
    if node in ("InpaintConditioning", "ImageConditioning"):
        shown["conditioning"] = link("prompt.conditioning")
    if node in ("InpaintConditioning", "VAEEncodeInpaint"):
        shown["mask"] = link("mask")
    nodes["encode"] = {"type": node, "inputs": shown}
    given = {"vae": link("load.vae"), "image": link("middle")}
    nodes["cropped"] = {"type": "VAEEncode", "inputs": given}
    result = bench.run(nodes, "encode", "cropped")

    latent, expected = result["encode.latent"], result["cropped.latent"]
    assert (latent.width, latent.height) == (40, 24)
    if node == "ImageConditioning":
        [entry] = result["encode.conditioning"].entries
        assert entry.tensors["beside"].shape == expected.samples.shape
    elif node != "VAEEncodeInpaint":
        assert torch.equal(latent.samples, expected.samples)
    if "mask" in shown:
        assert latent.noise_mask.shape == (1, 24, 40)


def test_the_size_of_what_is_cropped_is_known_beforehand(bench: Bench, sd1_folder: Path) -> None:
    size = {"image": link("picture"), "width": 30, "height": 20}
    nodes = graph(sd1_folder) | {"small": {"type": "ResizeImage", "inputs": size}}
    nodes["encode"]["inputs"] |= {"image": link("small"), "crop": True}
    assert bench.problems(nodes, "encode") == []
    facts = bench.facts(nodes, "encode")["latent"]
    assert (facts["width"], facts["height"], facts["format"]) == (24, 16, "sd")

    size["height"] = 5
    assert "wrong-size" in {problem.code for problem in bench.problems(nodes, "encode")}


def test_transparency_is_told_beforehand_with_the_node_that_takes_it_away(
    bench: Bench, sd1_folder: Path
) -> None:
    nodes = graph(sd1_folder) | {
        "mask": {"type": "SolidMask", "inputs": {"width": 16, "height": 8}},
        "clear": {"type": "SetAlpha", "inputs": {"image": link("picture"), "mask": link("mask")}},
        "flat": {"type": "FlattenImage", "inputs": {"image": link("clear")}},
    }
    nodes["encode"]["inputs"]["image"] = link("clear")
    [problem] = bench.problems(nodes, "encode")
    assert (problem.code, problem.port) == ("wrong-channels", "image")
    assert "FlattenImage" in str(problem)

    nodes["encode"]["inputs"]["image"] = link("flat")
    assert bench.problems(nodes, "encode") == []


@pytest.mark.parametrize("target", ["early"])
def test_an_empty_latent_is_to_be_sampled_first(
    bench: Bench, sd1_folder: Path, target: str
) -> None:
    assert "Sample it first" in str(bench.failure(graph(sd1_folder), target))


def test_sizes_beyond_the_memory_are_told_before_running(
    bench: Bench, sd1_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "total_memory", lambda: 1_700_000_000)
    large = {"image": link("picture"), "width": 8192, "height": 8192}
    some = {"latent": link("empty"), "length": 64}
    nodes = graph(sd1_folder) | {
        "large": {"type": "ResizeImage", "inputs": large},
        "empty": {"type": "EmptyLatent", "inputs": {"width": 2048, "height": 2048}},
        "some": {"type": "LatentFromBatch", "inputs": some},
    }
    nodes["encode"]["inputs"]["image"] = link("large")
    nodes["early"]["inputs"]["latent"] = link("some")
    # Told once, though decoding what is encoded takes as much.
    found = bench.problems(nodes, "decode", "early")
    told = {(problem.code, problem.node, problem.port) for problem in found}
    assert told == {("too-large", "encode", "image"), ("too-large", "early", "latent")}


@pytest.mark.slow
def test_a_picture_that_only_fits_in_tiles_is_decoded_in_tiles(
    cold_bench: Bench, sd1_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that the size of was not known before is refused before the work."""
    bench = cold_bench  # what others have loaded would go first, and the whole be tried again
    nodes = graph(sd1_folder, width=64, height=64)
    nodes["decode"]["inputs"]["latent"] = {"from": "encode"}
    bench.run(nodes, "encode")
    monkeypatch.setattr(room, "total_memory", lambda: 64 * 64 * 64)
    assert bench.value(nodes, "decode.image").shape == (1, 64, 64, 3)
    assert [event.node for event in bench.told("node.retried")] == ["decode"]

    monkeypatch.setattr(room, "total_memory", lambda: 64 * 64 * 16)
    nodes["picture"]["inputs"]["seed"] = 1
    error = bench.failure(nodes, "encode")
    assert "node `encode` (VAEEncode), input `image`" in str(error)
    assert "64 x 64 pixels" in str(error)


def test_tiles_that_hold_the_picture_give_the_same_bits(bench: Bench, sd1_folder: Path) -> None:
    nodes = graph(sd1_folder, width=64, height=48)
    whole = bench.run(nodes, "encode", "decode")
    for name in ("encode", "decode"):
        nodes[name]["inputs"] |= {"tile": 64, "overlap": 16}
    found = bench.run(nodes, "encode", "decode")
    assert torch.equal(found["encode.latent"].samples, whole["encode.latent"].samples)
    assert torch.equal(found["decode.image"], whole["decode.image"])


def test_smaller_tiles_give_about_the_same(bench: Bench, sd1_folder: Path) -> None:
    """Within a tenth: this VAE has random weights, and each tile is normalized by its own mean."""
    nodes = graph(sd1_folder, width=128, height=72, batch=2)
    whole = bench.value(nodes, "decode.image")
    nodes["decode"]["inputs"] |= {"tile": 64, "overlap": 32}
    found = bench.value(nodes, "decode.image")
    assert found.shape == whole.shape
    assert not torch.equal(found, whole)
    assert (found - whole).abs().mean() < 0.1


def test_tiles_that_are_mostly_overlap_are_told(bench: Bench, sd1_folder: Path) -> None:
    nodes = graph(sd1_folder, width=64, height=64)
    nodes["decode"]["inputs"] |= {"tile": 64, "overlap": 40}
    [problem] = bench.problems(nodes, "decode")
    assert (problem.port, problem.expected) == ("overlap", "32 at most")
