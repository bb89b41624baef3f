"""Additional guidance on top of a guider, and changes to how a guider is applied."""

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
    Seed,
    node,
)
from nodegraph.families.helper_recipes import LatentClassifier
from nodegraph.models.helper_files import BUNDLED_CLASSIFIER, locate_classifier, open_classifier
from nodegraph.sampling.guiders.added_guidance import (
    Classified,
    FurtherNegative,
    PerturbedAttention,
    SelfAttention,
    SkippedLayers,
    SmoothedEnergy,
    WeakerModel,
)
from nodegraph.sampling.guiders.base import (
    SCALE_LAWS,
    TILING_STRATEGIES,
    AddedGuidance,
    ChangingScale,
    TiledEvaluation,
)
from nodegraph.sampling.guiders.checks import layer_names
from nodegraph.sampling.guiders.context_windows import (
    CONTEXT_FRAMES,
    CONTEXT_SCHEDULES,
    FUSE_METHODS,
    WINDOW_UNITS,
    WindowedEvaluation,
)
from nodegraph.sampling.sampling_parts import GuiderChoice

from ._guider_facts import (
    auto_guidance_estimate,
    changing_scale_facts,
    check_classified,
    check_classifier,
    check_context_windows,
    check_guided_part,
    check_perturbed,
    classifier_facts,
    classifier_guidance_facts,
    classifier_state,
    extra_prompt_facts,
    guider_facts,
    perturbed_attention_facts,
    skipped_layer_facts,
    tiled_facts,
    unet_facts,
    windowed_facts,
)

Scale = Annotated[float, Range(0, 100, step=0.1)]
Share = Annotated[float, Range(0, 1, step=0.01)]


@node(category="sampling/guider", infer=guider_facts, tags=("RescaleCFG", "overexposure"))
def RescaleGuidance(
    guider: GuiderChoice,
    rescale: Share = 0.7,
    of: Annotated[Literal["output", "velocity"], Advanced()] = "output",
) -> GuiderChoice:
    """Rescale a guider's prediction to the standard deviation of the positive prompt's.

    It prevents overexposed images at high guidance scales.

    Args:
        guider: The guider to change.
        rescale: Strength of the rescaling. Use 0.7 for models trained with zero terminal SNR.
        of: Quantity that is rescaled: the network's output, or its velocity, as in ComfyUI. For
            models that predict velocities both are the same.
    """
    return replace(guider, rescale=rescale, rescales_velocity=of == "velocity")


@node(
    category="sampling/guider",
    infer=guider_facts,
    validate=check_guided_part,
    tags=("interval", "CFG start", "CFG end", "skip", "faster"),
)
def LimitGuidance(guider: GuiderChoice, start: Share = 0.2, end: Share = 0.8) -> GuiderChoice:
    """Apply guidance only in a part of the sampling: more variety, and less time.

    In the other steps only the positive prompt is used. Guidance added to the guider keeps its own
    part.

    Args:
        guider: The guider to change.
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
    """Change the guidance scale during sampling, from the guider's scale to another one.

    Steps with a scale of 1 take half the time, because only the positive prompt is evaluated.

    Args:
        guider: The guider to change. Its scale is used in the first step.
        cfg: Guidance scale of the last step, smaller or larger.
        law: Curve of the change: linear, smooth at both ends, or mostly in the last steps. With
            within, the new scale applies from start to end, and the guider's scale before and
            after.
        start, end: Part of the sampling in which the scale changes, 0 to 1.
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
    """Perturbed-attention guidance (PAG): clearer structure.

    It guides away from the prediction of the model with self-attention switched off in some layers.
    It works without a prompt and on top of any guider, and needs one more model evaluation per
    step.

    Args:
        guider: The guider to extend.
        scale: Scale of this guidance.
        layers: Layers to change: block numbers of a transformer (`7, 8, 9`, `single.3`), or parts
            of a UNet (`mid`, `down.1`, `up.0.2`). Empty uses the middle of the network.
        start, end: Part of the sampling in which it applies, 0 to 1.
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
    """Smoothed energy guidance (SEG): guidance away from blurred attention. Gentler than PAG.

    It guides away from the prediction of a UNet whose self-attention is blurred in some layers.

    Args:
        guider: The guider to extend.
        scale: Scale of this guidance.
        blur: Standard deviation of the blur in cells of the layer. 9999 replaces the attention by
            its mean.
        layers: Layers to change: block numbers of a transformer (`7, 8, 9`, `single.3`), or parts
            of a UNet (`mid`, `down.1`, `up.0.2`). Empty uses the middle of the network.
        start, end: Part of the sampling in which it applies, 0 to 1.
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
    """Self-attention guidance (SAG): clearer details.

    It guides away from a UNet's prediction for an image that is blurred where its attention is
    high.

    Args:
        guider: The guider to extend.
        scale: Scale of this guidance.
        blur: Standard deviation of the blur in latent cells.
        start, end: Part of the sampling in which it applies, 0 to 1.
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
    """Skip-layer guidance (SLG): better anatomy.

    It guides away from the prediction of the model without some of its layers. It was made for
    Stable Diffusion 3.5 Medium, with layers `7, 8, 9`.

    Args:
        guider: The guider to extend.
        scale: Scale of this guidance. With the negative prompt it has no effect; cfg is used
            instead.
        layers: Layers to skip: block numbers of a transformer (`7, 8, 9`, `single.3`), or parts of
            a UNet (`mid`, `down.1`, `up.0.2`). Empty uses the middle of the network.
        start, end: Part of the sampling in which it applies, 0 to 1.
        prompt: Prompt that is evaluated without these layers. The positive prompt needs one more
            evaluation per step. The negative prompt without the layers replaces the usual one, at
            no extra time.
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
    """Autoguidance: guidance away from a weaker model, for example a smaller or less trained one.

    Both models are in memory at once. With a BasicGuider, a scale of 1 equals a guidance scale of
    2.

    Args:
        guider: The guider to extend.
        weaker: A weaker model of the same family, for example without a LoRA.
        scale: Scale of this guidance.
        start, end: Part of the sampling in which it applies, 0 to 1.
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
    """Add a second negative prompt with a separate scale.

    Args:
        guider: The guider to extend.
        negative: Prompt for what the image should avoid.
        scale: Scale of this guidance.
        perpendicular: Use only the part that is perpendicular to the positive prompt (Perp-Neg).
        start, end: Part of the sampling in which it applies, 0 to 1.
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
    """Load a classifier of noisy latents, for ClassifierGuidance.

    Args:
        classifier: Name under a models folder or path of a .safetensors file, or the included
            tiny/guidance_classifier, for the model tiny.
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
    """Classifier guidance: guide by the gradient of a classifier, towards a label or a background.

    Args:
        guider: The guider to extend. With a BasicGuider and an empty prompt, only the classifier
            guides.
        classifier: A classifier from LoadClassifier, trained on noisy latents of the same model.
        label: Name of the wanted object, as the classifier knows it. Empty means any.
        background: Name of the wanted background color. Empty means any.
        scale: Scale of this guidance.
        start, end: Part of the sampling in which it applies, 0 to 1.
    """
    added = Classified(scale, start, end, classifier=classifier, label=label, background=background)
    return _with(guider, added)


@node(
    category="sampling/guider",
    infer=tiled_facts,
    tags=(
        *("tiled sampling", "BNK_TiledKSampler", "BNK_TiledKSamplerAdvanced", "TiledDiffusion"),
        *("MultiDiffusion", "tiles", "large images", "upscale"),
    ),
)
def TiledGuidance(
    guider: GuiderChoice,
    tile_width: Annotated[int, Range(64, 16384, step=8)] = 1024,
    tile_height: Annotated[int, Range(64, 16384, step=8)] = 1024,
    strategy: Annotated[str, Choices(TILING_STRATEGIES)] = "random strict",
    seed: Annotated[int, Seed()] = 0,
) -> GuiderChoice:
    """Evaluate the model tile by tile in each step, for images larger than the model can take.

    It works with every sampler. Each tile has the prompts of its part of the image: areas, masks
    and control images are cropped. A tile that covers the image changes nothing.

    Args:
        guider: The guider to change.
        tile_width, tile_height: Size of the tiles in pixels. Use about the training size of the
            model.
        strategy: random: bricks at another position in each step, which leaves no seams but cuts
            tiles at the edges of the image. random strict: the same, but tiles at the edges keep
            their size. padded: a fixed grid of half the tile size, where each part is evaluated
            with its surroundings, in up to 4 times as many evaluations. simple: a fixed grid,
            without overlap, which may leave seams.
        seed: Seed of the positions of random and random strict.
    """
    return replace(guider, tiling=TiledEvaluation(tile_width, tile_height, strategy, seed))


@node(
    category="sampling/guider",
    infer=windowed_facts,
    validate=check_context_windows,
    tags=(
        *("ContextWindowsManual", "WanContextWindowsManual", "LTXVContextWindows"),
        *("long video", "sliding window", "context options", "FreeNoise", "infinite length"),
    ),
)
def ContextWindows(
    guider: GuiderChoice,
    length: Annotated[int, Range(1, 16384)] = 81,
    overlap: Annotated[int, Range(0, 16384)] = 16,
    unit: Annotated[str, Choices(WINDOW_UNITS), Advanced()] = "frames",
    schedule: Annotated[str, Choices(CONTEXT_SCHEDULES)] = "standard_static",
    stride: Annotated[int, Range(1, 16), Advanced()] = 1,
    closed_loop: Annotated[bool, Advanced()] = False,
    fuse_method: Annotated[str, Choices(FUSE_METHODS)] = "pyramid",
    context_frame: Annotated[str, Choices(CONTEXT_FRAMES)] = "previous frame",
    free_noise: bool = True,
    split_prompts: Annotated[bool, Advanced()] = False,
) -> GuiderChoice:
    """Evaluate a video model in overlapping windows of frames, for longer videos than it can make.

    In each step, the predictions of all windows are averaged where they overlap. It works with
    every sampler. A window that covers the video changes nothing.

    Args:
        guider: The guider to change.
        length: Frames of a window. Use about the training length of the model.
        overlap: Frames that two windows share, fewer than length.
        unit: What length and overlap count: frames, or latent frames, which stand for several.
        schedule: standard_static: the same windows in each step. standard_uniform: windows that
            start elsewhere in each step. looped_uniform: the same, and windows at the end continue
            at the beginning, for videos that loop. batched: windows side by side, without overlap.
        stride: For uniform schedules: 1 for consecutive frames. 2 adds windows of every second
            frame, 3 of every fourth, and so on, as far as they fit into the video.
        closed_loop: Let looped windows also overlap where the video starts again.
        fuse_method: Weights of a window's frames. pyramid: more towards its middle. relative: the
            same, almost nothing at its ends. flat: all alike. overlap-linear: ramps over the
            overlap.
        context_frame: Frame that the model sees before a later window, without changing it: none,
            the previous frame, or the same with the conditioning of the video's first frame.
        free_noise: Start later frames from the noise of earlier ones, shuffled, so that windows
            agree more.
        split_prompts: Let several prompts apply one after the other, each in its part of the video.
    """
    windows = WindowedEvaluation(
        length,
        overlap,
        unit,
        schedule,
        stride,
        closed_loop,
        fuse_method,
        context_frame,
        free_noise,
        split_prompts,
    )
    return replace(guider, windows=windows)


def _with(guider: GuiderChoice, added: AddedGuidance) -> GuiderChoice:
    return replace(guider, added=(*guider.added, added))
