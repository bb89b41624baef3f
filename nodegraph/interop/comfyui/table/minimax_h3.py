"""MiniMax H3: prompts with first and last images, keyframes, and noise levels.

Source of the sizes and lengths: ComfyUI, ``comfy_extras/nodes_minimax_h3.py``.
"""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry
from nodegraph.interop.comfyui.table.edit_prompts import edit_prompt, listed
from nodegraph.interop.comfyui.table.parts import autogrow_inputs, compute_number
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_CHUNK, _LEAST = 17, 5


def _whole_length(a: float) -> int:
    """The next number of frames that a video can have."""
    frames = max(_LEAST, int(a))
    return frames + (_LEAST - frames) % _CHUNK


def _length(node: Passage) -> Any:
    return compute_number(
        node,
        f"max({_LEAST}, a) + ({_LEAST} - max({_LEAST}, a)) % {_CHUNK}",
        _whole_length,
        a=node.inputs["length"],
    )


def _sized(node: Passage, image: Signal, fit: str) -> MadeOutput:
    size = {name: node.inputs[name] for name in ("width", "height")}
    made = node.add("ResizeImage", image=image, **size, fit=fit, method="lanczos")
    return MadeOutput(made, "image")


def _image_to_video(node: Passage) -> None:
    """A prompt that is read beside the first and the last image, if they are linked."""
    ends = {
        name: _sized(node, node.inputs[name], fit)
        for name, fit in (("first_frame", "stretch"), ("last_frame", "crop"))
        if name in node.inputs
    }
    prompt = edit_prompt(node, node.inputs["prompt"], list(ends.values()))
    frames, vae = _length(node), node.inputs["vae"]
    if "first_frame" not in ends:
        size = {name: node.inputs[name] for name in ("width", "height")}
        latent = MadeOutput(node.add("EmptyVideoLatent", frames=frames, **size), "latent")
        if ends:
            keyframe = node.add(
                "KeyframeConditioning",
                conditioning=prompt,
                latent=latent,
                vae=vae,
                image=ends["last_frame"],
                frame=-1,
            )
            prompt = MadeOutput(keyframe, "conditioning")
    else:
        last = {"last_image": ends["last_frame"]} if "last_frame" in ends else {}
        name = node.add(
            "ImageToVideoConditioning",
            conditioning=prompt,
            vae=vae,
            image=ends["first_frame"],
            frames=frames,
            **last,
        )
        prompt, latent = MadeOutput(name, "conditioning"), MadeOutput(name, "latent")
    node.give("positive", prompt)
    node.give("LATENT", latent)


_SOUNDTRACKS = "ref_video_audios"


def _references(node: Passage) -> None:
    """A prompt that refers to images, videos and sound."""
    images, videos, audios = (
        autogrow_inputs(node, f"ref_{kind}s") for kind in ("image", "video", "audio")
    )
    numbers = [name.rpartition("_")[2] for name in node.inputs if name.startswith("ref_videos.")]
    tracks = [f"{_SOUNDTRACKS}.ref_video_audio_{number}" for number in sorted(numbers)]
    soundtracks = [node.inputs[name] for name in tracks if name in node.inputs]
    if any(name not in node.inputs for name in tracks[: len(soundtracks)]):
        raise Untranslatable("a video without sound stands before one with sound")
    size = {name: node.inputs[name] for name in ("width", "height")}
    frames = _length(node)
    if not (images or videos or audios):
        prompt = edit_prompt(node, node.inputs["prompt"], [])
        latent = MadeOutput(node.add("EmptyVideoLatent", frames=frames, **size), "latent")
    else:
        media = {"images": images, "videos": videos, "soundtracks": soundtracks, "audios": audios}
        taken = {
            port: items[0] if len(items) == 1 else listed(node, items)
            for port, items in media.items()
            if items
        }
        vaes = {port: node.inputs[port] for port in ("vae", "audio_vae") if port in node.inputs}
        is_full = node.literal("ref_image_size") == "max"
        if is_full:
            node.tell("images that are smaller than 2048 pixels are enlarged, as in diffusers")
        name = node.add(
            "ReferenceToVideoConditioning",
            encoder=node.inputs["clip"],
            text=node.inputs["prompt"],
            **vaes,
            **taken,
            **size,
            frames=frames,
            image_size="2048" if is_full else "video",
        )
        prompt, latent = MadeOutput(name, "conditioning"), MadeOutput(name, "latent")
    node.give("positive", prompt)
    node.give("LATENT", latent)


def _empty(node: Passage) -> None:
    size = {name: node.inputs[name] for name in ("width", "height")}
    node.give(
        "LATENT", MadeOutput(node.add("EmptyVideoLatent", frames=_length(node), **size), "latent")
    )


_KEYFRAME = {"latent": "latent", "vae": "vae", "image": "image", "audio": "audio"} | {
    "audio_vae": "audio_vae",
    "frame": "frame_idx",
}


def _keyframe(node: Passage) -> None:
    taken = {our: node.inputs[their] for our, their in _KEYFRAME.items() if their in node.inputs}
    name = node.add("KeyframeConditioning", conditioning=node.inputs["positive"], **taken)
    node.give("positive", MadeOutput(name, "conditioning"))


def _keyframe_back(node: Passage) -> None:
    taken = {their: node.inputs[our] for our, their in _KEYFRAME.items() if our in node.inputs}
    name = node.add("MiniMaxH3AddGuide", positive=node.inputs["conditioning"], **taken)
    node.give("conditioning", MadeOutput(name, "positive"))


def _shifts(node: Passage) -> None:
    video = node.add("SetFlowShift", model=node.inputs["model"], shift=node.inputs["shift_video"])
    model = MadeOutput(video, "model")
    sound = node.add("SetSoundShift", model=model, shift=node.inputs["shift_audio"])
    node.give("MODEL", MadeOutput(sound, "model"))


def _sound_shift_back(node: Passage) -> None:
    raise Untranslatable("ComfyUI sets the shift of the sound beside that of the video")


_SIZE = "width: INT = 1344, height: INT = 768, length: INT = 124"

ENTRIES: tuple[TableEntry, ...] = (
    entry(f"EmptyMiniMaxH3LatentAV({_SIZE}) -> LATENT", _empty),
    entry(
        f'MiniMaxH3ImageToVideo(clip: CLIP, vae: VAE, prompt: STRING = "", {_SIZE}, '
        "first_frame: IMAGE?, last_frame: IMAGE?) -> positive: CONDITIONING, LATENT",
        _image_to_video,
    ),
    entry(
        "MiniMaxH3ReferenceToVideo(clip: CLIP, vae: VAE?, audio_vae: VAE?, "
        "ref_images.*: IMAGE?, ref_videos.*: IMAGE?, ref_video_audios.*: AUDIO?, "
        f'ref_audios.*: AUDIO?, prompt: STRING = "", {_SIZE}, '
        'ref_image_size: COMBO = "match") -> positive: CONDITIONING, LATENT',
        _references,
    ),
    entry(
        "MiniMaxH3AddGuide(positive: CONDITIONING, vae: VAE?, audio_vae: VAE?, latent: LATENT, "
        "image: IMAGE?, audio: AUDIO?, frame_idx: INT = 0) -> positive: CONDITIONING",
        _keyframe,
        "KeyframeConditioning",
        _keyframe_back,
    ),
    entry(
        "MiniMaxH3SigmaShift(model: MODEL, shift_video: FLOAT = 12.0, shift_audio: FLOAT = 3.0)"
        " -> MODEL",
        _shifts,
        "SetSoundShift",
        _sound_shift_back,
    ),
)
