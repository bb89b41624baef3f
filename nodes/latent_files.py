"""Latents: save, load, show and measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from nodegraph import Context, File, Image, Latent, node

from ._credentials import warn_if_changed
from ._facts import check_result_name, image_state
from ._latent_facts import check_latent_file, latent_file_facts
from ._result_files import save_result


@node(
    category="latent",
    lane="io",
    output="files",
    validate=check_result_name,
    tags=("write", "file", "keep", "safetensors"),
)
def SaveLatent(ctx: Context, latent: Latent, name: str = "latent") -> None:
    """Save a latent to the output folder, with the workflow that made it.

    Files are numbered: apple_00001.safetensors. A file with the same content is not written again.

    Args:
        latent: The whole batch is saved, with its noise mask, seeds and leftover noise.
        name: Prefix of the file names. fruit/apple makes a sub-folder. Placeholders like %date% are
            filled in as in SaveImage.
    """
    from nodegraph.sampling.latents.files import SUFFIX, encode_latent

    content = encode_latent(latent, ctx.file_metadata())
    save_result(ctx, name, SUFFIX, content, kind="latent")


@node(
    category="latent",
    lane="io",
    infer=latent_file_facts,
    validate=check_latent_file,
    fingerprint=image_state,
    tags=("open", "read", "safetensors"),
)
def LoadLatent(ctx: Context, path: Annotated[str, File("latent")]) -> Latent:
    """Load a latent that SaveLatent saved.

    Args:
        path: A .safetensors file. Relative paths start from the inputs folder.
    """
    from nodegraph.sampling.latents.files import read_latent

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    latent = read_latent(file, names=environment.readable is None)
    warn_if_changed(ctx, file)
    return latent


@node(
    category="latent",
    facts={"image": {"width": "latent.width", "height": "latent.height", "batch": "latent.batch"}},
    tags=("preview", "show", "channels", "rgb", "look"),
)
def DrawLatent(latent: Latent, shown: Literal["colors", "channels"] = "colors") -> Image:
    """Show a latent as an image, without decoding it.

    Args:
        latent: A latent of images. For a video latent, the middle frame is shown.
        shown: Approximate colors, if they are known for the latent format, or the channels one by
            one in a grid. In the grid, black to white covers three standard deviations on both
            sides of the mean.
    """
    from nodegraph.sampling.previews import render_latent

    return render_latent(latent, shown)


class LatentFigures(NamedTuple):
    """Statistics of a latent's values."""

    mean: float
    deviation: float
    least: float
    largest: float


@node(category="latent", tags=("mean", "standard deviation", "minimum", "maximum", "debug"))
def LatentStatistics(ctx: Context, latent: Latent) -> LatentFigures:
    """Return mean, standard deviation and range of a latent's values.

    Use it to check how much noise a latent contains.

    Args:
        latent: A latent with content. For the latent of an image, the mean is near 0 and the
            deviation near 1.
    """
    from nodegraph.sampling.latents.combination import require_samples

    samples = require_samples(latent, "latent")
    deviation, mean = (float(value) for value in (samples.std(), samples.mean()))
    figures = LatentFigures(mean, deviation, float(samples.min()), float(samples.max()))
    ctx.log(
        f"{' x '.join(map(str, samples.shape))}: mean {mean:.4g}, deviation {deviation:.4g}, "
        f"{figures.least:.4g} to {figures.largest:.4g}"
    )
    return figures
