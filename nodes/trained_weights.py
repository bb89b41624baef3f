"""What was taught: put on models, and written for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Context, DiffusionModel, Range, TextEncoder, TrainedWeights, node

from ._facts import check_result_name
from ._result_files import save_result
from ._training_facts import trained_outputs


class AppliedWeights(NamedTuple):
    """Parts of a model with what was taught."""

    model: DiffusionModel
    text_encoder: TextEncoder


@node(
    category="training",
    label="Apply trained weights",
    lane="io",
    infer=trained_outputs,
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
    from nodegraph.training.trained_weights import apply_trained

    return AppliedWeights(*apply_trained(weights, model, text_encoder, strength))


@node(
    category="training",
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
    naming: Annotated[Literal["auto", "kohya", "diffusers"], Advanced()] = "auto",
) -> None:
    """Write what was taught as a file that diffusers, ComfyUI, A1111 and others read.

    A LoRA or a word becomes a file, and files are numbered: lora_00001.safetensors. Whole models,
    control networks and classifiers become a folder with their configuration, whose name ends with
    letters of their digest. What is there with the same content is not written again.

    Args:
        weights: What a training made.
        name: What the file names begin with; style/ink makes a sub-folder.
        naming: Of a LoRA's tensors. kohya's is read by ComfyUI, A1111, diffusers and nodegraph;
            diffusers' of a UNet by diffusers and nodegraph. auto is kohya's for UNets (Stable
            Diffusion 1.x, 2.x, XL), and diffusers' for transformers, which ComfyUI reads, too.
    """
    from nodegraph.training.trained_weights import kohya_names, save_folder

    if len(weights.files) > 1:
        for saved in save_folder(weights, ctx.environment.outputs, name):
            ctx.wrote(saved.path, kind="weights", existed=saved.existed)
        return
    file = Path(weights.files[0].path)
    content = file.read_bytes()
    if weights.kind == "lora" and naming != "diffusers":
        renamed = kohya_names(content)
        if renamed is None and naming == "kohya":
            ctx.log("kohya's names are for UNets; this is written in diffusers'.", "warning")
        content = content if renamed is None else renamed
    save_result(ctx, name, file.suffix, content, kind="weights")
