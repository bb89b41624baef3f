"""Types, inputs and outputs of schemas of ComfyUI's packs (V3): ``comfy_api.latest.io``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any, ClassVar

from nodegraph.interop.comfyui.packs.type_map import (
    AUTOGROW,
    DYNAMIC_COMBO,
    DYNAMIC_SLOT,
    MATCH_TYPE,
    WILDCARD,
)

_TYPES: Mapping[str, str] = {
    **{
        name: name.upper()
        for name in (
            *("Int", "Float", "String", "Boolean", "Image", "Mask", "Latent", "Conditioning"),
            *("Sampler", "Sigmas", "Noise", "Guider", "Clip", "Vae", "Model", "Audio", "Video"),
            *("Svg", "Gligen", "Voxel", "Mesh", "Splat", "Hooks", "Tracks", "Photomaker", "Point"),
            *("Bbox", "Segs", "Dict", "Array", "Color", "Colors", "Curve", "Range", "Histogram"),
            *("Accumulation", "Layers", "Webcam"),
        )
    },
    "ControlNet": "CONTROL_NET",
    "ClipVision": "CLIP_VISION",
    "ClipVisionOutput": "CLIP_VISION_OUTPUT",
    "StyleModel": "STYLE_MODEL",
    "UpscaleModel": "UPSCALE_MODEL",
    "LatentUpscaleModel": "LATENT_UPSCALE_MODEL",
    "LoraModel": "LORA_MODEL",
    "LossMap": "LOSS_MAP",
    "HookKeyframes": "HOOK_KEYFRAMES",
    "TimestepsRange": "TIMESTEPS_RANGE",
    "LatentOperation": "LATENT_OPERATION",
    "ModelPatch": "MODEL_PATCH",
    "AudioEncoder": "AUDIO_ENCODER",
    "AudioEncoderOutput": "AUDIO_ENCODER_OUTPUT",
    "FlowControl": "FLOW_CONTROL",
    "FaceAnalysis": "FACE_ANALYSIS",
    "BoundingBox": "BOUNDING_BOX",
    "BoundingBoxes": "BOUNDING_BOXES",
    "BackgroundRemoval": "BACKGROUND_REMOVAL",
    "ImageCompare": "IMAGECOMPARE",
    "File3DAny": "FILE_3D",
    **{f"File3D{kind.upper()}": f"FILE_3D_{kind.upper()}" for kind in ("glb", "gltf", "fbx")},
    **{f"File3D{kind.upper()}": f"FILE_3D_{kind.upper()}" for kind in ("obj", "stl", "usdz")},
    "Load3D": "LOAD_3D",
    "Load3DAnimation": "LOAD_3D_ANIMATION",
    "Load3DCamera": "LOAD3D_CAMERA",
    "AnyType": WILDCARD,
}
"""Classes of ``io`` for plain types, with ComfyUI's types."""
_MODEL_TYPES = {"CLIP": "Clip", "VAE": "Vae", "SVG": "Svg", "SEGS": "Segs", "BBOX": "Bbox"}


class SchemaInput:
    """An input of a schema: ``Input``.

    Attributes:
        id: Name of the input.
        io_type: ComfyUI's type.
        options: Options as V1 classes have them; those that are not set are left out.
    """

    io_type: ClassVar[Any] = WILDCARD

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        extra_dict: Mapping[str, Any] | None = None,
        raw_link: bool | None = None,
        advanced: bool | None = None,
        **options: Any,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.optional = optional
        self.tooltip = tooltip
        self.lazy = lazy
        self.extra_dict = dict(extra_dict or {})
        self.rawLink = raw_link
        self.advanced = advanced
        self.own_options = options

    @property
    def options(self) -> dict[str, Any]:
        """Options as ``INPUT_TYPES`` of V1 has them."""
        named = {
            "display_name": self.display_name,
            "tooltip": self.tooltip,
            "lazy": self.lazy,
            "rawLink": self.rawLink,
            "advanced": self.advanced,
            **self.own_options,
        }
        return {key: value for key, value in named.items() if value is not None} | self.extra_dict

    def get_io_type(self) -> Any:
        """Return the type as it is listed."""
        return self.io_type

    def as_entry(self) -> tuple[Any, dict[str, Any]]:
        """Return the entry in ``INPUT_TYPES`` of V1."""
        return self.get_io_type(), self.options


class SchemaWidget(SchemaInput):
    """An input with a widget."""

    _NAMES: ClassVar[Mapping[str, str]] = {
        "force_input": "forceInput",
        "widget_type": "widgetType",
        "display_mode": "display",
        "dynamic_prompts": "dynamicPrompts",
    }
    """Options that V1 writes otherwise, by argument."""

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: Any = None,
        **options: Any,
    ) -> None:
        common = ("extra_dict", "raw_link", "advanced")
        inherited = {key: options.pop(key) for key in common if key in options}
        named = {self._NAMES.get(key, key): _plain(value) for key, value in options.items()}
        super().__init__(
            id, display_name, optional, tooltip, lazy, default=_plain(default), **inherited, **named
        )
        self.default = default


class SchemaCombo(SchemaWidget):
    """A choice: ``Combo.Input``."""

    io_type = "COMBO"

    def __init__(
        self,
        id: str,
        options: Sequence[Any] | type[Enum] | None = None,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: Any = None,
        upload: Any = None,
        remote: Any = None,
        **more: Any,
    ) -> None:
        choices = [_plain(choice) for choice in options or ()]
        if upload is not None:
            more[str(getattr(upload, "value", upload))] = True
        if remote is not None:
            more["remote"] = remote.as_dict() if hasattr(remote, "as_dict") else remote
        super().__init__(
            id, display_name, optional, tooltip, lazy, default, options=choices, **more
        )


class SchemaMultiCombo(SchemaCombo):
    """Several choices: ``MultiCombo.Input``."""

    def __init__(
        self,
        id: str,
        options: Sequence[Any] | type[Enum] | None = None,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: Any = None,
        placeholder: str | None = None,
        chip: bool | None = None,
        **more: Any,
    ) -> None:
        look = {"placeholder": placeholder, "chip": chip}
        shown = {key: value for key, value in look.items() if value is not None}
        super().__init__(
            id, options, display_name, optional, tooltip, lazy, default,
            multiselect=True, multi_select=shown or None, **more,
        )  # fmt: skip


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


class SchemaOutput:
    """An output of a schema: ``Output``."""

    io_type: ClassVar[Any] = WILDCARD

    def __init__(
        self,
        id: str | None = None,
        display_name: str | None = None,
        tooltip: str | None = None,
        is_output_list: bool = False,
        **options: Any,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.tooltip = tooltip
        self.is_output_list = is_output_list
        self.own_options = options

    def get_io_type(self) -> Any:
        """Return the type as it is listed."""
        return self.io_type


class SchemaType:
    """A type of ``io``, with the classes of its inputs and outputs.

    Attributes:
        io_type: ComfyUI's name of the type.
        Type: Class of the values, for annotations.
    """

    io_type: ClassVar[str] = WILDCARD
    Type: ClassVar[Any] = Any
    Input: ClassVar[type[SchemaInput]] = SchemaInput
    Output: ClassVar[type[SchemaOutput]] = SchemaOutput


def custom_type(io_type: str, *, base: type[SchemaInput] = SchemaInput) -> Any:
    """Return a class for a type by its name: ``io.Custom``."""
    inputs = type("Input", (base,), {"io_type": io_type})
    outputs = type("Output", (SchemaOutput,), {"io_type": io_type})
    names = {"io_type": io_type, "Input": inputs, "Output": outputs}
    return type(f"{io_type} type", (SchemaType,), names)


class MultiTypeInput(SchemaInput):
    """An input of several types: ``MultiType.Input``."""

    def __init__(
        self, id: str | SchemaInput, types: Sequence[Any], *args: Any, **more: Any
    ) -> None:
        widget = id if isinstance(id, SchemaInput) else None
        super().__init__(widget.id if widget else str(id), *args, **more)
        self._widget = widget
        own = [widget.get_io_type()] if widget else []
        self.io_types = list(dict.fromkeys([*own, *(each.io_type for each in types)]))
        self.optional = widget.optional if widget else self.optional

    @property
    def options(self) -> dict[str, Any]:
        return {**(self._widget.options if self._widget else {}), **super().options}

    def get_io_type(self) -> str:
        return ",".join(str(each) for each in self.io_types)


@dataclass(frozen=True)
class MatchTemplate:
    """Inputs and outputs with one template have one type: ``MatchType.Template``."""

    template_id: str
    allowed_types: Any = None

    @property
    def types(self) -> list[str]:
        """Names of the allowed types."""
        allowed = self.allowed_types
        if allowed is None:
            return [WILDCARD]
        several = allowed if isinstance(allowed, Iterable) else [allowed]
        return [str(each.io_type) for each in several]

    def as_dict(self) -> dict[str, Any]:
        """Return the template as ``/object_info`` lists it."""
        return {"template_id": self.template_id, "allowed_types": ",".join(self.types)}


class MatchTypeInput(SchemaInput):
    """``MatchType.Input``."""

    def __init__(self, id: str, template: MatchTemplate, *args: Any, **more: Any) -> None:
        super().__init__(id, *args, **more)
        self.template = template
        self.own_options["template"] = template.as_dict()

    def get_io_type(self) -> str:
        return MATCH_TYPE


class MatchTypeOutput(SchemaOutput):
    """``MatchType.Output``."""

    def __init__(self, template: MatchTemplate, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.template = template

    def get_io_type(self) -> str:
        return MATCH_TYPE


class AutogrowPrefix:
    """Inputs ``prefix0``, ``prefix1`` and so on: ``Autogrow.TemplatePrefix``."""

    def __init__(self, input: SchemaInput, prefix: str, min: int = 1, max: int = 10) -> None:
        self.input, self.prefix, self.min, self.max = input, prefix, min, max

    def as_dict(self) -> dict[str, Any]:
        """Return the template as ``/object_info`` lists it."""
        return {
            "input": input_groups([self.input]),
            "prefix": self.prefix,
            "min": self.min,
            "max": self.max,
        }


class AutogrowNames:
    """Inputs of given names: ``Autogrow.TemplateNames``."""

    def __init__(self, input: SchemaInput, names: Sequence[str], min: int = 1) -> None:
        self.input, self.names, self.min = input, list(names), min

    def as_dict(self) -> dict[str, Any]:
        """Return the template as ``/object_info`` lists it."""
        return {"input": input_groups([self.input]), "names": self.names, "min": self.min}


class AutogrowInput(SchemaInput):
    """As many inputs as are connected: ``Autogrow.Input``."""

    io_type = AUTOGROW

    def __init__(self, id: str, template: Any, *args: Any, **more: Any) -> None:
        super().__init__(id, *args, **more)
        self.template = template
        self.own_options["template"] = template.as_dict()


@dataclass(frozen=True)
class DynamicOption:
    """A choice with the inputs that it brings: ``DynamicCombo.Option``."""

    key: str
    inputs: Sequence[SchemaInput] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the choice as ``/object_info`` lists it."""
        return {"key": self.key, "inputs": input_groups(self.inputs)}


class DynamicComboInput(SchemaInput):
    """A choice that brings further inputs: ``DynamicCombo.Input``."""

    io_type = DYNAMIC_COMBO

    def __init__(self, id: str, options: Sequence[DynamicOption], *args: Any, **more: Any) -> None:
        super().__init__(id, *args, **more)
        self.own_options["options"] = [option.as_dict() for option in options]


class DynamicSlotInput(SchemaInput):
    """An input that brings others once it is connected: ``DynamicSlot.Input``."""

    io_type = DYNAMIC_SLOT

    def __init__(
        self, slot: SchemaInput, inputs: Sequence[SchemaInput], *args: Any, **more: Any
    ) -> None:
        super().__init__(slot.id, *args, **more)
        self.slot = slot
        self.own_options |= {"slotType": slot.get_io_type(), "inputs": input_groups(inputs)}
        self.optional = slot.optional or self.optional


def input_groups(inputs: Sequence[SchemaInput]) -> dict[str, dict[str, Any]]:
    """Return inputs as ``INPUT_TYPES`` of V1 has them."""
    groups: dict[str, dict[str, Any]] = {"required": {}}
    for each in inputs:
        group = groups.setdefault("optional" if each.optional else "required", {})
        group[each.id] = each.as_entry()
    return groups


@dataclass
class RemoteOptions:
    """Choices that a server lists: ``io.RemoteOptions``. They are not offered here."""

    route: str
    refresh_button: bool | None = None
    control_after_refresh: str | None = "first"
    timeout: int | None = None
    max_retries: int | None = None
    refresh: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the options as ``/object_info`` lists them."""
        return {key: value for key, value in vars(self).items() if value is not None}


class _Options(str, Enum):
    """Base of the enumerations of ``io``."""


class UploadType(_Options):
    image = "image_upload"
    audio = "audio_upload"
    video = "video_upload"
    model = "file_upload"


class FolderType(_Options):
    input = "input"
    output = "output"
    temp = "temp"


class NumberDisplay(_Options):
    number = "number"
    slider = "slider"
    color = "color"
    gradient_slider = "gradientslider"


class ControlAfterGenerate(_Options):
    fixed = "fixed"
    increment = "increment"
    decrement = "decrement"
    randomize = "randomize"


def type_names() -> dict[str, Any]:
    """Return the names of ``comfy_api.latest.io`` for types."""
    names: dict[str, Any] = {name: custom_type(kind) for name, kind in _TYPES.items()}
    for name in ("Int", "Float", "String", "Boolean", "Color"):
        names[name] = custom_type(_TYPES[name], base=SchemaWidget)
    for name in ("Combo", "MultiCombo"):
        base = SchemaCombo if name == "Combo" else SchemaMultiCombo
        names[name] = custom_type("COMBO", base=base)
    names["MatchType"] = SimpleNamespace(
        io_type=MATCH_TYPE, Input=MatchTypeInput, Output=MatchTypeOutput, Template=MatchTemplate
    )
    names["MultiType"] = SimpleNamespace(io_type="COMFY_MULTITYPED_V3", Input=MultiTypeInput)
    names["Autogrow"] = SimpleNamespace(
        io_type=AUTOGROW,
        Input=AutogrowInput,
        TemplatePrefix=AutogrowPrefix,
        TemplateNames=AutogrowNames,
        Type=dict[str, Any],
    )
    names["DynamicCombo"] = SimpleNamespace(
        io_type=DYNAMIC_COMBO, Input=DynamicComboInput, Option=DynamicOption, Type=dict[str, Any]
    )
    names["DynamicSlot"] = SimpleNamespace(
        io_type=DYNAMIC_SLOT, Input=DynamicSlotInput, Type=dict[str, Any]
    )
    return names | {
        "ComfyType": SchemaType,
        "Custom": custom_type,
        "RemoteOptions": RemoteOptions,
        "UploadType": UploadType,
        "FolderType": FolderType,
        "NumberDisplay": NumberDisplay,
        "ControlAfterGenerate": ControlAfterGenerate,
        "Input": SchemaInput,
        "WidgetInput": SchemaWidget,
        "Output": SchemaOutput,
    }
