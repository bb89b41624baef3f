"""Diffusion forcing: which blocks of frames are denoised when, and windows of long videos.

Imports no torch. Source: Chen et al. 2025, arXiv:2504.13074, and its reference implementation,
``skyreels_v2_infer/pipelines/diffusion_forcing_pipeline.py`` of
https://github.com/SkyworkAI/SkyReels-V2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nodegraph.errors import InvalidValue
from nodegraph.families.frame_steps import check_blocks
from nodegraph.families.sampler_names import sampler_record

MAX_CONDITION_NOISE = 100
"""Largest timestep that known frames may be shown at."""


@dataclass(frozen=True, slots=True)
class ForcingOptions:
    """How the frames of a video are denoised, one block of latent frames after the other.

    Attributes:
        ar_step: Steps by which each block lags behind the one before it. 0: all at once.
        causal_block_size: Latent frames of a block. Above 1, frames attend to their own block and
            to earlier ones; at 1, to all.
        base_num_frames: Frames of a window. A longer video is generated in several.
        overlap_history: Frames at the end of a window that the next one continues from.
        addnoise_condition: Timestep at which known frames are shown, with as much noise: 0 to
            `MAX_CONDITION_NOISE`.
    """

    ar_step: int = 0
    causal_block_size: int = 1
    base_num_frames: int = 97
    overlap_history: int = 17
    addnoise_condition: float = 0.0

    def __post_init__(self) -> None:
        for port, number, least in (
            ("ar_step", self.ar_step, 0),
            ("causal_block_size", self.causal_block_size, 1),
            ("base_num_frames", self.base_num_frames, 1),
            ("overlap_history", self.overlap_history, 1),
        ):
            if number < least:
                raise InvalidValue(
                    f"{port} is out of range",
                    port=port,
                    given=str(number),
                    expected=f"at least {least}",
                )
        if not 0 <= self.addnoise_condition <= MAX_CONDITION_NOISE:
            raise InvalidValue(
                "addnoise_condition is out of range",
                port="addnoise_condition",
                given=f"{self.addnoise_condition:g}",
                expected=f"0 to {MAX_CONDITION_NOISE}",
            )

    def lag(self, steps: int) -> int:
        """Return the evaluations between the first step of a block and that of the next.

        Args:
            steps: Of the schedule. A block waits at most until the one before it is done.
        """
        return min(self.ar_step, steps)

    def evaluations(self, blocks: int, steps: int) -> int:
        """Return how many times the model is evaluated for blocks that are generated."""
        return steps + max(blocks - 1, 0) * self.lag(steps)


@dataclass(frozen=True, slots=True)
class ForcingWindow:
    """A part of a video that is generated at once.

    Attributes:
        start: Latent frame of the video that it begins at.
        frames: Latent frames, with those that are known.
        known: Latent frames at its beginning that are known.
        kept: Latent frames at its beginning that the video has from the window before.
        blocks: Blocks that are generated.
        is_last: Whether the video ends with it.
    """

    start: int
    frames: int
    known: int
    kept: int
    blocks: int
    is_last: bool


def plan_forcing(
    frames: int, known: int, options: ForcingOptions, temporal: int
) -> list[ForcingWindow]:
    """Divide a video into windows, each of which continues the end of the one before.

    Args:
        frames: Latent frames of the video.
        known: Latent frames at its beginning that are known.
        temporal: Frames per latent frame of the model.
    Raises:
        InvalidValue: A window is not whole blocks, the known frames are not, or windows do not
            advance.
    """
    block = options.causal_block_size
    length, overlap = (
        (count - 1) // temporal + 1 for count in (options.base_num_frames, options.overlap_history)
    )
    if known % block or known >= min(frames, length):
        raise InvalidValue(
            "the known first frames are whole blocks, and fewer than those of a window",
            port="causal_block_size",
            given=f"{known} known latent frames, blocks of {block}",
            expected=f"0 to {min(frames, length) - 1} latent frames, a multiple of {block}",
            hint="Set causal_block_size to 1 for a first image, or continue a longer clip: 17 "
            "frames are 5 latent frames.",
        )
    if frames > length:
        _check_overlap(options, length, overlap, temporal)
    return list(_windows(frames, known, options, length, overlap))


def _windows(
    frames: int, known: int, options: ForcingOptions, length: int, overlap: int
) -> Iterator[ForcingWindow]:
    block, start, kept = options.causal_block_size, 0, 0
    while True:
        count = min(frames - start, length)
        check_blocks(count, block, "latent")
        is_last = start + count == frames
        yield ForcingWindow(start, count, known, kept, (count - known) // block, is_last)
        if is_last:
            return
        start, kept = start + count - overlap, overlap
        known = overlap // block * block


def _check_overlap(options: ForcingOptions, length: int, overlap: int, temporal: int) -> None:
    if options.causal_block_size >= length:
        raise InvalidValue(
            "a window of a long video has the block that it continues, and further frames",
            port="base_num_frames",
            given=f"{options.base_num_frames} frames, blocks of {options.causal_block_size} "
            "latent frames",
            expected=f"at least {options.causal_block_size * temporal + 1} frames",
            hint="97 frames are usual.",
        )
    least = (options.causal_block_size - 1) * temporal + 1
    if not options.causal_block_size <= overlap < length:
        raise InvalidValue(
            "each window continues at least one block of the window before, and is longer",
            port="overlap_history",
            given=f"{options.overlap_history} frames",
            expected=f"{least} to {(length - 2) * temporal + 1} frames",
            hint="17 or 37 frames work well in windows of 97.",
        )


def check_evaluations(sampler: str) -> None:
    """Refuse samplers that evaluate the model several times in a step.

    Raises:
        InvalidValue: On port ``sampler``.
    """
    record = sampler_record(sampler)
    if record is None or (record["evaluations"] == [1, 0] and not record["asks_unguided"]):
        return
    raise InvalidValue(
        "blocks of frames take their steps together, with one evaluation of the model each",
        port="sampler",
        given=sampler,
        expected="uni_pc, euler, dpmpp_2m or another sampler with one evaluation per step",
    )
