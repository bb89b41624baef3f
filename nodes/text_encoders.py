"""Text encoders from separate files."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Advanced, Choices, Context, File, TextEncoder, node
from nodegraph.families.registry import GROUP, families_with_encoder_files
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.model_recipes import DTYPES
from nodegraph.models.text_encoder_files import (
    find_text_encoder,
    open_text_encoder,
    text_encoder_warnings,
)
from nodegraph.weights.precision.storage import AUTO, STORAGES

from ._facts import log_precision
from ._text_encoder_facts import (
    check_encoder,
    encoder_outputs,
    encoder_state,
    encoder_weights,
)


@node(
    category="models",
    lane="io",
    infer=encoder_outputs,
    validate=check_encoder,
    fingerprint=encoder_state,
    estimate=encoder_weights,
    tags=("checkpoint", "load", "clip", "t5", "prompt"),
)
def LoadTextEncoder(
    ctx: Context,
    family: Annotated[str, Choices(families_with_encoder_files(), entry_points=GROUP)],
    file: Annotated[str, File("model")],
    file_2: Annotated[str, File("model")] = "",
    file_3: Annotated[str, File("model")] = "",
    file_4: Annotated[str, File("model")] = "",
    dtype: Annotated[str, Choices(DTYPES)] = "auto",
    storage: Annotated[str, Choices(STORAGES), Advanced()] = AUTO,
) -> TextEncoder:
    """Load the text encoder of a model from separate files, for example clip_l and t5xxl.

    The files may be in any order, because their content identifies them. Tokenizers are included,
    except those of Gemma and Llama, which are read from the models folders.

    Args:
        family: The model family that the text encoder is for.
        file: Name in a models folder, or path. Accepted are a .safetensors or .gguf file, or a
            folder with a text encoder or a full checkpoint, from which only the text encoders are
            used.
        file_2: The second file, if the family has two encoders.
        file_3: The third file. Stable Diffusion 3 works without its T5.
        file_4: The fourth file.
        dtype: Precision in memory, as for LoadModel. With several files, auto uses the precision of
            the largest.
        storage: Storage format of the weights, as for LoadModel.
    """
    environment = ctx.environment
    names = {"file": file, "file_2": file_2, "file_3": file_3, "file_4": file_4}
    allow = environment.allow_pickle
    encoders = find_text_encoder(family, names, environment.models, allow_pickle=allow)
    for line in text_encoder_warnings(encoders):
        ctx.log(line)
    recipe = open_text_encoder(
        family,
        names,
        environment.models,
        dtype=computed_dtype(dtype, environment.device),
        device=environment.device,
        allow_pickle=allow,
        storage=storage,
    )
    log_precision(ctx, dtype, recipe)
    return recipe
