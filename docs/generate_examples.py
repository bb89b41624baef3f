"""Make the images of the built-in nodes, nodes/examples/*.webp, by running their examples.

Only those are made whose workflow changed in more than title and description: each image carries
the workflow that made it. Workflows are written as nodegraph writes them.

python docs/generate_examples.py [--all] [NODE TYPE ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nodegraph import Session, Settings, Workflow
from nodegraph.engine.result import RunResult
from nodegraph.errors import NodegraphError

if TYPE_CHECKING:
    from PIL import Image

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "nodes" / "examples"
GALLERY = ROOT / "workflows"
SIDE = 512
"""Pixels of the longer side, at most."""
LARGEST = 16_000
"""Bytes that an image has if it can."""
QUALITIES = (85, 75, 65, 50, 35)
SINKS = (
    *("SaveImage", "PreviewImage", "ShowValue", "SaveMesh", "SaveVideo", "SaveDataset"),
    "SaveLayers",
)
"""Node types of which an image can be made."""
NEED_MODELS = frozenset(
    {
        "ApplyIPAdapter",
        "CallImageAPI",
        "CaptionForLayers",
        "CaptionImage",
        "ConnectLanguageModel",
        "ContextWindows",
        "DetectRegions",
        "DetectThings",
        "EnhancePrompt",
        "GenerateHostedText",
        "TagImage",
        "CutLatentFrames",
        "EmptyLayeredLatent",
        "MatchFirstFrames",
        "ReplaceLatentFrames",
        "DistilledGuider",
        "GenerateText",
        "GuidanceConditioning",
        "SetFlowShift",
        "SetFlowShiftBySize",
        "ApplyRedux",
        "EncodeEditPrompt",
        "EncodePromptApart",
        "EstimateDepth",
        "EstimatePose",
        "FirstBlockCache",
        "ForegroundMask",
        "ImageConditioning",
        "ImageToVideoConditioning",
        "AnimationConditioning",
        "DrivingVideoConditioning",
        "VaceConditioning",
        "ControlVideoConditioning",
        "TrackConditioning",
        "CameraConditioning",
        "CameraMotion",
        "InpaintConditioning",
        "LatentFramesToBatch",
        "LoadEncoderLora",
        "LoadConditioning",
        "LoadGLIGEN",
        "LoadIPAdapter",
        "LoadImageEncoder",
        "LoadLanguageModel",
        "LoadRedux",
        "LoadTextualInversion",
        "LoadVisionModel",
        "MagCache",
        "MergeTextEncoders",
        "PredictImage",
        "RefineMask",
        "ReviseConditioning",
        "SegmentAnything",
        "SegmentByText",
        "SegmentClass",
        "SegmentRegions",
        "SizeConditioning",
        "TextBoxConditioning",
        "AddFrameGuide",
        "CombineSoundLatent",
        "InterpolateFrames",
        "InterpolateVideo",
        "KeyValueCache",
        "LoadFrameInterpolationModel",
        "LoadLatentUpscaleModel",
        "RemoveFrameGuides",
        "UpscaleLatent",
        "EmptyAudioLatent",
        "EmptyMusicLatent",
        "EncodeMusicPrompt",
        "EncodeSongPrompt",
        "KeyframeConditioning",
        "ReferenceToVideoConditioning",
        "SetSoundShift",
        "ReferenceLatents",
        "SampleDiffusionForcing",
        "SecondExpertCfg",
        "StageBConditioning",
        "SplitSoundLatent",
        "EncodeImagePrompt",
        "VAEDecodeAudio",
        "VAEDecodeMesh",
        "VAEDecodeVideo",
        "VAEDecodeViews",
        "VAEEncodeAudio",
        "VAEEncodeVideo",
    }
)
"""Node types for models of kinds that don't come with nodegraph: their examples can't be run
here, and there are no images of them."""
PAPER, INK, TEXT = "#ffffff", "#1f2328", 15
"""Colors and height of texts."""


def carried(picture: Path) -> object:
    """The workflow that an image was made by; None if it isn't there or carries none."""
    from nodegraph.diffusion import read_metadata

    return json.loads(read_metadata(picture).get("workflow", "null")) if picture.is_file() else None


def makes_picture(file: Path, workflow: Workflow) -> bool:
    """Whether there is something to see that can be made here."""
    has_sink = any(node.type in SINKS for node in workflow.nodes.values())
    return has_sink and file.stem not in NEED_MODELS


def is_current(file: Path) -> bool:
    """Whether an example's image is of the workflow as it is, or needs none."""
    workflow = Workflow.load(file)
    picture = file.with_suffix(".webp")
    if not makes_picture(file, workflow):
        return not picture.exists()
    return _without_texts(carried(picture)) == _without_texts(json.loads(workflow.to_json()))


def _without_texts(document: Any) -> Any:
    """A workflow without its title and description, which change no image."""
    if not isinstance(document, dict):
        return document
    return {key: value for key, value in document.items() if key not in ("title", "description")}


def picture(result: RunResult, workflow: Workflow) -> bytes:
    """The last image that a run gave, small, with its workflow."""
    import numpy as np
    import torch
    from PIL import Image

    from nodegraph.media.images.embedded_texts import encode_with_texts, workflow_metadata

    shown = [file for file in result.files if file.kind != "weights"]
    found = looks(shown[-1].path)
    scale = min(1.0, SIDE / max(found.size))
    size = (round(found.width * scale), round(found.height * scale))
    pixels = np.asarray(found.resize(size, Image.Resampling.LANCZOS), dtype=np.float32) / 255
    data = b""
    for quality in QUALITIES:
        document = json.loads(workflow.to_json())
        texts = workflow_metadata(document)
        data = encode_with_texts(torch.from_numpy(pixels), texts, "webp", quality)
        if len(data) <= LARGEST:
            break
    return data


def looks(path: Path) -> Image.Image:
    """An image of a file: itself, the first image of a moving one, or its text."""
    from PIL import Image

    if path.suffix == ".txt":
        return written(path.read_text(encoding="utf-8"))
    if path.suffix == ".mp4":
        import av

        with av.open(str(path)) as video:
            frames = [frame.to_image() for frame in video.decode(video=0)]
        row = Image.new("RGB", (4 * frames[0].width, frames[0].height))
        for at in range(4):
            row.paste(frames[at * (len(frames) - 1) // 3], (at * frames[0].width, 0))
        return row
    with Image.open(path) as opened:
        return opened.convert("RGB")


def written(text: str) -> Image.Image:
    """A text as an image, as large as it has to be."""
    from textwrap import wrap

    from PIL import Image, ImageDraw, ImageFont

    lines = [part for line in text.splitlines() for part in wrap(line, 62) or [""]][:24]
    font = ImageFont.load_default(TEXT)
    width = max((font.getlength(line) for line in lines), default=0)
    page = Image.new("RGB", (max(160, round(width) + 24), len(lines) * (TEXT + 6) + 18), PAPER)
    draw = ImageDraw.Draw(page)
    for at, line in enumerate(lines):
        draw.text((12, 12 + at * (TEXT + 6)), line, fill=INK, font=font)
    return page


def make(session: Session, file: Path) -> str:
    """Bring an example's file and image up to date; says what was done."""
    workflow = Workflow.load(file)
    file.write_text(workflow.to_json(), encoding="utf-8")
    target = file.with_suffix(".webp")
    if not makes_picture(file, workflow):
        target.unlink(missing_ok=True)
        return "shows no image"
    try:
        result = session.run(workflow)
    except NodegraphError as error:
        return f"FAILED: {error}"
    if result.errors or not result.files:
        target.unlink(missing_ok=True)
        return f"FAILED: {'; '.join(map(str, result.errors)) or 'no file'}"
    target.write_bytes(picture(result, workflow))
    return f"{target.stat().st_size} bytes"


def main(arguments: list[str]) -> int:
    names = [name for name in arguments if not name.startswith("--")]
    files = [EXAMPLES / f"{name}.json" for name in names] or sorted(EXAMPLES.glob("*.json"))
    wanted = [file for file in files if "--all" in arguments or names or not is_current(file)]
    failed = 0
    with TemporaryDirectory() as folder:
        home = Path(folder)
        settings = Settings(home=home, outputs=home / "output", device="cpu")
        with Session(settings, inputs=GALLERY) as session:
            for file in wanted:
                said = make(session, file)
                failed += said.startswith("FAILED")
                sys.stdout.write(f"{file.stem}: {said}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
