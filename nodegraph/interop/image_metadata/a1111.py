"""Images of A1111's web UI, Forge, Civitai's generator and Fooocus' scheme of the same form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nodegraph.interop.image_metadata.generation import (
    MAX_CONTROLS,
    MAX_DETAILS,
    MAX_SEED,
    MAX_SIDE,
    MAX_STEPS,
    ControlUnit,
    DetailPass,
    Fields,
    Generation,
    HiresPass,
    ModelReference,
    Refiner,
    SeedVariation,
    parse_hashes,
    parse_json,
    parse_size,
    read_size,
    shorten,
    to_number,
)
from nodegraph.interop.image_metadata.infotext import (
    Infotext,
    parse_fields,
    parse_infotext,
    split_network_tags,
)
from nodegraph.interop.image_metadata.sampler_names import read_sampler

_NO_VAE = ("", "none", "automatic", "default (model)", "default")
_TABLE_SAMPLERS = frozenset(("ddim", "ddpm", "pndm", "uni_pc", "lcm", "tcd"))
"""Samplers that are not k-diffusion's there; the others place noise levels as ComfyUI does."""
_LORA_KINDS = ("lora", "lycoris", "locon", "dora")
_CIVITAI_DOWNLOAD = "https://civitai.com/api/download/models/"
_PARAMETERS_OF_FORGE = re.compile(r"f\d|forge|classic", re.IGNORECASE)

_WITHOUT_EFFECT = (
    *("Version", "RNG", "User", "Created Date", "Metadata Scheme", "TI", "Face restoration"),
    *("Discard penultimate sigma", "Pad conds", "NGMS", "Backend", "App", "Emphasis", "Script"),
    *("Beta schedule alpha", "Beta schedule beta", "Cache model", "Operations", "Pipeline"),
    *("Raw prompt", "Raw negative prompt", "Performance", "Metadata scheme", "Preset"),
)
"""Fields that change nothing, or that another field says, too."""
_NO_COUNTERPART: Mapping[str, str] = {
    "Tiled Diffusion": "Tiled diffusion is left out.",
    "Dynamic thresholding": "Dynamic thresholding is left out.",
    "FreeU": "FreeU is left out: the node FreeU changes a model in that way.",
    "Seed resize": "The noise was made for another size. That has no counterpart.",
    "Sharpness": "Fooocus' sharpness has no counterpart.",
    "ADM Guidance": "Fooocus' ADM guidance has no counterpart.",
    "Adaptive CFG": "Fooocus' adaptive CFG has no counterpart.",
    "Refiner Swap Method": "",
    "Styles": "",
    "Dynamic Prompts": "",
}
"""Beginnings of field names, and what to say about them; empty where another finding says it."""


def read_a1111(text: str, tool: str = "") -> Generation:
    """Return the settings in a text of A1111's form.

    Args:
        tool: Name of the tool; if empty, the text tells which of them wrote it.
    Raises:
        InvalidFile: It has more text than any prompt.
    """
    return read_settings(parse_infotext(text), tool)


def read_settings(infotext: Infotext, tool: str = "") -> Generation:
    """Return the settings in a parsed text; see `read_a1111`."""
    generation = Generation(tool or _tool(infotext.fields))
    fields = Fields({**infotext.fields, "prompt": infotext.prompt}, generation)
    generation.prompt = fields.text("prompt")
    generation.negative = Fields({"negative": infotext.negative}, generation).text("negative")
    generation.seed = fields.integer(0, MAX_SEED, "Seed")
    generation.steps = fields.integer(1, MAX_STEPS, "Steps")
    generation.cfg = fields.number(0, 100, "CFG scale")
    generation.guidance = fields.number(0, 100, "Distilled CFG Scale")
    generation.clip_skip = _clip_skip(fields)
    _read_sampling(generation, fields)
    size = parse_size(fields.text("Size"))
    read_size(generation, *(size or (None, None)))
    generation.model = _reference(fields, "Model", "Model hash", "model")
    _read_modules(generation, fields)
    _read_networks(generation, fields)
    _read_resources(generation, fields)
    generation.hires = _hires(generation, fields)
    _read_refiner(generation, fields)
    _read_noise(generation, fields)
    _read_controls(generation, fields)
    _read_details(generation, fields)
    _report_differences(generation, fields, infotext.templates)
    return generation


def _tool(fields: Mapping[str, str]) -> str:
    version = fields.get("Version", "")
    if "Civitai resources" in fields and "Version" not in fields:
        return "Civitai"
    if version.startswith("Fooocus"):
        return "Fooocus"
    if version.startswith("nodegraph"):
        return "nodegraph"
    if _PARAMETERS_OF_FORGE.match(version) or "Module 1" in fields:
        return "Forge"
    return "A1111"


def _clip_skip(fields: Fields) -> int | None:
    skip = fields.integer(1, 24, "Clip skip")
    return skip if skip is not None and skip > 1 else None


def _read_sampling(generation: Generation, fields: Fields) -> None:
    name, schedule = fields.text("Sampler"), fields.text("Schedule type", "Scheduler")
    is_comfyui = generation.tool == "Fooocus"
    sampler, laid_out = read_sampler(generation, name, schedule, is_comfyui=is_comfyui)
    generation.sampler = sampler
    if generation.tool == "nodegraph":
        _read_own_sampling(generation, fields, laid_out)
        return
    is_table = sampler in _TABLE_SAMPLERS
    generation.schedule = laid_out or ("leading" if is_table else "normal") if sampler else ""
    if is_table and not is_comfyui:
        generation.schedule = "leading" if laid_out in ("", "karras", "normal") else laid_out
        if laid_out == "karras":
            generation.report(f"`{sampler}` needs the model's own noise levels, not `karras`.")
    else:
        generation.convention = "comfyui"


def _read_own_sampling(generation: Generation, fields: Fields, schedule: str) -> None:
    """What `workflow_settings` writes beside A1111's fields."""
    generation.schedule = schedule
    if fields.text("Convention") == "comfyui":
        generation.convention = "comfyui"
    draw = fields.text("Draw")
    if draw in ("per batch", "per batch, one seed"):
        generation.draw = draw


def _reference(fields: Fields, name: str, digest: str, key: str) -> ModelReference:
    """A model by the fields of its name and hash, and by its entry among all hashes."""
    hashes = _hash_entries(fields)
    return ModelReference(fields.text(name), parse_hashes(fields.text(digest), *(hashes.get(key),)))


def _hash_entries(fields: Fields) -> Mapping[str, Any]:
    entries = parse_json(fields.text("Hashes"))
    return entries if isinstance(entries, dict) else {}


def _read_modules(generation: Generation, fields: Fields) -> None:
    modules = [fields.text(f"Module {number}") for number in range(1, 9)]
    generation.modules = tuple(name for name in modules if name)
    vae = _reference(fields, "VAE", "VAE hash", "vae")
    if vae.name.strip().lower() not in _NO_VAE:
        generation.vae = vae


def _read_networks(generation: Generation, fields: Fields) -> None:
    """LoRAs, which stand in the prompts as tags, and textual inversions."""
    hashes = _hash_entries(fields)
    loras = dict(_pairs(fields.text("Lora hashes")))
    for prompt_of in ("prompt", "negative"):
        text, tags = split_network_tags(getattr(generation, prompt_of))
        setattr(generation, prompt_of, text)
        for tag in tags:
            if tag.kind == "hypernet":
                generation.report(f"The hypernetwork `{shorten(tag.name)}` has no counterpart.")
                continue
            digests = parse_hashes(loras.get(tag.name), hashes.get(f"lora:{tag.name}"))
            encoder, model = tag.strengths
            generation.add_lora(ModelReference(tag.name, digests), model, encoder)
    for name, weight in _pairs(fields.text("Lora weights")):  # Fooocus
        strength = to_number(weight)
        digests = parse_hashes(loras.get(name))
        generation.add_lora(ModelReference(name, digests), 1.0 if strength is None else strength)
    words = {
        **dict(_pairs(fields.text("TI hashes"))),
        **{
            name.removeprefix("embed:"): digest
            for name, digest in hashes.items()
            if name.startswith("embed:")
        },
    }
    for name, digest in list(words.items())[:20]:
        generation.embeddings.append(ModelReference(name, parse_hashes(digest)))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Names with values, such as ``"detail: 7c6bad76eb54, other: 0.5"``."""
    for part in text.split(","):
        name, colon, value = part.rpartition(":")
        if colon and name.strip():
            yield name.strip(), value.strip()


def _read_resources(generation: Generation, fields: Fields) -> None:
    """Civitai's list of models, by version."""
    resources = parse_json(fields.text("Civitai resources"))
    # Tags in the prompt say the same with the names of the files.
    has_tags = bool(generation.loras)
    if fields.text("Civitai metadata") not in ("", "{}"):
        fields.skip("Civitai metadata")
    for resource in resources[:100] if isinstance(resources, list) else ():
        if not isinstance(resource, dict):
            continue
        version = resource.get("modelVersionId")
        url = f"{_CIVITAI_DOWNLOAD}{version}" if isinstance(version, int) else ""
        parts = (resource.get("modelName"), resource.get("modelVersionName"))
        name = " ".join(part for part in parts if isinstance(part, str) and part)
        name = name or str(resource.get("air") or (f"Civitai {version}" if url else ""))[:200]
        kind = str(resource.get("type", "")).lower()
        if not (has_tags and kind in _LORA_KINDS):
            _use_resource(generation, kind, resource, name, url)


def _use_resource(
    generation: Generation, kind: str, resource: Mapping[str, Any], name: str, url: str
) -> None:
    if kind in ("checkpoint", "model"):
        if not generation.model or not generation.model.url:
            known = generation.model
            generation.model = ModelReference(known.name or name, known.hashes, url)
    elif kind in _LORA_KINDS:
        weight = to_number(resource.get("weight"))
        generation.add_lora(ModelReference(name, (), url), 1.0 if weight is None else weight)
    elif kind in ("embed", "textualinversion", "embedding"):
        word = resource.get("modelName")
        generation.report(
            f"The textual inversion `{shorten(word or name)}` ({url or 'no address'}) is not "
            "added: its word is not known. Add LoadTextualInversion."
        )
    elif kind == "vae":
        generation.vae = generation.vae or ModelReference(name, (), url)
    else:
        generation.report(f"`{shorten(name)}` ({shorten(kind)}) of Civitai is not used.")


_MASKED = ("Mask blur", "Inpaint area", "Masked content")


def _hires(generation: Generation, fields: Fields) -> HiresPass | None:
    """The second pass; None if the image has none."""
    denoise = fields.number(0, 1, "Denoising strength")
    scale = fields.number(0.01, 16, "Hires upscale")
    size = parse_size(fields.text("Hires resize", "Hires size"))
    first = parse_size(fields.text("First pass size"))
    upscaler = fields.text("Hires upscaler")
    if not (scale or size or upscaler or first):
        is_masked = any(name in fields for name in _MASKED)
        if is_masked or (denoise is not None and denoise < 1):
            generation.add_source_image(denoise, is_masked=is_masked)
        return None
    hires = HiresPass(
        upscaler or "Latent", scale or 0.0, denoise=0.7 if denoise is None else denoise
    )
    if first is not None:
        # In versions before 2023 the size was that of the second pass.
        if first != (0, 0) and generation.width and generation.height:
            hires.width, hires.height = generation.width, generation.height
            read_size(generation, *first)
        hires.upscaler = "Latent"
    elif size is not None and any(size):
        hires.width, hires.height = (min(side, MAX_SIDE) for side in size)
    elif not hires.scale:
        hires.scale = 2.0
    hires.steps = fields.integer(0, MAX_STEPS, "Hires steps") or None
    hires.cfg = fields.number(0, 100, "Hires CFG Scale", "Hires CFG scale")
    name = fields.text("Hires sampler")
    schedule = fields.text("Hires schedule type")
    if name or schedule:
        sampler, laid_out = read_sampler(
            generation, "" if name == "Use same sampler" else name, schedule
        )
        hires.sampler, hires.schedule = sampler, laid_out
    for key, attribute in (("Hires prompt", "prompt"), ("Hires negative prompt", "negative")):
        text, _ = split_network_tags(fields.text(key))
        setattr(hires, attribute, text)
    model = fields.text("Hires checkpoint")
    if model and model != "Use same checkpoint":
        hires.model = _named_reference(model)
    return hires


_HASH_BEHIND = re.compile(r"\[([0-9a-fA-F]{8,64})\]\Z")


def _named_reference(text: str) -> ModelReference:
    """A model whose hash follows its name, as in ``sd_xl_refiner_1.0 [7440042bbd]``."""
    match = _HASH_BEHIND.search(text.rstrip())
    if match is None:
        return ModelReference(text)
    return ModelReference(text[: match.start()].rstrip(), parse_hashes(match[1]))


def _read_refiner(generation: Generation, fields: Fields) -> None:
    name = fields.text("Refiner", "Refiner Model")
    switch = fields.number(0, 1, "Refiner switch at", "Refiner Switch")
    if name.strip().lower() not in _NO_VAE and switch != 1:
        generation.refiner = Refiner(_named_reference(name), 0.8 if switch is None else switch)


_OPTIONS: Mapping[str, str] = {
    "Eta": "eta",
    "Eta DDIM": "eta",
    "Sigma churn": "s_churn",
    "Sigma tmin": "s_tmin",
    "Sigma tmax": "s_tmax",
    "Sigma noise": "s_noise",
}
"""Options of samplers, which A1111 writes where they are not the usual ones."""


def _read_noise(generation: Generation, fields: Fields) -> None:
    """Variation seed and options of the sampler."""
    seed = fields.integer(0, MAX_SEED, "Variation seed")
    strength = fields.number(0, 1, "Variation seed strength")
    if seed is not None and strength:
        generation.variation = SeedVariation(seed, strength)
    for name, option in _OPTIONS.items():
        value = fields.number(0, 1000, name)
        if value is not None:
            generation.sampler_options[option] = value


def _read_controls(generation: Generation, fields: Fields) -> None:
    """Units of the extension ControlNet, each in a field with fields of its own."""
    for number in range(MAX_CONTROLS + 1):
        names = (f"ControlNet {number}", *(("ControlNet",) if number == 0 else ()))
        text = fields.text(*names)
        if not text:
            continue
        unit = Fields(
            {name.lower(): value for name, value in parse_fields(text).items()}, generation
        )
        model = unit.text("model")
        if model.strip().lower() in ("", "none"):
            generation.report(f"The ControlNet unit {number} has no model. It is left out.")
            continue
        start, end = (unit.number(0, 1, name) for name in ("guidance start", "guidance end"))
        span = re.findall(r"[0-9.]+", unit.text("starting/ending"))  # before 2024
        if len(span) == 2:
            start, end = (min(1.0, to_number(each) or 0.0) for each in span)
        weight = unit.number(0, 10, "weight")
        preprocessor = unit.text("module", "preprocessor")
        generation.add_control(
            ControlUnit(
                _named_reference(model),
                "" if preprocessor.strip().lower() in ("none", "invert") else preprocessor,
                1.0 if weight is None else weight,
                start or 0.0,
                1.0 if end is None else end,
            )
        )


_DETECTED: Mapping[str, str] = {"person": "person", "hand": "hand", "face": "face"}


def _read_details(generation: Generation, fields: Fields) -> None:
    """Passes of the extension ADetailer; the fields of all but the first end in an ordinal."""
    for number in range(1, MAX_DETAILS + 1):
        ordinal = "" if number == 1 else {2: " 2nd", 3: " 3rd"}.get(number, f" {number}th")

        def named(name: str, ordinal: str = ordinal) -> str:
            return f"ADetailer {name}{ordinal}"

        detector = fields.text(named("model"))
        if detector.strip().lower() in ("", "none"):
            continue
        confidence = fields.number(0, 1, named("confidence"))
        denoise = fields.number(0, 1, named("denoising strength"))
        grow = fields.integer(-1024, 1024, named("dilate erode"), named("dilate/erode"))
        margin = fields.integer(0, 4096, named("inpaint padding"))
        labels = next((kind for word, kind in _DETECTED.items() if word in detector), "face")
        generation.details.append(
            DetailPass(
                detector,
                labels,
                fields.text(named("prompt")),
                fields.text(named("negative prompt")),
                0.3 if confidence is None else confidence,
                0.4 if denoise is None else denoise,
                4 if grow is None else grow,
                32 if margin is None else margin,
            )
        )
    if generation.details:
        count = len(generation.details)
        generation.report(
            f"ADetailer sampled {'a part' if count == 1 else f'{count} parts'} of the image again. "
            "Its detection models cannot be loaded, so the nodes for that are muted: choose a "
            "model in `detector` and turn them on."
        )
        fields.skip_prefix("ADetailer ")


def _report_differences(
    generation: Generation, fields: Fields, templates: Mapping[str, str]
) -> None:
    tool = generation.tool
    fields.skip(*_WITHOUT_EFFECT)
    if tool in ("A1111", "Forge") and fields.text("RNG").upper() != "CPU":
        generation.report(
            f"{tool} draws noise on the GPU unless its setting says otherwise, and nodegraph on "
            "the CPU: the same seed then gives another image."
        )
    styles = fields.text("Styles", "Style Selector Style")
    if styles:
        generation.report(f"The prompt contains the styles {shorten(styles)}.")
    if " AND " in generation.prompt and tool != "nodegraph":
        generation.report(
            f"{tool} adds up the prompts around AND, nodegraph averages them: multiply `cfg` by "
            "the sum of their weights."
        )
    ensd = fields.integer(-(2**63), 2**63, "ENSD")
    if ensd:
        generation.report(f"The seed of the noise within steps had the offset {ensd} (ENSD).")
    area = fields.text("Inpaint area")
    if area.lower() == "only masked":
        generation.report(
            "Only the surroundings of the mask were sampled, at full size: CropToMask and "
            "StitchCrop do that."
        )
    fields.skip_prefix("Mask ", "Masked ", "Inpaint ")
    for heading, text in templates.items():
        if text and text not in (generation.prompt, generation.negative):
            generation.report(f"{heading} (before wildcards were drawn): {shorten(text)}")
    for start, message in _NO_COUNTERPART.items():
        if any(name.startswith(start) for name, _ in fields.unread()):
            fields.skip_prefix(start)
            if message:
                generation.report(message)
    fields.report_unread()
