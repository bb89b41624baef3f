"""The checking mode for nodes that change their inputs, which others share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nodegraph.core.digests import Digest, Undigestable, digest_value
from nodegraph.core.summary import summarize
from nodegraph.engine.artifact import Digesters
from nodegraph.errors import InvalidValue


class ChangedInput(InvalidValue):
    """A node changed an input: what others share isn't what it is taken for any more."""


@contextmanager
def unchanged_inputs(inputs: Mapping[str, Any], digesters: Digesters) -> Iterator[None]:
    """Check after the `with` that no input's content has changed, also where it raises.

    Raises:
        ChangedInput: One has; names it.
    """
    before = {port: _digest(value, digesters) for port, value in inputs.items()}
    try:
        yield
    finally:
        for port, value in inputs.items():
            if _digest(value, digesters) != before[port]:
                raise ChangedInput(
                    "the node changed this input, which other nodes and the cache share",
                    port=port,
                    given=f"now {summarize(value)}",
                    expected="the value as it was before the call",
                    hint="Work on a copy: `value.clone()` for a tensor, `dataclasses.replace` or "
                    "`copy.deepcopy` for others.",
                )


def _digest(value: Any, digesters: Digesters) -> Digest | None:
    try:
        return digest_value(value, digesters)
    except (Undigestable, RecursionError):
        return None  # it has no content that could be compared
