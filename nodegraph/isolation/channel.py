"""Messages between the main process and the process of a pack, both ways and nested.

A message is a frame: lengths, a head, a value as `store.msgpack_codec` packs it, and the bytes of
its tensors. Either side sends requests. While a request waits for its answer, the other side may
send requests within it, such as progress within the call of a node: the thread that waits serves
them. So all that belongs to one call runs in the call's own thread, on both sides.

What the other side sends is data: it names no code to be run.
"""

from __future__ import annotations

import builtins
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from time import monotonic
from traceback import FrameSummary, extract_tb, format_list
from typing import Any, BinaryIO, TypeAlias, cast

import msgpack

from nodegraph.errors import Cancelled, InvalidValue, InvalidWorkflow, NodegraphError, Problem
from nodegraph.isolation.message_tensors import INLINE, BlockSource, MemoryBlocks, taken
from nodegraph.isolation.shared_memory import SharedMemory
from nodegraph.store import msgpack_codec
from nodegraph.store.msgpack_codec import Serializers, Unstorable

REQUEST, ANSWER, ERROR, NOTICE, TAKEN = range(5)
_LENGTHS = struct.Struct("<IQ")
_LONGEST_HEAD = 1 << 24
_PART = 64 << 20
"""Bytes that are set aside for what comes; twice as much each time that these are full."""
_LONGEST_TEXT = 100_000
"""Characters of an error's text."""
_HERE = str(Path(__file__).parent)
_POLL = 0.1
"""Seconds between looks at whether a run was cancelled."""
Serve: TypeAlias = Callable[[str, Any, int], Any]
"""Answers a request: gets its name, its value, and its number for requests within it."""


_WAITS_HERE = frozenset({"lazy", "service", "check_cancelled"})
"""Requests within a call for which this end computes, or waits for the user."""
_IMPORTING = frozenset({"open", "prepare", "declare"})
"""Requests that import a pack, whose time has a limit of its own."""


class ProcessEnded(Exception):
    """The process at the other end is gone."""


class RequestOverdue(ProcessEnded):
    """The process was ended because this request took too long."""


class ChannelStopped(BaseException):
    """A call is not wanted any more. No `Exception`: the pack's code must not go on with it."""


@dataclass(frozen=True, slots=True)
class ChannelMessage:
    """A message.

    Attributes:
        kind: `REQUEST`, `ANSWER`, `ERROR` or `NOTICE`, which nobody answers.
        number: Of the request.
        within: Number of the request that it belongs to; 0 for none.
        name: Of what is asked for.
        body: The value, packed.
        views: Bytes of the value's tensors; empty once the value was taken.
        kept: Number under which the sender keeps what this frame refers to; 0 for nothing.
    """

    kind: int
    number: int
    within: int
    name: str
    body: bytes | bytearray
    views: list[Any] = field(default_factory=list)
    kept: int = 0


class _Exchange:
    """A request that waits for its answer, and the time that the other end has spent on it."""

    def __init__(
        self,
        put: Callable[[ChannelMessage | ProcessEnded], object],
        name: str = "",
        *,
        is_nested: bool = False,
    ) -> None:
        self.put, self.is_nested = put, is_nested
        self.is_call = name not in _IMPORTING
        self._running_since = monotonic()
        self._seconds = 0.0
        self._waiting = 0

    @property
    def seconds(self) -> float:
        """Without the time for which the other end waited for this one."""
        is_running = not self._waiting
        return self._seconds + (monotonic() - self._running_since if is_running else 0.0)

    def pause(self) -> None:
        self._seconds = self.seconds
        self._waiting += 1

    def resume(self) -> None:
        self._waiting -= 1
        self._running_since = monotonic()

    def restart(self) -> None:
        """Count from now on."""
        self._seconds, self._running_since = 0.0, monotonic()


class Channel:
    """One end of a connection. Safe to use from several threads.

    Args:
        reader, writer: Unbuffered streams of bytes.
        serve: Answers requests that belong to no other, in threads that it chooses: it gets the
            frame, and calls `respond`.
        first: 1 at one end and 2 at the other, so that numbers of requests are unique.
        serializers: Of classes that messages have no form for.
        memory: Shared with the other end; None sends all tensors in frames.
        closed: Called once the other end is gone, before those who wait hear of it.

    Attributes:
        takes_turns: The other end works on one request at a time, so that the time of the next one
            counts from when it has answered the last one.
    """

    def __init__(
        self,
        reader: BinaryIO,
        writer: BinaryIO,
        serve: Callable[[ChannelMessage], object],
        *,
        first: int,
        serializers: Serializers,
        memory: SharedMemory | None = None,
        closed: Callable[[], object] = lambda: None,
    ) -> None:
        self.takes_turns = False
        self._memory = memory
        self._kept: dict[int, list[Any]] = {}
        self._kept_numbers = count(1)
        self._reader, self._writer = reader, writer
        self._serve = serve
        self._numbers = count(first, 2)
        self._serializers = serializers
        self.closed = closed
        self._exchanges: dict[int, _Exchange] = {}
        self._writing = Lock()
        self._lock = Lock()
        self._errors: dict[int, BaseException] = {}
        self._error_numbers = count(1)
        self._ended: ProcessEnded | None = None

    def start(self, name: str) -> Thread:
        """Begin to read in a new thread, and return it."""
        thread = Thread(target=self.read, name=name, daemon=True)
        thread.start()
        return thread

    def read(self) -> None:
        """Read messages until the other end is gone."""
        try:
            while (frame := self._read_frame()) is not None:
                self._deliver(frame)
        except Exception as error:  # noqa: BLE001 - a pack may have written anything there
            ended = ProcessEnded(f"what it sent is damaged: {error}")
        else:
            ended = ProcessEnded("it ended")
        self.closed()
        self.end(ended)

    def end(self, error: ProcessEnded) -> None:
        """Let all that wait know that no answer will come."""
        with self._lock:
            self._ended = self._ended or error
            waiting, self._exchanges = self._exchanges, {}
        for exchange in waiting.values():
            exchange.put(error)

    def _read_frame(self) -> ChannelMessage | None:
        lengths = self._read(_LENGTHS.size)
        if lengths is None:
            return None
        head_length, length = _LENGTHS.unpack(lengths)
        if head_length > _LONGEST_HEAD:
            raise ValueError("no message of this kind of process")
        head = self._read(head_length)
        body = self._read(length)
        if head is None or body is None:
            return None
        kind, number, within, name, kept, locations = msgpack.unpackb(head)
        inline = [self._read(size) for how, size, *_ in locations if how == INLINE]
        if any(block is None for block in inline):
            return None
        views = taken(locations, cast("list[bytearray]", inline), self._memory)
        return ChannelMessage(kind, number, within, name, body, views, kept)

    def _read(self, size: int) -> bytearray | None:
        # What is only announced takes no memory: a pack may announce anything.
        data, at = bytearray(min(size, _PART)), 0
        while at < size:
            if at == len(data):
                data.extend(bytes(min(size - at, len(data))))
            with memoryview(data) as view:
                length = self._reader.readinto(view[at:])  # type: ignore[attr-defined]
            if not length:
                return None
            at += length
        return data

    def _deliver(self, frame: ChannelMessage) -> None:
        if frame.kind == TAKEN:
            self._kept.pop(frame.number, None)
            return
        about = frame.number if frame.kind in (ANSWER, ERROR) else frame.within
        if not about:
            self._serve(frame)
            return
        with self._lock:
            done = frame.kind in (ANSWER, ERROR)
            exchange = self._exchanges.pop(about, None) if done else self._exchanges.get(about)
            if self.takes_turns and done and exchange is not None and not exchange.is_nested:
                for other in self._exchanges.values():
                    other.restart()
        if exchange is not None:
            exchange.put(frame)
        else:
            self.drop(frame)

    def drop(self, frame: ChannelMessage) -> None:
        """Take a frame that nobody waits for: refuse a request."""
        if frame.kind == REQUEST or frame.kept:
            # Not in this thread, which must never wait for the other end to read.
            Thread(target=self._drop, args=(frame,), daemon=True).start()

    def _drop(self, frame: ChannelMessage) -> None:
        if frame.kind == REQUEST:
            self.respond(frame, _refuse)
        else:
            self._take(frame)

    def _take(self, frame: ChannelMessage) -> None:
        """Tell the other end that what a frame refers to is held here."""
        if frame.kept:
            with suppress(ProcessEnded):
                self.send(TAKEN, frame.kept, 0, "", None)

    # Time

    @contextmanager
    def pausing(self, frame: ChannelMessage) -> Iterator[None]:
        """Inside, the other end waits for this one: that is no time of its call."""
        exchange = self._exchanges.get(frame.within) if frame.name in _WAITS_HERE else None
        if exchange is None:
            yield
            return
        with self._lock:
            exchange.pause()
        try:
            yield
        finally:
            with self._lock:
                exchange.resume()

    def end_overdue(self, seconds: float, end: Callable[[], object]) -> None:
        """End the other process if it has worked on one call for longer than some seconds.

        Args:
            end: Ends the process. The request fails with `RequestOverdue`, others as usual.
        """
        with self._lock:
            # Others may only have waited for the first one.
            calls = [key for key, each in self._exchanges.items() if each.is_call]
            first = max(calls, key=lambda key: self._exchanges[key].seconds, default=0)
            if not first or self._exchanges[first].seconds <= seconds:
                return
            exchange = self._exchanges.pop(first)
        end()
        with suppress(RuntimeError):  # the event loop of an async call may be closed
            exchange.put(RequestOverdue("it took too long"))

    def trim(self, kept: int) -> None:
        """Give back memory of this end's pool that no message uses, but for some bytes."""
        if self._memory is not None:
            self._memory.own.trim(kept)

    # Sending

    def send(self, kind: int, number: int, within: int, name: str, value: Any) -> None:
        """Send a message.

        Raises:
            Unstorable: The value has no form in messages.
            ProcessEnded: The other end is gone.
        """
        sink = MemoryBlocks(self._memory)
        try:
            body = msgpack_codec.pack(value, self._serializers, sink)
        except BaseException:
            sink.withdraw()
            raise
        kept = next(self._kept_numbers) if sink.kept else 0
        if kept:
            self._kept[kept] = sink.kept
        head = msgpack.packb([kind, number, within, name, kept, sink.locations])
        start = _LENGTHS.pack(len(head), len(body)) + head + body
        try:
            with self._writing:
                for part in (start, *sink.blocks):
                    self._write(part)
        except (OSError, ValueError) as error:
            raise self._ended or ProcessEnded(f"it takes no messages: {error}") from error

    def _write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            view = view[self._writer.write(view) :]

    def notify(self, name: str, value: Any, within: int = 0) -> None:
        """Send a message that nobody answers."""
        self.send(NOTICE, 0, within, name, value)

    def request(
        self,
        name: str,
        value: Any,
        *,
        within: int = 0,
        serve: Serve | None = None,
        look: Callable[[int], object] | None = None,
        begun: Callable[[int], object] | None = None,
    ) -> Any:
        """Send a request, wait for its answer, and return that.

        Args:
            within: The request of the other end that this one belongs to.
            serve: Answers requests within this one.
            look: Called ten times a second, with the request's number.
            begun: Called with the request's number once it is sent.
        Raises:
            Exception: What the other end raised.
            ProcessEnded: The other end is gone.
        """
        queue: SimpleQueue[ChannelMessage | ProcessEnded] = SimpleQueue()
        number = self.begin(name, value, queue.put, within=within)
        if begun is not None:
            begun(number)
        looked = monotonic()
        while True:
            # Not only if nothing comes: a function that ignores errors may ask again and again.
            if look is not None and monotonic() - looked >= _POLL:
                look(number)
                looked = monotonic()
            try:
                frame = queue.get(timeout=None if look is None else _POLL)
            except Empty:
                continue
            if isinstance(frame, ProcessEnded):
                raise frame
            if frame.kind in (ANSWER, ERROR):
                return self.result(frame)
            self.respond(frame, serve or _refuse)

    def begin(
        self,
        name: str,
        value: Any,
        put: Callable[[ChannelMessage | ProcessEnded], object],
        *,
        within: int = 0,
    ) -> int:
        """Send a request and return its number.

        Args:
            put: Takes the frames that belong to it, in the thread that reads: requests within it,
                for `respond`, and the answer, for `result`.
        """
        with self._lock:
            if self._ended is not None:
                raise self._ended
            number = next(self._numbers)
            self._exchanges[number] = _Exchange(put, name, is_nested=bool(within))
        try:
            self.send(REQUEST, number, within, name, value)
        except BaseException:
            with self._lock:
                self._exchanges.pop(number, None)
            raise
        return number

    def wait_for_end(self, number: int, seconds: float) -> bool:
        """Wait until a request has its answer; False if it has none after some seconds."""
        ended = Event()
        with self._lock:
            if number not in self._exchanges:
                return True
            self._exchanges[number] = _Exchange(partial(self._note_end, ended))
        return ended.wait(seconds)

    def _note_end(self, ended: Event, frame: ChannelMessage | ProcessEnded) -> None:
        if not isinstance(frame, ProcessEnded):
            self.drop(frame)
            if frame.kind not in (ANSWER, ERROR):
                return
        ended.set()

    def result(self, frame: ChannelMessage) -> Any:
        """The value of an answer.

        Raises:
            Exception: The answer is an error.
        """
        value = self.value(frame)
        if frame.kind == ANSWER:
            return value
        raise self._error(value)

    def value(self, frame: ChannelMessage) -> Any:
        """The value of a message."""
        self._take(frame)
        is_copied = self._memory is not None and self._memory.is_copied
        source = BlockSource(frame.views.copy(), is_copied=is_copied)
        # Whoever has the frame still would hold the memory: the next message would get cold one.
        frame.views.clear()
        return msgpack_codec.unpack(frame.body, self._serializers, source)

    def respond(self, frame: ChannelMessage, serve: Serve) -> None:
        """Answer a request with what a function returns or raises."""
        try:
            with self.pausing(frame):
                answer = serve(frame.name, self.value(frame), frame.number)
        except BaseException as error:  # noqa: BLE001 - the other end receives each of them
            if frame.kind == REQUEST:
                self.fail(frame.number, error)
        else:
            if frame.kind == REQUEST:
                self.answer(frame.number, answer)

    def answer(self, number: int, value: Any) -> None:
        """Answer a request; a value without a form in messages becomes an error."""
        try:
            self.send(ANSWER, number, 0, "", value)
        except Unstorable as error:
            self.fail(number, InvalidValue(f"this value cannot go to another process: {error}"))
        except ProcessEnded:
            return  # nobody waits any more

    def fail(self, number: int, error: BaseException) -> None:
        """Answer a request with an error."""
        form = error_to_plain(error)
        if "own" not in form:
            with self._lock:
                form["error"] = next(self._error_numbers)
                self._errors[form["error"]] = error
                if len(self._errors) > 1000:
                    del self._errors[next(iter(self._errors))]
        try:
            self.send(ERROR, number, 0, "", form)
        except ProcessEnded:
            return  # nobody waits any more

    def _error(self, form: Mapping[str, Any]) -> BaseException:
        # An error that went to the other end and comes back is the same one again.
        known = self._errors.pop(form.get("own", 0), None)
        return known or error_from_plain(form)


def _refuse(name: str, value: Any, number: int) -> Any:
    raise Cancelled(f"the call has ended that asks for `{name}`")


# Errors


def error_to_plain(error: BaseException) -> dict[str, Any]:
    """An error as a plain value.

    Its traceback begins at the first frame that is not of the processes themselves.
    """
    kind = type(error)
    form: dict[str, Any] = {"module": kind.__module__, "name": kind.__qualname__}
    own = getattr(error, "_nodegraph_error", None)
    if own is not None:
        form["own"] = own
    if not isinstance(error, Exception):
        form["stops"] = True
    if isinstance(error, NodegraphError):
        form["problems"] = [asdict(problem) for problem in error.problems]
        form["several"] = isinstance(error, InvalidWorkflow)
    form["message"] = _text(error)[:_LONGEST_TEXT]
    form["trace"] = getattr(error, "pack_trace", "") or "".join(format_list(_frames(error)))
    return form


def _frames(error: BaseException) -> list[FrameSummary]:
    frames = extract_tb(error.__traceback__)
    return [frame for frame in frames if not frame.filename.startswith(_HERE)]


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a pack's own exception class may raise anything
        return ""


def error_from_plain(form: Mapping[str, Any]) -> BaseException:
    """The error of a plain value.

    One of nodegraph's own is of its class. Others are of a class of their name, which is derived
    from that name's built-in class where there is one. They bring the traceback of the pack's
    code as `pack_trace`.
    """
    error: BaseException
    if form.get("stops"):
        # The text names the class where a pack raises `SystemExit` or its own exception.
        name = str(form["name"]).rpartition(".")[2]
        error = type(name, (ChannelStopped,), {})(form.get("message", ""))
    elif "problems" in form:
        error = _nodegraph_error(form)
    else:
        error = _pack_error(form["module"], form["name"], form["message"])
    vars(error)["pack_trace"] = form.get("trace", "")
    vars(error)["_nodegraph_error"] = form.get("error")
    return error


def _nodegraph_error(form: Mapping[str, Any]) -> NodegraphError:
    problems = [Problem(**problem) for problem in form["problems"]]
    if form.get("several"):
        return InvalidWorkflow(problems)
    kind = getattr(sys.modules.get(form["module"]), form["name"], None)
    is_known = isinstance(kind, type) and issubclass(kind, NodegraphError)
    # A class that only the other end has loaded is known by what it is derived from.
    known = cast("type[NodegraphError]", kind) if is_known else NodegraphError
    error = known.__new__(known)
    error.problem = problems[0]
    error.args = (str(problems[0]),)
    return error


def _pack_error(module: str, name: str, message: str) -> Exception:
    base: Any = getattr(builtins, name, Exception) if module == "builtins" else Exception
    is_error = isinstance(base, type) and issubclass(base, Exception)
    # A group of errors cannot be made without these.
    if not is_error or issubclass(base, getattr(builtins, "BaseExceptionGroup", ())):
        base = Exception
    own = {"__str__": lambda self: message, "__module__": module, "__qualname__": name}
    kind: Any = type(name.rpartition(".")[2], (base,), own)
    error: Exception = kind.__new__(kind)
    error.args = (message,)
    return error
