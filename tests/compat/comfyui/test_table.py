"""Every entry of the table: what it makes is right by the node types that it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nodegraph import Environment
from nodegraph.core.analysis import check_workflow
from nodegraph.core.workflow import Workflow
from nodegraph.errors import Problem
from nodegraph.interop.comfyui.entries import Signature, TableEntry, entry
from nodegraph.interop.comfyui.foreign_workflow import (
    ForeignGraph,
    ForeignNode,
    ForeignWorkflow,
    Source,
)
from nodegraph.interop.comfyui.importer import entries_by_type, translate
from nodegraph.interop.comfyui.table import audio_video as audio
from nodegraph.interop.comfyui.table import audio_video as video
from nodegraph.interop.comfyui.table import (
    built_in,
    image_edit,
    images,
    latents,
    text,
    values,
    vision,
)
from nodegraph.interop.comfyui.table import image_edit as curves
from nodegraph.interop.comfyui.table import pack_images as pack_media
from nodegraph.interop.comfyui.table import pack_nodes as packs
from nodegraph.interop.comfyui.table import values as logic
from nodegraph.interop.comfyui.table import vision as finding
from nodegraph.interop.comfyui.table import vision as structured
from nodegraph.interop.comfyui.translating import MadeOutput, Passage
from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry
from tests.cases import case

_SOURCES: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "IMAGE": ("LoadImage", "image", {"path": "apple.png"}),
    "MASK": ("SolidMask", "mask", {}),
    "LATENT": ("EmptyLatent", "latent", {}),
    "VAE": ("LoadModel", "vae", {}),
    "SOUND_VAE": ("LoadModel", "vae", {"model": "a"}),
    "MODEL": ("LoadModel", "model", {"model": "tiny"}),
    "CLIP": ("LoadTextEncoder", "text_encoder", {"family": "qwen-image", "file": "a"}),
    "CONDITIONING": (
        "EncodePrompt",
        "conditioning",
        {"encoder": ("LoadTextEncoder", "text_encoder", {"family": "qwen-image", "file": "a"})},
    ),
    "FLOAT": ("Number", "number", {}),
    "NUMBER": ("Number", "number", {}),
    "BOOLEAN": ("Boolean", "value", {}),
    "STRING": ("Text", "text", {}),
    "AUDIO": ("LoadAudio", "audio", {"path": "a.wav"}),
    "VIDEO": ("LoadVideo", "video", {"path": "a.mp4"}),
    "UPSCALE_MODEL": ("LoadUpscaleModel", "model", {}),
    "LATENT_UPSCALE_MODEL": ("LoadLatentUpscaleModel", "model", {"model": "a"}),
    "INTERP_MODEL": ("LoadFrameInterpolationModel", "model", {"model": "a"}),
    "BACKGROUND_REMOVAL": ("LoadVisionModel", "vision_model", {"model": "a"}),
    "DA3_MODEL": ("LoadVisionModel", "vision_model", {"model": "a"}),
    "MOGE_MODEL": ("LoadVisionModel", "vision_model", {"model": "a"}),
    "DA3_GEOMETRY": ("LoadImage", "image", {"path": "apple.png"}),
    "MOGE_GEOMETRY": ("LoadImage", "image", {"path": "apple.png"}),
    "BOUNDING_BOX": ("Text", "text", {"text": "[[0, 0, 8, 8]]"}),
    "POSE_KEYPOINT": ("LoadImage", "image", {"path": "apple.png"}),
    "ARRAY": ("Text", "text", {"text": "[]"}),
    "DICT": ("Text", "text", {"text": "{}"}),
    "*": ("Text", "text", {}),
}
"""What stands for an input of a type that has to be linked."""
HERE = Path(__file__).parent
_ABSENT = frozenset(("invalid-file", "model-not-found"))
_FILLED = {"choice": "a", "option1": "a", "dim": "t", "expression": "1 + 2"}
_CHOSEN = ("input1", "latent1", "value0", "text0", "text1", "cond0")
"""What a switch of many optional inputs chooses by its default."""
_NEVER = frozenset(
    (
        *("StartLoop", "EndLoop", "ImageCropToMask", "SAM3_Detect", "LatentApplyOperation"),
        *("StableCascade_StageC_VAEEncode", "StableCascade_SuperResolutionControlnet"),
        "Flux3LayoutPrompt",
    )
)
"""What is in the table to tell why it can't be translated, or needs another node of it."""


def _source(type_name: str) -> TableEntry:
    def made(node: Passage, native: str, port: str, inputs: dict[str, Any]) -> MadeOutput:
        linked = {
            name: made(node, *value) if isinstance(value, tuple) else value
            for name, value in inputs.items()
        }
        return MadeOutput(node.add(native, **linked), port)

    def forward(node: Passage) -> None:
        node.give("OUT", made(node, *_SOURCES[type_name]))

    return entry(f"Source {type_name}() -> OUT: {type_name}", forward)


SOURCES = tuple(_source(name) for name in _SOURCES)
TABLE = entries_by_type((*built_in(), *SOURCES))


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry([pack for pack in installed_packs() if not pack.name])


def _given(signature: Signature) -> dict[str, Any]:
    """What has to be linked or chosen of a type's inputs; all else keeps its default."""
    found: dict[str, Any] = {}
    for taken in signature.inputs:
        name = taken.name.replace("*", "a" if taken.type in ("*", "FLOAT") else "0")
        if taken.is_widget and not taken.is_autogrow:
            if taken.name in _FILLED:
                found[name] = _FILLED[taken.name]
        elif (
            not taken.is_optional
            or taken.is_autogrow
            or taken.name.startswith(("image", "mask", *_CHOSEN))
        ):
            kind = "IMAGE" if taken.name == "input" else taken.type
            # The tiny model's VAE, which others get, has no parts for sound.
            is_of_sound = kind == "VAE" and "Audio" in signature.type
            found[name] = Source("SOUND_VAE" if is_of_sound else kind, 0)
    return found


_MODULES = (
    *(images, image_edit, latents, vision, finding),
    *(curves, structured, values, logic, text, video, audio, packs, pack_media),
)
"""Those of images, masks, values and so on."""


def _translated(one: TableEntry) -> tuple[Workflow, str]:
    given = _given(one.signature)
    wanted = {value.node for value in given.values() if isinstance(value, Source)}
    nodes = {name: ForeignNode(name, f"Source {name}") for name in sorted(wanted)}
    nodes["it"] = ForeignNode("it", one.type, given)
    found = translate(ForeignWorkflow(ForeignGraph(nodes)), TABLE)
    fate = next(fate for fate in found.outcomes if fate.id == "it")
    return found.workflow, fate.untranslated_reason


def _faults(workflow: Workflow, registry: Registry) -> list[Problem]:
    """What is wrong but for files and values that aren't there."""
    environment = Environment((), HERE, HERE, HERE)
    found = check_workflow(workflow, registry, environment, targets=list(workflow.nodes))
    return [problem for problem in found if problem.code not in _ABSENT]


@pytest.mark.parametrize("module", _MODULES, ids=lambda one: one.__name__.rpartition(".")[2])
def test_an_entry_makes_what_can_run(module: ModuleType, registry: Registry) -> None:
    for one in module.ENTRIES:
        with case(one.type):
            workflow, missing = _translated(one)
            assert bool(missing) == (one.type in _NEVER), missing
            assert "fails" not in missing
            assert missing or _faults(workflow, registry) == []
