"""Pipelines' folders, and what is put on them."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Advanced, Choices, Context, File, Range, node
from nodegraph.interop.pipelines.pipeline_recipes import open_pipeline, with_adapter
from nodegraph.interop.pipelines.schedulers import OWN
from nodegraph.interop.pipelines.values import Pipeline
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
    """Open a folder that diffusers saved a pipeline in, of whatever class.

    Nothing is read into memory before a node needs it. What other nodes use of the same files is
    in memory once.

    Args:
        pipeline: Name of a folder under a models folder, or its path.
        dtype: Precision in memory, as for LoadModel.
        scheduler: Class of diffusers to put in place of the folder's scheduler, such as
            EulerDiscrete. auto is the folder's own.
        storage: What weights are kept in, as for LoadModel.
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
    """Put a LoRA, LoHa, LoKr or DoRA on a pipeline.

    The pipeline's weights are shared with all who use it without, or with others.

    Args:
        pipeline: To put it on.
        lora: Name under a models folder or path of a .safetensors file.
        strength_model: How strongly it changes what denoises; 0 leaves that as it is.
        strength_encoder: How strongly it changes the text encoders.
        fused: Add it to copies of the weights that it changes, as for LoadLora.
    """
    opened = OpenedAdapter(locate_adapter(lora, ctx.environment.models), fused=fused)
    adapted, parts = with_adapter(pipeline, opened, strength_model, strength_encoder)
    for name, matched in parts:
        if matched is not None and matched.total:
            ctx.log(f"{lora}: {len(matched.applied)} of {matched.total} layers of the {name}")
    return adapted
