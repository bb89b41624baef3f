"""Conditioning of videos: first and last images, frame rates."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry
from nodegraph.interop.comfyui.table.carried_values import FIRST_IMAGES
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable


def _frame_rate(node: Passage) -> None:
    rate = node.inputs["frame_rate"]
    positive = node.inputs["positive"]
    name = node.add("FrameRateConditioning", conditioning=positive, rate=rate)
    node.give("positive", Signal(MadeOutput(name, "conditioning"), positive.carried))
    node.give("negative", node.inputs["negative"])


def _frame_rate_back(node: Passage) -> None:
    taken = {"positive": node.inputs["conditioning"], "negative": node.inputs["conditioning"]}
    name = node.add("LTXVConditioning", **taken, frame_rate=node.inputs["rate"])
    node.give("conditioning", MadeOutput(name, "positive"))


def _translate_images(node: Passage) -> None:
    """A video that begins with an image, and may end with one, or that begins with nothing."""
    size = {name: node.inputs[name] for name in ("width", "height")}
    positive, length = node.inputs["positive"], node.inputs["length"]
    node.give("negative", node.inputs["negative"])
    image = node.inputs.get("start_image", node.inputs.get("image"))
    last = node.inputs.get("end_image")
    if image is None and last is not None:
        raise Untranslatable("nodegraph has no videos that only end with an image")
    if image is None:
        batch = node.inputs["batch_size"]
        latent = node.add("EmptyVideoLatent", **size, frames=length, batch_size=batch)
        node.give("positive", positive)
        node.give("latent", MadeOutput(latent, "latent"))
        return
    if node.inputs["batch_size"].content != 1:
        node.tell("nodegraph makes one video from a first image, whatever `batch_size` says")
    if node.inputs.get("strength", Signal(1.0)).content != 1.0:
        node.tell("nodegraph keeps the first image as it is, as strength 1 does in ComfyUI")

    name = node.add(
        "ImageToVideoConditioning",
        conditioning=positive,
        vae=node.inputs["vae"],
        image=_sized(node, image),
        frames=length,
        **({} if last is None else {"last_image": _sized(node, last)}),
        **_image_encoder(node),
    )
    node.give("positive", Signal(MadeOutput(name, "conditioning"), positive.carried))
    node.give("latent", MadeOutput(name, "latent"))


def _sized(node: Passage, picture: Signal) -> MadeOutput:
    """An image in the size of the video."""
    size = {name: node.inputs[name] for name in ("width", "height")}
    fitted = node.add("ResizeImage", image=picture, **size, fit="crop", method="bilinear")
    return MadeOutput(fitted, "image")


def _translate_latent(node: Passage) -> None:
    """An empty latent of a video. The sampler adds its first images to the positive prompt."""
    if "end_image" in node.inputs:
        raise Untranslatable("nodegraph has no videos of Cosmos that end with an image")
    names = {"width": "width", "height": "height", "frames": "length", "batch_size": "batch_size"}
    values = {native: node.inputs[there] for native, there in names.items()}
    latent = MadeOutput(node.add("EmptyVideoLatent", **values), "latent")
    carried: dict[str, Any] = {}
    if "start_image" in node.inputs:
        image, frames = _sized(node, node.inputs["start_image"]), node.inputs["length"]
        carried = {FIRST_IMAGES: {"vae": node.inputs["vae"], "image": image, "frames": frames}}
    node.give("LATENT", Signal(latent, carried))


def _image_encoder(node: Passage) -> dict[str, MadeOutput]:
    """The encoder of the images, which sees them here as the video shows them."""
    visions = [item.carried for name, item in node.inputs.items() if name.startswith("clip_vision")]
    file = next((each["vision_file"] for each in visions if each.get("vision_file")), None)
    if file is None:
        if visions:
            node.tell("the file of its image encoder is not known: link a LoadImageEncoder")
        return {}
    loaded = node.add("LoadImageEncoder", image_encoder=file)
    node.tell("the image encoder sees the images in the size of the video")
    return {"image_encoder": MadeOutput(loaded, "image_encoder")}


_VIDEO_SIZE = (
    "positive: CONDITIONING, negative: CONDITIONING, vae: VAE, width: INT = {}, height: INT = {}, "
    "length: INT = {}, batch_size: INT = 1"
)
_BEGINNING = f"{_VIDEO_SIZE}, start_image: IMAGE?, clip_vision_output: CLIP_VISION_OUTPUT?"
_BOTH_ENDS = f"{_VIDEO_SIZE.format(832, 480, 81)}, start_image: IMAGE?, end_image: IMAGE?"

_LATENT = "positive: CONDITIONING, negative: CONDITIONING, latent: LATENT"

ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "LTXVConditioning(positive: CONDITIONING, negative: CONDITIONING, "
        "frame_rate: FLOAT = 25.0) -> positive: CONDITIONING, negative: CONDITIONING",
        _frame_rate,
        "FrameRateConditioning",
        _frame_rate_back,
    ),
    entry(
        "LTXVImgToVideo(positive: CONDITIONING, negative: CONDITIONING, vae: VAE, image: IMAGE, "
        "width: INT = 768, height: INT = 512, length: INT = 97, batch_size: INT = 1, "
        "strength: FLOAT = 1.0) -> positive: CONDITIONING, negative: CONDITIONING, latent: LATENT",
        _translate_images,
    ),
    entry(f"WanImageToVideo({_BEGINNING.format(832, 480, 81)}) -> {_LATENT}", _translate_images),
    entry(
        f"WanFirstLastFrameToVideo({_BOTH_ENDS}, clip_vision_start_image: CLIP_VISION_OUTPUT?, "
        f"clip_vision_end_image: CLIP_VISION_OUTPUT?) -> {_LATENT}",
        _translate_images,
    ),
    entry(
        f"WanFunInpaintToVideo({_BOTH_ENDS}, clip_vision_output: CLIP_VISION_OUTPUT?) -> {_LATENT}",
        _translate_images,
    ),
    entry(
        f"HunyuanVideo15ImageToVideo({_BEGINNING.format(848, 480, 33)}) -> {_LATENT}",
        _translate_images,
    ),
    *(
        entry(
            f"{there}(vae: VAE, width: INT = {width}, height: INT = {height}, "
            f"length: INT = {length}, batch_size: INT = 1, start_image: IMAGE?, "
            "end_image: IMAGE?) -> LATENT",
            _translate_latent,
        )
        for there, width, height, length in (
            ("CosmosImageToVideoLatent", 1280, 704, 121),
            ("CosmosPredict2ImageToVideoLatent", 848, 480, 93),
        )
    ),
)
