"""Names for content: equal values have equal digests, in every process and on every machine.

Values are brought into a canonical form (mapping keys sorted, one NaN, tensors replaced by the
digest of dtype, shape and bytes, dataclasses by type and fields), packed with msgpack and hashed
with blake3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from operator import itemgetter
from pathlib import PurePath
from typing import Any

import msgpack
from blake3 import blake3

Digest = str
"""64 hexadecimal characters."""

_OTHER, _TENSOR, _FLOAT, _BIG, _MAPPING, _ENUM, _PATH, _RECORD = range(1, 9)
_PLAIN = frozenset({str, int, bool, bytes, type(None)})


class Undigestable(TypeError):
    """A value without a content digest: a type that no port type describes."""


def digest_bytes(data: bytes | memoryview) -> Digest:
    """blake3 of some bytes."""
    return blake3(data).hexdigest()


def digest_value(
    value: Any, digesters: Mapping[type, Callable[[Any], str]] | None = None
) -> Digest:
    """Digest of a value that may travel on a link.

    Args:
        digesters: Digest functions of types that packs define, by class.
    Raises:
        Undigestable: Something in the value has no canonical form.
    """
    return digest_bytes(_pack(canonical(value, digesters or {})))


def canonical(value: Any, digesters: Mapping[type, Callable[[Any], str]]) -> Any:
    """The value in a form that msgpack writes the same way every time."""
    kind = type(value)
    if kind in _PLAIN:
        return _integer(value) if kind is int else value
    if kind is float:
        return _float(value)
    if kind is list or kind is tuple:
        return [canonical(item, digesters) for item in value]
    if kind in digesters:
        return _tagged(_OTHER, [_type_name(kind), digesters[kind](value)])
    return _structured(value, digesters)


def _structured(value: Any, digesters: Mapping[type, Callable[[Any], str]]) -> Any:
    if isinstance(value, Mapping):
        pairs = sorted(
            [
                (
                    _packed_text(key) if type(key) is str else _pack(canonical(key, digesters)),
                    canonical(item, digesters),
                )
                for key, item in value.items()
            ],
            key=itemgetter(0),
        )
        return _tagged(_MAPPING, pairs)
    if is_tensor(value):
        return msgpack.ExtType(_TENSOR, digest_tensor(value).encode())
    if isinstance(value, Enum):
        return _tagged(_ENUM, [_type_name(type(value)), canonical(value.value, digesters)])
    if isinstance(value, PurePath):
        return _tagged(_PATH, str(value))
    if is_dataclass(value) and not isinstance(value, type):
        parts = [
            [item.name, canonical(getattr(value, item.name), digesters)]
            for item in fields(value)
            if item.metadata.get("content", True)
        ]
        return _tagged(_RECORD, [_type_name(type(value)), parts])
    if isinstance(value, (list, tuple)):
        return [canonical(item, digesters) for item in value]
    raise Undigestable(f"{_type_name(type(value))} has no content digest")


def _integer(value: int) -> Any:
    if -(2**63) <= value < 2**64:
        return value
    return msgpack.ExtType(_BIG, str(value).encode())


def _float(value: float) -> Any:
    # One NaN for all bit patterns; -0.0 stays apart from 0.0, as 1 / x tells them apart.
    return msgpack.ExtType(_FLOAT, b"nan") if math.isnan(value) else value


def _tagged(code: int, payload: Any) -> msgpack.ExtType:
    # An extension type can't be mistaken for a list that happens to hold the same items.
    return msgpack.ExtType(code, _pack(payload))


def _pack(value: Any) -> bytes:
    # JSON can hold half a surrogate pair, which has no UTF-8; its digest must not fail.
    packed: bytes = msgpack.packb(value, use_bin_type=True, unicode_errors="surrogatepass")
    return packed


@lru_cache(maxsize=1024)
def _packed_text(text: str) -> bytes:
    # Keys of mappings are mostly names of inputs, the same ones again and again.
    return _pack(text)


def _type_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def is_tensor(value: Any) -> bool:
    """Whether the value is a torch tensor, told without importing torch."""
    return any(
        base.__name__ == "Tensor" and base.__module__.split(".")[0] == "torch"
        for base in type(value).__mro__
    )


def digest_tensor(tensor: Any) -> Digest:
    """Digest of dtype, shape and bytes, whatever the strides and device."""
    import torch

    if tensor.layout != torch.strided:
        raise Undigestable(f"a tensor of layout {tensor.layout} has no content digest")
    flat = tensor.detach().to("cpu").resolve_conj().resolve_neg().contiguous()
    hasher = blake3(f"{flat.dtype}{tuple(flat.shape)}".encode())
    if flat.numel():
        # A single item counts as contiguous with any stride, and then can't be seen as bytes.
        items = flat.as_strided((flat.numel(),), (1,))
        hasher.update(memoryview(items.view(torch.uint8).numpy()))
    return hasher.hexdigest()
