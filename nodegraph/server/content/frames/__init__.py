"""Pages in which scripts of packs run: frames of the editor, shut off from all else."""

from nodegraph.server.content.frames.document import (
    FRAMES,
    NO_FRAMES,
    FrameDocument,
    FrameDocuments,
    documents,
    frame_path,
    policy,
)

__all__ = [
    "FRAMES",
    "NO_FRAMES",
    "FrameDocument",
    "FrameDocuments",
    "documents",
    "frame_path",
    "policy",
]
