"""Output class of a pipeline call, and an output for each of its fields."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from nodegraph.interop.pipelines.classes import Kind, Makes, PipelineOutput
from nodegraph.interop.pipelines.reading import tables
from nodegraph.interop.pipelines.reading.annotations import SourceAnnotation, read_annotation
from nodegraph.interop.pipelines.reading.call_code import PipelineCode
from nodegraph.interop.pipelines.reading.parameters import first_sentences, read_docstring
from nodegraph.interop.pipelines.reading.source_modules import (
    ClassSource,
    PipelineSource,
    SourcePackage,
    pipeline_source,
)

_DEEPEST = 4
_PIPES = ("_pipe", "_pipeline")


@dataclass(frozen=True, slots=True)
class ResultField:
    """A field of an output class, before it is known what it is."""

    name: str
    annotation: SourceAnnotation
    help: str


def output_class(source: PipelineSource, code: PipelineCode, depth: int = 0) -> ClassSource | None:
    """The class of what a call returns: as annotated, unless the code returns another; else as the
    code has it; else that of the last pipeline that it holds and hands on the result of."""
    package, module = source.package, source.call_class.module
    returned = code.returned()
    annotated = read_annotation(package, module, source.call.returns)
    for name, candidate in sorted(annotated.classes.items()):
        if _is_output(package, candidate) and (not returned or name in returned):
            return candidate
    for name in returned:
        for scope in (module, *(item.module for item in source.lineage)):
            named = package.find_class(scope, name)
            if named is not None and _is_output(package, named):
                return named
    if depth < _DEEPEST:
        for inner in reversed(inner_pipelines(source).values()):
            held = pipeline_source(package, inner)
            if held is not None:
                return output_class(held, PipelineCode(held), depth + 1)
    return None


def inner_pipelines(source: PipelineSource) -> dict[str, ClassSource]:
    """Pipelines that the constructor keeps as attributes, by the attribute's name."""
    pipelines: dict[str, ClassSource] = {}
    built = source.method("__init__")
    for node in ast.walk(built[1]) if built else ():
        match node:
            case ast.Assign(
                targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)],
                value=ast.Call(func=ast.Name(id=called)),
            ) if name.endswith(_PIPES) and built:
                inner = source.package.find_class(built[0].module, called)
                if inner is not None:
                    pipelines[name] = inner
    return pipelines


def result_fields(package: SourcePackage, source: ClassSource) -> list[ResultField]:
    """Fields of a class and of those it stands on, theirs first."""
    fields: dict[str, ResultField] = {}
    for base in source.node.bases:
        known = package.find_class(source.module, ast.unparse(base).rpartition(".")[2])
        if known is not None and _is_output(package, known):
            fields |= {item.name: item for item in result_fields(package, known)}
    documentation = read_docstring(ast.get_docstring(source.node))
    for item in source.node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            name = item.target.id
            annotation = read_annotation(package, source.module, item.annotation)
            help_text = first_sentences(documentation.helps.get(name, ""), 2)
            fields[name] = ResultField(name, annotation, help_text)
    return list(fields.values())


def read_outputs(
    fields: list[ResultField], words: tuple[str, ...], latents_wanted: bool, names: frozenset[str]
) -> tuple[PipelineOutput, ...]:
    """An output for each field, and for what an `output_type` of its own asks for.

    Args:
        words: What the code compares `output_type` with.
        latents_wanted: Another pipeline takes what this one gives before decoding.
        names: Of the call's parameters.
    """
    surface = "mesh" in words
    outputs = [_output(item, surface) for item in fields]
    if surface and outputs:
        outputs.append(PipelineOutput("mesh", "mesh", word="mesh", field=outputs[0].name))
    known = {item.name for item in outputs}
    if outputs and latents_wanted and "latent" in words and not known & {"latent", "latents"}:
        help_text = "Not decoded. Set if `output_type` is latent."
        outputs.append(
            PipelineOutput(
                "latents", "tensor", help=help_text, word="latent", field=outputs[0].name
            )
        )
        for item in list(outputs):
            if item.kind == "audio" and "audio_latents" in names:
                outputs.append(
                    PipelineOutput(
                        "audio_latents", "tensor", help=help_text, word="latent", field=item.name
                    )
                )
    return tuple(outputs)


def unnamed_output(code: PipelineCode) -> PipelineOutput:
    """What a call gives that has no class for it: as it prepares that for people."""
    called = code.methods_called()
    if "postprocess_video" in called:
        return PipelineOutput("", "video")
    if called & {"postprocess", "numpy_to_pil"}:
        return PipelineOutput("", "image")
    return PipelineOutput("", "any")


def product_kind(outputs: tuple[PipelineOutput, ...]) -> Makes:
    """What a pipeline is there for: the first of its outputs that somebody looks at."""
    if any(item.kind in ("mesh", "points") for item in outputs):
        return "3d"
    for item in outputs:
        if item.kind in ("image", "video", "audio", "text"):
            return item.kind
    return "other"


def _output(item: ResultField, surface: bool) -> PipelineOutput:
    kind = _kind(item, surface)
    lists = item.annotation.deepest > 0 and not item.annotation.single
    many = lists and kind not in ("image", "video", "audio")
    return PipelineOutput(item.name, kind, many, item.help, item.annotation.text)


def _kind(item: ResultField, surface: bool) -> Kind:
    for rule in tables.FIELDS:
        if rule.pattern.search(item.name):
            # A pipeline of surfaces shows each from all around.
            return "video" if rule.kind == "image" and surface else rule.kind
    kinds = item.annotation.kinds
    if kinds and kinds <= {"Tensor", "ndarray"}:
        return "tensor"
    plain: dict[str, Kind] = {"str": "text", "int": "integer", "float": "number", "bool": "flag"}
    if len(kinds) == 1 and item.annotation.deepest < 2:
        only = next(iter(kinds))
        if only in plain:
            return plain[only]
    return "json" if kinds and kinds <= {*plain, "dict"} else "any"


def _is_output(package: SourcePackage, source: ClassSource) -> bool:
    """Whether a class is a dataclass, as all outputs are; a pipeline among the members isn't."""
    marks = {ast.unparse(mark).partition("(")[0] for mark in source.node.decorator_list}
    return any(mark.endswith("dataclass") for mark in marks)
