"""Tokenizers with a few words of their own, made without files."""

from __future__ import annotations

import re
from typing import Any

import transformers as tf


def byte_characters() -> list[str]:
    """The printable stand-ins of byte-level vocabularies for the 256 bytes, in their order."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(spare)) for byte in range(256)]


def clip_words(pad: str = "<|endoftext|>", length: int = 77) -> Any:
    units = byte_characters()
    merges = [("c", "a"), ("ca", "t</w>"), ("d", "o"), ("do", "g</w>"), ("r", "e"), ("re", "d</w>")]
    words = [*units, *(unit + "</w>" for unit in units), *(a + b for a, b in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: place for place, word in enumerate(words)}
    return tf.CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token=pad, model_max_length=length)


def t5_words(length: int = 512) -> Any:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(chr(code), -4.0) for code in range(33, 127)]
    pieces += [(word, -1.0) for word in ("▁cat", "▁dog", "▁red", "▁a")]
    return tf.T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=length)


_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for c in m.content %}{{ c.text }}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
    "{% endif %}"
)
_QWEN_MARKS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]


def qwen_words() -> Any:
    merges = [("c", "a"), ("ca", "t"), ("d", "o"), ("do", "g")]
    words = [*byte_characters(), *(a + b for a, b in merges)]
    found = tf.Qwen2Tokenizer(
        vocab={word: place for place, word in enumerate(words)},
        merges=merges,
        unk_token=None,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        model_max_length=4096,
    )
    found.add_special_tokens({"additional_special_tokens": _QWEN_MARKS})
    found.chat_template = _CHAT
    return found


def gemma_words(**more: Any) -> Any:
    merges = [("c", "a"), ("ca", "t"), ("d", "o"), ("do", "g")]
    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    words += [f"<0x{byte:02X}>" for byte in range(256)]
    words += ["▁", *(chr(code) for code in range(33, 127)), *(a + b for a, b in merges)]
    vocabulary = {word: place for place, word in enumerate(words)}
    return tf.GemmaTokenizer(vocab=vocabulary, merges=merges, model_max_length=4096, **more)


def llama_words() -> Any:
    from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
    from tokenizers.models import BPE

    words = [*byte_characters(), "<|begin_of_text|>", "<|eot_id|>"]
    core = Tokenizer(BPE(vocab={word: place for place, word in enumerate(words)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A",
        special_tokens=[("<|begin_of_text|>", words.index("<|begin_of_text|>"))],
    )
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        model_max_length=4096,
    )


def glm_words() -> Any:
    """As GLM-4's: two marks before a text, and padding at the beginning."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
    from tokenizers.models import BPE

    words = [*byte_characters(), "<|endoftext|>", "[gMASK]", "<sop>"]
    core = Tokenizer(BPE(vocab={word: place for place, word in enumerate(words)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.post_processor = processors.TemplateProcessing(
        single="[gMASK] <sop> $A",
        special_tokens=[(mark, words.index(mark)) for mark in ("[gMASK]", "<sop>")],
    )
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        model_max_length=4096,
    )


_LLAMA_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Llama 3 splits text, which has most words of a template whole."""
_LLAVA_MARKS = ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
_LLAVA_MARKS += ["<image>", "<pad>"]
_LLAVA_MARK = "|".join(map(re.escape, _LLAVA_MARKS))


def llava_words(*templates: str) -> Any:
    """As that of LLaVA's Llama 3: words of templates are one token, others one for each byte."""
    from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers, processors
    from tokenizers.models import BPE

    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_LLAMA_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    plain = [part for text in templates for part in re.split(_LLAVA_MARK, text)]
    whole = (word for part in plain for word, _ in split.pre_tokenize_str(part))
    words = [*byte_characters(), *dict.fromkeys(word for word in whole if len(word) > 1)]
    words += _LLAVA_MARKS
    places = {word: place for place, word in enumerate(words)}
    core = Tokenizer(BPE(vocab=places, merges=[], ignore_merges=True))
    core.pre_tokenizer, core.decoder = split, decoders.ByteLevel()
    core.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A",
        special_tokens=[("<|begin_of_text|>", places["<|begin_of_text|>"])],
    )
    found = tf.PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        pad_token="<pad>",
        padding_side="right",
        model_max_length=4096,
    )
    found.add_special_tokens({"additional_special_tokens": _LLAVA_MARKS[2:5]})
    return found
