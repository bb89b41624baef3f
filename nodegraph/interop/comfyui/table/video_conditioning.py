"""Conditioning of videos: first and last images, control videos, frame rates."""

from __future__ import annotations

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
    _tell_batch(node, "from a first image")
    if node.inputs.get("strength", Signal(1.0)).content != 1.0:
        node.tell("nodegraph keeps the first image as it is, as strength 1 does in ComfyUI")

    name = node.add(
        "ImageToVideoConditioning",
        conditioning=positive,
        vae=node.inputs["vae"],
        image=_sized(node, image),
        frames=length,
        **({} if last is None else {"last_image": _sized(node, last)}),
        **({"inpaint_model": True} if node.type == _FUN_INPAINT else {}),
        **_image_encoder(node),
    )
    node.give("positive", Signal(MadeOutput(name, "conditioning"), positive.carried))
    node.give("latent", MadeOutput(name, "latent"))


def _kandinsky5(node: Passage) -> None:
    """A video by Kandinsky 5, and the latent of its first image, which sampling keeps here."""
    _translate_images(node)
    image = node.inputs.get("start_image")
    if image is not None:
        name = node.add("VAEEncode", vae=node.inputs["vae"], image=_sized(node, image))
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


def _tell_batch(node: Passage, source: str) -> None:
    if node.inputs["batch_size"].content != 1:
        node.tell(f"nodegraph makes one video {source}, whatever `batch_size` says")


def _sized(node: Passage, picture: Signal | MadeOutput) -> Signal | MadeOutput:
    """The middle of images at the size of the video."""
    size = {name: node.inputs[name] for name in ("width", "height")}
    if isinstance(picture, Signal) and all(_is_of(node, name, picture) for name in size):
        return picture
    fitted = node.add("ResizeImage", image=picture, **size, fit="crop", method="bilinear")
    return MadeOutput(fitted, "image")


def _is_of(node: Passage, side: str, picture: Signal) -> bool:
    """Whether a side of the video is the one of some images, as the export writes it."""
    if not node.inputs[side].is_link:
        return False
    try:
        kind, inputs = node.behind(side)
    except Untranslatable:
        return False
    return kind == "ImageSize" and inputs.get("image") == picture.content


def _vace(node: Passage) -> None:
    """A video by Wan VACE: of a control video, masks and a reference image."""
    _tell_batch(node, "by Wan VACE")
    shown: dict[str, Signal | MadeOutput] = {}
    for port, name in (("video", "control_video"), ("reference", "reference_image")):
        if name in node.inputs:
            shown[port] = _sized(node, node.inputs[name])
    if "reference" in shown:
        first = node.add("ImageFromBatch", image=shown["reference"], index=0, length=1)
        shown["reference"] = MadeOutput(first, "image")
    if "control_masks" in node.inputs:
        drawn = node.add("MaskToImage", mask=node.inputs["control_masks"])
        scaled = _sized(node, MadeOutput(drawn, "image"))
        shown["mask"] = MadeOutput(node.add("MaskFromChannel", image=scaled, channel="red"), "mask")
        node.tell("a frame is kept or generated at a pixel, by a mask above a half or not")
    positive = node.inputs["positive"]
    name = node.add(
        "VaceConditioning",
        conditioning=positive,
        vae=node.inputs["vae"],
        width=node.inputs["width"],
        height=node.inputs["height"],
        frames=node.inputs["length"],
        strength=node.inputs["strength"],
        **shown,
    )
    node.give("positive", Signal(MadeOutput(name, "conditioning"), positive.carried))
    node.give("negative", node.inputs["negative"])
    node.give("latent", MadeOutput(name, "latent"))
    node.give("trim_latent", MadeOutput(name, "references"))


def _fun_control(node: Passage) -> None:
    """A video by a Fun control model of Wan 2.1."""
    if "control_video" not in node.inputs:
        raise Untranslatable("a Fun control model follows a control video, and none is linked")
    _tell_batch(node, "of a control video")
    shown = {"video": _sized(node, node.inputs["control_video"])}
    if "start_image" in node.inputs:
        shown["image"] = _sized(node, node.inputs["start_image"])
        shown |= _image_encoder(node)
    elif "clip_vision_output" in node.inputs:
        raise Untranslatable("the image encoder sees the first image, and none is linked")
    positive = node.inputs["positive"]
    name = node.add(
        "ControlVideoConditioning",
        conditioning=positive,
        vae=node.inputs["vae"],
        frames=node.inputs["length"],
        **shown,
    )
    node.give("positive", Signal(MadeOutput(name, "conditioning"), positive.carried))
    node.give("negative", node.inputs["negative"])
    node.give("latent", MadeOutput(name, "latent"))


def _tracks(node: Passage) -> None:
    """A video by the ATI model of Wan 2.1, whose points move along tracks."""
    _tell_batch(node, "from a first image")
    positive = node.inputs["positive"]
    name = node.add(
        "TrackConditioning",
        conditioning=positive,
        vae=node.inputs["vae"],
        image=_sized(node, node.inputs["start_image"]),
        tracks=node.inputs["tracks"],
        frames=node.inputs["length"],
        temperature=node.inputs["temperature"],
        top_k=node.inputs["topk"],
        **_image_encoder(node),
    )
    node.give("positive", Signal(MadeOutput(name, "conditioning"), positive.carried))
    node.give("negative", node.inputs["negative"])
    node.give("latent", MadeOutput(name, "latent"))


def _tracks_back(node: Passage) -> None:
    names = {"tracks": "tracks", "length": "frames", "temperature": "temperature", "topk": "top_k"}
    _video_back(node, "WanTrackToVideo", "image", names, {"start_image": "image"})


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
    taken: dict[str, Any] = {theirs: node.inputs[ours] for theirs, ours in values.items()}
    taken |= {theirs: node.inputs[ours] for theirs, ours in images.items() if ours in node.inputs}
    if "image_encoder" in node.inputs and "image" in node.inputs:
        seen = node.imply(
            "CLIPVisionEncode",
            clip_vision=node.inputs["image_encoder"],
            image=node.inputs["image"],
            crop="none",
        )
        taken["clip_vision_output"] = MadeOutput(seen, "CLIP_VISION_OUTPUT")
    prompt = node.inputs["conditioning"]
    name = node.add(
        there,
        positive=prompt,
        negative=prompt,
        vae=node.inputs["vae"],
        width=MadeOutput(size, "width"),
        height=MadeOutput(size, "height"),
        batch_size=1,
        **taken,
    )
    node.tell(f"put {there} between the negative prompt and its sampler, too")
    node.give("conditioning", MadeOutput(name, "positive"))
    node.give("latent", MadeOutput(name, "latent"))


def _trim(node: Passage) -> None:
    latent, start = node.inputs["samples"], node.inputs["trim_amount"]
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
        _tell_batch(node, "from a first image")
        name = node.add(
            "ImageToVideoConditioning",
            vae=node.inputs["vae"],
            image=_sized(node, node.inputs["start_image"]),
            frames=node.inputs["length"],
        )
        node.tell("the first image goes to the positive prompt of the sampler")
    node.give("LATENT", MadeOutput(name, "latent"))


def _image_encoder(node: Passage) -> dict[str, Signal | MadeOutput]:
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
        f"{_FUN_INPAINT}({_BOTH_ENDS}, clip_vision_output: CLIP_VISION_OUTPUT?) -> {_LATENT}",
        _translate_images,
    ),
    entry(
        f"WanFunControlToVideo({_VIDEO_SIZE.format(832, 480, 81)}, clip_vision_output: "
        f"CLIP_VISION_OUTPUT?, start_image: IMAGE?, control_video: IMAGE?) -> {_LATENT}",
        _fun_control,
    ),
    entry(
        f'WanTrackToVideo({_PROMPTS}, vae: VAE, tracks: STRING = "[]", width: INT = 832, '
        "height: INT = 480, length: INT = 81, batch_size: INT = 1, temperature: FLOAT = 220.0, "
        f"topk: INT = 2, start_image: IMAGE, clip_vision_output: CLIP_VISION_OUTPUT?) -> {_LATENT}",
        _tracks,
        "TrackConditioning",
        _tracks_back,
    ),
    entry(
        f"WanVaceToVideo({_VIDEO_SIZE.format(832, 480, 81)}, strength: FLOAT = 1.0, "
        "control_video: IMAGE?, control_masks: MASK?, reference_image: IMAGE?) -> "
        f"{_LATENT}, trim_latent: INT",
        _vace,
    ),
    entry(
        "Wan22ImageToVideoLatent(vae: VAE, width: INT = 1280, height: INT = 704, "
        "length: INT = 49, batch_size: INT = 1, start_image: IMAGE?) -> LATENT",
        _first_frame_latent,
    ),
    entry("TrimVideoLatent(samples: LATENT, trim_amount: INT = 0) -> LATENT", _trim),
    entry(
        f"HunyuanVideo15ImageToVideo({_BEGINNING.format(848, 480, 33)}) -> {_LATENT}",
        _translate_images,
    ),
    entry(
        f"Kandinsky5ImageToVideo({_VIDEO_SIZE.format(768, 512, 121)}, start_image: IMAGE?) -> "
        f"{_LATENT}, cond_latent: LATENT",
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
