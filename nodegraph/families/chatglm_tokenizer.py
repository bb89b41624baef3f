"""ChatGLM3's tokenizer from its SentencePiece model, without the package sentencepiece.

Source: ``ChatGLMTokenizer`` of diffusers' ``pipelines/kolors/tokenizer.py``, and
https://github.com/google/sentencepiece, ``sentencepiece_model.proto`` and ``bpe_model.cc``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from nodegraph.weights.lazy import transformers
from nodegraph.weights.tokenizer_files import (
    BPE,
    Normalization,
    merges_of,
    read_normalization,
    read_pieces,
)

VOCABULARY = "tokenizer.model"
"""Name of the file of the SentencePiece model."""

_PREFIX = ("[gMASK]", "sop")
_MARKS = (
    *("[MASK]", "[gMASK]", "[sMASK]", "sop", "eop"),
    *("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"),
)
"""Words behind those of the model, by number. No text is read as one of them."""
_SPACE = "\u2581"


def chatglm_tokenizer(files: Sequence[Path]) -> Any:
    """Build the tokenizer: a `PreTrainedTokenizerFast` that pads at the beginning.

    Each text gets the two marks ``[gMASK]`` and ``sop`` before it.

    Args:
        files: Of the tokenizer's folder. All but the SentencePiece model are ignored.
    Raises:
        ValueError: There is no such model, it is damaged, or it does not merge byte pairs.
    """
    file = next((file for file in files if file.name == VOCABULARY), None)
    if file is None:
        raise ValueError(f"it has no {VOCABULARY}")
    content = file.read_bytes()
    pieces = read_pieces(content)
    how = read_normalization(content)
    if how.algorithm != BPE:
        raise ValueError(
            f"its SentencePiece model is of algorithm {how.algorithm}, not of byte pairs ({BPE})"
        )
    words = {piece.text: number for number, piece in enumerate(pieces)}
    for mark in _MARKS:
        # Numbers are those behind the model's, even where it has a word of that text.
        words[mark] = len(pieces) + _MARKS.index(mark)
    unknown = next((piece.text for piece in pieces if piece.is_unknown), None)
    if unknown is None:
        raise ValueError("its SentencePiece model has no unknown token")
    never_cut = sorted((piece.text for piece in pieces if piece.is_user_defined), key=len)
    core = tokenizers.Tokenizer(
        models.BPE(
            vocab=words,
            merges=merges_of([piece for piece in pieces if piece.is_mergeable]),
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=how.byte_fallback,
            # Words that are never cut are split off before, and then found whole.
            ignore_merges=bool(never_cut),
        )
    )
    core.normalizer = _normalizer(how)
    if never_cut:
        pattern = "|".join(re.escape(text) for text in reversed(never_cut))
        core.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    core.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    core.post_processor = processors.TemplateProcessing(
        single=f"{' '.join(_PREFIX)} $A",
        special_tokens=[(mark, words[mark]) for mark in _PREFIX],
    )

    class ChatGLMTokenizer(transformers.PreTrainedTokenizerFast):  # type: ignore[misc]
        def save_pretrained(self, folder: str | Path, **_: Any) -> tuple[str, ...]:
            """Write the SentencePiece model, as diffusers' class of this name reads it."""
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / VOCABULARY).write_bytes(content)
            return (str(Path(folder) / VOCABULARY),)

    ChatGLMTokenizer.__module__ = "diffusers.pipelines.kolors.tokenizer"
    return ChatGLMTokenizer(
        tokenizer_object=core, pad_token=unknown, unk_token=unknown, padding_side="left"
    )


def _normalizer(how: Normalization) -> normalizers.Normalizer:
    steps: list[normalizers.Normalizer] = []
    if how.charsmap:
        steps.append(normalizers.Precompiled(how.charsmap))
    if how.collapses_spaces:
        # Blanks alone: line breaks stay.
        steps += [
            normalizers.Replace(tokenizers.Regex(r"\A +| +\z"), ""),
            normalizers.Replace(tokenizers.Regex(" {2,}"), " "),
        ]
    steps.append(normalizers.Replace(" ", _SPACE))
    if how.begins_with_space:
        steps.append(normalizers.Prepend(_SPACE))
    return normalizers.Sequence(steps)
