"""Models."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Advanced, Choices, Context, File, node
from nodegraph.diffusion.models import EMBEDDED
from nodegraph.diffusion.opening import DTYPES, ModelRecipes, computed_dtype, open_model
from nodegraph.diffusion.scheduler_file import PREDICTION_TYPES

from ._facts import check_model, model_outputs, model_state, model_weights


@node(
    version=2,
    category="models",
    lane="io",
    infer=model_outputs,
    validate=check_model,
    fingerprint=model_state,
    estimate=model_weights,
    tags=("checkpoint", "load"),
)
def LoadModel(
    ctx: Context,
    model: Annotated[str, File("model")] = EMBEDDED,
    dtype: Annotated[str, Choices(DTYPES)] = "auto",
    prediction_type: Annotated[str, Choices(("auto", *PREDICTION_TYPES)), Advanced()] = "auto",
    zero_terminal_snr: Annotated[str, Choices(("auto", "on", "off")), Advanced()] = "auto",
) -> ModelRecipes:
    """Open a model: its denoiser, text encoder and VAE.

    Nothing is read into memory before a node needs it.

    Args:
        model: Name under a models folder, path of a diffusers folder or .safetensors file, or
            tiny for the model that comes along.
        dtype: Precision in memory. auto is float32 on a CPU and the file's own elsewhere.
            On a CPU that can't compute in float16, that is float32 too; bfloat16 takes half the
            memory there at about the same speed.
        prediction_type: What the model was trained to give, where its file doesn't say or says it
            wrongly: the noise (epsilon), v, or the clean sample. auto is what the file says.
        zero_terminal_snr: Whether it was trained to begin at noise alone; sampling then begins
            there. auto is what the file says.
    """
    environment = ctx.environment
    return open_model(
        model,
        environment.models,
        dtype=computed_dtype(dtype, environment.device),
        allow_pickle=environment.allow_pickle,
        device=environment.device,
        prediction_type=prediction_type,
        zero_terminal_snr=zero_terminal_snr,
    )
