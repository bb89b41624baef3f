"""Trained weights: apply them to models, and save them for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from nodegraph import (
    Advanced,
    Context,
    DiffusionModel,
    Image,
    Range,
    TextEncoder,
    TrainedWeights,
    node,
)

from ._facts import check_result_name
from ._result_files import result_name, save_beside, save_result
from ._training_facts import trained_outputs


class AppliedWeights(NamedTuple):
    """The model and text encoder with the trained weights."""

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
    """Apply trained weights to a model, with adjustable strength.

    Args:
        model: A model of the family that was trained.
        text_encoder: The text encoder of the same model. A trained word is added to it.
        weights: A LoRA, a full model, or a textual inversion.
        strength: Strength of a LoRA. 1 is the trained strength.
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
    trigger_words: Annotated[str, Advanced()] = "",
    sample: Image | None = None,
) -> None:
    """Save trained weights as a file that diffusers, ComfyUI, A1111 and others read.

    A LoRA or a textual inversion becomes a numbered file: lora_00001.safetensors. Full models,
    ControlNets and classifiers become a folder with their configuration. The folder name ends with
    part of a digest of the content. Existing files with the same content are not written again.

    The metadata of a LoRA contains its trigger words and the tags of its captions, which other
    programs and sites show.

    Args:
        weights: The result of a training.
        name: Prefix of the file names. style/ink makes a sub-folder.
        naming: Naming scheme of the tensors of a LoRA. ComfyUI, A1111, diffusers and nodegraph read
            kohya names. Only diffusers and nodegraph read diffusers names of a UNet. auto uses
            kohya names for UNets (Stable Diffusion 1.x, 2.x, XL), and diffusers names for
            transformers, which ComfyUI reads, too.
        trigger_words: Words that prompts should contain, for the metadata of a LoRA. If empty, the
            trained word, or the tags that all captions have in common.
        sample: Image of a LoRA. It is saved next to the file, and shown in lists of models.
    """
    from nodegraph.training.trained_weights import (
        kohya_names,
        lora_metadata,
        save_folder,
        with_metadata,
    )

    if len(weights.files) > 1:
        for saved in save_folder(weights, ctx.environment.outputs, name):
            ctx.wrote(saved.path, kind="weights", existed=saved.existed)
        return
    file = Path(weights.files[0].path)
    content = file.read_bytes()
    if weights.kind == "lora" and naming != "diffusers":
        renamed = kohya_names(content)
        if renamed is None and naming == "kohya":
            ctx.log(
                "The LoRA is written with diffusers names, because kohya names are for UNets.",
                "warning",
            )
        content = content if renamed is None else renamed
    if weights.kind == "lora":
        title = result_name(ctx, name).rpartition("/")[2]
        content = with_metadata(content, lora_metadata(weights, title, trigger_words, sample))
    path = save_result(ctx, name, file.suffix, content, kind="weights")
    if sample is not None:
        save_beside(ctx, path, sample)
