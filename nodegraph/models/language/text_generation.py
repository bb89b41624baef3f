"""Text generation by the language models among text encoders.

A head says for each word how likely it is to follow. Text encoders are read without one; here it
is put on, over the weights that are in memory already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from nodegraph.core.values import Audio, TextEncoder
from nodegraph.core.weight_files import HEADED, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.building import build_tokenizer
from nodegraph.families.checkpoint_parts import CHECKPOINT
from nodegraph.families.components import TextModel
from nodegraph.families.qwen_image_21 import image_processor
from nodegraph.families.qwen_image_edit import preprocess_images, spread
from nodegraph.families.registry import get_family
from nodegraph.families.vocabulary import VOCABULARIES
from nodegraph.models.language.chat_templates import (
    CHATS,
    IMAGE_BLOCK,
    IMAGE_TOKEN,
    check_can_generate,
    kind_of,
)
from nodegraph.models.language.token_sampling import TokenSampling, generate_text
from nodegraph.weights.joined_files import header_of
from nodegraph.weights.precision.quantized_weights import (
    find_quantized,
    quantized_shape,
    share_quantized,
    store_quantized,
)
from nodegraph.weights.precision.storage import recipe_storage
from nodegraph.weights.weight_files import read_tensors

_HEADS = ("lm_head.weight", "output.weight")
"""As transformers and llama.cpp name them, behind whatever a file's names begin with."""
_TYING = {
    **dict.fromkeys(("gemma2", "gemma3"), 1 << 30),
    "qwen3": 2560,
    "qwen3_vl": 2560,
    "qwen2_5_vl": 2048,
    "llama": 3072,
    "mistral": 3072,
}
"""The widest of each kind that writes by the words that it reads by, by their published
configurations: Qwen 3 4B, Qwen3-VL 4B, Qwen 2.5 3B, Llama 3.2 3B, Ministral 3 3B, each Gemma 2 and
Gemma 3."""
_EYELESS = "Qwen2_5_VLTextModel"
_SEEING = ("Qwen2_5_VL", "Qwen3VL", "Mistral3")
"""Models of images and text, whose classes with a head end with ForConditionalGeneration."""


def with_lm_head(module: Any, recipe: TextEncoder, role: str) -> Any:
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
    embeddings = module.get_input_embeddings()
    head = _read_head(recipe, role, tuple(embeddings.weight.shape))
    if head is None and not _has_tied_embeddings(module, recipe, role):
        raise InvalidFile(
            f"the {type(module).__name__} of {recipe.source} has no language-model head, "
            "which text generation needs",
            port="encoder",
            expected="a tensor lm_head.weight in its file",
            hint="Some files omit it, as image models do not need it: use a complete one.",
        )
    made = _headed(module)
    _fill_head(made.lm_head, head, embeddings)
    return made.eval()


def _fill_head(layer: Any, head: Tensor | None, embeddings: Any) -> None:
    """Give a head its weight, or that of the words; in few bits where they are held so."""
    if head is None and quantized_shape(embeddings) is not None:
        share_quantized(layer, embeddings)
        return
    words = embeddings.weight
    packed = find_quantized(head)
    if packed is not None:
        store_quantized(layer, packed, words.dtype)
        layer.to(words.device)
        return
    weight = words if head is None else head.to(words.device, words.dtype)
    layer.weight = nn.Parameter(weight, requires_grad=False)


def _read_head(recipe: TextEncoder, role: str, shape: tuple[int, ...]) -> Tensor | None:
    for path in map(Path, recipe.paths(role) or recipe.paths(CHECKPOINT)):
        if file_suffix(path) not in HEADED:
            continue
        for name, head_shape in header_of(path).shapes.items():
            if name.endswith(_HEADS) and tuple(head_shape) == shape:
                kept = bool(recipe_storage(recipe))
                return read_tensors([path], recipe.dtype, prefix=name, as_stored=kept)[name]
    return None


def _has_tied_embeddings(module: Any, recipe: TextEncoder, role: str) -> bool:
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
    seeing = next((start for start in _SEEING if name.startswith(start)), None)
    # Gemma 3 without its vision model is a Gemma3TextModel.
    stem = seeing or name.removesuffix("Model").removesuffix("Text")
    ending = "ConditionalGeneration"
    kind = getattr(transformers, f"{stem}For{ending if seeing else 'CausalLM'}")
    # Nothing of it is kept but the head, whose weights come from elsewhere.
    with torch.device("meta"):
        made = kind(config)
    if name == _EYELESS:
        made.model.visual, made.model.language_model = nn.Identity(), module
    else:
        made.model = module
    return made


_SMALLEST, _LARGEST = 256 * 256, 1024 * 1024
"""Pixels that images are brought to, those between as they are."""
_THOUGHT = "</think>"
"""Ends what a model thinks before it answers."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a language model is to answer.

    Attributes:
        text: The question.
        system: What it is told beforehand of how to answer.
        images: Images to look at, each float32 in 0..1, (height, width, 3).
        is_text_first: Whether the images stand after the question, not before it.
        audio: What to listen to.
        is_chat: Whether what it was trained to find around a question is put there; else it goes
            on with the text as it is.
        thinks: Whether it may think first, where it would; what it thinks isn't in its answer.
    """

    text: str
    system: str = ""
    images: Sequence[Tensor] = ()
    is_chat: bool = True
    thinks: bool = False
    audio: Audio | None = None
    is_text_first: bool = False


def generate_answer(
    text_model: TextModel,
    recipe: TextEncoder,
    question: Question,
    *,
    max_new_tokens: int,
    sampling: TokenSampling | None,
    on_token: Callable[[int], None],
) -> str:
    """What the language model among a model's text encoders answers.

    Args:
        recipe: Of the text encoder.
        max_new_tokens: Tokens of the answer, at most.
        sampling: How words are drawn; None: always the likeliest.
        on_token: Called before each token with how many there are; what it raises ends the writing.
    Raises:
        InvalidValue: It is no language model, sees no images, the question is too long, or it has
            audio.
        InvalidFile: Its files have no head.
        NumericalError: It gives NaN.
    """
    if question.audio is not None:
        raise InvalidValue(
            "text encoders take no audio",
            port="audio",
            expected="Gemma 4 E2B or E4B of LoadLanguageModel",
        )
    encoder, words = check_can_generate(get_family(text_model.family))
    module, tokenizer = text_model.modules[encoder], text_model.tokenizers[words]
    with text_model.turn, torch.no_grad():
        inputs = _model_inputs(module, tokenizer, question)
        known = tokenizer.get_vocab()
        marks = CHATS[kind_of(type(module).__name__) or ""].stops
        try:
            text = generate_text(
                with_lm_head(module, recipe, encoder),
                tokenizer,
                inputs,
                stop_tokens=[known[mark] for mark in marks if mark in known],
                max_new_tokens=max_new_tokens,
                sampling=sampling,
                on_token=on_token,
            )
        finally:
            forget_images(module)
    return strip_thinking(text) if question.is_chat else text


def strip_thinking(written: str) -> str:
    """Without what the model thought before."""
    return written.rpartition(_THOUGHT)[2].strip()


def _model_inputs(module: Any, tokenizer: Any, question: Question) -> dict[str, Tensor]:
    """All that the model is given."""
    text, pixels = question.text, dict[str, Tensor]()
    counts: list[int] = []
    if question.images:
        pixels, counts = _picture_inputs(module, question)
        blocks = IMAGE_BLOCK * len(counts)
        text = text + blocks if question.is_text_first else blocks + text
    if question.is_chat:
        chat = CHATS[kind_of(type(module).__name__) or ""]
        text = chat.format(text, question.system, thinks=question.thinks)
    if counts:
        text = spread(text, counts)
    tokens = tokenizer(text, return_tensors="pt", add_special_tokens=not question.is_chat)
    ids = tokens["input_ids"]
    if counts:
        # By these the model finds the positions of an image's tokens.
        image = ids == tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
        pixels["mm_token_type_ids"] = image.long()
    return {"input_ids": ids, "attention_mask": tokens["attention_mask"], **pixels}


def _picture_inputs(module: Any, question: Question) -> tuple[dict[str, Tensor], list[int]]:
    if not hasattr(getattr(module, "model", module), "visual"):
        raise InvalidValue(
            "this text encoder takes no images",
            port="images",
            expected="a Qwen 2.5-VL or Qwen3-VL with its vision model, for example that of "
            "Qwen-Image",
        )
    if IMAGE_TOKEN in question.text + question.system:
        raise InvalidValue(
            "the text contains a special token that stands for images",
            port="prompt",
            given=IMAGE_TOKEN,
        )
    if kind_of(type(module).__name__) == "qwen3_vl":
        processor = image_processor(module)
    else:
        files = VOCABULARIES["qwen2.5-vl-pictures"].files
        processor = build_tokenizer(("Qwen2VLImageProcessorPil",), files)
    sizes = [item.shape[0] * item.shape[1] for item in question.images]
    return preprocess_images(processor, question.images, max(_SMALLEST, min(_LARGEST, max(sizes))))


def forget_images(module: Any) -> None:
    """Leave a shared model as it was: those of Qwen keep where the last text's images were."""
    inner = getattr(module, "model", module)
    if hasattr(inner, "rope_deltas"):
        inner.rope_deltas = None
