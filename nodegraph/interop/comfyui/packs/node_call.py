"""One call of a node class of ComfyUI: values in and out, hidden and lazy inputs, graphs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from nodegraph.core.annotations import type_of_value
from nodegraph.core.digests import is_tensor
from nodegraph.core.links import NodeOutput
from nodegraph.core.ports import BLOCKED, RawLink
from nodegraph.core.spec import NodeSpec
from nodegraph.errors import InvalidValue
from nodegraph.interop.comfyui.packs import type_map
from nodegraph.interop.comfyui.packs.execution import (
    Expansions,
    NodeIds,
    RunLinks,
    RunPrompt,
    blocked_of,
    original_prompt,
)
from nodegraph.interop.comfyui.packs.graph_utils import (
    ExecutionBlocker,
    executing,
    is_prompt_link,
)
from nodegraph.interop.comfyui.packs.v1_classes import HIDDEN, NodeClass, collect
from nodegraph.isolation.runner import CallContext, Inputs, Outputs
from nodegraph.packs.pack import Pack

_CHANNELS: Mapping[str, str] = {
    "images": "image",
    "gifs": "video",
    "video": "video",
    "videos": "video",
    "audio": "audio",
}
"""Kinds of the files that a key of ``ui`` lists."""


class NodeHost(Protocol):
    """What a call needs of the runner of its pack."""

    pack: Pack

    @property
    def outputs(self) -> Mapping[str, Sequence[str]]:
        """Names of the outputs of the pack's node types, by type."""

    @property
    def input_names(self) -> Mapping[str, Mapping[str, str]]:
        """ComfyUI's names of inputs that are called otherwise here, by node type."""

    @property
    def expansions(self) -> Expansions:
        """Translates the graphs that nodes return."""

    def instance(self, node_class: NodeClass, node: str) -> Any:
        """Return the instance of a class for a node: the same in all runs."""

    def turn(self, context: CallContext) -> AbstractContextManager[None]:
        """Inside the `with`, no other plain function of the pack runs."""

    def wait_for(self, coroutine: Any, context: CallContext) -> Any:
        """Run a coroutine on the loop of async nodes, until the run is cancelled."""


class _NotedFiles:
    """The context of a call, which notes the files that are reported.

    Attributes:
        files: Files that the call has reported.
    """

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self.files: set[Path] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def wrote(self, path: Path, **about: Any) -> None:
        """See `Context.wrote`."""
        self.files.add(Path(path))
        self._context.wrote(path, **about)


class NodeCall:
    """One call of a node."""

    def __init__(
        self,
        runner: NodeHost,
        node_class: NodeClass,
        spec: NodeSpec,
        inputs: Inputs,
        context: CallContext,
    ) -> None:
        self._runner = runner
        self._class = node_class
        self._spec = spec
        self._context = _NotedFiles(context)
        parameters = {HIDDEN[fact]: fact for fact in HIDDEN}
        self._facts = {
            parameters[name]: value for name, value in inputs.items() if name in parameters
        }
        self._inputs = {name: value for name, value in inputs.items() if name not in parameters}
        # Asking for the workflow costs a message: only nodes that see ids need it.
        self._ids = NodeIds(context.workflow if spec.hidden else {})
        self._call_name = str(context.node)
        name = self._facts.get("node", self._call_name.partition("[")[0])
        self._id = self._ids.id_of(str(name))
        self._links = RunLinks(self._ids, runner.outputs, self._facts.get("graph"))

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Inside the `with`, what packs import knows of this call."""
        from nodegraph.interop.comfyui.packs import handles, latents

        token = handles.current_call.set(self._context)
        latents.forget_formats()
        try:
            with executing(self._id, self._call_name, str(getattr(self._context, "run", ""))):
                yield
        finally:
            handles.current_call.reset(token)

    def run(self) -> Any:
        with self._entered():
            values = self._values()
            target = self._target()
            function = getattr(target, str(self._class.cls.FUNCTION))
            missing = [port for port in self._spec.lazy_ports if port not in self._inputs]
            if missing:
                self._evaluate(target, values, missing)
            keywords = collect(self._class.cls, values) | self._hidden()
            if self._class.is_async:
                result = self._runner.wait_for(self._async(function, keywords), self._context)
            else:
                with self._runner.turn(self._context):
                    result = function(**keywords)
            import torch

            with torch.inference_mode():
                return self._outcome(result)

    async def _async(self, function: Any, keywords: Mapping[str, Any]) -> Any:
        with self._entered():
            return await function(**keywords)

    def _target(self) -> Any:
        """What the function is called on: an instance, or for V3 a copy of the class."""
        prepare = getattr(self._class.cls, "PREPARE_CLASS_CLONE", None)
        if prepare is not None:
            return prepare(self._hidden_kinds())
        return self._runner.instance(self._class, self._id)

    # Inputs

    def _values(self) -> dict[str, Any]:
        """Values by ComfyUI's names, in its forms. Inputs that are not given are absent."""
        values: dict[str, Any] = {}
        ports = self._class.ports
        for port, value in self._inputs.items():
            each = ports.get(port)
            if value is None:
                continue
            if each is None:
                values[port] = self._listed(self._to_comfy(value, type_map.WILDCARD))
            elif isinstance(value, RawLink):
                link = self._links.link(value)
                values[each.name] = [link] if self._class.is_list else link
            else:
                values[each.name] = self._converted(each.type, value)
        return values

    def _converted(self, declared: Any, value: Any) -> Any:
        if not self._class.is_list:
            return self._to_comfy(value, declared)
        items = value if isinstance(value, list) else [value]
        return [self._to_comfy(item, declared) for item in items]

    def _listed(self, value: Any) -> Any:
        is_bare = self._class.is_list and not isinstance(value, list)
        return [value] if is_bare else value

    def _to_comfy(self, value: Any, declared: Any) -> Any:
        from nodegraph.interop.comfyui.packs import border

        kind = type_map.type_text(declared)
        if kind not in border.CONVERTED:
            names = {native: name for name, native in type_map.PORT_TYPES.items()}
            kind = names.get(type_of_value(value), kind)
        return _private(border.to_comfy(value, kind))

    def _hidden_kinds(self) -> dict[str, Any]:
        """Values of hidden inputs by kind."""
        workflow = self._facts.get("workflow")
        metadata = self._facts.get("metadata")
        prompt = None
        if workflow is not None:
            prompt = original_prompt(
                workflow, self._runner.pack.name, self._runner.outputs, self._runner.input_names
            )
        info = None
        if metadata is not None:
            info = {key: value for key, value in metadata.items() if key != "prompt"} or None
        dynamic = None
        if self._facts.get("graph") is not None:
            dynamic = RunPrompt(
                self._links, self._runner.pack.name, self._runner.input_names, prompt or {}
            )
        return {
            "UNIQUE_ID": self._id,
            "PROMPT": prompt,
            "EXTRA_PNGINFO": info,
            "DYNPROMPT": dynamic,
        }

    def _hidden(self) -> dict[str, Any]:
        if not self._class.hidden or hasattr(self._class.cls, "PREPARE_CLASS_CLONE"):
            return {}
        kinds = self._hidden_kinds()
        values = {name: kinds.get(kind) for name, kind in self._class.hidden.items()}
        return {name: [value] for name, value in values.items()} if self._class.is_list else values

    def _evaluate(self, target: Any, values: dict[str, Any], missing: list[str]) -> None:
        """Evaluate the lazy inputs that the class asks for, until it asks for no more."""
        names = {self._class.ports[port].name: port for port in missing}
        check = getattr(target, "check_lazy_status", None)
        requested = list(names) if check is None else self._requested(check, values, names)
        while requested:
            for name in requested:
                value = self._context.lazy_value(names[name])
                values[name] = self._converted(self._class.ports[names.pop(name)].type, value)
            requested = self._requested(check, values, names) if check is not None and names else []

    def _requested(
        self, check: Any, values: Mapping[str, Any], missing: Mapping[str, str]
    ) -> list[str]:
        nothing = (None,) if self._class.is_list else None
        available = {**values, **dict.fromkeys(missing, nothing)}
        dynamic = {each.name for each in self._class.inputs if each.is_dynamic}
        available = {name: (v, name) if name in dynamic else v for name, v in available.items()}
        keywords = collect(self._class.cls, available) | self._hidden()
        if inspect.iscoroutinefunction(check):
            answer = self._runner.wait_for(self._async(check, keywords), self._context)
        else:
            with self._runner.turn(self._context):
                answer = check(**keywords)
        for name in answer or ():
            if name not in available:
                raise InvalidValue(
                    f"`check_lazy_status` asks for an input that the node does not have: {name}",
                    given=str(name),
                    expected=", ".join(available) or None,
                )
        return [name for name in dict.fromkeys(answer or ()) if name in missing]

    # Results

    def _outcome(self, result: Any) -> Any:
        values, ui, graph = _split(result)
        self._report_files(ui)
        if graph is not None:
            if isinstance(values, ExecutionBlocker):
                raise InvalidValue("an expansion cannot block all outputs at once")
            if not _is_graph(graph):
                raise InvalidValue(
                    f"the `expand` of {self._class.cls.__name__} is no graph of nodes",
                    given=type(graph).__name__,
                    expected="a dictionary of nodes by id, as GraphBuilder.finalize returns it",
                )
            outcome: Any = self._expanded(graph, values)
        else:
            outcome = self._outputs(values, has_ui=bool(ui))
        return NodeOutput(outcome, type_map.plain_json(ui)) if ui else outcome

    def _outputs(self, values: Any, *, has_ui: bool) -> Any:
        count = len(self._class.output_types)
        if isinstance(values, ExecutionBlocker):
            return Outputs([blocked_of(values)] * count)
        if values is None and (has_ui or not count):
            return Outputs([BLOCKED] * count)
        if not isinstance(values, (tuple, list)) or len(values) < count:
            raise InvalidValue(
                f"{self._class.cls.__name__}.{self._class.cls.FUNCTION} must return a tuple with "
                "one value for each output",
                given=f"{type(values).__name__} of {len(values)}"
                if isinstance(values, (tuple, list))
                else type(values).__name__,
                expected=f"a tuple of {count}",
            )
        return Outputs([self._output(at, values[at]) for at in range(count)])

    def _output(self, at: int, value: Any) -> Any:
        declared = self._class.output_types[at]
        if isinstance(value, ExecutionBlocker):
            blocked = blocked_of(value)
            return [blocked] if self._class.output_lists[at] else blocked
        if self._class.output_lists[at] and isinstance(value, (list, tuple)):
            return [self._native(item, declared) for item in value]
        return self._native(value, declared)

    def _native(self, value: Any, declared: Any) -> Any:
        from nodegraph.interop.comfyui.packs import border

        if isinstance(value, ExecutionBlocker):
            return blocked_of(value)
        if value is None:
            return None
        kind = type_map.type_text(declared)
        if kind not in border.CONVERTED:
            kind = _kind_of(value)
        return border.from_comfy(value, kind)

    def _expanded(self, graph: Mapping[str, Any], values: Any) -> Any:
        types = self._class.output_types
        results = list(values or ())[: len(types)]
        results += [None] * (len(types) - len(results))
        converted = [
            result if self._is_link(result, graph) else self._output(at, result)
            for at, result in enumerate(results)
        ]
        nodes = {
            str(name): {
                **node,
                "inputs": {
                    str(key): value if self._is_link(value, graph) else self._literal(value)
                    for key, value in dict(node.get("inputs") or {}).items()
                },
            }
            for name, node in graph.items()
        }
        ports = [port.name for port in self._spec.outputs]
        return self._runner.expansions.expand(
            nodes, converted, ports, self._links, self._classes_of_others
        )

    def _classes_of_others(self, names: list[str]) -> list[NodeSpec]:
        return [NodeSpec.from_dict(each) for each in self._context.ask("classes", names=names)]

    def _is_link(self, value: Any, graph: Mapping[str, Any]) -> bool:
        return is_prompt_link(value) and (value[0] in graph or self._links.is_known(value[0]))

    def _literal(self, value: Any) -> Any:
        if isinstance(value, ExecutionBlocker):
            return blocked_of(value)
        if value is None or isinstance(value, (str, int, float, bool)):
            return value
        return self._native(value, type_map.WILDCARD)

    def _report_files(self, ui: Mapping[str, Any]) -> None:
        """Report the files that ``ui`` names as written."""
        environment = self._context.environment
        folders = {"output": environment.outputs, "temp": environment.temporary}
        for key, items in ui.items():
            for item in items if isinstance(items, (list, tuple)) else ():
                if isinstance(item, Mapping) and isinstance(item.get("filename"), str):
                    folder = folders.get(str(item.get("type")))
                    if folder is None:
                        continue
                    path = Path(folder) / str(item.get("subfolder") or "") / item["filename"]
                    if path.is_file() and path not in self._context.files:
                        self._context.wrote(path, kind=_CHANNELS.get(key, "file"))


def _split(result: Any) -> tuple[Any, Mapping[str, Any], Mapping[str, Any] | None]:
    """Values, ``ui`` and graph of what a function returned."""
    as_dict = getattr(result, "as_v1", None)  # of `io.NodeOutput`
    if as_dict is not None:
        result = as_dict()
    if isinstance(result, Mapping):
        return result.get("result"), result.get("ui") or {}, result.get("expand")
    return result, {}, None


def _is_graph(graph: Any) -> bool:
    return isinstance(graph, Mapping) and all(isinstance(node, Mapping) for node in graph.values())


def _private(value: Any) -> Any:
    """A copy of a value's containers and tensors: packs may write into what they receive."""
    if is_tensor(value):
        return value.clone()
    if type(value) is dict:
        return {key: _private(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_private(item) for item in value)
    return value


def _kind_of(value: Any) -> str:
    """ComfyUI's type of a value whose output does not say it; ``*`` if it has none."""
    from nodegraph.interop.comfyui.packs import handles

    if isinstance(value, dict):
        if is_tensor(value.get("samples")):
            return "LATENT"
        return "AUDIO" if is_tensor(value.get("waveform")) and "sample_rate" in value else "*"
    if isinstance(value, list) and value:
        pairs = all(
            isinstance(item, (list, tuple))
            and len(item) == 2
            and is_tensor(item[0])
            and isinstance(item[1], dict)
            for item in value
        )
        return "CONDITIONING" if pairs else "*"
    if callable(getattr(value, "get_components", None)):
        return "VIDEO"
    kinds = handles.HANDLES.items()
    return next((name for name, (kind, _) in kinds if isinstance(value, kind)), "*")
