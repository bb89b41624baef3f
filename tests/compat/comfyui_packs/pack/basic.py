"""Values, options, hidden inputs, caching, validation, and what is shown."""

import time
from pathlib import Path

import torch


class AnyType(str):
    """Differs from no type."""

    def __ne__(self, other):
        return False


anything = AnyType("*")


class Picture:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "brightness": ("FLOAT", {"default": 0.5, "min": 0.0, "max": 1.0, "step": 0.05}),
                "size": ("INT", {"default": 4, "min": 1, "max": 64, "tooltip": "Side in pixels."}),
            },
            "optional": {"batch": ("INT", {"default": 7})},
        }

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "make"
    CATEGORY = "test/pictures"
    DESCRIPTION = "Makes a plain picture.\nAll of it has one brightness."

    def make(self, brightness, size, batch=1):
        return (torch.full((batch, size, size, 3), brightness),)


class Options:
    """One input of each form."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "old combo": (["red", "green"],),
                "new.combo": ("COMBO", {"options": [1, 2, 3], "default": 2}),
                "many": ("COMBO", {"options": ["a", "b", "c"], "multiselect": True}),
                "text": ("STRING", {"multiline": True, "default": "hello"}),
                "flag": ("BOOLEAN", {"default": True, "label_on": "yes"}),
                "seed": ("INT", {"default": 0, "min": 0, "max": 0xFFFFFFFFFFFFFFFF}),
                "class": ("FLOAT", {"default": 1, "round": False, "display": "slider"}),
                "either": ("INT,FLOAT", {"default": 3}),
            },
            "optional": {
                "socket": ("STRING", {"forceInput": True}),
                "custom": ("SOMETHING_ELSE",),
            },
        }

    RETURN_TYPES = ("STRING",)
    RETURN_NAMES = ("all of them",)
    FUNCTION = "run"

    def run(self, **given):
        return (";".join(f"{key}={given[key]!r}" for key in sorted(given)),)


class Show:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": (anything, {})}}

    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "show"

    def show(self, value):
        if isinstance(value, torch.Tensor):
            value = f"{tuple(value.shape)} {value.mean().item():.3f}"
        return {"ui": {"text": [str(value)]}}


class ShowAll(Show):
    """Receives the whole list."""

    INPUT_IS_LIST = True

    def show(self, value):
        return {"ui": {"text": [str([self.short(item) for item in value])]}}

    def short(self, item):
        return round(item.mean().item(), 3) if isinstance(item, torch.Tensor) else item


class ShowAndPass:
    """An output node with an output."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {})}}

    RETURN_TYPES = ("STRING",)
    OUTPUT_NODE = True
    FUNCTION = "show"

    def show(self, text):
        return {"ui": {"text": [text]}, "result": (text + "!",)}


class SaveText:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {})}}

    RETURN_TYPES = ()
    OUTPUT_NODE = True
    FUNCTION = "save"

    def save(self, text):
        import folder_paths

        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            "notes", folder_paths.get_output_directory()
        )
        file = f"{name}_{counter:05}_.txt"
        Path(folder, file).write_text(text)
        return {"ui": {"files": [{"filename": file, "subfolder": subfolder, "type": "output"}]}}


class Text:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {"default": ""})}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"

    def run(self, text):
        return (text,)


class Number:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 0})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, value):
        return (value,)


class Fail:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",), "message": ("STRING", {"default": "oh no"})}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"

    def run(self, image, message):
        raise RuntimeError(message)


class FailLater(Fail):
    async def run(self, image, message):
        raise ValueError(message)


class WrongCount:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("INT", "INT")
    FUNCTION = "run"

    def run(self):
        return (1,)


class Interrupt:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self):
        import comfy.model_management as management

        raise management.InterruptProcessingException()


class Spoil:
    """Writes into what it receives."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",)}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"

    def run(self, image):
        image.zero_()
        return (image,)


class Hidden:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"text": ("STRING", {"default": ""})},
            "hidden": {
                "me": "UNIQUE_ID",
                "prompt": "PROMPT",
                "info": "EXTRA_PNGINFO",
                "key": "API_KEY_COMFY_ORG",
            },
        }

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"

    def run(self, text, me, prompt, info, key):
        mine = prompt[me]["class_type"]
        return (f"{me} {mine} {sorted(info) if info else info} {key}",)


class CountCalls:
    """Keeps its number of calls on the instance."""

    def __init__(self):
        self.calls = 0

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 0})}, "hidden": {"me": "UNIQUE_ID"}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, value, me):
        self.calls += 1
        return (self.calls,)


runs = 0


class Counted:
    """Says the how manyth run of any such node it is."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 0})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, value):
        global runs
        runs += 1
        return (runs,)


class NotIdempotent(Counted):
    NOT_IDEMPOTENT = True


class ChangedConstant(Counted):
    @classmethod
    def IS_CHANGED(cls, value):
        return "the same"


class ChangedAlways(Counted):
    @classmethod
    def IS_CHANGED(cls, value):
        return float("nan")


class ChangedFails(Counted):
    @classmethod
    def IS_CHANGED(cls, value):
        raise RuntimeError("cannot say")


class ChangedLater(Counted):
    @classmethod
    async def IS_CHANGED(cls, value):
        return time.time_ns() if value is None else 1


class Valid1:
    """Refuses by a text; a link is not looked at."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "first": ("FLOAT", {"default": 0.0, "max": 10.0}),
                "second": ("FLOAT", {"default": 0.0}),
            }
        }

    @classmethod
    def VALIDATE_INPUTS(cls, first):
        if first is not None and first < 0:
            return f"Invalid value of first: {first}"
        return True

    RETURN_TYPES = ("FLOAT",)
    FUNCTION = "run"

    def run(self, first, second):
        return (first + second,)


class Valid2:
    """Checks types of links itself."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"first": ("IMAGE,FLOAT",), "second": ("IMAGE",)}}

    @classmethod
    def VALIDATE_INPUTS(cls, input_types):
        if input_types.get("first") not in ("IMAGE", "INT"):
            return f"Invalid type of first: {input_types.get('first')}"
        return True

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"

    def run(self, first, second):
        return (str(first),)


class Valid3(Valid1):
    @classmethod
    async def VALIDATE_INPUTS(cls, **values):
        return not any(isinstance(value, float) and value > 99 for value in values.values())


CLASSES = {
    "Picture": Picture,
    "Options": Options,
    "Show": Show,
    "ShowAll": ShowAll,
    "ShowAndPass": ShowAndPass,
    "SaveText": SaveText,
    "Text|test": Text,
    "Number": Number,
    "Fail": Fail,
    "FailLater": FailLater,
    "WrongCount": WrongCount,
    "Interrupt": Interrupt,
    "Spoil": Spoil,
    "Hidden inputs (test)": Hidden,
    "CountCalls": CountCalls,
    "Counted": Counted,
    "NotIdempotent": NotIdempotent,
    "ChangedConstant": ChangedConstant,
    "ChangedAlways": ChangedAlways,
    "ChangedFails": ChangedFails,
    "ChangedLater": ChangedLater,
    "Valid1": Valid1,
    "Valid2": Valid2,
    "Valid3": Valid3,
}
