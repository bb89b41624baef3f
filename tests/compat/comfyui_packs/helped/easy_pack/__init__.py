"""A pack that declares its nodes with the helper library easy_nodes."""

import easy_nodes

easy_nodes.initialize_easy_nodes(default_category="easy", auto_register=False)

from . import filters  # noqa: E402

NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS = easy_nodes.get_node_mappings()
__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "filters"]
