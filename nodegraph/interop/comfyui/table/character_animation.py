"""Conditioning of Wan Animate 1 and 2, whose long videos are chains of segments.

Sources: ComfyUI, ``comfy_extras/nodes_wan.py``. Videos there hold their last frame after their
end, and a segment begins `continue_motion_max_frames` before its offset if it continues another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry
from nodegraph.interop.comfyui.table.video_conditioning import (
    LATENT,
    VIDEO_SIZE,
    image_encoder,
    tell_batch,
)
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_NATIVE, _DRIVEN = "AnimationConditioning", "DrivingVideoConditioning"
_FACE = 512
"""Pixels of a side of faces."""
_SEGMENT_OUTPUTS = "trim_latent: INT, trim_image: INT, video_frame_offset: INT"


def _animate(node: Passage) -> None:
    """A segment by Wan Animate: of a character, poses, a face, and the video around them."""
    _require(node, "reference_image", "pose_video", "face_video")
    if "character_mask" in node.inputs and "background_video" not in node.inputs:
        raise Untranslatable(
            "a mask of the character comes with the video around it, and none is linked"
        )
    tell_batch(node, "of a character")
    overlap = node.inputs["continue_motion_max_frames"]
    shown: dict[str, Signal | MadeOutput] = {
        "image": _fitted(node, _first(node, "reference_image")),
        "pose": _fitted(node, node.inputs["pose_video"]),
        "face": _resized(node, node.inputs["face_video"], Signal(_FACE), Signal(_FACE)),
    }
    if "background_video" in node.inputs:
        shown["background"] = _fitted(node, node.inputs["background_video"])
        shown["mask"] = _mask(node)
    _give_segment(node, _NATIVE, shown, overlap)


def _drive(node: Passage) -> None:
    """A segment by Wan Animate 2: of a character and a driving video."""
    _require(node, "reference_image", "pose_video")
    tell_batch(node, "of a character")
    if (
        node.inputs["pose_start_percent"].content != 0
        or node.inputs["pose_end_percent"].content != 1
    ):
        node.tell(
            "the driving video applies to the whole sampling here: `pose_start_percent` and "
            "`pose_end_percent` are not used"
        )
    node.tell(
        "a negative prompt is evaluated without one block of the network, as in diffusers; ComfyUI "
        "leaves none out"
    )
    shown: dict[str, Signal | MadeOutput] = {
        "image": _fitted(node, _first(node, "reference_image")),
        "video": _fitted(node, node.inputs["pose_video"]),
        "motion_strength": node.inputs["pose_strength"],
        "character_strength": node.inputs["reference_image_strength"],
    }
    if "positive_pose" in node.inputs:
        shown["motion"] = node.inputs["positive_pose"]
    _give_segment(node, _DRIVEN, shown, Signal(1))


def _cache(node: Passage) -> None:
    """What is stored of the driving video. Here each sampling stores it."""
    if "model" not in node.inputs:
        raise Untranslatable("the model that it patches is not connected")
    if node.inputs["dtype"].content != "default":
        node.tell("nodegraph stores what the model reads of the driving video as it is computed")
    node.give("MODEL", node.inputs["model"])


def _require(node: Passage, *names: str) -> None:
    """Refuse a node without images and videos that the model needs."""
    for name in names:
        if name not in node.inputs:
            raise Untranslatable(f"the model needs `{name}`, and none is linked")


def _give_segment(
    node: Passage, native: str, shown: dict[str, Signal | MadeOutput], overlap: Signal
) -> None:
    """Add the conditioning of a segment, and give what the node gives.

    Args:
        native: Type of the conditioning.
        shown: Images, videos and other inputs, by native names.
        overlap: Frames that a segment has in common with the one that it continues.
    """
    encoder = image_encoder(node)
    if not encoder:
        node.tell("the model sees the character by an image encoder: link a LoadImageEncoder")
    node.tell(
        "a video that ends before the segment runs backwards after its end; ComfyUI holds its last "
        "frame"
    )
    inputs: dict[str, Signal | MadeOutput] = {
        "vae": node.inputs["vae"],
        "frames": node.inputs["length"],
        "overlap": overlap,
    }
    inputs |= {**shown, **encoder}
    sides = _sides(node)
    made: dict[str, dict[str, Any]] = {}
    for side, previous in sides.items():
        start = node.inputs["video_frame_offset"] if previous is None else _start(node, overlap)
        name = node.add(
            native,
            conditioning=node.inputs["positive"],
            start=start,
            previous=previous and _fitted(node, previous),
            **inputs,
        )
        made[side] = {port: MadeOutput(name, port) for port in ("conditioning", "latent", "end")}
        made[side]["trimmed"] = Signal(0) if previous is None else Signal(overlap.content)
    positive = Signal(_either(node, made, "conditioning"), node.inputs["positive"].carried)
    node.give("positive", positive)
    node.give("negative", node.inputs["negative"])
    node.give("latent", _either(node, made, "latent"))
    # The frame of the character's image is sampled before the latent, and not part of it.
    node.give("trim_latent", Signal(0))
    node.give("trim_image", _either(node, made, "trimmed"))
    node.give("video_frame_offset", _either(node, made, "end"))


def _sides(node: Passage) -> dict[str, Signal | MadeOutput | None]:
    """The frames that a segment continues, or None.

    A switch with an open side gives the first segment nothing to continue in ComfyUI. Here such a
    switch skips what depends on it, so each of its sides becomes a segment, by the side's name.
    """
    if "continue_motion" not in node.inputs:
        return {"": None}
    try:
        kind, inputs = node.behind("continue_motion")
    except Untranslatable:
        kind, inputs = "", {}
    sides = {side: inputs.get(side) for side in ("on_true", "on_false")}
    if kind == "Switch" and list(sides.values()).count(None) == 1:
        return sides
    return {"": node.inputs["continue_motion"]}


def _either(node: Passage, made: Mapping[str, Mapping[str, Any]], output: str) -> Any:
    """What the segment gives, or the one that a switch chooses."""
    if "" in made:
        return made[""][output]
    _, inputs = node.behind("continue_motion")
    sides = {side: outputs[output] for side, outputs in made.items()}
    return MadeOutput(node.add("Switch", condition=inputs["condition"], **sides), "output")


def _start(node: Passage, overlap: Signal) -> Signal | MadeOutput:
    """The first frame of a segment in the whole videos, of one that continues another."""
    offset = node.inputs["video_frame_offset"]
    if not offset.is_link and not overlap.is_link:
        return Signal(max(offset.content - overlap.content, 0))
    if offset.is_link and offset.content.port == "end":
        try:
            kind, inputs = node.behind("video_frame_offset")
        except Untranslatable:
            kind, inputs = "", {}
        if kind in (_NATIVE, _DRIVEN) and inputs.get("overlap") == overlap.content:
            return MadeOutput(offset.content.node, "next_start")
    name = node.add("Formula", expression="max(a - b, 0)", a=offset, b=overlap)
    return MadeOutput(name, "integer")


def _first(node: Passage, port: str) -> MadeOutput:
    return MadeOutput(
        node.add("ImageFromBatch", image=node.inputs[port], index=0, length=1), "image"
    )


def _fitted(node: Passage, pictures: Signal | MadeOutput) -> MadeOutput:
    """The middle of images at the size of the video."""
    return _resized(node, pictures, node.inputs["width"], node.inputs["height"])


def _resized(
    node: Passage, pictures: Signal | MadeOutput, width: Signal, height: Signal
) -> MadeOutput:
    name = node.add(
        "ResizeImage", image=pictures, width=width, height=height, fit="crop", method="area"
    )
    return MadeOutput(name, "image")


def _mask(node: Passage) -> MadeOutput:
    """White where the character is generated; everywhere without a mask."""
    sides = {side: node.inputs[side] for side in ("width", "height")}
    if "character_mask" not in node.inputs:
        return MadeOutput(node.add("SolidMask", **sides), "mask")
    drawn = node.add("MaskToImage", mask=node.inputs["character_mask"])
    cropped = _fitted(node, MadeOutput(drawn, "image"))
    return MadeOutput(node.add("MaskFromChannel", image=cropped, channel="red"), "mask")


ENTRIES: tuple[TableEntry, ...] = (
    entry(
        f"WanAnimateToVideo({VIDEO_SIZE.format(832, 480, 77)}, "
        "clip_vision_output: CLIP_VISION_OUTPUT?, reference_image: IMAGE?, face_video: IMAGE?, "
        "pose_video: IMAGE?, continue_motion_max_frames: INT = 5, background_video: IMAGE?, "
        "character_mask: MASK?, continue_motion: IMAGE?, video_frame_offset: INT = 0) -> "
        f"{LATENT}, {_SEGMENT_OUTPUTS}",
        _animate,
    ),
    entry(
        f"WanAnimate2ToVideo({VIDEO_SIZE.format(832, 480, 81)}, reference_image: IMAGE?, "
        "pose_video: IMAGE?, clip_vision_output: CLIP_VISION_OUTPUT?, "
        "positive_pose: CONDITIONING?, clip_vision_output_pose: CLIP_VISION_OUTPUT?, "
        "continue_motion: IMAGE?, video_frame_offset: INT = 0, pose_strength: FLOAT = 1.0, "
        "pose_start_percent: FLOAT = 0.0, pose_end_percent: FLOAT = 1.0, "
        f"reference_image_strength: FLOAT = 1.0) -> {LATENT}, {_SEGMENT_OUTPUTS}",
        _drive,
    ),
    entry(
        'WanAnimate2Cache(model: MODEL, device: COMBO = "cpu", dtype: COMBO = "default") -> MODEL',
        _cache,
    ),
)
