"""Pages in which scripts of packs run: frames of the editor, shut off from all else."""

from nodegraph.server.content.frames.document import (
    FRAMES,
    NONE,
    FrameDocument,
    FrameDocuments,
    address,
    documents,
    policy,
)

__all__ = [
    "FRAMES",
    "NONE",
    "FrameDocument",
    "FrameDocuments",
    "address",
    "documents",
    "policy",
]
