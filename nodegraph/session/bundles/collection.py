"""Collect what a workflow needs for a bundle: input files, models, packs, and results of a run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from nodegraph.core.declarations import to_versioned_dict
from nodegraph.core.digests import digest_bytes
from nodegraph.core.file_access import upload_digest
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.json_text import write_json
from nodegraph.core.links import is_link, parse_target, read_literal
from nodegraph.core.weight_files import HEADED, file_suffix
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, InvalidValue, ModelNotFound
from nodegraph.families.embedded_models import embedded_folder
from nodegraph.models.model_sources import KIND_FOLDERS, find_path, model_files
from nodegraph.session.bundles.bundle import (
    Bundle,
    BundleFile,
    BundleModel,
    BundleResult,
    is_portable_name,
)
from nodegraph.session.bundles.known_runs import KnownRun, requirements_of, surroundings_of
from nodegraph.session.bundles.pack_sources import PackCollector

if TYPE_CHECKING:
    from nodegraph.core.graph import CheckedGraph, GraphNode
    from nodegraph.core.spec import InputSpec, NodeSpec
    from nodegraph.session.session import Session

_ODD = re.compile(r"[^\w.()+ -]")
_LARGEST_SIDECAR = 4 << 20
_SIDECARS = (".json", ".txt", ".model", ".jinja")
"""Small files beside a single file of weights that say how it is read, such as a tokenizer's."""
_CONFIG = "config.json"
_MOST_FILES = 50_000


@dataclass(frozen=True, slots=True)
class BundleContents:
    """A bundle that is ready to be written; see `archive.write_bundle`.

    Attributes:
        workflow: JSON of the workflow.
        sources: Where the content of each member of the bundle is.
    """

    bundle: Bundle
    workflow: bytes
    sources: Mapping[str, Path]


def collect_bundle(
    session: Session,
    workflow: Workflow,
    run: KnownRun | None = None,
    *,
    with_models: bool = False,
) -> BundleContents:
    """Collect what a workflow needs.

    Args:
        run: A run of it, if one is known.
        with_models: Include the files of models; else the bundle only lists them.
    Raises:
        InvalidWorkflow: The workflow cannot run here: a model is missing, or an input is invalid.
        InvalidFile: A file cannot be read.
        InvalidValue: A file has a name that other systems do not allow.
    """
    return _Collector(session, workflow, run or KnownRun(), with_models).collect()


class _Names:
    """Names of files in a bundle: those of the workflow, or short ones for paths of a machine."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    def name(self, text: str, path: Path) -> str:
        """The name that stands for a text of the workflow.

        Args:
            path: The file or folder that the text means.
        """
        if text not in self._names:
            plain = PurePosixPath(text).as_posix()
            free = plain if is_portable_name(plain) else _ODD.sub("_", path.name).lstrip(".")
            stem, dot, ending = (free or "file").partition(".")
            number = 2
            while free.casefold() in self._taken or not free:
                free = f"{stem}-{number}{dot}{ending}"
                number += 1
            self._taken.add(free.casefold())
            self._names[text] = free
        return self._names[text]

    @property
    def renamed(self) -> dict[str, str]:
        """New names by texts of the workflow that no other machine can use."""
        return {text: name for text, name in self._names.items() if text != name}


class _Collector:
    """Collects the parts of one bundle."""

    def __init__(
        self, session: Session, workflow: Workflow, run: KnownRun, with_models: bool
    ) -> None:
        self._session = session
        self._registry = session.registry
        self._environment = session.environment
        self._workflow = workflow
        self._graph: CheckedGraph = session.graph(workflow)
        self._run = run
        self._with_models = with_models
        self._sources: dict[str, Path] = {}
        self._notes: list[str] = list(run.notes)
        self._input_names, self._model_names = _Names(), _Names()

    def collect(self) -> BundleContents:
        inputs = self._inputs()
        models = self._models()
        packs = PackCollector(self._session.settings, self._registry).collect(
            self._node_types(), self._graph, self._sources
        )
        results = self._results()
        self._note_other_code()
        document = to_versioned_dict(self._workflow, self._registry)
        renamed = self._input_names.renamed | self._model_names.renamed
        document = _with_names(document, renamed) if renamed else document
        text = write_json(document).encode()
        run = self._run
        surroundings = run.surroundings if run.nodes else surroundings_of(self._session)
        bundle = Bundle(
            title=self._workflow.title,
            workflow_digest=digest_bytes(text),
            surroundings=surroundings,
            requirements=requirements_of(packs),
            parameters=dict(self._parameters(document)),
            inputs=tuple(inputs.values()),
            models=tuple(models.values()),
            components=tuple(run.components),
            packs=tuple(packs),
            nodes=run.nodes,
            results=tuple(results),
            notes=tuple(self._notes),
        )
        # What this machine's file system allows, another's may not: the reader refuses it.
        Bundle.decode(bundle.encode())
        sources = {name: self._sources[name] for name in bundle.members()}
        return BundleContents(bundle, text, sources)

    # Values of the workflow

    def _node_types(self) -> list[str]:
        types = {node.spec.type for node in self._graph.nodes.values()}
        types |= {entry.type for entry in self._entries() if self._registry.spec(entry.type)}
        types |= {node.type for node in self._run.nodes.values()}
        return sorted(types)

    def _entries(self) -> Iterator[Any]:
        yield from self._workflow.nodes.values()
        for block in self._workflow.subgraphs.values():
            yield from block.nodes.values()

    def _file_values(self) -> Iterator[tuple[InputSpec, str]]:
        """Inputs that name files, with the names: of the run's nodes, and of loops' subgraphs."""
        for node in self._graph.nodes.values():
            yield from _file_literals(node.spec, node.literals)
        for entry in self._entries():
            spec = self._registry.spec(entry.type)
            if spec is not None and spec.file_ports:
                literals = {
                    port: read_literal(value)
                    for port, value in entry.inputs.items()
                    if not is_link(value)
                }
                yield from _file_literals(spec, literals)

    def _note_other_code(self) -> None:
        """Note packs whose code is not that of the run, which may have given something else."""
        changed = {
            node.pack
            for node in self._run.nodes.values()
            if node.code
            and self._registry.spec(node.type) is not None
            and self._registry.code_digest(node.type) != node.code
        }
        self._notes += [
            f"the code of the pack `{name}` is not that of the stated run, so another run may give "
            "something else"
            for name in sorted(changed)
        ]

    def _parameters(self, document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Values of the workflow's parameters, as they are written."""
        for name, parameter in self._workflow.parameters.items():
            node, port = parse_target(parameter.input)
            written = document["nodes"].get(node, {}).get("inputs", {}).get(port)
            if written is not None and not is_link(written):
                yield name, read_literal(written)

    # Input files

    def _inputs(self) -> dict[str, BundleFile]:
        inputs: dict[str, BundleFile] = {}
        for port, text in self._file_values():
            if not port.is_model_file:
                self._add_input(text, inputs)
        for node in self._graph.nodes.values():
            for port_name in node.spec.file_ports:
                is_model = node.spec.inputs_by_name[port_name].is_model_file
                if port_name in node.links and not is_model:
                    self._add_computed(node, port_name, inputs)
        return dict(sorted(inputs.items()))

    def _add_computed(self, node: GraphNode, port: str, inputs: dict[str, BundleFile]) -> None:
        """Files of an input whose names are computed: what the nodes before it may name."""
        known = len(inputs)
        for text in self._texts_before(node.links[port].node):
            if self._input_path(text).is_file():
                self._add_input(text, inputs)
        if len(inputs) == known:
            self._notes.append(
                f"the file of `{node.name}.{port}` is computed, so the bundle may lack it"
            )

    def _texts_before(self, name: str) -> Iterator[str]:
        waiting, passed = [name], set[str]()
        while waiting:
            current = waiting.pop()
            node = self._graph.nodes.get(current)
            if node is None or current in passed:
                continue
            passed.add(current)
            waiting += (source.node for source in node.links.values())
            for value in node.literals.values():
                yield from _texts(value)

    def _input_path(self, text: str) -> Path:
        digest = upload_digest(text)
        if digest is not None:
            uploads = self._session.settings.uploaded_files
            return next(iter(sorted(uploads.glob(f"{digest}.*"))), uploads / digest)
        try:
            path = self._environment.inputs / Path(text).expanduser()
            path.exists()
        except (OSError, ValueError, RuntimeError):
            return self._environment.inputs / "\ufffd"  # names no file, for the check to report
        return path

    def _add_input(self, text: str, inputs: dict[str, BundleFile]) -> None:
        path = self._input_path(text)
        if path.is_dir():
            name = self._input_names.name(text, path)
            for file in _files_below(path):
                inner = f"{name}/{file.relative_to(path).as_posix()}"
                inputs[inner] = self._add_file("inputs", inner, file)
        elif path.is_file():
            name = self._input_names.name(text, path)
            inputs[name] = self._add_file("inputs", name, path)

    def _add_file(self, folder: str, name: str, path: Path) -> BundleFile:
        try:
            file = BundleFile(name, FILE_DIGESTS.digest(path), path.stat().st_size)
        except OSError as error:
            raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error
        self._sources[f"{folder}/{file.digest}"] = path
        return file

    # Models

    def _models(self) -> dict[str, BundleModel]:
        models: dict[str, BundleModel] = {}
        names = [text for port, text in self._file_values() if port.is_model_file]
        for text in dict.fromkeys([*names, *self._models_in_prompts()]):
            try:
                path = find_path(text, self._environment.models)
            except ModelNotFound:
                continue  # the check allows it: nothing reads the input
            model = self._model(text, path)
            models[model.name] = model
        self._add_models_of_run(models)
        return dict(sorted(models.items()))

    def _models_in_prompts(self) -> list[str]:
        from nodegraph.models.remote.declared_models import ModelNames

        folders = self._environment.models
        names = [
            file.relative_to(folder).as_posix()
            for folder in folders
            for file in model_files(folder)
        ]
        return sorted(ModelNames(names).find(self._workflow.to_dict()))

    def _model(self, text: str, path: Path) -> BundleModel:
        from nodegraph.models.model_library import read_facts

        if path.is_relative_to(embedded_folder().parent):
            weights = [
                f for f in self._model_files(text, path) if file_suffix(Path(f.name)) in HEADED
            ]
            return BundleModel(text, "embedded", tuple(weights))
        facts = read_facts(path)
        name = self._model_names.name(text, path)
        remote = self._session.settings.remote_models_folder
        is_remote = bool(self._session.settings.remote_models) and path.is_relative_to(remote)
        if is_remote:
            self._notes.append(f"the model `{name}` is in a remote store and only named here")
        return BundleModel(
            name,
            "folder" if path.is_dir() else "file",
            () if is_remote else tuple(self._model_files(name, path)),
            included=self._with_models and not is_remote,
            source=facts.source or "",
            title=facts.title or "",
            page=facts.page or "",
            license=facts.license or "",
        )

    def _model_files(self, name: str, path: Path) -> list[BundleFile]:
        if path.is_dir():
            return [
                self._add_file("models", f"{name}/{file.relative_to(path).as_posix()}", file)
                for file in _files_below(path)
            ]
        # A workflow may leave out the ending of a file's name.
        name = name if name.lower().endswith(path.suffix.lower()) else f"{name}{path.suffix}"
        files = [self._add_file("models", name, path)]
        folder, slash, _ = name.rpartition("/")
        own_folder = path.parent.name not in KIND_FOLDERS and (path.parent / _CONFIG).is_file()
        for other in sorted(path.parent.iterdir()) if slash and own_folder else ():
            is_small = other.is_file() and other.stat().st_size <= _LARGEST_SIDECAR
            if is_small and other.suffix in _SIDECARS and not other.name.startswith("."):
                files.append(self._add_file("models", f"{folder}/{other.name}", other))
        return files

    def _add_models_of_run(self, models: dict[str, BundleModel]) -> None:
        """Models that a run used and no value of the workflow names."""
        known = {file.digest for model in models.values() for file in model.files}
        for name, digest in sorted(self._run.model_files.items()):
            if digest in known or name.startswith("embedded/"):
                continue
            for folder in self._environment.models:
                path = folder / name
                is_here = is_portable_name(name) and path.is_file()
                if is_here and FILE_DIGESTS.digest(path) == digest:
                    models[name] = self._model(name, path)
                    break
            else:
                self._notes.append(f"the run used the model file `{name}`, which is not here")

    # Results

    def _results(self) -> list[BundleResult]:
        results = {}
        for result in self._run.results:
            file = self._add_file("results", result.name, result.path)
            name = result.name if is_portable_name(result.name) else _ODD.sub("_", result.path.name)
            results[name] = BundleResult(result.node, name, result.kind, file.digest, file.bytes)
        return [results[name] for name in sorted(results)]


def _file_literals(spec: NodeSpec, literals: Mapping[str, Any]) -> Iterator[tuple[InputSpec, str]]:
    for name in spec.file_ports:
        for text in _texts(literals.get(name)):
            yield spec.inputs_by_name[name], text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _files_below(folder: Path) -> list[Path]:
    """Regular files below a folder, sorted, without hidden ones.

    Raises:
        InvalidValue: There are too many.
    """
    files: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = (Path(parent) / name for name in sorted(names) if not name.startswith("."))
        files += (path for path in shown if path.is_file())
        if len(files) > _MOST_FILES:
            raise InvalidValue(
                f"{folder} has too many files for a bundle", expected=f"at most {_MOST_FILES:,}"
            )
    return files


def _with_names(document: dict[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """A workflow in which names of the bundle stand for paths of this machine."""

    def changed(value: Any) -> Any:
        if isinstance(value, str):
            return renamed.get(value, value)
        if isinstance(value, dict):
            return {key: changed(item) for key, item in value.items()}
        return [changed(item) for item in value] if isinstance(value, list) else value

    def with_inputs(nodes: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: {**entry, "inputs": changed(entry["inputs"])} if "inputs" in entry else entry
            for name, entry in nodes.items()
        }

    blocks = {
        name: {**block, "nodes": with_inputs(block.get("nodes", {}))}
        for name, block in document.get("subgraphs", {}).items()
    }
    return {
        **document,
        "nodes": with_inputs(document["nodes"]),
        **({"subgraphs": blocks} if blocks else {}),
    }
