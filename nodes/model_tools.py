"""Tools for models: merge, extract LoRAs, and save whole models."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from nodegraph import (
    Advanced,
    Context,
    DiffusionModel,
    Multiline,
    Range,
    TextEncoder,
    TrainedWeights,
    Vae,
    node,
)

from ._facts import check_result_name
from ._model_tool_facts import (
    check_families,
    check_merge,
    check_saved_model,
    first_encoder,
    first_model,
)
from ._result_files import result_name

Weight = Annotated[float, Range(-10, 10, step=0.05)]
FirstWeight = Annotated[float | None, Range(-10, 10, step=0.05), Advanced()]


class MergedModel(NamedTuple):
    model: DiffusionModel


@node(
    category="models",
    label="Merge models",
    lane="cpu",
    numerics=True,
    infer=first_model,
    validate=check_merge,
    tags=("merge", "checkpoint merger", "weighted sum", "add difference", "block", "mbw", "mix"),
)
def MergeModels(
    ctx: Context,
    model: DiffusionModel,
    second: DiffusionModel,
    base: DiffusionModel | None = None,
    *,
    weight: Weight = 0.5,
    blocks: Annotated[str, Multiline(), Advanced()] = "",
    first_weight: FirstWeight = None,
) -> MergedModel:
    """Merge two models of one family into a new one.

    Without `base`, the result is the weighted sum model · (1 - weight) + second · weight. With
    `base`, the difference is added: model + weight · (second - base). LoRAs of the models are
    merged, too. The result is stored like trained weights, at the precision of the first model's
    files. SaveModel writes it as a file.

    Args:
        model: The first model. Its noise schedule and settings are kept. To make a fine-tuned model
            paint inside masks, link an inpainting model here, the fine-tuned model as second, and
            the original model as base.
        second: The model to merge into it.
        base: The original model of `second`. Only what `second` has learned since then is added.
        weight: Weight of the second model. 0 is the first model, 1 the second.
        blocks: Other weights for some blocks, one per line, for example `down_blocks.0: 0.3`,
            `mid_block: 1` or `transformer_blocks.0-9: 0.2`. Blocks of UNets also have the names
            IN00 to IN11, MID and OUT00 to OUT11. A list of numbers alone is for all these blocks in
            this order, as block-weighted merges of other tools have it. A `?` after a name allows
            models without that block.
        first_weight: Weight of the first model, in place of 1 - weight (or of 1, with a base). With
            1 and weight 1, the models are added; with 1 and -1, the result is their difference,
            which samples nothing by itself and can be added to another model.
    """
    from nodegraph.training.merge_weights import parse_blocks
    from nodegraph.training.model_merging import merge_models

    rules = parse_blocks(blocks)
    return MergedModel(merge_models(ctx, model, second, base, weight, rules, first_weight))


class MergedTextEncoder(NamedTuple):
    text_encoder: TextEncoder


@node(
    category="models",
    label="Merge text encoders",
    lane="cpu",
    numerics=True,
    infer=first_encoder,
    validate=check_families,
    tags=("merge", "clip", "weighted sum", "add difference"),
)
def MergeTextEncoders(
    ctx: Context,
    text_encoder: TextEncoder,
    second: TextEncoder,
    base: TextEncoder | None = None,
    *,
    weight: Weight = 0.5,
    first_weight: FirstWeight = None,
) -> MergedTextEncoder:
    """Merge the text encoders of two models, as MergeModels does for diffusion models.

    Args:
        text_encoder: The first text encoder. Its tokenizers and textual inversions are kept.
        second: The text encoder to merge into it.
        base: The original text encoder of `second`, to add only the difference.
        weight: Weight of the second text encoder.
        first_weight: Weight of the first text encoder, in place of 1 - weight (or of 1, with a
            base).
    """
    from nodegraph.training.model_merging import merge_text_encoders

    merged = merge_text_encoders(ctx, text_encoder, second, base, weight, first_weight)
    return MergedTextEncoder(merged)


class ExtractedLora(NamedTuple):
    weights: TrainedWeights


@node(
    category="models",
    label="Extract LoRA",
    lane="gpu",
    numerics=True,
    validate=check_families,
    tags=("lora", "extract", "resize", "merge loras", "svd", "difference"),
)
def ExtractLora(
    ctx: Context,
    model: DiffusionModel,
    base: DiffusionModel | None = None,
    text_encoder: TextEncoder | None = None,
    base_text_encoder: TextEncoder | None = None,
    *,
    rank: Annotated[int, Range(1, 1024)] = 32,
    energy: Annotated[float, Range(0, 1, step=0.01), Advanced()] = 1.0,
) -> ExtractedLora:
    """Extract a LoRA: from a fine-tuned model, or from the LoRAs that a model has.

    With `base`, the LoRA is the difference of the two models. Without it, all LoRAs of the model
    become one LoRA. So you can merge several LoRAs at their strengths, or change the rank of one.
    SaveWeights writes the result as a file.

    Args:
        model: The fine-tuned model, or a model with LoRAs.
        base: The original model, for which the LoRA is.
        text_encoder: The text encoder of the model, to include its change.
        base_text_encoder: The text encoder of the original model. Without it, only the LoRAs of
            `text_encoder` count.
        rank: Largest rank of the LoRA. A higher rank is nearer to the model, in a larger file.
        energy: Part of each layer's change to keep, measured in squared singular values. Below 1,
            layers with simple changes get a lower rank. 1 uses the same rank everywhere.
    """
    from nodegraph.training.lora_extraction import LoraSize, extract_lora

    size = LoraSize(rank, energy)
    weights = extract_lora(ctx, model, text_encoder, base, base_text_encoder, size)
    return ExtractedLora(weights)


@node(
    category="models",
    label="Save model",
    output="files",
    lane="cpu",
    validate=check_saved_model,
    tags=("checkpoint", "safetensors", "export", "diffusers", "save checkpoint"),
)
def SaveModel(
    ctx: Context,
    model: DiffusionModel,
    text_encoder: TextEncoder | None = None,
    vae: Vae | None = None,
    *,
    name: str = "model",
    layout: Literal["single file", "folder"] = "single file",
    dtype: Annotated[Literal["auto", "float16", "bfloat16", "float32"], Advanced()] = "auto",
    title: Annotated[str, Advanced()] = "",
    author: Annotated[str, Advanced()] = "",
    description: Annotated[str, Multiline(), Advanced()] = "",
    license: Annotated[str, Advanced()] = "",
) -> None:
    """Save a model as a checkpoint or as a diffusers folder. LoRAs are merged into it.

    The name ends with part of a digest of the content. Existing files with the same content are not
    written again.

    Args:
        model: The diffusion model.
        text_encoder: Its text encoder. A single file may be without it.
        vae: Its VAE. A single file may be without it.
        name: Beginning of the file name. style/ink makes a sub-folder.
        layout: single file is a .safetensors file that A1111, ComfyUI and nodegraph read, for
            Stable Diffusion 1.x, 2.x and XL. folder is the layout of diffusers, for all families
            that diffusers has.
        dtype: Precision of the weights. auto is the precision of the model's files.
        title: Title of the model, in the file's metadata (modelspec).
        author: Author of the model, in the metadata.
        description: Description of the model, in the metadata.
        license: License of the model, in the metadata.
    """
    from nodegraph.training.model_export import ModelParts, save_folder, save_single_file

    parts, file_name = ModelParts(model, text_encoder, vae), result_name(ctx, name)
    if layout == "folder":
        for saved in save_folder(ctx, parts, file_name, dtype):
            ctx.wrote(saved.path, kind="weights", existed=saved.existed)
        return
    texts = {"title": title, "author": author, "description": description, "license": license}
    metadata = {f"modelspec.{key}": text for key, text in texts.items() if text}
    saved = save_single_file(ctx, parts, file_name, dtype, metadata)
    ctx.wrote(saved.path, kind="weights", existed=saved.existed)


Dtype = Annotated[Literal["auto", "float16", "bfloat16", "float32"], Advanced()]


@node(
    category="models",
    label="Save text encoder",
    output="files",
    lane="cpu",
    validate=check_result_name,
    tags=("clip", "safetensors", "export", "CLIPSave"),
)
def SaveTextEncoder(
    ctx: Context, text_encoder: TextEncoder, *, name: str = "text_encoder", dtype: Dtype = "auto"
) -> None:
    """Save a text encoder alone: a .safetensors file for each of its networks.

    LoRAs are merged into it. LoadTextEncoder and ComfyUI read the files. The names end with part of
    a digest of the content.

    Args:
        text_encoder: The text encoder.
        name: Beginning of the file names. If there are several networks, the name of each follows.
        dtype: Precision of the weights. auto is the precision of the model's files.
    """
    from nodegraph.training.model_export import save_component

    file_name = result_name(ctx, name)
    for saved in save_component(ctx, text_encoder, "text_encoder", file_name, dtype):
        ctx.wrote(saved.path, kind="weights", existed=saved.existed)


@node(
    category="models",
    label="Save VAE",
    output="files",
    lane="cpu",
    validate=check_result_name,
    tags=("autoencoder", "safetensors", "export", "VAESave"),
)
def SaveVae(ctx: Context, vae: Vae, *, name: str = "vae", dtype: Dtype = "auto") -> None:
    """Save a VAE alone as a .safetensors file, which LoadVae and ComfyUI read.

    The name ends with part of a digest of the content.

    Args:
        vae: The VAE.
        name: Beginning of the file name.
        dtype: Precision of the weights. auto is the precision of the model's files.
    """
    from nodegraph.training.model_export import save_component

    for saved in save_component(ctx, vae, "vae", result_name(ctx, name), dtype):
        ctx.wrote(saved.path, kind="weights", existed=saved.existed)
