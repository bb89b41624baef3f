"""Prompts of image editing models, with reference images.

There, one node encodes the prompt, scales the images and hands them on as latents; and many
models have such a node of their own. Here these are nodes that suit all: EncodeEditPrompt,
ScaleImage, VAEEncode and ReferenceLatents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodegraph.families.fibo2_captions import NULL_CAPTION
from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry
from nodegraph.interop.comfyui.table.carried_values import KEEPS_NORM
from nodegraph.interop.comfyui.table.conditioning import SYNTAX, encoder_for
from nodegraph.interop.comfyui.table.parts import CROP
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

InputSource = Signal | MadeOutput


def pictures(node: Passage, *names: str) -> list[Signal]:
    """Images that a node is given.

    Args:
        names: Of its inputs; of those that end in ``.*``, all that are there.
    """
    signals = []
    for name in names:
        if name.endswith(".*"):
            start = name[:-1]
            signals += [signal for key, signal in node.inputs.items() if key.startswith(start)]
        elif name in node.inputs:
            signals.append(node.inputs[name])
    return signals


def edit_prompt(node: Passage, text: Any, images: Sequence[InputSource]) -> MadeOutput:
    """A prompt that is read beside images, or without any."""
    if not images:
        texts = [text] if isinstance(text, Signal) else []
        encoder = encoder_for(node, *texts)
        name = node.add("EncodePrompt", encoder=encoder, text=text, **SYNTAX)
    else:
        image_input = images[0] if len(images) == 1 else listed(node, images)
        encoder = node.inputs["clip"]
        name = node.add("EncodeEditPrompt", encoder=encoder, images=image_input, text=text)
    return MadeOutput(name, "conditioning")


def listed(node: Passage, images: Sequence[InputSource]) -> InputSource:
    """Several images, or sounds, as one list."""
    made: InputSource | None = None
    remaining = list(images)
    while remaining:
        room = 8 if made is None else 7
        items, remaining = [*([made] if made else []), *remaining[:room]], remaining[room:]
        taken = {f"item_{number}": image for number, image in enumerate(items, 1)}
        made = MadeOutput(node.add("List", **taken), "output")
    assert made is not None
    return made


def scale_image(node: Passage, image: InputSource, multiple: int = 8) -> MadeOutput:
    """An image of about a million pixels, as models that edit were trained on."""
    name = node.add(
        "ScaleImage",
        image=image,
        by="megapixels",
        amount=1.0,
        method="area",
        multiple_of=multiple,
    )
    return MadeOutput(name, "image")


def encode_images(
    node: Passage, images: Sequence[InputSource], *, scale: bool = True
) -> list[MadeOutput]:
    """Latents of images."""
    vae = node.inputs["vae"]
    shown = [scale_image(node, image) if scale else image for image in images]
    made = [node.add("VAEEncode", image=picture, vae=vae, **CROP) for picture in shown]
    return [MadeOutput(name, "latent") for name in made]


def add_references(
    node: Passage, prompt: InputSource, latents: Sequence[MadeOutput]
) -> InputSource:
    """A prompt that is to make something of images."""
    for latent in latents:
        name = node.add("ReferenceLatents", conditioning=prompt, latent=latent)
        prompt = MadeOutput(name, "conditioning")
    return prompt


def _one_prompt(*images: str, model: str = "") -> Translate:
    """The way here of a node that encodes one prompt beside images.

    Args:
        images: Inputs.
        model: Of one that only this model has: what differs from its own is told.
    """

    def forward(node: Passage) -> None:
        shown = pictures(node, *images)
        prompt: InputSource = edit_prompt(node, node.inputs["prompt"], shown)
        if shown and "vae" in node.inputs:
            prompt = add_references(node, prompt, encode_images(node, shown))
        _tell(node, model)
        for name in _CONDITIONING:
            node.give(name, prompt)

    return forward


_CONDITIONING = ("CONDITIONING",)


def _tell(node: Passage, model: str) -> None:
    if model:
        node.tell(
            "nodegraph uses the prompt layout of the model family, which differs from that "
            f"of {model}"
        )


def _two_prompts(model: str, *images: str, latent: bool = True) -> Translate:
    """The way here of a node that encodes a prompt and a negative one beside images.

    Args:
        latent: Whether it gives an empty latent, too.
    """

    def forward(node: Passage) -> None:
        shown = pictures(node, *images)
        positive: InputSource = edit_prompt(node, node.inputs["prompt"], shown)
        negative = edit_prompt(node, node.inputs.get("negative_prompt", Signal("")), shown)
        latents = encode_images(node, shown) if shown and "vae" in node.inputs else []
        # A negative prompt takes the positive one's images.
        node.give("positive", add_references(node, positive, latents))
        node.give("negative", negative)
        _tell(node, model)
        if latent:
            node.give("latent", _empty(node, shown))

    return forward


def _fibo2(node: Passage) -> None:
    """The negative prompt is read without the images. An empty one is the null caption there."""
    shown = pictures(node, "images.*")
    positive: InputSource = edit_prompt(node, node.inputs["prompt"], shown)
    against = node.inputs.get("negative_prompt", Signal(""))
    is_null = not against.is_link and not against.content
    node.give("negative", edit_prompt(node, NULL_CAPTION if is_null else against, []))
    scaled = [scale_image(node, image, 16) for image in shown]
    latents = encode_images(node, scaled, scale=False) if "vae" in node.inputs else []
    node.give("positive", add_references(node, positive, latents))
    node.give("latent", _empty(node, shown))


def _joyimage(node: Passage) -> None:
    """Its models keep the norm of the positive prompt by themselves; there, CFGNorm does that."""
    shown = pictures(node, "images.*")
    prompt: InputSource = edit_prompt(node, node.inputs["prompt"], shown)
    if "vae" in node.inputs:
        scaled = [scale_image(node, image, 16) for image in shown]
        prompt = add_references(node, prompt, encode_images(node, scaled, scale=False))
    node.give("CONDITIONING", Signal(prompt, {KEEPS_NORM: True}))


def _hunyuan_video(node: Passage) -> None:
    """A prompt with the first image of a video. Here the text encoder looks at the image, by the
    file that is kept, which `postprocess` adds to its loader."""
    vision = node.inputs["clip_vision_output"].carried
    if "image" not in vision:
        raise Untranslatable("the image of its `clip_vision_output` is not known")
    if vision.get("vision_file") is None:
        node.tell("the file of its image encoder is not known: add it to LoadTextEncoder")
    node.keep(vision_file=getattr(vision.get("vision_file"), "content", vision.get("vision_file")))
    stride = node.inputs["image_interleave"]
    if stride.is_link or stride.content not in (2, 4):
        node.tell("nodegraph uses every second or fourth token of an image, as the model does")
    node.give("CONDITIONING", edit_prompt(node, node.inputs["prompt"], [vision["image"]]))


def _qwen_image_21(node: Passage) -> None:
    """The text encoder and the VAE get the same images, which the model counts alike."""
    shown = [scale_image(node, image, 32) for image in pictures(node, "images.*")]
    if shown and "vae" not in node.inputs:
        node.tell("nodegraph needs a VAE for the images of Qwen-Image 2.1 and leaves them out")
        shown = []
    sides = [
        edit_prompt(node, node.inputs.get(name, Signal("")), shown)
        for name in ("prompt", "negative_prompt")
    ]
    latents = encode_images(node, shown, scale=False) if shown else []
    for name, side in zip(("positive", "negative"), sides, strict=True):
        node.give(name, add_references(node, side, latents))
    values: dict[str, Any] = {}
    if shown:
        sized = MadeOutput(node.add("ImageSize", image=shown[-1]), "width")
        values = {"width": sized, "height": MadeOutput(sized.node, "height")}
    elif "resolution" in node.inputs:
        values = dict.fromkeys(("width", "height"), node.inputs["resolution"])
    node.give("latent", MadeOutput(node.add("EmptyLatent", **values), "latent"))


def _empty(node: Passage, shown: Sequence[InputSource]) -> MadeOutput:
    """An empty latent of the size that is said, or else of the first image's."""
    width, height = (node.inputs.get(name) for name in ("width", "height"))
    side = node.inputs.get("resolution")
    values: dict[str, Any] = {"batch_size": node.inputs.get("batch_size")}
    if _is_size(width) and _is_size(height):
        values |= {"width": width, "height": height}
    elif shown:
        sized = MadeOutput(node.add("ImageSize", image=scale_image(node, shown[0], 16)), "width")
        values |= {"width": sized, "height": MadeOutput(sized.node, "height")}
    else:
        size = side if side is not None else 1024
        values |= {"width": size, "height": size}
    return MadeOutput(node.add("EmptyLatent", **values), "latent")


def _is_size(signal: Signal | None) -> bool:
    return signal is not None and (signal.is_link or bool(signal.content))


def _moss(node: Passage) -> None:
    names = ("edit_format", "image_strength")
    node.keep(
        **{name: node.inputs[name].content for name in names if not node.inputs[name].is_link}
    )
    if node.inputs["image_strength"].content != 1:
        node.tell("nodegraph has no strength for images")
    _one_prompt("images.*", model="MOSS-Image")(node)


def _reference(node: Passage) -> None:
    if "latent" not in node.inputs:
        node.give("CONDITIONING", node.inputs["conditioning"])
        return
    taken = {name: node.inputs[name] for name in ("conditioning", "latent")}
    node.give("CONDITIONING", MadeOutput(node.add("ReferenceLatents", **taken), "conditioning"))


def _method(node: Passage) -> None:
    """What is said of the images that a prompt brings: how they are told apart, and if as still.

    Side by side is how they lie here unless something else is said.
    """
    method = node.literal("reference_latents_method")
    conditioning = node.inputs["conditioning"]
    if method not in _METHODS:
        if method != "offset":
            node.tell(f"positions of reference images are counted as usual, not by {method}")
        node.give("CONDITIONING", conditioning)
        return
    name = node.add("ReferenceLatents", conditioning=conditioning, **_METHODS[method])
    node.give("CONDITIONING", Signal(MadeOutput(name, "conditioning"), conditioning.carried))


_METHODS: Mapping[str, Mapping[str, Any]] = {
    "index": {"places": "index"},
    "index_timestep_zero": {"places": "index", "still": True},
}


def _reference_back(node: Passage) -> None:
    settings = {name: node.literal(name) for name in ("places", "still")}
    conditioning: InputSource = node.inputs["conditioning"]
    if "latent" in node.inputs:
        made = node.add("ReferenceLatent", conditioning=conditioning, latent=node.inputs["latent"])
        conditioning = MadeOutput(made, "CONDITIONING")
    if settings != _USUAL:
        changed = {name: value for name, value in settings.items() if value != _USUAL[name]}
        all_methods = {"offset": {"places": "offset"}, **_METHODS}
        method = next((name for name, says in all_methods.items() if says == changed), None)
        if method is None:
            raise Untranslatable("ComfyUI numbers reference images with timestep zero")
        there = "FluxKontextMultiReferenceLatentMethod"
        made = node.add(there, conditioning=conditioning, reference_latents_method=method)
        conditioning = MadeOutput(made, "CONDITIONING")
    node.give("conditioning", conditioning)


_USUAL: Mapping[str, Any] = {"places": "auto", "still": False}


def _edit_back(node: Passage) -> None:
    """By the node for one image there; several are a list here, whose items aren't known."""
    images = node.inputs["images"]
    if not images.is_link:
        raise Untranslatable("its images must be linked")
    name = node.add(
        "TextEncodeQwenImageEdit",
        clip=node.inputs["encoder"],
        prompt=node.inputs["text"],
        image=images,
    )
    node.give("conditioning", MadeOutput(name, "CONDITIONING"))


def _references(node: Passage) -> None:
    """Several images are appended to both prompts, and the first one's size is the latent's."""
    shown: list[InputSource] = [*pictures(node, "images.*")] if "vae" in node.inputs else []
    if node.literal("resolution") == "resize":
        megapixels = node.inputs["resolution.megapixels"]
        size = {"by": "megapixels", "amount": megapixels, "method": "area"}
        shown = [
            MadeOutput(node.add("ScaleImage", image=image, multiple_of=16, **size), "image")
            for image in shown
        ]
    latents = encode_images(node, shown, scale=False)
    positive = add_references(node, node.inputs["positive"], latents)
    node.give("positive", positive)
    negative = node.inputs.get("negative")
    node.give("negative", positive if negative is None else add_references(node, negative, latents))
    side: Any = 1024
    if not shown and node.literal("resolution") == "resize":
        side = 16 * round(1024 * float(node.literal("resolution.megapixels")) ** 0.5 / 16)
    values = {"width": side, "height": side}
    if shown:
        sized = node.add("ImageSize", image=shown[0])
        values = {name: MadeOutput(sized, name) for name in ("width", "height")}
    node.give(
        "empty_latent", MadeOutput(node.add("EmptyLatent", **values, multiple_of=16), "latent")
    )


def _hidream_references(node: Passage) -> None:
    raise Untranslatable("HiDream-O1, which takes images as pixels, is not supported")


_PROMPT = 'prompt: STRING = "" @prompt'
_NEGATIVE = 'negative_prompt: STRING = "" @prompt'
_SIZE = "width: INT = 0, height: INT = 0, batch_size: INT = 1"
_BOTH = "positive: CONDITIONING, negative: CONDITIONING"

ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "ReferenceLatent(conditioning: CONDITIONING, latent: LATENT?) -> CONDITIONING",
        _reference,
        "ReferenceLatents",
        _reference_back,
    ),
    entry(
        "ReferenceMultiLatent(positive: CONDITIONING, negative: CONDITIONING?, vae: VAE?, "
        'resolution: COMBO = "keep resolution", '
        "resolution.megapixels: FLOAT = 1.0 @when(resize), images.*: IMAGE?) "
        "-> positive: CONDITIONING, negative: CONDITIONING, empty_latent: LATENT",
        _references,
    ),
    entry(
        "FluxKontextMultiReferenceLatentMethod(conditioning: CONDITIONING, "
        'reference_latents_method: COMBO = "offset") -> CONDITIONING',
        _method,
    ),
    entry(
        f"TextEncodeQwenImageEdit(clip: CLIP, {_PROMPT}, vae: VAE?, image: IMAGE?) -> CONDITIONING",
        _one_prompt("image"),
        "EncodeEditPrompt",
        _edit_back,
    ),
    entry(
        f"TextEncodeQwenImageEditPlus(clip: CLIP, {_PROMPT}, vae: VAE?, image1: IMAGE?, "
        "image2: IMAGE?, image3: IMAGE?) -> CONDITIONING",
        _one_prompt("image1", "image2", "image3"),
    ),
    entry(
        "TextEncodeHunyuanVideo_ImageToVideo(clip: CLIP, clip_vision_output: CLIP_VISION_OUTPUT, "
        f"{_PROMPT}, image_interleave: INT = 2) -> CONDITIONING",
        _hunyuan_video,
    ),
    entry(
        f"TextEncodeJoyImageEdit(clip: CLIP, {_PROMPT}, vae: VAE?, images.*: IMAGE?)"
        " -> CONDITIONING",
        _joyimage,
    ),
    entry(
        f"TextEncodeMingImageEdit(clip: CLIP, {_PROMPT}, vae: VAE?, images.*: IMAGE?)"
        " -> CONDITIONING",
        _one_prompt("images.*", model="Ming-Image"),
    ),
    entry(
        f'TextEncodeMOSSImageEdit(clip: CLIP, {_PROMPT}, edit_format: COMBO = "Moss-Image-Edit", '
        "image_strength: FLOAT = 1.0, vae: VAE?, images.*: IMAGE?) -> CONDITIONING",
        _moss,
    ),
    entry(
        f"TextEncodeMageFlowEdit(clip: CLIP, {_PROMPT}, {_NEGATIVE}, images.*: IMAGE?, {_SIZE}, "
        f"vae: VAE?) -> {_BOTH}, latent: LATENT",
        _two_prompts("Mage-Flow", "images.*"),
    ),
    entry(
        # Its prompts are JSON, in which braces stay.
        'TextEncodeFibo2(clip: CLIP, prompt: STRING = "", negative_prompt: STRING = "", '
        f"images.*: IMAGE?, {_SIZE}, "
        f"vae: VAE?) -> {_BOTH}, latent: LATENT",
        _fibo2,
    ),
    entry(
        f"TextEncodeQwenImage21(clip: CLIP, {_PROMPT}, {_NEGATIVE}, resolution: INT = 1024, "
        f"images.*: IMAGE?, vae: VAE?) -> {_BOTH}, latent: LATENT",
        _qwen_image_21,
    ),
    entry(
        f"TextEncodeBooguEdit(clip: CLIP, {_PROMPT}, {_NEGATIVE}, vae: VAE, images.*: IMAGE?)"
        f" -> {_BOTH}",
        _two_prompts("Boogu", "images.*", latent=False),
    ),
    entry(
        f"HiDreamO1ReferenceImages({_BOTH}, images.*: IMAGE?) -> {_BOTH}",
        _hidream_references,
    ),
)
