"""Guidance that is put on top of a guider, and changes of how a guider leads."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from nodegraph import (
    Advanced,
    Choices,
    Conditioning,
    Context,
    DiffusionModel,
    File,
    Range,
    node,
)
from nodegraph.families.helper_recipes import LatentClassifier
from nodegraph.models.classifier_files import BUNDLED_CLASSIFIER, locate_classifier, open_classifier
from nodegraph.sampling.guiders.added_guidance import (
    Classified,
    FurtherNegative,
    PerturbedAttention,
    SelfAttention,
    SkippedLayers,
    SmoothedEnergy,
    WeakerModel,
)
from nodegraph.sampling.guiders.base import SCALE_LAWS, AddedGuidance, ChangingScale
from nodegraph.sampling.guiders.layers import layer_names
from nodegraph.sampling.sampling_parts import GuiderChoice

from ._guider_facts import (
    auto_guidance_estimate,
    changing_scale_facts,
    check_classified,
    check_classifier,
    check_guided_part,
    check_perturbed,
    classifier_facts,
    classifier_guidance_facts,
    classifier_state,
    extra_prompt_facts,
    guider_facts,
    perturbed_attention_facts,
    skipped_layer_facts,
    unet_facts,
)

Scale = Annotated[float, Range(0, 100, step=0.1)]
Share = Annotated[float, Range(0, 1, step=0.01)]


@node(category="sampling/guider", infer=guider_facts, tags=("RescaleCFG", "overexposure"))
def RescaleGuidance(
    guider: GuiderChoice,
    rescale: Share = 0.7,
    of: Annotated[Literal["output", "velocity"], Advanced()] = "output",
) -> GuiderChoice:
    """Bring a guider's answer to the spread of the positive prompt's, against glaring pictures.

    Args:
        guider: What leads.
        rescale: How far; 0.7 for models trained to zero SNR.
        of: What has that spread: what the network gives, or its velocity, as in ComfyUI. Of models
            that predict velocities both are one.
    """
    return replace(guider, rescale=rescale, rescales_velocity=of == "velocity")


@node(
    category="sampling/guider",
    infer=guider_facts,
    validate=check_guided_part,
    tags=("interval", "CFG start", "CFG end", "skip", "faster"),
)
def LimitGuidance(guider: GuiderChoice, start: Share = 0.2, end: Share = 0.8) -> GuiderChoice:
    """Guide in a part of the sampling only: more variety, and less time.

    In the rest the positive prompt leads alone. What was added to the guider keeps its own part.

    Args:
        guider: What leads.
        start, end: Part of the sampling that is guided, 0 to 1.
    """
    return replace(guider, start=start, end=end)


@node(
    category="sampling/guider",
    infer=changing_scale_facts,
    validate=check_guided_part,
    tags=("CFG schedule", "dynamic CFG", "linear", "cosine", "CFGOverride"),
)
def ChangingGuidance(
    guider: GuiderChoice,
    cfg: Scale = 1.0,
    law: Annotated[str, Choices(SCALE_LAWS)] = "linear",
    start: Annotated[Share, Advanced()] = 0.0,
    end: Annotated[Share, Advanced()] = 1.0,
) -> GuiderChoice:
    """Let the guidance scale go from the guider's to another one on the way.

    Steps in which it is 1 take half the time, as the positive prompt then leads alone.

    Args:
        guider: What leads; its scale is that of the first step.
        cfg: The scale of the last step, smaller or larger.
        law: How it goes: evenly, gently at both ends, or mostly in the last steps. With within, it
            is the other one from start to end, and the guider's before and after.
        start, end: Part of the sampling in which it changes, 0 to 1.
    """
    return replace(guider, changing=ChangingScale(cfg, law, start, end))


@node(
    category="sampling/guider",
    infer=perturbed_attention_facts,
    validate=check_perturbed,
    tags=("PAG", "perturbed attention", "structure", "anatomy"),
)
def PerturbedAttentionGuidance(
    guider: GuiderChoice,
    scale: Scale = 3.0,
    layers: str = "",
    start: Annotated[Share, Advanced()] = 0.0,
    end: Annotated[Share, Advanced()] = 1.0,
) -> GuiderChoice:
    """Lead away from what the model says where its attention is switched off: clearer structure.

    Works without a prompt and on top of any guider, as one more question to the model per step.

    Args:
        guider: What leads besides.
        scale: How strongly it leads.
        layers: Where: numbers of a transformer's blocks (`7, 8, 9`, `single.3`), parts of a UNet
            (`mid`, `down.1`, `up.0.2`); empty for the middle of the network.
        start, end: Part of the sampling in which it does, 0 to 1.
    """
    return _with(guider, PerturbedAttention(scale, start, end, layer_names(layers)))


@node(
    category="sampling/guider",
    infer=unet_facts,
    validate=check_perturbed,
    tags=("SEG", "smoothed energy", "blurred attention", "structure"),
)
def SmoothedEnergyGuidance(
    guider: GuiderChoice,
    scale: Scale = 3.0,
    blur: Annotated[float, Range(0.1, 9999, step=0.1)] = 9999.0,
    layers: str = "",
    start: Annotated[Share, Advanced()] = 0.0,
    end: Annotated[Share, Advanced()] = 1.0,
) -> GuiderChoice:
    """Lead away from what a UNet says where its attention is blurred: gentler than switched off.

    Args:
        guider: What leads besides.
        scale: How strongly it leads.
        blur: Standard deviation in cells of the layer; 9999 is the mean of all.
        layers: Where: numbers of a transformer's blocks (`7, 8, 9`, `single.3`), parts of a UNet
            (`mid`, `down.1`, `up.0.2`); empty for the middle of the network.
        start, end: Part of the sampling in which it does, 0 to 1.
    """
    return _with(guider, SmoothedEnergy(scale, start, end, layer_names(layers), blur))


@node(
    category="sampling/guider",
    infer=unet_facts,
    validate=check_guided_part,
    tags=("SAG", "self attention", "details"),
)
def SelfAttentionGuidance(
    guider: GuiderChoice,
    scale: Scale = 0.75,
    blur: Annotated[float, Range(0.1, 10, step=0.1)] = 1.0,
    start: Annotated[Share, Advanced()] = 0.0,
    end: Annotated[Share, Advanced()] = 1.0,
) -> GuiderChoice:
    """Lead away from what a UNet says of a picture blurred where it looks: clearer details.

    Args:
        guider: What leads besides.
        scale: How strongly it leads.
        blur: Standard deviation in cells of the latent.
        start, end: Part of the sampling in which it does, 0 to 1.
    """
    return _with(guider, SelfAttention(scale, start, end, blur))


@node(
    category="sampling/guider",
    infer=skipped_layer_facts,
    validate=check_perturbed,
    tags=(
        *("SLG", "STG", "skip layers", "SkipLayerGuidanceSD3", "SkipLayerGuidanceDiT", "anatomy"),
        "SkipLayerGuidanceDiTSimple",
    ),
)
def SkipLayerGuidance(
    guider: GuiderChoice,
    scale: Scale = 2.8,
    layers: str = "",
    start: Share = 0.01,
    end: Share = 0.2,
    prompt: Literal["positive", "negative"] = "positive",
) -> GuiderChoice:
    """Lead away from what the model says without some of its layers: better anatomy.

    Made for Stable Diffusion 3.5 Medium, with layers `7, 8, 9`.

    Args:
        guider: What leads besides.
        scale: How strongly it leads; nothing to the negative prompt, which cfg leads away from.
        layers: Where: numbers of a transformer's blocks (`7, 8, 9`, `single.3`), parts of a UNet
            (`mid`, `down.1`, `up.0.2`); empty for the middle of the network.
        start, end: Part of the sampling in which it does, 0 to 1.
        prompt: What is asked without those layers: the positive prompt once more, or the negative
            one in place of asking the whole model, which takes no more time.
    """
    adds = prompt == "positive"
    return _with(guider, SkippedLayers(scale, start, end, layer_names(layers), adds=adds))


@node(
    category="sampling/guider",
    infer=guider_facts,
    validate=check_guided_part,
    estimate=auto_guidance_estimate,
    tags=("AutoGuidance", "bad version of itself", "weak model"),
)
def AutoGuidance(
    guider: GuiderChoice,
    weaker: DiffusionModel,
    scale: Scale = 1.0,
    start: Annotated[Share, Advanced()] = 0.0,
    end: Annotated[Share, Advanced()] = 1.0,
) -> GuiderChoice:
    """Lead away from what a weaker model says: a smaller one, or one that was trained less.

    Both are in memory at once. With a BasicGuider, a scale of 1 is a guidance scale of 2.

    Args:
        guider: What leads besides.
        weaker: Of the same family as the model, such as one with a LoRA less.
        scale: How strongly it leads.
        start, end: Part of the sampling in which it does, 0 to 1.
    """
    return _with(guider, WeakerModel(scale, start, end, model=weaker))


@node(
    category="sampling/guider",
    infer=extra_prompt_facts,
    validate=check_guided_part,
    tags=(
        "PerpNeg",
        "second negative",
        "negative weight",
        "composable",
        "PerpNegGuider",
        "Perp-Neg",
    ),
)
def AddNegative(
    guider: GuiderChoice,
    negative: Conditioning,
    scale: Scale = 1.0,
    perpendicular: bool = False,
    start: Annotated[Share, Advanced()] = 0.0,
    end: Annotated[Share, Advanced()] = 1.0,
) -> GuiderChoice:
    """One more negative prompt, with a scale of its own.

    Args:
        guider: What leads besides.
        negative: What the picture is to stay away from.
        scale: How strongly.
        perpendicular: Only away from what it doesn't share with the positive prompt (Perp-Neg).
        start, end: Part of the sampling in which it does, 0 to 1.
    """
    added = FurtherNegative(scale, start, end, negative=negative, apart=perpendicular)
    return _with(guider, added)


@node(
    category="models",
    infer=classifier_facts,
    validate=check_classifier,
    fingerprint=classifier_state,
    tags=("classifier guidance", "open"),
)
def LoadClassifier(
    ctx: Context, classifier: Annotated[str, File("model")] = BUNDLED_CLASSIFIER
) -> LatentClassifier:
    """Open a classifier of noisy latents, for ClassifierGuidance.

    Args:
        classifier: Name under a models folder or path of a .safetensors file, or
            tiny/guidance_classifier, which comes along with the model tiny.
    """
    return open_classifier(locate_classifier(classifier, ctx.environment.models))


@node(
    category="sampling/guider",
    infer=classifier_guidance_facts,
    validate=check_classified,
    tags=("classifier guidance", "gradient", "class", "label"),
)
def ClassifierGuidance(
    guider: GuiderChoice,
    classifier: LatentClassifier,
    label: str = "",
    background: str = "",
    scale: Scale = 3.0,
    start: Annotated[Share, Advanced()] = 0.0,
    end: Annotated[Share, Advanced()] = 1.0,
) -> GuiderChoice:
    """Lead by the gradient of a classifier: towards pictures that it takes for what is wished.

    Args:
        guider: What leads besides; with a BasicGuider of an empty prompt the classifier alone.
        classifier: Of LoadClassifier, trained on the noisy latents of the same model.
        label: Name of the object that is wished for, as the classifier has it; empty for any.
        background: Name of the background colour; empty for any.
        scale: How strongly it leads.
        start, end: Part of the sampling in which it does, 0 to 1.
    """
    added = Classified(scale, start, end, classifier=classifier, label=label, background=background)
    return _with(guider, added)


def _with(guider: GuiderChoice, added: AddedGuidance) -> GuiderChoice:
    return replace(guider, added=(*guider.added, added))
