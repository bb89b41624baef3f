"""Everyday nodes of packs: videos, switches, seeds, and what prepares images."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.interop.comfyui.importer import ImportedWorkflow, import_document, node_table


def _read(*nodes: tuple[str, dict[str, Any]]) -> ImportedWorkflow:
    """A graph of nodes that are numbered from 1, behind an image, which is 0."""
    all_nodes = [("LoadImage", {"image": "apple.png"}), *nodes]
    document = {
        str(number): {"class_type": kind, "inputs": given}
        for number, (kind, given) in enumerate(all_nodes)
    }
    return import_document(document, node_table(), name="it")


def _made(found: ImportedWorkflow, kind: str) -> dict[str, Any]:
    (one,) = (node for node in found.workflow.nodes.values() if node.type == kind)
    return dict(one.inputs)


@pytest.mark.parametrize(
    ("form", "native", "written"),
    [
        ("image/gif", "SaveAnimation", "gif"),
        ("video/h264-mp4", "SaveVideo", "mp4"),
        ("video/webm", "SaveVideo", "webm"),
    ],
)
def test_combined_videos_are_written_in_their_format(form: str, native: str, written: str) -> None:
    given = {"images": ["0", 0], "frame_rate": 12, "format": form, "filename_prefix": "a"}
    found = _read(("VHS_VideoCombine", given))
    assert not found.placeholders
    assert _made(found, native)["format"] == written


def test_parts_of_a_video_are_read() -> None:
    given = {"video": "a.mp4", "skip_first_frames": 3, "frame_load_cap": 8, "custom_width": 64}
    given["force_rate"] = 12.5
    found = _read(("VHS_LoadVideo", given), ("PreviewImage", {"images": ["1", 0]}))
    loaded = _made(found, "LoadVideo")
    assert (loaded["path"], loaded["first"], loaded["count"]) == ("a.mp4", 3, 8)
    assert loaded["rate"] == 12.5
    assert _made(found, "ResizeImage")["width"] == 64


def test_the_chosen_input_of_a_switch_goes_on() -> None:
    found = _read(
        ("ImageInvert", {"image": ["0", 0]}),
        ("ImpactSwitch", {"select": 2, "input1": ["0", 0], "input2": ["1", 0]}),
        ("PreviewImage", {"images": ["2", 0]}),
    )
    assert "invert" in str(_made(found, "PreviewImage")["image"]).lower()


@pytest.mark.parametrize(
    ("chosen", "native"),
    [("CannyEdgePreprocessor", "CannyEdges"), ("HEDPreprocessor", "SoftEdges")],
)
def test_a_chosen_preparation_is_made_at_its_resolution(chosen: str, native: str) -> None:
    given = {"image": ["0", 0], "preprocessor": chosen, "resolution": 256}
    found = _read(("AIO_Preprocessor", given), ("PreviewImage", {"images": ["1", 0]}))
    assert not found.placeholders
    assert _made(found, "ScaleImage")["amount"] == 256
    assert _made(found, native)


def test_what_nothing_prepares_is_told() -> None:
    given = {"image": ["0", 0], "preprocessor": "DensePosePreprocessor"}
    found = _read(("AIO_Preprocessor", given), ("PreviewImage", {"images": ["1", 0]}))
    (placeholder,) = found.placeholders
    assert "DensePosePreprocessor" in placeholder.untranslated_reason


@pytest.mark.parametrize(
    ("color", "fill"), [("0, 0, 0", None), ("255, 128, 0", "rgb(255, 128, 0)")]
)
def test_what_is_put_around_a_resized_picture_has_its_color(color: str, fill: str | None) -> None:
    inputs = {"image": ["2", 0], "keep_proportion": "pad", "pad_color": color}
    document = {
        "1": {"class_type": "ImageResizeKJv2", "inputs": inputs},
        "2": {"class_type": "EmptyImage", "inputs": {}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
    }
    nodes = import_document(document, node_table()).workflow.nodes.values()
    (resized,) = (each for each in nodes if each.type == "ResizeImage")
    assert (resized.inputs["fit"], resized.inputs.get("fill")) == ("pad", fill)


_DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


@pytest.mark.parametrize(
    ("how", "sink"), [("Hide", ""), ("Preview", "PreviewImage"), ("Save", "SaveImage")]
)
def test_an_image_in_a_text_is_loaded(how: str, sink: str) -> None:
    given = {"base64_data": _DOT, "image_output": how, "save_prefix": "a"}
    found = _read(("easy loadImageBase64", given), ("ImageInvert", {"image": ["1", 0]}))
    assert not found.placeholders
    assert _made(found, "LoadImageBase64") == {"data": _DOT}
    kinds = {node.type for node in found.workflow.nodes.values()}
    assert kinds & {"PreviewImage", "SaveImage"} == {sink} - {""}


@pytest.mark.parametrize(("mode", "used"), [("disabled", []), ("auto", ["sage"])])
def test_sage_attention_is_a_kernel_of_the_model(mode: str, used: list[str]) -> None:
    document = {
        "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "a.safetensors"}},
        "2": {
            "class_type": "PathchSageAttentionKJ",
            "inputs": {"model": ["1", 0], "sage_attention": mode},
        },
        "3": {"class_type": "ModelSamplingSD3", "inputs": {"model": ["2", 0], "shift": 3.0}},
    }
    found = import_document(document, node_table(), name="it")
    assert not found.placeholders
    nodes = found.workflow.nodes.values()
    assert [node.inputs["attention"] for node in nodes if node.type == "SpeedUp"] == used
