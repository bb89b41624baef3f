"""Load pipelines and apply LoRAs to them."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Advanced, Choices, Context, File, Range, node
from nodegraph.interop.pipelines.classes import Pipeline
from nodegraph.interop.pipelines.pipeline_recipes import open_pipeline, with_adapter
from nodegraph.interop.pipelines.schedulers import OWN
from nodegraph.models.adapters.adapter_files import locate_adapter
from nodegraph.models.adapters.recipes import OpenedAdapter
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.model_recipes import DTYPES
from nodegraph.weights.precision.storage import STORAGES

from ._load_facts import (
    adapted_outputs,
    adapter_state,
    adapter_weights,
    check_adapter,
    check_pipeline,
    pipeline_outputs,
    pipeline_state,
    weights_of_pipeline,
)


@node(
    category="pipelines",
    label="Load pipeline",
    lane="io",
    infer=pipeline_outputs,
    validate=check_pipeline,
    fingerprint=pipeline_state,
    estimate=weights_of_pipeline,
    tags=("diffusers", "load", "checkpoint", "scheduler"),
)
def LoadPipeline(
    ctx: Context,
    pipeline: Annotated[str, File("model")],
    dtype: Annotated[str, Choices(DTYPES)] = "auto",
    scheduler: Annotated[str, Advanced()] = OWN,
    storage: Annotated[str, Choices(STORAGES), Advanced()] = "auto",
) -> Pipeline:
    """Load a pipeline from a folder that diffusers saved, for any pipeline class.

    Weights are read into memory only when a node needs them. Files that other nodes also use are in
    memory only once.

    Args:
        pipeline: Name of a folder in a models folder, or its path.
        dtype: Precision in memory, as for LoadModel, but auto is always float32 on a CPU.
        scheduler: Scheduler class of diffusers to use instead of the one in the folder, for example
            EulerDiscrete. auto uses the one in the folder.
        storage: Storage format of the weights, as for LoadModel.
    """
    environment = ctx.environment
    return open_pipeline(
        pipeline,
        environment.models,
        dtype=computed_dtype(dtype, environment.device),
        storage=storage,
        scheduler=scheduler,
        allow_pickle=environment.allow_pickle,
        device=environment.device,
    )


@node(
    category="pipelines",
    label="Load LoRA for a pipeline",
    lane="io",
    infer=adapted_outputs,
    validate=check_adapter,
    fingerprint=adapter_state,
    estimate=adapter_weights,
    tags=("diffusers", "lora", "loha", "lokr", "dora", "adapter"),
)
def LoadPipelineLora(
    ctx: Context,
    pipeline: Pipeline,
    *,
    lora: Annotated[str, File("lora")],
    strength_model: Annotated[float, Range(-10, 10, step=0.05)] = 1.0,
    strength_encoder: Annotated[float, Range(-10, 10, step=0.05)] = 1.0,
    fused: Annotated[bool, Advanced()] = False,
) -> Pipeline:
    """Apply a LoRA, LoHa, LoKr or DoRA to a pipeline.

    The weights are shared with other uses of the pipeline.

    Args:
        pipeline: The pipeline to change.
        lora: Name in a models folder or path of a .safetensors file.
        strength_model: Strength on the diffusion model. 0 leaves it unchanged.
        strength_encoder: Strength on the text encoders.
        fused: Merge the LoRA into copies of the weights that it changes, as for LoadLora.
    """
    opened = OpenedAdapter(locate_adapter(lora, ctx.environment.models), fused=fused)
    adapted, parts = with_adapter(pipeline, opened, strength_model, strength_encoder)
    for name, matched in parts:
        if matched is not None and matched.total:
            ctx.log(
                f"{lora}: applied to {len(matched.applied)} of {matched.total} layers of the {name}"
            )
    return adapted
