"""Memory and work that nodes are expected to take, by the size of the picture. Imports no torch.

Rough figures for models of Stable Diffusion's kind; what a node was measured to take once it has
run is preferred to them.
"""

from __future__ import annotations

from dataclasses import replace

from nodegraph import Estimate, HookInputs, InvalidValue
from nodegraph.diffusion.steps import last_step

_SAMPLED = 128
"""Numbers held for each pixel at the peak of a denoiser's step: for each of the 64 times fewer
cells of a latent about 8 000, in what its way down keeps for the way up and in the widest block at
full size."""
_DECODED = 3 * 256
"""The same of a VAE's decoder: what goes into the last block at full size, which is 256 channels
wide, what the block makes of it, and one more of that size."""
_ENCODED = 3 * 128
"""The same of a VAE's encoder, whose first block is 128 channels wide."""


_SAMPLED_USE = 0.11 / 64
"""How often each of a denoiser's parameters is used for a pixel: SD 1.x has 860 million, and
multiplies 0.4e12 times for 512 × 512 pixels."""
_DECODED_USE = 15e-3 / 2
"""The same of a VAE's parameters, of which the decoder has a good half."""
_ENCODED_USE = 15e-3 / 4
_FEWEST = 4
"""Frames that share a latent frame, where the model doesn't say; as many a VAE works on at once."""
_KEPT = 3 * 3 * 4
"""Bytes for each pixel of each frame: as it is made, as it is put together, as it is scaled."""


def sampling(inputs: HookInputs) -> Estimate:
    """What sampling takes."""
    guided = (inputs.literals.get("cfg") or 2.0) > 1
    # With the negative prompt and without: two pictures in one.
    pictures = (2 if guided else 1) * _latent_frames(inputs)
    found = _on_pixels(inputs, "latent", pictures * _SAMPLED, pictures * _SAMPLED_USE)
    evaluations = _evaluations(inputs)
    if found.work is None or evaluations is None:
        return replace(found, work=None)
    return replace(found, work=found.work * evaluations)


def _latent_frames(inputs: HookInputs) -> int:
    """How many frames there are in the latent."""
    frames, step = inputs.fact("latent", "frames") or 1, inputs.fact("model", "temporal")
    return 1 + (frames - 1) // (step or _FEWEST)


def _evaluations(inputs: HookInputs) -> int | None:
    """How often the model is asked; None if that isn't known yet."""
    literals = inputs.literals
    steps, denoise = literals.get("steps"), literals.get("denoise")
    if steps is None or denoise is None:
        return None
    try:
        end = last_step(steps, denoise, literals.get("end_step"))
    except InvalidValue:
        return None
    # It looks once more at the end of each step but the last one.
    return 2 * end - 1 if literals.get("sampler") == "heun" else end


def decoding(inputs: HookInputs) -> Estimate:
    """What VAEDecode takes."""
    return _on_pixels(inputs, "latent", _DECODED, _DECODED_USE)


def encoding(inputs: HookInputs) -> Estimate:
    """What VAEEncode takes."""
    return _on_pixels(inputs, "image", _ENCODED, _ENCODED_USE)


def decoding_video(inputs: HookInputs) -> Estimate:
    """What VAEDecodeVideo takes."""
    return _on_frames(inputs, "latent", _DECODED, _DECODED_USE)


def encoding_video(inputs: HookInputs) -> Estimate:
    """What VAEEncodeVideo takes."""
    return _on_frames(inputs, "video", _ENCODED, _ENCODED_USE)


def encoding_film(inputs: HookInputs) -> Estimate:
    """What ImageToVideoConditioning takes."""
    return _on_frames(inputs, "image", _ENCODED, _ENCODED_USE)


def _on_frames(inputs: HookInputs, port: str, numbers: int, use: float) -> Estimate:
    found = _on_pixels(inputs, port, numbers, use)
    frames = inputs.literals.get("frames") or inputs.fact(port, "frames")
    if found.memory is None or found.work is None or frames is None:
        return Estimate()
    pixels = inputs.fact(port, "width") * inputs.fact(port, "height")
    memory = found.memory * min(frames, _FEWEST) + pixels * frames * _KEPT
    return Estimate(memory=memory, work=found.work * frames)


def _on_pixels(inputs: HookInputs, port: str, numbers: int, use: float) -> Estimate:
    width, height = inputs.fact(port, "width"), inputs.fact(port, "height")
    if width is None or height is None:
        return Estimate()
    pictures = inputs.fact(port, "batch") or 1
    # Models compute in 32 bits on a CPU and in 16 elsewhere, unless they are told otherwise.
    item = 4 if inputs.environment.device == "cpu" else 2
    pixels = pictures * width * height
    return Estimate(memory=pixels * numbers * item, work=pixels * use)
