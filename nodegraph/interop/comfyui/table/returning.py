"""What goes along on the way back until something is sampled.

Guiders and schedules there know their model; here the sampling alone does. So they make no node
where they stand, but go along to it: guiders under `GUIDE`, schedules under `SCHEDULE`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

GUIDE = "guide"
ENCODER = "encoder"
SCHEDULE = "laid"
NOISE_SCALE = "noise_scale"
GRADUAL = "gradual"

BuildSchedule = Callable[["Signal | MadeOutput"], MadeOutput]
"""Makes a schedule for a model."""


@dataclass(frozen=True, slots=True)
class GuiderSpec:
    """A guider there, but for its model.

    Attributes:
        home: The native node that it stands for, which it is made by.
        type: Such as CFGGuider.
        inputs: But for the model.
        patches: Of its model, the first first: what makes each, its type and its inputs.
    """

    home: Passage
    type: str
    inputs: Mapping[str, Any]
    patches: tuple[tuple[Passage, str, Mapping[str, Any]], ...] = ()

    def patched(self, home: Passage, patch: str, **inputs: Any) -> GuiderSpec:
        """The same, of a model with one more patch."""
        return replace(self, patches=(*self.patches, (home, patch, inputs)))


def refuse_unsupported(node: Passage, *allowed: str) -> None:
    """Refuse other values than a native node's own in inputs that can't be said there.

    Raises:
        Untranslatable: Some input that isn't in `said` has another value.
    """
    for name, signal in node.inputs.items():
        if name in allowed or signal.given == node.defaults.get(name):
            continue
        if signal.given not in (None, ""):
            raise Untranslatable(f"`{name}` can't be {signal.given!r} there")


def warn_conventions(node: Passage) -> None:
    """Tell people where numbers there are others than here."""
    # By its version, ComfyUI draws on the way from the seed or from the next one.
    draws = ("per batch", "per batch, one seed")
    conventions = {"convention": ("comfyui",), "draw": draws, "denoise_steps": ("all",)}
    values = {name: node.inputs[name].given for name in conventions if name in node.inputs}
    differing = [name for name, value in values.items() if value not in conventions[name]]
    # Without them it samples as it always did here.
    missing = [name for name in conventions if name in node.defaults and name not in values]
    if differing or missing:
        named = ", ".join(sorted({*differing, *missing}))
        node.tell(f"ComfyUI samples by conventions of its own: results differ ({named})")


def negative_or_empty(node: Passage, positive: Any, cfg: Any) -> Any:
    """The negative prompt, or anything where it isn't looked at.

    Raises:
        Untranslatable: It is the empty prompt here, and nobody knows whose encoder reads it.
    """
    if "negative" in node.inputs and node.inputs["negative"].given is not None:
        return node.inputs["negative"]
    if isinstance(cfg, (int, float)) and cfg <= 1:
        return positive
    encoder = positive.carried.get(ENCODER) if isinstance(positive, Signal) else None
    if encoder is None:
        raise Untranslatable("a negative prompt has to be linked there, such as an empty one")
    empty = node.imply("CLIPTextEncode", clip=encoder, text="")
    return MadeOutput(empty, "CONDITIONING")


def guide_of(node: Passage) -> GuiderSpec:
    """The guider that a native node is given.

    Raises:
        Untranslatable: It can't be said there.
    """
    guide = node.inputs["guider"].carried.get(GUIDE)
    if not isinstance(guide, GuiderSpec):
        raise Untranslatable("its guider can't be said there")
    return guide


def only_back(native: str, backward: Translate) -> TableEntry:
    """The entry of a native node that nothing there becomes, but which goes back."""
    return entry(f"@{native}()", _nothing, native, backward)


def _nothing(node: Passage) -> None:
    raise Untranslatable("it is no node of ComfyUI's")
