"""A pack in ComfyUI's form that uses each feature of its interfaces, as people write packs."""

from . import basic, flow, loops, schema_nodes

NODE_CLASS_MAPPINGS = {
    **basic.CLASSES,
    **flow.CLASSES,
    **loops.CLASSES,
    **schema_nodes.CLASSES,
}
NODE_DISPLAY_NAME_MAPPINGS = {"Picture": "Plain picture"}
WEB_DIRECTORY = "./js"
