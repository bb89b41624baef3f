"""Images of Fooocus, SwarmUI, Draw Things and NovelAI, whose settings are fields of JSON."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
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
    SeedVariation,
    escape_markup,
    escape_words,
    parse_hashes,
    parse_json,
    parse_size,
    read_size,
    shorten,
    to_number,
)
from nodegraph.interop.image_metadata.infotext import split_network_tags
from nodegraph.interop.image_metadata.sampler_names import read_sampler

_NO_MODEL = ("", "none", "default (model)", "automatic", "(none)")

# Fooocus

_PERFORMANCE_LORAS: Mapping[str, tuple[str, float]] = {
    "Extreme Speed": ("sdxl_lcm_lora.safetensors", 1.0),
    "Lightning": ("sdxl_lightning_4step_lora.safetensors", 1.0),
    "Hyper-SD": ("sdxl_hyper_sd_4step_lora.safetensors", 0.8),
}
"""LoRAs that Fooocus adds for a mode and does not list."""


def read_fooocus(values: Mapping[str, Any]) -> Generation:
    """Return the settings of Fooocus' own scheme.

    The styles and the expansion are in `full_prompt`: texts that are encoded one by one, and whose
    tokens are concatenated, as behind BREAK.
    """
    generation = Generation("Fooocus", convention="comfyui", draw="per batch")
    fields = Fields(values, generation)
    generation.prompt = fields.text("prompt")
    generation.negative = fields.text("negative_prompt")
    generation.encoded_prompt = _joined(fields, "full_prompt")
    generation.encoded_negative = _joined(fields, "full_negative_prompt")
    generation.seed = fields.integer(0, MAX_SEED, "seed")
    generation.steps = fields.integer(1, MAX_STEPS, "steps")
    generation.cfg = fields.number(0, 100, "guidance_scale", "cfg")
    skip = fields.integer(1, 24, "clip_skip")
    generation.clip_skip = skip if skip is not None and skip > 1 else None
    _read_fooocus_sampling(generation, fields)
    size = parse_size(fields.text("resolution"))
    sides = (fields.integer(1, 10**6, "width"), fields.integer(1, 10**6, "height"))
    read_size(generation, *(size or sides))
    digest = fields.text("base_model_hash")
    generation.model = ModelReference(fields.text("base_model"), parse_hashes(digest))
    vae = fields.text("vae")
    if vae.strip().lower() not in _NO_MODEL:
        generation.vae = ModelReference(vae)
    _read_fooocus_loras(generation, fields)
    _report_fooocus(generation, fields)
    return generation


def _read_fooocus_sampling(generation: Generation, fields: Fields) -> None:
    generation.sampler, generation.schedule = read_sampler(
        generation, fields.text("sampler"), fields.text("scheduler"), is_comfyui=True
    )


def _joined(fields: Fields, name: str) -> str:
    texts = [text for text in fields.items(name) if isinstance(text, str) and text.strip()]
    joined = " BREAK ".join(texts)
    return Fields({name: joined}, fields.generation).text(name)


def _read_fooocus_loras(generation: Generation, fields: Fields) -> None:
    for lora in fields.items("loras"):
        if isinstance(lora, list) and lora and isinstance(lora[0], str):
            weight = to_number(lora[1]) if len(lora) > 1 else None
            hashes = parse_hashes(*lora[2:3])
            model = ModelReference(lora[0], hashes)
            generation.add_lora(model, 1.0 if weight is None else weight)
    for number in range(1, 11):  # the form of the first versions: "name : weight"
        name, _, strength = fields.text(f"lora_combined_{number}").rpartition(":")
        weight = to_number(strength)
        if name.strip().lower() not in _NO_MODEL:
            generation.add_lora(ModelReference(name.strip()), 1.0 if weight is None else weight)
    added = _PERFORMANCE_LORAS.get(fields.text("performance"))
    if added is not None:
        generation.add_lora(ModelReference(added[0]), added[1])


def _report_fooocus(generation: Generation, fields: Fields) -> None:
    styles = fields.get("styles")
    if isinstance(styles, str):
        styles = _literal(styles)
    if styles and generation.encoded_prompt:
        generation.report(
            f"The prompt contains the texts of the styles {shorten(styles)}, and words that "
            f"Fooocus added. Without them it is: {shorten(generation.prompt)}"
        )
    elif styles:
        generation.report(
            f"The texts of Fooocus' styles {shorten(styles)} are not in the metadata: add them to "
            "the prompt."
        )
    refiner = fields.text("refiner_model")
    switch = fields.number(0, 1, "refiner_switch")
    if refiner.strip().lower() not in _NO_MODEL and switch != 1:
        digest = parse_hashes(fields.text("refiner_model_hash"))
        reference = ModelReference(refiner, digest)
        generation.refiner = Refiner(reference, 0.8 if switch is None else switch)
    for name, usual, title in (
        ("sharpness", ("2", "2.0"), "sharpness"),
        ("adm_guidance", (), "ADM guidance"),
        ("adaptive_cfg", ("7", "7.0"), "adaptive CFG"),
        ("freeu", (), "FreeU"),
    ):
        value = fields.get(name)
        if value is not None and str(value) not in usual:
            generation.report(f"Fooocus' {title} ({shorten(value)}) has no counterpart.")
    if "sharpness" in fields:
        generation.report("Fooocus sharpens and guides in its own way: the image differs a little.")
    fields.skip("prompt_expansion", "metadata_scheme", "version", "created_by")
    fields.skip(
        "refiner_model_hash", "refiner_swap_method", "inpaint_engine_version", "full_prompt"
    )
    fields.skip("inpaint_method", "overwrite_switch", "overwrite_step", "log_version")
    fields.report_unread()


def _literal(text: str) -> Any:
    """A Python list that was written as text; the text itself if it is none."""
    try:
        return ast.literal_eval(text) if len(text) <= 10_000 else text
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


# SwarmUI


def read_swarmui(document: Mapping[str, Any]) -> Generation:
    """Return the settings of SwarmUI: ``sui_image_params``, with hashes in ``sui_models``."""
    generation = Generation("SwarmUI", convention="comfyui", draw="per batch")
    values = document.get("sui_image_params")
    fields = Fields(values if isinstance(values, dict) else {}, generation)
    hashes = dict(_swarm_hashes(document.get("sui_models")))
    generation.prompt = fields.text("prompt")
    generation.negative = fields.text("negativeprompt")
    generation.seed = fields.integer(0, MAX_SEED, "seed")
    generation.steps = fields.integer(1, MAX_STEPS, "steps")
    generation.cfg = fields.number(0, 100, "cfgscale")
    generation.guidance = fields.number(0, 100, "fluxguidancescale")
    layer = fields.integer(-24, -1, "clipstopatlayer")
    generation.clip_skip = None if layer is None else -layer
    name = fields.text("sampler", "comfyuisampler", "autowebuisampler")
    schedule = fields.text("scheduler", "comfyuischeduler")
    # SwarmUI leaves out its defaults.
    generation.sampler, generation.schedule = read_sampler(
        generation, name or "euler", schedule or "normal", is_comfyui=True
    )
    _read_swarm_size(generation, fields)
    generation.model = _swarm_model(fields.text("model"), hashes)
    vae = fields.text("vae")
    if vae.strip().lower() not in _NO_MODEL:
        generation.vae = _swarm_model(vae, hashes)
    _read_swarm_loras(generation, fields, hashes)
    generation.hires = _swarm_refine(generation, fields, hashes)
    _read_swarm_controls(generation, fields, hashes)
    _report_swarm(generation, fields)
    return generation


def _swarm_hashes(models: object) -> Iterator[tuple[str, tuple[str, ...]]]:
    for model in models[:200] if isinstance(models, list) else ():
        if isinstance(model, dict) and isinstance(model.get("name"), str):
            yield _plain_name(model["name"]), parse_hashes(model.get("hash"))


def _plain_name(name: str) -> str:
    return name.replace("\\", "/").removesuffix(".safetensors").lower()


def _swarm_model(name: str, hashes: Mapping[str, tuple[str, ...]]) -> ModelReference:
    return ModelReference(name, hashes.get(_plain_name(name), ()))


def _read_swarm_size(generation: Generation, fields: Fields) -> None:
    width, height = (fields.integer(1, 10**6, name) for name in ("width", "height"))
    fields.skip("aspectratio", "sidelength")
    read_size(generation, width, height)


def _read_swarm_loras(
    generation: Generation, fields: Fields, hashes: Mapping[str, tuple[str, ...]]
) -> None:
    names, weights = _listed(fields, "loras"), _listed(fields, "loraweights")
    encoders = _listed(fields, "loratencweights")
    for at, name in enumerate(names):
        if isinstance(name, str) and name.strip():
            weight = to_number(weights[at]) if at < len(weights) else None
            encoder = to_number(encoders[at]) if at < len(encoders) else None
            strength = 1.0 if weight is None else weight
            generation.add_lora(_swarm_model(name, hashes), strength, encoder)
    for attribute in ("prompt", "negative"):
        text, tags = split_network_tags(getattr(generation, attribute))
        setattr(generation, attribute, text)
        for tag in tags:
            generation.add_lora(_swarm_model(tag.name, hashes), tag.strengths[1], tag.strengths[0])
    if "<" in generation.prompt and ">" in generation.prompt:
        generation.report(
            "The prompt has SwarmUI's tags in angle brackets, which are plain text in nodegraph."
        )
    fields.skip("lorasectionconfinement")


def _listed(fields: Fields, name: str) -> Sequence[Any]:
    """A list, or a text with commas as older versions write it."""
    items = fields.items(name)
    if len(items) == 1 and isinstance(items[0], str):
        return [item.strip() for item in items[0].split(",")]
    return items


def _swarm_refine(
    generation: Generation, fields: Fields, hashes: Mapping[str, tuple[str, ...]]
) -> HiresPass | None:
    """SwarmUI's refine/upscale: a second sampling of the last share of the steps."""
    scale = fields.number(0.01, 16, "refinerupscale")
    denoise = fields.number(0, 1, "refinercontrolpercentage", "refinercontrol")
    method = fields.text("refinerupscalemethod")
    model = fields.text("refinermodel")
    steps = fields.integer(0, MAX_STEPS, "refinersteps")
    cfg = fields.number(0, 100, "refinercfgscale")
    if scale is None and denoise is None and not model:
        return None
    reference = ModelReference()
    if model and model != "(Use Base)":
        reference = _swarm_model(model, hashes)
    way = fields.text("refinermethod")
    if way == "StepSwap" and reference and scale in (None, 1):
        generation.refiner = Refiner(reference, 1 - (0.2 if denoise is None else denoise))
        return None
    if way and way != "PostApply":
        generation.report(
            f"The refiner method `{shorten(way)}` is left out: it refines afterwards."
        )
    kind, _, name = method.partition("-")
    upscaler = f"Latent ({name})" if kind == "latent" else name or "lanczos"
    share = 0.2 if denoise is None else denoise
    # SwarmUI runs the last share of the steps, from the noise level that they begin at.
    return HiresPass(
        upscaler,
        scale or 1.0,
        model=reference,
        steps=steps or None,
        steps_are_share=True,
        denoise=share,
        cfg=cfg,
    )


def _read_swarm_controls(
    generation: Generation, fields: Fields, hashes: Mapping[str, tuple[str, ...]]
) -> None:
    for number in ("", "two", "three"):
        name = fields.text(f"controlnet{number}model")
        weight = fields.number(0, 10, f"controlnet{number}strength")
        start = fields.number(0, 1, f"controlnet{number}start")
        end = fields.number(0, 1, f"controlnet{number}end")
        preprocessor = fields.text(f"controlnet{number}preprocessor")
        if name.strip().lower() in _NO_MODEL:
            continue
        generation.add_control(
            ControlUnit(
                _swarm_model(name, hashes),
                "" if preprocessor.strip().lower() in _NO_MODEL else preprocessor,
                1.0 if weight is None else weight,
                start or 0.0,
                1.0 if end is None else end,
            )
        )
    fields.skip_prefix("controlnet")


def _report_swarm(generation: Generation, fields: Fields) -> None:
    if fields.get("initimage") or "initimagecreativity" in fields:
        is_masked = fields.get("maskimage") is not None or "maskblur" in fields
        generation.add_source_image(fields.get("initimagecreativity"), is_masked=is_masked)
    seed = fields.integer(0, MAX_SEED, "variationseed")
    strength = fields.number(0, 1, "variationseedstrength")
    if seed is not None and strength:
        generation.variation = SeedVariation(seed, strength)
    fields.skip("maskimage", "maskblur", "automaticvae", "swarm_version", "images")
    fields.skip(
        "date", "generation_time", "prep_time", "batchsize", "donotsave", "outputintermediateimages"
    )
    fields.skip("modelspecificenhancements", "preset", "presets", "personalnote", "imageformat")
    fields.report_unread()


# Draw Things


def read_draw_things(values: Mapping[str, Any]) -> Generation:
    """Return the settings of Draw Things, which stand in XMP: ``c`` is the prompt."""
    generation = Generation("Draw Things")
    fields = Fields(values, generation)
    full = values.get("v2")
    more = Fields(full if isinstance(full, dict) else {}, generation)
    fields.skip("v2", "profile")
    generation.prompt = fields.text("c")
    generation.negative = fields.text("uc")
    generation.seed = fields.integer(0, MAX_SEED, "seed")
    generation.steps = fields.integer(1, MAX_STEPS, "steps")
    generation.cfg = fields.number(0, 100, "scale")
    generation.guidance = _draw_things_guidance(fields, more)
    generation.sampler, generation.schedule = read_sampler(generation, fields.text("sampler"))
    if generation.sampler and not generation.schedule:
        generation.schedule = "trailing" if generation.sampler in ("lcm", "tcd") else "leading"
        if generation.sampler == "euler_ancestral":
            generation.schedule = "normal"
    skip = fields.integer(1, 24, "clip_skip") or more.integer(1, 24, "clipSkip")
    generation.clip_skip = skip if skip is not None and skip > 1 else None
    size = parse_size(fields.text("size"))
    read_size(generation, *(size or (None, None)))
    generation.model = ModelReference(fields.text("model"))
    for lora in (*fields.items("lora"), *more.items("loras")):
        name = (lora.get("model") or lora.get("file")) if isinstance(lora, dict) else None
        if isinstance(name, str) and name:
            weight = to_number(lora.get("weight"))
            generation.add_lora(ModelReference(name), 1.0 if weight is None else weight)
    generation.hires = _draw_things_hires(generation, fields, more)
    _report_draw_things(generation, fields, more)
    return generation


def _draw_things_guidance(fields: Fields, more: Fields) -> float | None:
    scale = fields.number(0, 100, "guidance_embed")
    return more.number(0, 100, "guidanceEmbed") if scale is None else scale


def _draw_things_hires(generation: Generation, fields: Fields, more: Fields) -> HiresPass | None:
    """Its high resolution fix: the first pass is smaller, the size is that of the second."""
    first = parse_size(fields.text("first_stage_size"))
    if first is None and more.flag("hiresFix"):
        sides = [more.integer(8, MAX_SIDE, name) for name in ("hiresFixWidth", "hiresFixHeight")]
        first = None if None in sides else (sides[0] or 8, sides[1] or 8)
    strength = fields.number(0, 1, "second_stage_strength")
    strength = more.number(0, 1, "hiresFixStrength") if strength is None else strength
    if first is None or not generation.width or not generation.height:
        return None
    hires = HiresPass("Latent", width=generation.width, height=generation.height)
    hires.denoise = 0.7 if strength is None else strength
    hires.steps_are_share = True
    read_size(generation, *first)
    return hires


def _report_draw_things(generation: Generation, fields: Fields, more: Fields) -> None:
    strength = fields.number(0, 1, "strength")
    if strength is not None and strength < 1:
        generation.add_source_image(strength)
    refiner = fields.text("refiner") or more.text("refinerModel")
    switch = fields.number(0, 1, "refiner_start")
    switch = more.number(0, 1, "refinerStart") if switch is None else switch
    if refiner and switch != 1:
        generation.refiner = Refiner(ModelReference(refiner), 0.85 if switch is None else switch)
    upscaler = fields.text("upscaler") or more.text("upscaler")
    if upscaler:
        generation.report(f"The image was enlarged with `{shorten(upscaler)}`. That is left out.")
    for control in (*fields.items("control"), *more.items("controls")):
        _add_draw_things_control(generation, control)
    generation.report("Draw Things draws noise in its own way: the same seed gives another image.")
    fields.skip("seed_mode", "mask_blur", "mask_blur_outset", "preserve_original", "sharpness")
    fields.skip("shift", "aesthetic_score", "negative_aesthetic_score", "crop")
    fields.skip("zero_negative_prompt", "original_size", "target_size", "negative_original_size")
    fields.report_unread()


def _add_draw_things_control(generation: Generation, control: object) -> None:
    values = Fields(control if isinstance(control, dict) else {}, generation)
    name = values.text("file", "model")
    if not name:
        generation.report(f"The control {shorten(control)} is left out.")
        return
    weight = values.number(0, 10, "weight")
    start, end = values.number(0, 1, "guidanceStart"), values.number(0, 1, "guidanceEnd")
    generation.add_control(
        ControlUnit(
            ModelReference(name),
            weight=1.0 if weight is None else weight,
            start=start or 0.0,
            end=1.0 if end is None else end,
        )
    )


# NovelAI

_WEIGHT = 1.05
"""Factor of one pair of braces."""
_NUMBERED = re.compile(r"(-?\d{0,3}(?:\.\d{1,4})?)::")
_MAX_DEPTH = 20


def read_novelai(texts: Mapping[str, str]) -> Generation:
    """Return the settings of NovelAI, of versions 1 to 4.5.

    Args:
        texts: ``Description``, ``Source`` and ``Comment``, which is JSON.
    """
    generation = Generation("NovelAI", convention="comfyui")
    comment = parse_json(texts.get("Comment", ""))
    fields = Fields(comment if isinstance(comment, dict) else {}, generation)
    source = Fields(texts, generation)
    generation.prompt = source.text("Description") or fields.text("prompt")
    generation.negative = fields.text("uc")
    captions = list(_captions(fields.get("v4_prompt")))
    negatives = list(_captions(fields.get("v4_negative_prompt")))
    if captions:
        fields.text("prompt")
        generation.prompt = captions[0] or generation.prompt
        generation.negative = (negatives or [generation.negative])[0] or generation.negative
    _read_characters(generation, captions, negatives)
    generation.seed = fields.integer(0, MAX_SEED, "seed")
    generation.steps = fields.integer(1, MAX_STEPS, "steps")
    generation.cfg = fields.number(0, 100, "scale")
    generation.sampler, generation.schedule = read_sampler(
        generation, fields.text("sampler"), fields.text("noise_schedule") or "native"
    )
    if generation.sampler == "ddim":
        generation.convention, generation.schedule = "diffusers", "leading"
    read_size(generation, *(fields.integer(1, 10**6, name) for name in ("width", "height")))
    generation.model = _novelai_model(source.text("Source"))
    _report_novelai(generation, fields)
    return generation


def _novelai_model(source: str) -> ModelReference:
    """The model and the beginning of its hash, as in ``NovelAI Diffusion V3 4BDE2A90``."""
    text = source.strip()
    match = re.search(r"(?<=\s)[0-9A-Fa-f]{8}\Z", text)
    if match is None:
        return ModelReference(text or "NovelAI Diffusion")
    return ModelReference(text[: match.start()].rstrip(), parse_hashes(match[0]))


def _captions(prompt: object) -> Iterator[str]:
    """The base caption of a prompt of version 4, then those of its characters."""
    caption = prompt.get("caption") if isinstance(prompt, dict) else None
    if not isinstance(caption, dict) or not isinstance(caption.get("base_caption"), str):
        return
    yield caption["base_caption"]
    characters = caption.get("char_captions")
    for character in characters[:20] if isinstance(characters, list) else ():
        text = character.get("char_caption") if isinstance(character, dict) else None
        if isinstance(text, str):
            yield text


def _read_characters(generation: Generation, captions: list[str], negatives: list[str]) -> None:
    """Join the prompts of characters to that of the image, and convert the weights."""
    characters = [text for text in captions[1:] if text.strip()]
    if characters:
        generation.report(
            f"The prompts of {len(characters)} characters follow the one of the image, behind "
            "BREAK. Their positions are left out."
        )
    prompts = [generation.prompt, *characters]
    others = [generation.negative, *(text for text in negatives[1:] if text.strip())]
    encoded = [" BREAK ".join(convert_weights(text) for text in each) for each in (prompts, others)]
    generation.encoded_prompt, generation.encoded_negative = encoded


def convert_weights(prompt: str) -> str:
    """Return a prompt of NovelAI's in the syntax of `EncodePrompt`.

    ``{words}`` weighs 1.05 there, ``[words]`` is divided by it, and ``1.3::words::`` has a number.
    Round brackets are plain text.
    """
    pieces = [_Piece("")]
    stack: list[float] = []
    numbered = 1.0
    at = 0
    while at < len(prompt):
        sign = prompt[at]
        match = _NUMBERED.match(prompt, at)
        if match:
            numbered = float(match[1]) if match[1] not in ("", "-", ".") else 1.0
            at = match.end()
        elif sign in "{[" and len(stack) < _MAX_DEPTH:
            stack.append(_WEIGHT if sign == "{" else 1 / _WEIGHT)
            at += 1
        elif sign in "}]" and stack:
            stack.pop()
            at += 1
        else:
            weight = numbered
            for factor in stack:
                weight *= factor
            pieces = _with_text(pieces, sign, round(weight, 3))
            at += 1
    return escape_words("".join(piece.written() for piece in pieces))


class _Piece:
    """Text of one weight."""

    def __init__(self, text: str, weight: float = 1.0) -> None:
        self.text, self.weight = text, weight

    def written(self) -> str:
        escaped = escape_markup(self.text)
        words = escaped.strip()
        if self.weight == 1 or not words:
            return escaped
        before, after = escaped.split(words, 1) if words in escaped else ("", "")
        return f"{before}({words}:{self.weight:g}){after}"


def _with_text(pieces: list[_Piece], text: str, weight: float) -> list[_Piece]:
    if pieces[-1].weight == weight:
        pieces[-1].text += text
    else:
        pieces.append(_Piece(text, weight))
    return pieces


def _report_novelai(generation: Generation, fields: Fields) -> None:
    generation.report(
        "NovelAI's models cannot be downloaded: choose another model. The image will differ."
    )
    rescale = fields.number(0, 1, "cfg_rescale")
    if rescale:
        generation.report(f"The guidance was rescaled ({rescale:g}): RescaleGuidance does that.")
    if fields.flag("sm", "sm_dyn") or fields.get("sm") is True:
        generation.report("SMEA has no counterpart.")
    if fields.flag("dynamic_thresholding"):
        generation.report("Decrisper (dynamic thresholding) has no counterpart.")
    request = fields.text("request_type")
    if request.startswith(("Img2Img", "NativeInfill")):
        is_masked = request.startswith("NativeInfill")
        generation.add_source_image(fields.get("strength"), is_masked=is_masked)
    if fields.items("reference_information_extracted_multiple") or fields.items(
        "director_reference_strengths"
    ):
        generation.report("Reference images (vibe transfer) are not in the metadata.")
    fields.skip_prefix("dynamic_thresholding", "reference_", "director_", "lora_", "controlnet_")
    fields.skip("n_samples", "noise", "strength", "request_type", "signed_hash", "uncond_scale")
    fields.skip("hide_debug_overlay", "legacy_v3_extend", "legacy_uc", "legacy", "sm_dyn", "prompt")
    fields.skip("deliberate_euler_ancestral_bug", "prefer_brownian", "explike_fine_detail")
    fields.skip("minimize_sigma_inf", "uncond_per_vibe", "wonky_vibe_correlation", "stream")
    fields.skip("cfg_sched_eligibility", "version", "extra_noise_seed", "add_original_image")
    fields.skip("skip_cfg_below_sigma", "normalize_reference_strength_multiple")
    fields.report_unread()
