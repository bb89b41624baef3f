"""Nodes and workflows, run and checked in a folder of their own, of which nothing stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
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
from nodegraph.errors import InvalidValue
from nodegraph.packs.pack import Pack
from nodegraph.python.testing.checking import check_trial, not_judged
from nodegraph.python.testing.samples import NoSample, sample_inputs
from nodegraph.python.testing.trials import build_trial, example_trial
from nodegraph.python.testing.verdicts import NodeVerdicts
from nodegraph.session.examples import examples
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings, load_settings

if TYPE_CHECKING:
    from typing_extensions import Unpack

NodeLike = str | Callable[..., Any]
"""A node type's name, or the function behind it."""


class Workbench:
    """Runs nodes and workflows with a fresh cache; a context manager.

    Installed packs are there, as are the models folders of whoever runs it; outputs, results and
    everything else lie in a temporary folder.

    Args:
        packs: More packs: folders, files, or packs that were found.
        nodes: Functions decorated with `@node`.
        leave_out: Names of installed packs that are as if they weren't.
        settings: The usual ones; read from file and environment if not given.

    Attributes:
        folder: Where everything lies; sinks write into ``output`` in it.
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
        """Let go of everything."""
        self._stack.close()

    def session(self, inputs: Path | None = None, *, use_cache: bool = True) -> Session:
        """A session; the same one for the same arguments.

        Args:
            inputs: Where relative input paths start.
            use_cache: False computes everything anew, and keeps nothing.
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
        """Run a workflow, its dictionary or its file; raises what a node raised.

        Args:
            options: See `nodegraph.engine.options.RunOptions`.
        Raises:
            InvalidFile, InvalidWorkflow, InvalidValue: Nothing was run.
            NodeFailed: A node raised; the rest was run.
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
            inputs: Values, also such as no file can hold: tensors, pictures, values of one's own.
        Returns:
            The value of its only output; of several a dictionary by name; None if it has none.
            `BLOCKED` stands for one that has no value this time.
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
        """Try one node and judge it: types, determinism, mutation, cancelling, keeping.

        Args:
            inputs: Values for its inputs. Without any, its pack's example is run, or else values
                are made up where its ports are simple.
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
        """What a node type declares.

        A function that is no node of a pack is added to the session.

        Raises:
            InvalidValue: There is no such node type.
            PackError: The function is no node.
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
    """Everything in a folder, but for models, and for what is known of packs by their content."""
    return Settings(
        home=folder,
        models=usual.model_folders,
        leave_out=(*usual.leave_out, *leave_out),
        outputs=folder / "output",
        cache=usual.cache_folder,
        store=folder / "store",
        device=usual.device,
    )
