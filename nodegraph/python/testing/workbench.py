"""Run and check nodes, workflows and whole packs in a temporary home."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nodegraph.core.node import definition_of
from nodegraph.core.ports import BLOCKED
from nodegraph.core.spec import NodeSpec
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.workflow import Workflow
from nodegraph.engine.options import RunKeywords
from nodegraph.engine.result import RunResult
from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError
from nodegraph.packs.pack import GROUP, OWN_DISTRIBUTION, Pack, installed_packs, pack_at
from nodegraph.packs.registry import Registry
from nodegraph.python.testing.node_checks import check_trial, not_judged
from nodegraph.python.testing.trials import (
    CHECKS,
    NodeVerdicts,
    NoSample,
    PackVerdicts,
    SamplerVerdict,
    Verdict,
    build_trial,
    example_trial,
    sample_inputs,
)
from nodegraph.session.examples import examples
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings, load_settings

if TYPE_CHECKING:
    from typing_extensions import Unpack

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_PROJECT = "pyproject.toml"


def find_packs(name: str) -> list[Pack]:
    """Find packs by a name or a path.

    A project's packs need not be installed: their folder is added to the import path.

    Args:
        name: Name of an installed pack, or a path: a project, a folder of modules, a Python file.
    Raises:
        InvalidValue: There is no such pack.
        InvalidFile: A project's `pyproject.toml` cannot be read.
        PackError: The path is not a pack.
    """
    installed = {pack.name or OWN_DISTRIBUTION: pack for pack in installed_packs()}
    if name == OWN_DISTRIBUTION:  # also in its sources, whose folder of that name is not a pack
        return [installed[name]]
    path = Path(name)
    if (path / _PROJECT).is_file():
        packs = list(_project_packs(path.absolute()))
        if packs:
            return packs
    # If a project's folder has the name of its pack, the name means that folder.
    if path.exists() and (path.is_file() or any(path.glob("*.py"))):
        return [pack_at(path)]
    if name in installed:
        return [installed[name]]
    hint = did_you_mean(name, installed)
    raise InvalidValue(
        f"there is no pack `{name}`",
        expected="an installed pack, a project with a pyproject.toml, a folder or a .py file",
        hint=hint or f'A project names its packs under [project.entry-points."{GROUP}"].',
    )


def _project_packs(folder: Path) -> Iterator[Pack]:
    """Yield the packs of a project's entry points, in its folder or in ``src``."""
    for name, package in _entry_points(folder / _PROJECT).items():
        installed = [pack for pack in installed_packs() if pack.name == name]
        if installed and installed[0].root.is_relative_to(folder):
            yield installed[0]
            continue
        base = next((at for at in (folder / "src", folder) if _package_path(at, package)), None)
        root = None if base is None else _package_path(base, package)
        if base is None or root is None:
            raise InvalidFile(
                f"{folder / _PROJECT} names the pack `{name}`, which does not exist",
                given=package,
                expected=f"a package or module in {folder / 'src'} or {folder}",
            )
        sys.path.insert(0, str(base))
        yield Pack(name, package, root)


def _entry_points(file: Path) -> dict[str, str]:
    try:
        document: Any = tomllib.loads(file.read_text(encoding="utf-8"))
        entries = document.get("project", {}).get("entry-points", {}).get(GROUP, {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, AttributeError) as error:
        raise InvalidFile(f"{file} cannot be read: {error}") from error
    return {str(name): str(package) for name, package in entries.items()}


def _package_path(base: Path, package: str) -> Path | None:
    folder = base.joinpath(*package.split("."))
    if (folder / "__init__.py").is_file():
        return folder
    file = folder.with_suffix(".py")
    return file if file.is_file() else None


Follow = Callable[[Sequence[str]], Iterable[str]]
"""Iterates over names and shows the progress."""


def check_pack(
    pack: Pack,
    nodes: Collection[str] = (),
    *,
    settings: Settings | None = None,
    follow: Follow = iter,
) -> PackVerdicts:
    """Run all checks on the node types and samplers of a pack.

    Args:
        pack: See `nodegraph.python.testing.workbench.find_packs`.
        nodes: Names of node types, with or without the pack's prefix; all if empty.
        settings: See `Workbench`.
        follow: Iterates over the names of the node types, for example with a progress bar.
    Raises:
        InvalidValue: The pack has no such node type.
    """
    is_installed = bool(pack.distribution)
    left_out = () if is_installed else (pack.name,)
    more = () if is_installed else (pack,)
    with Workbench(more, leave_out=left_out, settings=settings) as bench:
        registry = Registry([pack])
        types = _chosen(pack, registry.node_types(), nodes)
        problems = [*registry.problems, *_stray_examples(pack, registry), *_scripts(registry)]
        problems += _left_out_plugins(bench, pack, problems)
        verdicts = [_checked(bench, name) for name in follow(types)]
        samplers, functions = [], []
        if not nodes:
            samplers = [check_sampler_order(name) for name in _plugins(registry, "sampler")]
            for word, check in (("schedule", check_schedule), ("guider", check_guider)):
                names = _plugins(registry, word)
                functions += [(word, name) for name in names]
                problems += filter(None, map(check, names))
    return PackVerdicts(
        pack.name or "nodegraph", str(pack.root), verdicts, problems, samplers, functions
    )


def _plugins(registry: Registry, word: str) -> list[str]:
    return registry.plugins.names(f"nodegraph.{word}s")


_SIGMAS = {"discrete": (14.6, 0.03), "flow": (1.0, 0.003)}
"""By kind of noise: sigmas of the first and the last step, as models have them."""


def check_schedule(name: str) -> str:
    """Try the function of a schedule with several numbers of steps.

    Args:
        name: Of a schedule that a pack in use brings.
    Returns:
        What is wrong; empty if nothing is.
    """
    from nodegraph.families.sampler_names import SCHEDULE_PLUGINS
    from nodegraph.families.sigma_curves import plugin_levels

    try:
        for kind, steps in product(SCHEDULE_PLUGINS[name].record["kinds"], (1, 2, 20)):
            plugin_levels(name, steps, *_SIGMAS[kind])
    except NodegraphError as error:
        return f"{error}"
    return ""


def check_guider(name: str) -> str:
    """Try the function of a guider with random predictions; arguments as of `check_schedule`."""
    import torch

    from nodegraph.sampling.guiders.classifier_free import guided_by_function
    from nodegraph.sampling.guiders.methods import GUIDER_PLUGINS, GuiderFunction

    noise = torch.Generator().manual_seed(0)
    positive, negative = (torch.randn(2, 4, 8, 8, generator=noise) for _ in range(2))
    try:
        guider: GuiderFunction = GUIDER_PLUGINS[name].load()
        for scale in (0.0, 1.0, 7.5):
            guided = guided_by_function(name, guider.combine, positive, negative, scale)
            if not guided.isfinite().all():
                return f"the guider {name} returns NaN or infinity at a scale of {scale:g}"
    except NodegraphError as error:
        return f"{error}"
    return ""


def _left_out_plugins(bench: Workbench, pack: Pack, known: Sequence[str]) -> list[str]:
    """Return problems of plugins whose names are taken by built-in ones or other packs."""
    if known:
        return []
    return list(bench.session().registry.faults(pack.name))


def check_sampler_order(name: str) -> SamplerVerdict:
    """Measure a sampler's order of convergence and compare it with the stated order.

    Args:
        name: Name of a sampler of a loaded pack.
    """
    from nodegraph.sampling.samplers import SAMPLERS
    from nodegraph.sampling.samplers.convergence import TOLERANCE, measure_order, resumes_exactly

    try:
        sampler = SAMPLERS[name]
    except NodegraphError as error:
        return SamplerVerdict(name, 0, None, "failed", str(error))
    if "flow" not in sampler.spaces:
        reason = "orders are measured on a flow model, which it does not sample"
        return SamplerVerdict(name, sampler.order, None, "not judged", reason)
    try:
        measured = round(measure_order(name), 2)
        resumes = resumes_exactly(name)
    except Exception as error:  # noqa: BLE001 - the border with pack code: it may raise anything
        reason = f"it fails: {type(error).__name__}: {error}"
        return SamplerVerdict(name, sampler.order, None, "failed", reason)
    if not resumes:
        reason = (
            "a resumed sampling differs from one that was not interrupted. Keep in `walk.memory` "
            "all that a step needs of earlier ones"
        )
        return SamplerVerdict(name, sampler.order, measured, "failed", reason)
    if not sampler.order:
        return SamplerVerdict(name, 0, measured, "not judged", "it states no order")
    if measured > sampler.order - TOLERANCE:
        return SamplerVerdict(name, sampler.order, measured)
    reason = f"it states order {sampler.order}, and its errors fall as of order {measured:g}"
    return SamplerVerdict(name, sampler.order, measured, "failed", reason)


def _chosen(pack: Pack, known: list[str], wanted: Collection[str]) -> list[str]:
    prefix = f"{pack.name}:" if pack.name else ""
    chosen = []
    for name in wanted:
        full = name if name.startswith(prefix) else f"{prefix}{name}"
        if full not in known:
            raise InvalidValue(
                f"the pack has no node type `{name}`", hint=did_you_mean(full, known)
            )
        chosen.append(full)
    return chosen or known


def _stray_examples(pack: Pack, registry: Registry) -> Iterator[str]:
    for name, example in examples([pack]).items():
        if registry.spec(name) is None:
            yield (
                f"{example.file} is an example of no node type: there is no `{name}`. "
                + did_you_mean(name, registry.node_types())
            )


def _scripts(registry: Registry) -> Iterator[str]:
    """Yield the problems of the widgets and panels that the pack declares."""
    for script in registry.scripts():
        try:
            script.check()
        except InvalidFile as error:
            yield str(error)


def _checked(bench: Workbench, name: str) -> NodeVerdicts:
    try:
        return bench.check_node(name)
    except NodegraphError as error:  # such as an example that cannot be read
        verdicts = {
            each: Verdict(each, "not judged", "this check was not reached") for each in CHECKS
        }
        verdicts["runs"] = Verdict("runs", "failed", problem=error.problems[0])
        return NodeVerdicts(name, "", verdicts)


NodeLike = str | Callable[..., Any]
"""A node type's name, or the function behind it."""


class Workbench:
    """A context manager that runs nodes and workflows with a fresh cache.

    Installed packs and the models folders of the user are available. Outputs, results and all
    other files are in a temporary folder.

    Args:
        packs: Additional packs: folders, files, or `Pack` objects.
        nodes: Functions decorated with `@node`.
        leave_out: Names of installed packs that are not loaded.
        settings: Base settings; read from the config file and the environment if not given.

    Attributes:
        folder: Temporary folder of all files; sinks write into ``output`` in it.
    """

    def __init__(
        self,
        packs: Sequence[str | Path | Pack] = (),
        nodes: Sequence[Callable[..., Any]] = (),
        *,
        leave_out: Sequence[str] = (),
        settings: Settings | None = None,
    ) -> None:
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(_folder()))
        self.settings = _settings(self.folder, settings or load_settings(), leave_out)
        self._packs = tuple(packs)
        self._nodes = tuple(nodes)
        self._sessions: dict[tuple[Path | None, bool], Session] = {}

    def __enter__(self) -> Workbench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all sessions and delete the temporary folder."""
        self._stack.close()

    def session(self, inputs: Path | None = None, *, use_cache: bool = True) -> Session:
        """Return a session, the same one for the same arguments.

        Args:
            inputs: Folder for relative input paths.
            use_cache: False computes everything again and stores nothing.
        """
        key = inputs, use_cache
        if key not in self._sessions:
            opened = Session(
                self.settings,
                packs=self._packs,
                nodes=self._nodes,
                inputs=inputs or self.folder,
                use_cache=use_cache,
            )
            self._sessions[key] = self._stack.enter_context(opened)
        return self._sessions[key]

    def run(
        self, workflow: Workflow | Mapping[str, Any] | str | Path, **options: Unpack[RunKeywords]
    ) -> RunResult:
        """Run a workflow, its dictionary or its file; raise the error of a failed node.

        Args:
            options: See `nodegraph.engine.options.RunOptions`.
        Raises:
            InvalidFile, InvalidWorkflow, InvalidValue: Nothing was run.
            NodeFailed: A node raised; all nodes that do not depend on it were run.
        """
        if isinstance(workflow, (str, Path)):
            path = Path(workflow)
            return self._run(self.session(path.absolute().parent), Workflow.load(path), options)
        if not isinstance(workflow, Workflow):
            workflow = Workflow.from_dict(dict(workflow))
        return self._run(self.session(), workflow, options)

    def _run(self, session: Session, workflow: Workflow, options: RunKeywords) -> RunResult:
        result = session.run(workflow, **options)
        if result.errors:
            raise result.errors[0]
        return result

    def run_node(self, node: NodeLike, /, **inputs: Any) -> Any:
        """Run one node.

        Args:
            inputs: Input values, also values that a file cannot contain: tensors, images, values
                of your own types.
        Returns:
            Value of its only output, a dictionary by name for several outputs, None for none.
            `BLOCKED` stands for an output without a value in this run.
        Raises:
            InvalidWorkflow, NodeFailed: See `run`.
        """
        session = self.session()
        spec = self.spec(session, node)
        trial = build_trial(spec, inputs)
        result = self._run(session, trial.workflow, {"targets": trial.nodes})
        (name,) = trial.nodes
        outputs = result.outputs
        by_port = {port.name: outputs.get(f"{name}.{port.name}", BLOCKED) for port in spec.outputs}
        return next(iter(by_port.values()), None) if len(by_port) < 2 else by_port

    def check_node(self, node: NodeLike, /, **inputs: Any) -> NodeVerdicts:
        """Run all checks on one node: types, determinism, mutation, cancelling, saving.

        Args:
            inputs: Values for its inputs. Without any, the example of its pack is run, or else
                sample values are used if its ports are simple.
        """
        session = self.session(use_cache=False)
        spec = self.spec(session, node)
        if inputs:
            return check_trial(session, spec, build_trial(spec, inputs))
        example = examples(session.registry.packs).get(spec.type)
        if example is not None:
            trial = example_trial(spec, example)
            return check_trial(self.session(trial.inputs, use_cache=False), spec, trial)
        try:
            trial = build_trial(spec, sample_inputs(spec), "generated")
        except NoSample as error:
            name = spec.type.rpartition(":")[2]
            return not_judged(spec, f"{error}: it needs an example, examples/{name}.json")
        return check_trial(session, spec, trial)

    def spec(self, session: Session, node: NodeLike) -> NodeSpec:
        """Return the declaration of a node type.

        A function that is not a node of a pack is added to the session.

        Raises:
            InvalidValue: There is no such node type.
            PackError: The function is not a node.
        """
        registry = session.registry
        if isinstance(node, str):
            candidate = registry.spec(node)
            if candidate is None:
                hint = did_you_mean(node, registry.node_types())
                raise InvalidValue(f"there is no node type `{node}`", hint=hint)
            return candidate
        own = definition_of(node).spec
        for pack in registry.packs:
            name = f"{pack.name}:{own.type}" if pack.name else own.type
            candidate = None if pack.is_generated else registry.spec(name)
            if candidate and (candidate.module, candidate.qualname) == (own.module, own.qualname):
                return candidate
        known = registry.spec(own.type)
        if known is None or registry.definition(own.type).function is not node:
            registry.add(node)
        return own


def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="nodegraph-test-", ignore_cleanup_errors=True)


def _settings(folder: Path, usual: Settings, leave_out: Sequence[str]) -> Settings:
    """Return settings with all data in one folder, except models and the cache of packs."""
    return Settings(
        home=folder,
        models=usual.model_folders,
        leave_out=(*usual.leave_out, *leave_out),
        outputs=folder / "output",
        cache=usual.cache_folder,
        store=folder / "store",
        device=usual.device,
    )
