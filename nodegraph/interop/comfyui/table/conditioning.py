"""Text prompts and conditioning."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nodegraph.errors import NodegraphError
from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry, same
from nodegraph.interop.comfyui.foreign_workflow import DrawnText
from nodegraph.interop.comfyui.table.carried_values import ENCODER, only_back, refuse_unsupported
from nodegraph.interop.comfyui.table.hooks import give_prompt
from nodegraph.interop.comfyui.table.parts import CROP
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable
from nodegraph.sampling import comfyui_prompts, wildcards

SYNTAX = {"syntax": "comfyui"}
_EMBEDDING = re.compile(r"embedding:([^\s,:()\[\]]+)")
_NO_WEIGHT = re.compile(r"embedding:[^\s,:()\[\]]+:\d*\.?\d+(?![\d.]|\s*\))")
"""What looks like an embedding with a weight, and is without brackets."""


def encoder_for(node: Passage, *texts: Signal) -> Signal | MadeOutput:
    """The text encoder, taught the textual inversions that texts name."""
    encoder: Signal | MadeOutput = node.inputs["clip"]
    written = " ".join(text.content for text in texts if isinstance(text.content, str))
    for word in dict.fromkeys(_NO_WEIGHT.findall(written)):
        node.tell(
            f"ComfyUI takes all of `{word}` as a file name, and drops it if there is no such "
            f"file; nodegraph reads a word and its weight: write ({word})"
        )
    for name in dict.fromkeys(_EMBEDDING.findall(written)):
        made = node.add(
            "LoadTextualInversion",
            text_encoder=encoder,
            embedding=name.replace("\\", "/"),
            token=f"embedding:{name}",
        )
        encoder = MadeOutput(made, "text_encoder")
    return encoder


def encode_prompt(node: Passage, markup: Mapping[str, str] = SYNTAX) -> None:
    """The way here of a prompt, which is read as the markup says."""
    text = node.inputs["text"]
    name = node.add("EncodePrompt", encoder=encoder_for(node, text), text=text, **markup)
    give_prompt(node, "CONDITIONING", MadeOutput(name, "conditioning"))


def _prompt_back(node: Passage) -> None:
    syntax = node.inputs.get("syntax")
    if syntax is None or syntax.content != "comfyui":
        text = node.inputs["text"].content
        if not isinstance(text, str) or any(sign in text for sign in "[]|()\\"):
            node.tell("ComfyUI reads brackets, weights and AND in prompts in its own way")
    name = node.add("CLIPTextEncode", clip=node.inputs["encoder"], text=node.inputs["text"])
    made = MadeOutput(name, "CONDITIONING")
    node.give("conditioning", Signal(made, {ENCODER: node.inputs["encoder"]}))


def _random_prompt_back(node: Passage) -> None:
    """ComfyUI's page draws where a prompt stands, and has no node for it."""
    text, seed = node.inputs["text"], node.inputs["seed"]
    if text.is_link or seed.is_link:
        raise Untranslatable(
            "the page of ComfyUI draws only from written prompts, and without a seed"
        )
    try:
        if node.inputs["syntax"].content == "comfyui":
            prompt, drawn = (
                str(text.content),
                comfyui_prompts.draw_prompt(text.content, seed.content),
            )
        else:
            prompt = _prompt_of(wildcards.parse_choices(text.content))
            drawn = wildcards.draw_prompt(text.content, seed.content, lambda name: ())
    except NodegraphError as error:
        raise Untranslatable(error.problem.message) from None
    node.tell(
        "the page of ComfyUI draws again at each run, without a seed; the file for its "
        f"server contains the prompt drawn with seed {seed.content}"
    )
    node.give("text", Signal(DrawnText(drawn, prompt)))


_MOST_REPEATED = 100
_AT_SIGNS = re.compile(r"\\(?:[{}|]|\Z)")


def _prompt_of(pieces: Sequence[wildcards.Drawn], *, inside: bool = False) -> str:
    """The prompt of ComfyUI's page that draws what a native one does."""
    parts = []
    for piece in pieces:
        if isinstance(piece, wildcards.Wildcard):
            raise Untranslatable(
                f"the page of ComfyUI cannot draw from files, for example `{piece.name}`"
            )
        if isinstance(piece, str):
            if _AT_SIGNS.search(piece):
                raise Untranslatable(
                    "the page of ComfyUI treats a backslash before a brace as its own markup"
                )
            text = comfyui_prompts.escaped_prompt(piece)
            parts.append(text.replace("|", "\\|") if inside else text)
            continue
        if piece.low != 1 or piece.high != 1:
            raise Untranslatable("the page of ComfyUI draws exactly one option of a choice")
        counts = [int(weight) for weight in piece.weights]
        if counts != list(piece.weights) or sum(counts) > _MOST_REPEATED:
            raise Untranslatable("the page of ComfyUI has no weights")
        options = [_prompt_of(option, inside=True) for option in piece.options]
        weighted = zip(options, counts, strict=True)
        repeated = [option for option, count in weighted for _ in range(count)]
        parts.append("{" + "|".join(repeated) + "}")
    return "".join(parts)


def _sizes(node: Passage, made: MadeOutput, **names: str) -> MadeOutput:
    """A prompt of Stable Diffusion XL with sizes; those of 0 mean what is sampled here."""
    taken = {our: node.inputs[their] for our, their in names.items()}
    return MadeOutput(node.add("SizeConditioning", conditioning=made, **taken), "conditioning")


def _apart(node: Passage, **names: str) -> MadeOutput:
    taken = {our: node.inputs[their] for our, their in names.items()}
    encoder = encoder_for(node, *taken.values())
    made = node.add("EncodePromptApart", encoder=encoder, **taken, **SYNTAX)
    return MadeOutput(made, "conditioning")


def _sdxl(node: Passage) -> None:
    made = _apart(node, clip_g="text_g", clip_l="text_l")
    sized = _sizes(
        node,
        made,
        original_width="width",
        original_height="height",
        crop_left="crop_w",
        crop_top="crop_h",
        target_width="target_width",
        target_height="target_height",
    )
    give_prompt(node, "CONDITIONING", sized)


def _refiner(node: Passage) -> None:
    text = node.inputs["text"]
    made = node.add("EncodePrompt", encoder=encoder_for(node, text), text=text, **SYNTAX)
    prompt = MadeOutput(made, "conditioning")
    names = {"original_width": "width", "original_height": "height", "score": "ascore"}
    give_prompt(node, "CONDITIONING", _sizes(node, prompt, **names))


def _flux(node: Passage) -> None:
    made = _apart(node, clip_l="clip_l", t5="t5xxl")
    guidance = node.inputs["guidance"]
    name = node.add("GuidanceConditioning", conditioning=made, guidance=guidance)
    give_prompt(node, "CONDITIONING", MadeOutput(name, "conditioning"))


def _sd3(node: Passage) -> None:
    texts = {name: node.inputs[name].content for name in ("clip_l", "clip_g", "t5xxl")}
    if node.literal("empty_padding") == "none" and "" in texts.values():
        node.tell("nodegraph uses the empty prompt for encoders without a text")
    made = _apart(node, clip_l="clip_l", clip_g="clip_g", t5="t5xxl")
    give_prompt(node, "CONDITIONING", made)


def _hidream(node: Passage) -> None:
    made = _apart(node, clip_l="clip_l", clip_g="clip_g", t5="t5xxl", llama="llama")
    give_prompt(node, "CONDITIONING", made)


def _kandinsky5(node: Passage) -> None:
    give_prompt(node, "CONDITIONING", _apart(node, clip_l="clip_l", qwen="qwen25_7b"))


_THEIR_READERS = {"t5": "t5xxl", "qwen": "qwen25_7b"}
"""What inputs of nodes there are called, where that is another name."""
_READERS: Mapping[tuple[str, ...], tuple[str, Mapping[str, Any]]] = {
    ("clip_g", "clip_l", "t5"): ("CLIPTextEncodeSD3", {"empty_padding": "empty_prompt"}),
    ("clip_g", "clip_l"): ("CLIPTextEncodeSD3", {"t5xxl": "", "empty_padding": "none"}),
    ("clip_l", "t5"): ("CLIPTextEncodeFlux", {"guidance": 3.5}),
    ("clip_l", "qwen"): ("CLIPTextEncodeKandinsky5", {}),
}


def _apart_back(node: Passage) -> None:
    readers = ("clip_g", "clip_l", "t5", "llama", "qwen")
    names = tuple(name for name in readers if _is_said(node, name))
    if names not in _READERS:
        raise Untranslatable("ComfyUI has no node that takes exactly these texts")
    there, extra = _READERS[names]
    taken = {_THEIR_READERS.get(name, name): node.inputs[name] for name in names}
    name = node.add(there, clip=node.inputs["encoder"], **taken, **extra)
    node.give("conditioning", MadeOutput(name, "CONDITIONING"))


def _is_said(node: Passage, name: str) -> bool:
    return name in node.inputs and node.inputs[name].content is not None


def _system_prompt(node: Passage) -> None:
    text = node.inputs["user_prompt"]
    node.keep(system_prompt=node.inputs["system_prompt"].content)
    node.tell("nodegraph puts the model's own system prompt before the prompt")
    name = node.add("EncodePrompt", encoder=node.inputs["clip"], text=text, **SYNTAX)
    give_prompt(node, "CONDITIONING", MadeOutput(name, "conditioning"))


def _clip_skip(node: Passage) -> None:
    skip = -int(node.literal("stop_at_clip_layer"))
    name = node.add("ClipSkip", encoder=node.inputs["clip"], skip=skip)
    node.give("CLIP", MadeOutput(name, "text_encoder"))


def _clip_skip_back(node: Passage) -> None:
    last = -int(node.literal("skip"))
    name = node.add("CLIPSetLastLayer", clip=node.inputs["encoder"], stop_at_clip_layer=last)
    node.give("text_encoder", MadeOutput(name, "CLIP"))


def _average(node: Passage) -> None:
    """There, the share is that of the first; here, that of the second."""
    share = 1.0 - float(node.literal("conditioning_to_strength"))
    name = node.add(
        "AverageConditioning",
        first=node.inputs["conditioning_to"],
        second=node.inputs["conditioning_from"],
        share=round(share, 6),
    )
    node.give("CONDITIONING", MadeOutput(name, "conditioning"))


def _average_back(node: Passage) -> None:
    refuse_unsupported(node, "first", "second", "share")
    name = node.add(
        "ConditioningAverage",
        conditioning_to=node.inputs["first"],
        conditioning_from=node.inputs["second"],
        conditioning_to_strength=round(1.0 - float(node.literal("share")), 6),
    )
    node.give("conditioning", MadeOutput(name, "CONDITIONING"))


def _combine_back(node: Passage) -> None:
    made: Signal | MadeOutput = node.inputs["first"]
    for port in ("second", "third", "fourth"):
        if _is_said(node, port):
            pair = {"conditioning_1": made, "conditioning_2": node.inputs[port]}
            made = MadeOutput(node.add("ConditioningCombine", **pair), "CONDITIONING")
    node.give("conditioning", made)


_CELL = 8
"""Pixels of a cell, of which areas are made up there."""
_FADE = 8.0 * _CELL
"""Pixels over which an area fades in from its edges there."""


def _area(node: Passage) -> None:
    """A rectangle in pixels, which there is one of whole cells that fades in."""
    names = ("x", "y", "width", "height")
    taken = {
        name: signal
        if signal.is_link or signal.content % _CELL == 0
        else int(signal.content) // _CELL * _CELL
        for name, signal in ((name, node.inputs[name]) for name in names)
    }
    _placed(node, **taken, unit="pixels")


def _area_of_shares(node: Passage) -> None:
    names = ("x", "y", "width", "height")
    _placed(node, **{name: node.inputs[name] for name in names}, unit="shares")


def _placed(node: Passage, **taken: Any) -> None:
    """A part of the latent that is sampled alone, and fades in."""
    prompt = node.inputs["conditioning"]
    alone = {"feather": _FADE, "sampled": "area"}
    name = node.add("AreaConditioning", conditioning=prompt, **taken, **alone)
    node.give("CONDITIONING", _strong(node, MadeOutput(name, "conditioning")))


def _strong(node: Passage, made: MadeOutput) -> MadeOutput:
    """A prompt with its strength, where that is said."""
    strength = node.inputs["strength"]
    if strength.content == 1:
        return made
    name = node.add("StrengthConditioning", conditioning=made, strength=strength)
    return MadeOutput(name, "conditioning")


def _area_back(node: Passage) -> None:
    pixels = node.literal("unit") == "pixels"
    is_alone = node.literal("sampled") == "area"
    fades = (pixels or is_alone) and node.inputs["feather"].content == _FADE
    sides = ("conditioning", "x", "y", "width", "height", "unit", "sampled")
    refuse_unsupported(node, *sides, *(["feather"] if fades else ()))
    if not fades:
        node.tell("ComfyUI fades an area in over 8 cells of the latent")
    if not is_alone:
        node.tell("ComfyUI shows the model only the area; in nodegraph it sees the whole image")
    names = ("conditioning", "x", "y", "width", "height")
    taken: dict[str, Any] = {name: node.inputs[name] for name in names}
    if pixels:
        taken |= {name: int(node.literal(name)) for name in names[1:]}
    there = "ConditioningSetArea" if pixels else "ConditioningSetAreaPercentage"
    name = node.add(there, **taken, strength=1.0)
    node.give("conditioning", MadeOutput(name, "CONDITIONING"))


def _mask(node: Passage) -> None:
    if node.literal("set_cond_area") != "default":
        node.tell("the mask's bounds do not define an area in nodegraph: only the mask counts")
    mask = node.inputs["mask"]
    name = node.add("MaskConditioning", conditioning=node.inputs["conditioning"], mask=mask)
    node.keep(set_cond_area=node.inputs["set_cond_area"].content)
    node.give("CONDITIONING", _strong(node, MadeOutput(name, "conditioning")))


def _mask_back(node: Passage) -> None:
    name = node.add(
        "ConditioningSetMask",
        conditioning=node.inputs["conditioning"],
        mask=node.inputs["mask"],
        strength=1.0,
        set_cond_area=node.kept.get("set_cond_area", "default"),
    )
    node.give("conditioning", MadeOutput(name, "CONDITIONING"))


def _inpaint(node: Passage) -> None:
    """Both prompts are shown the image; here the positive one is, which the other takes over."""
    names = {"vae": "vae", "image": "pixels", "mask": "mask"}
    taken = {our: node.inputs[their] for our, their in names.items()}
    name = node.add("InpaintConditioning", conditioning=node.inputs["positive"], **taken, **CROP)
    latent = MadeOutput(name, "latent")
    if not node.literal("noise_mask"):
        latent = MadeOutput(node.add("ClearNoiseMask", latent=latent), "latent")
    _both(node, name, latent)


def _both(node: Passage, name: str, latent: MadeOutput) -> None:
    positive = MadeOutput(name, "conditioning")
    node.give("positive", Signal(positive, node.inputs["positive"].carried))
    node.give("negative", node.inputs["negative"])
    node.give("latent", latent)


def _instruct(node: Passage) -> None:
    name = node.add(
        "ImageConditioning",
        conditioning=node.inputs["positive"],
        vae=node.inputs["vae"],
        image=node.inputs["pixels"],
        **CROP,
    )
    _both(node, name, MadeOutput(name, "latent"))


def _beside_back(there: str, *names: str) -> Translate:
    """The way back of an image beside prompts: there it is put beside a negative prompt, too."""

    def backward(node: Passage) -> None:
        positive = node.inputs["conditioning"]
        taken: dict[str, Any] = {name: node.inputs[name] for name in names}
        taken["pixels"] = taken.pop("image")
        if there == "InpaintModelConditioning":
            taken["noise_mask"] = True
        node.tell(f"put {there} between the negative prompt and its sampler, too")
        name = node.add(there, positive=positive, negative=positive, **taken)
        node.give("conditioning", MadeOutput(name, "positive"))
        node.give("latent", MadeOutput(name, "latent"))

    return backward


def _lotus(node: Passage) -> None:
    """A prompt that comes along there: the empty one, as Stable Diffusion 2 reads it."""
    encoder = node.add("LoadTextEncoder", family="sd2", file="clip_h.safetensors")
    node.tell(
        "Lotus uses the empty prompt: choose a file of CLIP-H, the encoder of Stable Diffusion 2"
    )
    name = node.add("EncodePrompt", encoder=MadeOutput(encoder, "text_encoder"), text="")
    node.give("conditioning", MadeOutput(name, "conditioning"))


_COND = "conditioning: CONDITIONING"
_PIXELS = "positive: CONDITIONING, negative: CONDITIONING, vae: VAE, pixels: IMAGE"
_LATENT = "positive: CONDITIONING, negative: CONDITIONING, latent: LATENT"

_PROMPTS = (
    entry(
        'CLIPTextEncode(text: STRING = "" @prompt, clip: CLIP) -> CONDITIONING',
        encode_prompt,
        "EncodePrompt",
        _prompt_back,
    ),
    only_back("RandomPrompt", _random_prompt_back),
    entry(
        "CLIPTextEncodeSDXL(clip: CLIP, width: INT = 1024, height: INT = 1024, crop_w: INT = 0, "
        "crop_h: INT = 0, target_width: INT = 1024, target_height: INT = 1024, "
        'text_g: STRING = "" @prompt, text_l: STRING = "" @prompt) -> CONDITIONING',
        _sdxl,
    ),
    entry(
        "CLIPTextEncodeSDXLRefiner(ascore: FLOAT = 6.0, width: INT = 1024, height: INT = 1024, "
        'text: STRING = "" @prompt, clip: CLIP) -> CONDITIONING',
        _refiner,
    ),
    entry(
        'CLIPTextEncodeFlux(clip: CLIP, clip_l: STRING = "" @prompt, t5xxl: STRING = "" @prompt, '
        "guidance: FLOAT = 3.5) -> CONDITIONING",
        _flux,
        "EncodePromptApart",
        _apart_back,
    ),
    entry(
        'CLIPTextEncodeSD3(clip: CLIP, clip_l: STRING = "" @prompt, clip_g: STRING = "" @prompt, '
        't5xxl: STRING = "" @prompt, empty_padding: COMBO = "none") -> CONDITIONING',
        _sd3,
    ),
    entry(
        'CLIPTextEncodeHiDream(clip: CLIP, clip_l: STRING = "" @prompt, '
        'clip_g: STRING = "" @prompt, t5xxl: STRING = "" @prompt, llama: STRING = "" @prompt)'
        " -> CONDITIONING",
        _hidream,
    ),
    entry(
        'CLIPTextEncodeKandinsky5(clip: CLIP, clip_l: STRING = "" @prompt, '
        'qwen25_7b: STRING = "" @prompt) -> CONDITIONING',
        _kandinsky5,
    ),
    entry(
        "CLIPTextEncodePixArtAlpha(width: INT = 1024, height: INT = 1024, "
        'text: STRING = "" @prompt, clip: CLIP) -> CONDITIONING',
        encode_prompt,
    ),
    entry(
        'CLIPTextEncodeLumina2(system_prompt: COMBO = "superior", '
        'user_prompt: STRING = "" @prompt, clip: CLIP) -> CONDITIONING',
        _system_prompt,
    ),
    entry(
        "CLIPSetLastLayer(clip: CLIP, stop_at_clip_layer: INT = -1) -> CLIP",
        _clip_skip,
        "ClipSkip",
        _clip_skip_back,
    ),
)

_CHANGED = (
    same(
        f"FluxGuidance({_COND}, guidance: FLOAT = 3.5) -> CONDITIONING",
        "GuidanceConditioning",
    ),
    same(f"ConditioningZeroOut({_COND}) -> CONDITIONING", "ZeroOutConditioning"),
    same(
        'ConditioningLoader(conditioning_name: COMBO = "") -> CONDITIONING',
        "LoadConditioning",
        {"conditioning_name": "conditioning"},
    ),
    entry(
        "ConditioningCombine(conditioning_1: CONDITIONING, conditioning_2: CONDITIONING)"
        " -> CONDITIONING",
        same(
            "ConditioningCombine(conditioning_1: CONDITIONING, conditioning_2: CONDITIONING)"
            " -> CONDITIONING",
            "CombineConditioning",
            {"conditioning_1": "first", "conditioning_2": "second"},
        ).forward,
        "CombineConditioning",
        _combine_back,
    ),
    same(
        "ConditioningConcat(conditioning_to: CONDITIONING, conditioning_from: CONDITIONING)"
        " -> CONDITIONING",
        "ConcatenateConditioning",
        {"conditioning_to": "first", "conditioning_from": "second"},
    ),
    entry(
        "ConditioningAverage(conditioning_to: CONDITIONING, conditioning_from: CONDITIONING, "
        "conditioning_to_strength: FLOAT = 1.0) -> CONDITIONING",
        _average,
        "AverageConditioning",
        _average_back,
    ),
    entry(
        f"ConditioningSetArea({_COND}, width: INT = 64, height: INT = 64, x: INT = 0, y: INT = 0, "
        "strength: FLOAT = 1.0) -> CONDITIONING",
        _area,
        "AreaConditioning",
        _area_back,
    ),
    entry(
        f"ConditioningSetAreaPercentage({_COND}, width: FLOAT = 1.0, height: FLOAT = 1.0, "
        "x: FLOAT = 0.0, y: FLOAT = 0.0, strength: FLOAT = 1.0) -> CONDITIONING",
        _area_of_shares,
    ),
    same(
        f"ConditioningSetAreaStrength({_COND}, strength: FLOAT = 1.0) -> CONDITIONING",
        "StrengthConditioning",
    ),
    entry(
        f"ConditioningSetMask({_COND}, mask: MASK, strength: FLOAT = 1.0, "
        'set_cond_area: COMBO = "default") -> CONDITIONING',
        _mask,
        "MaskConditioning",
        _mask_back,
    ),
    same(
        f"ConditioningSetTimestepRange({_COND}, start: FLOAT = 0.0, end: FLOAT = 1.0)"
        " -> CONDITIONING",
        "SpanConditioning",
    ),
)

_PICTURES = (
    entry("LotusConditioning() -> conditioning: CONDITIONING", _lotus),
    entry(
        f"InpaintModelConditioning({_PIXELS}, mask: MASK, noise_mask: BOOLEAN = true) -> {_LATENT}",
        _inpaint,
        "InpaintConditioning",
        _beside_back("InpaintModelConditioning", "vae", "image", "mask"),
    ),
    entry(
        f"InstructPixToPixConditioning({_PIXELS}) -> {_LATENT}",
        _instruct,
        "ImageConditioning",
        _beside_back("InstructPixToPixConditioning", "vae", "image"),
    ),
)

ENTRIES: tuple[TableEntry, ...] = (*_PROMPTS, *_CHANGED, *_PICTURES)
