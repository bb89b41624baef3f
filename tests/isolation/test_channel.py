"""Messages between processes, and the memory that they share."""

from __future__ import annotations

import gc
import math
import os
import random
import struct
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from threading import Thread
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.core.foreign_value import ForeignValue
from nodegraph.core.ports import Serializer
from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue, NodegraphError
from nodegraph.isolation import channel
from nodegraph.isolation.channel import Channel, ChannelMessage, ProcessEnded, error_from_plain
from nodegraph.isolation.runner import Portable
from nodegraph.isolation.shared_memory import LEAST, OtherPool, OwnPool, SharedMemory, new_file
from tests.properties import examples


class Ends:
    """Both ends of a connection, in one process.

    Attributes:
        near, far: The ends; `far` answers each request with its value.
        answers: What `far` answers instead, by the name of the request.
    """

    def __init__(self, *, is_shared: bool) -> None:
        to_far, to_near = os.pipe(), os.pipe()
        memories: list[SharedMemory | None] = [None, None]
        if is_shared:
            files = [new_file(), new_file()]
            assert files[0] is not None
            assert files[1] is not None
            self.pool = OwnPool(files[0])
            memories = [
                SharedMemory(self.pool, OtherPool(os.dup(files[1]))),
                SharedMemory(OwnPool(files[1]), OtherPool(os.dup(files[0])), returns=False),
            ]
        self.memories = memories
        self.answers: dict[str, Callable[[Any], Any]] = {}
        foreign = Portable({ForeignValue: Serializer("nodegraph.ForeignValue")})
        self.streams = [
            os.fdopen(to_near[0], "rb", buffering=0),
            os.fdopen(to_far[1], "wb", buffering=0),
            os.fdopen(to_far[0], "rb", buffering=0),
            os.fdopen(to_near[1], "wb", buffering=0),
        ]
        reader, writer, far_reader, far_writer = (cast(BinaryIO, each) for each in self.streams)
        self.near = Channel(
            reader, writer, self._refuse, first=1, serializers=foreign, memory=memories[0]
        )
        self.far = Channel(
            far_reader, far_writer, self._serve, first=2, serializers=foreign, memory=memories[1]
        )
        self.threads = [self.near.start("near"), self.far.start("far")]

    def _refuse(self, frame: ChannelMessage) -> None:
        raise AssertionError(frame.name)

    def _serve(self, frame: ChannelMessage) -> None:
        Thread(target=self.far.respond, args=(frame, self._answer)).start()

    def _answer(self, name: str, value: Any, number: int) -> Any:
        if name == "twice":  # asks within the request what its answer is to be
            return self.far.request("more", value, within=number)
        if name == "fail":
            raise InvalidValue("is wrong", given="this", port="a", hint="Change it.")
        if name == "key":
            return {}["missing"]
        answer = self.answers.get(name)
        return value if answer is None else answer(value)

    def close(self) -> None:
        for stream in self.streams[1], self.streams[3]:
            stream.close()
        for thread in self.threads:
            thread.join()
        for stream in self.streams[0], self.streams[2]:
            stream.close()
        for memory in self.memories:
            if memory is not None:
                memory.close()


@contextmanager
def ends(*, is_shared: bool = True) -> Iterator[Ends]:
    both = Ends(is_shared=is_shared)
    try:
        yield both
    finally:
        both.close()


def tensors() -> st.SearchStrategy[torch.Tensor]:
    dtypes = st.sampled_from([torch.float32, torch.float16, torch.int64, torch.uint8, torch.bool])
    shapes = st.lists(st.integers(0, 80), min_size=0, max_size=3)
    return st.builds(lambda shape, dtype: torch.ones(shape).to(dtype), shapes, dtypes)


def values() -> st.SearchStrategy[Any]:
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.binary(),
        st.builds(PurePosixPath, st.text(st.characters(codec="ascii"), min_size=1)),
        tensors(),
        st.builds(lambda n: np.arange(n, dtype=np.int32), st.integers(0, 9000)),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.tuples(inner, inner),
            st.dictionaries(st.text(), inner, max_size=4),
            st.builds(lambda item: OrderedDict(a=item), inner),
        ),
        max_leaves=12,
    )


def are_equal(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(are_equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(are_equal, one, other))
    if isinstance(one, float):
        return math.isnan(one) if math.isnan(other) else one == other
    return bool(one == other)


@pytest.fixture(scope="module")
def open_ends() -> Iterator[Ends]:
    with ends() as both:
        yield both


@settings(max_examples=examples(200))
@given(value=values())
def test_values_come_back_as_they_went(open_ends: Ends, value: Any) -> None:
    assert are_equal(open_ends.near.request("same", value), value)


@pytest.mark.parametrize("is_shared", [True, False])
def test_requests_nest(is_shared: bool) -> None:
    with ends(is_shared=is_shared) as both:
        image = torch.rand(1, 100, 100, 3)
        answer = both.near.request("twice", image, serve=lambda name, value, _: value * 2)
        assert torch.equal(answer, image * 2)


def test_errors_of_nodegraph_are_themselves(open_ends: Ends) -> None:
    with pytest.raises(InvalidValue) as caught:
        open_ends.near.request("fail", None)
    problem = caught.value.problem
    assert (problem.message, problem.given, problem.port) == ("is wrong", "this", "a")


def test_errors_of_others_keep_name_text_and_place(open_ends: Ends) -> None:
    with pytest.raises(KeyError) as caught:
        open_ends.near.request("key", None)
    assert str(caught.value) == "'missing'"
    assert 'return {}["missing"]' in caught.value.pack_trace  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [1 << 42, (1 << 64) - 1])
def test_a_message_that_is_only_announced_takes_no_memory(size: int) -> None:
    both = Ends(is_shared=False)
    tracemalloc.start()
    number = os.dup(both.streams[3].fileno())
    os.write(number, struct.pack("<IQ", 1, size) + b"\x90")
    os.close(number)
    both.streams[3].close()
    with pytest.raises(ProcessEnded):
        both.near.request("echo", 1)
    assert tracemalloc.get_traced_memory()[1] < 1 << 30
    tracemalloc.stop()
    both.close()


def test_long_messages_arrive_in_parts(open_ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "_PART", 1000)
    value = bytes(range(256)) * 100
    assert open_ends.near.request("echo", value) == value


def test_groups_of_errors_keep_their_name_and_text() -> None:
    form = {"module": "builtins", "name": "ExceptionGroup", "message": "many (2)"}
    error = error_from_plain(form)
    assert (type(error).__name__, str(error)) == ("ExceptionGroup", "many (2)")


def test_an_error_names_no_code_to_be_run() -> None:
    form = {
        "module": "os",
        "name": "system",
        "message": "true",
        "problems": [{"code": "a", "message": "b"}],
    }
    assert type(error_from_plain(form)) is NodegraphError
    error = error_from_plain({"module": "builtins", "name": "eval", "message": "1", "trace": ""})
    assert isinstance(error, Exception)
    assert str(error) == "1"


def test_an_answer_that_never_comes_is_told() -> None:
    both = Ends(is_shared=True)
    both.streams[3].close()  # what the far end writes to
    with pytest.raises(ProcessEnded):
        both.near.request("same", 1)
    both.close()


class _Pack:
    """What a pack may do with the tensors that it gets and gives: keep them, and write into them.

    Attributes:
        kept: Tensors that it holds, each with what it is to contain.
    """

    def __init__(self, both: Ends) -> None:
        self.kept: list[tuple[torch.Tensor, torch.Tensor]] = []
        both.answers = {"double": self._double, "same": self._same}

    def _double(self, value: torch.Tensor) -> torch.Tensor:
        self._keep(value)
        return self._keep(value * 2)

    def _same(self, value: torch.Tensor) -> torch.Tensor:
        return self._keep(value)

    def _keep(self, value: torch.Tensor) -> torch.Tensor:
        self.kept.append((value, value.clone()))
        return value

    def write(self, at: int, by: float) -> None:
        tensor, _ = self.kept[at]
        before = [content for _, content in self.kept]
        tensor[: len(tensor) // 2].add_(by)
        # What it got and gives on is one tensor, and nothing else is.
        self.kept = [
            (each, each.clone() if each is tensor else content)
            for (each, _), content in zip(self.kept, before, strict=True)
        ]


@settings(max_examples=examples(40))
@given(seed=st.integers(0, 1 << 32))
def test_nobody_sees_what_others_write(seed: int) -> None:
    """Whatever is called, kept, let go of and written to: all others see what they got."""
    draw = random.Random(seed)
    with ends() as both:
        pack = _Pack(both)
        held: list[tuple[torch.Tensor, torch.Tensor]] = []
        for step in range(25):
            action = draw.choice(["call", "call", "call", "write", "write", "drop", "forget"])
            if action == "call":
                source = torch.full((LEAST,), float(step + 1))
                if held and draw.random() < 0.7:
                    source = draw.choice(held)[0]
                    source = source[draw.choice([0, 8]) :]
                name = draw.choice(["double", "same"])
                result = both.near.request(name, source)
                expected = source * 2 if name == "double" else source.clone()
                held.append((result, expected))
                del source, result
            elif action == "write" and pack.kept:
                pack.write(draw.randrange(len(pack.kept)), float(step + 1))
            elif action == "drop" and held:
                held.pop(draw.randrange(len(held)))
            elif action == "forget" and pack.kept:
                pack.kept.pop(draw.randrange(len(pack.kept)))
            assert all(torch.equal(tensor, content) for tensor, content in (*held, *pack.kept))


def test_a_result_goes_back_without_a_copy() -> None:
    with ends() as both:
        image = both.near.request("same", torch.rand(LEAST))
        pools = [memory.own for memory in both.memories if memory is not None]
        used = [pool.used for pool in pools]
        again: list[torch.Tensor] = []
        both.answers["look"] = again.append
        both.near.request("look", image)
        assert torch.equal(again[0], image)
        assert all(pool.used <= before for pool, before in zip(pools, used, strict=True))


def test_lazily_conjugated_numbers_cross() -> None:
    with ends() as both:
        numbers = both.near.request("same", torch.randn(LEAST, dtype=torch.complex64))
        assert torch.equal(both.near.request("same", numbers.conj()), numbers.conj())


def test_memory_of_collected_tensors_is_used_again() -> None:
    with ends() as both:
        for _ in range(9):
            kept = both.near.request("same", torch.zeros(2 << 20))
            del kept
            gc.collect()
        assert both.pool.used <= 8 << 20
        assert both.pool.capacity == 64 << 20  # a chunk, which holds eight of these


def _resident(descriptor: int) -> int:
    """Bytes of a file that take memory."""
    return os.fstat(descriptor).st_blocks * 512


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="the system tells of no such files")
def test_free_memory_is_given_back() -> None:
    file = new_file()
    assert file is not None
    own, other = OwnPool(file), OtherPool(os.dup(file))
    views = []
    for _ in range(3):
        allocated = own.allocate(LEAST)
        assert allocated is not None
        reference, buffer = allocated
        memoryview(buffer).cast("B")[:] = bytes([7]) * LEAST
        del buffer, allocated
        views.append(other.take(reference))
    before = _resident(file)
    del views[1]
    gc.collect()
    own.trim(kept=LEAST)
    assert _resident(file) == before  # it is kept for the next message
    own.trim(kept=0)
    assert _resident(file) == before - LEAST
    assert all(bytes(view) == bytes([7]) * LEAST for view in views)
    views.clear()
    own.close()
    other.close()


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="the system tells of no such files")
def test_memory_ends_with_the_other_side_except_results() -> None:
    file = new_file()
    assert file is not None
    own, other, looked_at = OwnPool(file), OtherPool(os.dup(file)), os.dup(file)
    views = []
    for _ in range(4):
        allocated = own.allocate(LEAST)
        assert allocated is not None
        memoryview(allocated[1]).cast("B")[:] = bytes([7]) * LEAST
        views.append(other.take(allocated[0]))
        del allocated
    del views[1]
    tickets = _resident(looked_at) - 4 * LEAST
    other.close()
    assert _resident(looked_at) == tickets + 3 * LEAST
    del views[1]
    assert _resident(looked_at) == tickets + 2 * LEAST
    assert all(bytes(view) == bytes([7]) * LEAST for view in views)
    views.clear()
    assert _resident(looked_at) == tickets
    own.close()
    os.close(looked_at)


def test_memory_is_free_as_soon_as_the_answer_is_there() -> None:
    with ends() as both:
        pools = [memory.own for memory in both.memories if memory is not None]
        both.answers["double"] = lambda value: value * 2
        result = both.near.request("double", torch.rand(LEAST))
        assert pools[0].used == 0
        del result
        assert pools[1].used == 0


def test_slices_keep_their_memory() -> None:
    with ends() as both:
        image = torch.rand(LEAST)
        part = both.near.request("same", image)[5:10]
        gc.collect()
        for _ in range(5):
            both.near.request("same", torch.zeros(LEAST))
        assert torch.equal(part, image[5:10])


@settings(max_examples=examples(60))
@given(seed=st.integers(0, 1 << 32))
def test_blocks_never_overlap(seed: int) -> None:
    draw = random.Random(seed)
    file = new_file()
    assert file is not None
    own, other = OwnPool(file), OtherPool(os.dup(file))
    held: list[tuple[bytes, Any]] = []
    for _ in range(60):
        if held and draw.random() < 0.45:
            held.pop(draw.randrange(len(held)))
            continue
        size = draw.choice([1, 100, 4096, 70_000, 1 << 20])
        allocated = own.allocate(size)
        assert allocated is not None
        reference, buffer = allocated
        content = draw.randbytes(min(size, 64))
        memoryview(buffer).cast("B")[: len(content)] = content
        del buffer
        held.append((content, other.take(reference)))
        for expected, view in held:
            assert bytes(memoryview(view).cast("B")[: len(expected)]) == expected
        del view
    held.clear()
    assert own.used == 0
    own.close()
    other.close()


@pytest.mark.parametrize(
    "location",
    [[0, 1 << 16, 0, 64], [1 << 16, 1 << 26, (1 << 26) + (1 << 16) - 8, 64], [1 << 16, 64, 8, 64]],
)
def test_places_outside_of_the_memory_are_refused(location: list[int]) -> None:
    file = new_file()
    assert file is not None
    own, other = OwnPool(file), OtherPool(os.dup(file))
    assert own.allocate(LEAST) is not None
    with pytest.raises(ValueError, match="outside"):
        own.hold(location)
    own.close()
    other.close()


def test_latents_cross(open_ends: Ends) -> None:
    latent = Latent(torch.rand(1, 4, 64, 64), 512, 512)
    answer = open_ends.near.request("same", latent)
    assert torch.equal(answer.samples, latent.samples)
