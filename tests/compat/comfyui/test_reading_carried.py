"""ComfyUI's workflows are found in what images and videos carry."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import av
import pytest
from PIL import Image, PngImagePlugin

from nodegraph.interop.comfyui.reading import find_embedded_workflow
from nodegraph.media.images.embedded_texts import read_metadata
from nodegraph.media.videos.video_files import video_texts
from tests.compat.comfyui.drawing import drawn, node

UI = drawn([node(1, "VAELoader", "a.safetensors")])
PROMPT = {"1": {"class_type": "VAELoader", "inputs": {}}}
BOTH = {"workflow": json.dumps(UI), "prompt": json.dumps(PROMPT)}
WHOLE = {"workflow": UI, "prompt": PROMPT}


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (BOTH, WHOLE),
        ({"workflow": BOTH["workflow"]}, UI),
        ({"workflow": BOTH["workflow"], "prompt": "{}"}, UI),
        ({"prompt": BOTH["prompt"]}, PROMPT),
        ({"prompt": BOTH["prompt"], "workflow": "{cut off"}, PROMPT),
        ({"comment": json.dumps(BOTH)}, WHOLE),
        ({"comment": json.dumps({"workflow": UI})}, UI),
        ({"comment": "a holiday", "workflow": '{"format": "nodegraph/1", "nodes": {}}'}, None),
        ({"prompt": "a cat", "parameters": "steps: 20"}, None),
        ({"prompt": "[" * 100_000}, None),
        ({}, None),
    ],
)
def test_the_drawing_is_taken_with_what_was_run(texts: Mapping[str, str], found: object) -> None:
    assert find_embedded_workflow(texts) == found


def test_numbers_that_are_none_are_texts_that_are_told_of() -> None:
    text = '{"1": {"class_type": "A", "inputs": {"x": 1e999}, "is_changed": [NaN]}}'
    assert find_embedded_workflow({"prompt": text}) == {
        "1": {"class_type": "A", "inputs": {"x": "1e999"}, "is_changed": ["NaN"]}
    }


def png(path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    for name, text in BOTH.items():
        texts.add_text(name, text)
    Image.new("RGB", (2, 2)).save(path, "PNG", pnginfo=texts)


def webp(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110] = f"prompt:{BOTH['prompt']}"
    exif[0x010F] = f"workflow:{BOTH['workflow']}"
    Image.new("RGB", (2, 2)).save(path, "WEBP", exif=exif)


@pytest.mark.parametrize("write", [png, webp])
def test_pictures_carry_it_as_their_formats_can(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    write(tmp_path / "picture")
    assert find_embedded_workflow(read_metadata(tmp_path / "picture")) == WHOLE


def test_videos_carry_it(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(path, "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update(BOTH)
        stream = container.add_stream("mpeg4", rate=8)
        stream.width = stream.height = 32
        frame = av.VideoFrame.from_image(Image.new("RGB", (32, 32)))
        container.mux([*stream.encode(frame), *stream.encode()])
    assert find_embedded_workflow(video_texts(path)) == WHOLE
