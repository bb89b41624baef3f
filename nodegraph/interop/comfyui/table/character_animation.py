"""Conditioning of Wan Animate, whose long videos are chains of segments.

Sources: ComfyUI, ``comfy_extras/nodes_wan.py``. Videos there hold their last frame after their
end, and a segment begins `continue_motion_max_frames` before its offset if it continues another.
"""

from __future__ import annotations

from nodegraph.interop.comfyui.entries import TableEntry, entry
from nodegraph.interop.comfyui.table.video_conditioning import (
    LATENT,
    VIDEO_SIZE,
    image_encoder,
    tell_batch,
)
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_NATIVE = "AnimationConditioning"
_FACE = 512
"""Pixels of a side of faces."""
_SEGMENT_OUTPUTS = "trim_latent: INT, trim_image: INT, video_frame_offset: INT"


def _animate(node: Passage) -> None:
    """A segment by Wan Animate: of a character, poses, a face, and the video around them."""
    missing = [
        name for name in ("reference_image", "pose_video", "face_video") if name not in node.inputs
    ]
    if missing:
        raise Untranslatable(
            f"nodegraph animates a character by poses and a face: link {missing[0]}"
        )
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
    _give_segment(node, shown, overlap)


def _give_segment(
    node: Passage, shown: dict[str, Signal | MadeOutput], overlap: Signal, **more: Signal
) -> None:
    """Add the conditioning of a segment, and give what the node gives.

    Args:
        shown: Images and videos, by native names.
        overlap: Frames that a segment has in common with the one that it continues.
        more: Other native inputs.
    """
    positive = node.inputs["positive"]
    continues = "continue_motion" in node.inputs
    if continues:
        shown["previous"] = _fitted(node, node.inputs["continue_motion"])
    encoder = image_encoder(node)
    if not encoder:
        node.tell("the model sees the character by an image encoder: link a LoadImageEncoder")
    name = node.add(
        _NATIVE,
        conditioning=positive,
        vae=node.inputs["vae"],
        frames=node.inputs["length"],
        start=_start(node, overlap),
        overlap=overlap,
        **shown,
        **encoder,
        **more,
    )
    node.tell(
        "a video that ends before the segment runs backwards after its end; ComfyUI holds its last "
        "frame"
    )
    node.give("positive", Signal(MadeOutput(name, "conditioning"), positive.carried))
    node.give("negative", node.inputs["negative"])
    node.give("latent", MadeOutput(name, "latent"))
    # The frame of the character's image is sampled before the latent, and not part of it.
    node.give("trim_latent", Signal(0))
    node.give("trim_image", Signal(overlap.content) if continues else Signal(0))
    node.give("video_frame_offset", MadeOutput(name, "end"))


def _start(node: Passage, overlap: Signal) -> Signal | MadeOutput:
    """The first frame of a segment in the whole videos."""
    offset = node.inputs["video_frame_offset"]
    if "continue_motion" not in node.inputs:
        return offset
    if not offset.is_link and not overlap.is_link:
        return Signal(max(offset.content - overlap.content, 0))
    if offset.is_link and offset.content.port == "end":
        try:
            kind, inputs = node.behind("video_frame_offset")
        except Untranslatable:
            kind, inputs = "", {}
        if kind == _NATIVE and inputs.get("overlap") == overlap.content:
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
)
