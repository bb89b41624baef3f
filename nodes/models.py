"""Models."""

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

from ._facts import check_model, model_outputs, model_state, model_weights
from ._lora import (
    check_inversion,
    check_lora,
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
"""Formats that a VAE's file may leave open, of families that come along."""
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
    """Open a model: its denoiser, text encoder and VAE.

    Nothing is read into memory before a node needs it.

    Args:
        model: Name under a models folder, path of a diffusers folder or .safetensors file, or
            tiny for the model that comes along.
        dtype: Precision in memory. auto is float32 on a CPU and the file's own elsewhere.
            On a CPU that can't compute in float16, that is float32 too; bfloat16 takes half the
            memory there, and far more time on one that lacks that, too.
        prediction_type: What the model was trained to give, where its file doesn't say or says it
            wrongly: the noise (epsilon), v, or the clean sample. auto is what the file says.
        zero_terminal_snr: Whether it was trained to begin at noise alone; sampling then begins
            there. auto is what the file says.
        storage: What the model's and the text encoder's weights are kept in. auto keeps weights
            of few bits as the file has them, and all others in the precision that they are computed
            in, as full does with all. float8, int8 and int4 take less memory and more time, and
            give other pictures, slightly so but for int4.
    """
    environment = ctx.environment
    for line in storage_warnings(model, environment.models, allow_pickle=environment.allow_pickle):
        ctx.log(line)
    return open_model(
        model,
        environment.models,
        dtype=computed_dtype(dtype, environment.device),
        allow_pickle=environment.allow_pickle,
        device=environment.device,
        prediction_type=prediction_type,
        zero_terminal_snr=zero_terminal_snr,
        storage=storage,
    )


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
    """Open a VAE by itself, such as one that was trained further than a model's own, or a tiny one
    (TAESD and its relatives), which decodes in a fraction of the time and a little less well.

    Args:
        vae: Name under a models folder, or path: a file or diffusers folder that holds a VAE, or a
            whole model, of which its VAE is taken. Of a tiny one in two files, either.
        latents: The format that it reads, where its file doesn't say: one of four channels may be
            Stable Diffusion's (sd) or SDXL's, one of 16 Stable Diffusion 3's or Flux.1's, and Wan's
            is Qwen-Image's, too.
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
    """Put a LoRA, LoHa, LoKr or DoRA on a model and its text encoder.

    The model's weights are shared with all who use it without, or with others: nothing is loaded
    again when one is changed. Put several behind each other for all of them.

    Args:
        model: To put it on.
        text_encoder: Of the same model, if the file has something for it.
        lora: Name under a models folder or path of a .safetensors file, in whatever naming; or
            tiny/lcm_lora or tiny/style_lora, which come along with the model tiny.
        strength_model: How strongly it changes the model; 0 leaves that as it is.
        strength_encoder: How strongly it changes the text encoder.
        fused: Add it to copies of the weights that it changes: samples as fast as without, and
            takes memory for the copies.
        expert: Of a model with two, such as Wan 2.2, the one that it is for: the first denoises
            what is mostly noise, the second the rest.
    """
    from nodegraph.models.adapters.adapted_modules import check_finite

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
    """Teach a text encoder a word that was learnt from pictures: a textual inversion.

    The word may then stand in prompts, weighted as any other. Brackets in it are written with a
    backslash before each: my style \\(v2\\).

    Args:
        text_encoder: Of the model that the file was made for.
        embedding: Name under a models folder or path of a .safetensors file.
        token: The word. If empty, the file's own, or else its name.
    """
    from nodegraph.models.adapters.adapted_modules import check_finite

    file = read_inversion(located_inversion(embedding, ctx.environment))
    with at_port("embedding"):
        check_finite(file.path)
    extended_encoder = with_inversion(text_encoder, file, token)
    ctx.log(f"{embedding}: `{escape_prompt(extended_encoder.adapters[-1].token)}` in prompts")
    return extended_encoder
