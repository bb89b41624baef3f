"""Picture filters with Pillow, in a sub-package."""

from .nodes.blur import NODE_CLASS_MAPPINGS as blur_nodes
from .nodes.borders import NODE_CLASS_MAPPINGS as border_nodes

NODE_CLASS_MAPPINGS = {**blur_nodes, **border_nodes}
NODE_DISPLAY_NAME_MAPPINGS = {key: f"✨ {key}" for key in NODE_CLASS_MAPPINGS}

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
