"""Videos: read, written, made of pictures and taken apart."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry, same
from nodegraph.interop.comfyui.table.images import name_of, prefix_of
from nodegraph.interop.comfyui.table.parts import FILES, compute_number
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal

_FORMATS = ("mp4", "webm", "mkv")


def _save(node: Passage) -> None:
    form = str(node.literal("format"))
    node.add(
        "SaveVideo",
        video=node.inputs["video"],
        name=name_of(node),
        format=form if form in _FORMATS else "mp4",
    )
    names = ("format", "format.codec", "codec")
    for codec in (node.inputs[name].given for name in names[1:] if name in node.inputs):
        if codec not in ("auto", "h264" if form in ("auto", "mp4") else "auto"):
            node.tell(f"videos have the usual codec of their format here, not {codec}")
    node.keep(**{name: node.inputs[name].given for name in names if name in node.inputs})
    node.give("video", node.inputs["video"])


def _save_back(node: Passage) -> None:
    form = node.literal("format")
    kept = node.kept if node.kept.get("format", "auto") in ("auto", form) else {}
    values = {"format": form, "codec": "auto", **kept}
    video = node.inputs["video"]
    node.add("SaveVideo", video=video, filename_prefix=prefix_of(node), **values)


def _create(node: Passage) -> None:
    name = node.add(
        "VideoFromImages",
        images=node.inputs["images"],
        rate=node.inputs["fps"],
        audio=node.inputs.get("audio"),
    )
    kept = ("bit_depth", "color_space")
    node.keep(**{name: node.inputs[name].given for name in kept if name in node.inputs})
    node.give("VIDEO", MadeOutput(name, "video"))


def _create_back(node: Passage) -> None:
    audio = {"audio": node.inputs["audio"]} if "audio" in node.inputs else {}
    images, rate = node.inputs["images"], node.inputs["rate"]
    name = node.add("CreateVideo", images=images, fps=rate, **audio, **node.kept)
    node.give("video", MadeOutput(name, "VIDEO"))


def _parts(node: Passage) -> None:
    name = node.add("ImagesFromVideo", video=node.inputs["video"])
    for their, our in (("images", "image"), ("audio", "audio"), ("fps", "rate")):
        node.give(their, MadeOutput(name, our))
    node.give("bit_depth", Signal(8))
    node.give("color_space", Signal("sRGB"))


def _parts_back(node: Passage) -> None:
    name = node.add("GetVideoComponents", video=node.inputs["video"])
    for our, their in (("image", "images"), ("audio", "audio"), ("rate", "fps")):
        node.give(our, MadeOutput(name, their))


def _slice(node: Passage) -> None:
    video, start, length = (node.inputs[name] for name in ("video", "start_time", "duration"))
    node.keep(strict_duration=node.inputs["strict_duration"].given)
    if start.given == 0 and length.given == 0:
        node.give("VIDEO", video)
        return
    rate = MadeOutput(node.add("ImagesFromVideo", video=video), "rate")
    spans: dict[str, Any] = {
        port: compute_number(node, "a * b", lambda a, b: round(a * b), a=signal, b=rate)
        for port, signal in (("first", start), ("count", length))
        if signal.given != 0
    }
    node.give("VIDEO", MadeOutput(node.add("TrimVideo", video=video, **spans), "video"))


def _webm(node: Passage) -> None:
    video = node.add("VideoFromImages", images=node.inputs["images"], rate=node.inputs["fps"])
    node.add("SaveVideo", video=MadeOutput(video, "video"), name=name_of(node), format="webm")
    node.keep(codec=node.inputs["codec"].given, crf=node.inputs["crf"].given)


def _separate(node: Passage) -> None:
    node.tell("latents hold no sound here: all of it is taken to be the video's")
    node.give("video_latent", node.inputs["av_latent"])


ENTRIES: tuple[TableEntry, ...] = (
    same(
        'LoadVideo(file: COMBO = "" @upload) -> VIDEO',
        "LoadVideo",
        {"file": "path"},
        choices={"file": FILES},
    ),
    entry(
        'SaveVideo(video: VIDEO, filename_prefix: STRING = "video/ComfyUI", '
        'format: COMBO = "auto", format.codec: COMBO = "auto" @when(auto|mp4|mkv|webm), '
        'codec: COMBO = "auto") -> video: VIDEO',
        _save,
        "SaveVideo",
        _save_back,
    ),
    entry(
        "CreateVideo(images: IMAGE, audio: AUDIO?, fps: FLOAT = 30.0, bit_depth: COMBO?, "
        "color_space: COMBO?) -> VIDEO",
        _create,
        "VideoFromImages",
        _create_back,
    ),
    entry(
        "GetVideoComponents(video: VIDEO) -> images: IMAGE, audio: AUDIO, fps: FLOAT, "
        "bit_depth: INT, color_space: COMBO",
        _parts,
        "ImagesFromVideo",
        _parts_back,
    ),
    entry(
        "Video Slice(video: VIDEO, start_time: FLOAT = 0.0, duration: FLOAT = 0.0, "
        "strict_duration: BOOLEAN = false) -> VIDEO",
        _slice,
    ),
    entry(
        'SaveWEBM(images: IMAGE, filename_prefix: STRING = "ComfyUI", codec: COMBO = "vp9", '
        "fps: FLOAT = 24.0, crf: FLOAT = 32.0)",
        _webm,
    ),
    entry(
        "LTXVSeparateAVLatent(av_latent: LATENT) -> video_latent: LATENT, audio_latent: LATENT",
        _separate,
    ),
)
