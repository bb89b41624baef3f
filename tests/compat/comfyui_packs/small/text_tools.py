"""One file: texts, wildcards, a file that changes."""

import random
import re


class Join:
    @classmethod
    def INPUT_TYPES(s):
        return {
            "required": {"delimiter": ("STRING", {"default": ", "})},
            "optional": {
                "text_a": ("STRING", {"default": "", "multiline": True, "dynamicPrompts": False}),
                "text_b": ("STRING", {"forceInput": True}),
            },
        }

    RETURN_TYPES = ("STRING",)
    FUNCTION = "join"
    CATEGORY = "text"

    def join(self, delimiter, text_a="", text_b=""):
        return (delimiter.join(part for part in (text_a, text_b) if part),)


class Wildcards:
    @classmethod
    def INPUT_TYPES(s):
        return {
            "required": {
                "text": ("STRING", {"multiline": True}),
                "seed": ("INT", {"default": 0, "min": 0, "max": 0xFFFFFFFFFFFFFFFF}),
            }
        }

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"
    CATEGORY = "text"

    @classmethod
    def IS_CHANGED(s, text, seed):
        return seed

    def run(self, text, seed):
        pick = random.Random(seed)
        choose = lambda m: pick.choice(m.group(1).split("|"))  # noqa: E731
        return (re.sub(r"__(.*?)__", choose, text),)


class ShowText:
    INPUT_IS_LIST = True
    OUTPUT_IS_LIST = (True,)
    OUTPUT_NODE = True
    RETURN_TYPES = ("STRING",)
    FUNCTION = "notify"
    CATEGORY = "utils"

    @classmethod
    def INPUT_TYPES(s):
        return {
            "required": {"text": ("STRING", {"forceInput": True})},
            "hidden": {"unique_id": "UNIQUE_ID", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def notify(self, text, unique_id=None, extra_pnginfo=None):
        return {"ui": {"text": text}, "result": (text,)}


NODE_CLASS_MAPPINGS = {
    "JoinTexts|tools": Join,
    "Wildcards|tools": Wildcards,
    "ShowText|tools": ShowText,
}
NODE_DISPLAY_NAME_MAPPINGS = {"ShowText|tools": "Show Text 🐍"}
