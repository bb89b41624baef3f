"""Node entries of UI and API files, and their titles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from nodegraph.core.parts import Mode
from nodegraph.interop.comfyui.entries import Signature
from nodegraph.interop.comfyui.foreign_workflow import (
    ForeignGraph,
    ForeignNode,
    ForeignPort,
    ForeignWorkflow,
    Frame,
    ModelFile,
    Source,
)
from nodegraph.interop.comfyui.reading.document_check import (
    DocumentCheck,
    printable,
    read_rectangle,
    text_of,
)
from nodegraph.interop.comfyui.reading.ui_graph import type_of
from nodegraph.interop.comfyui.reading.widgets import typed_values
from nodegraph.interop.comfyui.round_trip import read_native_notes


def read_api(
    document: Mapping[str, Any], signatures: Mapping[str, Signature], check: DocumentCheck
) -> ForeignWorkflow:
    """A workflow of the API format, by node.

    Args:
        signatures: Of the node types that are known, by type.
    Raises:
        InvalidFile: It holds no node, or too many.
    """
    entries = {name: entry for name, entry in document.items() if is_api_node(entry)}
    for name in document:
        if name not in entries:
            check.warn(f"`{printable(name)}` is not a node and is skipped")
    if not entries:
        raise check.invalid_file("it contains no node")
    check.count(entries)
    nodes = {
        name: _node(name, entry, entries, signatures.get(entry["class_type"]), check)
        for name, entry in entries.items()
    }
    return ForeignWorkflow(ForeignGraph(nodes), "api", warnings=check.warnings)


def is_api_node(entry: Any) -> bool:
    """Whether something looks like a node of this format."""
    return isinstance(entry, dict) and isinstance(entry.get("class_type"), str)


def literal_of(written: Any) -> Any:
    """The value that an input is written with; None of one that may be a link."""
    if isinstance(written, dict) and "__value__" in written:
        return written["__value__"]
    return None if isinstance(written, list) else written


def _node(
    name: str,
    entry: Mapping[str, Any],
    entries: Mapping[str, Any],
    signature: Signature | None,
    check: DocumentCheck,
) -> ForeignNode:
    written = check.fields(entry.get("inputs"), f"`inputs` of node `{printable(name)}`")
    inputs: dict[str, Any] = {}
    nulls: list[str] = []
    for port, value in written.items():
        parsed = _value(value, entries)
        if isinstance(parsed, Source) and parsed.node not in entries:
            check.warn(
                f"node `{printable(name)}` ({printable(entry['class_type'])}): "
                f"`{printable(port)}` was connected to the node `{printable(parsed.node)}`, "
                "which does not exist; it stays unconnected"
            )
        elif parsed is None:
            nulls.append(port)
        else:
            inputs[port] = parsed
    meta = entry.get("_meta")
    known = meta if isinstance(meta, dict) else {}
    values, misfits = typed_values(inputs, signature, nulls)
    node = ForeignNode(
        name,
        entry["class_type"],
        values,
        title=own_title(known.get("title"), entry["class_type"]),
        pack=text_of(known.get("cnr_id")) or text_of(known.get("aux_id")),
        raw=entry,
        unreadable_inputs=misfits,
    )
    # What was written here without values that nobody had given has none yet.
    notes = read_native_notes(node).extra_fields.get("unread_as", {}).values()
    names = dict.fromkeys(each for joined in notes for each in joined.split(", "))
    known_names = signature.by_name if signature else {}
    left = [each for each in names if each in known_names and each not in inputs]
    return (
        replace(node, unreadable_inputs=tuple(dict.fromkeys((*misfits, *left)))) if left else node
    )


def _value(written: Any, entries: Mapping[str, Any]) -> Any:
    """A literal, or a source: a list of a node's id and a slot."""
    if not isinstance(written, list) or len(written) != 2:
        return literal_of(written) if isinstance(written, dict) else written
    node, slot = written
    is_slot = isinstance(slot, int) and not isinstance(slot, bool) and slot >= 0
    if is_slot and isinstance(node, str):
        return Source(node, slot)
    if is_slot and isinstance(node, int) and str(node) in entries:
        return Source(str(node), slot)
    return written


_USUAL: Mapping[str, str] = {
    "BatchImagesNode": "Batch Images",
    "CheckpointLoaderSimple": "Load Checkpoint",
    "CheckpointLoader": "Load Checkpoint With Config (DEPRECATED)",
    "CLIPLoader": "Load CLIP",
    "CLIPSetLastLayer": "CLIP Set Last Layer",
    "CLIPTextEncode": "CLIP Text Encode (Prompt)",
    "CLIPVisionLoader": "Load CLIP Vision",
    "ComfyMathExpression": "Math Expression",
    "ComfySwitchNode": "Switch",
    "ConditioningCombine": "Conditioning (Combine)",
    "ConditioningConcat": "Conditioning (Concat)",
    "ConditioningSetArea": "Conditioning (Set Area)",
    "ConditioningSetAreaPercentage": "Conditioning (Set Area with Percentage)",
    "ConditioningSetMask": "Conditioning (Set Mask)",
    "ControlNetApply": "Apply ControlNet (OLD)",
    "ControlNetApplyAdvanced": "Apply ControlNet",
    "ControlNetApplySD3": "Apply Controlnet with VAE",
    "ControlNetLoader": "Load ControlNet Model",
    "DiffControlNetLoader": "Load ControlNet Model (diff)",
    "EmptyLatentImage": "Empty Latent Image",
    "ImageBatch": "Batch Images",
    "ImageInvert": "Invert Image",
    "ImagePadForOutpaint": "Pad Image for Outpainting",
    "ImageQuantize": "Image Quantize",
    "ImageScale": "Upscale Image",
    "ImageScaleBy": "Upscale Image By",
    "ImageScaleToTotalPixels": "Scale Image to Total Pixels",
    "ImageUpscaleWithModel": "Upscale Image (using Model)",
    "KSamplerAdvanced": "KSampler (Advanced)",
    "LatentCrop": "Crop Latent",
    "LatentFlip": "Flip Latent",
    "LatentRotate": "Rotate Latent",
    "LatentUpscale": "Upscale Latent",
    "LatentUpscaleBy": "Upscale Latent By",
    "LoadImage": "Load Image",
    "LoadImageMask": "Load Image (as Mask)",
    "LoadImageOutput": "Load Image (from Outputs)",
    "LoraLoader": "Load LoRA",
    "MarkdownNote": "Markdown Note",
    "PreviewAny": "Preview as Text",
    "PrimitiveBoolean": "Boolean",
    "PrimitiveFloat": "Float",
    "PrimitiveInt": "Int",
    "PrimitiveNode": "Primitive",
    "PrimitiveString": "String",
    "PrimitiveStringMultiline": "String (Multiline)",
    "RegexExtract": "Extract Text (Regex)",
    "RegexReplace": "Replace Text (Regex)",
    "RepeatLatentBatch": "Repeat Latent Batch",
    "ResizeImageMaskNode": "Resize Image/Mask",
    "StringConcatenate": "Concatenate",
    "StringFormat": "Format Text",
    "StyleModelApply": "Apply Style Model",
    "StyleModelLoader": "Load Style Model",
    "UNETLoader": "Load Diffusion Model",
    "UpscaleModelLoader": "Load Upscale Model",
    "VAEDecode": "VAE Decode",
    "VAEDecodeTiled": "VAE Decode (Tiled)",
    "VAEEncode": "VAE Encode",
    "VAEEncodeForInpaint": "VAE Encode (for Inpainting)",
    "VAEEncodeTiled": "VAE Encode (Tiled)",
    "VAELoader": "Load VAE",
}
_NO_LETTER = re.compile(r"[\W_]+")


def own_title(title: object, node_type: str) -> str:
    """A node's title, if somebody gave it one; empty if it only says what type it is.

    Args:
        title: As it is written; files of the API format always have one.
    """
    if not isinstance(title, str) or not title.strip():
        return ""
    is_usual = _letters(title) in (_letters(node_type), _letters(_USUAL.get(node_type, "")))
    return "" if is_usual else title


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", text).casefold()


_MODES: Mapping[int, Mode] = {2: "mute", 4: "bypass"}


def node_of(
    name: str,
    entry: Mapping[str, Any],
    inputs: Mapping[str, Any],
    control: Mapping[str, str],
    check: DocumentCheck,
    usual_title: str = "",
) -> ForeignNode:
    """A node.

    Args:
        inputs: What was found for it.
        control: Likewise.
        usual_title: What nodes of its type are called, if not after the type.
    """
    where = f"node `{printable(name)}`"
    flags, properties = entry.get("flags"), entry.get("properties")
    known = properties if isinstance(properties, dict) else {}
    title = own_title(entry.get("title"), entry["type"])
    return ForeignNode(
        name,
        entry["type"],
        inputs,
        tuple(ports_of(entry.get("outputs"), f"`outputs` of {where}", check)),
        "" if title == usual_title else title,
        mode_of(entry.get("mode")),
        text_of(known.get("cnr_id")) or text_of(known.get("aux_id")),
        tuple(_models(known.get("models"))),
        control,
        read_rectangle(entry.get("pos"), entry.get("size")),
        text_of(entry.get("color")) or text_of(entry.get("bgcolor")),
        isinstance(flags, dict) and flags.get("collapsed") is True,
        entry,
    )


def ports_of(written: Any, what: str, check: DocumentCheck) -> Iterator[ForeignPort]:
    """Inputs or outputs as a file lists them."""
    for at, item in enumerate(check.items(written, what)):
        entry = check.fields(item, f"entry {at} of {what}")
        name, label = text_of(entry.get("name")), text_of(entry.get("label"))
        yield ForeignPort(name, type_of(entry.get("type")), "" if label == name else label)


def mode_of(written: Any) -> Mode | None:
    """Whether a node runs. Numbers of others than muted and bypassed are of no use anywhere."""
    return _MODES.get(written) if isinstance(written, int) else None


def _models(written: Any) -> Iterator[ModelFile]:
    for entry in written if isinstance(written, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            is_sha256 = text_of(entry.get("hash_type")).upper() in ("", "SHA256")
            yield ModelFile(
                entry["name"],
                text_of(entry.get("directory")),
                text_of(entry.get("url")),
                text_of(entry.get("hash")) if is_sha256 else "",
            )


def note_of(entry: Mapping[str, Any]) -> Frame | None:
    """A note; None if it stands nowhere or says nothing."""
    spot = read_rectangle(entry.get("pos"), entry.get("size"))
    values = entry.get("widgets_values")
    first = values[0] if isinstance(values, list) and values else None
    text = first if isinstance(first, str) else ""
    title = own_title(entry.get("title"), entry["type"])
    if spot is None or not (text.strip() or title):
        return None
    return Frame(text, spot, text_of(entry.get("color")), title, entry)


def groups_of(written: Any) -> Iterator[Frame]:
    """Boxes behind nodes; what can't be made out of them is of no weight."""
    for entry in written if isinstance(written, list) else ():
        if not isinstance(entry, dict):
            continue
        spot = read_rectangle(entry.get("bounding"))
        if spot is not None:
            title, color = text_of(entry.get("title")), text_of(entry.get("color"))
            yield Frame(title, spot, color, kept=entry)
