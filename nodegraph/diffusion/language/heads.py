"""The heads of language models, by which they write, and the models with them.

As text encoders they are read without: a head says for each word how likely it is to follow. Here
one is put on, over the weights that are in memory already.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from nodegraph.core.values import TextEncoder
from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.checkpoint_parts import CHECKPOINT
from nodegraph.diffusion.file_kinds import HEADED, ending
from nodegraph.diffusion.joined_files import header_of
from nodegraph.diffusion.language.chats import kind_of
from nodegraph.diffusion.weight_files import read_tensors
from nodegraph.errors import InvalidFile

_HEADS = ("lm_head.weight", "output.weight")
"""As transformers and llama.cpp name them, behind whatever a file's names begin with."""
_TYING = {"gemma2": 1 << 30, "qwen3": 2560, "qwen2_5_vl": 2048, "llama": 3072}
"""The widest of each kind that writes by the words that it reads by, by their published
configurations: Qwen 3 4B, Qwen 2.5 3B, Llama 3.2 3B and each Gemma 2."""
_EYELESS = "Qwen2_5_VLTextModel"


def with_head(module: Any, recipe: TextEncoder, role: str) -> Any:
    """A language model that writes, over the weights of one that reads.

    Args:
        module: Of transformers, as it is in memory; it stays as it is.
        recipe: What it was made of, whose files may hold the head.
        role: Of the module.
    Raises:
        InvalidFile: There is none.
    """
    if hasattr(module, "lm_head"):
        return module
    words = module.get_input_embeddings().weight
    head = _read_head(recipe, role, tuple(words.shape))
    if head is None and not _ties(module, recipe, role):
        raise InvalidFile(
            f"the {type(module).__name__} of {recipe.source} has no head, by which it would write.",
            port="encoder",
            expected="a tensor lm_head.weight in its file",
            hint="Some files leave it out, as pictures need none: take one that is whole.",
        )
    made = _headed(module)
    weight = words if head is None else head.to(words.device, words.dtype)
    made.lm_head.weight = nn.Parameter(weight, requires_grad=False)
    return made.eval()


def _read_head(recipe: TextEncoder, role: str, shape: tuple[int, ...]) -> Tensor | None:
    for path in map(Path, recipe.paths(role) or recipe.paths(CHECKPOINT)):
        if ending(path) not in HEADED:
            continue
        for name, given in header_of(path).shapes.items():
            if name.endswith(_HEADS) and tuple(given) == shape:
                return read_tensors([path], recipe.dtype, prefix=name)[name]
    return None


def _ties(module: Any, recipe: TextEncoder, role: str) -> bool:
    """Whether it writes by the words that it reads by."""
    if any(Path(path).name == layout.CONFIG for path in recipe.paths(role)):
        return bool(module.config.tie_word_embeddings)
    width = module.get_input_embeddings().weight.shape[1]
    return bool(width <= _TYING.get(kind_of(type(module).__name__) or "", 0))


def _headed(module: Any) -> Any:
    """The class of transformers with a head, around a module without."""
    name, config = type(module).__name__, deepcopy(module.config)
    if name == _EYELESS:
        sized = {"depth": 1, "out_hidden_size": config.hidden_size}
        config = transformers.Qwen2_5_VLConfig(
            text_config=config.to_dict(), vision_config=sized, tie_word_embeddings=False
        )
    sees = name.startswith("Qwen2_5_VL")
    writes = "Qwen2_5_VL" if sees else name.removesuffix("Model")
    kind = getattr(transformers, f"{writes}For{'ConditionalGeneration' if sees else 'CausalLM'}")
    # Nothing of it is kept but the head, whose weights come from elsewhere.
    with torch.device("meta"):
        made = kind(config)
    if name == _EYELESS:
        made.model.visual, made.model.language_model = nn.Identity(), module
    else:
        made.model = module
    return made
