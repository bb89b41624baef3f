"""Whether work on pictures of a size fits into memory, told before it begins. Imports no torch."""

from __future__ import annotations

from nodegraph.errors import InvalidValue
from nodegraph.host_memory import SHARE, total_memory


class TooLarge(InvalidValue):
    """A size that takes more memory than there is."""

    code = "too-large"


def check_room(width: int, height: int, pictures: int, needed: int, *, port: str) -> None:
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
    several = f", {pictures} of them" if pictures > 1 else ""
    raise TooLarge(
        "the picture is too large for this machine's memory",
        port=port,
        given=f"{width} x {height} pixels{several}: about {_gigabytes(needed)}",
        expected=f"at most {_gigabytes(total * SHARE)}, as there are {_gigabytes(total)} in all",
        hint="Make it smaller, or fewer at once.",
    )


def resizing_bytes(width: int, height: int, planes: int) -> int:
    """Bytes that scaling takes at its peak, besides what is scaled.

    Args:
        width, height: Of the result, in pixels.
        planes: Channels of all pictures together.
    """
    # The result, and of one plane: what Pillow makes, and the copy that numpy reads.
    return 4 * width * height * (planes + 2)


def sampling_bytes(width: int, height: int, pictures: int, *, is_guided: bool) -> int:
    """Bytes that a step of sampling takes in float32 at the least, whatever the model.

    The smallest model there is takes about twice as much, one of Stable Diffusion's size eight
    times.
    """
    return 4 * 16 * width * height * pictures * (2 if is_guided else 1)


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
