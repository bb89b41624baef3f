"""Conditioning of Wan's special models: VACE, Fun control, Fun camera and point tracks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry
from nodegraph.interop.comfyui.table.video_conditioning import (
    LATENT,
    PROMPTS,
    START_IMAGE,
    VIDEO_SIZE,
    image_encoder,
    resized,
    sized,
    tell_batch,
)
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_FUN_CONTROL_22 = "Wan22FunControlToVideo"


def _conditioned(node: Passage, native: str, **inputs: Signal | MadeOutput) -> str:
    """Add a conditioning of videos, which gives the positive prompt and the latent; its name."""
    positive = node.inputs["positive"]
    name = node.add(native, conditioning=positive, vae=node.inputs["vae"], **inputs)
    node.give("positive", Signal(MadeOutput(name, "conditioning"), positive.carried))
    node.give("negative", node.inputs["negative"])
    node.give("latent", MadeOutput(name, "latent"))
    return name


def _vace(node: Passage) -> None:
    """A video by Wan VACE: of a control video, masks and a reference image."""
    tell_batch(node, "by Wan VACE")
    shown: dict[str, Signal | MadeOutput] = {}
    for port, name in (("video", "control_video"), ("reference", "reference_image")):
        if name in node.inputs:
            shown[port] = sized(node, node.inputs[name])
    if "reference" in shown:
        first = node.add("ImageFromBatch", image=shown["reference"], index=0, length=1)
        shown["reference"] = MadeOutput(first, "image")
    if "control_masks" in node.inputs:
        drawn = node.add("MaskToImage", mask=node.inputs["control_masks"])
        scaled = sized(node, MadeOutput(drawn, "image"))
        shown["mask"] = MadeOutput(node.add("MaskFromChannel", image=scaled, channel="red"), "mask")
        node.tell("a frame is kept or generated at a pixel, by a mask above a half or not")
    name = _conditioned(
        node,
        "VaceConditioning",
        width=node.inputs["width"],
        height=node.inputs["height"],
        frames=node.inputs["length"],
        strength=node.inputs["strength"],
        **shown,
    )
    node.give("trim_latent", MadeOutput(name, "references"))


def _fun_control(node: Passage) -> None:
    """A video by a Fun control model of Wan: 2.1's has a first image, 2.2's a reference image."""
    is_22 = node.type == _FUN_CONTROL_22
    if "control_video" not in node.inputs and not is_22:
        raise Untranslatable("a Fun control model follows a control video, and none is linked")
    tell_batch(node, "of a control video")
    # Without a video the input stays open, as in bypassed nodes of published workflows.
    video = node.inputs["control_video"]
    shown = {"video": sized(node, video) if "control_video" in node.inputs else video}
    if is_22:
        if "ref_image" in node.inputs:
            shown["reference"] = sized(node, node.inputs["ref_image"], "ref_image")
        else:
            node.tell("without a reference image the model gets an empty one, as in VideoX-Fun")
    elif "start_image" in node.inputs:
        shown["image"] = sized(node, node.inputs["start_image"], "start_image")
        shown |= image_encoder(node)
    elif "clip_vision_output" in node.inputs:
        raise Untranslatable("the image encoder sees the first image, and none is linked")
    _conditioned(
        node,
        "ControlVideoConditioning",
        frames=node.inputs["length"],
        **shown,
    )


def _fun_control_back(node: Passage) -> None:
    if "reference" in node.inputs:
        raise Untranslatable("ComfyUI's node for Wan 2.1 takes no reference image")
    node.tell(f"with a model of Wan 2.2, use {_FUN_CONTROL_22} in place of WanFunControlToVideo")
    images = {"control_video": "video", "start_image": "image"}
    _video_back(node, "WanFunControlToVideo", "video", {"length": "frames"}, images)


def _fun_control_22_back(node: Passage) -> None:
    if "image" in node.inputs:
        raise Untranslatable("ComfyUI's node for Wan 2.2 takes no first image")
    images = {"control_video": "video", "ref_image": "reference"}
    _video_back(node, _FUN_CONTROL_22, "video", {"length": "frames"}, images)


def _tracks(node: Passage) -> None:
    """A video by the ATI model of Wan 2.1, whose points move along tracks."""
    tell_batch(node, "from a first image")
    _conditioned(
        node,
        "TrackConditioning",
        image=sized(node, node.inputs["start_image"]),
        tracks=node.inputs["tracks"],
        frames=node.inputs["length"],
        temperature=node.inputs["temperature"],
        top_k=node.inputs["topk"],
        **image_encoder(node),
    )


def _tracks_back(node: Passage) -> None:
    names = {"tracks": "tracks", "length": "frames", "temperature": "temperature", "topk": "top_k"}
    _video_back(node, "WanTrackToVideo", "image", names, {"start_image": "image"})


_MOTIONS: Mapping[str, str] = {
    "Static": "static",
    "Pan Up": "pan up",
    "Pan Down": "pan down",
    "Pan Left": "pan left",
    "Pan Right": "pan right",
    "Zoom In": "zoom in",
    "Zoom Out": "zoom out",
    "Anti Clockwise (ACW)": "counterclockwise",
    "ClockWise (CW)": "clockwise",
}
"""What motions of a camera are called there, and here."""
_OPTICS = {"fx": "focal_x", "fy": "focal_y", "cx": "center_x", "cy": "center_y"}
_SHOT = {"camera_embedding": "camera", "width": "width", "height": "height", "length": "frames"}
_CAMERA = "WanCameraImageToVideo"


def _camera_motion(node: Passage) -> None:
    motion = node.literal("camera_pose")
    if motion not in _MOTIONS:
        raise Untranslatable(f"nodegraph has no camera motion {motion!r}")
    names = {"width": "width", "height": "height", "length": "frames", "speed": "speed", **_OPTICS}
    taken = {ours: node.inputs[theirs] for theirs, ours in names.items()}
    name = node.add("CameraMotion", motion=_MOTIONS[motion], **taken)
    for theirs, ours in _SHOT.items():
        node.give(theirs, MadeOutput(name, ours))


def _camera_motion_back(node: Passage) -> None:
    motions = {ours: theirs for theirs, ours in _MOTIONS.items()}
    names = {"width": "width", "height": "height", "length": "frames", "speed": "speed", **_OPTICS}
    taken = {theirs: node.inputs[ours] for theirs, ours in names.items()}
    pose = motions[node.literal("motion")]
    name = node.add("WanCameraEmbedding", camera_pose=pose, **taken)
    for theirs, ours in _SHOT.items():
        node.give(ours, MadeOutput(name, theirs))


def _camera(node: Passage) -> None:
    """A video by a Fun camera model of Wan. Here the camera has the size and the length."""
    tell_batch(node, "of a camera")
    length = node.inputs["length"]
    if not length.is_link:
        node.tell(
            f"the video has the length of the camera's path; the node's own is {length.content}"
        )
    shown: dict[str, Signal | MadeOutput] = {}
    if "start_image" in node.inputs:
        shown["image"] = node.inputs["start_image"]
        size = node.inputs["width"].content, node.inputs["height"].content
        if resized(node, "start_image") != size:
            shown["image"] = sized(node, node.inputs["start_image"])
        shown |= image_encoder(node)
        node.tell(
            "models of Wan 2.2 get the first image in a gray video, as in VideoX-Fun; ComfyUI puts "
            "zeros after it"
        )
    elif "clip_vision_output" in node.inputs:
        raise Untranslatable("the image encoder sees the first image, and none is linked")
    _conditioned(
        node,
        "CameraConditioning",
        camera=node.inputs["camera_conditions"],
        **shown,
    )


def _camera_back(node: Passage) -> None:
    kind, shot = node.behind("camera")
    if kind != "WanCameraEmbedding":
        raise Untranslatable("ComfyUI needs to know the size of the camera's video")
    taken = {"camera_conditions": node.inputs["camera"]}
    if "image" in node.inputs:
        taken["start_image"] = node.inputs["image"]
    _node_back(node, _CAMERA, {name: shot[name] for name in ("width", "height", "length")}, taken)


def _video_back(
    node: Passage, there: str, sized_by: str, values: dict[str, str], images: dict[str, str]
) -> None:
    """A conditioning of videos as a node there, which is put beside a negative prompt, too.

    Args:
        there: The node's type.
        sized_by: The input whose image or video has the size of the video.
        values, images: Names of inputs there, and here.
    """
    size = node.imply("GetImageSize", image=node.inputs[sized_by])
    sides = {side: MadeOutput(size, side) for side in ("width", "height")}
    taken = {theirs: node.inputs[ours] for theirs, ours in values.items()}
    taken |= {theirs: node.inputs[ours] for theirs, ours in images.items() if ours in node.inputs}
    _node_back(node, there, sides, taken)


def _node_back(node: Passage, there: str, size: Mapping[str, Any], taken: dict[str, Any]) -> None:
    """A node there, with what the image encoder sees, which a negative prompt gets, too."""
    if "image_encoder" in node.inputs and "image" in node.inputs:
        vision = node.imply(
            "CLIPVisionEncode",
            clip_vision=node.inputs["image_encoder"],
            image=node.inputs["image"],
            crop="none",
        )
        taken["clip_vision_output"] = MadeOutput(vision, "CLIP_VISION_OUTPUT")
    prompt = node.inputs["conditioning"]
    name = node.add(
        there,
        positive=prompt,
        negative=prompt,
        vae=node.inputs["vae"],
        **size,
        batch_size=1,
        **taken,
    )
    node.tell(f"put {there} between the negative prompt and its sampler, too")
    node.give("conditioning", MadeOutput(name, "positive"))
    node.give("latent", MadeOutput(name, "latent"))


ENTRIES: tuple[TableEntry, ...] = (
    entry(
        f"WanFunControlToVideo({VIDEO_SIZE.format(832, 480, 81)}, clip_vision_output: "
        f"CLIP_VISION_OUTPUT?, start_image: IMAGE?, control_video: IMAGE?) -> {LATENT}",
        _fun_control,
        "ControlVideoConditioning",
        _fun_control_back,
    ),
    entry(
        f"{_FUN_CONTROL_22}({VIDEO_SIZE.format(832, 480, 81)}, ref_image: IMAGE?, "
        f"control_video: IMAGE?) -> {LATENT}",
        _fun_control,
        "ControlVideoConditioning",
        _fun_control_22_back,
    ),
    entry(
        'WanCameraEmbedding(camera_pose: COMBO = "Static", width: INT = 832, height: INT = 480, '
        "length: INT = 81, speed: FLOAT = 1.0, fx: FLOAT = 0.5, fy: FLOAT = 0.5, "
        "cx: FLOAT = 0.5, cy: FLOAT = 0.5) -> camera_embedding: WAN_CAMERA_EMBEDDING, "
        "width: INT, height: INT, length: INT",
        _camera_motion,
        "CameraMotion",
        _camera_motion_back,
    ),
    entry(
        f"{_CAMERA}({START_IMAGE.format(832, 480, 81)}, "
        f"camera_conditions: WAN_CAMERA_EMBEDDING?) -> {LATENT}",
        _camera,
        "CameraConditioning",
        _camera_back,
    ),
    entry(
        f'WanTrackToVideo({PROMPTS}, vae: VAE, tracks: STRING = "[]", width: INT = 832, '
        "height: INT = 480, length: INT = 81, batch_size: INT = 1, temperature: FLOAT = 220.0, "
        f"topk: INT = 2, start_image: IMAGE, clip_vision_output: CLIP_VISION_OUTPUT?) -> {LATENT}",
        _tracks,
        "TrackConditioning",
        _tracks_back,
    ),
    entry(
        f"WanVaceToVideo({VIDEO_SIZE.format(832, 480, 81)}, strength: FLOAT = 1.0, "
        "control_video: IMAGE?, control_masks: MASK?, reference_image: IMAGE?) -> "
        f"{LATENT}, trim_latent: INT",
        _vace,
    ),
)
