"""Diffusion models from separate files."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Choices, Context, DiffusionModel, File, Range, node
from nodegraph.families.registry import FAMILIES, GROUP
from nodegraph.families.scheduler_file import PREDICTION_TYPES
from nodegraph.models.denoiser_files import AUTO, DenoiserRequest, denoiser_warnings, open_denoiser
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.model_recipes import DTYPES
from nodegraph.weights.precision.storage import STORAGES

from ._facts import log_precision
from ._model_part_facts import check_denoiser, denoiser_outputs, denoiser_state, denoiser_weights


class LoadedDiffusionModel(NamedTuple):
    model: DiffusionModel


@node(
    category="models",
    label="Load diffusion model",
    lane="io",
    infer=denoiser_outputs,
    validate=check_denoiser,
    fingerprint=denoiser_state,
    estimate=denoiser_weights,
    tags=("checkpoint", "load", "unet", "transformer", "denoiser"),
)
def LoadDiffusionModel(
    ctx: Context,
    model: Annotated[str, File("model")],
    *,
    second: Annotated[str, File("model"), Advanced()] = "",
    dtype: Annotated[str, Choices(DTYPES)] = "auto",
    family: Annotated[str, Choices((AUTO, *FAMILIES), entry_points=GROUP), Advanced()] = AUTO,
    shift: Annotated[float, Range(0, 100, step=0.01), Advanced()] = 0.0,
    prediction_type: Annotated[str, Choices((AUTO, *PREDICTION_TYPES)), Advanced()] = AUTO,
    zero_terminal_snr: Annotated[str, Choices((AUTO, "on", "off")), Advanced()] = AUTO,
    storage: Annotated[str, Choices(STORAGES), Advanced()] = AUTO,
) -> LoadedDiffusionModel:
    """Load a diffusion model alone: a UNet or transformer without text encoders and VAE.

    It uses the published noise schedule of its model family. Add LoadTextEncoder and LoadVae for
    the other parts.

    Args:
        model: Name in a models folder, or a path. Accepted are a .safetensors or .gguf file with
            original or diffusers names, a folder in the diffusers layout, or a full checkpoint,
            from which only the diffusion model is used.
        second: The second of two expert models, given in the same way. It denoises the low-noise
            steps, for example in Wan 2.2. Empty for models with one expert.
        dtype: Precision in memory, as for LoadModel.
        family: Model family. Set it where several families have the same layout, for example
            Qwen-Image and Qwen-Image-Edit. auto selects the first that matches. Families of
            installed packages are included.
        shift: Shift of the noise levels towards high noise, for flow matching models. 1 is no
            shift. 0 uses the published value.
        prediction_type, zero_terminal_snr: For models that are not flow matching models, as for
            LoadModel.
        storage: Storage format of the weights, as for LoadModel.
    """
    environment = ctx.environment
    wanted = DenoiserRequest(model, second, family, prediction_type, zero_terminal_snr, shift)
    for line in denoiser_warnings(
        wanted, environment.models, allow_pickle=environment.allow_pickle
    ):
        ctx.log(line)
    recipe = open_denoiser(
        wanted,
        environment.models,
        dtype=computed_dtype(dtype, environment.device),
        device=environment.device,
        allow_pickle=environment.allow_pickle,
        storage=storage,
    )
    log_precision(ctx, dtype, recipe)
    return LoadedDiffusionModel(recipe)
