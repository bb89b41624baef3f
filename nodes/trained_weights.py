"""What was taught: put on models, and written for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

from nodegraph import Context, DiffusionModel, Range, TextEncoder, TrainedWeights, node

from ._beside import save_result
from ._facts import check_result_name
from ._teaching_facts import taught_outputs


class AppliedWeights(NamedTuple):
    """Parts of a model with what was taught."""

    model: DiffusionModel
    text_encoder: TextEncoder


@node(
    category="teaching",
    label="Apply trained weights",
    lane="io",
    infer=taught_outputs,
    tags=("lora", "adapter", "strength"),
)
def ApplyWeights(
    model: DiffusionModel,
    text_encoder: TextEncoder,
    weights: TrainedWeights,
    strength: Annotated[float, Range(-10, 10, step=0.05)] = 1.0,
) -> AppliedWeights:
    """Put what was taught on a model, at any strength.

    Args:
        model: Of the family that it was taught on.
        text_encoder: Of the same model; a learned word is put on it.
        weights: A LoRA, a whole model, or a word.
        strength: How strongly a LoRA applies; 1 is as it was taught.
    """
    from nodegraph.diffusion.teaching.applying import applied

    return AppliedWeights(*applied(weights, model, text_encoder, strength))


@node(
    category="teaching",
    label="Save trained weights",
    output="files",
    lane="io",
    validate=check_result_name,
    tags=("lora", "safetensors", "export"),
)
def SaveWeights(
    ctx: Context,
    weights: TrainedWeights,
    name: str = "lora",
) -> None:
    """Write what was taught as a file that diffusers and others read.

    A LoRA or a word becomes a file, and files are numbered: lora_00001.safetensors. Whole models,
    control networks and classifiers become a folder with their configuration, whose name ends with
    letters of their digest. What is there with the same content is not written again.

    Args:
        weights: What a training made.
        name: What the file names begin with; style/ink makes a sub-folder.
    """
    from nodegraph.diffusion.teaching.saving import save_folder

    if len(weights.files) > 1:
        for saved in save_folder(weights, ctx.environment.outputs, name):
            ctx.wrote(saved.path, kind="weights", existed=saved.existed)
        return
    file = Path(weights.files[0].path)
    save_result(ctx, name, file.suffix, file.read_bytes(), kind="weights")
