"""Conditioning of videos: first and last images, frame rates."""

from __future__ import annotations

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

    def sized(picture: Signal) -> MadeOutput:
        fitted = node.add("ResizeImage", image=picture, **size, fit="crop", method="bilinear")
        return MadeOutput(fitted, "image")

    name = node.add(
        "ImageToVideoConditioning",
        conditioning=positive,
        vae=node.inputs["vae"],
        image=sized(image),
        frames=length,
        **({} if last is None else {"last_image": sized(last)}),
        **_image_encoder(node),
    )
    node.give("positive", Signal(MadeOutput(name, "conditioning"), positive.carried))
    node.give("latent", MadeOutput(name, "latent"))


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


_VIDEO_SIZE = (
    "positive: CONDITIONING, negative: CONDITIONING, vae: VAE, width: INT = {}, height: INT = {}, "
    "length: INT = {}, batch_size: INT = 1"
)
_BEGINNING = f"{_VIDEO_SIZE}, start_image: IMAGE?, clip_vision_output: CLIP_VISION_OUTPUT?"
_BOTH_ENDS = f"{_VIDEO_SIZE.format(832, 480, 81)}, start_image: IMAGE?, end_image: IMAGE?"

_LATENT = "positive: CONDITIONING, negative: CONDITIONING, latent: LATENT"

_PROMPTS = "positive: CONDITIONING, negative: CONDITIONING"

GUIDE_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "LTXVImgToVideoInplace(vae: VAE, image: IMAGE, latent: LATENT, strength: FLOAT = 1.0, "
        "bypass: BOOLEAN = false) -> latent: LATENT",
        _in_place,
        "AddFrameGuide",
        _in_place_back,
    ),
    entry(
        f"LTXVAddGuide({_PROMPTS}, vae: VAE, latent: LATENT, image: IMAGE, "
        "attention_mask: MASK?, iclora_parameters: IC_LORA_PARAMETERS?, frame_idx: INT = 0, "
        f"strength: FLOAT = 1.0) -> {_LATENT}",
        _add_guide,
    ),
    entry(
        f"LTXVCropGuides({_LATENT}) -> {_LATENT}",
        _crop_guides,
        "RemoveFrameGuides",
        _crop_guides_back,
    ),
    entry(
        "GetICLoRAParameters(iclora_model: MODEL) -> iclora_parameters: IC_LORA_PARAMETERS",
        _lora_parameters,
    ),
    entry(
        f"LTXVDualCFGGuider(model: MODEL, {_PROMPTS}, video_cfg: FLOAT = 3.0, "
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
)
