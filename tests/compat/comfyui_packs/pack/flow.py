"""Lists, blockers, lazy inputs, async nodes, undeclared inputs and expansions."""

import asyncio
import time

import torch
from comfy_execution.graph_utils import ExecutionBlocker, GraphBuilder

from .basic import anything


class Range:
    """A list."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"start": ("INT", {"default": 0}), "count": ("INT", {"default": 3})}}

    RETURN_TYPES = ("INT",)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "run"

    def run(self, start, count):
        return (list(range(start, start + count)),)


class Add:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {"default": 0}), "b": ("INT", {"default": 0})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, a, b):
        return (a + b,)


class Sum:
    """Takes the whole list."""

    INPUT_IS_LIST = True

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"values": ("INT", {"forceInput": True}), "more": ("INT", {"default": 0})},
            "hidden": {"me": "UNIQUE_ID"},
        }

    RETURN_TYPES = ("INT", "STRING")
    FUNCTION = "run"

    def run(self, values, more, me):
        return (sum(values) + more[0], f"{len(values)} {len(more)} {len(me)}")


class Block:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "value": (anything,),
                "block": ("BOOLEAN", {"default": False}),
                "message": ("STRING", {"default": ""}),
            }
        }

    RETURN_TYPES = (anything,)
    FUNCTION = "run"

    def run(self, value, block, message):
        return (ExecutionBlocker(message or None) if block else value,)


class BlockOdd:
    """Blocks items of its list."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"forceInput": True})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, value):
        return (ExecutionBlocker(None) if value % 2 else value,)


class LazyMix:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "first": ("IMAGE", {"lazy": True}),
                "second": ("IMAGE", {"lazy": True}),
                "share": ("FLOAT", {"default": 0.0}),
            }
        }

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "mix"

    def check_lazy_status(self, share, first, second):
        needed = []
        if first is None and share < 1:
            needed.append("first")
        if second is None and share > 0 and first is not None:
            needed.append("second")
        return needed or (["second"] if share == 1 and second is None else [])

    def mix(self, share, first=None, second=None):
        if first is None:
            return (second,)
        if second is None:
            return (first,)
        return (first * (1 - share) + second * share,)


class LazyWrong(LazyMix):
    def check_lazy_status(self, share, first, second):
        return ["third"]


class LazyAsync(LazyMix):
    async def check_lazy_status(self, share, first, second):
        await asyncio.sleep(0)
        return [] if first is not None else ["first"]


class Sleep:
    """Waits beside others."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": (anything,), "seconds": ("FLOAT", {"default": 0.5})}}

    RETURN_TYPES = (anything, "FLOAT", "FLOAT")
    FUNCTION = "run"

    async def run(self, value, seconds):
        start = time.monotonic()
        await asyncio.sleep(seconds)
        return (value, start, time.monotonic())


class Average:
    """Takes as many pictures as are linked."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"input1": ("IMAGE",)}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"

    def run(self, input1, **more):
        return (torch.stack([input1, *more.values()]).mean(dim=0),)


class Twice:
    """Expands into two nodes of the pack."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 1}), "image": ("IMAGE",)}}

    RETURN_TYPES = ("INT", "IMAGE", "STRING")
    FUNCTION = "run"

    def run(self, value, image):
        graph = GraphBuilder()
        first = graph.node("Add", a=value, b=value)
        second = graph.node("Add", a=first.out(0), b=0)
        picture = graph.node("ImageInvert", image=image)
        return {
            "result": (second.out(0), picture.out(0), "as it is"),
            "expand": graph.finalize(),
        }


class Mixed:
    """Expands for some items of a list, and returns others."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"forceInput": True})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, value):
        if value % 2:
            return (value * 100,)
        graph = GraphBuilder()
        inner = graph.node("Add", a=value, b=1000)
        return {"result": (inner.out(0),), "expand": graph.finalize()}


class ShowInside:
    """Its expansion has an output node."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 5})}}

    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "run"

    def run(self, value):
        graph = GraphBuilder()
        graph.node("Show", value=graph.node("Number", value=value).out(0))
        return {"result": (), "expand": graph.finalize()}


class Faulty:
    """Its expansion is none, or links to an output that is not there."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"how": (["output", "list"],)}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, how):
        graph = GraphBuilder()
        added = graph.node("Add", a=1, b=2)
        return {"result": (added.out(7),), "expand": graph.finalize() if how == "output" else []}


class Unknown:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self):
        graph = GraphBuilder()
        return {"result": (graph.node("NobodyKnows").out(0),), "expand": graph.finalize()}


CLASSES = {
    "Range": Range,
    "Add": Add,
    "Sum": Sum,
    "Block": Block,
    "BlockOdd": BlockOdd,
    "LazyMix": LazyMix,
    "LazyWrong": LazyWrong,
    "LazyAsync": LazyAsync,
    "Sleep": Sleep,
    "Average": Average,
    "Twice": Twice,
    "Mixed": Mixed,
    "ShowInside": ShowInside,
    "Faulty": Faulty,
    "Unknown": Unknown,
}
