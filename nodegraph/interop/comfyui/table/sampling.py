"""Sampling nodes, guiders (CFG, dual CFG, perpendicular negative …) and noise, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry
from nodegraph.interop.comfyui.table.carried_values import (
    CONDITIONED_MODEL,
    GRADUAL,
    GUIDE,
    NOISE_SCALE,
    PATCHES,
    GuiderSpec,
    PatchedModel,
    add_mask_patches,
    conditioned_model,
    guide_of,
    guider,
    negative_or_empty,
    only_back,
    predict_image,
    refuse_unsupported,
    scale_noise,
    warn_conventions,
    wrapped,
)
from nodegraph.interop.comfyui.table.parts import without_image
from nodegraph.interop.comfyui.table.samplers_schedules import (
    comfyui_sampler,
    exported_sampler,
    exported_schedule,
    keep_name,
    native_sampler,
    sigmas_for,
)
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable


def guided(node: Passage) -> PatchedModel:
    """A model with a positive and a negative prompt."""
    return conditioned_model(
        node, node.inputs["model"], node.inputs["positive"], node.inputs["negative"]
    )


def _guide(node: Passage, made: MadeOutput, leads: PatchedModel) -> None:
    node.give("GUIDER", Signal(made, {CONDITIONED_MODEL: leads}))


def _cfg_guider(node: Passage) -> None:
    leads = guided(node)
    _guide(node, guider(node, leads, node.inputs["cfg"]), leads)


_OF_ONE = frozenset(
    ("PerturbedAttentionGuidance", "RenormCFG", "SelfAttentionGuidance", "SkipLayerGuidanceDiT")
)


def _basic_guider(node: Passage) -> None:
    leads = conditioned_model(node, node.inputs["model"], node.inputs["conditioning"])
    name = node.add("BasicGuider", conditioning=leads.positive)
    # Without a negative prompt, the others change nothing.
    kept = tuple(patch for patch in leads.patches if patch.type in _OF_ONE)
    made = wrapped(
        node, MadeOutput(name, "guider"), PatchedModel(leads.model, leads.positive, None, kept)
    )
    _guide(node, made, leads)


def _dual_cfg_guider(node: Passage) -> None:
    if node.literal("style") != "regular":
        raise Untranslatable("nodegraph has no nested guidance by two prompts")
    inputs = node.inputs
    leads = conditioned_model(node, inputs["model"], inputs["cond1"], inputs["negative"])
    name = node.add(
        "DualCFGGuider",
        positive=leads.positive,
        second=inputs["cond2"],
        negative=without_image(node, leads.negative),
        cfg=inputs["cfg_conds"],
        second_cfg=inputs["cfg_cond2_negative"],
    )
    _guide(node, wrapped(node, MadeOutput(name, "guider"), leads), leads)


def _dual_model_guider(node: Passage) -> None:
    weaker = node.inputs.get("model_negative")
    negative = node.inputs.get("negative")
    leads = conditioned_model(node, node.inputs["model"], node.inputs["positive"], negative)
    if weaker is not None and negative is None:
        made = MadeOutput(node.add("BasicGuider", conditioning=leads.positive), "guider")
        scale = float(node.literal("cfg")) - 1
        name = node.add("AutoGuidance", guider=made, weaker=weaker, scale=scale)
    elif weaker is None:
        _guide(node, guider(node, leads, node.inputs["cfg"]), leads)
        return
    else:
        made = guider(node, leads, node.inputs["cfg"])
        name = node.add("NegativeModel", guider=made, model=weaker)
    _guide(node, MadeOutput(name, "guider"), leads)


def _perpendicular(node: Passage) -> None:
    leads = conditioned_model(
        node, node.inputs["model"], node.inputs["positive"], node.inputs["negative"]
    )
    empty = node.inputs["empty_conditioning"]
    cfg = node.inputs["cfg"]
    made = node.add("CFGGuider", positive=leads.positive, negative=empty, cfg=cfg)
    scale = float(node.literal("cfg")) * float(node.literal("neg_scale"))
    name = node.add(
        "AddNegative",
        guider=MadeOutput(made, "guider"),
        negative=leads.negative,
        scale=scale,
        perpendicular=True,
    )
    _guide(node, MadeOutput(name, "guider"), leads)


def _prompts(node: Passage) -> dict[str, Any]:
    positive, cfg = node.inputs["positive"], node.inputs["cfg"]
    return {"positive": positive, "negative": negative_or_empty(node, positive, cfg.content)}


def _go_along(node: Passage, guide: GuiderSpec) -> None:
    node.give("guider", Signal(None, {GUIDE: guide}))


def _cfg_guider_back(node: Passage) -> None:
    refuse_unsupported(node, "positive", "negative", "cfg", "rescale")
    guide = GuiderSpec(node, "CFGGuider", {**_prompts(node), "cfg": node.inputs["cfg"]})
    rescale = node.inputs.get("rescale")
    if rescale is not None and rescale.content:
        guide = guide.patched(node, "RescaleCFG", multiplier=rescale)
    _go_along(node, guide)


def _basic_guider_back(node: Passage) -> None:
    _go_along(node, GuiderSpec(node, "BasicGuider", {"conditioning": node.inputs["conditioning"]}))


def _distilled_back(node: Passage) -> None:
    """One that tells a model its scale; there, prompts do."""
    refuse_unsupported(node, "positive", "guidance")
    prompt_node = node.add(
        "FluxGuidance",
        conditioning=node.inputs["positive"],
        guidance=node.inputs["guidance"],
    )
    prompt = MadeOutput(prompt_node, "CONDITIONING")
    _go_along(node, GuiderSpec(node, "BasicGuider", {"conditioning": prompt}))


def _dual_back(node: Passage) -> None:
    positive, cfg = node.inputs["positive"], node.inputs["cfg"].content
    inputs = {
        "cond1": positive,
        "cond2": node.inputs["second"],
        "negative": negative_or_empty(node, positive, cfg),
        "cfg_conds": node.inputs["cfg"],
        "cfg_cond2_negative": node.inputs["second_cfg"],
        "style": "regular",
    }
    _go_along(node, GuiderSpec(node, "DualCFGGuider", inputs))


def _negative_model_back(node: Passage) -> None:
    guide = guide_of(node)
    if guide.type != "CFGGuider":
        raise Untranslatable(
            "ComfyUI uses another model for the negative prompt only with a CFGGuider"
        )
    inputs = {**guide.inputs, "model_negative": node.inputs["model"]}
    _go_along(node, GuiderSpec(node, "DualModelGuider", inputs, guide.patches))


def _patched_back(patch: str, *native_inputs: str, **inputs: str) -> Translate:
    """The way back of a guider that is made of a CFGGuider by a patch of the model.

    Args:
        native_inputs: Native inputs besides that have a meaning there.
        inputs: The patch's inputs, and what they are called here.
    """

    def backward(node: Passage) -> None:
        refuse_unsupported(node, "positive", "negative", "cfg", *native_inputs, *inputs.values())
        guide = GuiderSpec(node, "CFGGuider", {**_prompts(node), "cfg": node.inputs["cfg"]})
        taken = {their: node.inputs[our] for their, our in inputs.items()}
        _go_along(node, guide.patched(node, patch, **taken))

    return backward


def _zero_star_back(node: Passage) -> None:
    zero = node.inputs.get("zero_steps")
    if zero is None or zero.content:
        node.tell("ComfyUI's CFG-Zero* has no zero steps at the start")
    _patched_back("CFGZeroStar", "zero_steps")(node)


def ksampler_back(node: Passage) -> None:
    settings = ("model", "positive", "negative", "latent", "seed", "steps", "cfg", "sampler")
    conventions = ("convention", "draw", "denoise_steps")
    refuse_unsupported(node, *settings, "schedule", "denoise", *conventions)
    _sampled(node, "KSampler", seed=node.inputs["seed"], denoise=node.inputs["denoise"])


def advanced_back(node: Passage) -> None:
    adds, leaves = node.literal("add_noise"), node.literal("leave_noise")
    last = node.inputs.get("end_step")
    end = (
        last
        if last is not None and last.content is not None
        else node.kept.get("end_at_step", 10000)
    )
    _sampled(
        node,
        "KSamplerAdvanced",
        add_noise="enable" if adds else "disable",
        noise_seed=node.inputs["seed"],
        start_at_step=node.inputs["start_step"],
        end_at_step=end,
        return_with_leftover_noise="enable" if leaves else "disable",
    )


def _sampled(node: Passage, there: str, **own: Any) -> None:
    """One of ComfyUI's two nodes that sample at once, with what both are told."""
    warn_conventions(node)
    positive, cfg = node.inputs["positive"], node.inputs["cfg"]
    name = node.add(
        there,
        model=node.inputs["model"],
        steps=node.inputs["steps"],
        cfg=cfg,
        sampler_name=exported_sampler(node),
        scheduler=exported_schedule(node),
        positive=positive,
        negative=negative_or_empty(node, positive, cfg.content),
        latent_image=node.inputs["latent"],
        **own,
    )
    node.give("latent", MadeOutput(name, "LATENT"))


def custom_back(node: Passage) -> None:
    """SampleCustom, with the guider and the schedule that come along."""
    warn_conventions(node)
    model, guider = _guider_there(node)
    name = node.add(
        "SamplerCustomAdvanced",
        noise=node.inputs["noise"],
        guider=guider,
        sampler=node.inputs["sampler"],
        sigmas=sigmas_for(node.inputs["schedule"], model),
        latent_image=node.inputs["latent"],
    )
    node.give("latent", MadeOutput(name, "output"))
    node.give("denoised", MadeOutput(name, "denoised_output"))


def _guider_there(node: Passage) -> tuple[Signal | MadeOutput | None, Signal | MadeOutput]:
    """A model and its guider; that of a pack does not show its model."""
    if "model" not in node.inputs:
        return None, node.inputs["guider"]
    guide = guide_of(node)
    model: Signal | MadeOutput = node.inputs["model"]
    for home, patch, inputs in (*guide.patches, *_beginning(node)):
        output = "patched_model" if patch in _PATCHED_MODEL else "MODEL"
        model = MadeOutput(home.add(patch, model=model, **inputs), output)
    return model, MadeOutput(guide.home.add(guide.type, model=model, **guide.inputs), "GUIDER")


_PATCHED_MODEL = ("CFGNorm", "CFGZeroStar", "Mahiro", "TCFG")


def _beginning(node: Passage) -> tuple[tuple[Passage, str, Mapping[str, Any]], ...]:
    """Patches that stand for what noise and latent say here."""
    patches: list[tuple[Passage, str, Mapping[str, Any]]] = []
    if NOISE_SCALE in (noise := node.inputs["noise"].carried):
        home, scale = noise[NOISE_SCALE]
        patches.append((home, "ModelNoiseScale", {"noise_scale": scale}))
    if GRADUAL in (latent := node.inputs["latent"].carried):
        home, strength = latent[GRADUAL]
        patches.append((home, "DifferentialDiffusion", {"strength": strength}))
    return tuple(patches)


def _noisy(node: Passage) -> None:
    model = node.inputs["model"]
    name = node.add(
        "AddScheduleNoise",
        model=model,
        noise=scale_noise(node, node.inputs["noise"], model.carried.get(PATCHES, ())),
        schedule=node.inputs["sigmas"],
        latent=node.inputs["latent_image"],
        **CONVENTION,
    )
    node.give("LATENT", MadeOutput(name, "latent"))


def _noisy_back(node: Passage) -> None:
    warn_conventions(node)
    if NOISE_SCALE in node.inputs["noise"].carried:
        raise Untranslatable("ComfyUI scales noise only in a sampler")
    name = node.add(
        "AddNoise",
        model=node.inputs["model"],
        noise=node.inputs["noise"],
        sigmas=sigmas_for(node.inputs["schedule"], node.inputs["model"]),
        latent_image=node.inputs["latent"],
    )
    node.give("latent", MadeOutput(name, "LATENT"))


def random_noise_back(node: Passage) -> None:
    warn_conventions(node)
    name = node.add("RandomNoise", noise_seed=node.inputs["seed"])
    node.give("noise", MadeOutput(name, "NOISE"))


CONVENTION = {"convention": "comfyui"}
DRAW = {"draw": "per batch"}


_DROPPING = ("dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2")
"""Samplers that KSampler there gives one level more, and leaves out the last but one."""


def _ksampler(node: Passage) -> None:
    if node.inputs["denoise"].content == 0:
        node.tell("nothing is denoised: the latent passes through unchanged")
        node.give("LATENT", node.inputs["latent_image"])
        return
    leads = guided(node)
    if leads.patches:
        sample_in_parts(node, leads, guider(node, leads, node.inputs["cfg"]))
        return
    name = node.add(
        "KSampler",
        model=leads.model,
        positive=leads.positive,
        negative=leads.negative,
        latent=node.inputs["latent_image"],
        seed=node.inputs["seed"],
        cfg=node.inputs["cfg"],
        sampler=native_sampler(node),
        **_settings(node),
        **CONVENTION,
        **DRAW,
    )
    node.give("LATENT", MadeOutput(name, "latent"))
    keep_name(node)


def _settings(node: Passage) -> dict[str, Any]:
    """The steps of a KSampler."""
    settings = {"steps": node.inputs["steps"], "denoise": node.inputs["denoise"]}
    return {**settings, "schedule": node.inputs["scheduler"], "denoise_steps": "all"}


def sample_in_parts(node: Passage, leads: PatchedModel, made: MadeOutput) -> None:
    """A KSampler with a guider.

    Args:
        made: The guider.
    """
    sampler = native_sampler(node)
    drops = {"drop_last": True} if comfyui_sampler(node) in _DROPPING else {}
    schedule = MadeOutput(node.add("BasicSchedule", **_settings(node), **drops), "schedule")
    noise = MadeOutput(node.add("RandomNoise", seed=node.inputs["seed"], **DRAW), "noise")
    select = MadeOutput(node.add("SelectSampler", sampler=sampler), "sampler")
    name = _custom(node, leads, noise, made, select, schedule)
    node.give("LATENT", MadeOutput(name, "latent"))
    keep_name(node)


def _custom(
    node: Passage,
    leads: PatchedModel | None,
    noise: Signal | MadeOutput,
    made: Signal | MadeOutput,
    sampler: Signal | MadeOutput,
    schedule: Signal | MadeOutput,
) -> str:
    patches = () if leads is None else leads.patches
    return node.add(
        "SampleCustom",
        # The guider of a pack brings its model.
        **({} if leads is None else {"model": leads.model}),
        noise=scale_noise(node, noise, patches),
        guider=made,
        sampler=sampler,
        schedule=schedule,
        latent=add_mask_patches(node, node.inputs["latent_image"], patches),
        **CONVENTION,
    )


def _advanced(node: Passage) -> None:
    leads = guided(node)
    adds = node.literal("add_noise") == "enable"
    leaves = node.literal("return_with_leftover_noise") == "enable"
    start, end = node.inputs["start_at_step"], _end_step(node)
    if leads.patches:
        made = guider(node, leads, node.inputs["cfg"])
        sample_steps_in_parts(node, leads, made, adds=adds, leaves=leaves)
        return
    name = node.add(
        "KSamplerAdvanced",
        model=leads.model,
        positive=leads.positive,
        negative=leads.negative,
        latent=node.inputs["latent_image"],
        seed=node.inputs["noise_seed"],
        steps=node.inputs["steps"],
        cfg=node.inputs["cfg"],
        sampler=native_sampler(node),
        schedule=node.inputs["scheduler"],
        start_step=start,
        end_step=end,
        add_noise=adds,
        leave_noise=leaves,
        **CONVENTION,
        **DRAW,
    )
    keep_name(node)
    node.keep(end_at_step=node.inputs["end_at_step"].content)
    node.give("LATENT", MadeOutput(name, "latent"))


def _end_step(node: Passage) -> Signal | None:
    """The last step, if it ends before the schedule does."""
    end, steps = node.inputs["end_at_step"], node.inputs["steps"]
    if end.is_link:
        return end
    limit = 10000 if steps.is_link else steps.content
    return None if end.content >= limit else end


def sample_steps_in_parts(
    node: Passage, leads: PatchedModel, made: MadeOutput, *, adds: bool, leaves: bool
) -> None:
    """Some steps of a sampling whose guidance no KSampler has.

    Args:
        made: The guider.
        adds, leaves: Whether noise is added first, and left at the end.
    """
    end = _end_step(node)
    if end is not None and not leaves:
        raise Untranslatable("nodegraph cannot replace the omitted last steps by a single step")
    steps = {"schedule": node.inputs["scheduler"], "steps": node.inputs["steps"]}
    schedule = MadeOutput(node.add("BasicSchedule", **steps), "schedule")
    if end is not None:
        schedule = MadeOutput(node.add("SplitSchedule", schedule=schedule, step=end), "high")
    start = node.inputs["start_at_step"]
    if start.is_link or start.content > 0:
        schedule = MadeOutput(node.add("SplitSchedule", schedule=schedule, step=start), "low")
    kind = "RandomNoise" if adds else "NoNoise"
    noise = MadeOutput(node.add(kind, seed=node.inputs["noise_seed"], **DRAW), "noise")
    sampler = MadeOutput(node.add("SelectSampler", sampler=native_sampler(node)), "sampler")
    name = _custom(node, leads, noise, made, sampler, schedule)
    node.give("LATENT", MadeOutput(name, "latent"))


def _sampler_custom(node: Passage) -> None:
    leads = guided(node)
    kind = "RandomNoise" if node.literal("add_noise") else "NoNoise"
    noise = MadeOutput(node.add(kind, seed=node.inputs["noise_seed"], **DRAW), "noise")
    made = guider(node, leads, node.inputs["cfg"])
    sampler, sigmas = node.inputs["sampler"], node.inputs["sigmas"]
    _give_both(node, _custom(node, leads, noise, made, sampler, sigmas))


def _sampler_custom_advanced(node: Passage) -> None:
    made = node.inputs["guider"]
    leads = made.carried.get(CONDITIONED_MODEL)
    if leads is not None and predict_image(node, leads):
        return
    parts = (node.inputs["noise"], Signal(made.content), node.inputs["sampler"])
    _give_both(node, _custom(node, leads, *parts, node.inputs["sigmas"]))


def _random_noise(node: Passage) -> None:
    made = node.add("RandomNoise", seed=node.inputs["noise_seed"], **DRAW)
    node.give("NOISE", MadeOutput(made, "noise"))


def _give_both(node: Passage, name: str) -> None:
    node.give("output", MadeOutput(name, "latent"))
    node.give("denoised_output", MadeOutput(name, "denoised"))


_SEED = "noise_seed: INT = 0 @control"
_STEPS = "steps: INT = 20"
_LEAD = "positive: CONDITIONING, negative: CONDITIONING"
_NAMES = 'sampler_name: COMBO = "euler", scheduler: COMBO = "simple"'

ENTRIES: tuple[TableEntry, ...] = (
    entry(
        f"CFGGuider(model: MODEL, {_LEAD}, cfg: FLOAT = 8.0) -> GUIDER",
        _cfg_guider,
        "CFGGuider",
        _cfg_guider_back,
    ),
    entry(
        "BasicGuider(model: MODEL, conditioning: CONDITIONING) -> GUIDER",
        _basic_guider,
        "BasicGuider",
        _basic_guider_back,
    ),
    entry(
        "DualCFGGuider(model: MODEL, cond1: CONDITIONING, cond2: CONDITIONING, "
        "negative: CONDITIONING, cfg_conds: FLOAT = 8.0, cfg_cond2_negative: FLOAT = 8.0, "
        'style: COMBO = "regular") -> GUIDER',
        _dual_cfg_guider,
        "DualCFGGuider",
        _dual_back,
    ),
    entry(
        "DualModelGuider(model: MODEL, positive: CONDITIONING, cfg: FLOAT = 4.0, "
        "model_negative: MODEL?, negative: CONDITIONING?) -> GUIDER",
        _dual_model_guider,
        "NegativeModel",
        _negative_model_back,
    ),
    entry(
        f"PerpNegGuider(model: MODEL, {_LEAD}, empty_conditioning: CONDITIONING, "
        "cfg: FLOAT = 8.0, neg_scale: FLOAT = 1.0) -> GUIDER",
        _perpendicular,
    ),
    only_back("DistilledGuider", _distilled_back),
    only_back("ZeroStarGuider", _zero_star_back),
    only_back("TangentialGuider", _patched_back("TCFG")),
    only_back(
        "ProjectedGuider",
        _patched_back("APG", eta="along", norm_threshold="longest", momentum="momentum"),
    ),
    entry(
        f"KSampler(model: MODEL, seed: INT = 0 @control, {_STEPS}, cfg: FLOAT = 8.0, {_NAMES}, "
        f"{_LEAD}, latent_image: LATENT, denoise: FLOAT = 1.0) -> LATENT",
        _ksampler,
        "KSampler",
        ksampler_back,
    ),
    entry(
        f'KSamplerAdvanced(model: MODEL, add_noise: COMBO = "enable", {_SEED}, {_STEPS}, '
        f"cfg: FLOAT = 8.0, {_NAMES}, {_LEAD}, latent_image: LATENT, start_at_step: INT = 0, "
        'end_at_step: INT = 10000, return_with_leftover_noise: COMBO = "disable") -> LATENT',
        _advanced,
        "KSamplerAdvanced",
        advanced_back,
    ),
    entry(
        "SamplerCustomAdvanced(noise: NOISE, guider: GUIDER, sampler: SAMPLER, sigmas: SIGMAS, "
        "latent_image: LATENT) -> output: LATENT, denoised_output: LATENT",
        _sampler_custom_advanced,
        "SampleCustom",
        custom_back,
    ),
    entry(
        f"SamplerCustom(model: MODEL, add_noise: BOOLEAN = true, {_SEED}, cfg: FLOAT = 8.0, "
        f"{_LEAD}, sampler: SAMPLER, sigmas: SIGMAS, latent_image: LATENT)"
        " -> output: LATENT, denoised_output: LATENT",
        _sampler_custom,
    ),
    entry(
        "AddNoise(model: MODEL, noise: NOISE, sigmas: SIGMAS, latent_image: LATENT) -> LATENT",
        _noisy,
        "AddScheduleNoise",
        _noisy_back,
    ),
    entry(
        f"RandomNoise({_SEED}) -> NOISE",
        _random_noise,
        "RandomNoise",
        random_noise_back,
    ),
    entry(
        "DisableNoise() -> NOISE",
        lambda node: node.give("NOISE", MadeOutput(node.add("NoNoise", **DRAW), "noise")),
        "NoNoise",
        lambda node: node.give("noise", MadeOutput(node.add("DisableNoise"), "NOISE")),
    ),
)
