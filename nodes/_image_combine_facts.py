"""Facts of nodes that combine images, before they run. Imports no torch."""

from __future__ import annotations

from nodegraph import Facts, HookInputs

_SIZE = ("width", "height")


def _known(inputs: HookInputs, port: str, *names: str) -> dict[str, object]:
    facts = {name: inputs.fact(port, name) for name in names}
    return {name: value for name, value in facts.items() if value is not None}


def layered_facts(inputs: HookInputs) -> dict[str, Facts]:
    """An image with a layer on it. It is as large as the lower image."""
    other = "layer" if "layer" in inputs.facts else "other"
    facts = _known(inputs, "image", *_SIZE)
    batches = inputs.fact("image", "batch"), inputs.fact(other, "batch")
    if None not in batches:
        facts["batch"] = max(batches)
    own, others = inputs.fact("image", "channels"), inputs.fact(other, "channels")
    if own is not None and (own > 1 or others is not None):
        facts["channels"] = own if own > 1 else min(3, others)
    return {"image": facts}


def flattened_facts(inputs: HookInputs) -> dict[str, Facts]:
    """The same image without alpha."""
    facts = _known(inputs, "image", *_SIZE, "batch", "channels")
    if facts.get("channels") == 4:
        facts["channels"] = 3
    return {"image": facts}


def joined_channels_facts(inputs: HookInputs) -> dict[str, Facts]:
    """An image as large as its channels."""
    facts = _known(inputs, "first", *_SIZE)
    batches = [inputs.fact(port, "batch") for port in ("first", "second", "third")]
    if None not in batches:
        facts["batch"] = max(batches)
    return {"image": {**facts, "channels": 3}}


def joined_batch_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Images as large as the first one. The number of images in a list is not known."""
    return {"image": _known(inputs, "images", *_SIZE)}


def batch_slice_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Images of the same size, and the number of images in the slice."""
    facts = _known(inputs, "image", *_SIZE, "channels")
    count = inputs.fact("image", "batch")
    index, length = inputs.literals.get("index"), inputs.literals.get("length")
    every = inputs.literals.get("every")
    if None in (count, index, length) or every is None:
        return {"image": facts}
    if -count <= index < count:
        available = len(range(index % count, count, every))
        facts["batch"] = min(available, length) if length else available
    return {"image": facts}


def repeated_batch_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Images of the same size, repeated."""
    facts = _known(inputs, "image", *_SIZE, "channels")
    count, times = inputs.fact("image", "batch"), inputs.literals.get("times")
    if count is not None and times is not None:
        facts["batch"] = count * times
    return {"image": facts}
