"""ChatGLM3 with a few words and random weights, as Kolors reads prompts with it.

diffusers reads its vocabulary with the package sentencepiece. Where that is missing, a few lines of
Python merge the pairs in its place.
"""

from __future__ import annotations

import itertools
import struct
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch

with warnings.catch_warnings():
    # The text encoder compiles a function as torch no longer wants it.
    warnings.filterwarnings("ignore", ".*jit.script", DeprecationWarning)
    from diffusers.pipelines.kolors import (
        pipeline_kolors,
        pipeline_kolors_img2img,
        text_encoder,
        tokenizer,
    )

KolorsPipeline = pipeline_kolors.KolorsPipeline
KolorsImg2ImgPipeline = pipeline_kolors_img2img.KolorsImg2ImgPipeline

_SPACE = "\u2581"
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_WORDS = [
    *("<unk>", "<s>", "</s>"),
    *_BYTES,
    *("ca", "re", "at", "red", f"{_SPACE}a", "cat", f"{_SPACE}red", f"{_SPACE}cat"),
    *(_SPACE, *map(chr, range(33, 127)), "\u732b"),
]
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_KINDS = {"<unk>": _UNKNOWN, "<s>": _CONTROL, "</s>": _CONTROL, **dict.fromkeys(_BYTES, _BYTE)}
_FOLDER = TemporaryDirectory()


def _field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def sentencepiece_model(algorithm: int = 2) -> bytes:
    """The content of a ``tokenizer.model``: pairs, bytes, and a space before each text."""
    pieces = b"".join(
        _field(
            1,
            _field(1, word.encode())
            + b"\x1d"
            + struct.pack("<f", -float(number))
            + bytes([3 << 3, _KINDS.get(word, _NORMAL)]),
        )
        for number, word in enumerate(_WORDS)
    )
    # `byte_fallback` is field 35 of the trainer's message, `model_type` field 3.
    trainer = bytes([3 << 3, algorithm, 0x98, 0x02, 1])
    return pieces + _field(2, trainer)


class _Processor:
    """As ``SentencePieceProcessor``, of the words here."""

    def __init__(self, model_file: str) -> None:
        assert Path(model_file).read_bytes() == sentencepiece_model()
        self._ids = {word: number for number, word in enumerate(_WORDS)}

    def vocab_size(self) -> int:
        return len(_WORDS)

    get_piece_size = vocab_size

    def unk_id(self) -> int:
        return 0

    def bos_id(self) -> int:
        return 1

    def eos_id(self) -> int:
        return 2

    def PieceToId(self, piece: str) -> int:
        return self._ids.get(piece, 0)

    def IdToPiece(self, number: int) -> str:
        return _WORDS[number]

    def EncodeAsPieces(self, text: str) -> list[str]:
        words = " ".join(filter(None, text.split(" ")))
        parts = list((_SPACE + words.replace(" ", _SPACE)) if words else "")
        while True:
            pairs = [a + b for a, b in itertools.pairwise(parts)]
            best = max(pairs, key=self._score, default="")
            if not self._score(best):
                return [piece for part in parts for piece in self._known(part)]
            at = pairs.index(best)
            parts[at : at + 2] = [best]

    def _score(self, piece: str) -> int:
        """Higher for words that come first; 0 for none."""
        is_word = piece in self._ids and piece not in _KINDS
        return len(_WORDS) - self._ids[piece] if is_word else 0

    def _known(self, part: str) -> list[str]:
        return [part] if part in self._ids else [_BYTES[byte] for byte in part.encode()]


@contextmanager
def sentencepiece_at_hand() -> Iterator[None]:
    """Inside the `with`, diffusers builds ChatGLM's tokenizer, with the package or without it."""
    with ExitStack() as stack:
        if find_spec("sentencepiece") is None:
            stand_in = SimpleNamespace(SentencePieceProcessor=_Processor)
            stack.enter_context(patch.dict(sys.modules, {"sentencepiece": stand_in}))  # type: ignore[dict-item]
            available = patch.object(tokenizer, "is_sentencepiece_available", lambda: True)
            stack.enter_context(available)
        yield


def chatglm_words() -> Any:
    """The tokenizer as diffusers has it."""
    file = Path(_FOLDER.name) / "tokenizer.model"
    file.write_bytes(sentencepiece_model())
    with sentencepiece_at_hand():
        return tokenizer.ChatGLMTokenizer(str(file))


def chatglm_text(width: int = 32) -> Any:
    """The language model, with rows for the marks behind the vocabulary, and some more."""
    config = text_encoder.ChatGLMConfig(
        num_layers=3,
        padded_vocab_size=len(_WORDS) + 16,
        hidden_size=width,
        ffn_hidden_size=2 * width,
        kv_channels=16,
        num_attention_heads=width // 16,
        multi_query_attention=True,
        multi_query_group_num=1,
        add_qkv_bias=True,
        seq_length=512,
        original_rope=True,
    )
    model = text_encoder.ChatGLMModel(config)
    for weight in model.parameters():
        # The class leaves them as the memory was.
        torch.nn.init.normal_(weight, 0, 0.1)
    return model
