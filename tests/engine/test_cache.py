"""What comes from the cache, and what makes a result new."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.api import HookInputs, Seed, node, port_type
from nodegraph.engine.cache import AskedPort, CallOutputs, MemoryCache
from nodegraph.engine.product import Product
from nodegraph.packs.registry import Registry
from tests.engine.conftest import Bench, link


@node
def Number(value: int) -> int:
    """A number."""
    return value


@node
def Parity(a: int) -> int:
    """0 for even numbers, 1 for odd ones."""
    return a % 2


@node
def Double(a: float) -> float:
    """Twice the number."""
    return 2 * a


def chain(value: int) -> dict[str, object]:
    return {
        "x": {"type": "Number", "inputs": {"value": value}},
        "p": {"type": "Parity", "inputs": {"a": link("x")}},
        "d": {"type": "Double", "inputs": {"a": link("p")}},
    }


@pytest.fixture(autouse=True)
def nodes(bench: Bench) -> None:
    bench.add(Number, Parity, Double)


def statuses(bench: Bench, graph: dict[str, object]) -> dict[str, str]:
    return {name: report.status for name, report in bench.run(graph).nodes.items()}


def test_a_second_run_computes_nothing(bench: Bench) -> None:
    bench.run(chain(4))
    assert set(statuses(bench, chain(4)).values()) == {"cached"}


def test_a_change_that_yields_the_same_bytes_stops_there(bench: Bench) -> None:
    bench.run(chain(4))
    assert statuses(bench, chain(6)) == {"x": "ran", "p": "ran", "d": "cached"}


def test_a_nodes_name_is_no_part_of_its_key(bench: Bench) -> None:
    bench.run(chain(4))
    graph = {"renamed": chain(4)["x"]}
    assert statuses(bench, graph) == {"renamed": "cached"}


def test_an_equal_int_and_float_literal_are_one_for_a_float_input(bench: Bench) -> None:
    bench.run({"d": {"type": "Double", "inputs": {"a": 2}}})
    assert statuses(bench, {"d": {"type": "Double", "inputs": {"a": 2.0}}}) == {"d": "cached"}


def test_nondeterministic_nodes_run_in_each_job(bench: Bench) -> None:
    rolls = iter([5, 5, 6])

    @node(deterministic=False)
    def Roll() -> int:
        """A die."""
        return next(rolls)

    bench.add(Roll)
    graph = {"r": {"type": "Roll"}, "p": {"type": "Parity", "inputs": {"a": link("r")}}}
    bench.run(graph)
    assert statuses(bench, graph) == {"r": "ran", "p": "cached"}
    assert statuses(bench, graph) == {"r": "ran", "p": "ran"}


def test_always_runs_a_node_whose_result_is_there(bench: Bench) -> None:
    bench.run(chain(4))
    graph = chain(4)
    graph["p"] = {**graph["p"], "always": True}  # type: ignore[dict-item]
    assert statuses(bench, graph) == {"x": "cached", "p": "ran", "d": "cached"}


def test_a_fingerprint_makes_outside_state_part_of_the_key(bench: Bench) -> None:
    outside = ["a"]

    def state(inputs: HookInputs) -> str:
        return outside[0] + str(inputs.literals["name"])

    @node(fingerprint=state)
    def Read(name: str) -> str:
        """Something from outside."""
        return outside[0]

    bench.add(Read)
    graph = {"r": {"type": "Read", "inputs": {"name": "n"}}}
    bench.run(graph)
    assert statuses(bench, graph) == {"r": "cached"}
    outside[0] = "b"
    assert bench.value(graph, "r.text") == "b"


def test_a_raised_version_or_changed_code_makes_results_new(bench: Bench) -> None:
    def results(function: object) -> str:
        registry = Registry()
        registry.add(function)  # type: ignore[arg-type]
        engine = bench.new_engine(registry)
        graph = {"n": {"type": "Answer"}}
        result = asyncio.run(bench.run_async(graph, engine=engine))
        engine.close()
        return result.nodes["n"].status

    @node(id="Answer")
    def first() -> int:
        """An answer."""
        return 41

    @node(id="Answer", version=2)
    def raised() -> int:
        """An answer."""
        return 41

    @node(id="Answer")
    def changed() -> int:
        """An answer."""
        return 42

    assert results(first) == "ran"
    assert results(first) == "cached"
    assert results(raised) == "ran"
    assert results(changed) == "ran"


def test_values_without_a_digest_are_named_by_what_made_them(bench: Bench) -> None:
    class Handle:
        pass

    @node
    def Open(path: str) -> object:
        """A handle."""
        return Handle()

    @node
    def Close(handle: object) -> int:
        """Use it."""
        return 1

    bench.add(Open, Close)
    graph = {
        "o": {"type": "Open", "inputs": {"path": "x"}},
        "c": {"type": "Close", "inputs": {"handle": link("o")}},
    }
    bench.run(graph)
    assert statuses(bench, graph) == {"o": "cached", "c": "cached"}


def test_a_packs_port_type_brings_its_digest(bench: Bench) -> None:
    class Token:
        def __init__(self, text: str) -> None:
            self.text = text

    port_type(digest=lambda token: token.text.lower())(Token)
    ran = []

    @node
    def Make(text: str) -> Token:
        """A token."""
        return Token(text)

    @node
    def Use(token: Token) -> int:
        """Count uses."""
        ran.append(token.text)
        return 1

    bench.add(Make, Use)
    for text in ("A", "a"):
        bench.run(
            {
                "m": {"type": "Make", "inputs": {"text": text}},
                "u": {"type": "Use", "inputs": {"token": link("m")}},
            }
        )
    assert ran == ["A"]


def test_a_seed_is_part_of_the_key(bench: Bench) -> None:
    @node
    def Draw(seed: Annotated[int, Seed()] = 0) -> int:
        """Depends on its seed."""
        return seed * 7 % 11

    bench.add(Draw)
    bench.run({"d": {"type": "Draw", "inputs": {"seed": 1}}})
    assert statuses(bench, {"d": {"type": "Draw", "inputs": {"seed": 2}}}) == {"d": "ran"}


def test_asked_steps_take_little_room() -> None:
    cache = MemoryCache(4000)
    cache.put("k", AskedPort("image"))
    assert cache.get("k") == AskedPort("image")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 600)), max_size=60))
def test_the_memory_cache_keeps_to_its_budget(puts: list[tuple[int, int]]) -> None:
    cache = MemoryCache(8000)
    for key, size in puts:
        entry = CallOutputs((Product(b"x" * size, "digest", size),))
        cache.put(str(key), entry)
        assert cache.used <= 8000
        assert cache.get(str(key)) is entry


def test_what_is_dear_for_its_size_stays_until_it_is_old() -> None:
    cache = MemoryCache(4400)
    cache.put("dear", outputs(1, seconds=100.0))
    for number in range(20):
        cache.put(str(number), outputs(number, seconds=1.0))
    assert cache.get("dear") is not None
    for number in range(20, 1000):
        cache.put(str(number), outputs(number, seconds=1.0))
    assert cache.get("dear") is None


def outputs(value: int, *, seconds: float) -> CallOutputs:
    return CallOutputs((Product(value, str(value), 28),), seconds)


def test_of_equals_the_least_recently_used_result_goes_first() -> None:
    cache = MemoryCache(4000)
    for key in "abc":
        cache.put(key, AskedPort("x"))
    cache.get("a")
    cache.put("d", AskedPort("x"))
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]
