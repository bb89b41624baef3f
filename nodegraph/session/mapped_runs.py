"""Run a workflow for each of several parameter values; shared nodes are computed once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any, overload

from nodegraph.core.events import Event
from nodegraph.core.links import plain_number
from nodegraph.core.summary import summarize
from nodegraph.engine.result import RunResult
from nodegraph.errors import InvalidValue, NodegraphError
from nodegraph.observe.progress import Silent
from nodegraph.session.background_task import BackgroundTask, translate_cancellation
from nodegraph.session.scripts import ScriptOptions, WorkflowLike, check_result, with_display
from nodegraph.session.session import Session
from nodegraph.session.shared_sessions import SHARED_SESSIONS

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nodegraph.engine.options import RunOptions
    from nodegraph.session.scripts import ScriptKeywords

Combination = Mapping[str, Any]
"""Values of a run's parameters."""


class MappedRuns(Sequence[RunResult]):
    """Results of several runs, in the order of their parameter values.

    The runs start at once and run together. Iterating waits for each result in turn.

    Attributes:
        combinations: Parameter values of each run.
    """

    def __init__(
        self,
        combinations: Sequence[Combination],
        futures: Sequence[Future[RunResult]],
        ongoing: BackgroundTask[None],
        check: bool,
    ) -> None:
        self.combinations = combinations
        self._futures = futures
        self._ongoing = ongoing
        self._check = check

    def __len__(self) -> int:
        return len(self._futures)

    @overload
    def __getitem__(self, at: int) -> RunResult: ...

    @overload
    def __getitem__(self, at: slice) -> list[RunResult]: ...

    def __getitem__(self, at: int | slice) -> RunResult | list[RunResult]:
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self)))]
        return check_result(self._waited(self._futures[at]), self._check)

    def __iter__(self) -> Iterator[RunResult]:
        return (self[at] for at in range(len(self)))

    def _waited(self, future: Future[RunResult]) -> RunResult:
        try:
            with translate_cancellation():
                return future.result()
        except KeyboardInterrupt:
            self.stop()
            wait([self._ongoing.future])
            raise

    def stop(self) -> None:
        """Stop the unfinished runs at their next step."""
        self._ongoing.stop()

    def __repr__(self) -> str:
        done = sum(future.done() for future in self._futures)
        return f"<MappedRuns: {done} of {len(self)} done>"

    def _repr_html_(self) -> str:
        """Return an HTML sheet of the results and their parameter values; waits for the runs."""
        from nodegraph.session.results.html import sheet_html

        captions = [_combination_text(combination) for combination in self.combinations]
        return sheet_html([self._ended(each) for each in self._futures], captions)

    def _ended(self, future: Future[RunResult]) -> RunResult | NodegraphError:
        """Return the result of a run, or the error that it ended with."""
        try:
            return self._waited(future)
        except NodegraphError as error:
            return error


def _combination_text(combination: Combination) -> str:
    return ", ".join(f"{name}={summarize(value)}" for name, value in combination.items())


def map(  # noqa: A001 - as `nodegraph.map`, it is what `map` is elsewhere
    workflow: WorkflowLike,
    over: Mapping[str, Any],
    *,
    product: bool = False,
    **options: Unpack[ScriptKeywords],
) -> MappedRuns:
    """Run a workflow for each of several values of its parameters.

    The runs start at once and run in parallel. Equal parts are computed once. Sampling steps may
    share batches, depending on the settings.

    Args:
        workflow: A `Workflow`, the dictionary of one, or the path of a file.
        over: For each parameter a list, an array or another iterable of values. As with `zip`, the
            first run takes the first value of each, and all must have the same length. Any other
            value, such as an image, is used in all runs.
        product: Run every combination instead; the last parameter changes fastest.
        options: Options of `run_async`.
    Returns:
        The results in order. Access waits for a result that is not there yet.
    Raises:
        InvalidFile, InvalidWorkflow, InvalidValue: Nothing was run: the workflow is invalid, the
            lists differ in length, or a combination is wrong.
        TypeError: There is no option of this name.
    """
    script_options = ScriptOptions.of(options)
    script = script_options.script(workflow)
    combinations = combinations_of(over, product=product)
    with ExitStack() as stack:
        shown = stack.enter_context(script.display(script_options.progress))
        ways = _options_of_runs(script_options.options, combinations, shown)
        futures: list[Future[RunResult]] = [Future() for _ in combinations]
        begun: Future[None] = Future()

        async def work(session: Session) -> None:
            runs = session.begin_many([script.workflow] * len(ways), ways)
            begun.set_result(None)
            await _deliver_results(runs, futures)

        ongoing = SHARED_SESSIONS.begin(script.session_options, work)
        ongoing.future.add_done_callback(lambda done: _cancel_pending(done, [begun, *futures]))
        with translate_cancellation():
            begun.result()
        closing = stack.pop_all()
        ongoing.future.add_done_callback(lambda _: closing.close())
    return MappedRuns(combinations, futures, ongoing, script_options.check)


async def _deliver_results(runs: Sequence[Any], futures: Sequence[Future[RunResult]]) -> None:
    """Deliver the runs' results as they come; cancelling it ends them."""
    import asyncio

    async def hand_on(run: Any, future: Future[RunResult]) -> None:
        try:
            future.set_result(await run)
        except Exception as error:  # noqa: BLE001 - raised when this result is read
            future.set_exception(error)

    handing = itertools.starmap(hand_on, zip(runs, futures, strict=True))
    # A stopped run does not end it: the loop would be closed, and other runs interrupted.
    await asyncio.gather(*handing, return_exceptions=True)


def _cancel_pending(done: Future[None], futures: Sequence[Future[Any]]) -> None:
    """Cancel or fail the futures that will never get a result."""
    error = None if done.cancelled() else done.exception()
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.cancel()
        else:
            future.set_exception(error)


def combinations_of(values: Mapping[str, Any], *, product: bool) -> list[Combination]:
    """Return the parameter values of each run.

    Raises:
        InvalidValue: There are no lists, they differ in length, or one is an array of several
            dimensions.
    """
    if not isinstance(values, Mapping):
        raise InvalidValue(
            "no parameters are named",
            given=type(values).__name__,
            expected='a list of values for each, as in {"seed": [1, 2, 3]}',
        )
    lists = {
        name: _items(name, argument) for name, argument in values.items() if _is_list(argument)
    }
    fixed = {name: argument for name, argument in values.items() if name not in lists}
    if not lists:
        raise InvalidValue(
            "there are no values to run with",
            given=", ".join(values) or "no values",
            expected='a list of values, as in {"seed": [1, 2, 3]}',
        )
    lengths = {len(argument) for argument in lists.values()}
    if not product and len(lengths) > 1:
        lengths_text = ", ".join(f"{name}: {len(argument)}" for name, argument in lists.items())
        raise InvalidValue(
            "the lists differ in length",
            given=lengths_text,
            expected="the same number of values for each",
            hint="With `product=True` every combination runs.",
        )
    rows = itertools.product(*lists.values()) if product else zip(*lists.values(), strict=True)
    each = [{**fixed, **dict(zip(lists, row, strict=True))} for row in rows]
    return [
        {name: plain_number(value) for name, value in combination.items()} for combination in each
    ]


def _is_list(value: Any) -> bool:
    if _is_array(value):
        return bool(value.ndim)
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))


def _is_array(value: Any) -> bool:
    """Return whether a value is an array of NumPy, torch, pandas or another library."""
    return hasattr(value, "ndim") and hasattr(value, "tolist")


def _items(name: str, values: Any) -> list[Any]:
    if not _is_array(values):
        return list(values)
    if values.ndim != 1:
        raise InvalidValue(
            f"the array for `{name}` has more dimensions than a list",
            given=f"shape {tuple(values.shape)}",
            expected="an array of one dimension",
            hint="Write `list(array)` to run with one value after another, or "
            f"`parameters={{{name!r}: array}}` to use the same array in all runs.",
        )
    listed: list[Any] = values.tolist()
    return listed


def _options_of_runs(
    options: RunOptions, combinations: Sequence[Combination], shown: Silent
) -> list[RunOptions]:
    """Return the options of each run, with one display for all."""
    display_options = with_display(options, shown)
    together = (
        _CombinedListener(display_options.listener)
        if display_options.listener is not None
        else None
    )
    return [
        display_options.with_changes(
            parameters={**(options.parameters or {}), **combination},
            listener=None if together is None else together.listener_for(at),
        )
        for at, combination in enumerate(combinations)
    ]


class _CombinedListener:
    """Sends the events of several runs to one listener, as if they were a single run."""

    def __init__(self, listener: Callable[[Event], None]) -> None:
        self._listener = listener
        self._lock = Lock()
        self._nodes = 0

    def listener_for(self, at: int) -> Callable[[Event], None]:
        """Return the listener of one of the runs."""

        def tell(event: Event) -> None:
            with self._lock:
                self._listener(self._renamed(event, f"#{at + 1} "))

        return tell

    def _renamed(self, event: Event, before: str) -> Event:
        node = None if event.node is None else f"{before}{event.node}"
        data = dict(event.data)
        if event.kind == "job.started":
            self._nodes += data["nodes"]
            data["nodes"] = self._nodes
        elif isinstance(data.get("nodes"), list):
            data["nodes"] = [f"{before}{name}" for name in data["nodes"]]
        return replace(event, node=node, data=data)
