"""Only schemas, returned by an async function."""

from comfy_api.latest import ComfyExtension, io
from typing_extensions import override


class Tint(io.ComfyNode):
    loaded = False

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="modern_Tint",
            display_name="Tint",
            category="modern",
            inputs=[
                io.Image.Input("image"),
                io.Float.Input(
                    "amount", default=0.5, min=0.0, max=1.0, display_mode=io.NumberDisplay.slider
                ),
                io.Int.Input("seed", default=0, control_after_generate=True),
            ],
            outputs=[io.Image.Output(), io.Boolean.Output(display_name="ready")],
        )

    @classmethod
    def execute(cls, image, amount, seed) -> io.NodeOutput:
        out = image.clone()
        out[..., 0] *= amount
        return io.NodeOutput(out, cls.loaded)


Pair = io.Custom("MODERN_PAIR")


class MakePair(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="modern_MakePair",
            category="modern",
            inputs=[io.Int.Input("a", default=1), io.Int.Input("b", default=2)],
            outputs=[Pair.Output()],
        )

    @classmethod
    def execute(cls, a, b):
        return io.NodeOutput({"a": a, "b": b})


class SumPair(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="modern_SumPair",
            category="modern",
            inputs=[Pair.Input("pair")],
            outputs=[io.Int.Output(display_name="sum")],
        )

    @classmethod
    async def execute(cls, pair):
        return io.NodeOutput(pair["a"] + pair["b"])


class Extension(ComfyExtension):
    @override
    async def on_load(self) -> None:
        Tint.loaded = True

    @override
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [Tint, MakePair, SumPair]


async def comfy_entrypoint() -> Extension:
    return Extension()
