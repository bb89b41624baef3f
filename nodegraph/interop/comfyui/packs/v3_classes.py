"""Schema classes of ComfyUI's packs (V3): ``comfy_api.latest.io``, in our words.

A V3 class describes itself by a schema. It has the attributes of a V1 class, too, which are read
from the schema, so everything else here reads one form.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any

from nodegraph.errors import PackError
from nodegraph.interop.comfyui.packs import v3_ui
from nodegraph.interop.comfyui.packs.graph_utils import ExecutionBlocker
from nodegraph.interop.comfyui.packs.v3_types import (
    MatchTemplate,
    SchemaOutput,
    input_groups,
    type_names,
)


class Hidden(str, Enum):
    """Kinds of hidden inputs."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"
    dynprompt = "DYNPROMPT"
    auth_token_comfy_org = "AUTH_TOKEN_COMFY_ORG"  # noqa: S105 - a kind, no secret
    api_key_comfy_org = "API_KEY_COMFY_ORG"
    comfy_usage_source = "COMFY_USAGE_SOURCE"


class HiddenValues:
    """Values of the hidden inputs of a call: ``cls.hidden``. All others are None."""

    def __init__(self, kinds: Mapping[str, Any]) -> None:
        self._kinds = kinds

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        kind = Hidden.__members__.get(name)
        return None if kind is None else self._kinds.get(kind.value)


@dataclass
class NodeSchema:
    """Description of a node: ``io.Schema``."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    hidden: list[Any] = field(default_factory=list)
    description: str = ""
    search_aliases: list[str] = field(default_factory=list)
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_dev_only: bool = False
    is_api_node: bool = False
    price_badge: Any = None
    not_idempotent: bool = False
    enable_expand: bool = False
    accept_all_inputs: bool = False
    essentials_category: str | None = None
    has_intermediate_output: bool = False

    def __post_init__(self) -> None:
        self.inputs, self.outputs = list(self.inputs or ()), list(self.outputs or ())
        kinds = list(self.hidden or ())
        if self.is_output_node:
            kinds += [Hidden.prompt, Hidden.extra_pnginfo]
        if self.is_api_node:
            keys = (Hidden.auth_token_comfy_org, Hidden.api_key_comfy_org)
            kinds += [*keys, Hidden.unique_id]
        self.hidden = list(dict.fromkeys(kinds))
        for at, output in enumerate(self.outputs):
            if output.id is None:
                output.id = f"_{at}_{output.get_io_type()}_"

    def validate(self) -> None:
        """Check that ids are unique.

        Raises:
            PackError: Two inputs, or two outputs, have one id.
        """
        for what, ports in (("inputs", self.inputs), ("outputs", self.outputs)):
            ids = [port.id for port in ports]
            double = next((name for name in ids if ids.count(name) > 1), None)
            if double is not None:
                raise PackError(f"schema `{self.node_id}`: two {what} have the id `{double}`")

    def input_types(self) -> dict[str, dict[str, Any]]:
        """Return what ``INPUT_TYPES`` of V1 returns."""
        hidden = {kind.name: (kind.value,) for kind in map(Hidden, self.hidden)}
        return {**input_groups(self.inputs), **({"hidden": hidden} if hidden else {})}


class SchemaResult:
    """What a V3 class returns: ``io.NodeOutput``.

    Args:
        args: A value for each output.
        ui: What to show: a dictionary, or one of the classes of ``ui``.
        expand: A graph.
        block_execution: Why all outputs are blocked.
    """

    def __init__(
        self,
        *args: Any,
        ui: Any = None,
        expand: Mapping[str, Any] | None = None,
        block_execution: str | None = None,
    ) -> None:
        self.args, self.ui, self.expand = args, ui, expand
        self.block_execution = block_execution

    @property
    def result(self) -> tuple[Any, ...] | None:
        """The values; None if there are none."""
        return self.args if self.args else None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SchemaResult:
        """Return the same of a V1 result."""
        result = data.get("result") or ()
        return cls(*result, ui=data.get("ui"), expand=data.get("expand"))

    def as_v1(self) -> Any:
        """Return the result as V1 classes return it."""
        ui = self.ui.as_dict() if hasattr(self.ui, "as_dict") else self.ui
        values: Any = self.result
        if self.block_execution is not None:
            values = ExecutionBlocker(self.block_execution)
        whole = {"result": values, "ui": ui, "expand": self.expand}
        return {key: value for key, value in whole.items() if value is not None}

    def __getitem__(self, index: int) -> Any:
        return self.args[index]


class _ClassProperty:
    """A property of a class that is read from its schema."""

    def __init__(self, read: Any) -> None:
        self._read = read

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self._read(owner)


def _of_schema(name: str) -> Any:
    return _ClassProperty(lambda cls: getattr(cls.GET_SCHEMA(), name))


def _match_types(cls: Any) -> list[str | None]:
    templates = [getattr(each, "template", None) for each in cls.GET_SCHEMA().outputs]
    ids = [getattr(template, "template_id", None) for template in templates]
    return ids if any(ids) else []


class ComfyNode:
    """Base of V3 classes: ``io.ComfyNode``."""

    hidden: Any = HiddenValues({})

    @classmethod
    def define_schema(cls) -> NodeSchema:
        """Return the schema."""
        raise PackError(f"class {cls.__name__} has no `define_schema`")

    @classmethod
    def execute(cls, **kwargs: Any) -> Any:
        """Run the node."""
        raise PackError(f"class {cls.__name__} has no `execute`")

    @classmethod
    def GET_SCHEMA(cls) -> NodeSchema:
        """Return the schema, checked; choices may have changed since the last call."""
        schema = cls.define_schema()
        schema.validate()
        return schema

    @classmethod
    def FINALIZE_SCHEMA(cls) -> NodeSchema:
        """Return the schema, checked."""
        return cls.GET_SCHEMA()

    @classmethod
    def VALIDATE_CLASS(cls) -> None:
        """Check that the class has what it needs."""
        for name in ("define_schema", "execute"):
            if getattr(cls, name).__func__ is getattr(ComfyNode, name).__func__:
                raise PackError(f"class {cls.__name__} has no `{name}`")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
        """Return the inputs in V1's form."""
        return cls.GET_SCHEMA().input_types()

    @classmethod
    def GET_NODE_INFO_V1(cls) -> dict[str, Any]:
        """Return the entry in ``/object_info``."""
        from nodegraph.interop.comfyui.packs.v1_classes import NodeClass

        schema = cls.GET_SCHEMA()
        module = str(getattr(cls, "RELATIVE_PYTHON_MODULE", "custom_nodes"))
        return NodeClass(schema.node_id, cls, schema.display_name or "", module).info()

    @classmethod
    def PREPARE_CLASS_CLONE(cls, hidden: Mapping[str, Any]) -> type[ComfyNode]:
        """Return a copy of the class for one call: what it sets on itself is not kept."""
        own = {Hidden(kind).value for kind in cls.GET_SCHEMA().hidden}
        values = HiddenValues({kind: value for kind, value in hidden.items() if kind in own})
        return type(cls.__name__, (cls,), {"hidden": values, "__module__": cls.__module__})

    @classmethod
    def EXECUTE_NORMALIZED(cls, *args: Any, **kwargs: Any) -> SchemaResult:
        """Call `execute` and return its result in one form."""
        return _normalized(cls, cls.execute(*args, **kwargs))

    @classmethod
    async def EXECUTE_NORMALIZED_ASYNC(cls, *args: Any, **kwargs: Any) -> SchemaResult:
        """Do the same for a coroutine."""
        return _normalized(cls, await cls.execute(*args, **kwargs))

    @_ClassProperty
    def FUNCTION(cls) -> str:  # noqa: N805 - it is of the class
        """Name of the method that a call runs."""
        is_async = inspect.iscoroutinefunction(cls.execute)
        return "EXECUTE_NORMALIZED_ASYNC" if is_async else "EXECUTE_NORMALIZED"

    RETURN_TYPES = _ClassProperty(
        lambda cls: tuple(_listed(each) for each in cls.GET_SCHEMA().outputs)
    )
    RETURN_NAMES = _ClassProperty(
        lambda cls: tuple(
            each.display_name or _text(each.get_io_type()) for each in cls.GET_SCHEMA().outputs
        )
    )
    OUTPUT_IS_LIST = _ClassProperty(
        lambda cls: tuple(each.is_output_list for each in cls.GET_SCHEMA().outputs)
    )
    OUTPUT_TOOLTIPS = _ClassProperty(
        lambda cls: tuple(each.tooltip or "" for each in cls.GET_SCHEMA().outputs)
    )
    OUTPUT_MATCHTYPES = _ClassProperty(_match_types)
    CATEGORY = _of_schema("category")
    DESCRIPTION = _of_schema("description")
    INPUT_IS_LIST = _of_schema("is_input_list")
    OUTPUT_NODE = _of_schema("is_output_node")
    DEPRECATED = _of_schema("is_deprecated")
    EXPERIMENTAL = _of_schema("is_experimental")
    DEV_ONLY = _of_schema("is_dev_only")
    API_NODE = _of_schema("is_api_node")
    NOT_IDEMPOTENT = _of_schema("not_idempotent")
    SEARCH_ALIASES = _of_schema("search_aliases")
    ESSENTIALS_CATEGORY = _of_schema("essentials_category")
    HAS_INTERMEDIATE_OUTPUT = _of_schema("has_intermediate_output")
    ACCEPT_ALL_INPUTS = _of_schema("accept_all_inputs")

    def __init_subclass__(cls) -> None:
        """Give a class that has the hooks of V3 those of V1."""
        for own, name in (
            ("validate_inputs", "VALIDATE_INPUTS"),
            ("fingerprint_inputs", "IS_CHANGED"),
        ):
            if own in cls.__dict__:
                setattr(cls, name, cls.__dict__[own])


def _listed(output: SchemaOutput) -> Any:
    """The type of an output; of one that matches an input, the types that are allowed."""
    template = getattr(output, "template", None)
    if isinstance(template, MatchTemplate):
        return ",".join(template.types)
    return output.get_io_type()


def _text(io_type: Any) -> str:
    return io_type if isinstance(io_type, str) else "COMBO"


def _normalized(cls: type[ComfyNode], result: Any) -> SchemaResult:
    if isinstance(result, SchemaResult):
        normal = result
    elif result is None:
        normal = SchemaResult()
    elif isinstance(result, ExecutionBlocker):
        normal = SchemaResult()
        normal.as_v1 = lambda: result  # type: ignore[method-assign]
    elif isinstance(result, Mapping):
        normal = SchemaResult.from_dict(result)
    elif isinstance(result, tuple):
        normal = SchemaResult(*result)
    else:
        raise PackError(
            f"class {cls.__name__}: `execute` must return io.NodeOutput",
            given=type(result).__name__,
        )
    if normal.expand is not None and not cls.GET_SCHEMA().enable_expand:
        raise PackError(
            f"class {cls.__name__} returns a graph, but its schema has no enable_expand"
        )
    return normal


class ComfyExtension:
    """What ``comfy_entrypoint`` of a pack returns."""

    async def on_load(self) -> None:
        """Prepare the pack; called once."""

    async def get_node_list(self) -> list[type[ComfyNode]]:
        """Return the classes of the pack."""
        return []


def modules() -> dict[str, dict[str, Any]]:
    """Return the names that packs import, by module."""
    io_names, ui_names = type_names(), v3_ui.names()
    io_names |= {
        "ComfyNode": ComfyNode,
        "Schema": NodeSchema,
        "NodeOutput": SchemaResult,
        "Hidden": Hidden,
        "HiddenHolder": HiddenValues,
    }
    io, ui = SimpleNamespace(**io_names), SimpleNamespace(**ui_names)
    api = {"io": io, "ui": ui, "IO": io, "UI": ui, "ComfyExtension": ComfyExtension}
    latest = {**api, **v3_ui.api_names()}
    return {
        "comfy_api.latest": latest,
        "comfy_api.latest._io": io_names,
        "comfy_api.latest._ui": ui_names,
        "comfy_api.v0_0_1": dict(latest),
        "comfy_api.v0_0_2": dict(latest),
    }
