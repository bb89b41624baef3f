"""Everyday nodes of packs: videos of VideoHelperSuite, switches, seeds."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry
from nodegraph.interop.comfyui.signatures import Signature, parse_signature
from nodegraph.interop.comfyui.table.images import name_of
from nodegraph.interop.comfyui.table.parts import FILES
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_VIDEOS = {"h264": "mp4", "h265": "mp4", "webm": "webm"}
_PICTURES = {"image/gif": "gif", "image/webp": "webp"}


def _combine(node: Passage) -> None:
    form, images = str(node.literal("format")), node.inputs["images"]
    if node.inputs["pingpong"].given is True:
        node.tell("pictures don't run back again here: ReorderList can make them")
    names = ("loop_count", "pingpong", "save_output", "format")
    node.keep(**{name: node.inputs[name].given for name in names if not node.inputs[name].is_link})
    rate: Any = node.inputs["frame_rate"]
    if form in _PICTURES:
        taken = {"name": name_of(node), "format": _PICTURES[form]}
        node.add("SaveAnimation", image=images, rate=rate, **taken)
        return
    kind = next((ours for theirs, ours in _VIDEOS.items() if theirs in form), "mp4")
    made = node.add("VideoFromImages", images=images, rate=rate, audio=node.inputs.get("audio"))
    node.add("SaveVideo", video=MadeOutput(made, "video"), name=name_of(node), format=kind)


def _load(node: Passage) -> None:
    file = node.inputs["video"]
    taken = {
        "first": "skip_first_frames",
        "count": "frame_load_cap",
        "every": "select_every_nth",
        "rate": "force_rate",
    }
    name = node.add(
        "LoadVideo",
        path=file if file.is_link else FILES.ours(file.given),
        **{our: node.inputs[their] for our, their in taken.items()},
    )
    parts = node.add("ImagesFromVideo", video=MadeOutput(name, "video"))
    image = MadeOutput(parts, "image")
    size = {side: node.inputs[f"custom_{side}"] for side in ("width", "height")}
    if any(signal.given for signal in size.values()):
        image = MadeOutput(node.add("ResizeImage", image=image, **size), "image")
    node.give("IMAGE", image)
    node.give("audio", MadeOutput(parts, "audio"))
    node.give("frame_count", MadeOutput(node.add("ImageSize", image=image), "batch"))


def _switch(node: Passage) -> None:
    chosen = f"input{node.literal('select')}"
    if chosen not in node.inputs:
        raise Untranslatable(f"its input `{chosen}` isn't connected")
    node.tell(f"stays at `{chosen}`")
    node.give("selected_value", node.inputs[chosen])
    node.give("selected_label", Signal(chosen))
    node.give("selected_index", Signal(node.literal("select")))


def _seed(node: Passage) -> None:
    seed: Any = node.inputs["seed"]
    if not seed.is_link and int(seed.given) < 0:
        node.tell("a seed below 0, which is another one each time there, is 0 here")
        seed = 0
    node.give("SEED", MadeOutput(node.add("Seed", seed=seed), "number"))


_SEED = parse_signature("X(seed: INT = 0 @control) -> SEED: INT")

PACK_MEDIA_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "VHS_VideoCombine(images: IMAGE, audio: AUDIO?, meta_batch: VHS_BATCH?, vae: VAE?, "
        "frame_rate: FLOAT = 8.0, loop_count: INT = 0, "
        'filename_prefix: STRING = "AnimateDiff", format: COMBO = "image/gif", '
        "pingpong: BOOLEAN = false, save_output: BOOLEAN = true) -> Filenames: VHS_FILENAMES",
        _combine,
    ),
    entry(
        'VHS_LoadVideo(video: COMBO = "" @upload, force_rate: FLOAT = 0.0, '
        "custom_width: INT = 0, custom_height: INT = 0, frame_load_cap: INT = 0, "
        "skip_first_frames: INT = 0, select_every_nth: INT = 1, meta_batch: VHS_BATCH?, "
        "vae: VAE?) -> IMAGE, frame_count: INT, audio: AUDIO, video_info: VHS_VIDEOINFO",
        _load,
    ),
    entry(
        "ImpactSwitch(select: INT = 1, sel_mode: BOOLEAN = false, input1: *, input2: *?, "
        "input3: *?, input4: *?, input5: *?, input6: *?) "
        "-> selected_value: *, selected_label: STRING, selected_index: INT",
        _switch,
    ),
    TableEntry(Signature("Seed (rgthree)", _SEED.inputs, _SEED.outputs), _seed),
)
