"""ControlNets and T2I adapters: load them and apply control images."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from nodegraph import (
    BLOCKED,
    Advanced,
    Choices,
    Conditioning,
    Context,
    ControlNet,
    File,
    Image,
    Mask,
    Range,
    Vae,
    node,
)
from nodegraph.families.embedded_models import EMBEDDED
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.model_recipes import DTYPES
from nodegraph.sampling.controls.files import find_control, open_control
from nodegraph.sampling.controls.kinds import MODES, NO_MODE
from nodegraph.weights.precision.storage import AUTO, STORAGES

from ._control_facts import (
    check_control,
    check_controlled,
    control_estimate,
    control_outputs,
    control_state,
    control_weights,
)
from ._facts import log_precision


class LoadedControlNet(NamedTuple):
    control_net: ControlNet


@node(
    category="control",
    label="Load ControlNet",
    lane="io",
    infer=control_outputs,
    validate=check_control,
    fingerprint=control_state,
    estimate=control_weights,
    tags=(
        "ControlNetLoader",
        "DiffControlNetLoader",
        "T2I adapter",
        "union",
        "promax",
        "canny",
        "depth",
        "pose",
        "openpose",
        "dwpose",
        "mlsd",
        "zoe",
        "normalbae",
    ),
)
def LoadControlNet(
    ctx: Context,
    control_net: Annotated[str, File("model")] = f"{EMBEDDED}/controlnet",
    *,
    dtype: Annotated[str, Choices(DTYPES)] = AUTO,
    storage: Annotated[str, Choices(STORAGES), Advanced()] = AUTO,
) -> LoadedControlNet:
    """Load a ControlNet or T2I adapter, to control a model by an image.

    Args:
        control_net: Name under a models folder, or path: a .safetensors file with original or
            diffusers key names, or a folder in the diffusers layout. For Stable Diffusion 1.x, 2.x,
            XL and 3, Kolors, Hunyuan-DiT, Flux.1, Qwen-Image, Z-Image, Anima and Cosmos
            Transfer2.5. tiny/controlnet is included: it controls the model tiny by edges.
        dtype: Compute precision, as for LoadModel.
        storage: Precision in which the weights are stored in memory, as for LoadModel.
    """
    environment = ctx.environment
    allow = environment.allow_pickle
    control_files = find_control(control_net, environment.models, allow_pickle=allow)
    modes = ", ".join(control_files.kind.modes)
    ctx.log(f"{control_net} is {control_files.title}" + (f": {modes}" if modes else ""))
    recipe = open_control(
        control_net,
        environment.models,
        dtype=computed_dtype(dtype, environment.device),
        device=environment.device,
        allow_pickle=allow,
        storage=storage,
    )
    log_precision(ctx, dtype, recipe)
    return LoadedControlNet(recipe)


class Controlled(NamedTuple):
    """Prompts with a control image attached."""

    positive: Conditioning
    negative: Conditioning


@node(
    category="control",
    label="Apply ControlNet",
    lane="gpu",
    numerics=True,
    facts={
        "positive": {"family": "positive.family"},
        "negative": {"family": "negative.family"},
    },
    validate=check_controlled,
    estimate=control_estimate,
    tags=(
        "ControlNetApply",
        "ControlNetApplyAdvanced",
        "ControlNetInpaintingAliMamaApply",
        "SetUnionControlNetType",
        "T2I adapter",
        "inpaint",
        "guess mode",
        "openpose",
        "control video",
    ),
)
def ApplyControlNet(
    ctx: Context,
    positive: Conditioning,
    negative: Conditioning | None = None,
    *,
    control_net: ControlNet,
    image: Image,
    vae: Vae | None = None,
    mask: Mask | None = None,
    inpaint_image: Image | None = None,
    strength: Annotated[float, Range(0, 10, step=0.05)] = 1.0,
    start: Annotated[float, Range(0, 1, step=0.01)] = 0.0,
    end: Annotated[float, Range(0, 1, step=0.01)] = 1.0,
    mode: Annotated[str, Choices(MODES)] = NO_MODE,
    guess: Annotated[bool, Advanced()] = False,
    crop: Annotated[bool, Advanced()] = False,
) -> Controlled:
    """Control sampling by an image as well as by prompts: edges, depth, pose or others.

    The image is attached to the prompts. Chain several of these nodes to use several control
    images.

    Args:
        positive: Prompt for what the image should show.
        negative: Prompt for what the image should avoid. If not linked, the default negative prompt
            is controlled and returned instead.
        control_net: A network from LoadControlNet, for models of the same family.
        image: A control image as the network expects it, for example white edges on black: one for
            all, or one for each sampled image. Other sizes are scaled to cover the latent's size
            and center-cropped. Networks that take latents need exactly the latent's size. For
            Cosmos Transfer2.5, the frames of a video that is not shorter than the sampled one.
        vae: VAE of the model, for networks that take latents: those of Stable Diffusion 3, Flux.1,
            Hunyuan-DiT, Qwen-Image, Z-Image and Cosmos Transfer2.5.
        mask: For networks that inpaint: the area where it is 1 is filled. It must be as large as
            the image.
        inpaint_image: For networks of Z-Image from version 2.0 on: the image that the mask is of,
            which is filled by the control image. It must be as large as that.
        strength: Strength of the control; 1 is as trained.
        start, end: Part of the sampling that is controlled, 0 to 1. A step counts if it lies
            completely inside.
        mode: Kind of control image, for networks that support several (union).
        guess: Guess mode: control only the positive prompt, and more weakly in the first blocks of
            the model. For ControlNets of a UNet.
        crop: Center-crop image and mask to whole cells of the VAE, for networks that take latents.
            If off, other sizes are an error.
    """
    from nodegraph.families.conditionings import default_negative
    from nodegraph.sampling.controls.control_conditioning import control_of, with_control

    negative = negative or default_negative(positive)
    if strength == 0:
        # The network would have no effect, so it is not run.
        return Controlled(positive, BLOCKED if negative is None else negative)
    control = control_of(
        control_net,
        image,
        mask=mask,
        inpaint_image=inpaint_image,
        mode=mode,
        strength=strength,
        start=start,
        end=end,
        faint=guess,
        vae=vae,
        weights=ctx.weights,
        crop=crop,
    )
    away: Any = BLOCKED
    if negative is not None:
        away = with_control(negative, control, leads_away=True)
    return Controlled(with_control(positive, control), away)
