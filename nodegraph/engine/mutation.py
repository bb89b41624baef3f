"""Nodes that change their inputs, which others share: found out, and kept from doing harm.

Changes of tensors are noticed always, as torch counts them; changes of anything else in the
checking mode, which compares contents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

from nodegraph.core.digests import Digest, Undigestable, digest_value, is_tensor
from nodegraph.core.summary import summarize
from nodegraph.engine.artifact import PLAIN, Artifact, Digesters, Versions, origins
from nodegraph.engine.cache import Cache
from nodegraph.errors import InvalidValue


class ChangedInput(InvalidValue):
    """A node changed an input: what others share isn't what it is taken for any more."""


class WatchedTensors:
    """Checks at the end of the `with` that no tensor in some inputs was changed in place.

    Neither was one since anybody was first handed it. What was changed leaves memory, so that
    whoever needs it next gets it as it was.

    Raises:
        ChangedInput: One was; names the input.
    """

    __slots__ = ("_cache", "_handed", "_inputs")

    def __init__(self, inputs: Mapping[str, Artifact], cache: Cache) -> None:
        self._inputs = inputs
        self._cache = cache
        # Whoever notices it first makes the artifact let go of the value, so it is held here.
        self._handed = [
            (port, origin.value, versions)
            for port, artifact in inputs.items()
            for origin in origins((artifact,))
            if origin.is_loaded and (versions := _noted(origin))
        ]

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if not self._handed:
            return
        changed = {
            port: value
            for port, value, versions in self._handed
            if tensor_versions(value) != versions
        }
        self._cache.spoiled(self._inputs[port] for port in changed)
        if error is None:  # else its own error tells more
            for port, value in changed.items():
                raise _changed(port, value, by="this node, or one that ran beside it,")


def _noted(origin: Artifact) -> Versions:
    """Versions of a value when anybody was first handed it."""
    if origin.versions is None:
        origin.versions = tensor_versions(origin.value)
    return origin.versions


@contextmanager
def watching_content(
    inputs: Mapping[str, Artifact], digesters: Digesters, cache: Cache
) -> Iterator[None]:
    """Check after the `with` that no input's content has changed, also where it raises.

    Raises:
        ChangedInput: One has; names it.
    """
    before = {port: _digest(artifact.value, digesters) for port, artifact in inputs.items()}
    try:
        yield
    finally:
        for port, artifact in inputs.items():
            value = artifact.value
            if _digest(value, digesters) != before[port]:
                cache.spoiled([artifact])
                raise _changed(port, value, by="the node")


def _changed(port: str, value: Any, *, by: str) -> ChangedInput:
    return ChangedInput(
        f"{by} changed this input, which other nodes and the cache share",
        port=port,
        given=f"now {summarize(value)}",
        expected="the value as it was before the call",
        hint="Work on a copy: `value.clone()` for a tensor, `dataclasses.replace` or "
        "`copy.deepcopy` for others. `nodegraph run --check-mutation` runs nodes one at a time "
        "and tells which it was.",
    )


def tensor_versions(value: Any) -> Versions:
    """How often each tensor in a value was changed in place, as torch counts it."""
    if type(value) in PLAIN:
        return ()
    if is_tensor(value):
        try:
            return (value._version,)
        except RuntimeError:  # one made in inference mode, whose changes aren't counted
            return ()
    if isinstance(value, Mapping):
        return tuple([one for item in value.values() for one in tensor_versions(item)])
    if isinstance(value, (list, tuple)):
        return tuple([one for item in value for one in tensor_versions(item)])
    if is_dataclass(value) and not isinstance(value, type):
        parts = [getattr(value, item.name) for item in fields(value)]
        return tuple([one for part in parts for one in tensor_versions(part)])
    return ()


def _digest(value: Any, digesters: Digesters) -> Digest | None:
    try:
        return digest_value(value, digesters)
    except (Undigestable, RecursionError):
        return None  # it has no content that could be compared
