"""Latents kept in files, shown and told in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from nodegraph import Context, File, Image, Latent, node

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
    """Write a latent to the output folder, with the workflow that made it.

    Files are numbered: apple_00001.safetensors. One with the same content is not written again.

    Args:
        latent: All of its batch, with its noise mask, seeds and the noise that is left in it.
        name: What the file names begin with; fruit/apple makes a sub-folder. Words such as %date%
            are filled in as in SaveImage.
    """
    from nodegraph.media.images.workflow_metadata import workflow_metadata
    from nodegraph.sampling.latents.files import SUFFIX, encode_latent

    content = encode_latent(latent, workflow_metadata(ctx.workflow))
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
    """Read a latent that SaveLatent wrote.

    Args:
        path: A .safetensors file; relative paths start from the inputs folder.
    """
    from nodegraph.sampling.latents.files import read_latent

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    return read_latent(file, names=environment.readable is None)


@node(
    category="latent",
    facts={"image": {"width": "latent.width", "height": "latent.height", "batch": "latent.batch"}},
    tags=("preview", "show", "channels", "rgb", "look"),
)
def DrawLatent(latent: Latent, shown: Literal["colors", "channels"] = "colors") -> Image:
    """Show the cells of a latent as they are, without decoding it.

    Args:
        latent: Of pictures; of videos the frame in the middle is shown.
        shown: Its colours, as far as they are known of its format; or its channels one by one in a
            grid, black to white over three standard deviations on both sides of their means.
    """
    from nodegraph.sampling.previews import render_latent

    return render_latent(latent, shown)


class LatentFigures(NamedTuple):
    """What a latent's values are like."""

    mean: float
    deviation: float
    least: float
    largest: float


@node(category="latent", tags=("mean", "standard deviation", "minimum", "maximum", "debug"))
def LatentStatistics(ctx: Context, latent: Latent) -> LatentFigures:
    """Tell mean, deviation and range of a latent's values, such as to see what noise is in it.

    Args:
        latent: With content; of a picture's, the mean is near 0 and the deviation near 1.
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
