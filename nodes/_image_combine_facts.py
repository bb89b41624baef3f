"""What nodes that combine pictures know before they run. Imports no torch."""

from __future__ import annotations

from nodegraph import Facts, HookInputs

_SIZE = ("width", "height")


def _known(inputs: HookInputs, port: str, *names: str) -> dict[str, object]:
    facts = {name: inputs.fact(port, name) for name in names}
    return {name: value for name, value in facts.items() if value is not None}


def layered_facts(inputs: HookInputs) -> dict[str, Facts]:
    """A picture with another one on it: as large as the lower one."""
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
    """The same without alpha."""
    facts = _known(inputs, "image", *_SIZE, "batch", "channels")
    if facts.get("channels") == 4:
        facts["channels"] = 3
    return {"image": facts}


def joined_channels_facts(inputs: HookInputs) -> dict[str, Facts]:
    """As large as its channels."""
    facts = _known(inputs, "first", *_SIZE)
    batches = [inputs.fact(port, "batch") for port in ("first", "second", "third")]
    if None not in batches:
        facts["batch"] = max(batches)
    return {"image": {**facts, "channels": 3}}


def joined_batch_facts(inputs: HookInputs) -> dict[str, Facts]:
    """As large as the first; how many there are isn't known of lists."""
    return {"image": _known(inputs, "images", *_SIZE)}


def batch_slice_facts(inputs: HookInputs) -> dict[str, Facts]:
    """As large, and as many as there are from there."""
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
    """As large, and so many times as many."""
    facts = _known(inputs, "image", *_SIZE, "channels")
    count, times = inputs.fact("image", "batch"), inputs.literals.get("times")
    if count is not None and times is not None:
        facts["batch"] = count * times
    return {"image": facts}
