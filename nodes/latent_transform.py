"""Latents: flip, rotate, crop and scale, also with a network."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from nodegraph import Context, File, Latent, Range, Vae, node
from nodegraph.families.helper_recipes import LatentUpscaleModel
from nodegraph.models.helper_files import open_latent_upscaler

from ._latent_facts import (
    KEPT,
    check_cropped,
    check_scaled,
    resized_latent_facts,
    rotated_latent_facts,
)
from ._upscale_facts import (
    check_latent_upscaler,
    latent_upscaler_outputs,
    latent_upscaler_state,
    latent_upscaler_weights,
    upscaled_latent_facts,
)

Pixels = Annotated[int, Range(0, 16384, step=8)]


@node(
    category="latent/transform",
    facts={"latent": KEPT},
    tags=("mirror", "LatentFlip", "flip horizontally", "flip vertically"),
)
def FlipLatent(latent: Latent, axis: Literal["horizontal", "vertical"] = "horizontal") -> Latent:
    """Mirror a latent.

    It decodes only approximately to the mirrored image. Sample it with a low denoise afterwards.

    Args:
        latent: Any latent. An empty one works, too. Its noise mask is mirrored, too.
        axis: Horizontal swaps left and right, vertical swaps top and bottom.
    """
    from nodegraph.sampling.latents.transforms import flip_latent

    return flip_latent(latent, axis)


@node(
    category="latent/transform",
    infer=rotated_latent_facts,
    tags=("rotate", "LatentRotate", "orientation"),
)
def RotateLatent(latent: Latent, angle: Literal["90", "180", "270"] = "90") -> Latent:
    """Rotate a latent clockwise by multiples of 90 degrees.

    Args:
        latent: Any latent. An empty one works, too. Its noise mask is rotated, too.
        angle: Angle in degrees.
    """
    from nodegraph.sampling.latents.transforms import rotate_latent

    return rotate_latent(latent, int(angle) // 90)


@node(
    category="latent/transform",
    facts={
        "latent": {
            **{name: KEPT[name] for name in ("batch", "frames", "channels", "format")},
            "width": "width",
            "height": "height",
        }
    },
    validate=check_cropped,
    tags=("cut", "LatentCrop", "part"),
)
def CropLatent(
    latent: Latent,
    x: Pixels = 0,
    y: Pixels = 0,
    width: Annotated[int, Range(8, 16384, step=8)] = 512,
    height: Annotated[int, Range(8, 16384, step=8)] = 512,
) -> Latent:
    """Crop a latent.

    Args:
        latent: Any latent. An empty one works, too. Its noise mask is cropped, too.
        x, y: Left and upper edge of the crop, in pixels. They are multiples of the cell size,
            usually 8 pixels.
        width, height: Size of the crop, in pixels.
    """
    from nodegraph.sampling.latents.transforms import crop_latent

    return crop_latent(latent, x, y, width, height)


@node(
    category="latent/transform",
    infer=resized_latent_facts,
    validate=check_scaled,
    tags=("upscale", "LatentUpscale", "LatentUpscaleBy", "hires fix", "scale", "highres fix"),
)
def ResizeLatent(
    latent: Latent,
    factor: Annotated[float, Range(0.01, 32, step=0.05)] = 1.5,
    width: Pixels = 0,
    height: Pixels = 0,
    method: Literal["bislerp", "bicubic", "bilinear", "area", "nearest"] = "bislerp",
) -> Latent:
    """Scale a latent, for example for a hires fix: then sample it with denoise 0.4 to 0.7.

    Args:
        latent: Any latent. An empty one works, too. Its noise mask is scaled, too.
        factor: Scale factor of the sides. The result is rounded to whole cells, usually of 8
            pixels.
        width, height: Size in pixels, used instead of the factor. If one is 0, the aspect ratio is
            kept.
        method: Interpolation. Bislerp interpolates along an arc and keeps contrast. Bicubic and
            bilinear soften, area averages, nearest repeats.
    """
    from nodegraph.sampling.latents.transforms import resize_latent

    return resize_latent(latent, width, height, factor, method)


class LoadedLatentUpscaleModel(NamedTuple):
    model: LatentUpscaleModel


@node(
    category="latent/transform",
    lane="io",
    infer=latent_upscaler_outputs,
    validate=check_latent_upscaler,
    fingerprint=latent_upscaler_state,
    estimate=latent_upscaler_weights,
    tags=("LatentUpscaleModelLoader", "ltx", "spatial upscaler", "temporal upscaler"),
)
def LoadLatentUpscaleModel(
    ctx: Context, model: Annotated[str, File("model")]
) -> LoadedLatentUpscaleModel:
    """Load a latent upscale model of LTX-Video or LTX-2.

    Args:
        model: Name under a models folder or path of a .safetensors file.
    """
    environment = ctx.environment
    upscaler = open_latent_upscaler(model, environment.models, device=str(environment.device))
    return LoadedLatentUpscaleModel(upscaler)


@node(
    category="latent/transform",
    lane="gpu",
    numerics=True,
    infer=upscaled_latent_facts,
    tags=("LTXVLatentUpsampler", "ltx", "hires fix", "video upscale", "interpolation"),
)
def UpscaleLatent(ctx: Context, latent: Latent, model: LatentUpscaleModel, vae: Vae) -> Latent:
    """Upscale the latent of a video with a latent upscale model.

    It makes videos larger, or twice as smooth. Sample the result with a low denoise afterwards.

    Args:
        latent: A sampled video latent. Its sound is kept, and its noise mask is scaled.
        model: A model from LoadLatentUpscaleModel.
        vae: The VAE of the model that sampled the latent. It holds the statistics of the latents.
    """
    from nodegraph.models.upscaling import upscale_latent

    with ctx.weights(model) as upscaler, ctx.weights(vae) as autoencoder:
        return upscale_latent(upscaler, autoencoder, latent)


@node(
    category="latent/transform",
    facts={"latent": KEPT},
    tags=("LatentApplyOperation", "LatentOperationTonemapReinhard", "contrast", "Reinhard"),
)
def ToneMapLatent(
    latent: Latent, multiplier: Annotated[float, Range(0.01, 100, step=0.01)] = 1.0
) -> Latent:
    """Reduce the contrast of a latent by Reinhard's curve: strong cells are weakened most.

    Args:
        latent: A latent with content. An empty one stays empty.
        multiplier: Larger values change less.
    """
    from nodegraph.sampling.latents.transforms import tone_map, with_samples

    return with_samples(latent, lambda samples: tone_map(samples, multiplier))


@node(
    category="latent/transform",
    facts={"latent": KEPT},
    tags=("LatentApplyOperation", "LatentOperationSharpen", "unsharp mask", "details"),
)
def SharpenLatent(
    latent: Latent,
    radius: Annotated[int, Range(1, 31)] = 9,
    sigma: Annotated[float, Range(0.1, 10, step=0.1)] = 1.0,
    amount: Annotated[float, Range(0, 5, step=0.01)] = 0.1,
) -> Latent:
    """Sharpen a latent: the strengths of its cells, by an unsharp mask.

    Args:
        latent: A latent with content. An empty one stays empty.
        radius: Cells that the blur covers to each side. It must be below the sides of the latent.
        sigma: Standard deviation of the blur, as a share of the radius.
        amount: Strength of the sharpening.
    """
    from nodegraph.sampling.latents.transforms import sharpen_lengths, with_samples

    return with_samples(latent, lambda samples: sharpen_lengths(samples, radius, sigma, amount))
