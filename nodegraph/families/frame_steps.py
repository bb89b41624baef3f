"""Families whose latent frames have timesteps of their own. Imports no torch.

Source: Chen et al. 2024, arXiv:2407.01392; for videos Chen et al. 2025, arXiv:2504.13074.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.families.base import Family


@runtime_checkable
class FrameForcing(Protocol):
    """A family whose models take a timestep for each latent frame, in `Moment.frames`."""

    forces_frames: bool


def check_forces_frames(family: Family) -> None:
    """Refuse families whose models have one timestep for all frames.

    Raises:
        InvalidValue: On port ``model``.
    """
    if not isinstance(family, FrameForcing):
        raise InvalidValue(
            f"{family.title} was not trained by diffusion forcing",
            port="model",
            given=family.name,
            expected="skyreels-v2-df",
            hint="Use a KSampler, or load a model of SkyReels V2 with diffusion forcing. Set its "
            "family in LoadDiffusionModel if its file is identified as Wan.",
        )


def check_blocks(frames: int, block: int, port: str) -> None:
    """Refuse videos that are not whole blocks of frames.

    Args:
        frames: Latent frames that the model sees at once.
        block: Latent frames of a block, at least 1.
    Raises:
        InvalidValue: On the port.
    """
    if frames % block:
        whole = frames // block * block
        raise InvalidValue(
            "the model sees whole blocks of latent frames",
            port=port,
            given=f"{frames} latent frames, blocks of {block}",
            expected=f"{f'{whole} or ' if whole else ''}{whole + block} latent frames",
            hint="Change the number of frames, or the block size.",
        )
