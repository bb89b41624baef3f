"""Values of a file that make no difference here, though they do in ComfyUI."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph.compat.comfyui.entries import TableEntry
from nodegraph.compat.comfyui.foreign import ForeignNode, Source
from nodegraph.compat.comfyui.passages import Arrival
from nodegraph.compat.comfyui.tags import plain


def unheeded(node: ForeignNode, entry: TableEntry, arrival: Arrival) -> Iterator[str]:
    """Tell of a node's values that differ from the defaults and that nothing here stands for."""
    for name in entry.unused:
        value = node.inputs.get(name)
        taken = entry.signature.taken(name)
        if value is not None and taken is not None and value != taken.default:
            text = "what is linked to it" if isinstance(value, Source) else repr(plain(value))
            yield f"nothing here stands for its `{name}`: {text} makes no difference"
    for taken in entry.signature.widgets:
        value = node.inputs.get(taken.name)
        is_word = taken.type == "COMBO" and isinstance(taken.default, str)
        is_word = is_word and isinstance(value, str) and value != taken.default
        if not is_word or entry.is_idle(taken.name):
            continue
        if str(value) not in entry.words and not _is_handed_on(str(value), arrival):
            yield (
                f"its `{taken.name}` is {plain(value)!r} there, which isn't known here: what "
                "comes of it may differ"
            )


def _is_handed_on(word: str, arrival: Arrival) -> bool:
    """Whether something made of a node has a word of it, whole or a part, or people are told."""
    values = [value for made in arrival.nodes() for value in made.inputs.values()]
    values += [part for signal in arrival.given.values() for part in (signal.given, signal.carried)]
    if any(word in str(each) for each in (*values, *arrival.told)):
        return True
    return any(isinstance(each, str) and len(each) > 1 and each in word for each in values)
