"""Says whether its script ran before it."""

import os


class Prepared:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"

    def run(self):
        return (os.environ.get("PREPARED", "no"),)


class NoMethod:
    @classmethod
    def INPUT_TYPES(s):
        return {"required": {}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "absent"


NODE_CLASS_MAPPINGS = {"Prepared": Prepared, "NoMethod": NoMethod}
