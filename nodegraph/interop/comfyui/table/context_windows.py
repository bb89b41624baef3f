"""Context windows of videos: model patches there, a node around the guider here."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry
from nodegraph.interop.comfyui.table.carried_values import (
    GUIDE,
    Patch,
    guide_of,
    only_back,
    patched,
)
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

MANUAL, WAN, LTXV = "ContextWindowsManual", "WanContextWindowsManual", "LTXVContextWindows"
_FRAME_AXIS = 2
_KEPT = "windows_of"
"""Says which of ComfyUI's nodes a `ContextWindows` was: two count frames of the video."""
_FIRST = "0"


_UNIFORM = ("standard_uniform", "looped_uniform")
_RETAINED = ("cond_retain_index_list", "latent_retain_index_list")
_NAMES = {
    "context_length": "length",
    "context_overlap": "overlap",
    "context_schedule": "schedule",
    "context_stride": "stride",
    "closed_loop": "closed_loop",
    "fuse_method": "fuse_method",
    "freenoise": "free_noise",
    "split_conds_to_windows": "split_prompts",
}


def _context_frame(lists: dict[str, str], is_anchored: bool, node: Passage) -> str:
    """What a window shows before its first frame."""
    for name, value in lists.items():
        if value not in ("", _FIRST):
            node.tell(
                f"`{name}` {value}: nodegraph retains the conditioning of the first frame only, so "
                "the video differs"
            )
    if not any(lists.values()):
        return "previous frame" if is_anchored else "none"
    if not is_anchored:
        node.tell(
            "nodegraph retains the first frame before a window, not in place of its first frame "
            "(`causal_window_fix`), so the video differs"
        )
    return "first frame"


def _back(node: Passage) -> None:
    there = str(node.kept.get(_KEPT) or (MANUAL if node.literal("unit") != "frames" else WAN))
    is_in_frames = node.literal("unit") == "frames"
    if is_in_frames is (there == MANUAL):
        there = WAN if is_in_frames else MANUAL
    context = node.literal("context_frame")
    taken: dict[str, Any] = {their: node.inputs[our] for their, our in _NAMES.items()}
    if there == MANUAL:
        first = _FIRST if context == "first frame" else ""
        lists = {name: node.kept.get(name, "") for name in _RETAINED} if first else {}
        taken |= {name: lists.get(name, "") for name in _RETAINED}
        if first and not any(lists.values()):
            taken[_RETAINED[0]] = first
        taken |= {"dim": _FRAME_AXIS, "causal_window_fix": context != "none"}
    else:
        if context == "none":
            raise Untranslatable(
                f"{there} always shows the previous frame: set `unit` to latent frames"
            )
        if there == WAN and _KEPT not in node.kept:
            node.tell("ComfyUI counts 4 frames per latent frame, as for models of Wan")
        taken["retain_first_frame"] = context == "first frame"
    node.give("guider", Signal(None, {GUIDE: guide_of(node).patched(node, there, **taken)}))


def _forward(node: Passage) -> None:
    """A patch of the model; messages are told here, as the node around the guider is made later.

    Raises:
        Untranslatable: It divides another axis of latents than batches and frames.
    """
    if node.type == MANUAL and (dim := node.literal("dim")) != _FRAME_AXIS:
        if dim:
            raise Untranslatable(f"nodegraph has no context windows along axis {dim} of latents")
        node.tell(
            "windows over a batch of images are left out: models of nodegraph evaluate each image "
            "of a batch on its own"
        )
        node.give("MODEL", node.inputs["model"])
        return
    if node.literal("context_stride") != 1 and node.literal("context_schedule") in _UNIFORM:
        node.tell("windows with a stride that does not fit into the video are left out")
    kept = {_KEPT: node.type}
    context = "previous frame"
    if node.type == MANUAL:
        lists = {name: str(_literal(node, name, "")).strip() for name in _RETAINED}
        context = _context_frame(lists, bool(_literal(node, "causal_window_fix", True)), node)
        kept |= {name: value for name, value in lists.items() if value}
    elif _literal(node, "retain_first_frame", False):
        context = "first frame"
    node.keep(**kept)

    def windowed(_: Passage, made: MadeOutput, model_patch: Patch) -> MadeOutput:
        inputs = model_patch.inputs
        taken = {here: inputs[there] for there, here in _NAMES.items() if there in inputs}
        unit = "latent frames" if node.type == MANUAL else "frames"
        name = node.add("ContextWindows", guider=made, **taken, unit=unit, context_frame=context)
        return MadeOutput(name, "guider")

    patched(node, wrap=windowed)


def _literal(node: Passage, name: str, usual: Any) -> Any:
    """The value of an input that older files lack."""
    return node.literal(name) if name in node.inputs else usual


_SCHEDULED = (
    'context_schedule: COMBO = "{}", context_stride: INT = 1, closed_loop: BOOLEAN = false, '
    'fuse_method: COMBO = "pyramid"'
)
_IN_FRAMES = (
    f"{_SCHEDULED.format('standard_uniform')}, freenoise: BOOLEAN = true, "
    "retain_first_frame: BOOLEAN? = false, split_conds_to_windows: BOOLEAN? = false"
)

ENTRIES: tuple[TableEntry, ...] = (
    entry(
        f"{MANUAL}(model: MODEL, context_length: INT = 16, context_overlap: INT = 4, "
        f"{_SCHEDULED.format('standard_static')}, dim: INT = 0, freenoise: BOOLEAN = false, "
        'cond_retain_index_list: STRING? = "", split_conds_to_windows: BOOLEAN? = false, '
        'latent_retain_index_list: STRING? = "", causal_window_fix: BOOLEAN? = true) -> MODEL',
        _forward,
    ),
    entry(
        f"{WAN}(model: MODEL, context_length: INT = 81, context_overlap: INT = 30, {_IN_FRAMES})"
        " -> MODEL",
        _forward,
    ),
    entry(
        f"{LTXV}(model: MODEL, context_length: INT = 145, context_overlap: INT = 40, {_IN_FRAMES})"
        " -> MODEL",
        _forward,
    ),
    only_back("ContextWindows", _back),
)
