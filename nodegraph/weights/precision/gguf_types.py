"""The types of numbers that GGUF files hold. Imports no torch.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and ``ggml-common.h`` there.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from nodegraph.errors import InvalidValue

PLAIN = {0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}
"""By the number in the file: those that the safetensors format names so, too."""

PLAIN_BYTES = {"F32": 4, "F16": 2, "I8": 1, "I16": 2, "I32": 4, "I64": 8, "F64": 8, "BF16": 2}

_BLOCK_TYPES = {
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    20: "IQ4_NL",
    23: "IQ4_XS",
}
TYPES = {**PLAIN, **_BLOCK_TYPES}
"""By the number in the file: all that can be read."""

BLOCKS = {
    "Q4_0": (32, 18),
    "Q4_1": (32, 20),
    "Q5_0": (32, 22),
    "Q5_1": (32, 24),
    "Q8_0": (32, 34),
    "Q2_K": (256, 84),
    "Q3_K": (256, 110),
    "Q4_K": (256, 144),
    "Q5_K": (256, 176),
    "Q6_K": (256, 210),
    "IQ4_NL": (32, 18),
    "IQ4_XS": (256, 136),
}
"""Of types whose numbers lie in blocks: how many are in one, and its bytes."""

FOREIGN = {
    9: "Q8_1",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    21: "IQ3_S",
    22: "IQ2_S",
    29: "IQ1_M",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
    40: "NVFP4",
}
"""Those that can't, by name for messages."""


def check_gguf_installed(kinds: Iterable[str]) -> None:
    """Refuse types of numbers that need the package gguf where that is missing.

    Raises:
        InvalidValue: So it is.
    """
    if not BLOCKS.keys().isdisjoint(kinds) and find_spec("gguf") is None:
        raise InvalidValue(
            "numbers in blocks, as GGUF files have them, are read with the package gguf, which "
            "isn't installed",
            hint="Run `pip install 'nodegraph[gguf]'`.",
        )
