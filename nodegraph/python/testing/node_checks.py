"""Checks of one node type on one trial; each returns a verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nodegraph.core.digests import Undigestable, digest_value
from nodegraph.core.events import Event
from nodegraph.core.ports import BLOCKED, Blocked
from nodegraph.core.spec import NodeSpec, OutputSpec
from nodegraph.core.summary import summarize
from nodegraph.core.types import TypeExpr
from nodegraph.engine.mutation import ChangedInput
from nodegraph.engine.options import CancelToken
from nodegraph.engine.product import WrongOutput
from nodegraph.engine.result import RunResult
from nodegraph.errors import InvalidWorkflow, ModelNotFound, NodeFailed, Problem
from nodegraph.python.testing.trials import CHECKS, CheckName, NodeVerdicts, Trial, Verdict
from nodegraph.session.session import Session
from nodegraph.store.codec import Undecodable, Unstorable, decode, encode
from nodegraph.store.msgpack_codec import SerializerFailed

_MOST_ASKS = 10
"""Times that a node may still check for cancellation after its run was cancelled."""


def check_trial(session: Session, spec: NodeSpec, trial: Trial) -> NodeVerdicts:
    """Run all checks on a node type.

    Args:
        session: Session without a cache, so that everything is computed each time.
    """
    return _TrialCheck(session, spec, trial).verdicts()


def not_judged(spec: NodeSpec, reason: str) -> NodeVerdicts:
    """Return the verdicts of a node type that cannot be run."""
    by_check = {name: Verdict(name, "not judged", reason) for name in CHECKS}
    return NodeVerdicts(spec.type, "", by_check)


class _TrialCheck:
    def __init__(self, session: Session, spec: NodeSpec, trial: Trial) -> None:
        self._session = session
        self._spec = spec
        self._trial = trial
        self._found: dict[CheckName, Verdict] = {}

    def verdicts(self) -> NodeVerdicts:
        """Return the verdicts of all checks."""
        self._judge()
        by_check = {
            name: self._found.get(name) or Verdict(name, "not judged", "this check was not reached")
            for name in CHECKS
        }
        return NodeVerdicts(self._spec.type, self._trial.source, by_check)

    def _judge(self) -> None:
        try:
            whole = self._session.run(
                self._trial.workflow, targets=self._targets(), check_mutation=True
            )
        except InvalidWorkflow as error:
            self._has_ended(error.problems[0], "runs")
            return
        if not self._has_run(whole):
            return
        if not self._trial.nodes:
            for name in CHECKS:
                if name != "runs":
                    self._skip(name, f"no node of the example is a {self._spec.type}")
            return
        token = CountingToken(self._trial.nodes)
        alone = self._session.run(
            self._trial.workflow, targets=self._trial.nodes, cancel=token, listener=token.on_event
        )
        if alone.errors:
            self._has_failed(alone.errors[0])
            return
        self._judge_types(alone)
        self._judge_determinism(whole, alone)
        self._judge_keeping(alone)
        self._judge_cancelling(token.asked, alone)

    def _targets(self) -> list[str]:
        """Return the targets: the checked nodes and all sinks."""
        targets = dict.fromkeys(self._trial.nodes)
        for name, node in self._trial.workflow.nodes.items():
            spec = self._session.registry.spec(node.type)
            if not targets or (spec is not None and spec.output):
                targets[name] = None
        return list(targets)

    def _has_run(self, result: RunResult) -> bool:
        """Judge a run of the whole workflow; return whether to continue."""
        for error in result.errors:
            self._has_failed(error)
            return False
        self._pass("runs")
        has_links = any(port.json_schema is None for port in self._spec.inputs)
        self._pass("mutation", "" if has_links else "it shares no inputs with other nodes")
        return True

    def _has_failed(self, error: NodeFailed) -> None:
        self._has_ended(error.problem, _check_of(error), error.trace)

    def _has_ended(self, problem: Problem, check: CheckName, trace: str = "") -> None:
        """Judge the problem that ended a run."""
        if self._is_of_a_model(problem):
            for name in CHECKS:
                self._skip(name, f"it needs a model that is missing: {problem}")
            return
        self._found[check] = Verdict(check, "failed", problem=problem, trace=trace)
        if check != "runs":
            self._pass("runs")

    def _is_of_a_model(self, problem: Problem) -> bool:
        if problem.code == ModelNotFound.code:
            return True
        spec = self._session.registry.spec(problem.node_type or "")
        port = None if spec is None else spec.inputs_by_name.get(problem.port or "")
        return port is not None and port.is_model_file

    def _judge_types(self, result: RunResult) -> None:
        if not self._spec.outputs:
            self._skip("types", "it has no outputs")
            return
        definition = self._session.registry.definition(self._spec.type)
        classes = {port.info.name: port.python for port in definition.ports}
        for port, value in self._values(result):
            problem = output_fault(self._spec, port, value, classes)
            if problem is not None:
                self._fail("types", replace(problem, node=self._trial.nodes[0]))
                return
        self._pass("types")

    def _judge_determinism(self, whole: RunResult, alone: RunResult) -> None:
        if not self._spec.deterministic:
            self._skip("determinism", "it declares deterministic=False")
            return
        values = dict(self._values(alone))
        for name in self._trial.nodes:
            before, after = whole.nodes[name].outputs, alone.nodes[name].outputs
            for port in after:
                if before.get(port) != after[port]:
                    self._fail("determinism", self._differs(port))
                    return
        unnamed = [port for port, value in values.items() if self._digest(value) is None]
        if not values or unnamed:
            reason = (
                f"output `{unnamed[0]}` has no content digest" if unnamed else "it has no outputs"
            )
            self._skip("determinism", reason)
            return
        self._pass("determinism")

    def _differs(self, port: str) -> Problem:
        return self._problem(
            f"output `{port}` differs between two calls with equal inputs",
            expected="equal bytes",
            hint="Seed random values by an input `Annotated[int, Seed()]`, sort values without an "
            "order, or declare `deterministic=False`.",
        )

    def _judge_keeping(self, result: RunResult) -> None:
        values = [(port, leaf) for port, value in self._values(result) for leaf in _leaves(value)]
        if not values:
            self._skip("kept", "it has no outputs")
            return
        for port, value in values:
            verdict = self._kept(port, value)
            if verdict.state != "passed":
                self._found["kept"] = verdict
                return
        self._pass("kept")

    def _kept(self, port: str, value: Any) -> Verdict:
        serializers = self._session.registry.serializers
        try:
            encoded = encode(value, serializers)
            data = b"".join(encoded.chunks())
            again = decode(bytearray(data), encoded.suffix, serializers)
        except SerializerFailed as error:
            return self._unkept(port, str(error), "`dumps` takes the value and returns bytes.")
        except Unstorable as error:
            return Verdict("kept", "not judged", f"output `{port}` stays in memory: {error}")
        except Undecodable as error:
            return self._unkept(port, str(error), "`loads` takes the bytes that `dumps` returned.")
        before, after = self._digest(value), self._digest(again)
        is_same = type(again) is type(value) and before == after
        if is_same and before is None:
            twice = encode(again, serializers)
            is_same = b"".join(twice.chunks()) == data
        if is_same:
            return Verdict("kept", "passed")
        return self._unkept(port, "it is a different value", "`loads` must reverse `dumps`.")

    def _unkept(self, port: str, reason: str, hint: str) -> Verdict:
        problem = self._problem(
            f"output `{port}` is not the same after saving and loading: {reason}",
            expected="an equal value of the same type",
            hint=hint,
        )
        return Verdict("kept", "failed", problem=problem)

    def _judge_cancelling(self, ask_count: int, result: RunResult) -> None:
        if not ask_count:
            seconds = max(result.nodes[name].seconds for name in self._trial.nodes)
            took = f"{seconds:.0f} s" if seconds >= 1 else "less than a second"
            hint = "; call `ctx.progress` or `ctx.check_cancelled` in code that takes long"
            more = hint if seconds >= 1 else ""
            self._skip("cancel", f"it never checks for cancellation, and took {took}{more}")
            return
        token = CountingToken(self._trial.nodes, stops=True)
        stopped = self._session.run(
            self._trial.workflow, targets=self._trial.nodes, cancel=token, listener=token.on_event
        )
        states = {stopped.nodes[name].status for name in self._trial.nodes if name in stopped.nodes}
        if states <= {"cancelled", "skipped"} and token.asked <= _MOST_ASKS and token.is_heeded:
            self._pass("cancel", f"checks {ask_count} times")
            return
        self._fail(
            "cancel",
            self._problem(
                "continued after its run had been cancelled",
                given=f"checked {token.asked} times, then "
                f"{', '.join(sorted(states)) or 'returned'}",
                expected="to end at the first check",
                hint="Let `Cancelled` pass: an `except` for everything also catches it.",
            ),
        )

    def _values(self, result: RunResult) -> Iterator[tuple[str, Any]]:
        """Yield the outputs of each node by port."""
        for name in self._trial.nodes:
            for port in self._spec.outputs:
                value = result.outputs.get(f"{name}.{port.name}", BLOCKED)
                if type(value) is not Blocked:
                    yield port.name, value

    def _digest(self, value: Any) -> str | None:
        try:
            return digest_value(value, self._session.registry.digesters)
        except (Undigestable, RecursionError):
            return None

    def _problem(self, message: str, **more: str) -> Problem:
        node = self._trial.nodes[0] if self._trial.nodes else None
        return Problem("failed-check", message, node, self._spec.type, **more)

    def _pass(self, check: CheckName, reason: str = "") -> None:
        self._found[check] = Verdict(check, "passed", reason)

    def _skip(self, check: CheckName, reason: str) -> None:
        self._found[check] = Verdict(check, "not judged", reason)

    def _fail(self, check: CheckName, problem: Problem) -> None:
        self._found[check] = Verdict(check, "failed", problem=problem)


def _check_of(error: NodeFailed) -> CheckName:
    cause = error.__cause__
    if isinstance(cause, ChangedInput):
        return "mutation"
    is_count = isinstance(cause, TypeError) and "but declares" in str(cause)
    return "types" if isinstance(cause, WrongOutput) or is_count else "runs"


def _leaves(value: Any) -> Sequence[Any]:
    """Return the values that are stored separately: the items of a list."""
    return value if isinstance(value, list) else [value]


class CountingToken(CancelToken):
    """A cancel token that counts how often some nodes check it.

    Args:
        nodes: Names of these nodes.
        stops: Whether the first check cancels the run.

    Attributes:
        asked: Number of checks.
        is_heeded: Whether no node has ended normally after the run was cancelled.
    """

    def __init__(self, nodes: Collection[str], *, stops: bool = False) -> None:
        super().__init__()
        self._nodes = frozenset(nodes)
        self._stops = stops
        self._running = 0
        self.asked = 0
        self.is_heeded = True

    def on_event(self, event: Event) -> None:
        """A listener for the run's events."""
        if event.node is None or event.node.partition("/")[0] not in self._nodes:
            return
        if event.kind == "node.started":
            self._running += 1
        elif event.kind in ("node.finished", "node.failed"):
            self._running = 0
            self.is_heeded = self.is_heeded and not self.is_set

    @property
    def is_interrupted(self) -> bool:
        if self._running:
            self.asked += 1
            if self._stops:
                self.cancel("a check of whether it is observed")
        return super().is_interrupted


def output_fault(
    spec: NodeSpec, name: str, value: Any, classes: Mapping[str, type]
) -> Problem | None:
    """Return the problem of an output value; None if there is none.

    Args:
        classes: Classes of the values of packs' own port types, by type name.
    """
    port = spec.outputs_by_name[name]
    if value is None and port.nullable:
        return None
    for item in _items(value, port.expr):
        fault = _fault(item, _inner(port.expr), classes)
        if fault:
            return _problem(spec, port, *fault)
    return None


def _items(value: Any, expr: TypeExpr) -> list[Any]:
    """Return the values of the innermost type; a mapped node returns one for each call."""
    return [item for each in value for item in _items(each, expr)] if _is_list(value) else [value]


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _inner(expr: TypeExpr) -> TypeExpr:
    return _inner(expr.item) if expr.is_list else expr


def _fault(value: Any, expr: TypeExpr, classes: Mapping[str, type]) -> tuple[str, str, str] | None:
    """Return the given value, the expected value and how to fix it."""
    if type(value) is Blocked:
        return None
    kind = classes.get(expr.name)
    if kind is not None and not isinstance(value, kind):
        return summarize(value), f"a {kind.__name__}", f"Return a `{kind.__name__}`."
    return _levels_fault(value) if expr.name in ("Image", "Mask") else None


def _levels_fault(tensor: Any) -> tuple[str, str, str] | None:
    name = str(tensor.dtype).removeprefix("torch.")
    if name != "float32":
        return name, "float32", "Return `.float()` of it."
    if tensor.device.type != "cpu":
        return f"on {tensor.device}", "on the CPU", "Return `.cpu()` of it."
    if not tensor.numel():
        return None
    low, high = float(tensor.min()), float(tensor.max())
    if not low - low == high - high == 0.0:
        return (
            "not finite numbers",
            "numbers in 0..1",
            "Look for a division by zero or a logarithm.",
        )
    if low < 0 or high > 1:
        return f"{low:g} to {high:g}", "values in 0..1", "Return `.clamp(0, 1)` of it."
    return None


def _problem(spec: NodeSpec, port: OutputSpec, given: str, expected: str, hint: str) -> Problem:
    return Problem(
        "failed-check",
        f"output `{port.name}` does not match {port.type}",
        node_type=spec.type,
        given=given,
        expected=expected,
        hint=hint,
    )
