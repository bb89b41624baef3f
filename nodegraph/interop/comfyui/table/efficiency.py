"""Efficiency's loaders and samplers, and what Easy-Use's share with them.

Each does the work of several core nodes, and is translated as these: a loader is
CheckpointLoaderSimple, LoraLoader, CLIPSetLastLayer, two CLIPTextEncode and an empty latent. So it
samples with the same numbers, and takes the same patches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry, type_entry
from nodegraph.interop.comfyui.families import family_of_name
from nodegraph.interop.comfyui.import_context import compose
from nodegraph.interop.comfyui.table import conditioning, control, images, latents, loaders
from nodegraph.interop.comfyui.table import sampling as samplings
from nodegraph.interop.comfyui.table.pack_nodes import seed_of
from nodegraph.interop.comfyui.table.parts import known_literal, model_file_name
from nodegraph.interop.comfyui.table.pipes import (
    Pipe,
    give_members,
    give_pipe,
    linked_members,
    pipe_of,
)
from nodegraph.interop.comfyui.table.samplers_schedules import SCHEDULERS
from nodegraph.interop.comfyui.translating import Passage, Signal, Untranslatable

_CORE: Mapping[str, TableEntry] = {
    each.type: each
    for module in (loaders, conditioning, control, samplings, latents, images)
    for each in module.ENTRIES
}
LORAS = "loras"
NETS = "control_nets"


def core(node: Passage, node_type: str, /, **inputs: Any) -> Mapping[str, Signal]:
    return compose(node, _CORE[node_type], inputs)


_WEIGHT = re.compile(r"(?<!\\)[()]")
_WILDCARD = re.compile(r"\{[^{}]*\|[^{}]*\}|__[\w./*-]+__")
_LORA_TAG = re.compile(r"<lora:[^>]*>")
_OTHER_MARKUP = re.compile(r"[\[\]|]|\bAND\b|\bBREAK\b|\([^()]*\(")
"""What nodegraph's markup reads otherwise than these nodes, whose brackets are ComfyUI's."""
ALL_A1111 = "A1111, all markup"
_LIKE_A1111 = ("none", "mean")
"""Normalizations of weights that differ from nodegraph's and are still imported."""


def markup_of(node: Passage, text: Signal, scaling: str, reading: str) -> Mapping[str, str]:
    """How a prompt is read here, whose weights are scaled and applied in some way there.

    Raises:
        Untranslatable: It has weights, and nodegraph applies none in that way.
    """
    if reading == ALL_A1111:
        return {"syntax": "auto"}
    has_weights = text.is_link or bool(_WEIGHT.search(str(text.content)))
    if not has_weights or (reading, scaling) == ("comfy", "none"):
        return conditioning.SYNTAX
    if reading == "A1111" and scaling in _LIKE_A1111:
        if text.is_link or _OTHER_MARKUP.search(str(text.content)):
            node.tell("weights in its prompts are applied as ComfyUI's own nodes do, not as A1111")
            return conditioning.SYNTAX
        node.tell(
            "weights in its prompts are nodegraph's, which restore the mean as A1111 does: "
            f"results differ a little (token normalization {scaling!r})"
        )
        return {"syntax": "auto"}
    raise Untranslatable(
        f"its prompt has weights, and nodegraph has no weight interpretation {reading!r} with "
        f"token normalization {scaling!r}"
    )


def encode_text(
    node: Passage, clip: Signal, text: Signal, scaling: str = "none", reading: str = "comfy"
) -> Signal:
    """A prompt, encoded."""
    markup = markup_of(node, text, scaling, reading)
    encoder = TableEntry(
        _CORE["CLIPTextEncode"].written, lambda part: conditioning.encode_prompt(part, markup)
    )
    return compose(node, encoder, {"clip": clip, "text": text})["CONDITIONING"]


def refuse_drawn(node: Passage, *names: str) -> None:
    """Refuse prompts from which words are drawn, or that load LoRAs.

    Raises:
        Untranslatable: One is such a prompt.
    """
    for name in names:
        text = known_literal(node, name)
        for pattern, what in ((_LORA_TAG, "loads a LoRA"), (_WILDCARD, "draws from wildcards")):
            match = pattern.search(text) if isinstance(text, str) else None
            if match is not None:
                raise Untranslatable(
                    f"its `{name}` {what} by {match[0]!r}: use a node for this, and plain text"
                )


def with_loras(
    node: Passage, model: Signal, clip: Signal | None, rows: Sequence[tuple[Any, Any, Any]]
) -> tuple[Signal, Signal | None]:
    """A model and its text encoder with LoRAs, the first first.

    Args:
        rows: File, strength for the model and strength for the text encoder.
    """
    for file, strength, encoder_strength in rows:
        taken = {"lora_name": file, "strength_model": strength, "strength_clip": encoder_strength}
        made = core(node, "LoraLoader", model=model, clip=clip, **taken)
        model, clip = made["MODEL"], made.get("CLIP", clip)
    return model, clip


def own_lora(node: Passage) -> list[tuple[Any, Any, Any]]:
    """The LoRA that a loader names itself, unless that is None."""
    name = node.inputs.get("lora_name")
    if name is None or name.content in ("None", "", None):
        return []
    return [(name, node.inputs["lora_model_strength"], node.inputs["lora_clip_strength"])]


def stack_rows(node: Passage, name: str, kind: str) -> tuple[Any, ...]:
    """The rows of a stack that an input is given.

    Raises:
        Untranslatable: What made it isn't translated.
    """
    signal = node.inputs.get(name)
    if signal is None or (signal.content is None and not signal.carried):
        return ()
    rows = signal.carried.get(kind)
    if rows is None:
        raise Untranslatable(f"what the stack at its input `{name}` holds is not known")
    return tuple(rows)


def apply_nets(node: Passage, name: str, prompts: tuple[Signal, Signal]) -> tuple[Signal, Signal]:
    """Two prompts, controlled by the rows of a stack."""
    for row in stack_rows(node, name, NETS):
        made = core(
            node, "ControlNetApplyAdvanced", positive=prompts[0], negative=prompts[1], **row
        )
        prompts = made["positive"], made["negative"]
    return prompts


def load_checkpoint(node: Passage, file: str = "ckpt_name") -> dict[str, Signal | None]:
    """Model, text encoder and VAE of a checkpoint, as far as nothing else is linked for them."""
    kinds = {"model": "MODEL", "clip": "CLIP", "vae": "VAE"}
    parts: dict[str, Signal | None] = {name: node.inputs.get(f"{name}_override") for name in kinds}
    if any(signal is None for signal in parts.values()):
        made = core(node, "CheckpointLoaderSimple", ckpt_name=node.inputs[file])
        parts = {name: signal or made[kinds[name]] for name, signal in parts.items()}
    if known_literal(node, "vae_name") not in ("Baked VAE", None) and (
        "vae_override" not in node.inputs
    ):
        parts["vae"] = core(node, "VAELoader", vae_name=node.inputs["vae_name"])["VAE"]
    return parts


def skip_layers(node: Passage, clip: Signal, name: str, file: str = "ckpt_name") -> Signal:
    """A text encoder that ends at an earlier layer; Flux has none to leave out."""
    layer = node.inputs[name]
    if layer.content == 0 or family_of_name(model_file_name(node, file)).startswith("flux"):
        return clip
    return core(node, "CLIPSetLastLayer", clip=clip, stop_at_clip_layer=layer)["CLIP"]


_SIZE = re.compile(r"(\d+)\s*x\s*(\d+)")


def empty_size(node: Passage) -> dict[str, Any]:
    """Width and height: those that a resolution names, or a loader's own."""
    if "resolution" in node.inputs:
        text = str(node.literal("resolution"))
        match = _SIZE.search(text)
        if match is not None:
            return {"width": int(match[1]), "height": int(match[2])}
        if "width" not in text.lower() and "自定义" not in text:
            raise Untranslatable(f"its `resolution` is {text!r}, which is no size")
    return {side: node.inputs[f"empty_latent_{side}"] for side in ("width", "height")}


def require(signal: Signal | None) -> Signal:
    if signal is None:
        raise Untranslatable("its checkpoint has no text encoder")
    return signal


def check_schedule(node: Passage) -> None:
    """
    Raises:
        Untranslatable: The schedule is one that only these packs have.
    """
    schedule = known_literal(node, "scheduler")
    if isinstance(schedule, str) and schedule not in SCHEDULERS:
        raise Untranslatable(f"nodegraph's sampling nodes have no scheduler {schedule!r}")


_TUPLE = {
    "BASE_MODEL": "model", "BASE_CLIP": "clip", "BASE_CONDITIONING+": "positive",
    "BASE_CONDITIONING-": "negative", "REFINER_MODEL": "refiner_model",
    "REFINER_CLIP": "refiner_clip", "REFINER_CONDITIONING+": "refiner_positive",
    "REFINER_CONDITIONING-": "refiner_negative",
}  # fmt: skip
"""Outputs of the node that unpacks Efficiency's tuple for Stable Diffusion XL, and members."""


def _efficient_prompts(node: Passage, clip: Signal) -> tuple[Signal, Signal]:
    scaling, reading = (
        str(node.literal(name)) for name in ("token_normalization", "weight_interpretation")
    )
    texts = (node.inputs[name] for name in ("positive", "negative"))
    positive, negative = (encode_text(node, clip, text, scaling, reading) for text in texts)
    return positive, negative


def _efficient_loader(node: Passage) -> None:
    parts = load_checkpoint(node)
    rows = (*own_lora(node), *stack_rows(node, "lora_stack", LORAS))
    model, loaded_clip = with_loras(node, require(parts["model"]), parts["clip"], rows)
    clip = skip_layers(node, require(loaded_clip), "clip_skip")
    prompts = apply_nets(node, "cnet_stack", _efficient_prompts(node, clip))
    batch = node.inputs["batch_size"]
    latent = core(node, "EmptyLatentImage", **empty_size(node), batch_size=batch)["LATENT"]
    made = {"MODEL": model, "LATENT": latent, "VAE": require(parts["vae"]), "CLIP": clip}
    made |= dict(zip(("CONDITIONING+", "CONDITIONING-"), prompts, strict=True))
    for name, signal in made.items():
        node.give(name, signal)


def _efficient_loader_sdxl(node: Passage) -> None:
    """A base model, a refiner or none, and prompts for both."""
    parts = load_checkpoint(node, "base_ckpt_name")
    rows = stack_rows(node, "lora_stack", LORAS)
    model, loaded_clip = with_loras(node, require(parts["model"]), parts["clip"], rows)
    clip = skip_layers(node, require(loaded_clip), "base_clip_skip", "base_ckpt_name")
    positive, negative = apply_nets(node, "cnet_stack", _efficient_prompts(node, clip))
    made = {"model": model, "clip": clip, "positive": positive, "negative": negative}
    if known_literal(node, "refiner_ckpt_name") not in ("None", None, ""):
        made |= _refiner(node)
    batch = node.inputs["batch_size"]
    latent = core(node, "EmptyLatentImage", **empty_size(node), batch_size=batch)["LATENT"]
    give_pipe(node, "SDXL_TUPLE", Pipe(made))
    node.give("LATENT", latent)
    node.give("VAE", require(parts["vae"]))


def _refiner(node: Passage) -> dict[str, Signal]:
    """The refiner of Stable Diffusion XL, and the prompts as it reads them."""
    loaded = core(node, "CheckpointLoaderSimple", ckpt_name=node.inputs["refiner_ckpt_name"])
    clip = skip_layers(node, loaded["CLIP"], "refiner_clip_skip", "refiner_ckpt_name")
    made = {"refiner_model": loaded["MODEL"], "refiner_clip": clip}
    for side in ("positive", "negative"):
        markup_of(node, node.inputs[side], str(node.literal("token_normalization")), "comfy")
        made[f"refiner_{side}"] = core(
            node,
            "CLIPTextEncodeSDXLRefiner",
            clip=clip,
            text=node.inputs[side],
            ascore=node.inputs[f"{side}_ascore"],
            width=node.inputs["empty_latent_width"],
            height=node.inputs["empty_latent_height"],
        )["CONDITIONING"]
    return made


def _pack_tuple(node: Passage) -> None:
    names = {name: name.removeprefix("base_") for name in node.inputs}
    give_pipe(node, "SDXL_TUPLE", Pipe(linked_members(node, names)))


def _unpack_tuple(node: Passage) -> None:
    give_members(node, pipe_of(node, "sdxl_tuple"), _TUPLE)


def _refuse_script(node: Passage) -> None:
    """
    Raises:
        Untranslatable: A script changes what a sampler does.
    """
    if "script" in node.inputs:
        raise Untranslatable(
            "its input `script` changes the sampling: nodegraph has a sweep in place of XY Plot, "
            "and nodes behind the sampler in place of the other scripts"
        )


def _efficient_sampler(node: Passage) -> None:
    _refuse_script(node)
    check_schedule(node)
    settings = ("model", "steps", "cfg", "sampler_name", "scheduler", "positive", "negative")
    taken: dict[str, Any] = {name: node.inputs[name] for name in (*settings, "latent_image")}
    if "noise_seed" in node.inputs:
        names = ("add_noise", "start_at_step", "end_at_step", "return_with_leftover_noise")
        taken |= {name: node.inputs[name] for name in names}
        latent = core(node, "KSamplerAdvanced", **taken, noise_seed=seed_of(node, "noise_seed"))[
            "LATENT"
        ]
    else:
        taken["denoise"] = node.inputs["denoise"]
        latent = core(node, "KSampler", **taken, seed=seed_of(node, "seed"))["LATENT"]
    node.give("MODEL", node.inputs["model"])
    node.give("CONDITIONING+", node.inputs["positive"])
    node.give("CONDITIONING-", node.inputs["negative"])
    _give_decoded(node, latent)


def _efficient_sampler_sdxl(node: Passage) -> None:
    """Steps of a base model, and of a refiner from one on."""
    _refuse_script(node)
    check_schedule(node)
    pipe = pipe_of(node, "sdxl_tuple")
    names = ("steps", "cfg", "sampler_name", "scheduler")
    shared: dict[str, Any] = {name: node.inputs[name] for name in names}
    shared["noise_seed"] = seed_of(node, "noise_seed")
    steps, refined = int(node.literal("steps")), int(node.literal("refine_at_step"))
    end = steps if refined == -1 else refined
    latent = core(
        node,
        "KSamplerAdvanced",
        **shared,
        **{name: pipe.get(name) for name in ("model", "positive", "negative")},
        latent_image=node.inputs["latent_image"],
        add_noise="enable",
        start_at_step=node.inputs["start_at_step"],
        end_at_step=end,
        return_with_leftover_noise="enable",
    )["LATENT"]
    if pipe.get("refiner_model") is not None and end < steps:
        latent = core(
            node,
            "KSamplerAdvanced",
            **shared,
            **{name: pipe.get(f"refiner_{name}") for name in ("model", "positive", "negative")},
            latent_image=latent,
            add_noise="disable",
            start_at_step=end,
            end_at_step=steps,
            return_with_leftover_noise="disable",
        )["LATENT"]
    give_pipe(node, "SDXL_TUPLE", pipe)
    _give_decoded(node, latent)


def _give_decoded(node: Passage, latent: Signal) -> None:
    """Give the latent, and its image where a VAE is linked."""
    node.give("LATENT", latent)
    vae, how = node.inputs.get("optional_vae"), str(node.literal("vae_decode"))
    if vae is None:
        return
    node.give("VAE", vae)
    if how == "false":
        return
    if "tiled" in how:
        image = core(node, "VAEDecodeTiled", samples=latent, vae=vae, tile_size=320)["IMAGE"]
    else:
        image = core(node, "VAEDecode", samples=latent, vae=vae)["IMAGE"]
    node.give("IMAGE", image)
    if "output only" not in how and node.literal("preview_method") != "none":
        core(node, "PreviewImage", images=image)


def _lora_stacker(node: Passage) -> None:
    is_simple = node.literal("input_mode") == "simple"
    rows: list[tuple[Any, Any, Any]] = []
    for at in range(1, int(node.literal("lora_count")) + 1):
        file = node.inputs[f"lora_name_{at}"]
        ports = ("lora_wt", "lora_wt") if is_simple else ("model_str", "clip_str")
        if file.content not in ("None", None):
            model, clip = (node.inputs[f"{port}_{at}"] for port in ports)
            rows.append((file, model, clip))
    _give_stack(node, "LORA_STACK", rows, "lora_stack")


def _give_stack(
    node: Passage, output: str, rows: Sequence[tuple[Any, Any, Any]], earlier: str
) -> None:
    """Give a stack of LoRAs on: those of a node, and then those that it is given."""
    node.give(output, Signal(None, {LORAS: (*rows, *stack_rows(node, earlier, LORAS))}))


def _control_net_stacker(node: Passage) -> None:
    names = ("control_net", "image", "strength", "start_percent", "end_percent")
    row = {name: node.inputs[name] for name in names}
    rows = (*stack_rows(node, "cnet_stack", NETS), row)
    node.give("CNET_STACK", Signal(None, {NETS: rows}))


def _apply_net_stack(node: Passage) -> None:
    prompts = (node.inputs["positive"], node.inputs["negative"])
    positive, negative = apply_nets(node, "cnet_stack", prompts)
    node.give("CONDITIONING+", positive)
    node.give("CONDITIONING-", negative)


def refuse_plot(node: Passage) -> None:
    raise Untranslatable("plots over values are a sweep in nodegraph: use GridSweep")


def numbered_rows(pattern: str, count: int) -> str:
    return ", ".join(pattern.format(at) for at in range(1, count + 1))


_LORA = (
    'lora_name: COMBO = "None", lora_model_strength: FLOAT = 1.0, lora_clip_strength: FLOAT = 1.0'
)
_NAMES = 'sampler_name: COMBO = "euler", scheduler: COMBO = "{}"'
_PROMPTED = (
    'positive: STRING = "CLIP_POSITIVE" @prompt, negative: STRING = "CLIP_NEGATIVE" @prompt, '
    'token_normalization: COMBO = "none", weight_interpretation: COMBO = "comfy", '
    "empty_latent_width: INT = {0}, empty_latent_height: INT = {0}, batch_size: INT = 1, "
    "lora_stack: LORA_STACK?, cnet_stack: CONTROL_NET_STACK?"
)
_SEED = "{}: INT = 0 @control, steps: INT = 20, cfg: FLOAT = 7.0, " + _NAMES.format("normal")
_PAIR = "positive: CONDITIONING, negative: CONDITIONING"
_DECODED = 'preview_method: COMBO = "auto", vae_decode: COMBO = "true", optional_vae: VAE?, '
_SCRIPT = "script: SCRIPT?"
_RESULT = "-> MODEL, CONDITIONING+: CONDITIONING, CONDITIONING-: CONDITIONING, LATENT, VAE, IMAGE"
_PARTS = "model: MODEL, {0}clip: CLIP, {0}positive: CONDITIONING, {0}negative: CONDITIONING"

ENTRIES: tuple[TableEntry, ...] = (
    entry(
        'Efficient Loader(ckpt_name: COMBO, vae_name: COMBO = "Baked VAE", clip_skip: INT = -1, '
        f"{_LORA}, {_PROMPTED.format(512)}) -> MODEL, CONDITIONING+: CONDITIONING, "
        "CONDITIONING-: CONDITIONING, LATENT, VAE, CLIP, DEPENDENCIES",
        _efficient_loader,
    ),
    entry(
        "Eff. Loader SDXL(base_ckpt_name: COMBO, base_clip_skip: INT = -2, "
        'refiner_ckpt_name: COMBO = "None", refiner_clip_skip: INT = -2, '
        "positive_ascore: FLOAT = 6.0, negative_ascore: FLOAT = 2.0, "
        f'vae_name: COMBO = "Baked VAE", {_PROMPTED.format(1024)}) '
        "-> SDXL_TUPLE, LATENT, VAE, DEPENDENCIES",
        _efficient_loader_sdxl,
    ),
    type_entry(
        "KSampler (Efficient)",
        f"(model: MODEL, {_SEED.format('seed')}, {_PAIR}, latent_image: LATENT, "
        f"denoise: FLOAT = 1.0, {_DECODED}{_SCRIPT}) {_RESULT}",
        _efficient_sampler,
    ),
    type_entry(
        "KSampler Adv. (Efficient)",
        f'(model: MODEL, add_noise: COMBO = "enable", {_SEED.format("noise_seed")}, {_PAIR}, '
        "latent_image: LATENT, start_at_step: INT = 0, end_at_step: INT = 10000, "
        f'return_with_leftover_noise: COMBO = "disable", {_DECODED}{_SCRIPT}) {_RESULT}',
        _efficient_sampler,
    ),
    type_entry(
        "KSampler SDXL (Eff.)",
        f"(sdxl_tuple: SDXL_TUPLE, {_SEED.format('noise_seed')}, latent_image: LATENT, "
        f"start_at_step: INT = 0, refine_at_step: INT = -1, {_DECODED}{_SCRIPT}) "
        "-> SDXL_TUPLE, LATENT, VAE, IMAGE",
        _efficient_sampler_sdxl,
    ),
    entry(
        f"Pack SDXL Tuple({_PARTS.replace('model', 'base_model', 1).format('base_')}, "
        f"{_PARTS.replace('model', 'refiner_model', 1).format('refiner_')}) -> SDXL_TUPLE",
        _pack_tuple,
    ),
    entry(
        "Unpack SDXL Tuple(sdxl_tuple: SDXL_TUPLE) -> BASE_MODEL: MODEL, BASE_CLIP: CLIP, "
        "BASE_CONDITIONING+: CONDITIONING, BASE_CONDITIONING-: CONDITIONING, "
        "REFINER_MODEL: MODEL, REFINER_CLIP: CLIP, REFINER_CONDITIONING+: CONDITIONING, "
        "REFINER_CONDITIONING-: CONDITIONING",
        _unpack_tuple,
    ),
    type_entry(
        "LoRA Stacker",
        '(input_mode: COMBO = "simple", lora_count: INT = 3, '
        + numbered_rows(
            'lora_name_{0}: COMBO = "None", lora_wt_{0}: FLOAT = 1.0, '
            "model_str_{0}: FLOAT = 1.0, clip_str_{0}: FLOAT = 1.0",
            50,
        )
        + ", lora_stack: LORA_STACK?) -> LORA_STACK",
        _lora_stacker,
    ),
    entry(
        "Control Net Stacker(control_net: CONTROL_NET, image: IMAGE, strength: FLOAT = 1.0, "
        "start_percent: FLOAT = 0.0, end_percent: FLOAT = 1.0, cnet_stack: CONTROL_NET_STACK?) "
        "-> CNET_STACK: CONTROL_NET_STACK",
        _control_net_stacker,
    ),
    entry(
        f"Apply ControlNet Stack({_PAIR}, cnet_stack: CONTROL_NET_STACK?) "
        "-> CONDITIONING+: CONDITIONING, CONDITIONING-: CONDITIONING",
        _apply_net_stack,
    ),
    entry(
        'XY Plot(grid_spacing: INT = 0, XY_flip: COMBO = "False", '
        'Y_label_orientation: COMBO = "Horizontal", cache_models: COMBO = "True", '
        'ksampler_output_image: COMBO = "Images", dependencies: DEPENDENCIES?, X: XY?, Y: XY?) '
        "-> script: SCRIPT",
        refuse_plot,
    ),
)
