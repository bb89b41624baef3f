"""Guiders: CFG, dual CFG, perpendicular negative and others."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry
from nodegraph.interop.comfyui.table.carried_values import (
    CONDITIONED_MODEL,
    GUIDE,
    GuiderSpec,
    PatchedModel,
    conditioned_model,
    guide_of,
    guider,
    negative_or_empty,
    only_back,
    refuse_unsupported,
    wrapped,
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


_OF_ONE = ("PerturbedAttentionGuidance", "SelfAttentionGuidance", "SkipLayerGuidanceDiT")


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
    leads = conditioned_model(
        node, node.inputs["model"], node.inputs["cond1"], node.inputs["negative"]
    )
    name = node.add(
        "DualCFGGuider",
        positive=leads.positive,
        second=node.inputs["cond2"],
        negative=leads.negative,
        cfg=node.inputs["cfg_conds"],
        second_cfg=node.inputs["cfg_cond2_negative"],
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


_LEAD = "positive: CONDITIONING, negative: CONDITIONING"

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
)
