"""Nodes for random graphs on a store, and plain evaluation from scratch that tells what must run.

Functions note what they are called with. A large text is told by its head, as the rest is always
the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from nodegraph.api import BLOCKED, Context, Expand, Lazy, Value, node
from nodegraph.core.hooks import HookInputs

TAIL = "|" + "x" * 6000
"""Makes a text too large for a row of the index."""
Plain = tuple[Any, ...]
"""A call: its node type and what its function was given."""


@dataclass
class World:
    """What nodes read and change outside.

    Attributes:
        log: Calls of functions.
        bad: Numbers that `Risky` fails for.
        tick: Changes what `Chance` gives.
        state: What `Read` reads, by name.
    """

    log: list[Plain] = field(default_factory=list)
    bad: set[int] = field(default_factory=set)
    tick: int = 0
    state: dict[str, int] = field(default_factory=dict)

    def reset(self) -> None:
        self.log.clear()
        self.bad.clear()
        self.tick = 0
        self.state.clear()

    def __reduce__(self) -> str:
        # Else what a test changes in it would be an edit of all functions that name it.
        return "world"

    def ran(self, *plain: Any) -> None:
        self.log.append(tuple(map(told, plain)))


world = World()


def told(value: Any) -> Any:
    """A value as it is noted."""
    if isinstance(value, str):
        return value.partition("|")[0]
    return tuple(map(told, value)) if isinstance(value, (list, tuple)) else value


def hashed(text: str) -> int:
    return sum(map(ord, told(text)))


# What the functions compute


def num(value: int) -> int:
    return value


def add(a: int, b: int, k: int) -> int:
    return (a + k * b) % 7


def big(a: int) -> str:
    return f"B{a % 4}{TAIL}"


def dear(text: str) -> str:
    return f"D{hashed(text) % 5}{TAIL}"


def cheap(text: str) -> str:
    return f"C{hashed(text) % 5}{TAIL}"


def length(text: str) -> int:
    return hashed(text) % 6


def numbers(n: int) -> list[Any]:
    return [BLOCKED if (n + at) % 5 == 4 else at for at in range(n % 4)]


def texts(n: int) -> list[str]:
    return [f"T{n % 3}.{at}{TAIL}" for at in range(n % 4)]


def total(numbers: list[int]) -> int:
    return sum(numbers) % 7


def join(texts: list[str]) -> str:
    return f"J{sum(map(hashed, texts)) % 5}{TAIL}"


def half(x: float) -> float:
    return round(x / 2 + 1, 3) % 5


def maybe(a: int) -> int | None:
    return None if a % 3 == 0 else a


def either(a: int | None) -> int:
    return 5 if a is None else a


def sort(a: int) -> tuple[Any, Any]:
    return (BLOCKED, a) if a % 2 else (a, BLOCKED)


def risky(a: int) -> int:
    return a * 2 % 7


def chance(a: int) -> int:
    return (a + world.tick) % 5


def chance_text(a: int) -> str:
    return f"N{(a + world.tick) % 3}{TAIL}"


def read(name: str) -> str:
    return f"R{name}{world.state.get(name, 0)}{TAIL}"


# The nodes


@node
def Num(value: int) -> int:
    """A number."""
    world.ran("Num", value)
    return num(value)


@node(lane="gpu")
def Add(a: int, b: int, k: int) -> int:
    """Many inputs give the same number."""
    world.ran("Add", a, b, k)
    return add(a, b, k)


@node
def Big(a: int) -> str:
    """A large text, which is quick to make."""
    world.ran("Big", a)
    return big(a)


@node(lane="gpu")
def Dear(text: str) -> str:
    """A large text, which is worth a file."""
    world.ran("Dear", text)
    return dear(text)


@node
def Cheap(text: str) -> str:
    """A large text, which isn't."""
    world.ran("Cheap", text)
    return cheap(text)


@node
async def Length(text: str) -> int:
    """A number of a text, on the event loop."""
    world.ran("Length", text)
    return length(text)


@node
def Numbers(n: int) -> list[int]:
    """A few, some of them blocked."""
    world.ran("Numbers", n)
    return numbers(n)


@node
def Texts(n: int) -> list[str]:
    """Large ones."""
    world.ran("Texts", n)
    return texts(n)


@node
def Total(numbers: list[int]) -> int:
    """Take a list whole."""
    world.ran("Total", numbers)
    return total(numbers)


@node(lane="io")
def Join(texts: list[str]) -> str:
    """Take large texts whole."""
    world.ran("Join", texts)
    return join(texts)


@node
def Half(x: float) -> float:
    """Takes numbers that a link converts."""
    world.ran("Half", x)
    return half(x)


@node
def Maybe(a: int) -> int | None:
    """A number or none."""
    world.ran("Maybe", a)
    return maybe(a)


@node
def Or(a: int | None) -> int:
    """A number in any case."""
    world.ran("Or", a)
    return either(a)


class Sorted(NamedTuple):
    even: int
    odd: int


@node
def Sort(a: int) -> Sorted:
    """One of two outputs, the other one blocked."""
    world.ran("Sort", a)
    return Sorted(*sort(a))


@node
def Risky(a: int) -> int:
    """Fails while the world is bad."""
    world.ran("Risky", a)
    if a in world.bad:
        raise ValueError(f"{a} is bad")
    return risky(a)


@node(deterministic=False)
def Chance(a: int) -> int:
    """Differs from run to run."""
    world.ran("Chance", a)
    return chance(a)


@node(deterministic=False)
def ChanceText(a: int) -> str:
    """A large text that differs from run to run."""
    world.ran("ChanceText", a)
    return chance_text(a)


def state_of(inputs: HookInputs) -> str:
    return str(world.state.get(str(inputs.literals["name"]), 0))


@node(fingerprint=state_of)
def Read(name: str) -> str:
    """Something from outside."""
    world.ran("Read", name)
    return read(name)


@node
async def Either(c: int, a: Lazy[int], b: Lazy[int]) -> int:
    """One of two."""
    world.ran("Either", c)
    return await a() if c % 2 else await b()


@node
async def EitherText(c: int, a: Lazy[str], b: Lazy[str]) -> str:
    """One of two large texts."""
    world.ran("EitherText", c)
    return await a() if c % 2 else await b()


@node
async def FirstEven(a: Lazy[int], b: Lazy[int], c: Lazy[int]) -> int:
    """Ask until one is even."""
    world.ran("FirstEven")
    found = -1
    for ask in (a, b, c):
        found = await ask()
        if found % 2 == 0:
            break
    return found


@node
def Grow(text: str, n: int) -> str:
    """Expand, `n` times within itself."""
    world.ran("Grow", text, n)
    if n <= 0:
        return cheap(text)
    last = {"type": "Grow", "inputs": {"text": {"from": "x"}, "n": n - 1}}
    if n == 1:
        last = {"type": "Dear", "inputs": {"text": {"from": "x"}}}
    nodes = {"x": {"type": "Cheap", "inputs": {"text": Value(text)}}, "y": last}
    return Expand(nodes, {"text": "y"})  # type: ignore[return-value]


@node
def Choose(c: int, text: str) -> str:
    """Expand into a choice."""
    world.ran("Choose", c, text)
    return Expand(_choice(c, Value(text)), {"text": "e"})  # type: ignore[return-value]


@node
def Spread(n: int) -> str:
    """Expand into a list that others go through."""
    world.ran("Spread", n)
    return Expand(_spreading(Value(n)), {"text": "j"})  # type: ignore[return-value]


@node(output="files")
def Save(ctx: Context, a: int) -> None:
    """Write a file."""
    world.ran("Save", a)
    path = ctx.environment.outputs / f"{a}.txt"
    if not path.exists() or path.read_text() != str(a):
        path.write_text(str(a))  # while nobody else reads it
    ctx.wrote(path, kind="text")


@node(output=True)
def Tell(text: str) -> None:
    """Does something outside each time."""
    world.ran("Tell", text)


NODES = (
    *(Num, Add, Big, Dear, Cheap, Length, Numbers, Texts, Total, Join, Half, Maybe, Or, Sort),
    *(Risky, Chance, ChanceText, Read, Either, EitherText, FirstEven, Grow, Choose, Spread),
    *(Save, Tell),
)


def _choice(c: int, text: Any) -> dict[str, Any]:
    inputs = {"c": c, "a": {"from": "p"}, "b": {"from": "q"}}
    return {
        "p": {"type": "Dear", "inputs": {"text": text}},
        "q": {"type": "Cheap", "inputs": {"text": text}},
        "e": {"type": "EitherText", "inputs": inputs},
    }


def _spreading(n: Any) -> dict[str, Any]:
    return {
        "t": {"type": "Texts", "inputs": {"n": n}},
        "d": {"type": "Cheap", "inputs": {"text": {"from": "t"}}},
        "j": {"type": "Join", "inputs": {"texts": {"from": "d"}}},
    }


def _grown(text: Any, n: int) -> dict[str, Any]:
    last = {"type": "Grow", "inputs": {"text": {"from": "x"}, "n": n - 1}}
    if n == 1:
        last = {"type": "Dear", "inputs": {"text": {"from": "x"}}}
    return {"x": {"type": "Cheap", "inputs": {"text": text}}, "y": last}


# What the model knows of them


@dataclass(frozen=True)
class Port:
    base: str
    depth: int = 0
    lazy: bool = False
    only_literal: bool = False


@dataclass(frozen=True)
class Kind:
    """A node type.

    Attributes:
        outputs: Base type and depth of lists, by name; the name of an only one is empty.
        function: From plain arguments to outputs.
        asks: For lazy ones: gives the ports that the function asks for, one after the other.
        expands: The nodes that it expands into and the name of the last; None if it doesn't.
    """

    ports: Mapping[str, Port]
    outputs: Mapping[str, tuple[str, int]]
    function: Callable[..., Any] | None = None
    asks: Callable[..., Iterator[str]] | None = None
    expands: Callable[..., tuple[dict[str, Any], str] | None] | None = None
    deterministic: bool = True
    sink: str = ""
    fingerprint: bool = False


def _one_of_two(given: Mapping[str, Any]) -> Any:
    found = yield "a" if given["c"] % 2 else "b"
    return found


def _first_even(given: Mapping[str, Any]) -> Any:
    found = -1
    for port in ("a", "b", "c"):
        found = yield port
        if found % 2 == 0:
            break
    return found


INT, TEXT = Port("int"), Port("str")
LAZY_INT, LAZY_TEXT = Port("int", lazy=True), Port("str", lazy=True)
LITERAL = Port("int", only_literal=True)
OUT_INT, OUT_TEXT = {"": ("int", 0)}, {"": ("str", 0)}

KINDS: dict[str, Kind] = {
    "Num": Kind({"value": LITERAL}, OUT_INT, num),
    "Add": Kind({"a": INT, "b": INT, "k": LITERAL}, OUT_INT, add),
    "Big": Kind({"a": INT}, OUT_TEXT, big),
    "Dear": Kind({"text": TEXT}, OUT_TEXT, dear),
    "Cheap": Kind({"text": TEXT}, OUT_TEXT, cheap),
    "Length": Kind({"text": TEXT}, OUT_INT, length),
    "Numbers": Kind({"n": INT}, {"": ("int", 1)}, numbers),
    "Texts": Kind({"n": INT}, {"": ("str", 1)}, texts),
    "Total": Kind({"numbers": Port("int", 1)}, OUT_INT, total),
    "Join": Kind({"texts": Port("str", 1)}, OUT_TEXT, join),
    "Half": Kind({"x": Port("float")}, {"": ("float", 0)}, half),
    "Maybe": Kind({"a": INT}, {"": ("int?", 0)}, maybe),
    "Or": Kind({"a": Port("int?")}, OUT_INT, either),
    "Sort": Kind({"a": INT}, {"even": ("int", 0), "odd": ("int", 0)}, sort),
    "Risky": Kind({"a": INT}, OUT_INT, risky),
    "Chance": Kind({"a": INT}, OUT_INT, chance, deterministic=False),
    "ChanceText": Kind({"a": INT}, OUT_TEXT, chance_text, deterministic=False),
    "Read": Kind({"name": Port("str", only_literal=True)}, OUT_TEXT, read, fingerprint=True),
    "Either": Kind({"c": INT, "a": LAZY_INT, "b": LAZY_INT}, OUT_INT, asks=_one_of_two),
    "EitherText": Kind({"c": INT, "a": LAZY_TEXT, "b": LAZY_TEXT}, OUT_TEXT, asks=_one_of_two),
    "FirstEven": Kind({"a": LAZY_INT, "b": LAZY_INT, "c": LAZY_INT}, OUT_INT, asks=_first_even),
    "Grow": Kind(
        {"text": TEXT, "n": LITERAL},
        OUT_TEXT,
        lambda text, n: cheap(text),
        expands=lambda text, n: (_grown(text, n.value), "y") if n.value > 0 else None,
    ),
    "Choose": Kind(
        {"c": INT, "text": TEXT},
        OUT_TEXT,
        expands=lambda c, text: (_choice(c.value, text), "e"),
    ),
    "Spread": Kind({"n": INT}, OUT_TEXT, expands=lambda n: (_spreading(n), "j")),
    "Save": Kind({"a": INT}, {}, lambda a: (), sink="files"),
    "Tell": Kind({"text": TEXT}, {}, lambda text: (), sink="acts"),
}


# Values


@dataclass(eq=False)
class Leaf:
    """A value that is no list.

    Attributes:
        tag: Names it as the engine's digest does: by content, or by what it was converted from.
        call: That gave it; None for literals.
    """

    value: Any
    tag: Any
    call: CallModel | None = None

    @property
    def is_blocked(self) -> bool:
        return self.value is BLOCKED


Art = Leaf | tuple["Art", ...]


def leaves(art: Art) -> Iterator[Leaf]:
    if isinstance(art, Leaf):
        yield art
    else:
        for item in art:
            yield from leaves(item)


def plain(art: Art) -> Any:
    return art.value if isinstance(art, Leaf) else [plain(item) for item in art]


def tag(art: Art) -> Any:
    return art.tag if isinstance(art, Leaf) else ("list", *map(tag, art))


def art_of(value: Any, call: CallModel | None) -> Art:
    if isinstance(value, list):
        return tuple(art_of(item, call) for item in value)
    return Leaf(value, "blocked" if value is BLOCKED else (type(value).__name__, told(value)), call)


def _is_blocked(art: Art) -> bool:
    return isinstance(art, Leaf) and art.is_blocked


def _unblocked(art: Art) -> Art:
    if isinstance(art, Leaf):
        return art
    return tuple(_unblocked(item) for item in art if not _is_blocked(item))


# Evaluation from scratch


@dataclass(eq=False)
class CallModel:
    """A call that a run may make.

    Attributes:
        key: Names it, as the engine's key does.
        plain: As it is noted when it runs.
        repeatable: An earlier result may stand for a new one.
        always: Whatever is known, it runs.
        kept: Its result is kept, if only for others.
        failed: It has none.
        unsure: Whether it runs depends on what is remembered of its steps.
        sources: Nodes whose values it takes, and those values.
        inner: What it expands into.
    """

    key: Plain
    plain: Plain
    repeatable: bool
    kept: bool
    always: bool = False
    is_lazy: bool = False
    failed: bool = False
    unsure: bool = False
    sources: list[tuple[NodeModel, Art]] = field(default_factory=list)
    outputs: list[Art] = field(default_factory=list)
    inner: Evaluation | None = None
    end: str = ""

    @property
    def values(self) -> Iterator[Leaf]:
        for art in self.outputs:
            yield from leaves(art)


@dataclass(eq=False)
class NodeModel:
    """A node, evaluated.

    Attributes:
        is_fickle: It stands behind something that differs from run to run: its value is needed.
    """

    name: str
    kind: str
    status: str = "ok"
    is_fickle: bool = False
    arts: dict[str, Art] = field(default_factory=dict)
    calls: list[CallModel] = field(default_factory=list)


class Evaluation:
    """A graph's nodes, evaluated one after the other as they are asked for.

    Args:
        nodes: As in a workflow; an input may also be a value's `Leaf`.
        known: Calls that succeeded once: `Risky` needn't run for them.
        maybe_known: Calls that may have succeeded.
        is_fickle: See `NodeModel`.
    Attributes:
        is_doubtful: It can't be told what a run gives.
    """

    def __init__(
        self,
        nodes: Mapping[str, Any],
        known: Collection[Plain],
        maybe_known: Collection[Plain] = (),
        *,
        is_fickle: bool = False,
    ) -> None:
        self._is_fickle = is_fickle
        self.is_doubtful = False
        self.maybe_known = maybe_known
        self.graph = nodes
        self.known = known
        self.nodes: dict[str, NodeModel] = {}

    def of(self, name: str) -> NodeModel:
        if name not in self.nodes:
            self.nodes[name] = self._evaluated(name)
        return self.nodes[name]

    def type_of(self, name: str, port: str) -> tuple[str, int]:
        base, depth = KINDS[self.graph[name]["type"]].outputs[port]
        return base, depth + self.map_depth(name)

    def map_depth(self, name: str) -> int:
        return max((self._port_depth(name, port) for port in self._links(name)), default=0)

    def _links(self, name: str) -> dict[str, tuple[str, str]]:
        inputs = self.graph[name]["inputs"].items()
        return {
            port: (given["from"].partition(".")[0], given["from"].partition(".")[2])
            for port, given in inputs
            if isinstance(given, Mapping)
        }

    def _port_depth(self, name: str, port: str) -> int:
        """Levels of lists that an input is mapped over."""
        _, depth = self.type_of(*self._links(name)[port])
        return max(0, depth - KINDS[self.graph[name]["type"]].ports[port].depth)

    def _evaluated(self, name: str) -> NodeModel:
        item = self.graph[name]
        kind = KINDS[item["type"]]
        found = NodeModel(name, item["type"], is_fickle=self._is_fickle)
        links = self._links(name)
        depths = {port: self._port_depth(name, port) for port in links}
        lazy = {port for port in links if kind.ports[port].lazy and not depths[port]}
        given: dict[str, Art] = {}
        sources: dict[str, NodeModel] = {}
        # All are evaluated, also if one of them fails.
        for port, (source, _) in links.items():
            if port not in lazy:
                sources[port] = self.of(source)
                found.is_fickle |= _is_fickle(sources[port])
        for port, (_, output) in links.items():
            if port in lazy:
                continue
            if sources[port].status != "ok":
                found.status = "skipped"
                return found
            art = sources[port].arts[output]
            if not depths[port]:
                art = _converted(_unblocked(art), kind.ports[port])
            if _is_blocked(art):
                found.status = "skipped"
                return found
            given[port] = art
        for port, value in item["inputs"].items():
            if port not in links:
                given[port] = value if isinstance(value, Leaf) else art_of(value, None)
                depths[port] = 0
        outputs = self._calls(found, item, given, depths, sources, lazy)
        if any(call.failed for call in found.calls):
            is_failed = any(not call.unsure for call in found.calls if call.failed)
            found.status = "failed" if is_failed else "skipped"
        else:
            found.arts = dict(zip(kind.outputs, outputs, strict=True))
        return found

    def _calls(
        self,
        found: NodeModel,
        item: Mapping[str, Any],
        given: dict[str, Art],
        depths: Mapping[str, int],
        sources: Mapping[str, NodeModel],
        lazy: set[str],
    ) -> list[Art]:
        """The outputs of all calls, mapped as the inputs are."""
        kind = KINDS[item["type"]]
        depth = max(depths.values(), default=0)
        mapped = [port for port in depths if depth and depths[port] == depth]
        if not mapped or any(_is_blocked(given[port]) for port in mapped):
            arts = {
                port: _converted(_unblocked(art), kind.ports[port])
                if kind.ports[port].depth or port in sources
                else art
                for port, art in given.items()
            }
            if any(_is_blocked(art) for art in arts.values()):
                return [Leaf(BLOCKED, "blocked") for _ in kind.outputs]
            return self._call(found, item, arts, sources, lazy)
        lists = {port: given[port] for port in mapped}
        counts = [len(art) for art in lists.values() if not isinstance(art, Leaf)]
        left = {port: own - (port in mapped) for port, own in depths.items()}
        columns: list[list[Art]] = [[] for _ in kind.outputs]
        for at in range(max(counts) if all(counts) else 0):
            items = {
                port: art[min(at, len(art) - 1)]
                for port, art in lists.items()
                if not isinstance(art, Leaf)
            }
            found_outputs = self._calls(found, item, {**given, **items}, left, sources, lazy)
            for column, art in zip(columns, found_outputs, strict=True):
                column.append(art)
        return [tuple(column) for column in columns]

    def _call(
        self,
        found: NodeModel,
        item: Mapping[str, Any],
        arts: Mapping[str, Art],
        sources: Mapping[str, NodeModel],
        lazy: set[str],
    ) -> list[Art]:
        name, kind = item["type"], KINDS[item["type"]]
        eager = {port: arts[port] for port in kind.ports if port in arts and port not in lazy}
        noted = {port: art for port, art in eager.items() if not kind.ports[port].lazy}
        outside = world.state.get(plain(arts["name"]), 0) if kind.fingerprint else None
        # A literal and a linked input of the same value make two keys.
        links = {port for port, value in item["inputs"].items() if not _is_literal(value)}
        tags = [(port, tag(art), port in links) for port, art in eager.items()]
        call = CallModel(
            (name, *tags, outside),
            (name, *(told(plain(art)) for art in noted.values())),
            kind.deterministic and not kind.sink and not item.get("always", False),
            kind.deterministic and not kind.sink,
            item.get("always", False),
        )
        call.sources = [(sources[port], arts[port]) for port in sources]
        found.calls.append(call)
        values = {port: plain(art) for port, art in eager.items()}
        if kind.asks is not None:
            outputs = self._ask(found, call, kind, values, arts, lazy)
        elif kind.expands is not None and (more := kind.expands(**eager)) is not None:
            outputs = self._expand(found, call, *more)
        else:
            is_known = call.repeatable and call.key in self.known
            call.failed = name == "Risky" and values["a"] in world.bad and not is_known
            if call.failed and call.repeatable and call.key in self.maybe_known:
                self.is_doubtful = True
            if call.failed:
                return [Leaf(BLOCKED, "none") for _ in kind.outputs]
            assert kind.function is not None
            result = kind.function(**values)
            several = result if isinstance(result, tuple) else (result,)
            outputs = [art_of(value, call) for value in several]
        call.outputs = outputs
        return outputs

    def _ask(
        self,
        found: NodeModel,
        call: CallModel,
        kind: Kind,
        values: Mapping[str, Any],
        arts: Mapping[str, Art],
        lazy: set[str],
    ) -> list[Art]:
        assert kind.asks is not None
        call.is_lazy = True
        links = self._links(found.name)
        asking: Any = kind.asks(values)
        key: list[Any] = []
        answer = None
        try:
            port = next(asking)
            while True:
                if port in lazy:
                    source, output = links[port]
                    node = self.of(source)
                    art = node.arts.get(output) if node.status == "ok" else None
                    if art is None or _is_blocked(art):
                        call.failed = call.unsure = True
                        return [Leaf(BLOCKED, "none")]
                    call.sources.append((node, art))
                    found.is_fickle |= _is_fickle(node)
                    key.append((port, tag(art)))
                else:
                    art = arts[port]
                answer = plain(art)
                port = asking.send(answer)
        except StopIteration as end:
            answer = end.value
        call.key = (*call.key, *key)
        return [art_of(answer, call)]

    def _expand(
        self, found: NodeModel, call: CallModel, nodes: dict[str, Any], end: str
    ) -> list[Art]:
        call.inner = Evaluation(nodes, self.known, is_fickle=found.is_fickle)
        call.end = end
        (art,) = call.inner.of(end).arts.values()
        assert isinstance(art, Leaf)
        return [replace(art, call=call)]


def _is_fickle(node: NodeModel) -> bool:
    return node.is_fickle or not KINDS[node.kind].deterministic


def _is_literal(given: Any) -> bool:
    return not isinstance(given, (Mapping, Leaf))


def _converted(art: Art, port: Port) -> Art:
    if isinstance(art, Leaf):
        if art.is_blocked:
            return art
        if port.depth:
            return (art,)
        if port.base == "float" and type(art.value) is int:
            return Leaf(float(art.value), ("converted", art.tag), art.call)
    return art


# What runs


@dataclass
class Remembered:
    """What is kept of earlier runs.

    Attributes:
        known: Calls whose result is known, at least by its digest.
        loaded: Those whose values are in memory.
        is_there: Whether a large text is on disk.
        written: Whether the file of a `Save` lies there.
        givers: How many of the calls that may run now give a text.
        is_harmed: Files may be damaged, which is found only when they are read.
    """

    known: Collection[Plain]
    loaded: Collection[Plain]
    is_there: Callable[[str], bool]
    written: Callable[[CallModel], bool]
    givers: Counter[Any]
    is_harmed: bool


class Closure:
    """The calls that a run must make: those that aren't known, and what they need the values of.

    Args:
        values: Whether the targets' values are wanted.
        at_least: Leave out what depends on who of several is first.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        targets: Iterable[str],
        memory: Remembered,
        *,
        values: bool,
        at_least: bool,
    ) -> None:
        self._memory = memory
        self._at_least = at_least
        self.calls: dict[CallModel, None] = {}
        self._keys: set[Plain] = set()
        ended = [evaluation.of(name) for name in targets]
        self._count = Counter(call.key for call in every_call(evaluation))
        for found in evaluation.nodes.values():
            self._process(found)
        if values:
            for found in ended:
                for art in found.arts.values():
                    self._need(found, art)

    @property
    def plain(self) -> set[Plain]:
        return {call.plain for call in self.calls}

    def _process(self, node: NodeModel) -> None:
        for call in node.calls:
            if not self._is_known(call):
                self._run(call)
        if node.is_fickle and not (self._at_least and self._memory.is_harmed):
            for art in node.arts.values():
                self._need(node, art)

    def _is_known(self, call: CallModel) -> bool:
        if call.unsure:
            return self._at_least
        if call.failed:
            return False
        if call.plain[0] == "Save":
            return not call.always and self._memory.written(call)
        return call.repeatable and call.key in self._memory.known

    def _run(self, call: CallModel) -> None:
        if call in self.calls:
            return
        self.calls[call] = None
        if self._at_least and self._count[call.key] > 1:
            return  # an equal one may do it, with the values of other nodes
        for source, art in call.sources:
            self._need(source, art)
        if call.inner is not None:
            for node in call.inner.nodes.values():
                self._process(node)

    def _need(self, node: NodeModel, art: Art) -> None:
        if all(self._is_there(leaf) for leaf in leaves(art)):
            return
        for call in node.calls:
            if all(self._is_there(leaf) for leaf in call.values):
                continue
            self._run(call)
            if call.inner is not None:
                inner = call.inner.of(call.end)
                for end in inner.arts.values():
                    self._need(inner, end)

    def _is_there(self, leaf: Leaf) -> bool:
        call = leaf.call
        if call is None or not isinstance(leaf.value, str) or len(leaf.value) < 4000:
            return True
        if call in self.calls and call.inner is None:
            return True
        if call.inner is not None and call in self.calls:
            ends = call.inner.of(call.end).arts.values()
            if all(self._is_there(end) for art in ends for end in leaves(art)):
                return True
        if self._at_least and self._memory.givers[told(leaf.value)] > 1:
            return True  # the same text may come of another call, by its digest
        return call.key in self._memory.loaded or self._memory.is_there(leaf.value)


def every_call(evaluation: Evaluation) -> Iterator[CallModel]:
    """All calls, those of expansions included."""
    for found in tuple(evaluation.nodes.values()):
        for call in found.calls:
            yield call
            if call.inner is not None:
                yield from every_call(call.inner)


def most_often(evaluations: Iterable[Evaluation]) -> Counter[Plain]:
    """How often functions may run at most, where nothing that was computed is lost."""
    once: set[tuple[Plain, Plain]] = set()
    often: Counter[Plain] = Counter()
    for evaluation in evaluations:
        for call in every_call(evaluation):
            if call.inner is not None:
                often[call.plain] += 2  # once more if what it gave then is gone
            elif call.is_lazy or not call.repeatable or call.failed:
                often[call.plain] += 1
            else:
                once.add((call.plain, call.key))
    for noted, _ in once:
        often[noted] += 1
    return often
