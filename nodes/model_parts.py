"""Parts of models in files of their own: diffusion models."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Choices, Context, DiffusionModel, File, Range, node
from nodegraph.families.registry import FAMILIES, GROUP
from nodegraph.families.scheduler_file import PREDICTION_TYPES
from nodegraph.models.denoiser_files import AUTO, DenoiserRequest, denoiser_warnings, open_denoiser
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.model_recipes import DTYPES
from nodegraph.weights.precision.storage import STORAGES

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
    """Open a diffusion model by itself: a UNet or transformer without text encoders and VAE.

    Its noise schedule is the one that was published with models of its kind. Put a LoadTextEncoder
    and a LoadVae beside it.

    Args:
        model: Name under a models folder, or path: a .safetensors or .gguf file in the original
            names or in those of diffusers, a folder in the diffusers layout, or a whole model, of
            which its diffusion model is taken.
        second: The same of the second of two experts, which denoises what is mostly picture, such
            as Wan 2.2's for low noise. Empty for models that are one.
        dtype: Precision in memory, as for LoadModel.
        family: What kind of model it is, where several look the same: those of Qwen-Image and
            Qwen-Image-Edit do. auto is the first of them. Families that installed packages bring
            are among them.
        shift: How far noise levels are shifted towards the noise, of models that were trained by
            flow matching: 1 not at all. 0 is as published.
        prediction_type, zero_terminal_snr: Of models that weren't, as for LoadModel.
        storage: What its weights are kept in, as for LoadModel.
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
    return LoadedDiffusionModel(recipe)
