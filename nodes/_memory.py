"""Estimates of the memory and work of nodes, by model and size. Imports no torch.

The memory of models comes from their families and latent formats (`nodegraph.weights.memory`). If
the model is not known yet, it is assumed to be a Stable Diffusion model. Once a node has run, its
measured values are preferred.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nodegraph import Estimate, HookInputs, InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.latent_formats import SD
from nodegraph.families.registry import FAMILIES
from nodegraph.families.sampler_names import asks_unguided, evaluations
from nodegraph.families.schedule_checks import last_step
from nodegraph.families.stable_diffusion import SD1
from nodegraph.weights.memory import CodingMemory, StepMemory

_DECODED_USE = 15e-3 / 2
"""Uses of each VAE parameter per pixel. The decoder has a little more than half of them."""
_ENCODED_USE = 15e-3 / 4
_FEWEST = 4
"""Frames per latent frame, if the model does not say."""
_TILE = 32
"""Cells per side of the tiles that are used when memory is short."""
_KEPT = 3 * 3 * 4
"""Bytes per pixel of each frame: when it is decoded, joined and scaled."""


def sampling_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of a sampling."""
    family = _family(inputs)
    sides = (
        2 if asks_unguided(inputs.literals.get("sampler") or "") else _prompt_count(inputs, family)
    )
    return _denoising_estimate(inputs, family, sides, _evaluations(inputs))


def sampling_parts_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of a sampling from separate parts."""
    steps, sampler = inputs.fact("schedule", "steps"), inputs.fact("sampler", "sampler")
    model_calls = None if steps is None else evaluations(sampler or "", steps)
    sides = max(inputs.fact("guider", "sides") or 2, 2 if asks_unguided(sampler) else 1)
    return _denoising_estimate(inputs, _family(inputs), sides, model_calls)


def _family(inputs: HookInputs) -> Family:
    return FAMILIES.get(inputs.fact("model", "family") or "", SD1)


def _denoising_estimate(
    inputs: HookInputs, family: Family, sides: int, model_calls: int | None
) -> Estimate:
    """Estimate of the model evaluations.

    Args:
        sides: Number of prompts per evaluation.
        model_calls: Number of evaluations. None if unknown.
    """
    width, height = inputs.fact("latent", "width"), inputs.fact("latent", "height")
    if width is None or height is None:
        return Estimate()
    tile = inputs.fact("guider", "tile") or (width, height)
    width, height = min(width, tile[0]), min(height, tile[1])
    held = inputs.fact("model", "held_step")
    step = family.step_memory({}) if held is None else StepMemory(*held)
    cells = width * height / family.latent.spatial**2 * _latent_frames(inputs)
    batch = inputs.fact("latent", "batch") or 1
    # Prompts that are not evaluated in one batch are evaluated in sequence.
    at_once = batch * (sides if family.joint else 1)
    least = (cells * step.cell + step.fixed) * _bytes_per_number(inputs, "model")
    work = (
        None if model_calls is None else cells * batch * sides * step.parameter_uses * model_calls
    )
    passes = model_calls if model_calls is None or family.joint else model_calls * sides
    alike = ""
    if family.row_names:
        alike = f"{width} x {height} x {_latent_frames(inputs)}, {batch} of {sides} sides"
    # A key-value cache keeps what all prompts have, while they are evaluated in sequence.
    kept = (inputs.fact("model", "kept_numbers") or 0) * _bytes_per_number(inputs, "model")
    memory = int(least * at_once) + kept * batch * sides
    least += kept * sides
    return Estimate(memory=memory, work=work, least=int(least), passes=passes, alike=alike)


def _prompt_count(inputs: HookInputs, family: Family) -> int:
    """Number of prompts per evaluation: two with a negative prompt."""
    guided = (inputs.literals.get("cfg") or 2.0) > 1
    return 2 if guided and (family.needs_negative or "negative" in inputs.facts) else 1


def _latent_frames(inputs: HookInputs) -> int:
    """Number of latent frames that the model sees at once."""
    frames, step = inputs.fact("latent", "frames") or 1, inputs.fact("model", "temporal")
    whole = 1 + (frames - 1) // (step or _FEWEST)
    length, unit, before = inputs.fact("guider", "window") or (frames, "frames", 0)
    shown = length if unit == "latent frames" else 1 + (length - 1) // (step or _FEWEST)
    return int(min(whole, shown + before))


def _evaluations(inputs: HookInputs) -> int | None:
    """Number of model evaluations. None if unknown."""
    literals = inputs.literals
    steps, denoise = literals.get("steps"), literals.get("denoise", 1.0)
    if steps is None or denoise is None:
        return None
    try:
        end = last_step(
            steps, denoise, literals.get("end_step"), literals.get("denoise_steps") or "share"
        )
    except InvalidValue:
        return None
    end -= literals.get("start_step") or 0
    return evaluations(literals.get("sampler") or "", end)


def prompt_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of EncodePrompt: almost only its weights, because prompts are short."""
    return Estimate(memory=0, passes=1)


def decode_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of VAEDecode."""
    return _vae_estimate(inputs, "latent", "held_decoding", _DECODED_USE)


def encode_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of VAEEncode."""
    return _vae_estimate(inputs, "image", "held_encoding", _ENCODED_USE)


def decode_video_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of VAEDecodeVideo."""
    return _frames_estimate(inputs, "latent", "held_decoding", _DECODED_USE)


def encode_video_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of VAEEncodeVideo."""
    return _frames_estimate(inputs, "video", "held_encoding", _ENCODED_USE)


def encode_frames_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of ImageToVideoConditioning."""
    return _frames_estimate(inputs, "image", "held_encoding", _ENCODED_USE)


def encode_clip_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of encoding a batch of images as the frames of one video."""
    image = inputs.facts.get("image", {})
    clip = {**image, "batch": 1, "frames": image.get("batch") or 1}
    sized = replace(inputs, facts={**inputs.facts, "image": clip})
    return _frames_estimate(sized, "image", "held_encoding", _ENCODED_USE)


def encode_control_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of VaceConditioning, which encodes two videos in turn."""
    literals = inputs.literals
    size = literals.get("width"), literals.get("height"), literals.get("frames")
    width, height, frames = size
    if width is None or height is None or frames is None:
        return Estimate()
    facts = {**inputs.facts, "video": {"width": width, "height": height, "frames": frames}}
    sized = replace(inputs, facts=facts)
    estimate = _frames_estimate(sized, "video", "held_encoding", _ENCODED_USE)
    work = None if estimate.work is None else 2 * estimate.work
    return replace(estimate, work=work, passes=2)


def encode_camera_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of CameraConditioning, which encodes a video of the first image."""
    frames = inputs.fact("camera", "frames")
    if "image" not in inputs.facts or frames is None:
        return Estimate()
    return _vae_estimate(inputs, "image", "held_encoding", _ENCODED_USE, frames)


def encode_controlling_estimate(inputs: HookInputs) -> Estimate:
    """Estimate of ControlVideoConditioning."""
    return _frames_estimate(inputs, "video", "held_encoding", _ENCODED_USE)


def _frames_estimate(inputs: HookInputs, port: str, held: str, use: float) -> Estimate:
    frames = inputs.literals.get("frames") or inputs.fact(port, "frames")
    return Estimate() if frames is None else _vae_estimate(inputs, port, held, use, frames)


def _vae_estimate(
    inputs: HookInputs, port: str, held: str, use: float, frames: int = 1
) -> Estimate:
    width, height = inputs.fact(port, "width"), inputs.fact(port, "height")
    if width is None or height is None:
        return Estimate()
    known: Any = inputs.fact("vae", held)
    own = SD.decoding({}) if held == "held_decoding" else SD.encoding({})
    coding = own if known is None else CodingMemory(*known)
    numbers = coding.image if frames == 1 else coding.video + coding.frame * frames
    pictures, pixels = inputs.fact(port, "batch") or 1, width * height
    # Images are processed one by one.
    tile = (_TILE * (inputs.fact("vae", "downscale") or SD.spatial)) ** 2
    kept = pixels * pictures * frames * _KEPT
    tile_side = inputs.literals.get("tile")
    whole = min(pixels, tile_side**2) if tile_side else pixels
    memory, least = (
        int(size * numbers * _bytes_per_number(inputs, "vae") + kept)
        for size in (whole, min(whole, tile))
    )
    work = pixels * pictures * frames * use
    return Estimate(memory=memory, work=work, least=least, passes=1)


def _bytes_per_number(inputs: HookInputs, port: str) -> int:
    """Bytes per number: by default, models compute in 32 bits on a CPU and in 16 bits elsewhere."""
    usual = 4 if inputs.environment.device == "cpu" else 2
    return inputs.fact(port, "held_item") or usual
