"""Conditioning of videos: first and last images, control videos, frame rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry
from nodegraph.interop.comfyui.import_context import compose
from nodegraph.interop.comfyui.table.sampling import ENTRIES as GUIDER_ENTRIES
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
    if "negative" in node.inputs:
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
    tell_batch(node, "from a first image")
    if node.inputs.get("strength", Signal(1.0)).content != 1.0:
        node.tell("nodegraph keeps the first image as it is, as strength 1 does in ComfyUI")

    name = node.add(
        "ImageToVideoConditioning",
        conditioning=positive,
        vae=node.inputs["vae"],
        image=sized(node, image),
        frames=length,
        **({} if last is None else {"last_image": sized(node, last)}),
        **({"inpaint_model": True} if node.type == _FUN_INPAINT else {}),
        **image_encoder(node),
    )
    node.give("positive", Signal(MadeOutput(name, "conditioning"), positive.carried))
    node.give("latent", MadeOutput(name, "latent"))


def _hunyuan_video(node: Passage) -> None:
    """A first image of HunyuanVideo, which the model's family takes in its way here.

    `postprocess` gives the family by what is kept.
    """
    guidance = str(node.literal("guidance_type"))
    if guidance not in HUNYUAN_VIDEO_FAMILIES and "start_image" in node.inputs:
        raise Untranslatable("nodegraph does not support HunyuanCustom")
    node.keep(guidance_type=guidance)
    _translate_images(node)


def _kandinsky5(node: Passage) -> None:
    """A video by Kandinsky 5, and the latent of its first image, which sampling keeps here."""
    _translate_images(node)
    image = node.inputs.get("start_image")
    if image is not None:
        name = node.add("VAEEncode", vae=node.inputs["vae"], image=sized(node, image))
        node.give("cond_latent", MadeOutput(name, "latent"))


def _replace_frames(node: Passage) -> None:
    if "source" not in node.inputs:
        node.give("LATENT", node.inputs["destination"])
        return
    taken = {name: node.inputs[name] for name in ("destination", "source", "index")}
    node.give("LATENT", MadeOutput(node.add("ReplaceLatentFrames", **taken), "latent"))


def _replace_frames_back(node: Passage) -> None:
    taken = {name: node.inputs[name] for name in ("destination", "source", "index")}
    node.give("latent", MadeOutput(node.add("ReplaceVideoLatentFrames", **taken), "LATENT"))


_FIRST_FRAMES = {"frames": "start_frame_count", "reference": "reference_frame_count"}


def _match_frames(node: Passage) -> None:
    counts = {ours: node.inputs[theirs] for ours, theirs in _FIRST_FRAMES.items()}
    latent = node.inputs["latent"]
    name = node.add("MatchFirstFrames", latent=latent, **counts, statistics="per frame")
    node.give("latent", MadeOutput(name, "latent"))


def _match_frames_back(node: Passage) -> None:
    if node.inputs["statistics"].content != "per frame":
        raise Untranslatable("ComfyUI matches each of the first frames by itself")
    counts = {theirs: node.inputs[ours] for ours, theirs in _FIRST_FRAMES.items()}
    name = node.add("NormalizeVideoLatentStart", latent=node.inputs["latent"], **counts)
    node.give("latent", MadeOutput(name, "latent"))


def tell_batch(node: Passage, source: str) -> None:
    if node.inputs["batch_size"].content != 1:
        node.tell(f"nodegraph makes one video {source}, whatever `batch_size` says")


def sized(node: Passage, picture: Signal | MadeOutput, port: str = "") -> Signal | MadeOutput:
    """The middle of images at the size of the video.

    Args:
        port: The input that gives them. Images that have the size of the control video already, as
            the export writes them, stay as they are.
    """
    size = {name: node.inputs[name] for name in ("width", "height")}
    if isinstance(picture, Signal) and all(_is_of(node, name, picture) for name in size):
        return picture
    if port and "control_video" in node.inputs:
        video, wanted = node.inputs["control_video"], resized(node, "control_video")
        is_exported = all(_is_of(node, name, video) for name in size)
        if is_exported and wanted is not None and resized(node, port) == wanted:
            return picture
    fitted = node.add("ResizeImage", image=picture, **size, fit="crop", method="bilinear")
    return MadeOutput(fitted, "image")


def _is_of(node: Passage, side: str, picture: Signal) -> bool:
    """Whether a side of the video is the one of some images, as the export writes it."""
    kind, inputs = _behind(node, side)
    return kind == "ImageSize" and inputs.get("image") == picture.content


def resized(node: Passage, port: str) -> tuple[Any, Any] | None:
    """The size that images are resized to before they are linked; None if they are not."""
    kind, inputs = _behind(node, port)
    if kind != "ResizeImage" or inputs.get("fit") not in ("crop", "stretch"):
        return None
    return inputs.get("width"), inputs.get("height")


def _behind(node: Passage, port: str) -> tuple[str, Mapping[str, Any]]:
    """Type and inputs of the node that is linked to an input; nothing of one that is unknown."""
    try:
        return node.behind(port)
    except Untranslatable:
        return "", {}


def _trim(node: Passage) -> None:
    latent, start = node.inputs["samples"], node.inputs["trim_amount"]
    if start.content == 0:
        node.give("LATENT", latent)
        return
    name = node.add("CutLatentFrames", latent=latent, start=start)
    node.give("LATENT", MadeOutput(name, "latent"))


def _first_frame_latent(node: Passage) -> None:
    """The latent of a video by Wan 2.2 5B or Cosmos, which brings its first images along.

    Here the prompt brings it: `postprocess.attach_first_frames` links the prompt of the sampler.
    """
    if "end_image" in node.inputs:
        node.tell(
            "nodegraph has no videos of Cosmos that end with an image: `end_image` is not used"
        )
    if "start_image" not in node.inputs:
        sizes = {name: node.inputs[name] for name in ("width", "height", "batch_size")}
        name = node.add("EmptyVideoLatent", frames=node.inputs["length"], **sizes)
    else:
        tell_batch(node, "from a first image")
        name = node.add(
            "ImageToVideoConditioning",
            vae=node.inputs["vae"],
            image=sized(node, node.inputs["start_image"]),
            frames=node.inputs["length"],
        )
        node.tell("the first image goes to the positive prompt of the sampler")
    node.give("LATENT", MadeOutput(name, "latent"))


def image_encoder(node: Passage) -> dict[str, Signal | MadeOutput]:
    """The encoder of the images, which sees them here as the video shows them."""
    visions = [item.carried for name, item in node.inputs.items() if name.startswith("clip_vision")]
    file = next((each["vision_file"] for each in visions if each.get("vision_file")), None)
    if file is None:
        encoder = next((each["vision_encoder"] for each in visions if "vision_encoder" in each), 0)
        if isinstance(encoder, Signal):
            return {"image_encoder": encoder}
        if visions:
            node.tell("the file of its image encoder is not known: link a LoadImageEncoder")
        return {}
    loaded = node.add("LoadImageEncoder", image_encoder=file)
    node.tell("the image encoder sees the images in the size of the video")
    return {"image_encoder": MadeOutput(loaded, "image_encoder")}


def _in_place(node: Passage) -> None:
    """An image in place of the first frame; `bypass` leaves the latent as it is."""
    latent, strength, bypass = (node.inputs[name] for name in ("latent", "strength", "bypass"))
    if strength.is_link or strength.content != 1.0:
        _tell_strength(node)
    name = node.add(
        "AddFrameGuide",
        latent=latent,
        vae=node.inputs["vae"],
        image=node.inputs["image"],
        strength=strength,
    )
    made = MadeOutput(name, "latent")
    if bypass.is_link:
        sides = {"on_true": latent, "on_false": made}
        made = MadeOutput(node.add("Switch", condition=bypass, **sides), "output")
    node.give("latent", latent if bypass.content is True else made)


def _tell_strength(node: Passage) -> None:
    node.tell(
        "a guide of a strength below 1 changes as in diffusers' pipeline of LTX-2, which differs "
        "slightly from ComfyUI"
    )


def _in_place_back(node: Passage) -> None:
    if node.inputs["frame"].content != 0 or node.inputs["append"].content:
        raise Untranslatable("ComfyUI adds guides beside the video to both prompts")
    taken = {name: node.inputs[name] for name in ("vae", "image", "latent", "strength")}
    name = node.add("LTXVImgToVideoInplace", **taken, bypass=False)
    node.give("latent", MadeOutput(name, "latent"))


def _add_guide(node: Passage) -> None:
    """A guide beside the video. Here the latent has it, and the prompts stay as they are."""
    if "attention_mask" in node.inputs:
        node.tell("a guide applies to whole frames in nodegraph: its `attention_mask` is not used")
    if "iclora_parameters" in node.inputs:
        node.tell("nodegraph shows the model a guide in the size of the video")
    strength = node.inputs["strength"]
    if strength.is_link or strength.content < 1.0:
        _tell_strength(node)
    elif strength.content > 1.0:
        node.tell("the highest strength of a guide is 1")
        strength = Signal(1.0)
    name = node.add(
        "AddFrameGuide",
        latent=node.inputs["latent"],
        vae=node.inputs["vae"],
        image=node.inputs["image"],
        frame=node.inputs["frame_idx"],
        strength=strength,
        append=True,
    )
    node.give("positive", node.inputs["positive"])
    node.give("negative", node.inputs["negative"])
    node.give("latent", MadeOutput(name, "latent"))


def _crop_guides(node: Passage) -> None:
    name = node.add("RemoveFrameGuides", latent=node.inputs["latent"])
    node.give("positive", node.inputs["positive"])
    node.give("negative", node.inputs["negative"])
    node.give("latent", MadeOutput(name, "latent"))


def _crop_guides_back(node: Passage) -> None:
    """Guides in place of frames are part of the latent there."""
    node.give("latent", node.inputs["latent"])


def _lora_parameters(node: Passage) -> None:
    """How large a LoRA wants its guides."""
    node.give("iclora_parameters", Signal("full size"))


_GUIDER = next(each for each in GUIDER_ENTRIES if each.type == "CFGGuider")


def _two_scales(node: Passage) -> None:
    video, sound = (node.inputs[name] for name in ("video_cfg", "audio_cfg"))
    if video.is_link or sound.is_link or video.content != sound.content:
        node.tell("nodegraph guides the video and its sound by one scale, that of the video")
    inputs = {name: node.inputs[name] for name in ("model", "positive", "negative")}
    node.keep(audio_cfg=sound.content)
    node.give("GUIDER", compose(node, _GUIDER, {**inputs, "cfg": video})["GUIDER"])


_FUN_INPAINT = "WanFunInpaintToVideo"
HUNYUAN_VIDEO_FAMILIES: Mapping[str, str] = {
    "v1 (concat)": "hunyuan-video-i2v-v1",
    "v2 (replace)": "hunyuan-video-i2v",
}
"""By the choice of HunyuanImageToVideo: the family whose models take images so."""
VIDEO_SIZE = (
    "positive: CONDITIONING, negative: CONDITIONING, vae: VAE, width: INT = {}, height: INT = {}, "
    "length: INT = {}, batch_size: INT = 1"
)
START_IMAGE = f"{VIDEO_SIZE}, start_image: IMAGE?, clip_vision_output: CLIP_VISION_OUTPUT?"
_BOTH_ENDS = f"{VIDEO_SIZE.format(832, 480, 81)}, start_image: IMAGE?, end_image: IMAGE?"

LATENT = "positive: CONDITIONING, negative: CONDITIONING, latent: LATENT"

PROMPTS = "positive: CONDITIONING, negative: CONDITIONING"

GUIDE_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "LTXVImgToVideoInplace(vae: VAE, image: IMAGE, latent: LATENT, strength: FLOAT = 1.0, "
        "bypass: BOOLEAN = false) -> latent: LATENT",
        _in_place,
        "AddFrameGuide",
        _in_place_back,
    ),
    entry(
        f"LTXVAddGuide({PROMPTS}, vae: VAE, latent: LATENT, image: IMAGE, "
        "attention_mask: MASK?, iclora_parameters: IC_LORA_PARAMETERS?, frame_idx: INT = 0, "
        f"strength: FLOAT = 1.0) -> {LATENT}",
        _add_guide,
    ),
    entry(
        f"LTXVCropGuides({LATENT}) -> {LATENT}",
        _crop_guides,
        "RemoveFrameGuides",
        _crop_guides_back,
    ),
    entry(
        "GetICLoRAParameters(iclora_model: MODEL) -> iclora_parameters: IC_LORA_PARAMETERS",
        _lora_parameters,
    ),
    entry(
        f"LTXVDualCFGGuider(model: MODEL, {PROMPTS}, video_cfg: FLOAT = 3.0, "
        "audio_cfg: FLOAT = 7.0) -> GUIDER",
        _two_scales,
    ),
)

ENTRIES: tuple[TableEntry, ...] = (
    *GUIDE_ENTRIES,
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
    entry(f"WanImageToVideo({START_IMAGE.format(832, 480, 81)}) -> {LATENT}", _translate_images),
    entry(
        f"WanFirstLastFrameToVideo({_BOTH_ENDS}, clip_vision_start_image: CLIP_VISION_OUTPUT?, "
        f"clip_vision_end_image: CLIP_VISION_OUTPUT?) -> {LATENT}",
        _translate_images,
    ),
    entry(
        f"{_FUN_INPAINT}({_BOTH_ENDS}, clip_vision_output: CLIP_VISION_OUTPUT?) -> {LATENT}",
        _translate_images,
    ),
    entry(
        "Wan22ImageToVideoLatent(vae: VAE, width: INT = 1280, height: INT = 704, "
        "length: INT = 49, batch_size: INT = 1, start_image: IMAGE?) -> LATENT",
        _first_frame_latent,
    ),
    entry("TrimVideoLatent(samples: LATENT, trim_amount: INT = 0) -> LATENT", _trim),
    entry(
        f"HunyuanVideo15ImageToVideo({START_IMAGE.format(848, 480, 33)}) -> {LATENT}",
        _translate_images,
    ),
    entry(
        "HunyuanImageToVideo(positive: CONDITIONING, vae: VAE, width: INT = 848, "
        "height: INT = 480, length: INT = 53, batch_size: INT = 1, "
        'guidance_type: COMBO = "v1 (concat)", start_image: IMAGE?) -> positive: CONDITIONING, '
        "latent: LATENT",
        _hunyuan_video,
    ),
    entry(
        f"Kandinsky5ImageToVideo({VIDEO_SIZE.format(768, 512, 121)}, start_image: IMAGE?) -> "
        f"{LATENT}, cond_latent: LATENT",
        _kandinsky5,
    ),
    entry(
        "ReplaceVideoLatentFrames(destination: LATENT, source: LATENT?, index: INT = 0) -> LATENT",
        _replace_frames,
        "ReplaceLatentFrames",
        _replace_frames_back,
    ),
    entry(
        "NormalizeVideoLatentStart(latent: LATENT, start_frame_count: INT = 4, "
        "reference_frame_count: INT = 5) -> latent: LATENT",
        _match_frames,
        "MatchFirstFrames",
        _match_frames_back,
    ),
    *(
        entry(
            f"{there}(vae: VAE, width: INT = {width}, height: INT = {height}, "
            f"length: INT = {length}, batch_size: INT = 1, start_image: IMAGE?, "
            "end_image: IMAGE?) -> LATENT",
            _first_frame_latent,
        )
        for there, width, height, length in (
            ("CosmosImageToVideoLatent", 1280, 704, 121),
            ("CosmosPredict2ImageToVideoLatent", 848, 480, 93),
        )
    ),
)
