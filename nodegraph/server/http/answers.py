"""JSON answers that hold what clients wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON answer.

    It is plain ASCII: half a character, which JSON can hold and a workflow's title may have, has no
    UTF-8.
    """
    text = json.dumps(value, separators=(",", ":"))
    return Response(text.encode(), status, headers, media_type="application/json")
