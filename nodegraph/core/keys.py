"""Keys: what a node's result depends on, as a digest.

key = digest(type, version, code, numerics profile, literals, digests of the linked inputs, state
of the world outside that the node reads). As upstream enters by its outputs' digests, a rerun
upstream that yields the same bytes leaves the key as it was: early cut-off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from blake3 import blake3

from nodegraph.core.digests import Digest, digest_value
from nodegraph.core.spec import NodeSpec

Key = str
"""64 hexadecimal characters."""


def _joined(kind: str, parts: Iterable[str]) -> Digest:
    # The lengths keep ("ab", "c") and ("a", "bc") apart.
    text = "".join([f"{len(part)}:{part}" for part in (kind, *parts)])
    return blake3(text.encode("utf-8", "surrogatepass")).hexdigest()


def base_key(
    spec: NodeSpec,
    literals: Mapping[str, Any],
    *,
    code: Digest,
    profile: str = "",
    digesters: Mapping[type, Callable[[Any], str]] | None = None,
) -> Digest:
    """The part of a node's key that is known before anything upstream has run.

    Args:
        code: Digest of the code behind the node.
        profile: Numerics profile, for nodes that declare that they depend on it.
    """
    # By name: in which order a file gives a node's inputs, its function can't see.
    literals_digest = digest_value({port: literals[port] for port in sorted(literals)}, digesters)
    return _joined("base", (spec.type, str(spec.version), code, profile, literals_digest))


def call_key(base: Digest, inputs: Mapping[str, Digest], fingerprint: str = "") -> Key:
    """The key of one call.

    Args:
        base: From `base_key`.
        inputs: Digests of the linked inputs.
        fingerprint: State of the world outside that the node reads.
    """
    parts = [base, fingerprint]
    for port in sorted(inputs):
        parts += (port, inputs[port])
    return _joined("call", parts)


def work_key(
    spec: NodeSpec,
    literals: Mapping[str, Any],
    inputs: Mapping[str, Digest],
    *,
    code: Digest,
    profile: str = "",
    digesters: Mapping[type, Callable[[Any], str]] | None = None,
    fingerprint: str = "",
) -> Key:
    """Names the work of one call, however far it is to go: for its checkpoints.

    It is made of what the call's key is made of, without the inputs that the node type's
    `continues` names, literal or linked.

    Args:
        literals, code, profile, digesters: As for `base_key`.
        inputs, fingerprint: As for `call_key`.
    """
    base = base_key(
        spec,
        {port: value for port, value in literals.items() if port not in spec.continues},
        code=code,
        profile=profile,
        digesters=digesters,
    )
    steady = {port: digest for port, digest in inputs.items() if port not in spec.continues}
    return _joined("work", (call_key(base, steady, fingerprint),))


def variant_key(key: Key, variant: str) -> Key:
    """The key of the same work done in another way, which may differ in its last bits."""
    return _joined("variant", (key, variant))


def lazy_key(before: Key, port: str, digest: Digest) -> Key:
    """The key after a lazy input was asked for and evaluated."""
    return _joined("lazy", (before, port, digest))


def list_digest(items: Iterable[Digest]) -> Digest:
    """The digest of a list from its items' digests."""
    return _joined("list", items)


def converted_digest(digest: Digest, conversions: tuple[str, ...]) -> Digest:
    """The digest of a value after a link's conversions."""
    return _joined("converted", (digest, *conversions)) if conversions else digest


def opaque_digest(key: Key, port: str) -> Digest:
    """Names an output without a content digest by what it was computed from."""
    return _joined("opaque", (key, port))
