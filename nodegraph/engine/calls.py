"""Life cycle of a call: answered from the cache, joined to an equal one, or run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from nodegraph.core.digests import digest_value
from nodegraph.core.file_access import file_links_to_check
from nodegraph.core.keys import Key, call_key
from nodegraph.core.ports import BLOCKED
from nodegraph.engine.cache import CallOutputs, is_in_memory
from nodegraph.engine.call_records import (
    CallRecorder,
    estimate_of,
    warnings_of_written,
    weights_of,
    written_before,
)
from nodegraph.engine.expansion import expand
from nodegraph.engine.external_reads import ExternalReads, look_up
from nodegraph.engine.external_results import ComputedElsewhere, Fetching, RemoteLookups, Waiting
from nodegraph.engine.invocation import Invoker, answer_lazily, run_lazily
from nodegraph.engine.lanes import ANY_BATCH, Priority
from nodegraph.engine.product import BLOCKED_DIGEST, Product, blocked, find_blocker
from nodegraph.engine.result import CacheSource
from nodegraph.engine.run_graph import raw_digests
from nodegraph.engine.runtime import FunctionResult, RunScheduler
from nodegraph.engine.states import Call, NodeState, did_not_run, node_failure, usable
from nodegraph.errors import Cancelled
from nodegraph.store.entries import UI, CallWarning, OutputGone


class Calls:
    """The calls of one run.

    Args:
        run: Is told when a call has ended, and when the scheduler itself is at fault.
        workflow: The document that sinks keep.
    """

    def __init__(
        self,
        run: RunScheduler,
        workflow: Mapping[str, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._run = run
        self._shared = run.shared
        self._keeping = CallRecorder(run.shared, run.states, run.id)
        self._invoker = Invoker(run, workflow, self._keeping)
        self._loop = loop
        self._fetching = Fetching(run, self, loop)
        self._far = RemoteLookups(run, self, loop)
        self._waiting = Waiting(run, self, loop)
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: dict[Call, Call] = {}
        self._held: list[Call] = []

    def begin(self, call: Call) -> None:
        """Answer a call from the cache, join an equal one in flight, or run it."""
        state = call.state
        spec = state.node.spec
        digests = {port: product.digest for port, product in call.inputs.items()}
        if BLOCKED_DIGEST in digests.values():
            self._block(call)
            return
        if "fingerprint" in spec.hooks or file_links_to_check(
            spec, call.inputs, self._shared.environment
        ):
            if not self._has_values(call):
                self._fetching.fetch(call, self.begin)
                return
            try:
                call.fingerprint = self._invoker.fingerprint(call)
            except Exception as error:  # noqa: BLE001 - the border with pack code: a hook may raise anything
                self.fail(call, error)
                return
        assert state.base is not None
        if call.key:  # it is begun anew
            call.readings = ExternalReads()
            call.warnings.clear()
        if spec.reads_graph:
            call.readings.local = self._run.reads_of(state)
            digests |= raw_digests(state.node)
        call.key = call_key(state.base, digests, call.fingerprint)
        if state.lazy_ports:
            # Not joined to an equal one: that one may be what this one will ask for.
            self._start_lazily(call)
        elif not state.node.is_repeatable:
            if not self._is_written(call):
                self.run(call)
        elif not self._answered(call):
            self._shared.in_flight[call.key] = call
            call.is_shared = True
            self._far.look_up(call)

    def _block(self, call: Call) -> None:
        """Complete a call of a mapped node whose item is blocked: so is what comes of it."""
        blocker = find_blocker(call.inputs.values()) or BLOCKED
        outputs = call.state.node.spec.outputs
        if blocker.message and call.state.node.spec.output:
            text = did_not_run(blocker.message)
            call.warn(text, "warning")
            self._run.events.emit("log", call.name, message=text, level="warning")
        self.complete(call, tuple(blocked(blocker) for _ in outputs), source="memory")

    def _start_lazily(self, call: Call) -> None:
        self.spawn(call, answer_lazily(self._run, call, self._run_lazily))

    def _run_lazily(self, call: Call) -> None:
        self.spawn(call, run_lazily(self._run, self._invoker, self._keeping, call))

    def _answered(self, call: Call) -> bool:
        if self.answer_from_cache(call):
            return True
        leader = self._shared.in_flight.get(call.key)
        if leader is None:
            return False
        leader.followers[call] = self._follow
        self._following[call] = leader
        return True

    def answer_from_cache(self, call: Call, *, is_shared: bool = False) -> bool:
        """Complete a call with what is known under its key, if anything is.

        Args:
            is_shared: Another process has computed it for both just now.
        """
        passed: list[Key] = []
        inputs = self._shared.environment.inputs
        get = self._shared.cache.get
        key, cached = look_up(call.key, get, inputs, passed, call.readings.local)
        entry = usable(cached, call.state)
        if entry is None:
            return False
        call.answer_key, call.was_open = key, bool(passed)
        self.answer_with(call, entry, is_shared=is_shared)
        return True

    def answer_with(self, call: Call, entry: CallOutputs, *, is_shared: bool = False) -> None:
        """Complete a call with what was computed earlier."""
        is_on_disk = not is_in_memory(entry)
        if is_on_disk:
            self._run.pin(entry.products)
        source: CacheSource = "disk" if is_on_disk else "memory"
        source = "shared" if is_shared else source
        self._warn_again(call, entry.warnings)
        self.complete(call, entry.products, source=source, saved=entry.seconds)

    def _warn_again(self, call: Call, warnings: Iterable[CallWarning]) -> None:
        """Tell what was said of a result when it was computed, once for each node of the run."""
        for warning in warnings:
            if warning.level == UI:
                call.warnings[warning] = None  # goes with the end of the node
            elif call.warn_again(warning):
                name = f"{call.name}{warning.inner}"
                self._run.events.emit("log", name, message=warning.message, level=warning.level)

    def _is_written(self, call: Call) -> bool:
        """Whether a sink's files lie there already; then it has ended."""
        node, written = call.state.node, self._shared.written
        if written is None or node.always or not node.spec.output_files:
            return False
        files = written_before(written, call.key, self._shared.environment, call.name)
        if files is None:
            return False
        for file in files:
            self._run.files.append(file)
            self._run.events.emit(
                "node.wrote", call.name, path=str(file.path), file=file.kind, existed=True
            )
        self._warn_again(call, warnings_of_written(written, call.key, self._shared.environment))
        self.complete(call, (), source="files")
        return True

    def _follow(self, call: Call, leader: Call, error: BaseException | None) -> None:
        """An equal call that this one waited for has ended."""
        del self._following[call]
        with self._run.end_on_fault():
            if isinstance(error, Cancelled) or not self._is_common(call, leader, error):
                self.begin(call)  # this one still wants a result, of its own
            elif error is not None:
                self.fail(call, error)
            else:
                assert leader.outputs is not None
                call.was_open = not leader.is_closed
                self._warn_again(call, leader.kept_warnings)
                self.complete(call, leader.outputs, source="shared")

    def _is_common(self, call: Call, leader: Call, error: BaseException | None) -> bool:
        """Whether how a call has ended is what equal ones that began later would come to."""
        if error is not None:
            return leader.readings.are_unchanged(self._shared.environment.inputs)
        is_same = leader.is_repeatable and leader.is_sound
        return is_same and leader.readings.hold_for(call.readings.local)

    # Values of inputs

    def _has_values(self, call: Call) -> bool:
        """Whether the values of a call's inputs are in memory."""
        return all(product.is_loaded for product in call.inputs.values())

    def release_followers(self, call: Call) -> None:
        """Nobody waits any more for a call whose inputs have to be computed again first.

        An equal call may be among those that compute them: where a function gives back what it
        was given, those before and after it have one key.
        """
        self._leave_flight(call)
        followers, call.followers = call.followers, {}
        for follower, follow in followers.items():
            # Told as if this one had been cancelled: they begin anew.
            follow(follower, call, Cancelled("it had to be started again"))

    def restart(self, call: Call) -> None:
        """Begin a call anew, as one of its inputs had to be computed again and may differ."""
        try:
            call.inputs = self._run.inputs_of(call)
        except Exception as error:  # noqa: BLE001 - what it is linked to may be another world's
            self.fail(call, error)
        else:
            self.begin(call)

    # Running

    def run(self, call: Call, act: Callable[[Call], None] | None = None) -> None:
        """Run a call once the values of its inputs are in memory.

        Args:
            act: What runs it, if not its lane or task.
        """
        act = act or self._dispatch
        if self._has_values(call):
            act(call)
        else:
            self._fetching.fetch(call, act)

    def _dispatch(self, call: Call) -> None:
        if self._run.cancel.is_set:
            self.fail(call, self._run.cancel.error())
            return
        spec = call.state.node.spec
        call.batch_label = self._label(call)
        if spec.is_async:
            if self._run.cancel.is_paused:
                self._held.append(call)
            else:
                self.spawn(call, self._await(call))
            return
        work = partial(self._invoker.invoke, call)
        done = partial(self._returned, call)
        self._shared.lanes[spec.lane].submit(
            self._run,
            self._loop,
            self._priority(call),
            work,
            done,
            share=self._run.share,
            expected=self._shared.expected_seconds(spec),
            batch_label=call.batch_label,
        )
        self._invoker.prepare(call)

    def _label(self, call: Call) -> str:
        """What calls must agree in to run beside this one; empty where none may."""
        state = call.state
        if (
            self._shared.merging is None
            or state.node.spec.lane != "gpu"
            or self._run.check_mutation
        ):
            return ""
        nodes = {source: self._run.states[source].node for source in state.sources}
        estimate = estimate_of(state.node, nodes, self._shared)
        if estimate.memory == 0:
            return ANY_BATCH
        weights = sorted(set(weights_of(call).values()))
        return digest_value([estimate.alike, weights]) if estimate.alike and weights else ""

    def _priority(self, call: Call) -> Priority:
        """What frees most memory goes first, then what has the longest way still to go."""
        state = call.state
        if state.frees is None:
            # Once for all its calls: a list is long to measure.
            state.frees = 0
            for source in state.sources:
                upstream = self._run.states[source]
                if upstream.consumers == 1 and upstream.products:
                    state.frees += sum(product.resident_size for product in upstream.products)
        return (-state.frees, -state.depth)

    def _returned(self, call: Call, answer: Any, error: BaseException | None) -> None:
        # What this makes ready begins at once, so that it competes with what waits for the lane.
        with self._run.end_on_fault(), self._run.pumping():
            if error is None:
                self.answer(call, answer)
            elif not self._goes_on(call, error):
                self.fail(call, error)

    def _goes_on(self, call: Call, error: BaseException) -> bool:
        """Whether what kept a call from running is no failure: it waits, or begins again."""
        if isinstance(error, ComputedElsewhere):
            if call.is_claimed:
                self._waiting.release(call)
            self._waiting.wait(call)
        elif isinstance(error, OutputGone):
            # The value of an input was there a moment ago.
            is_lazy = bool(call.state.lazy_ports)
            self._fetching.fetch(call, self._run_lazily if is_lazy else self._dispatch)
        else:
            return False
        return True

    async def _await(self, call: Call) -> None:
        with self.failing(call):
            self.answer(call, await self._invoker.invoke_async(call, {}))

    @contextmanager
    def failing(self, call: Call) -> Iterator[None]:
        """What an async node raises inside the `with` is its call's failure."""
        try:
            yield
        except (Exception, SystemExit) as error:
            if call.has_ended:
                raise
            if not self._goes_on(call, error):
                self.fail(call, error)

    def spawn(self, call: Call, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a part of a call as a task, which ends with the run."""
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(partial(self._task_ended, call))

    def _task_ended(self, call: Call, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        with self._run.end_on_fault():
            if not task.cancelled():
                task.result()
            elif self._run.cancel.is_set:
                self.fail(call, self._run.cancel.error())
            else:
                self.fail(call, RuntimeError("the node cancelled its own task"))

    def resume(self) -> None:
        """Let the async nodes begin that were held back while the run was paused."""
        held, self._held = self._held, []
        for call in held:
            self._dispatch(call)

    def stop(self) -> None:
        """End what waits or can be interrupted; what runs in a thread ends at its next step."""
        cancelled = self._run.cancel.error()
        for call, leader in tuple(self._following.items()):
            del leader.followers[call]
            del self._following[call]
            self.fail(call, cancelled)
        self.resume()
        self._waiting.stop()
        self._shared.lanes.withdraw(self._run, cancelled)
        for task in tuple(self._tasks):
            task.cancel()

    # Ending

    def answer(self, call: Call, answer: FunctionResult) -> None:
        """A call's function has returned."""
        state = call.state
        state.seconds += answer.seconds
        state.loading += answer.loading
        if answer.memory is not None:
            state.memory = max(state.memory or 0, answer.memory)
        if answer.expansion is None:
            self.keep(call, answer.products, answer.seconds)
            self.complete(call, answer.products)
            return
        # Its own fragment may hold an equal call, which must not wait for this one.
        self._leave_flight(call)
        try:
            expand(self._run, call, answer)
        except Exception as error:  # noqa: BLE001 - a fragment is pack code's word, and may be anything
            self.fail(call, error)

    def keep(self, call: Call, products: tuple[Product, ...], seconds: float) -> None:
        """Keep a call's outputs, in memory and on disk."""
        spec = call.state.node.spec
        if spec.deterministic and not spec.output and call.is_sound:
            self._keeping.note_readings(call, seconds)
            outputs = CallOutputs(products, seconds, call.kept_warnings)
            self._shared.cache.keep(call.result_key, outputs)
            if not call.is_stored:
                self._keeping.store(call, products, seconds)

    def complete(
        self,
        call: Call,
        products: tuple[Product, ...],
        *,
        source: CacheSource = "",
        saved: float = 0.0,
    ) -> None:
        """A call has its outputs."""
        call.outputs = products
        call.cached_from = source
        call.saved = saved
        self._end(call, None)

    def note_length(self, state: NodeState) -> None:
        """A node that is mapped over a list has ended well."""
        self._keeping.record_length(state)

    def fail(self, call: Call, error: BaseException) -> None:
        """A call has raised."""
        was_cancelled = isinstance(error, Cancelled) and self._run.cancel.is_set
        if not was_cancelled and call.state.error is None:
            call.state.error = node_failure(call, error)
        self._end(call, error)

    def abandon(self, call: Call) -> None:
        """A call ends without outputs, as something that it needs has none."""
        self._end(call, Cancelled("a call that it waited for was cancelled or failed"))

    def _end(self, call: Call, error: BaseException | None) -> None:
        call.has_ended = True
        self._leave_flight(call)
        if call.followers:
            followers, call.followers = call.followers, {}
            for follower, follow in followers.items():
                follow(follower, call, error)
        self._run.call_ended(call)

    def _leave_flight(self, call: Call) -> None:
        if self._shared.in_flight.get(call.key) is call:
            del self._shared.in_flight[call.key]
        if call.is_claimed:
            self._waiting.release(call)
