"""Facts of a pipeline's code for whoever runs it (`PipelineClass.settings`)."""

from __future__ import annotations

import ast
import re
from typing import Any

from nodegraph.interop.pipelines.classes import Follows, PipelineInput
from nodegraph.interop.pipelines.reading.code import PipelineCode, arguments
from nodegraph.interop.pipelines.reading.inputs import rate_source
from nodegraph.interop.pipelines.reading.lineage import PipelineSource
from nodegraph.interop.pipelines.reading.outputs import inner_pipelines
from nodegraph.interop.pipelines.reading.parameters import CallParameter

_STEPS = re.compile(r"num_inference_steps\w*$|^steps$")


def follows(code: PipelineCode, bar: bool) -> Follows:
    """How the steps of a call are followed best."""
    names = {item.arg for item in arguments(code.call)}
    used = code.names_called()
    if any(name in used for name in names if _is_step_callback(name)):
        return "callback_on_step_end"
    if "callback" in names and "callback" in used:
        return "callback"
    return "progress" if bar else "modules"


def read_settings(
    source: PipelineSource,
    code: PipelineCode,
    parameters: list[CallParameter],
    inputs: tuple[PipelineInput, ...],
) -> dict[str, Any]:
    """What `PipelineClass.settings` lists, but for refusals; nothing that is empty or false."""
    by_name = {item.name: item for item in parameters}
    names = frozenset(by_name)
    used = code.names_called()
    output_type = by_name.get("output_type")
    settings: dict[str, Any] = {
        "output_types": list(code.words_of("output_type")),
        "output_type": output_type.default if output_type else None,
        "callbacks": [
            name
            for name in by_name
            if (_is_step_callback(name) or name == "callback") and name in used
        ],
        "tensor_inputs": _texts(source.attribute("_callback_tensor_inputs")),
        "bar": draws_bar(code),
        "tqdm": "tqdm" in used,
        "steps": [name for name in by_name if _STEPS.search(name)],
        "generators": {
            item.name: _generator(by_name[item.name])
            for item in inputs
            if item.kind == "seed" and by_name[item.name].annotation.kinds != {"int"}
        },
        "rates": {name: rate_source(name, names) for name in by_name if rate_source(name, names)},
        "divisors": {name: item.divisor for name, item in by_name.items() if item.divisor},
        "pipelines": list(inner_pipelines(source)),
        "swaps": _swaps(source, code),
        "global_seed": _sets_global_seed(code),
        "deprecated": ".deprecated." in source.own.module.name
        or any("Deprecated" in ast.unparse(base) for base in source.own.node.bases),
    }
    return {key: value for key, value in settings.items() if value}


def draws_bar(code: PipelineCode) -> bool:
    return "progress_bar" in code.methods_called()


def _is_step_callback(name: str) -> bool:
    return "callback_on_step_end" in name and not name.endswith("tensor_inputs")


def _generator(parameter: CallParameter) -> str:
    return "numpy" if "RandomState" in parameter.annotation.kinds else "torch"


def _sets_global_seed(code: PipelineCode) -> bool:
    """Whether it calls ``torch.manual_seed``, which is for the whole process."""
    return any(
        isinstance(call.func, ast.Attribute)
        and call.func.attr == "manual_seed"
        and ast.unparse(call.func.value) in ("torch", "torch.cuda")
        for call in code.nodes(ast.Call)
    )


def _swaps(source: PipelineSource, code: PipelineCode) -> list[str]:
    called = code.methods_called()
    swaps = []
    if any("attn_processor" in name for name in called):
        swaps.append("attention")
    if called & {"register_forward_hook", "register_forward_pre_hook"}:
        swaps.append("hooks")
    built = source.method("__init__")
    parts = {item.arg for item in arguments(built[1])} if built else set()
    return swaps + sorted(code.attributes_set() & parts)


def _texts(value: ast.expr | None) -> list[str]:
    if not isinstance(value, ast.List | ast.Tuple):
        return []
    return [str(item.value) for item in value.elts if isinstance(item, ast.Constant)]


__all__ = ["draws_bar", "follows", "read_settings"]
