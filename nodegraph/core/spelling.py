"""Names in other spellings."""

from __future__ import annotations

import re


def snake_case(name: str) -> str:
    """``LoadModel`` as ``load_model``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
