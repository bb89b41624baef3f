"""What all requests over a websocket have."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

RequestId = (
    Annotated[str, StringConstraints(max_length=64)]
    | Annotated[int, Field(ge=-(1 << 53), le=1 << 53)]
)
"""Whatever the client likes; the answer has the same."""


class IdentifiedRequest(BaseModel):
    """A request with the id that its answer has."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: RequestId
