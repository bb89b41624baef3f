"""A pack that declares its nodes with the helper library comfyui_types."""

from comfyui_types import (
    BooleanInput,
    ChoiceInput,
    ComfyUINode,
    ImageInput,
    ImageOutput,
    IntegerInput,
    StringOutput,
    export_nodes,
)


class Flip(ComfyUINode):
    category = "typed"
    display_name = "Flip"
    image = ImageInput()
    axis = ChoiceInput(choices=["x", "y"], default="x")
    times = IntegerInput(default=1, min=0, max=9)
    invert = BooleanInput(default=False, required=False)
    flipped = ImageOutput()
    text = StringOutput(display_name="text")

    def execute(self, image, axis, times, invert=False):
        for _ in range(times):
            image = image.flip(2 if axis == "x" else 1)
        return (1 - image if invert else image, f"{axis}{times}")


NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS = export_nodes([Flip])
