"""Pictures that lead: ControlNets and T2I adapters."""

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
    """Open a ControlNet or T2I adapter, by which pictures lead a model.

    Args:
        control_net: Name under a models folder, or path: a .safetensors file in the original names
            or in those of diffusers, or a folder in the diffusers layout; for Stable Diffusion 1.x,
            2.x, XL and 3, Flux.1 and Qwen-Image. tiny/controlnet comes along: it leads the model
            tiny by edges.
        dtype: Precision in memory, as for LoadModel.
        storage: What its weights are kept in, as for LoadModel.
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
    return LoadedControlNet(recipe)


class Controlled(NamedTuple):
    """Prompts that a picture leads beside."""

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
    strength: Annotated[float, Range(0, 10, step=0.05)] = 1.0,
    start: Annotated[float, Range(0, 1, step=0.01)] = 0.0,
    end: Annotated[float, Range(0, 1, step=0.01)] = 1.0,
    mode: Annotated[str, Choices(MODES)] = NO_MODE,
    guess: Annotated[bool, Advanced()] = False,
) -> Controlled:
    """Let a picture lead beside the prompts: its edges, depth, pose, or what the network knows.

    Put several behind each other to be led by several pictures.

    Args:
        positive: What the picture is to show.
        negative: What it is to stay away from. Where none is linked, the picture leads beside what
            stands in for it, too, and that is handed on.
        control_net: Of LoadControlNet; for models of the same family.
        image: As the network knows them, such as white edges on black: one, or one for each picture
            that is sampled. Another size than the latent's is scaled until it covers that, and cut
            off evenly; networks that see latents want the latent's very size.
        vae: Of the model, for networks that see latents: those of Stable Diffusion 3, Flux.1 and
            Qwen-Image.
        mask: Of networks that fill masked pictures: what is 1 is filled. As large as the picture.
        strength: How strongly it leads; 1 is as it was trained.
        start, end: Part of the sampling that it leads: steps that lie between the two whole.
        mode: What kind of picture it is, for networks that know several (unions).
        guess: Lead the positive prompt alone, and that less in the first blocks of the model. For
            networks beside a UNet.
    """
    from nodegraph.families.conditionings import default_negative
    from nodegraph.sampling.controls.control_conditioning import control_of, with_control

    negative = negative or default_negative(positive)
    if strength == 0:
        # As for the network, which is then not asked.
        return Controlled(positive, BLOCKED if negative is None else negative)
    control = control_of(
        control_net,
        image,
        mask=mask,
        mode=mode,
        strength=strength,
        start=start,
        end=end,
        faint=guess,
        vae=vae,
        weights=ctx.weights,
    )
    away: Any = BLOCKED
    if negative is not None:
        away = with_control(negative, control, leads_away=True)
    return Controlled(with_control(positive, control), away)
