"""Latents: empty ones, and to and from pictures."""

from __future__ import annotations

from nodegraph.compat.comfyui.entries import TableEntry, same

_SIZE = "width: INT = 512, height: INT = 512, batch_size: INT = 1"

ENTRIES: tuple[TableEntry, ...] = (
    same(f"EmptyLatentImage({_SIZE}) -> LATENT", "EmptyLatent"),
    same(f"EmptySD3LatentImage({_SIZE.replace('512', '1024')}) -> LATENT", "EmptyLatent"),
    same(
        "VAEDecode(samples: LATENT, vae: VAE) -> IMAGE",
        "VAEDecode",
        {"samples": "latent"},
    ),
    same("VAEEncode(pixels: IMAGE, vae: VAE) -> LATENT", "VAEEncode", {"pixels": "image"}),
)
