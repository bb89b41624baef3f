"""Expressions over anything."""


class AlwaysEqualProxy(str):
    def __eq__(self, _):
        return True

    def __ne__(self, _):
        return False


class SimpleMath:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"value": ("STRING", {"multiline": False, "default": ""})},
            "optional": {
                "a": (AlwaysEqualProxy("*"), {"default": 0}),
                "b": (AlwaysEqualProxy("*"), {"default": 0}),
            },
        }

    RETURN_TYPES = ("INT", "FLOAT")
    FUNCTION = "execute"
    CATEGORY = "math"

    def execute(self, value, a=0, b=0):
        sizes = [getattr(each, "shape", (each,))[0] for each in (a, b)]
        result = eval(value, {"__builtins__": {}}, {"a": sizes[0], "b": sizes[1]})
        return round(result), float(result)


class CompareFloats:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"x": ("FLOAT,INT",), "y": ("FLOAT,INT", {"default": 0})}}

    RETURN_TYPES = ("BOOLEAN",)
    FUNCTION = "execute"

    def execute(self, x, y):
        return (x > y,)


NODE_CLASS_MAPPINGS = {"SimpleMath+": SimpleMath, "CompareFloats": CompareFloats}
