"""Does not import."""

from .missing_part import NODE_CLASS_MAPPINGS
