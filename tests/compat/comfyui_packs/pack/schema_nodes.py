"""Classes with schemas (V3), beside those of V1."""

from comfy_api.latest import io, ui


class Scale(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Scale",
            display_name="Scale values",
            category="test/schema",
            description="Multiplies.",
            inputs=[
                io.Image.Input("image", tooltip="Any picture."),
                io.Float.Input("factor", default=2.0, min=0.0, max=10.0, step=0.1),
                io.Combo.Input("mode", options=["plain", "twice"], default="plain"),
                io.String.Input("note", multiline=True, optional=True),
            ],
            outputs=[io.Image.Output(display_name="scaled"), io.Int.Output("count")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, image, factor, mode, note=None):
        cls.last = factor
        factor = factor * 2 if mode == "twice" else factor
        return io.NodeOutput(image * factor, len(cls.hidden.unique_id))

    @classmethod
    def validate_inputs(cls, factor):
        return True if factor is None or factor < 9 else "too large"


class Join(io.ComfyNode):
    """Grows, by a prefix and by names."""

    @classmethod
    def define_schema(cls):
        prefix = io.Autogrow.TemplatePrefix(io.String.Input("text"), prefix="text", min=2, max=5)
        names = io.Autogrow.TemplateNames(io.Int.Input("n"), names=["x", "y"], min=0)
        return io.Schema(
            node_id="Join",
            inputs=[
                io.Autogrow.Input("texts", template=prefix),
                io.Autogrow.Input("numbers", template=names, optional=True),
            ],
            outputs=[io.String.Output()],
        )

    @classmethod
    async def execute(cls, texts, numbers=None):
        return io.NodeOutput("+".join(f"{k}:{v}" for k, v in texts.items()) + f" {numbers}")


class Choose(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        small = io.DynamicCombo.Option("small", [io.Int.Input("size", default=1)])
        large = io.DynamicCombo.Option(
            "large", [io.Float.Input("share", default=0.5), io.String.Input("why", optional=True)]
        )
        return io.Schema(
            node_id="Choose",
            inputs=[io.DynamicCombo.Input("kind", options=[small, large])],
            outputs=[io.String.Output()],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, kind):
        text = str(sorted(kind.items()))
        return io.NodeOutput(text, ui=ui.PreviewText(text))


class Same(io.ComfyNode):
    """One type for input and output."""

    @classmethod
    def define_schema(cls):
        template = io.MatchType.Template("t")
        return io.Schema(
            node_id="Same",
            inputs=[
                io.MatchType.Input("first", template, lazy=True),
                io.MatchType.Input("second", template, lazy=True),
                io.Boolean.Input("pick", default=True),
            ],
            outputs=[io.MatchType.Output(template)],
        )

    @classmethod
    def check_lazy_status(cls, pick, first=None, second=None):
        wanted = "first" if pick else "second"
        return [wanted] if (first if pick else second) is None else []

    @classmethod
    def execute(cls, pick, first=None, second=None):
        return io.NodeOutput(first if pick else second)


class Preview(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Preview",
            inputs=[
                io.MultiType.Input(io.Float.Input("x", default=1.0), types=[io.Int]),
                io.Image.Input("image"),
            ],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, image, x):
        return io.NodeOutput(ui=ui.PreviewImage(image, cls=cls))


class Grow(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="Grow",
            inputs=[io.Int.Input("value", default=1)],
            outputs=[io.Int.Output()],
            enable_expand=True,
        )

    @classmethod
    def execute(cls, value):
        from comfy_execution.graph_utils import GraphBuilder

        graph = GraphBuilder()
        return io.NodeOutput(graph.node("Add", a=value, b=5).out(0), expand=graph.finalize())

    @classmethod
    def fingerprint_inputs(cls, value):
        return value


class Stop(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="Stop", inputs=[io.Int.Input("value")], outputs=[io.Int.Output()])

    @classmethod
    def execute(cls, value):
        return io.NodeOutput(block_execution="not now")


CLASSES = {
    cls.define_schema().node_id: cls for cls in (Scale, Join, Choose, Same, Preview, Grow, Stop)
}
