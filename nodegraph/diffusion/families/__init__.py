"""Model families: which architectures are supported, and how to tell what files hold."""

from __future__ import annotations

from nodegraph.diffusion.families.base import Family
from nodegraph.diffusion.families.registry import (
    FAMILIES,
    families_of_pipeline,
    family_named,
    family_release,
    format_named,
    format_release,
)

__all__ = [
    "FAMILIES",
    "Family",
    "families_of_pipeline",
    "family_named",
    "family_release",
    "format_named",
    "format_release",
]
