"""Memory that nodes are expected to take, by the size of the picture. Imports no torch.

Rough figures for models of Stable Diffusion's kind; what a node was measured to take once it has
run is preferred to them.
"""

from __future__ import annotations

from nodegraph import Estimate, HookInputs

_SAMPLED = 128
"""Numbers held for each pixel at the peak of a denoiser's step: for each of the 64 times fewer
cells of a latent about 8 000, in what its way down keeps for the way up and in the widest block at
full size."""
_DECODED = 3 * 256
"""The same of a VAE's decoder: what goes into the last block at full size, which is 256 channels
wide, what the block makes of it, and one more of that size."""
_ENCODED = 3 * 128
"""The same of a VAE's encoder, whose first block is 128 channels wide."""


def sampling(inputs: HookInputs) -> Estimate:
    """What sampling takes."""
    guided = (inputs.literals.get("cfg") or 2.0) > 1
    # With the negative prompt and without: two pictures in one.
    return _on_pixels(inputs, "latent", 2 * _SAMPLED if guided else _SAMPLED)


def decoding(inputs: HookInputs) -> Estimate:
    """What VAEDecode takes."""
    return _on_pixels(inputs, "latent", _DECODED)


def encoding(inputs: HookInputs) -> Estimate:
    """What VAEEncode takes."""
    return _on_pixels(inputs, "image", _ENCODED)


def _on_pixels(inputs: HookInputs, port: str, numbers: int) -> Estimate:
    width, height = inputs.fact(port, "width"), inputs.fact(port, "height")
    if width is None or height is None:
        return Estimate()
    pictures = inputs.fact(port, "batch") or 1
    # Models compute in 32 bits on a CPU and in 16 elsewhere, unless they are told otherwise.
    item = 4 if inputs.environment.device == "cpu" else 2
    return Estimate(memory=pictures * width * height * numbers * item)
