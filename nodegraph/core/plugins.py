"""Plugins: what packages and packs add to the choices of inputs by name, such as samplers; and the
entry points of installed packages, read so that a damaged package hurts no other.

There are two ways to bring one. An installed package names it as an entry point of the group. A
pack declares it in one of its modules, by the decorator of the group, as it declares its nodes;
the registry of the packs offers it. Inputs offer both (`Choices`), and keys of results contain the
release of the plugin that an input names, so an upgrade computes them anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context, ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock, local
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable
from weakref import WeakKeyDictionary

from nodegraph.core.digests import code_digest, sibling_packages
from nodegraph.errors import PackError

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint
    from types import ModuleType

    from nodegraph.core.spec import InputSpec, NodeSpec


@runtime_checkable
class PluginItem(Protocol):
    """What the decorator of a group makes.

    Attributes:
        plugin_group: Group of the entry points.
        name: By which it is chosen.
        module: Of its function.
        record: What checks ask of it without loading it, as JSON has it; raises errors where an
            argument of the decorator is wrong.
    """

    plugin_group: ClassVar[str]

    @property
    def name(self) -> str: ...

    @property
    def module(self) -> str: ...

    @property
    def record(self) -> Mapping[str, Any]: ...


def plugins_in(module: ModuleType) -> list[PluginItem]:
    """Those that a module declares itself, each once; also in lists, and where functions of other
    modules made them."""
    items = _plugins_of(module)
    return [
        item
        for at, item in enumerate(items)
        if not any(item is each for each in items[:at]) and not _is_imported(item, module)
    ]


def _plugins_of(module: ModuleType) -> list[PluginItem]:
    values: list[Any] = []
    for value in list(vars(module).values()):
        values += value if isinstance(value, (list, tuple)) else [value]
    # Not by the protocol: it would ask for records, which fail where arguments are wrong.
    return [
        value for value in values if isinstance(getattr(type(value), "plugin_group", None), str)
    ]


def _is_imported(item: PluginItem, module: ModuleType) -> bool:
    """Whether the module of a plugin's function declares it, and not this one."""
    if item.module == module.__name__:
        return False
    origin = sys.modules.get(item.module)
    return origin is not None and any(item is each for each in _plugins_of(origin))


def module_of(function: Callable[..., Any]) -> str:
    """The name of the module that defines a function, also of one with some arguments filled in."""
    while isinstance(function, partial):
        function = function.func
    return function.__module__


@dataclass(frozen=True, slots=True)
class Plugin:
    """What a package or a pack brings under a name.

    Attributes:
        record: See `PluginItem`.
        load: Gives what the decorator made; may import its module.
        read_release: Gives the package, its version, and a digest of its code.
    """

    name: str
    record: Mapping[str, Any]
    load: Callable[[], Any]
    read_release: Callable[[], str]


@dataclass(frozen=True, slots=True)
class DeclaredPlugin:
    """A plugin as a pack's manifest keeps it.

    Attributes:
        group, name, record: See `PluginItem`.
        module: That declares it.
    """

    group: str
    name: str
    module: str
    record: dict[str, Any] = field(default_factory=dict)


def declare_plugin(item: PluginItem, module: str) -> DeclaredPlugin:
    """What a manifest keeps of a plugin.

    Args:
        module: That declares it.
    Raises:
        PackError: Its name is no text, or an argument of its decorator is wrong.
    """
    word, name = PluginGroup.word_of(item.plugin_group), item.name
    if not (isinstance(name, str) and name.isprintable() and name.strip()):
        raise PackError(
            f"its {word} is left out: its name is not a text of one line",
            given=repr(name),
            hint=f"Give the {word} a name.",
        )
    try:
        return DeclaredPlugin(item.plugin_group, name, module, dict(item.record))
    except Exception as error:
        raise PackError(
            f"its {word} `{name}` is left out: an argument of `@{word}` is wrong "
            f"({type(error).__name__}: {error})",
            hint="docs/samplers.md says what each is.",
        ) from error


def find_declared(module: ModuleType, declared: DeclaredPlugin) -> PluginItem:
    """The plugin of a module that a manifest names.

    Raises:
        PackError: The module no longer declares it.
    """
    for item in plugins_in(module):
        if (item.plugin_group, item.name) == (declared.group, declared.name):
            return item
    raise PackError(
        f"{module.__name__} no longer declares `{declared.name}`",
        hint="The pack changed while in use; start again.",
    )


_OFFERED: WeakKeyDictionary[PackPlugins, None] = WeakKeyDictionary()
"""All that is offered, the newest last: outside of sessions' work, the newest of a name counts.
Only their registries keep them."""
_LOCK = Lock()


_T = TypeVar("_T")


class PluginScope:
    """The plugins that the work of one session finds by their names: those of its latest registry.

    Several sessions may work at once, and their packs may have plugins of the same name.

    Attributes:
        plugins: None until packs are read.
    """

    def __init__(self) -> None:
        self.plugins: PackPlugins | None = None

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Inside, use it in the current context, and in what copies that."""
        token = _SCOPE.set(self)
        try:
            yield
        finally:
            _SCOPE.reset(token)


_SCOPE: ContextVar[PluginScope | None] = ContextVar("nodegraph_plugins", default=None)


def in_scope(work: Callable[[], _T]) -> Callable[[], _T]:
    """The same work, which finds the plugins of the current context wherever it is called."""
    context = scoped_context()
    return partial(context.run, work)


def scoped_context() -> Context:
    """A context that has the plugins of the current one, and nothing else of it."""
    context = Context()
    context.run(_SCOPE.set, _SCOPE.get())
    return context


def _found_here() -> Sequence[PackPlugins]:
    """Where plugins of packs are looked for, the newest last."""
    scope = _SCOPE.get()
    if scope is None or scope.plugins is None:
        return [each for key in _OFFERED.keyrefs() if (each := key()) is not None]
    return [scope.plugins]


class StoredSpecs(Protocol):
    """Specs that are read when they are asked for; those of a manifest with many are."""

    def containing(self, text: bytes) -> list[NodeSpec]:
        """Those whose stored form contains a text."""


class PackPlugins:
    """The plugins of the packs of a registry."""

    def __init__(self) -> None:
        self.modules: dict[str, set[str]] = {}
        """By import name of a pack, the modules that declare them."""
        self._plugins: dict[str, dict[str, tuple[str, Plugin]]] = {}

    def add(
        self,
        package: str,
        declared: DeclaredPlugin,
        load: Callable[[DeclaredPlugin], Any],
        read_release: Callable[[DeclaredPlugin], str],
    ) -> bool:
        """Add a plugin of a pack, unless there is one of that name.

        Args:
            package: Import name of the pack.
            load, read_release: See `Plugin`.
        Returns:
            Whether it was added.
        """
        group = self._plugins.setdefault(declared.group, {})
        if declared.name in group:
            return False
        plugin = Plugin(
            declared.name, declared.record, partial(load, declared), partial(read_release, declared)
        )
        group[declared.name] = package, plugin
        self.modules.setdefault(package, set()).add(declared.module)
        return True

    def drop_taken(
        self, specs: Iterable[NodeSpec], stored: Iterable[StoredSpecs]
    ) -> list[tuple[str, str, str]]:
        """Leave out those whose names inputs offer already.

        Args:
            stored: Of these, only the specs with such inputs are read.
        Returns:
            Import name of the pack, group and name of each.
        """
        if not self._plugins:
            return []
        dropped = []
        read = [spec for each in stored for spec in each.containing(b'"entryPoints"')]
        for group, taken in _offered_names([*specs, *read]).items():
            for name in taken.intersection(self._plugins.get(group, ())):
                package, _ = self._plugins[group].pop(name)
                dropped.append((package, group, name))
        return dropped

    def withdraw(self) -> None:
        """Have them found no more."""
        with _LOCK:
            _OFFERED.pop(self, None)

    def offer(self) -> None:
        """Have them found by their names, before those that were offered earlier."""
        with _LOCK:
            _OFFERED.pop(self, None)
            _OFFERED[self] = None

    def names(self, group: str) -> list[str]:
        """Those of a group."""
        return list(self._plugins.get(group, ()))

    def find(self, group: str, name: str) -> Plugin | None:
        """The plugin of a name; None if there is none."""
        _, plugin = self._plugins.get(group, {}).get(name, ("", None))
        return plugin

    def extend(self, spec: NodeSpec) -> NodeSpec:
        """A spec whose inputs offer them, too."""
        inputs = tuple(map(self._extended, spec.inputs)) if self._plugins else spec.inputs
        return spec if inputs == spec.inputs else replace(spec, inputs=inputs)

    def _extended(self, port: InputSpec) -> InputSpec:
        schema = port.choice_schema
        names = self.names(schema["entryPoints"]) if "plugins" in schema else []
        more = [name for name in names if name not in schema["enum"]]
        if not more:
            return port
        wider = {
            **schema,
            "enum": [*schema["enum"], *more],
            "plugins": [*schema["plugins"], *more],
        }
        if schema is port.json_schema:
            return replace(port, json_schema=wider)
        return replace(port, json_schema={**(port.json_schema or {}), "items": wider})


def _offered_names(specs: Iterable[NodeSpec]) -> dict[str, set[Any]]:
    """By group of plugins, what inputs that offer them offer so far, those of packages included."""
    choices: dict[str, set[Any]] = {}
    for port in (port for spec in specs for port in spec.inputs):
        schema = port.choice_schema
        if "plugins" in schema:
            choices.setdefault(schema["entryPoints"], set()).update(schema["enum"])
    return choices


class PluginGroup(Mapping[str, Plugin]):
    """The plugins of a group, by name: those of installed packages, then those of packs.

    Args:
        name: Group of the entry points, such as ``nodegraph.samplers``.
        built_in: Names that are taken: a package's plugin of such a name is logged and left out.
    """

    def __init__(self, name: str, built_in: Collection[str] = ()) -> None:
        self.name = name
        self.built_in = built_in
        self._found: Mapping[str, Plugin] | None = None
        _GROUPS[name] = self

    @staticmethod
    def word_of(group: str) -> str:
        """What a plugin of a group is called: ``sampler`` of ``nodegraph.samplers``."""
        return group.rpartition(".")[2].removesuffix("s")

    def __getitem__(self, name: str) -> Plugin:
        if name in self.built_in:
            raise KeyError(name)
        of_packs = (plugins.find(self.name, name) for plugins in reversed(_found_here()))
        return next(filter(None, of_packs), None) or self._installed()[name]

    def __iter__(self) -> Iterator[str]:
        of_packs = [name for plugins in _found_here() for name in plugins.names(self.name)]
        names = dict.fromkeys([*self._installed(), *of_packs])
        return (name for name in names if name not in self.built_in)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def installed(self) -> tuple[str, ...]:
        """Names of those of installed packages."""
        return tuple(self._installed())

    def _installed(self) -> Mapping[str, Plugin]:
        """A package that asks while its plugins are imported sees none."""
        if self._found is None:
            if getattr(_LOADING, "is_under_way", False):
                return {}
            _LOADING.is_under_way = True
            try:
                self._found = _installed_plugins(self.name, self.built_in)
            finally:
                _LOADING.is_under_way = False
        return self._found


_LOADING = local()
_GROUPS: dict[str, PluginGroup] = {}


def plugin_release(group: str, name: str) -> str:
    """The package of a plugin, its version, and a digest of its code, as this process loads it;
    empty if there is none of that name.

    Raises:
        PackError: The code of its pack can't be read.
    """
    plugin = (_GROUPS.get(group) or PluginGroup(group)).get(name)
    return "" if plugin is None else plugin.read_release()


def _installed_plugins(group: str, built_in: Collection[str]) -> Mapping[str, Plugin]:
    word = PluginGroup.word_of(group)
    plugins: dict[str, Plugin] = {}
    for point in entry_points(group):
        for item in _loaded(point):
            if getattr(type(item), "plugin_group", None) != group:
                wrong = f"it is nothing that `@{word}` made"
            elif item.name in built_in or item.name in plugins:
                wrong = f"there is a {word} `{item.name}`; give it another name"
            else:
                try:
                    record = item.record
                except Exception as error:  # noqa: BLE001 - it is made of the package's arguments
                    wrong = f"an argument of `@{word}` is wrong ({type(error).__name__}: {error})"
                else:
                    release = package_release(point)
                    load, read = _constant(item), _constant(release)
                    plugins[item.name] = Plugin(item.name, record, load, read)
                    continue
            _warn(f"the {word} {named_point(point)} is left out: {wrong}")
    return plugins


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def _loaded(point: EntryPoint) -> list[Any]:
    try:
        loaded = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a package's code may raise anything, or exit
        word = PluginGroup.word_of(point.group)
        _warn(f"the {word} {named_point(point)} cannot be loaded and is left out", error)
        return []
    return [*loaded] if isinstance(loaded, (list, tuple)) else [loaded]


def _warn(text: str, error: BaseException | None = None) -> None:
    from logging import ERROR, WARNING, getLogger

    getLogger(__name__).log(WARNING if error is None else ERROR, text, exc_info=error)


def package_release(point: EntryPoint, modules: Iterable[str] = ()) -> str:
    """A package that an entry point is of, its version, and a digest of its code.

    Args:
        modules: Of which the code of other top-level packages counts, too.
    """
    name, version = package_of(point)
    package = f"{name} {version} " if name else ""
    own, *others = dict.fromkeys(each.partition(".")[0] for each in (point.module, *modules))
    siblings = {module for each in (own, *others) for module in sibling_packages(each, name)}
    digests = (code_digest(each)[:12] for each in (own, *sorted({*others, *siblings} - {own})))
    return f"{package}#{'+'.join(digests)}"


def named_point(point: EntryPoint) -> str:
    """An entry point in words, with its package."""
    by = " ".join(filter(None, package_of(point)))
    return f"{point.name}{f' of {by}' if by else ''} ({point.value})"


_DAMAGED: set[str] = set()
"""Packages that were reported as damaged: they are read anew for each group."""


def entry_points(group: str) -> list[EntryPoint]:
    """Those of a group, by name and value; of packages of one name, those of the first.

    A package whose entry points can't be read is reported, once, and left out. Looking through all
    that is installed takes a while.
    """
    from importlib.metadata import distributions

    points: list[EntryPoint] = []
    names: set[str] = set()
    for package in distributions():
        try:
            name = str(getattr(package, "_normalized_name", None) or package.name)
            if name in names:
                continue
            names.add(name)
            points += [point for point in package.entry_points if point.group == group]
        except Exception as error:  # noqa: BLE001 - the file may hold anything
            _tell(package, error)
    return sorted(points, key=lambda point: (point.name, point.value))


def package_of(point: EntryPoint) -> tuple[str, str]:
    """Name and version of the package that brings an entry point; empty where it doesn't say."""
    package = point.dist
    if package is None:
        return "", ""
    try:
        return package.name or "", package.version or ""
    except Exception:  # noqa: BLE001 - metadata may be missing, or no text
        return "", ""


def _tell(package: Distribution, error: Exception) -> None:
    folder = str(getattr(package, "_path", package))
    if folder not in _DAMAGED:
        _DAMAGED.add(folder)
        _warn(
            f"the installed package {folder} is left out, because its entry_points.txt cannot be "
            "read: each line has to be a [group] or a `name = module:attribute`, in UTF-8 "
            f"({type(error).__name__}: {error})"
        )
