"""Storage types of weights: choices, recipe options, bytes in memory. No torch."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from nodegraph.core.recipe_options import SPEED_PREFIX
from nodegraph.errors import InvalidValue
from nodegraph.weights.gguf_files import BLOCKS
from nodegraph.weights.packed_layers import PACKED_KINDS

if TYPE_CHECKING:
    from nodegraph.core.values import DiffusionModel, Recipe

_FUSED = "fused"
"""In the kinds of adapters that are added to weights, not put beside them."""


def with_storage(model: DiffusionModel, storage: str) -> DiffusionModel:
    """A model whose weights are kept in a form: the recipe that loading with it gives.

    Args:
        storage: One of `STORAGES` but ``auto``; ``full`` is what it computes in.
    Raises:
        InvalidValue: There is no such form, or an adapter is fused with the weights.
    """
    check_storage(storage)
    kept = storage_option(storage, ())
    if kept and any(_FUSED in item.kind for item in model.adapters):
        raise fused_adapter_error()
    own = [item for item in model.options if item[0] != STORAGE]
    before = [item for item in own if not item[0].startswith(SPEED_PREFIX)]
    # In the order of loading, so that the base is the one that others load, too.
    after = [item for item in own if item[0].startswith(SPEED_PREFIX)]
    return replace(model, options=(*sorted((*before, *kept)), *after))


STORAGE = "storage"
"""Option of a recipe whose weights are kept in fewer bits than they are computed in."""

AUTO, FULL, FLOAT8, INT8, INT4, UINT4 = "auto", "full", "float8", "int8", "int4", "uint4"
STORAGES = (AUTO, FULL, FLOAT8, INT8, INT4, UINT4)
"""What may be asked for."""

LINEAR_ONLY = frozenset({INT4, UINT4})
"""Storages that leave the weights of convolutions as they are."""

UINT4_GROUP = 64
"""Numbers of a row that share a scale and a zero point in `UINT4`. With both in bfloat16, a number
takes 4.5 bits, as in NF4. Rows that do not consist of whole groups stay as they are."""

ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
"""Of a number in the precisions of recipes."""

STORED = "stored"
"""Of a recipe whose files hold weights in few bits, which are kept."""

NF4_BLOCK = 64
"""Numbers that share a factor. Source: Dettmers et al. 2023, arXiv:2305.14314."""

_BITS = {FLOAT8: 8.0, INT8: 8.0, INT4: 4.5, UINT4: 4.5}
"""Of a number, with its share of the factors."""

QUANTIZED_BITS = {
    "F8_E4M3": 8.0,
    "F8_E5M2": 8.0,
    "I8": 8.0,
    **PACKED_KINDS,
    **{kind: 8.0 * size / numbers for kind, (numbers, size) in BLOCKS.items()},
}
"""Bits of a number in types of files that are kept; as the formats name them."""

_FLOAT8_KINDS = frozenset({"F8_E4M3", "F8_E5M2", "MXFP8"})

_DELICATE = re.compile(
    r"norm|(pos|patch)_?embed|condition_embedder|context_embedder\.\w+\."
    r"|\btxt_in\.[a-z_]+\.|\b(time|text)_(embedding|projection)\.|\bimg_emb\."
    r"|(img|txt)_mod\.lin|\bsingle_blocks\..*\.modulation\.lin|joint_blocks\..*adaLN"
    r"|\bfinal_layer\.adaLN|modulation\.out_layer|\btime_embeddings\.|^proj_(in|out)\."
)
"""Names of layers that stay as they are, diffusers' and those of who made the models, as near as
names tell: what is loaded goes by what the model's class says."""
_TABLE = re.compile(
    r"(token|position|token_type|word)_embedding|\baudio_embeddings\.|\bembed\.|embed_tokens"
    r"|token_embd|\bshared\.|attention_bias"
)
"""Names of embeddings of words and places, which are kept in few bits only as a file has them."""


def resolve_storage(storage: str, kinds: Collection[str]) -> str:
    """What a choice means for files with tensors of some types.

    Args:
        storage: One of `STORAGES`.
        kinds: As the safetensors format names types.
    Returns:
        Of a recipe: `STORED` or one of `STORAGES`; empty where weights are kept as they are
        computed.
    """
    if storage == AUTO:
        # The very numbers of the file, in a half or a quarter of the memory.
        return STORED if not QUANTIZED_BITS.keys().isdisjoint(kinds) else ""
    return "" if storage == FULL else storage


def storage_option(storage: str, kinds: Collection[str]) -> tuple[tuple[str, str], ...]:
    """As `resolve_storage`, as an option of recipes: nothing where it is empty."""
    kept_form = resolve_storage(storage, kinds)
    return ((STORAGE, kept_form),) if kept_form else ()


def check_storage(storage: str) -> None:
    """Refuse what is no choice.

    Raises:
        InvalidValue: So it is.
    """
    if storage not in STORAGES:
        raise InvalidValue(
            f"weights cannot be stored as {storage!r}",
            port=STORAGE,
            given=storage,
            expected=", ".join(STORAGES),
        )


def recipe_storage(recipe: Recipe) -> str:
    """What a recipe's weights are kept in; empty where that is what they are computed in."""
    return recipe.option(STORAGE)


def fused_adapter_error() -> InvalidValue:
    """The refusal of what would round away what an adapter adds, or take the memory that was to be
    spared."""
    return InvalidValue(
        "an adapter cannot be fused with quantized weights",
        port="fused",
        expected="an adapter that is not fused, or a model with storage full",
    )


StoredTensor = tuple[str, Sequence[int], str]
"""Name, shape and type of a tensor in a file."""


def fits_blocks(shape: Sequence[int], storage: str) -> bool:
    """Whether a weight of a shape can be held so: in 4 bits, matrices of whole blocks."""
    if storage not in LINEAR_ONLY:
        return True
    numbers = shape[1] if storage == UINT4 else prod(shape)
    return len(shape) == 2 and numbers % (UINT4_GROUP if storage == UINT4 else NF4_BLOCK) == 0


def bytes_in_memory(tensors: Iterable[StoredTensor], dtype: str, storage: str) -> int:
    """About what tensors of files take, in a recipe's precision and storage."""
    stored = list(tensors)
    kinds = {kind for _, _, kind in stored}
    # What is asked for and there already stays as it is, and nothing else is brought into it.
    kept = _FLOAT8_KINDS if storage == FLOAT8 else QUANTIZED_BITS.keys()
    stays = storage == STORED or (storage == FLOAT8 and not kept.isdisjoint(kinds))
    wide = 8.0 * ITEM_BYTES[dtype]

    def bits(name: str, shape: Sequence[int], kind: str) -> float:
        is_weight = f".{name}".endswith(".weight")
        if not storage or len(shape) < 2 or not is_weight:
            return wide
        if stays:
            return QUANTIZED_BITS[kind] if kind in kept else wide
        is_wide = _TABLE.search(name) or _DELICATE.search(name) or not fits_blocks(shape, storage)
        return wide if is_wide else _BITS[storage]

    return int(sum(prod(shape) * bits(name, shape, kind) for name, shape, kind in stored) / 8)
