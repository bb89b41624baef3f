"""Switches that evaluate what they pass on."""

from comfy_execution.graph import ExecutionBlocker


class AnyType(str):
    def __ne__(self, __value):
        return False


any_type = AnyType("*")


class LazySwitch:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"select": ("INT", {"default": 1, "min": 1, "max": 3})},
            "optional": {f"input{i}": (any_type, {"lazy": True}) for i in (1, 2, 3)},
            "hidden": {"unique_id": "UNIQUE_ID", "prompt": "PROMPT"},
        }

    RETURN_TYPES = (any_type, "STRING")
    RETURN_NAMES = ("selected", "label")
    FUNCTION = "doit"

    def check_lazy_status(self, *args, **kwargs):
        return [f"input{int(kwargs['select'])}"]

    @staticmethod
    def doit(*args, **kwargs):
        name = f"input{int(kwargs['select'])}"
        if name not in kwargs:
            return ExecutionBlocker(None), ""
        return kwargs[name], name


class Gate:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": (any_type,), "open": ("BOOLEAN", {"default": True})}}

    RETURN_TYPES = (any_type,)
    FUNCTION = "run"

    def run(self, value, open):
        return (value if open else ExecutionBlocker("the gate is closed"),)


NODE_CLASS_MAPPINGS = {"LazySwitch": LazySwitch, "Gate": Gate}
