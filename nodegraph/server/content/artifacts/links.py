"""Where the API has a file that a job gave."""

from __future__ import annotations

from typing import Any


def artifact_links(digest: Any, media_type: Any) -> dict[str, str | None]:
    """The address of a file, and that of a small picture of it; None for what shows none."""
    href = f"/api/v1/artifacts/{digest}"
    has_picture = str(media_type).startswith(("image/", "video/"))
    return {"href": href, "thumbnail": f"{href}/thumbnail" if has_picture else None}
