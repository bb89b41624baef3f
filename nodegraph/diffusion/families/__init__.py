"""Model families: which architectures are supported, and how to tell what files hold."""

from __future__ import annotations

from nodegraph.diffusion.families.base import Family
from nodegraph.diffusion.families.registry import FAMILIES, family_named, format_named

__all__ = ["FAMILIES", "Family", "family_named", "format_named"]
