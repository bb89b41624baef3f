"""Where the API has a file that a job gave."""

from __future__ import annotations

from typing import Any


def artifact_links(digest: Any, media_type: Any) -> dict[str, str | None]:
    """The address of a file, and that of a small picture of it; None for what is no picture."""
    href = f"/api/v1/artifacts/{digest}"
    is_picture = str(media_type).startswith("image/")
    return {"href": href, "thumbnail": f"{href}/thumbnail" if is_picture else None}
