"""Values come back from a file exactly as they went in, or are refused."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from nodegraph.core.digests import digest_value
from nodegraph.core.ports import BLOCKED, PORT_ATTRIBUTE, Serializer, port_type
from nodegraph.core.values import Adapter, RecipeFile
from nodegraph.store.codec import (
    Serializers,
    TensorReader,
    Undecodable,
    Unstorable,
    decode,
    decode_inline,
    encode,
)
from tests.messages import raises
from tests.store.values import (
    DIGESTERS,
    DTYPES,
    RECIPE,
    SERIALIZERS,
    VALUES,
    Mood,
    Pair,
    Token,
    same,
    tensors,
)


def written(value: Any, serializers: Serializers = SERIALIZERS) -> tuple[bytes, str]:
    encoded = encode(value, serializers)
    data = b"".join(encoded.chunks())
    assert len(data) == encoded.size
    return data, encoded.suffix


def there_and_back(value: Any, serializers: Serializers = SERIALIZERS) -> Any:
    data, suffix = written(value, serializers)
    return decode(bytearray(data), suffix, serializers)


@given(VALUES)
@example(RECIPE)
@example([BLOCKED, {1: BLOCKED}])
@example(torch.ones(2, dtype=torch.int16)[::2])  # one item with a stride of two
@example({True: -0.0, "a": float("nan"), None: 2**64, -(2**63) - 1: 10**5000})
def test_round_trip(value: Any) -> None:
    found = there_and_back(value)
    assert same(found, value)
    assert digest_value(found, DIGESTERS) == digest_value(value, DIGESTERS)


@given(VALUES)
def test_inline_round_trip(value: Any) -> None:
    assert same(decode_inline(encode(value, SERIALIZERS).inline(), SERIALIZERS), value)


@given(st.lists(tensors(), min_size=1, max_size=5))
def test_files_of_tensors_are_valid_safetensors(values: list[torch.Tensor]) -> None:
    data, suffix = written(values)
    assert suffix == "safetensors"
    found = safetensors.torch.load(data)
    # Those that the format has no name for are there as bytes.
    known = [
        value.dtype not in (torch.float8_e4m3fnuz, torch.complex64, torch.complex128)
        for value in values
    ]
    for number, (value, is_known) in enumerate(zip(values, known, strict=True)):
        there = found[str(number)]
        if is_known:
            assert same(there, value.detach())
        else:
            assert there.dtype == torch.uint8


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype(dtype: torch.dtype) -> None:
    value = torch.arange(6).to(torch.float32).to(dtype).reshape(2, 3)
    assert same(there_and_back(value), value)


def test_plain_values_need_no_tensor_format() -> None:
    assert encode([1, "two", {"three": (4.0,)}], {}).suffix == "msgpack"


def test_plain_values_are_coded_without_torch() -> None:
    program = (
        "import sys\n"
        "from nodegraph.store.codec import decode, encode\n"
        "encoded = encode([1, {'a': (2, None)}], {})\n"
        "assert decode(b''.join(encoded.chunks()), encoded.suffix, {}) == [1, {'a': (2, None)}]\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_one_tensor_twice_is_written_once() -> None:
    tensor = torch.rand(100, 100)
    encoded = encode([tensor, tensor], {})
    assert encoded.size < 1.5 * tensor.nbytes
    first, second = there_and_back([tensor, tensor])
    assert torch.equal(first, tensor)
    assert torch.equal(second, tensor)


def test_tensors_that_share_memory_come_back_apart() -> None:
    base = torch.rand(10)
    first, second = there_and_back([base[:5], base[3:]])
    first.zero_()
    assert torch.equal(second, base[3:])


def test_a_view_takes_only_its_own_bytes() -> None:
    assert encode(torch.rand(1000, 1000)[:2], {}).size < 16_000


def test_loaded_tensors_may_be_written_to() -> None:
    data, suffix = written(torch.zeros(3))
    first = decode(data, suffix, {})
    first += 1
    assert torch.equal(decode(data, suffix, {}), torch.zeros(3))


def test_loaded_tensors_begin_where_those_of_torch_may() -> None:
    """Elsewhere products of a matrix and a vector have other last bits."""
    values = [torch.rand(3).double(), torch.rand(1).half(), torch.ones(3, dtype=torch.uint8)]
    for value in there_and_back(values):
        assert value.data_ptr() % 64 == 0


def test_loaded_tensors_give_the_same_products() -> None:
    _, weight, vector = values = torch.rand(1), torch.rand(64, 17), torch.rand(1, 17)
    _, read, by = there_and_back(values)
    assert torch.equal(by @ read.T, vector @ weight.T)


def test_tensors_of_a_device_that_is_not_there_stay_on_the_cpu() -> None:
    data, _ = written(torch.ones(3))
    found = TensorReader(bytearray(data)).tensor([0, "float32", [3], "cuda:63"])
    assert same(found, torch.ones(3))
    assert found.device.type == "cpu"


def test_files_from_before_kinds_were_noted_hold_plain_tensors() -> None:
    data, _ = written(torch.nn.Parameter(torch.ones(2)))
    assert type(decode(bytearray(data), "safetensors", {})) is torch.nn.Parameter
    found = TensorReader(bytearray(data)).tensor([0, "float32", [2], "cpu"])
    assert type(found) is torch.Tensor
    assert not found.requires_grad


def test_much_beside_a_tensor() -> None:
    value = {"text": "x" * 200_000, "tensor": torch.ones(3), "numbers": list(range(50_000))}
    assert same(there_and_back(value), value)
    data, _ = written(value)
    assert set(safetensors.torch.load(data)) == {"0", "skeleton"}


class _Foreign:
    pass


class _Numbers(list[int]):
    pass


def _looped() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


def _with_more(value: Any) -> Any:
    value.more = 1
    return value


def _more_than_fields() -> Pair:
    pair = Pair(1)
    object.__setattr__(pair, "secret", 2)
    return pair


@pytest.mark.parametrize(
    "value",
    [
        _Foreign(),
        [1, {"a": (_Foreign(),)}],
        _Numbers([1]),
        defaultdict(int),
        _with_more(Counter()),
        _looped(),
        _more_than_fields(),
        bytearray(b"a"),
        memoryview(b"a"),
        {1, 2},
        msgpack.ExtType(1, b"a"),
        msgpack.Timestamp(1),
        lambda: 1,
        np.array([None]),
        np.zeros(2, np.longdouble),
        np.zeros(2, np.dtype("u1, f8", align=True)),
        np.ma.masked_array([1.0], [1]),
        torch.ones(2, 2).to_sparse(),
        torch.ones(2, device="meta"),
        _with_more(torch.ones(2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_can_not_be_restored_exactly_is_refused(value: Any) -> None:
    with pytest.raises(Unstorable):
        encode(value, SERIALIZERS)


_DEEP = """
from threading import Thread, stack_size
from nodegraph.store.codec import Undecodable, Unstorable, decode
from nodegraph.store.msgpack_codec import pack
from tests.store.test_codec import written

def chain(length):
    value = ()
    for _ in range(length):
        value = (value,)
    return value

def read():
    assert decode(*written(chain(39)), {}) == chain(39)
    # What others have written is no deeper either, and as deep as it may be in a small stack.
    import nodegraph.store.msgpack_codec as plain
    plain._DEEPEST, usual = 900, plain._DEEPEST
    data = written(chain(200))
    plain._DEEPEST = usual
    try:
        decode(*data, {})
    except Undecodable as error:
        print(error)

stack_size(2 << 20)
thread = Thread(target=read)
thread.start()
thread.join()
"""


@pytest.mark.slow
def test_what_is_nested_so_deeply_that_reading_it_would_take_all_of_a_stack_is_refused() -> None:
    value: Any = ()
    for _ in range(40):
        value = (value,)
    with raises(Unstorable):
        encode(value, SERIALIZERS)
    # The system ends a process without a stack, so another one looks.
    done = subprocess.run([sys.executable, "-c", _DEEP], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "nested too deeply\n"), done.stderr


def test_a_failing_serializer_is_told_apart() -> None:
    def fail(_: Any) -> Any:
        raise RuntimeError("no")

    with pytest.raises(Unstorable, match="no"):
        encode(Token("a"), {Token: Serializer("t", fail, fail)})
    with raises(Unstorable):
        encode(Token("a"), {Token: Serializer("t", lambda token: token.text, fail)})
    data, suffix = written(Token("a"), {Token: Serializer("t", lambda _: b"", fail)})
    with pytest.raises(Undecodable, match="no"):
        decode(data, suffix, {Token: Serializer("t", lambda _: b"", fail)})


def test_classes_that_are_not_known_are_not_looked_for() -> None:
    for value in (Pair(1), Mood.CALM, Token("a")):
        data, suffix = written(value)
        with raises(Undecodable):
            decode(data, suffix, {})


def test_a_class_that_changed_is_not_filled_with_old_fields() -> None:
    @dataclass
    class Other:
        left: int

    data, suffix = written(Pair(1))
    serializers = {Other: replace(SERIALIZERS[Pair])}
    with raises(Undecodable):
        decode(data, suffix, serializers)


@pytest.mark.parametrize("is_adapter", [False, True])
def test_a_recipe_is_of_use_only_while_its_files_are_there(
    tmp_path: Path, is_adapter: bool
) -> None:
    model = tmp_path / "model.safetensors"
    model.touch()
    recipe = replace(RECIPE, files=(*RECIPE.files, RecipeFile("vae", str(model), "00" * 32)))
    if is_adapter:
        recipe = replace(RECIPE, adapters=(Adapter("lora", str(model), "00" * 32, 0.5),))
    data, suffix = written([recipe])
    assert decode(data, suffix, {}) == [recipe]
    model.unlink()
    with raises(Undecodable):
        decode(data, suffix, {})


@given(st.binary(max_size=200), st.sampled_from(["msgpack", "safetensors", "png"]))
def test_any_bytes_give_a_value_or_are_refused(data: bytes, suffix: str) -> None:
    try:
        decode(data, suffix, SERIALIZERS)
    except Undecodable:
        return


def test_port_types_carry_their_serializer() -> None:
    class Odd:
        pass

    assert SERIALIZERS[Pair].dumps is None
    assert SERIALIZERS[Token].dumps is not None
    port_type()(Odd)
    assert Odd.__dict__[PORT_ATTRIBUTE].serializer is None
    with raises(TypeError):
        port_type(dumps=lambda _: b"")
