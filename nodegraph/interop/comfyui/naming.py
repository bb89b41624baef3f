"""Names of native things, after what they are called in ComfyUI: readable, and none twice."""

from __future__ import annotations

import re
import unicodedata

_LONGEST = 40

_PARTED = re.compile(r"(?<=[A-Z]{2})(?=[A-Z][a-z])|(?<=[a-z\d])(?=[A-Z])")
_NO_WORD = re.compile(r"[^\w]+", re.UNICODE)


class Names:
    """Names of one graph that are taken."""

    def __init__(self, taken: set[str] | None = None) -> None:
        self._taken = set(taken or ())
        self._last: dict[str, int] = {}

    def reserve(self, wanted: str, *, between: str = "_") -> str:
        """The wanted name, or the next one of its kind: "blur", "blur_2"; it is taken then."""
        name = wanted
        number = self._last.get(wanted, 1)
        while name in self._taken:
            number += 1
            name = f"{wanted}{between}{number}"
        self._last[wanted] = number
        self._taken.add(name)
        return name

    def release(self, name: str) -> None:
        """Take a name back that nothing is called by."""
        self._taken.discard(name)
        self._last.pop(name, None)


def to_snake_case(text: str, otherwise: str) -> str:
    """A text as a name: "vae_decode" of "VAE Decode" or "VAEDecode".

    Args:
        otherwise: Where nothing of it can stand in a name.
    """
    plain = unicodedata.normalize("NFC", text).replace("LoRA", "Lora")
    words = _NO_WORD.sub("_", _PARTED.sub("_", plain)).strip("_").lower()
    if len(words) > _LONGEST:
        words = words[:_LONGEST].rpartition("_")[0] or words[:_LONGEST]
    return re.sub("_{2,}", "_", words) or otherwise


def subgraph_name(text: str) -> str:
    """A sub-graph's name as it can stand for a type of node."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(re.sub(r"[./:]", " ", plain).split())[:_LONGEST].strip() or "Block"
