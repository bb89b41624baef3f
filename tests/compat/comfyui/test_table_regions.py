"""Impact Pack's detectors, SEGS, detailers and upscaling, and Ultimate SD Upscale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph import Environment
from nodegraph.core.analysis import check_workflow
from nodegraph.interop.comfyui.importer import ImportedWorkflow, import_document, node_table
from nodegraph.interop.comfyui.table import detailers, regions, upscaling
from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry
from tests.cases import case
from tests.nodes.conftest import Bench, bench  # noqa: F401 - a fixture
from tests.vision.detector_files import save_detector, yolo8

_SAMPLED = {"seed": 5, "steps": 2, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal"}
_SIZES = {"guide_size": 64, "guide_size_for": True, "max_size": 128}
_BASE: Mapping[str, tuple[str, dict[str, Any]]] = {
    "model": ("CheckpointLoaderSimple", {"ckpt_name": "tiny"}),
    "words": ("CLIPTextEncode", {"clip": ["model", 1], "text": "a fox"}),
    "none": ("CLIPTextEncode", {"clip": ["model", 1], "text": ""}),
    "image": ("EmptyImage", {"width": 128, "height": 128, "color": 0x808080}),
    "latent": ("VAEEncode", {"pixels": ["image", 0], "vae": ["model", 2]}),
    "mask": ("SolidMask", {"width": 128, "height": 128, "value": 1.0}),
    "upscale_model": ("UpscaleModelLoader", {"model_name": "tiny/upscaler"}),
    "detector": ("UltralyticsDetectorProvider", {"model_name": "bbox/face.pt"}),
    "clipseg": ("CLIPSegDetectorProvider", {"text": "a face"}),
    "sam": ("SAMLoader", {"model_name": "sam_vit_b_01ec64.pth"}),
    "segs": (
        "BboxDetectorSEGS",
        {"bbox_detector": ["detector", 0], "image": ["image", 0], "crop_factor": 1.5},
    ),
    "pipe": (
        "ToBasicPipe",
        {
            "model": ["model", 0],
            "clip": ["model", 1],
            "vae": ["model", 2],
            "positive": ["words", 0],
            "negative": ["none", 0],
        },
    ),
    "detailer": (
        "BasicPipeToDetailerPipe",
        {"basic_pipe": ["pipe", 0], "bbox_detector": ["detector", 0], "wildcard": ""},
    ),
    "net": ("ControlNetLoader", {"control_net_name": "tiny/controlnet"}),
    "hook": ("CfgScheduleHookProvider", {"target_cfg": 5.0}),
    "upscaler": (
        "PixelKSampleUpscalerProviderPipe",
        {"basic_pipe": ["pipe", 0], "pk_hook_opt": ["hook", 0], **_SAMPLED, "denoise": 0.5},
    ),
}
_LINKS: Mapping[str, tuple[str, int]] = {
    "MODEL": ("model", 0), "CLIP": ("model", 1), "VAE": ("model", 2), "CONDITIONING": ("words", 0),
    "IMAGE": ("image", 0), "LATENT": ("latent", 0), "MASK": ("mask", 0), "SEGS": ("segs", 0),
    "BBOX_DETECTOR": ("detector", 0), "SEGM_DETECTOR": ("detector", 1), "SAM_MODEL": ("sam", 0),
    "BASIC_PIPE": ("pipe", 0), "DETAILER_PIPE": ("detailer", 0), "PK_HOOK": ("hook", 0),
    "CONTROL_NET": ("net", 0), "UPSCALER": ("upscaler", 0), "UPSCALE_MODEL": ("upscale_model", 0),
}  # fmt: skip


def _read(
    *nodes: tuple[str, dict[str, Any]], **named: tuple[str, dict[str, Any]]
) -> ImportedWorkflow:
    """Nodes, which are numbered from 1, with those of the base that they need."""
    own = {**named, **{str(number): node for number, node in enumerate(nodes, 1)}}
    waiting, needed = list(own), dict[str, tuple[str, dict[str, Any]]]()
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = own.get(name) or _BASE[name]
            linked = [value[0] for value in needed[name][1].values() if isinstance(value, list)]
            waiting += linked
    document = {
        name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in needed.items()
    }
    return import_document(document, node_table(), name="it")


def _made(found: ImportedWorkflow, kind: str) -> list[dict[str, Any]]:
    return [dict(node.inputs) for node in found.workflow.nodes.values() if node.type == kind]


def _refusal(*nodes: tuple[str, dict[str, Any]], **named: tuple[str, dict[str, Any]]) -> str:
    (placeholder,) = _read(*nodes, **named).placeholders
    return str(placeholder.untranslated_reason)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry([pack for pack in installed_packs() if not pack.name])


@pytest.mark.parametrize("module", [regions, detailers, upscaling], ids=lambda one: one.__name__)
def test_each_entry_makes_what_can_run(module: Any, registry: Registry, tmp_path: Path) -> None:
    environment = Environment((), tmp_path, tmp_path, tmp_path)
    for one in module.ENTRIES:
        with case(one.type):
            links = {
                each.name: list(_LINKS[each.type])
                for each in one.signature.inputs
                if each.type in _LINKS and (not each.is_optional or each.name == "bbox_detector")
            }
            found = _read((one.type, links))
            refused = {each.type for each in found.outcomes if each.untranslated_reason}
            assert not refused
            problems = check_workflow(found.workflow, registry, environment)
            codes = {"invalid-file", "model-not-found", "no-output"}
            assert [each for each in problems if each.code not in codes] == []


_FACE = {
    "image": ["image", 0], "model": ["model", 0], "clip": ["model", 1], "vae": ["model", 2],
    "positive": ["words", 0], "negative": ["none", 0], "bbox_detector": ["detector", 0],
    **_SIZES, **_SAMPLED, "denoise": 0.5, "feather": 3, "bbox_dilation": 0,
    "bbox_crop_factor": 1.5, "drop_size": 4, "wildcard": "",
}  # fmt: skip


def _detector(folder: Path) -> None:
    """One that finds a face at (40, 30) to (72, 70) of an image of 128 x 128 pixels."""
    save_detector(folder / "models" / "ultralytics" / "bbox" / "face.onnx",
                  yolo8((28, 25, 16, 20, 0.9)))  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("by_pipe", [False, True])
def test_a_face_is_painted_and_all_else_stays(bench: Bench, by_pipe: bool) -> None:  # noqa: F811
    _detector(bench.folder)
    piped = {name: value for name, value in _FACE.items() if name not in _LINKED}
    node = (
        ("FaceDetailerPipe", {**piped, "image": ["image", 0], "detailer_pipe": ["detailer", 0]})
        if by_pipe
        else ("FaceDetailer", _FACE)
    )
    found = _read(node, ("SaveImage", {"images": ["1", 0], "filename_prefix": "a"}))
    assert not found.placeholders
    targets = ["detail_regions", "detect_regions", "empty_image"]
    result = bench.session.run(found.workflow, targets=targets)
    assert not result.errors
    changed = (result["detail_regions.image"] != result["empty_image.image"]).any(-1)[0]
    rows, columns = changed.nonzero().unbind(1)
    # The mask, and three pixels around it.
    assert (int(columns.min()), int(rows.min())) == (37, 27)
    assert (int(columns.max()), int(rows.max())) == (75, 73)
    assert changed[40:60, 50:60].all()
    (region,) = result["detect_regions.regions"]
    assert region.rectangle == (32, 20, 48, 60)


_LINKED = ("model", "clip", "vae", "positive", "negative", "bbox_detector", "wildcard")


def test_settings_of_a_detailer_are_those_there() -> None:
    found = _read(("FaceDetailer", {**_FACE, "force_inpaint": False, "guide_size_for": False}))
    (made,) = _made(found, "DetailRegions")
    assert (made["size"], made["size_of"], made["largest"]) == (64, "crop", 128)
    assert (made["large"], made["masked"], made["mask_feather"]) == ("skip", True, 0)
    assert (made["denoise_steps"], made["convention"]) == ("all", "comfyui")


def test_names_of_the_first_versions_are_read() -> None:
    old = {"noise_mask": "disabled", "force_inpaint": "enabled", "guide_size_for": "bbox"}
    (made,) = _made(_read(("FaceDetailer", {**_FACE, **old})), "DetailRegions")
    assert (made["masked"], made["large"], made["size_of"]) == (False, "paint", "box")


def test_a_wildcard_text_is_the_prompt() -> None:
    found = _read(("FaceDetailer", {**_FACE, "wildcard": "a red fox"}))
    texts = [made["text"] for made in _made(found, "EncodePrompt")]
    assert sorted(texts) == ["", "a fox", "a red fox"]
    joined = _read(("FaceDetailer", {**_FACE, "wildcard": "[CONCAT] a red fox"}))
    assert len(_made(joined, "ConcatenateConditioning")) == 1


@pytest.mark.parametrize("text", ["[ASC] a [SEP] b", "[LAB] [face] a", "__hair__", "{a|b}"])
def test_a_text_for_each_region_is_kept(text: str) -> None:
    found = _read(("FaceDetailer", {**_FACE, "wildcard": text}))
    (made,) = _made(found, "DetailRegions")
    assert made["prompts"] == text
    assert made["encoder"] == {"from": "load_model.text_encoder"}
    assert any("order" in line for outcome in found.outcomes for line in outcome.messages)


def test_control_images_of_segs_are_on_the_prompts_of_their_detailer() -> None:
    net = ("ControlNetLoader", {"control_net_name": "canny.safetensors"})
    given = {"segs": ["segs", 0], "control_net": ["net", 0], "strength": 0.7}
    limits = {"start_percent": 0.1, "end_percent": 0.9, "control_image": ["other", 0]}
    other = ("EmptyImage", {"width": 128, "height": 128, "color": 0})
    detail = {**_SAMPLED, "image": ["image", 0], "segs": ["2", 0], "basic_pipe": ["pipe", 0]}
    nodes = (
        ("ImpactControlNetApplyAdvancedSEGS", {**given, **limits}),
        ("ImpactControlNetApplySEGS", {**given, "segs": ["1", 0]}),
        ("DetailerForEachPipe", detail),
    )
    found = _read(*nodes, net=net, other=other)
    assert not found.placeholders
    first, second = _made(found, "ApplyControlNet")
    assert (first["strength"], first["start"], first["end"]) == (0.7, 0.1, 0.9)
    assert second["positive"] == {"from": "apply_control_net.positive"}
    # without an image, the one that is detailed controls
    (detailer,) = _made(found, "DetailRegions")
    assert second["image"] == detailer["image"]
    assert detailer["positive"]["from"].endswith(".positive")
    cleared = (*nodes[:2], ("ImpactControlNetClearSEGS", {"segs": ["2", 0]}))
    plain = _read(
        *cleared, ("DetailerForEachPipe", {**detail, "segs": ["3", 0]}), net=net, other=other
    )
    assert not _made(plain, "ApplyControlNet")


@pytest.mark.parametrize("text", ["<lora:a:1> b", "a [SEP:5] b"])
def test_a_text_that_loads_loras_or_sets_seeds_is_refused(text: str) -> None:
    assert "for each region" in _refusal(("FaceDetailer", {**_FACE, "wildcard": text}))


def test_what_a_detailer_lacks_is_refused_by_name() -> None:
    hook = ("DenoiseSchedulerDetailerHookProvider", {})
    found = _read(("FaceDetailer", {**_FACE, "detailer_hook": ["odd", 0]}), odd=hook)
    reasons = [each.untranslated_reason for each in found.placeholders]
    assert any("detailer_hook" in reason for reason in reasons)
    sam = {**_FACE, "sam_model_opt": ["sam", 0], "sam_detection_hint": "mask-points"}
    assert "mask-points" in _refusal(("FaceDetailer", sam))


def test_sam_limits_faces() -> None:
    found = _read(("FaceDetailer", {**_FACE, "sam_model_opt": ["sam", 0]}))
    (masks,), (limited,) = _made(found, "SegmentRegions"), _made(found, "MaskRegions")
    assert (masks["hint"], masks["threshold"]) == ("center", 0.93)
    models = [made["model"] for made in _made(found, "LoadVisionModel")]
    assert sorted(models) == ["bbox/face.onnx", "facebook/sam-vit-base"]
    assert limited["mask"]["from"].endswith(".mask")
    own = ("SAMLoader", {"model_name": "sam_vit_b_01ec64.safetensors"})
    found = _read(("FaceDetailer", {**_FACE, "sam_model_opt": ["own", 0]}), own=own)
    models = [made["model"] for made in _made(found, "LoadVisionModel")]
    assert "sam_vit_b_01ec64.safetensors" in models


def test_a_detector_by_text_makes_regions_of_a_mask() -> None:
    given = {"bbox_detector": ["clipseg", 0], "image": ["image", 0]}
    found = _read(("BboxDetectorSEGS", given), ("SegsToCombinedMask", {"segs": ["1", 0]}))
    (by_text,) = _made(found, "SegmentByText")
    assert (by_text["text"], by_text["threshold"]) == ("a face", 0.4)
    assert [made["boxes"] for made in _made(found, "RegionsFromMask")] == [True]


def test_labels_filter_what_is_detected() -> None:
    given = {"bbox_detector": ["detector", 0], "image": ["image", 0], "labels": "cat, eyes"}
    (made,) = _made(_read(("BboxDetectorSEGS", given)), "FilterRegions")
    assert made["labels"] == "cat, eyes, left_eye, right_eye"


def test_values_outside_a_range_are_the_other_regions() -> None:
    given = {"segs": ["segs", 0], "mode": False, "target": "x1", "max_value": 9}
    found = _read(
        ("ImpactSEGSRangeFilter", given), ("SegsToCombinedMask", {"segs": ["1", 0]}),
        ("MaskPreview", {"mask": ["2", 0]}),
    )  # fmt: skip
    (made,), (mask,) = _made(found, "FilterRegions"), _made(found, "RegionsMask")
    assert (made["by"], made["of"], made["most"]) == ("left", "crop", 9)
    assert mask["regions"] == {"from": "filter_regions.others"}


def test_images_of_detailed_regions_are_pasted() -> None:
    detail = {"image": ["image", 0], "segs": ["segs", 0], "basic_pipe": ["pipe", 0], **_SIZES}
    found = _read(
        ("SEGSDetailer", {**detail, **_SAMPLED}),
        ("SEGSPaste", {"image": ["image", 0], "segs": ["1", 0], "alpha": 51}),
        ("SaveImage", {"images": ["2", 0], "filename_prefix": "a"}),
    )
    (made,), (paste,) = _made(found, "DetailRegions"), _made(found, "PasteRegions")
    assert (made["paste"], made["seeds"], made["seed"]) == (False, "same", 6)
    assert (paste["parts"], paste["opacity"]) == ({"from": "detail_regions.parts"}, 0.2)


def test_an_upscale_in_steps_makes_nodes_of_each() -> None:
    given = {"samples": ["latent", 0], "upscaler": ["upscaler", 0], "upscale_factor": 2.0}
    found = _read(("IterativeLatentUpscale", {**given, "steps": 2}))
    assert not found.placeholders
    scales = [made["b"] for made in _made(found, "Formula")]
    assert scales == [1.5, 1.5, 2.0, 2.0]
    # A hook brings the guidance from 3 to 5, of which it comes half the way.
    assert [made["cfg"] for made in _made(found, "KSampler")] == [3.0, 4.0]


@pytest.mark.slow
def test_an_image_grows_in_steps(bench: Bench) -> None:  # noqa: F811
    given = {"pixels": ["image", 0], "upscaler": ["upscaler", 0], "vae": ["model", 2]}
    found = _read(
        ("IterativeImageUpscale", {**given, "steps": 2, "upscale_factor": 1.5}),
        ("SaveImage", {"images": ["1", 0], "filename_prefix": "a"}),
    )
    result = bench.session.run(found.workflow)
    assert not result.errors
    from PIL import Image

    [file] = [each.path for each in result.files]
    with Image.open(file) as picture:
        assert picture.size == (192, 192)


_TILED = {
    "image": ["image", 0], "model": ["model", 0], "vae": ["model", 2], "positive": ["words", 0],
    "negative": ["none", 0], "upscale_model": ["upscale_model", 0], "upscale_by": 1.5,
    **_SAMPLED, "denoise": 0.3, "tile_width": 96, "tile_height": 64, "tile_padding": 16,
    "mask_blur": 4,
}  # fmt: skip


@pytest.mark.slow
def test_tiles_of_a_larger_image_are_painted(bench: Bench) -> None:  # noqa: F811
    save = ("SaveImage", {"images": ["1", 0], "filename_prefix": "a"})
    found = _read(("UltimateSDUpscale", _TILED), save)
    (made,) = _made(found, "DetailRegions")
    assert (made["width"], made["height"], made["seeds"], made["masked"]) == (
        112,
        80,
        "same",
        False,
    )
    targets = ["detail_regions", "tile_regions", "upscale_image"]
    result = bench.session.run(found.workflow, targets=targets)
    assert not result.errors
    assert result["detail_regions.image"].shape == (1, 192, 192, 3)
    assert len(result["tile_regions.regions"]) == 6
    assert not torch.equal(result["detail_regions.image"], result["upscale_image.image"])


def test_seam_fixes_are_refused_by_name() -> None:
    assert "Half Tile" in _refusal(("UltimateSDUpscale", {**_TILED, "seam_fix_mode": "Half Tile"}))


_IN_TILES = {
    "model": ["model", 0], "positive": ["words", 0], "negative": ["none", 0],
    "latent_image": ["latent", 0], "tile_width": 64, "tile_height": 64, "steps": 2, "cfg": 3.0,
    "sampler_name": "euler", "scheduler": "normal",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["random", "random strict", "padded", "simple"])
def test_tiled_samplers_sample_in_tiles(bench: Bench, strategy: str) -> None:  # noqa: F811
    given = {**_IN_TILES, "tiling_strategy": strategy, "seed": 5, "denoise": 0.5}
    found = _read(("BNK_TiledKSampler", given))
    (made,) = _made(found, "TiledGuidance")
    assert (made["tile_width"], made["strategy"], made["seed"]) == (64, strategy, 5)
    (steps,) = _made(found, "BasicSchedule")
    assert (steps["steps"], steps["denoise_steps"]) == (2, "all")
    result = bench.session.run(found.workflow, targets=["sample_custom"])
    assert not result.errors
    assert result["sample_custom.latent"].samples.isfinite().all()


def test_steps_of_a_tiled_sampler_leave_noise_unless_it_is_enabled_to_remove_it() -> None:
    given = {**_IN_TILES, "noise_seed": 5, "start_at_step": 1, "end_at_step": 2, "steps": 4}
    found = _read(("BNK_TiledKSamplerAdvanced", given))
    assert len(_made(found, "SplitSchedule")) == 2
    assert _made(found, "RandomNoise")[0]["draw"] == "per batch"
    removes = {**given, "return_with_leftover_noise": "enable"}
    assert "single step" in _refusal(("BNK_TiledKSamplerAdvanced", removes))


def test_an_upscaler_samples_in_tiles() -> None:
    given = {**_SAMPLED, "basic_pipe": ["pipe", 0], "denoise": 0.5, "tile_width": 320}
    provider = ("PixelTiledKSampleUpscalerProviderPipe", {**given, "tiling_strategy": "simple"})
    upscale = {"samples": ["latent", 0], "upscaler": ["provider", 0], "steps": 2}
    found = _read(("IterativeLatentUpscale", upscale), provider=provider)
    assert not found.placeholders
    tiled = _made(found, "TiledGuidance")
    assert [one["tile_width"] for one in tiled] == [320, 320]
    assert {one["tile"] for one in _made(found, "VAEDecode")} == {512}
