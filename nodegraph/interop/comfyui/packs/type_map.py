"""Types of ComfyUI's inputs and outputs as port types, and their options as input specs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from keyword import iskeyword
from typing import Any

from nodegraph.core.links import plain_number
from nodegraph.core.spec import InputSpec
from nodegraph.core.types import ANY_ITEM, parse_type

PORT_TYPES: Mapping[str, str] = {
    "INT": "int",
    "FLOAT": "float",
    "STRING": "str",
    "BOOLEAN": "bool",
    "IMAGE": "Image",
    "MASK": "Mask",
    "LATENT": "Latent",
    "AUDIO": "Audio",
    "VIDEO": "Video",
    "CONDITIONING": "Conditioning",
    "MODEL": "DiffusionModel",
    "CLIP": "TextEncoder",
    "VAE": "Vae",
    "CONTROL_NET": "ControlNet",
    "CLIP_VISION": "ImageEncoder",
    "SIGMAS": "Schedule",
    "SAMPLER": "Sampler",
    "NOISE": "Noise",
    "GUIDER": "Guider",
}
"""Port types by ComfyUI's type. Other types have a port type of their own name."""
MODEL_TYPES = frozenset({"MODEL", "CLIP", "VAE", "CONTROL_NET", "CLIP_VISION", "GUIDER"})
"""Types whose values compute on the accelerator."""
WILDCARD = "*"
COMBO = "COMBO"
AUTOGROW = "COMFY_AUTOGROW_V3"
DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
DYNAMIC_SLOT = "COMFY_DYNAMICSLOT_V3"
MATCH_TYPE = "COMFY_MATCHTYPE_V3"

_TYPE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
_NO_NAME = re.compile(r"[^A-Za-z0-9_]+")
_PROBE = "\0no type"
"""A text that only a type that matches everything does not differ from."""
_UPLOADS: Mapping[str, str] = {
    "image_upload": "image",
    "animated_image_upload": "image",
    "video_upload": "video",
    "audio_upload": "audio",
}
"""Kinds of files by the option that offers to upload one."""
_SEEDS = frozenset({"seed", "noise_seed"})
_LARGEST = 2**64 - 1


def is_choice(declared: Any) -> bool:
    """Whether a declared type is a list of choices, in the old or the new form."""
    return isinstance(declared, (list, tuple)) or declared == COMBO


def is_wildcard(declared: Any) -> bool:
    """Whether a declared type matches every type.

    Packs use ``*``, or a text class whose ``!=`` is always False.
    """
    if not isinstance(declared, str):
        return False
    differs = declared != _PROBE  # not `==`, which these classes leave as it is
    return str.__eq__(declared, WILDCARD) is True or not differs


def type_text(declared: Any) -> str:
    """Return a declared type as it is listed in ``/object_info``."""
    if is_choice(declared):
        return COMBO
    return str.__str__(declared) if isinstance(declared, str) else str(declared)


def members(declared: Any) -> list[str]:
    """Return the types of a union such as ``INT,FLOAT``."""
    return [part.strip() for part in type_text(declared).split(",") if part.strip()]


def port_type(declared: Any) -> str:
    """Return the port type expression of a declared type.

    Args:
        declared: A text, a list of choices, or an enum's member.
    """
    if isinstance(declared, (list, tuple)):
        return _type_of_choices(declared)
    if is_wildcard(declared):
        return ANY_ITEM
    names = [_port_type(name) for name in members(declared)]
    if ANY_ITEM in names or not names:
        return ANY_ITEM
    return str(parse_type(" | ".join(names)))


def _port_type(name: str) -> str:
    if name == COMBO:
        return "str"
    if name in (WILDCARD, MATCH_TYPE):
        return ANY_ITEM
    known = PORT_TYPES.get(name)
    if known is not None:
        return known
    plain = name if _TYPE_NAME.fullmatch(name) else _NO_NAME.sub("_", name).strip("_") or "Other"
    # Port types of other packs and nodegraph's own must not be taken for those of ComfyUI's packs.
    return plain if plain.upper() == plain else f"comfyui.{plain}"


def custom_types(expression: str) -> Iterator[str]:
    """Iterate over the names of port types that only ComfyUI's packs have."""
    known = {*PORT_TYPES.values(), ANY_ITEM, "Any"}
    yield from (name for name in parse_type(expression).type_names() if name not in known)


def foreign_type(expression: str) -> str:
    """Return ComfyUI's type for a port type expression, for hooks that ask what is linked."""
    names = {native: name for name, native in PORT_TYPES.items()} | {"Any": WILDCARD}
    expr = parse_type(expression)
    while expr.is_list:
        expr = expr.item
    return ",".join(names.get(name, name.removeprefix("comfyui.")) for name in expr.type_names())


def _type_of_choices(choices: Sequence[Any]) -> str:
    kinds = {type(choice) for choice in choices}
    if kinds and kinds <= {int}:
        return "int"
    if kinds and kinds <= {int, float}:
        return "float"
    if kinds and kinds <= {bool}:
        return "bool"
    return "str" if kinds <= {str} else ANY_ITEM


class PortNames:
    """Names of ports for names of inputs or outputs that need not be identifiers."""

    def __init__(self, taken: Sequence[str] = ()) -> None:
        self._taken = {*taken}

    def reserve(self, name: str, otherwise: str = "input") -> str:
        """Return the name itself, or one like it that can be a parameter."""
        plain = _NO_NAME.sub("_", name).strip("_") or otherwise
        plain = name if name.isidentifier() and name.isascii() else plain
        if not plain.isidentifier() or iskeyword(plain):
            plain = f"{otherwise}_{plain}"
        port, count = plain, 2
        while port in self._taken:
            port, count = f"{plain}_{count}", count + 1
        self._taken.add(port)
        return port


def choices_of(declared: Any, options: Mapping[str, Any]) -> list[Any]:
    """Return the choices of a combo, in either form."""
    if isinstance(declared, (list, tuple)):
        return [plain_number(choice) for choice in declared]
    return [plain_number(choice) for choice in options.get("options") or ()]


def input_spec(
    port: str,
    declared: Any,
    options: Mapping[str, Any],
    *,
    required: bool,
    is_list: bool = False,
    is_unchecked: bool = False,
    takes_any: bool = False,
) -> InputSpec:
    """Return the spec of an input.

    Args:
        port: Name of the port.
        declared, options: As in ``INPUT_TYPES``.
        required: Whether it is one of the required inputs.
        is_list: Whether the node takes whole lists.
        is_unchecked: Whether the class checks the value itself, instead of range and choices.
        takes_any: Whether the class checks the types of links itself.
    """
    schema = None if options.get("rawLink") else _schema(declared, options, is_unchecked)
    expression = _expression(declared, options)
    if takes_any:
        expression = ANY_ITEM
    if is_list:
        expression = f"list[{'Any' if expression == ANY_ITEM else expression}]"
        schema = schema and {"anyOf": [schema, {"type": "array", "items": schema}]}
        schema = {} if schema == {"anyOf": [{}, {"type": "array", "items": {}}]} else schema
    default = _default(declared, options)
    has_default = default is not None and required
    return InputSpec(
        name=port,
        type=expression,
        required=required and not has_default,
        nullable=not required,
        lazy=bool(options.get("lazy")),
        raw_link=bool(options.get("rawLink")),
        default=default if has_default else None,
        json_schema=schema,
        widget=_widget(port, declared, options),
        step=_step(declared, options),
        advanced=bool(options.get("advanced")),
        # ComfyUI expands choices in prompts, which is a multi-line text's default.
        prompt=bool(options.get("dynamicPrompts", options.get("multiline"))),
        help=_sentence(options.get("tooltip")),
    )


def _expression(declared: Any, options: Mapping[str, Any]) -> str:
    if not is_choice(declared):
        return port_type(declared)
    item = _type_of_choices(choices_of(declared, options))
    return f"list[{item}]" if options.get("multiselect") else item


def _schema(declared: Any, options: Mapping[str, Any], is_unchecked: bool) -> dict[str, Any] | None:
    """JSON Schema of the input's literals; None if it can only be linked."""
    if is_choice(declared):
        return _choice_schema(declared, options, is_unchecked)
    if is_wildcard(declared):
        return {}
    schemas = [_plain_schema(name, options, is_unchecked) for name in members(declared)]
    literal = [schema for schema in schemas if schema is not None]
    if not literal or {} in literal:
        return {} if {} in literal else None
    return literal[0] if len(literal) == 1 else {"anyOf": literal}


def _choice_schema(declared: Any, options: Mapping[str, Any], is_unchecked: bool) -> dict[str, Any]:
    choices = choices_of(declared, options)
    is_plain = all(isinstance(choice, (str, int, float, bool)) for choice in choices)
    is_open = is_unchecked or not choices or _upload(options) or options.get("remote")
    kind = _type_of_choices(choices)
    plain: dict[str, Any] = {} if kind == ANY_ITEM else {"type": _JSON[kind]}
    schema = plain if is_open or not is_plain else {"enum": choices}
    return {"type": "array", "items": schema} if options.get("multiselect") else schema


_JSON: Mapping[str, str] = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def _plain_schema(
    name: str, options: Mapping[str, Any], is_unchecked: bool
) -> dict[str, Any] | None:
    if name in ("INT", "FLOAT"):
        schema: dict[str, Any] = {"type": "integer" if name == "INT" else "number"}
        for option, key in (("min", "minimum"), ("max", "maximum")):
            limit = plain_number(options.get(option))
            if not is_unchecked and _is_finite(limit):
                schema[key] = limit
        return schema
    if name in ("STRING", "BOOLEAN"):
        return {"type": "string" if name == "STRING" else "boolean"}
    # Packs' own widgets have values of any form.
    return None if name in PORT_TYPES else {}


def _default(declared: Any, options: Mapping[str, Any]) -> Any:
    default = plain_number(options.get("default"))
    if is_choice(declared):
        choices = choices_of(declared, options)
        if options.get("multiselect"):
            return default if isinstance(default, list) else None
        if _upload(options):
            return None
        return default if default in choices else choices[0] if choices else default
    if is_wildcard(declared):
        return default if isinstance(default, (str, int, float, bool)) else None
    kinds = members(declared)
    if "BOOLEAN" in kinds and isinstance(default, (bool, int)):
        return bool(default)
    if "FLOAT" in kinds and _is_number(default):
        return float(default)
    if "INT" in kinds and _is_number(default):
        return int(default)
    if "STRING" in kinds and isinstance(default, str):
        return default
    return None if {*kinds} & {*PORT_TYPES} else plain_json(default)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value) and abs(value) <= _LARGEST


def _upload(options: Mapping[str, Any]) -> str:
    """Kind of the files that an input offers to upload; empty if it offers none."""
    return next((kind for option, kind in _UPLOADS.items() if options.get(option)), "")


def _widget(port: str, declared: Any, options: Mapping[str, Any]) -> str:
    if is_choice(declared):
        kind = _upload(options)
        return f"file:{kind}" if kind else ""
    kinds = members(declared) if isinstance(declared, str) else []
    if kinds == ["STRING"] and options.get("multiline"):
        return "multiline"
    is_seed = port in _SEEDS or bool(options.get("control_after_generate"))
    return "seed" if kinds == ["INT"] and is_seed else ""


def _step(declared: Any, options: Mapping[str, Any]) -> float | None:
    step = plain_number(options.get("step"))
    is_numeric = isinstance(declared, str) and not {*members(declared)}.isdisjoint({"INT", "FLOAT"})
    return step if is_numeric and _is_finite(step) and step > 0 else None


def _sentence(text: Any) -> str:
    return " ".join(text.split()) if isinstance(text, str) else ""


def plain_json(value: Any) -> Any:
    """Return a value as JSON: numbers beyond JSON become None, other objects their text."""
    value = plain_number(value)
    if isinstance(value, str):
        return str.__str__(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_json(item) for item in value]
    return str(value)
