"""The path of a camera through a video: a value of workflows. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from nodegraph.core.ports import port_type

MOTIONS = (
    "static",
    *("pan up", "pan down", "pan left", "pan right"),
    *("zoom in", "zoom out", "counterclockwise", "clockwise"),
)
"""How a camera moves."""


@port_type(name="CameraPath", color="#7fa7c9")
@dataclass(frozen=True, slots=True)
class CameraPath:
    """The path of a camera through a video.

    Attributes:
        motion: One of `MOTIONS`.
        width, height: Of the video in pixels.
        frames: Of the video.
        speed: Factor of the distance or the angle, 0 and above.
        focal_x, focal_y: Focal lengths as parts of the width and height of a frame of 1280 x 720,
            above 0.
        center_x, center_y: The optical center as parts of the width and height.
    """

    motion: str
    width: int
    height: int
    frames: int
    speed: float = 1.0
    focal_x: float = 0.5
    focal_y: float = 0.5
    center_x: float = 0.5
    center_y: float = 0.5
