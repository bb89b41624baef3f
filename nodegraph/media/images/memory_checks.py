"""Memory checks for image sizes, before work starts. Imports no torch."""

from __future__ import annotations

from nodegraph.core.host_memory import SHARE, total_memory
from nodegraph.core.text_format import format_excess, format_size
from nodegraph.errors import InvalidValue


class ImageTooLarge(InvalidValue):
    """A size that takes more memory than there is."""

    code = "too-large"


def check_memory(width: int, height: int, pictures: int, needed: int, *, port: str) -> None:
    """Refuse what the host's memory can't hold, rather than begin and be killed for it.

    Args:
        width, height: In pixels.
        needed: Bytes that the work takes at the least.
        port: That the size comes from.
    Raises:
        TooLarge: It is more than a process may take here.
    """
    total = total_memory()
    if total is None or needed <= total * SHARE:
        return
    amount, most = format_excess(needed, total * SHARE)
    several = f", {pictures} of them" if pictures > 1 else ""
    raise ImageTooLarge(
        "the image is too large for this machine's memory",
        port=port,
        given=f"{width} x {height} pixels{several}: about {amount}",
        expected=f"at most {most} of {format_size(total)} in total",
        hint="Use a smaller image, or fewer at once.",
    )


def most_pictures(each: int) -> int | None:
    """How many images of so many bytes `check_memory` lets pass; None where that isn't known."""
    total = total_memory()
    return None if total is None else int(total * SHARE // each)


def check_views_memory(size: int, views: int) -> None:
    """Refuse views of solids that do not fit in memory; see `check_memory`.

    Args:
        size: Side of the square images in pixels.
        views: Of all solids together.
    """
    # In float32: those of each solid, and then all of them in one.
    check_memory(size, size, views, 2 * 4 * 3 * size * size * views, port="size")


def decoding_bytes(width: int, height: int, frames: int) -> int:
    """Bytes that frames take at the peak of their decoding."""
    # At most as they come, in 8 bits a color, and then as float32.
    return width * height * 3 * frames * (1 + 4)


def resizing_bytes(width: int, height: int, planes: int) -> int:
    """Bytes that scaling takes at its peak, besides what is scaled.

    Args:
        width, height: Of the result, in pixels.
        planes: Channels of all images together.
    """
    # The result, and of one plane: what Pillow makes, and the copy that numpy reads.
    return 4 * width * height * (planes + 2)


def sampling_bytes(width: int, height: int, pictures: int, *, is_guided: bool) -> int:
    """Bytes that a step of sampling takes in float32 at the least, whatever the model.

    The smallest model there is takes about twice as much, one of Stable Diffusion's size eight
    times.
    """
    return 4 * 16 * width * height * pictures * (2 if is_guided else 1)


def check_sampling_memory(
    size: tuple[int, int], pictures: int, device: str, *, is_guided: bool, port: str
) -> None:
    """Refuse to sample what the host's memory can't hold; an accelerator's is told by its driver.

    Args:
        size: Width and height, in pixels.
        device: Where it is to be sampled.
    Raises:
        TooLarge: It takes more memory than there is.
    """
    if device == "cpu":
        check_memory(
            *size, pictures, sampling_bytes(*size, pictures, is_guided=is_guided), port=port
        )


def vae_bytes(width: int, height: int, pictures: int, *, channels: int = 0, item: int = 4) -> int:
    """Bytes that a VAE takes at the least, between latents and images of a size.

    Args:
        channels: Of its layers at full size; 0 for work in tiles, of which nothing is held.
        item: Bytes of each number in there.
    """
    # All images twice, as each step makes new ones of them; what goes into a layer that works on
    # one of them, and what comes out.
    return width * height * (2 * 4 * 3 * pictures + 2 * item * channels)


def sheet_bytes(width: int, height: int) -> int:
    """Bytes that putting images into one takes, besides these."""
    # As Pillow holds it, as numpy reads that, and as the result.
    return 3 * width * height * (1 + 1 + 4)
