"""Nodes that return graphs of other packs' classes."""

from comfy_execution.graph_utils import GraphBuilder


class Build:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"kind": ("STRING", {"default": "SimpleMath+"}), "image": ("IMAGE",)},
        }

    RETURN_TYPES = ("INT", "STRING")
    FUNCTION = "build"

    def build(self, kind, image):
        graph = GraphBuilder()
        bordered = graph.node("Add Border", image=image, border=2)
        total = graph.node(kind, value="a * 100 + b", a=bordered.out(1), b=bordered.out(2))
        label = graph.node("LazySwitch", select=2, input1=total.out(0), input2="two")
        return {"result": (total.out(0), label.out(1)), "expand": graph.finalize()}


class Thing:
    pass


class BuildWithThing:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "build"

    def build(self):
        graph = GraphBuilder()
        label = graph.node("LazySwitch", select=1, input1=Thing())
        return {"result": (label.out(1),), "expand": graph.finalize()}


NODE_CLASS_MAPPINGS = {"Build": Build, "BuildWithThing": BuildWithThing}
