"""Loops: a node that returns the graph between it and the beginning of the loop again."""

from comfy_execution.graph_utils import GraphBuilder, is_link

from .basic import anything

VALUES = 3
NAMES = [f"value{at}" for at in range(VALUES)]


class WhileOpen:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"condition": ("BOOLEAN", {"default": True})},
            "optional": dict.fromkeys(NAMES, (anything,)),
        }

    RETURN_TYPES = ("FLOW_CONTROL", *[anything] * VALUES)
    RETURN_NAMES = ("flow", *NAMES)
    FUNCTION = "run"

    def run(self, condition, **values):
        return ("stub", *[values.get(name) for name in NAMES])


class WhileClose:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "flow": ("FLOW_CONTROL", {"rawLink": True}),
                "condition": ("BOOLEAN", {"forceInput": True}),
            },
            "optional": dict.fromkeys(NAMES, (anything,)),
            "hidden": {"dynprompt": "DYNPROMPT", "me": "UNIQUE_ID"},
        }

    RETURN_TYPES = (anything,) * VALUES
    RETURN_NAMES = tuple(NAMES)
    FUNCTION = "run"

    def before(self, node_id, dynprompt, upstream):
        for value in dynprompt.get_node(node_id)["inputs"].values():
            if is_link(value):
                if value[0] not in upstream:
                    upstream[value[0]] = []
                    self.before(value[0], dynprompt, upstream)
                upstream[value[0]].append(node_id)

    def contained(self, node_id, upstream, found):
        for after in upstream.get(node_id, []):
            if after not in found:
                found[after] = True
                self.contained(after, upstream, found)

    def run(self, flow, condition, dynprompt, me, **values):
        if not condition:
            return tuple(values.get(name) for name in NAMES)
        upstream, found = {}, {}
        self.before(me, dynprompt, upstream)
        opening = flow[0]
        self.contained(opening, upstream, found)
        found[me] = found[opening] = True
        graph = GraphBuilder()
        for node_id in found:
            node = dynprompt.get_node(node_id)
            copy = graph.node(node["class_type"], "Again" if node_id == me else node_id)
            copy.set_override_display_id(node_id)
        for node_id in found:
            copy = graph.lookup_node("Again" if node_id == me else node_id)
            for key, value in dynprompt.get_node(node_id)["inputs"].items():
                if is_link(value) and value[0] in found:
                    inner = graph.lookup_node("Again" if value[0] == me else value[0])
                    copy.set_input(key, inner.out(value[1]))
                else:
                    copy.set_input(key, value)
        start = graph.lookup_node(opening)
        for name in NAMES:
            start.set_input(name, values.get(name))
        again = graph.lookup_node("Again")
        return {
            "result": tuple(again.out(at) for at in range(VALUES)),
            "expand": graph.finalize(),
        }


class ForOpen:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"remaining": ("INT", {"default": 1})},
            "optional": dict.fromkeys(NAMES[1:], (anything,)),
            "hidden": {"value0": (anything,)},
        }

    RETURN_TYPES = ("FLOW_CONTROL", "INT", *[anything] * (VALUES - 1))
    RETURN_NAMES = ("flow", "remaining", *NAMES[1:])
    FUNCTION = "run"

    def run(self, remaining, **values):
        remaining = values.get("value0", remaining)
        graph = GraphBuilder()
        given = {name: values.get(name) for name in NAMES[1:]}
        graph.node("WhileOpen", condition=remaining, value0=remaining, **given)
        return {
            "result": ("stub", remaining, *[values.get(name) for name in NAMES[1:]]),
            "expand": graph.finalize(),
        }


class ForClose:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"flow": ("FLOW_CONTROL", {"rawLink": True})},
            "optional": {name: (anything, {"rawLink": True}) for name in NAMES[1:]},
        }

    RETURN_TYPES = (anything,) * (VALUES - 1)
    RETURN_NAMES = tuple(NAMES[1:])
    FUNCTION = "run"

    def run(self, flow, **values):
        graph = GraphBuilder()
        opening = flow[0]
        left = graph.node("Add", a=[opening, 1], b=-1)
        goes_on = graph.node("ToBool", value=left.out(0))
        given = {name: values.get(name) for name in NAMES[1:]}
        close = graph.node(
            "WhileClose", flow=flow, condition=goes_on.out(0), value0=left.out(0), **given
        )
        return {
            "result": tuple(close.out(at) for at in range(1, VALUES)),
            "expand": graph.finalize(),
        }


class ToBool:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 0})}}

    RETURN_TYPES = ("BOOLEAN",)
    FUNCTION = "run"

    def run(self, value):
        return (value != 0,)


class Accumulate:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": (anything,)}, "optional": {"before": ("ACCUMULATION",)}}

    RETURN_TYPES = ("ACCUMULATION",)
    FUNCTION = "run"

    def run(self, value, before=None):
        return ({"accum": [*(before or {"accum": []})["accum"], value]},)


class Accumulated:
    """The list of what was accumulated."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"values": ("ACCUMULATION",)}}

    RETURN_TYPES = (anything,)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "run"

    def run(self, values):
        return (values["accum"],)


CLASSES = {
    "WhileOpen": WhileOpen,
    "WhileClose": WhileClose,
    "ForOpen": ForOpen,
    "ForClose": ForClose,
    "ToBool": ToBool,
    "Accumulate": Accumulate,
    "Accumulated": Accumulated,
}
