"""Where the API has a file that a job gave."""

from __future__ import annotations

from typing import Any

from nodegraph.server.root_path import public_path

_SHOWN = ("image/", "video/", "audio/", "model/", "chemical/x-mdl-sdfile", "chemical/x-pdb")
"""What the types begin with that there are small pictures of."""
_NOT_SHOWN = "image/svg+xml"
_PLOT = "plot"


def artifact_links(digest: Any, media_type: Any, kind: Any) -> dict[str, str | None]:
    """The address of a file, and that of a small picture of it; None for what shows none.

    Args:
        kind: What it is to people.
    """
    href = public_path(f"/api/v1/artifacts/{digest}")
    has_picture = str(media_type).startswith(_SHOWN) and media_type != _NOT_SHOWN
    # A plot is JSON by its type.
    has_picture |= kind == _PLOT and str(media_type) == "application/json"
    return {"href": href, "thumbnail": f"{href}/thumbnail" if has_picture else None}
