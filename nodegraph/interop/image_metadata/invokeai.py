"""Images of InvokeAI: ``invokeai_metadata``, and what its first two versions wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nodegraph.interop.image_metadata.generation import (
    MAX_SEED,
    MAX_SIDE,
    MAX_STEPS,
    ControlUnit,
    Fields,
    Generation,
    HiresPass,
    ModelReference,
    Refiner,
    escape_markup,
    escape_words,
    parse_hashes,
    read_size,
    shorten,
    to_number,
)
from nodegraph.interop.image_metadata.sampler_names import read_sampler

_FLOW_BASES = ("flux", "sd-3", "cogview4", "z-image", "qwen-image")


def read_invokeai(values: Mapping[str, Any]) -> Generation:
    """Return the settings of InvokeAI from version 3 on."""
    generation = Generation("InvokeAI")
    fields = Fields(values, generation)
    generation.prompt = fields.text("positive_prompt")
    generation.negative = fields.text("negative_prompt")
    _read_style(generation, fields)
    model = fields.get("model")
    base = str(model.get("base") or model.get("base_model")) if isinstance(model, dict) else ""
    if not base.startswith(_FLOW_BASES):
        _convert_prompts(generation)
    generation.seed = fields.integer(0, MAX_SEED, "seed")
    generation.steps = fields.integer(1, MAX_STEPS, "steps", "num_steps")
    scale = fields.number(0, 100, "cfg_scale")
    generation.guidance = fields.number(0, 100, "guidance")
    generation.cfg = 1.0 if scale is None and generation.guidance is not None else scale
    _read_scheduler(generation, fields, is_flow=base.startswith(_FLOW_BASES))
    skipped = fields.integer(0, 23, "clip_skip")
    generation.clip_skip = skipped + 1 if skipped else None
    read_size(generation, *(fields.integer(1, 10**6, name) for name in ("width", "height")))
    generation.model = _model(model)
    generation.vae = _model(fields.get("vae"))
    for lora in fields.items("loras"):
        if isinstance(lora, dict):
            weight = to_number(lora.get("weight"))
            reference = _model(lora.get("model") or lora.get("lora"))
            if reference:
                generation.add_lora(reference, 1.0 if weight is None else weight)
    generation.hires = _hires(generation, fields)
    _report(generation, fields)
    return generation


def _model(value: object) -> ModelReference:
    """A model's identifier: its name, and its hash, which is BLAKE3 of the file."""
    if isinstance(value, str):
        return ModelReference(value)
    if not isinstance(value, dict):
        return ModelReference()
    names = (value.get("name"), value.get("model_name"))
    name = next((name for name in names if isinstance(name, str) and name), "")
    digest = value.get("hash")
    is_known = isinstance(digest, str) and not digest.startswith("random:")
    return ModelReference(name, parse_hashes(digest) if is_known else ())


def _read_style(generation: Generation, fields: Fields) -> None:
    """The style prompts of SDXL, which InvokeAI appends for one of the two encoders."""
    for name, prompt in (
        ("positive_style_prompt", generation.prompt),
        ("negative_style_prompt", generation.negative),
    ):
        style = fields.text(name)
        if style and style != prompt:
            generation.report(
                f"The style prompt `{shorten(style)}` is left out: EncodePromptApart encodes "
                "separate texts."
            )


def _read_scheduler(generation: Generation, fields: Fields, *, is_flow: bool) -> None:
    name = fields.text("scheduler")
    generation.sampler, schedule = read_sampler(generation, name)
    if not generation.sampler and is_flow:
        generation.sampler = "euler"
    if generation.sampler:
        # "normal" takes the spacing of the model's own scheduler file, as InvokeAI does.
        generation.schedule = schedule or "normal"


def _image_name(value: object) -> str:
    """The file name of an image of InvokeAI's gallery."""
    name = value.get("image_name") if isinstance(value, dict) else value
    return name if isinstance(name, str) else ""


def _read_controls(generation: Generation, fields: Fields) -> None:
    """ControlNets of versions 3 and 4; their images were processed before."""
    for control in fields.items("controlnets"):
        if not isinstance(control, dict):
            continue
        values = Fields(control, generation)
        weights = values.items("control_weight")
        weight = to_number(weights[0]) if weights else None
        start = values.number(0, 1, "begin_step_percent")
        end = values.number(0, 1, "end_step_percent")
        image = values.get("processed_image", "image")
        generation.add_control(
            ControlUnit(
                _model(values.get("control_model")),
                weight=1.0 if weight is None else min(10.0, max(0.0, weight)),
                start=start or 0.0,
                end=1.0 if end is None else end,
                image=_image_name(image),
            )
        )


def _hires(generation: Generation, fields: Fields) -> HiresPass | None:
    """The high resolution fix of versions 3 and 4."""
    strength = fields.number(0, 1, "hrf_strength")
    method = fields.text("hrf_method")
    sides = [fields.integer(8, MAX_SIDE, name) for name in ("hrf_width", "hrf_height")]
    if not fields.flag("hrf_enabled"):
        return None
    hires = HiresPass("Latent" if method in ("", "bilinear") else method, steps_are_share=True)
    hires.denoise = 0.45 if strength is None else strength
    width, height = sides
    if width and height and generation.width and generation.height:
        # The size in the metadata is that of the result.
        hires.width, hires.height = generation.width, generation.height
        read_size(generation, width, height)
    else:
        hires.scale = 2.0
    return hires


def _report(generation: Generation, fields: Fields) -> None:
    mode = fields.text("generation_mode")
    if mode and not mode.endswith("txt2img"):
        is_masked = mode.endswith(("inpaint", "outpaint"))
        strength = fields.get("strength", "denoising_strength")
        start = fields.number(0, 1, "denoising_start")
        if strength is None and start is not None:
            strength = round(1 - start, 4)
        name = _image_name(fields.get("init_image"))
        generation.add_source_image(strength, name=name, is_masked=is_masked)
    _read_controls(generation, fields)
    if fields.number(0, 1, "cfg_rescale_multiplier"):
        generation.report("The guidance was rescaled: RescaleGuidance does that.")
    if fields.text("rand_device") not in ("", "cpu"):
        generation.report(
            "The noise was drawn on the GPU, and nodegraph draws it on the CPU: the same seed then "
            "gives another image."
        )
    for name, title in (
        ("ipAdapters", "IP-Adapter"),
        ("t2iAdapters", "T2I-Adapter"),
        ("controlLoras", "Control LoRA"),
        ("regions", "Regional guidance"),
        ("ref_images", "Reference images"),
        ("canvas_v2_metadata", "The canvas with its layers"),
    ):
        if fields.get(name):
            generation.report(f"{title} of InvokeAI is left out.")
    refiner = _model(fields.get("refiner_model"))
    switch = fields.number(0, 1, "refiner_start")
    if refiner and switch != 1:
        generation.refiner = Refiner(refiner, 0.8 if switch is None else switch)
    if fields.flag("seamless_x") or fields.flag("seamless_y"):
        generation.report("Seamless tiling has no counterpart.")
    fields.skip_prefix("refiner_", "seamless_", "upscale_", "canvas_")
    fields.skip("app_version", "init_image", "strength", "style_preset", "dypeScale")
    for name in ("t5_encoder", "clip_embed_model", "qwen3_encoder", "mistral_encoder"):
        model = _model(fields.get(name))
        if model:
            generation.modules = (*generation.modules, model.name)
    if fields.get("upscale_model"):
        generation.report("The image was upscaled with a model. That is left out.")
    fields.report_unread()


def read_sd_metadata(values: Mapping[str, Any]) -> Generation:
    """Return the settings of InvokeAI 2, ``sd-metadata``."""
    generation = Generation("InvokeAI")
    image = values.get("image")
    fields = Fields(image if isinstance(image, dict) else {}, generation)
    prompts = fields.items("prompt")
    parts = [item.get("prompt") if isinstance(item, dict) else item for item in prompts if item]
    text = " ".join(part for part in parts if isinstance(part, str))
    _read_old_prompt(generation, Fields({"prompt": text}, generation).text("prompt"))
    generation.seed = fields.integer(0, MAX_SEED, "seed")
    generation.steps = fields.integer(1, MAX_STEPS, "steps")
    generation.cfg = fields.number(0, 100, "cfg_scale")
    _read_old_sampler(generation, fields.text("sampler"))
    read_size(generation, *(fields.integer(1, 10**6, name) for name in ("width", "height")))
    more = Fields(values, generation)
    generation.model = ModelReference(
        more.text("model_weights"), parse_hashes(more.text("model_hash"))
    )
    more.skip("image", "model", "model_id", "app_id", "app_version")
    if fields.text("type") not in ("", "txt2img"):
        name = fields.text("init_image_path", "initimg").replace("\\", "/").rpartition("/")[2]
        is_masked = fields.get("mask_image_path", "mask") is not None
        generation.add_source_image(fields.get("strength"), name=name, is_masked=is_masked)
    fields.skip("threshold", "perlin", "seamless", "hires_fix", "postprocessing", "variations")
    fields.report_unread()
    return generation


_DREAM = re.compile(r'^\s*"((?:[^"\\]|\\.)*)"(.*)$', re.DOTALL)
_SWITCHES: Mapping[str, str] = {
    "s": "steps", "S": "seed", "W": "width", "H": "height", "C": "cfg_scale", "A": "sampler"
}  # fmt: skip


def read_dream(text: str) -> Generation:
    """Return the settings of InvokeAI 1: the command line ``"a cat" -s 50 -S 1 …``."""
    generation = Generation("InvokeAI")
    match = _DREAM.match(text)
    prompt, switches = (match[1], match[2]) if match else (text, "")
    _read_old_prompt(generation, Fields({"prompt": prompt}, generation).text("prompt"))
    pairs = re.findall(r"\s-(\w)\s*([^\s-]\S*)", switches)
    fields = Fields({_SWITCHES.get(name, f"-{name}"): value for name, value in pairs}, generation)
    generation.seed = fields.integer(0, MAX_SEED, "seed")
    generation.steps = fields.integer(1, MAX_STEPS, "steps")
    generation.cfg = fields.number(0, 100, "cfg_scale")
    _read_old_sampler(generation, fields.text("sampler"))
    read_size(generation, *(fields.integer(1, 10**6, name) for name in ("width", "height")))
    fields.report_unread()
    return generation


def _read_old_sampler(generation: Generation, name: str) -> None:
    generation.sampler, schedule = read_sampler(generation, name)
    if generation.sampler:
        generation.schedule = schedule or "normal"


def _read_old_prompt(generation: Generation, prompt: str) -> None:
    """A prompt whose square brackets hold the negative one."""
    negatives = re.findall(r"\[([^\[\]]*)\]", prompt)
    generation.prompt = " ".join(re.sub(r"\[[^\[\]]*\]", " ", prompt).split())
    generation.negative = ", ".join(text.strip() for text in negatives if text.strip())
    _convert_prompts(generation)


def _convert_prompts(generation: Generation) -> None:
    """Convert the weights, for models that read any."""
    generation.encoded_prompt, generation.encoded_negative = (
        _convert(generation, text) for text in (generation.prompt, generation.negative)
    )


def _convert(generation: Generation, prompt: str) -> str:
    if re.search(r"\)\s*\.(?:and|blend|swap)\s*\(", prompt) or ".swap(" in prompt:
        generation.report(
            "`.and()`, `.blend()` and `.swap()` of InvokeAI's prompts are plain text here: use "
            "AND, or nodes for conditioning."
        )
    return convert_compel(prompt)


_STRENGTH = re.compile(r"(\++|-+|[0-9]{0,3}\.[0-9]{1,4}|[0-9]{1,3}(?![0-9.]))")
_WORD = re.compile(r"([^\s()\\,]+)(?=[\s,)]|$)")
_MAX_DEPTH = 20


def convert_compel(prompt: str) -> str:
    """Return a prompt of InvokeAI's in the syntax of `EncodePrompt`.

    ``word+`` weighs 1.1 there, ``word-`` 0.9, and ``(some words)1.3`` has a number. Square brackets
    are plain text.
    """
    text, _ = _group(prompt, 0, 0)
    return escape_words(text)


def _group(prompt: str, at: int, depth: int) -> tuple[str, int]:
    """The text up to the bracket that closes a group, and where that is."""
    parts: list[str] = []
    while at < len(prompt):
        sign = prompt[at]
        if sign == ")" and depth:
            return "".join(parts), at
        is_start = not parts or parts[-1][-1:] in (" ", ",", "\n")
        word = _weighted_word(prompt, at) if is_start else ""
        if sign == "\\" and at + 1 < len(prompt):
            parts.append(_plain(prompt[at + 1]))
            at += 2
        elif sign == "(" and depth < _MAX_DEPTH:
            inner, end = _group(prompt, at + 1, depth + 1)
            if end >= len(prompt):  # a bracket without its partner
                parts.append(r"\(")
                parts.append(inner)
                return "".join(parts), end
            if not inner.strip():
                parts.append(escape_markup(f"({inner})"))
                at = end + 1
                continue
            weight, at = _weight(prompt, end + 1)
            parts.append(f"({inner}:{weight:g})" if weight != 1 else inner)
        elif word:
            weight, at = _weight(prompt, at + len(word))
            parts.append(f"({_plain(word)}:{weight:g})")
        else:
            parts.append(_plain(sign))
            at += 1
    return "".join(parts), at


def _weighted_word(prompt: str, at: int) -> str:
    """The word at a position, without the signs behind it; empty if there are none."""
    match = _WORD.match(prompt, at)
    sign = match[1][-1] if match is not None else ""
    if match is None or sign not in ("+", "-") or len(match[1]) == 1:
        return ""
    return match[1].rstrip(sign) or sign


def _weight(prompt: str, at: int) -> tuple[float, int]:
    match = _STRENGTH.match(prompt, at)
    if match is None or not match[0]:
        return 1.0, at
    text = match[0]
    if text[0] in "+-":
        return round((1.1 if text[0] == "+" else 0.9) ** min(len(text), 20), 3), match.end()
    return float(text), match.end()


def _plain(text: str) -> str:
    """Text without markup here."""
    return escape_markup(text)
