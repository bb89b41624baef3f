"""Read node classes of ComfyUI's packs: their attributes become a `NodeSpec`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nodegraph.core.spec import (
    HookName,
    HookRef,
    InputSpec,
    LaneName,
    NodeSpec,
    OutputSpec,
    RunFact,
)
from nodegraph.core.types import ANY, ANY_ITEM
from nodegraph.errors import PackError
from nodegraph.interop.comfyui.packs import type_map
from nodegraph.interop.comfyui.packs.type_map import (
    AUTOGROW,
    DYNAMIC_COMBO,
    DYNAMIC_SLOT,
    PortNames,
    plain_json,
)

_FACTS: Mapping[str, RunFact] = {
    "UNIQUE_ID": "node",
    "PROMPT": "workflow",
    "EXTRA_PNGINFO": "metadata",
    "DYNPROMPT": "graph",
}
"""What of the run a kind of hidden input reads."""
_KINDS = frozenset({*_FACTS, "AUTH_TOKEN_COMFY_ORG", "API_KEY_COMFY_ORG", "COMFY_USAGE_SOURCE"})
"""Kinds of hidden inputs. What is not read from the run is None here."""
HIDDEN: Mapping[RunFact, str] = {
    "node": "hidden_node",
    "workflow": "hidden_workflow",
    "metadata": "hidden_metadata",
    "graph": "hidden_graph",
}
"""Parameters that receive facts of the run."""
NATIVE_NAMES = "native_names"
"""Key of `NodeSpec.foreign`: names of inputs by port. All other keys are those of
``/object_info``."""
_MOST_GROWN = 100
"""Inputs that ComfyUI lets a growing input have."""
_SHOWN_GROWN = 8
"""Inputs of these that an editor shows first."""
_GROUPS = ("required", "optional")


@dataclass(frozen=True)
class DeclaredInput:
    """An input of a class, dynamic ones taken apart.

    Attributes:
        name: Its name in prompts; of a dynamic input's part, ``images.image0``.
        type: As declared: a text, perhaps with its own comparison, or a list of choices.
        options: As declared.
        is_required: Whether a prompt must have it.
        is_dynamic: Whether it is part of a dynamic input.
    """

    name: str
    type: Any
    options: Mapping[str, Any]
    is_required: bool
    is_dynamic: bool = False

    @property
    def is_raw(self) -> bool:
        """Whether it receives the link instead of the value."""
        return bool(self.options.get("rawLink"))


def declared_inputs(cls: type) -> Iterator[DeclaredInput]:
    """Iterate over the inputs that a class declares now, required ones first.

    Raises:
        PackError: ``INPUT_TYPES`` does not return what it should.
    """
    listed = input_types(cls)
    for group, name, declared, options in listed_entries(listed):
        is_required = group == "required"
        yield from declared_parts(name, declared, options, is_required=is_required)
    # Hidden inputs of no special kind are inputs that only graphs of other nodes set.
    own = dict(listed.get("hidden") or {})
    for _, name, declared, options in listed_entries({"optional": own}):
        if name not in hidden_kinds(listed):
            yield DeclaredInput(name, declared, {**options, "advanced": True}, is_required=False)


def input_types(cls: Any) -> Mapping[str, Any]:
    """Return what ``INPUT_TYPES`` of a class returns."""
    listed = cls.INPUT_TYPES()
    if not isinstance(listed, Mapping):
        raise PackError(
            f"class {cls.__name__}: INPUT_TYPES returns no dictionary", given=type(listed).__name__
        )
    return listed


def listed_entries(listed: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, Mapping[str, Any]]]:
    """Iterate over the group, name, type and options of each entry of ``INPUT_TYPES``."""
    for group in _GROUPS:
        for name, entry in dict(listed.get(group) or {}).items():
            # A type without the tuple around it is a common slip that ComfyUI's page forgives.
            written = entry if isinstance(entry, (tuple, list)) and entry else (entry,)
            options = written[1] if len(written) > 1 and isinstance(written[1], Mapping) else {}
            yield group, str(name), written[0], options


def declared_parts(
    name: str,
    declared: Any,
    options: Mapping[str, Any],
    *,
    is_required: bool,
    is_dynamic: bool = False,
) -> Iterator[DeclaredInput]:
    """Iterate over the inputs that an entry stands for: several if it is a dynamic one."""
    if declared == AUTOGROW:
        yield from _grown(name, options.get("template") or {}, is_required)
    elif declared == DYNAMIC_COMBO:
        choices = [option.get("key") for option in options.get("options") or ()]
        own = {key: value for key, value in options.items() if key != "options"}
        yield DeclaredInput(name, choices, own, is_required, is_dynamic)
        yield from _branches(name, options.get("options") or ())
    elif declared == DYNAMIC_SLOT:
        slot_type = options.get("slotType", type_map.WILDCARD)
        yield DeclaredInput(name, slot_type, {}, is_required, is_dynamic=True)
        yield from _nested(name, options.get("inputs") or {}, is_required=False)
    else:
        yield DeclaredInput(name, declared, options, is_required, is_dynamic)


def grown_names(template: Mapping[str, Any]) -> list[str]:
    """Return the names that the parts of a growing input may have."""
    names = template.get("names")
    if names:
        return [str(name) for name in names][:_MOST_GROWN]
    count = min(int(template.get("max") or _MOST_GROWN), _MOST_GROWN)
    return [f"{template.get('prefix', '')}{at}" for at in range(count)]


def _grown(name: str, template: Mapping[str, Any], is_required: bool) -> Iterator[DeclaredInput]:
    entry = next(iter(listed_entries(template.get("input") or {})), None)
    if entry is None:
        return
    _, _, declared, options = entry
    least = int(template.get("min") or 0) if is_required else 0
    for at, part in enumerate(grown_names(template)):
        shown = options if at < max(least, _SHOWN_GROWN) else {**options, "advanced": True}
        yield from declared_parts(
            f"{name}.{part}", declared, shown, is_required=at < least, is_dynamic=True
        )


def _branches(name: str, branches: Sequence[Mapping[str, Any]]) -> Iterator[DeclaredInput]:
    """Inputs that a choice brings; one that several choices bring has the types of all."""
    by_name: dict[str, DeclaredInput] = {}
    for branch in branches:
        for each in _nested(name, branch.get("inputs") or {}, is_required=False):
            known = by_name.get(each.name)
            is_same = known is None or known.type == each.type
            both = DeclaredInput(each.name, type_map.WILDCARD, {}, False, is_dynamic=True)
            by_name[each.name] = each if is_same else both
    yield from by_name.values()


def _nested(name: str, inputs: Mapping[str, Any], *, is_required: bool) -> Iterator[DeclaredInput]:
    for _, own, declared, options in listed_entries(inputs):
        yield from declared_parts(
            f"{name}.{own}", declared, options, is_required=is_required, is_dynamic=True
        )


def parameters_of(function: Any) -> tuple[frozenset[str], bool]:
    """Return the names that a function takes, and whether it takes any others."""
    if function is None:
        return frozenset(), False
    parameters = list(inspect.signature(function).parameters.values())
    names = frozenset(
        each.name
        for each in parameters
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    )
    return names, any(each.kind is each.VAR_KEYWORD for each in parameters)


@dataclass(frozen=True)
class NodeClass:
    """A node class of a pack.

    Attributes:
        name: Its id in prompts.
        cls: The class; of V3, with the attributes of V1.
        label: Name in menus.
        module: ``custom_nodes.pack``.
        pack: Prefix of its node type.
    """

    name: str
    cls: Any
    label: str = ""
    module: str = ""
    pack: str = ""
    problems: list[str] = field(default_factory=list)

    @cached_property
    def inputs(self) -> tuple[DeclaredInput, ...]:
        """Inputs, required ones first; of two with one name, the first."""
        by_name: dict[str, DeclaredInput] = {}
        for each in declared_inputs(self.cls):
            by_name.setdefault(each.name, each)
        return tuple(by_name.values())

    @cached_property
    def ports(self) -> dict[str, DeclaredInput]:
        """Inputs by port."""
        from nodegraph.isolation.runner import CONTEXT_PARAMETER  # of no use to an import

        names = PortNames((CONTEXT_PARAMETER, *HIDDEN.values()))
        return {names.reserve(each.name): each for each in self.inputs}

    @cached_property
    def hidden(self) -> dict[str, str]:
        """Kinds of the hidden inputs, by name."""
        return hidden_kinds(input_types(self.cls))

    @cached_property
    def output_types(self) -> tuple[Any, ...]:
        """Types of the outputs, as declared."""
        declared = getattr(self.cls, "RETURN_TYPES", ()) or ()
        return (declared,) if isinstance(declared, str) else tuple(declared)

    @cached_property
    def output_lists(self) -> tuple[bool, ...]:
        """Whether each output is a list."""
        flags = tuple(getattr(self.cls, "OUTPUT_IS_LIST", ()) or ())
        return tuple(bool(at < len(flags) and flags[at]) for at in range(len(self.output_types)))

    @property
    def is_list(self) -> bool:
        """Whether it takes whole lists."""
        return bool(getattr(self.cls, "INPUT_IS_LIST", False))

    @property
    def is_output(self) -> bool:
        return bool(getattr(self.cls, "OUTPUT_NODE", False))

    @property
    def function(self) -> Any:
        """The function that a call runs, of the class."""
        return getattr(self.cls, str(getattr(self.cls, "FUNCTION", "")), None)

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(inspect.unwrap(self.function))

    @property
    def takes_more(self) -> bool:
        """Whether it takes inputs that it does not declare."""
        execute = getattr(self.cls, "execute", None) if hasattr(self.cls, "GET_SCHEMA") else None
        has_schema = execute is not None
        if has_schema:
            return bool(getattr(self.cls.GET_SCHEMA(), "accept_all_inputs", False))
        optional = input_types(self.cls).get("optional")
        # A class of dictionary that says that it has every key.
        is_open = isinstance(optional, Mapping) and "\0no name" in optional
        return is_open or parameters_of(self.function)[1]

    @cached_property
    def validated(self) -> tuple[frozenset[str], bool]:
        """Names that ``VALIDATE_INPUTS`` takes, and whether it takes all."""
        return parameters_of(getattr(self.cls, "VALIDATE_INPUTS", None))

    def spec(self) -> NodeSpec:
        """Return the declaration as a node type's.

        Raises:
            PackError: The class declares something that is not possible.
        """
        if not callable(self.function):
            raise PackError(
                f"class {self.name}: there is no method `{getattr(self.cls, 'FUNCTION', None)}`",
                hint="FUNCTION must name a method of the class.",
            )
        facts: list[RunFact] = [
            _FACTS[kind] for kind in dict.fromkeys(self.hidden.values()) if kind in _FACTS
        ]
        if any(each.is_raw for each in self.inputs):
            facts.append("graph")
        if getattr(self.cls, "NOT_IDEMPOTENT", False):
            facts.append("node")
        lazy = any(each.options.get("lazy") for each in self.inputs)
        description = _text(getattr(self.cls, "DESCRIPTION", ""))
        summary, _, more = description.partition("\n")
        return NodeSpec(
            type=f"{self.pack}:{self.name}" if self.pack else self.name,
            pack=self.pack,
            label=self.label or self.name,
            category=_text(getattr(self.cls, "CATEGORY", "")) or "sd",
            summary=summary.strip(),
            help=more.strip(),
            inputs=self._inputs(),
            outputs=self._outputs(),
            lane=self._lane(),
            is_async=self.is_async or lazy,
            deterministic=True,
            output=self.is_output,
            # As in ComfyUI: an equal call is not repeated, unless `IS_CHANGED` says so.
            output_files=self.is_output and not self._outputs(),
            skips_blocked=not self.is_list,
            takes_more=self.takes_more,
            deprecated="This node is deprecated." if self._flag("DEPRECATED") else "",
            experimental=self._flag("EXPERIMENTAL"),
            tags=self._aliases(),
            hidden={HIDDEN[fact]: fact for fact in dict.fromkeys(facts)},
            hooks=self._hooks(),
            foreign={**self.info(), NATIVE_NAMES: self._names()},
            module=self.cls.__module__,
            qualname=self.cls.__qualname__,
        )

    def _flag(self, name: str) -> bool:
        return bool(getattr(self.cls, name, False))

    def _aliases(self) -> tuple[str, ...]:
        aliases = getattr(self.cls, "SEARCH_ALIASES", None) or ()
        return tuple(str(alias) for alias in aliases) if isinstance(aliases, (list, tuple)) else ()

    def _names(self) -> dict[str, str]:
        return {port: each.name for port, each in self.ports.items() if port != each.name}

    def _lane(self) -> LaneName:
        used = {
            name
            for each in self.inputs
            if isinstance(each.type, str)
            for name in type_map.members(each.type)
        }
        return "cpu" if self.is_async or used.isdisjoint(type_map.MODEL_TYPES) else "gpu"

    def _hooks(self) -> dict[HookName, HookRef]:
        hooks: dict[HookName, HookRef] = {}
        module = self.cls.__module__
        if callable(getattr(self.cls, "IS_CHANGED", None)):
            hooks["fingerprint"] = HookRef(module=module, name=f"{self.name}.IS_CHANGED")
        names, takes_all = self.validated
        if names or takes_all:
            hooks["validate"] = HookRef(module=module, name=f"{self.name}.VALIDATE_INPUTS")
        return hooks

    def _inputs(self) -> tuple[InputSpec, ...]:
        names, takes_all = self.validated
        return tuple(
            type_map.input_spec(
                port,
                each.type,
                each.options,
                required=each.is_required,
                is_list=self.is_list and not each.is_raw,
                is_unchecked=takes_all or each.name in names,
                takes_any="input_types" in names,
            )
            for port, each in self.ports.items()
        )

    def _outputs(self) -> tuple[OutputSpec, ...]:
        names, taken = self.output_names, PortNames()
        tooltips = getattr(self.cls, "OUTPUT_TOOLTIPS", ()) or ()
        outputs = []
        for at, (name, declared) in enumerate(zip(names, self.output_types, strict=True)):
            expression = type_map.port_type(declared)
            expression = ANY if expression == ANY_ITEM else expression
            is_list = self.output_lists[at]
            outputs.append(
                OutputSpec(
                    name=taken.reserve(name.lower() or "output", "output"),
                    type=f"list[{expression}]" if is_list else expression,
                    nullable=True,
                    is_joined=is_list,
                    help=_text(tooltips[at]) if at < len(tooltips) else "",
                )
            )
        return tuple(outputs)

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs in menus."""
        labels = getattr(self.cls, "RETURN_NAMES", None) or ()
        labels = (labels,) if isinstance(labels, str) else tuple(labels)
        return tuple(
            str(labels[at]) if at < len(labels) and labels[at] else type_map.type_text(declared)
            for at, declared in enumerate(self.output_types)
        )

    def info(self) -> dict[str, Any]:
        """Return the entry of the class in ComfyUI's ``/object_info``."""
        listed = input_types(self.cls)
        groups = {
            group: {str(name): plain_json(entry) for name, entry in dict(entries or {}).items()}
            for group, entries in listed.items()
            if group in (*_GROUPS, "hidden")
        }
        info: dict[str, Any] = {
            "input": groups,
            "input_order": {group: list(entries) for group, entries in groups.items()},
            "is_input_list": self.is_list,
            "output": [_listed_type(declared) for declared in self.output_types],
            "output_is_list": list(self.output_lists),
            "output_name": list(self.output_names),
            "output_tooltips": [
                _text(text) for text in getattr(self.cls, "OUTPUT_TOOLTIPS", ()) or ()
            ],
            "name": self.name,
            "display_name": self.label or self.name,
            "description": _text(getattr(self.cls, "DESCRIPTION", "")),
            "python_module": self.module,
            "category": _text(getattr(self.cls, "CATEGORY", "")) or "sd",
            "output_node": self.is_output,
            "has_intermediate_output": self._flag("HAS_INTERMEDIATE_OUTPUT"),
            "deprecated": self._flag("DEPRECATED"),
            "experimental": self._flag("EXPERIMENTAL"),
            "dev_only": self._flag("DEV_ONLY"),
            "api_node": self._flag("API_NODE"),
            "search_aliases": list(self._aliases()),
        }
        matched = getattr(self.cls, "OUTPUT_MATCHTYPES", None)
        if matched:
            info["output_matchtypes"] = plain_json(matched)
        return info


def _listed_type(declared: Any) -> Any:
    if isinstance(declared, (list, tuple)):
        return plain_json(declared)
    return str.__str__(declared) if isinstance(declared, str) else str(declared)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def hidden_kinds(listed: Mapping[str, Any]) -> dict[str, str]:
    """Return the kinds of the hidden inputs of ``INPUT_TYPES``, by name."""
    kinds: dict[str, str] = {}
    for name, kind in dict(listed.get("hidden") or {}).items():
        first = kind[0] if isinstance(kind, (tuple, list)) and kind else kind
        text = str.__str__(first) if isinstance(first, str) else str(first)
        if text in _KINDS:
            kinds[str(name)] = text
    return kinds


def collect(cls: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as a function takes them: parts of dynamic inputs in one dictionary each.

    Args:
        values: By the names of a prompt, such as ``images.image0``.
    """
    collected = dict(values)
    for _, name, declared, options in listed_entries(input_types(cls)):
        if declared in (AUTOGROW, DYNAMIC_COMBO, DYNAMIC_SLOT):
            parts = _collected(name, declared, options, values)
            for key in [key for key in collected if key == name or key.startswith(f"{name}.")]:
                del collected[key]
            collected[name] = parts
    return collected


def _collected(
    name: str, declared: Any, options: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    own = name.rpartition(".")[2]
    if declared == AUTOGROW:
        template = options.get("template") or {}
        entry = next(iter(listed_entries(template.get("input") or {})), None)
        return {
            part: _part(f"{name}.{part}", entry[2], entry[3], values)
            for part in grown_names(template)
            if entry is not None and _has(f"{name}.{part}", values)
        }
    parts: dict[str, Any] = {own: values[name]} if name in values else {}
    inputs: Mapping[str, Any] = options.get("inputs") or {}
    if declared == DYNAMIC_COMBO:
        chosen = values.get(name)
        chosen = chosen[0] if isinstance(chosen, tuple) else chosen  # with its name, see V3
        branches = options.get("options") or ()
        inputs = next((each.get("inputs") for each in branches if each.get("key") == chosen), {})
    for _, inner, inner_type, inner_options in listed_entries(inputs or {}):
        full = f"{name}.{inner}"
        if _has(full, values):
            parts[inner] = _part(full, inner_type, inner_options, values)
    return parts


def _has(name: str, values: Mapping[str, Any]) -> bool:
    return name in values or any(key.startswith(f"{name}.") for key in values)


def _part(name: str, declared: Any, options: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    if declared in (AUTOGROW, DYNAMIC_COMBO, DYNAMIC_SLOT):
        return _collected(name, declared, options, values)
    return values[name]


def _schema_label(cls: Any) -> str:
    """Display name that a V3 class gives itself."""
    schema = cls.GET_SCHEMA() if hasattr(cls, "GET_SCHEMA") else None
    return _text(getattr(schema, "display_name", ""))


def read_classes(
    mappings: Mapping[str, Any],
    labels: Mapping[str, str],
    pack: str,
    module: str,
    report: Callable[[str], None],
) -> dict[str, tuple[NodeClass, NodeSpec]]:
    """Read the classes of a pack; one that cannot be read is reported and left out.

    Args:
        mappings: Classes by id.
        labels: Display names by id.
        report: Receives a sentence for each class that cannot be read.
    """
    classes: dict[str, tuple[NodeClass, NodeSpec]] = {}
    for name, cls in mappings.items():
        try:
            label = str(labels.get(name) or _schema_label(cls))
            node_class = NodeClass(str(name), cls, label, module, pack)
            cls.RELATIVE_PYTHON_MODULE = module
            classes[str(name)] = (node_class, node_class.spec())
        except Exception as error:  # noqa: BLE001 - the border with pack code: it may raise anything
            report(f"pack `{pack}`: class `{name}`: {type(error).__name__}: {error}")
    return classes
