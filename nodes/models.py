"""Load models, VAEs, LoRAs and textual inversions."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from nodegraph import (
    BLOCKED,
    Advanced,
    Choices,
    Context,
    DiffusionModel,
    File,
    Range,
    TextEncoder,
    Vae,
    node,
)
from nodegraph.errors import at_port
from nodegraph.families.embedded_models import EMBEDDED
from nodegraph.families.prompts import escape_prompt
from nodegraph.families.registry import GROUP, brought_families
from nodegraph.families.scheduler_file import PREDICTION_TYPES
from nodegraph.models.adapters.adapter_files import locate_adapter, read_inversion
from nodegraph.models.adapters.recipes import Expert, OpenedAdapter, with_inversion
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.model_recipes import DTYPES, ModelRecipes, open_model, storage_warnings
from nodegraph.models.vae_files import open_vae
from nodegraph.weights.precision.storage import STORAGES

from ._facts import check_model, log_precision, model_outputs, model_state, model_weights
from ._lora import (
    check_encoder_lora,
    check_inversion,
    check_lora,
    encoder_lora_weights,
    inversion_state,
    located_inversion,
    lora_messages,
    lora_outputs,
    lora_state,
    lora_weights,
    other_lora_messages,
    word_weights,
)
from ._vae_facts import check_vae, vae_outputs, vae_state, vae_weights

_LATENTS = ("auto", "sd", "sdxl", "sd3", "flux", "wan", "qwen-image")
"""Latent formats that a VAE file may not state, of the built-in families."""
_BROUGHT = (family.latent for family in brought_families().values())
_LATENT_FORMATS = tuple(
    dict.fromkeys((*_LATENTS, *(latents.name for latents in _BROUGHT if latents.autoencoders)))
)


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
    storage: Annotated[str, Choices(STORAGES), Advanced()] = "auto",
) -> ModelRecipes:
    """Load a checkpoint: diffusion model, text encoder and VAE.

    Weights are read into memory only when a node needs them.

    Args:
        model: Name in a models folder, path of a diffusers folder or .safetensors file, or tiny for
            the model that ships with nodegraph.
        dtype: Precision in memory. auto is the precision of the file. On a CPU auto is float32, and
            bfloat16 for large models if this CPU is faster with it; the VAE stays float32. On a CPU
            without float16 arithmetic, float16 becomes float32. bfloat16 takes half the memory
            there, and is much slower on a CPU without bfloat16 arithmetic.
        prediction_type: What the model predicts, if its file does not say or is wrong: the noise
            (epsilon), v, or the clean sample. auto uses the value in the file.
        zero_terminal_snr: Whether the model was trained with zero terminal SNR. Sampling then
            starts from pure noise. auto uses the value in the file.
        storage: Storage format of the weights of the diffusion model and text encoder. auto keeps
            low-bit weights as in the file, and all others in the compute precision. full keeps all
            weights in the compute precision. float8, int8, int4 (NF4) and uint4 take less memory
            and more time. They change the image slightly, int4 and uint4 more. SpeedUp can multiply
            int8, float8 and uint4 without widening them.
    """
    environment = ctx.environment
    for line in storage_warnings(model, environment.models, allow_pickle=environment.allow_pickle):
        ctx.log(line)
    recipes = open_model(
        model,
        environment.models,
        dtype=computed_dtype(dtype, environment.device),
        allow_pickle=environment.allow_pickle,
        device=environment.device,
        prediction_type=prediction_type,
        zero_terminal_snr=zero_terminal_snr,
        storage=storage,
    )
    log_precision(ctx, dtype, recipes.model)
    return recipes


@node(
    category="models",
    label="Load VAE",
    lane="io",
    infer=vae_outputs,
    validate=check_vae,
    fingerprint=vae_state,
    estimate=vae_weights,
    tags=("checkpoint", "load", "autoencoder"),
)
def LoadVae(
    ctx: Context,
    vae: Annotated[str, File("model")],
    latents: Annotated[str, Choices(_LATENT_FORMATS, entry_points=GROUP)] = "auto",
    dtype: Annotated[str, Choices(DTYPES)] = "auto",
) -> Vae:
    """Load a VAE alone, for example a fine-tuned one or a tiny one.

    A tiny VAE (TAESD and similar ones) decodes in a fraction of the time, with slightly lower
    quality.

    Args:
        vae: Name in a models folder, or a path. Accepted are a VAE file or diffusers folder, or a
            full checkpoint, from which only the VAE is used. For a tiny VAE in two files, select
            either file.
        latents: Latent format, if the file does not say. A VAE with four channels may be for Stable
            Diffusion (sd) or SDXL, one with 16 for Stable Diffusion 3 or Flux.1. The Wan VAE also
            fits Qwen-Image.
        dtype: Precision in memory, as for LoadModel.
    """
    environment = ctx.environment
    return open_vae(
        vae,
        environment.models,
        latents=latents,
        dtype=computed_dtype(dtype, environment.device),
        device=environment.device,
        allow_pickle=environment.allow_pickle,
    )


class LoadedLora(NamedTuple):
    model: DiffusionModel
    text_encoder: TextEncoder


@node(
    category="models",
    label="Load LoRA",
    lane="io",
    infer=lora_outputs,
    validate=check_lora,
    fingerprint=lora_state,
    estimate=lora_weights,
    tags=("lora", "loha", "lokr", "dora", "adapter", "style", "LoRA tag"),
)
def LoadLora(
    ctx: Context,
    model: DiffusionModel,
    text_encoder: TextEncoder | None = None,
    *,
    lora: Annotated[str, File("lora")] = f"{EMBEDDED}/lcm_lora",
    strength_model: Annotated[float, Range(-10, 10, step=0.05)] = 1.0,
    strength_encoder: Annotated[float, Range(-10, 10, step=0.05)] = 1.0,
    fused: Annotated[bool, Advanced()] = False,
    expert: Annotated[Expert, Advanced()] = "both",
) -> LoadedLora:
    """Apply a LoRA, LoHa, LoKr or DoRA to a model and its text encoder.

    The weights are shared with other uses of the model, so changing a LoRA does not reload the
    model. Chain several of these nodes to combine LoRAs.

    Args:
        model: The model to change.
        text_encoder: The text encoder of the same model, if the file changes it.
        lora: Name in a models folder or path of a .safetensors file, in any common naming scheme.
            tiny/lcm_lora and tiny/style_lora ship with the model tiny.
        strength_model: Strength on the model. 0 leaves the model unchanged.
        strength_encoder: Strength on the text encoder.
        fused: Merge the LoRA into copies of the weights that it changes. Sampling is as fast as
            without it, but the copies take memory.
        expert: For a model with two experts, for example Wan 2.2, the expert to change. The first
            denoises the high-noise steps, the second the low-noise steps.
    """
    from nodegraph.models.derived_components import check_finite

    opened = OpenedAdapter(locate_adapter(lora, ctx.environment.models), fused=fused)
    with at_port("lora"):
        check_finite(opened.file.path)
    put_on = opened.apply_to(model, strength_model, expert)
    matches = [put_on.matched]
    encoder: Any = BLOCKED
    if text_encoder is not None:
        encoded = opened.apply_to(text_encoder, strength_encoder)
        encoder = encoded.recipe
        matches.append(encoded.matched)
    opened.check_applies(matches)
    for part, matched in zip(("model", "text encoder"), matches, strict=False):
        for message, level in lora_messages(lora, part, matched):
            ctx.log(message, level)
    for message, level in other_lora_messages(
        lora, opened.file, has_encoder=text_encoder is not None
    ):
        ctx.log(message, level)
    return LoadedLora(put_on.recipe, encoder)


@node(
    category="models",
    label="Load LoRA for text encoder",
    lane="io",
    facts={"text_encoder": {"family": "text_encoder.family"}},
    validate=check_encoder_lora,
    fingerprint=lora_state,
    estimate=encoder_lora_weights,
    tags=("lora", "clip", "SetClipHooks"),
)
def LoadEncoderLora(
    ctx: Context,
    text_encoder: TextEncoder,
    lora: Annotated[str, File("lora")],
    strength: Annotated[float, Range(-20, 20, step=0.05)] = 1.0,
) -> TextEncoder:
    """Apply a LoRA to a text encoder alone. LoadLora applies it to the model as well.

    Args:
        text_encoder: The text encoder to change. The weights are shared with other uses.
        lora: Name in a models folder or path of a .safetensors file. A file without layers for the
            text encoder changes nothing.
        strength: Strength on the text encoder.
    """
    from nodegraph.models.derived_components import check_finite

    opened = OpenedAdapter(locate_adapter(lora, ctx.environment.models))
    with at_port("lora"):
        check_finite(opened.file.path)
    adapted = opened.apply_to(text_encoder, strength)
    for message, level in lora_messages(lora, "text encoder", adapted.matched):
        ctx.log(message, level)
    return adapted.recipe


@node(
    category="models",
    label="Load textual inversion",
    lane="io",
    facts={"text_encoder": {"family": "text_encoder.family"}},
    validate=check_inversion,
    fingerprint=inversion_state,
    estimate=word_weights,
    tags=("embedding", "token", "prompt"),
)
def LoadTextualInversion(
    ctx: Context,
    text_encoder: TextEncoder,
    embedding: Annotated[str, File("embedding")],
    token: str = "",
) -> TextEncoder:
    """Add a textual inversion to a text encoder: a learned word for use in prompts.

    The word can be weighted in prompts like any other word. Write a backslash before each bracket
    in it: my style \\(v2\\).

    Args:
        text_encoder: The text encoder of the model that the file was trained for.
        embedding: Name in a models folder or path of a .safetensors file.
        token: The word. If empty, the word in the file, or else the file name.
    """
    from nodegraph.models.derived_components import check_finite

    file = read_inversion(located_inversion(embedding, ctx.environment))
    with at_port("embedding"):
        check_finite(file.path)
    extended_encoder = with_inversion(text_encoder, file, token)
    ctx.log(f"{embedding}: use `{escape_prompt(extended_encoder.adapters[-1].token)}` in prompts")
    return extended_encoder
