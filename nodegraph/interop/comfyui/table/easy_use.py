"""Easy-Use's loaders, sampler settings and samplers, and the pipes between them."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry, type_entry
from nodegraph.interop.comfyui.table.efficiency import (
    ALL_A1111,
    LORAS,
    apply_nets,
    check_schedule,
    core,
    empty_size,
    encode_text,
    load_checkpoint,
    numbered_rows,
    own_lora,
    refuse_drawn,
    require,
    skip_layers,
    stack_rows,
    with_loras,
)
from nodegraph.interop.comfyui.table.pack_nodes import seed_of
from nodegraph.interop.comfyui.table.pipes import (
    Pipe,
    give_members,
    give_pipe,
    linked_members,
    pipe_of,
)
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable


def _easy_loader(scaling: str = "none", reading: str = "comfy") -> Translate:
    """The way here of an Easy-Use loader.

    Args:
        scaling: How it brings weights of prompts to scale, of one that doesn't ask.
        reading: Likewise, how it applies them.
    """

    def forward(node: Passage) -> None:
        refuse_drawn(node, "positive", "negative")
        if "config_name" in node.inputs and node.literal("config_name") != "Default":
            raise Untranslatable(f"its `config_name` is {node.literal('config_name')!r}")
        parts = load_checkpoint(node)
        rows = (*own_lora(node), *stack_rows(node, "optional_lora_stack", LORAS))
        model, clip = with_loras(node, require(parts["model"]), parts["clip"], rows)
        clip = skip_layers(node, require(clip), "clip_skip")
        prompts = []
        for side in ("positive", "negative"):
            way = {"scaling": scaling, "reading": reading}
            for key, name in (("scaling", "normalization"), ("reading", "interpretation")):
                port = f"{side}_{'token' if key == 'scaling' else 'weight'}_{name}"
                if port in node.inputs:
                    way[key] = str(node.literal(port))
            way |= _a1111_style(node)
            prompts.append(encode_text(node, clip, node.inputs[side], **way))
        positive, negative = apply_nets(node, "optional_controlnet_stack", (prompts[0], prompts[1]))
        batch = node.inputs["batch_size"]
        latent = core(node, "EmptyLatentImage", **empty_size(node), batch_size=batch)["LATENT"]
        made = {"model": model, "clip": clip, "vae": parts["vae"], "latent": latent}
        made |= {"positive": positive, "negative": negative}
        _give_easy(node, Pipe({}).with_members(**made, **_kept(node)))

    return forward


def _a1111_style(node: Passage) -> dict[str, str]:
    """How prompts are read by a node that may follow A1111 in all."""
    if "a1111_prompt_style" not in node.inputs or not node.literal("a1111_prompt_style"):
        return {}
    node.tell("A1111 draws its noise on the GPU: nodegraph draws the same noise on every device")
    return {"scaling": "none", "reading": ALL_A1111}


_KEPT = (
    "batch_size", "clip_skip", "resolution", "positive_token_normalization",
    "positive_weight_interpretation", "negative_token_normalization",
    "negative_weight_interpretation", "a1111_prompt_style",
)  # fmt: skip
_EASY = {
    "model": "model", "positive": "positive", "pos": "positive", "negative": "negative",
    "neg": "negative", "latent": "latent", "vae": "vae", "clip": "clip", "image": "image",
    "seed": "seed",
}  # fmt: skip
"""Outputs of Easy-Use's nodes, and members of their pipes."""
_LINKED = {name: member for name, member in _EASY.items() if name != "image"}


def _kept(node: Passage) -> dict[str, Signal]:
    """A loader's settings that later nodes of its pipe go by."""
    return {f"kept_{name}": node.inputs[name] for name in _KEPT if name in node.inputs}


def _give_easy(node: Passage, pipe: Pipe, output: str = "pipe") -> None:
    give_pipe(node, output, pipe)
    give_members(node, pipe, _EASY)


def _from_image(node: Passage, pipe: Pipe, name: str = "image") -> dict[str, Any]:
    """The latent of an image that a node puts into a pipe, once for each of the batch."""
    image, vae = node.inputs[name], pipe.get("vae")
    if vae is None:
        raise Untranslatable(f"its pipe has no VAE for its input `{name}`")
    latent = core(node, "VAEEncode", pixels=image, vae=vae)["LATENT"]
    count = pipe.get("kept_batch_size")
    if count is not None and count.content != 1:
        latent = core(node, "RepeatLatentBatch", samples=latent, amount=count)["LATENT"]
    return {"latent": latent}


def _pipe_in(node: Passage) -> None:
    if "xyPlot" in node.inputs:
        raise Untranslatable("plots over values are a sweep in nodegraph: use GridSweep")
    pipe = pipe_of(node, "pipe") if "pipe" in node.inputs else Pipe({})
    pipe = pipe.with_members(
        **linked_members(node, {k: v for k, v in _EASY.items() if k != "image"})
    )
    if "image" in node.inputs:
        made = _from_image(node, pipe) if "latent" not in node.inputs else {}
        pipe = pipe.with_members(image=node.inputs["image"], **made)
    _give_easy(node, pipe)


def _pipe_out(node: Passage) -> None:
    _give_easy(node, pipe_of(node, "pipe"))


def _to_basic(node: Passage) -> None:
    pipe = pipe_of(node, "pipe")
    basic = ("model", "clip", "vae", "positive", "negative")
    held = {name: pipe.members[name] for name in basic if name in pipe.members}
    give_pipe(node, "basic_pipe", Pipe(held))


def _pipe_edit(node: Passage) -> None:
    """Other links, and prompts that replace those of a pipe or join them."""
    pipe = pipe_of(node, "pipe") if "pipe" in node.inputs else Pipe({})
    pipe = pipe.with_members(
        **linked_members(node, {k: v for k, v in _EASY.items() if k != "image"})
    )
    if "image" in node.inputs:
        pipe = pipe.with_members(image=node.inputs["image"], **_from_image(node, pipe))
    for side, short in (("positive", "pos"), ("negative", "neg")):
        text = node.inputs[f"optional_{side}"]
        if short in node.inputs or text.content == "":
            continue
        refuse_drawn(node, f"optional_{side}")
        layer = node.inputs["clip_skip"]
        clip = require(pipe.get("clip"))
        if layer.content != 0:
            clip = core(node, "CLIPSetLastLayer", clip=clip, stop_at_clip_layer=layer)["CLIP"]
        way = {
            "scaling": str(node.literal(f"{side}_token_normalization")),
            "reading": str(node.literal(f"{side}_weight_interpretation")),
        } | _a1111_style(node)
        new = encode_text(node, clip, text, **way)
        pipe = pipe.with_members(**{side: _joined(node, pipe.get(side), new), "clip": clip})
    _give_easy(node, pipe)


def _joined(node: Passage, old: Signal | None, new: Signal) -> Signal:
    """A pipe's prompt with a new one, as the node says."""
    how = node.literal("conditioning_mode")
    if how == "replace" or old is None:
        return new
    if how == "concat":
        made = core(node, "ConditioningConcat", conditioning_to=new, conditioning_from=old)
    elif how == "combine":
        made = core(node, "ConditioningCombine", conditioning_1=old, conditioning_2=new)
    elif how == "average":
        made = core(
            node,
            "ConditioningAverage",
            conditioning_to=new,
            conditioning_from=old,
            conditioning_to_strength=node.inputs["average_strength"],
        )
    elif how == "timestep":
        parts = [
            core(
                node,
                "ConditioningSetTimestepRange",
                conditioning=prompt,
                start=node.inputs[f"{side}_cond_start"],
                end=node.inputs[f"{side}_cond_end"],
            )["CONDITIONING"]
            for side, prompt in (("old", old), ("new", new))
        ]
        made = core(node, "ConditioningCombine", conditioning_1=parts[0], conditioning_2=parts[1])
    else:
        raise Untranslatable(f"nodegraph cannot join prompts by `conditioning_mode` {how!r}")
    return made["CONDITIONING"]


def _pipe_edit_prompt(node: Passage) -> None:
    """Other prompts, encoded as the pipe's loader encodes them."""
    refuse_drawn(node, "positive", "negative")
    pipe = pipe_of(node, "pipe")
    for side in ("positive", "negative"):
        way = {"scaling": "none", "reading": "comfy"}
        for key, name in (
            ("scaling", f"kept_{side}_token_normalization"),
            ("reading", f"kept_{side}_weight_interpretation"),
        ):
            held = pipe.get(name)
            way[key] = str(held.content) if held is not None else way[key]
        prompt = encode_text(node, require(pipe.get("clip")), node.inputs[side], **way)
        pipe = pipe.with_members(**{side: prompt})
    _give_easy(node, pipe)


_SETTINGS = (
    "steps", "cfg", "sampler_name", "scheduler", "denoise", "seed", "start_at_step",
    "end_at_step", "add_noise", "return_with_leftover_noise",
)  # fmt: skip


def _pre_sampling(node: Passage) -> None:
    """Settings that go along with a pipe to its sampler."""
    check_schedule(node)
    pipe = pipe_of(node, "pipe")
    members = {name: node.inputs[name] for name in _SETTINGS if name in node.inputs}
    members["seed"] = seed_of(node, "seed")
    earlier = {name: held for name, held in pipe.members.items() if name not in _SETTINGS}
    pipe = Pipe(earlier).with_members(**members)
    if "image_to_latent" in node.inputs:
        image = node.inputs["image_to_latent"]
        pipe = pipe.with_members(image=image, **_from_image(node, pipe, "image_to_latent"))
    elif "latent" in node.inputs:
        pipe = pipe.with_members(latent=node.inputs["latent"])
    give_pipe(node, "pipe", pipe)


def _easy_sampler(node: Passage) -> None:
    """Samples a pipe by the settings that came along."""
    pipe = pipe_of(node, "pipe")
    if "steps" not in pipe.members:
        raise Untranslatable("its pipe has no settings: a preSampling node of nodegraph's lacks")
    sampled = pipe.with_members(**linked_members(node, {"model": "model"}))
    _give_sampled(node, pipe, sampled)


def _easy_full_sampler(node: Passage) -> None:
    """Samples a pipe with other settings than those of the pipe."""
    if "xyPlot" in node.inputs:
        raise Untranslatable("plots over values are a sweep in nodegraph: use GridSweep")
    check_schedule(node)
    pipe = pipe_of(node, "pipe")
    links = ("model", "positive", "negative", "latent", "vae", "clip")
    own = {name: name for name in (*links, "steps", "cfg", "sampler_name", "scheduler", "denoise")}
    sampled = pipe.with_members(**linked_members(node, own))
    if "seed" in node.inputs:
        sampled = sampled.with_members(seed=seed_of(node, "seed"))
    if "image" in node.inputs and "latent" not in node.inputs:
        vae = require(sampled.get("vae"))
        latent = core(node, "VAEEncode", pixels=node.inputs["image"], vae=vae)["LATENT"]
        sampled = sampled.with_members(latent=latent)
    _give_sampled(node, pipe, sampled)


def _give_sampled(node: Passage, pipe: Pipe, settings: Pipe) -> None:
    """Sample, decode and show as a pipe and a node say.

    Args:
        pipe: What the node was given, whose model goes on.
        settings: What is sampled.
    """
    latent = _sampled_pipe(node, settings)
    how = str(node.literal("image_output"))
    image: Signal | None = None
    if how != "None":
        vae = settings.get("vae")
        image = core(node, "VAEDecode", samples=latent, vae=vae)["IMAGE"]
        _show(node, how, image)
    result = settings.with_members(latent=latent, image=image)
    give_members(node, result, _EASY)
    give_pipe(node, "pipe", result.with_members(model=pipe.get("model")))


def _sampled_pipe(node: Passage, pipe: Pipe) -> Signal:
    names = ("model", "positive", "negative", "steps", "cfg", "sampler_name", "scheduler")
    taken: dict[str, Any] = {name: pipe.get(name) for name in names}
    taken["latent_image"] = pipe.get("latent")
    lacking = next((name for name in ("model", "positive", "latent_image") if not taken[name]), "")
    if lacking:
        raise Untranslatable(f"its pipe has no {lacking.removesuffix('_image')}")
    seed, noise = pipe.get("seed"), pipe.get("add_noise")
    if noise is None:
        return core(node, "KSampler", **taken, seed=seed, denoise=pipe.get("denoise"))["LATENT"]
    adds = str(noise.content)
    if "GPU" in adds:
        node.tell("A1111 draws its noise on the GPU: nodegraph draws the same noise on each device")
    steps = ("start_at_step", "end_at_step", "return_with_leftover_noise")
    made = core(
        node,
        "KSamplerAdvanced",
        **taken,
        noise_seed=seed,
        add_noise="disable" if adds == "disable" else "enable",
        **{name: pipe.get(name) for name in steps},
    )
    return made["LATENT"]


def _show(node: Passage, how: str, image: Signal) -> None:
    """
    Raises:
        Untranslatable: A choice by people is waited for.
    """
    if how == "Preview&Choose":
        raise Untranslatable("nodegraph does not wait until somebody chooses images")
    if how.startswith("Sender"):
        node.tell("nodegraph sends images along links only, not to receivers of the same number")
    if how.endswith("Save"):
        core(node, "SaveImage", images=image, filename_prefix=node.inputs["save_prefix"])
    elif not how.startswith("Hide"):
        core(node, "PreviewImage", images=image)


def _base64_image(node: Passage) -> None:
    made = node.add("LoadImageBase64", data=node.inputs["base64_data"])
    image = Signal(MadeOutput(made, "image"))
    node.give("IMAGE", image)
    node.give("MASK", MadeOutput(made, "mask"))
    how = str(node.literal("image_output"))
    _show(node, how, image)
    if not how.endswith("Save"):
        node.keep(save_prefix=node.inputs["save_prefix"].content)


def _easy_lora_stack(node: Passage) -> None:
    rows: list[tuple[Any, Any, Any]] = []
    is_simple = node.literal("mode") == "simple"
    for at in range(1, int(node.literal("num_loras")) + 1):
        file = node.inputs[f"lora_{at}_name"]
        if file.content not in ("None", None):
            ports = ("strength",) * 2 if is_simple else ("model_strength", "clip_strength")
            model, clip = (node.inputs[f"lora_{at}_{port}"] for port in ports)
            rows.append((file, model, clip))
    earlier = stack_rows(node, "optional_lora_stack", LORAS)
    rows = [*earlier, *rows] if node.literal("toggle") else []
    node.give("lora_stack", Signal(None, {LORAS: tuple(rows)}))


def _global_seed(node: Passage) -> None:
    """Seeds of all nodes, which the page of Easy-Use changes before a run."""
    node.tell(
        "in ComfyUI its page sets the seeds of all nodes: here each keeps the one in the file"
    )


_LORA = (
    'lora_name: COMBO = "None", lora_model_strength: FLOAT = 1.0, lora_clip_strength: FLOAT = 1.0'
)
_EMPTY = (
    'resolution: COMBO = "512 x 512", empty_latent_width: INT = 512, empty_latent_height: INT = 512'
)
_STACKS = "optional_lora_stack: LORA_STACK?, optional_controlnet_stack: CONTROL_NET_STACK?"
_HEAD = f'vae_name: COMBO = "Baked VAE", clip_skip: INT = -2, {_LORA}, {_EMPTY}'
_TEXTS = 'positive: STRING = "" @prompt, negative: STRING = "" @prompt'
_WAY = '{0}_token_normalization: COMBO = "none", {0}_weight_interpretation: COMBO = "comfy"'
_LOADED = "-> pipe: PIPE_LINE, model: MODEL, vae: VAE"
_NAMES = 'sampler_name: COMBO = "euler", scheduler: COMBO = "{}"'
_SHOWN = 'image_output: COMBO = "{}", link_id: INT = 0, save_prefix: STRING = "ComfyUI"'
_TAKEN = "image_to_latent: IMAGE?, latent: LATENT?"
_PIPE = "pipe: PIPE_LINE"
_LINKS = (
    "model: MODEL{0}, pos: CONDITIONING{0}, neg: CONDITIONING{0}, latent: LATENT{0}, vae: VAE{0}, "
    "clip: CLIP{0}, image: IMAGE{0}"
)
_ADVANCED = (
    "start_at_step: INT = 0, end_at_step: INT = 10000, "
    'add_noise: COMBO = "enable (CPU)", seed: INT = 0 @control, '
    'return_with_leftover_noise: COMBO = "disable"'
)

ENTRIES: tuple[TableEntry, ...] = (
    entry(
        'easy loadImageBase64(base64_data: STRING = "", image_output: COMBO = "Preview", '
        'save_prefix: STRING = "ComfyUI") -> IMAGE, MASK',
        _base64_image,
    ),
    entry(
        f"easy a1111Loader(ckpt_name: COMBO, {_HEAD}, {_TEXTS}, batch_size: INT = 1, {_STACKS}, "
        f"a1111_prompt_style: BOOLEAN? = false) {_LOADED}",
        _easy_loader("mean", "A1111"),
    ),
    entry(
        f"easy comfyLoader(ckpt_name: COMBO, {_HEAD}, {_TEXTS}, batch_size: INT = 1, {_STACKS}) "
        f"{_LOADED}",
        _easy_loader(),
    ),
    entry(
        f'easy fullLoader(ckpt_name: COMBO, config_name: COMBO = "Default", {_HEAD}, '
        f'positive: STRING = "" @prompt, {_WAY.format("positive")}, '
        f'negative: STRING = "" @prompt, {_WAY.format("negative")}, batch_size: INT = 1, '
        f"model_override: MODEL?, clip_override: CLIP?, vae_override: VAE?, {_STACKS}, "
        "a1111_prompt_style: BOOLEAN? = false) "
        f"{_LOADED}, clip: CLIP, positive: CONDITIONING, negative: CONDITIONING, latent: LATENT",
        _easy_loader(),
    ),
    entry(
        f"easy preSampling({_PIPE}, steps: INT = 20, cfg: FLOAT = 8.0, {_NAMES.format('normal')}, "
        f"denoise: FLOAT = 1.0, seed: INT = 0 @control, {_TAKEN}) -> {_PIPE}",
        _pre_sampling,
    ),
    entry(
        f"easy preSamplingAdvanced({_PIPE}, steps: INT = 20, cfg: FLOAT = 8.0, "
        f"{_NAMES.format('normal')}, {_ADVANCED}, {_TAKEN}) -> {_PIPE}",
        _pre_sampling,
    ),
    type_entry(
        "easy kSampler",
        f"({_PIPE}, {_SHOWN.format('Preview')}, model: MODEL?) -> {_PIPE}, image: IMAGE",
        _easy_sampler,
        ("link_id",),
    ),
    type_entry(
        "easy fullkSampler",
        f"({_PIPE}, steps: INT = 20, cfg: FLOAT = 8.0, {_NAMES.format('normal')}, "
        f"denoise: FLOAT = 1.0, {_SHOWN.format('Hide')}, seed: INT? = 0 @control, model: MODEL?, "
        "positive: CONDITIONING?, negative: CONDITIONING?, latent: LATENT?, vae: VAE?, "
        "clip: CLIP?, xyPlot: XYPLOT?, image: IMAGE?) "
        f"-> {_PIPE}, image: IMAGE, model: MODEL, positive: CONDITIONING, "
        "negative: CONDITIONING, latent: LATENT, vae: VAE, clip: CLIP, seed: INT",
        _easy_full_sampler,
        ("link_id",),
    ),
    entry(
        f"easy pipeIn(pipe: PIPE_LINE?, {_LINKS.format('?')}, xyPlot: XYPLOT?) -> {_PIPE}",
        _pipe_in,
    ),
    entry(f"easy pipeOut({_PIPE}) -> {_PIPE}, {_LINKS.format('')}, seed: INT", _pipe_out),
    entry(f"easy pipeToBasicPipe({_PIPE}) -> basic_pipe: BASIC_PIPE", _to_basic),
    entry(
        'easy pipeEdit(clip_skip: INT = -1, optional_positive: STRING = "" @prompt, '
        f'{_WAY.format("positive")}, optional_negative: STRING = "" @prompt, '
        f"{_WAY.format('negative')}, a1111_prompt_style: BOOLEAN = false, "
        'conditioning_mode: COMBO = "replace", average_strength: FLOAT = 1.0, '
        "old_cond_start: FLOAT = 0.0, old_cond_end: FLOAT = 1.0, new_cond_start: FLOAT = 0.0, "
        f"new_cond_end: FLOAT = 1.0, pipe: PIPE_LINE?, {_LINKS.format('?')}) "
        f"-> {_PIPE}, {_LINKS.format('')}",
        _pipe_edit,
    ),
    entry(f"easy pipeEditPrompt({_PIPE}, {_TEXTS}) -> {_PIPE}", _pipe_edit_prompt),
    type_entry(
        "easy loraStack",
        '(toggle: BOOLEAN = true, mode: COMBO = "simple", num_loras: INT = 1, '
        "optional_lora_stack: LORA_STACK?, "
        + numbered_rows(
            'lora_{0}_name: COMBO? = "None", lora_{0}_strength: FLOAT? = 1.0, '
            "lora_{0}_model_strength: FLOAT? = 1.0, lora_{0}_clip_strength: FLOAT? = 1.0",
            10,
        )
        + ") -> lora_stack: LORA_STACK",
        _easy_lora_stack,
    ),
    entry(
        'easy globalSeed(value: INT = 0, mode: BOOLEAN = true, action: COMBO = "fixed", '
        'last_seed: STRING = "")',
        _global_seed,
    ),
)
