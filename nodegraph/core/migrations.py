"""Migrate older workflow files and node inputs, also inputs whose values could not be read.

No single run of a migration shows that it depends on an unread value: a comparison with a word
is `False` for all other words. So stand-ins for numbers, texts and lists report every question
that a decision may follow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import islice, product
from types import CodeType, FunctionType
from typing import Any

from nodegraph.core.parts import in_words
from nodegraph.errors import InvalidFile

MAX_TRIAL_NUMBER = 100_000
"""No number is tried that is further from 0: a function may make as many things as it says."""

TRIAL_KINDS: tuple[Any, ...] = (2, 0.5, "a", True, ["b", "c"], None)
"""One value of each kind that an input may be of."""

TRIAL_VALUES: tuple[Any, ...] = (
    *(0, 1, 2, 3, -1, -70, 64, 101, 2000, MAX_TRIAL_NUMBER),
    *(0.0, 0.25, 0.75, 1.5, -0.5, 1e-6, float(MAX_TRIAL_NUMBER)),
    *("", "a", "b", "A b", "1", "2.5", "2x3", "2:3", "2,3"),
    *([], ["a"], ["b", "c"], [1, 2, 3, 4], [0.5, 0.25, 0.75]),
    *(False, True, None),
)
"""Several of each kind."""

_MOST_KINDS = 3000
"""Kinds of several missing values that are tried together at most."""
_ABSENT = object()

_MOST = 200
"""Constants that are taken out of a function at most."""

_OBJECT_METHODS = frozenset(
    {
        *("__new__", "__init__", "__class__", "__getattribute__", "__setattr__", "__delattr__"),
        *("__reduce__", "__reduce_ex__", "__getnewargs__", "__getstate__", "__dir__", "__doc__"),
        *("__init_subclass__", "__subclasshook__", "__sizeof__", "__class_getitem__"),
    }
)
"""What is of the object and not of its value."""


_WATCHED: dict[type, type] = {}
"""Kinds whose values say when they are asked, by the plain ones."""


def migrate_unread(
    inputs: Mapping[str, Any],
    unread: Collection[str],
    start: int,
    end: int,
    migrations: Mapping[int, NodeMigration],
    ports: Collection[str] = (),
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """A node's inputs as `migrate_inputs` has them, and those that may depend on ones without a
    value.

    A migration may rename inputs or work out others of them, or decide by them, so that it is seen
    by values that are tried in place of the missing ones.

    Args:
        unread: Inputs that aren't given and that no default stands for.
        ports: The node's inputs today.
    Returns:
        The inputs without such ones, and the names of these, each with those of `unread` that it
        may depend on.
    """
    missing = [name for name in unread if name not in inputs]
    if not missing:
        migrated = migrate_inputs(inputs, start, end, migrations)
        return migrated, {name: [name] for name in unread if name in migrated}
    steps = [migrations[version] for version in range(start, end) if version in migrations]
    named = [value for step in steps for value in constants(step)]
    trials = _tried(
        inputs, missing, named, partial(migrate_inputs, start=start, end=end, migrations=migrations)
    )
    passed = _passed(inputs, start, end, migrations)
    if trials:
        known, depending = _split_by_dependence(inputs, missing, trials, {*ports} & _texts(named))
    else:
        # Nobody knows what it makes of any value.
        known = {port: value for port, value in inputs.items() if port in ports}
        depending = {port: missing for port in ports if port not in known}
    depending = {port: names for port, names in depending.items() if port not in passed}
    kept = {name: [name] for name in unread if name in known or name in passed}
    return known | passed, kept | {port: depending[port] for port in sorted(depending)}


@dataclass(frozen=True)
class _Trial:
    """What a migration made of values in place of missing ones.

    Attributes:
        varied: Those of the missing ones that differ from the first trial's.
        read: Those by whose values it may have decided.
    """

    migrated: dict[str, Any]
    varied: tuple[str, ...]
    read: tuple[str, ...]


def _tried(
    inputs: Mapping[str, Any],
    missing: Sequence[str],
    named: Sequence[Any],
    migrate: Callable[[dict[str, Any]], dict[str, Any]],
) -> list[_Trial]:
    """Trials of values that the migration takes; the first gives each missing one some value, and
    others give one of them another, or all of them one."""

    def tried(values: Mapping[str, Any], varied: Sequence[str]) -> _Trial | None:
        watches = {name: Watch() for name in values}
        stand_ins = {name: watched(deepcopy(values[name]), watches[name]) for name in values}
        try:
            migrated = migrate({**deepcopy(dict(inputs)), **stand_ins})
        except Exception:  # noqa: BLE001 - it need not take values of every kind
            return None
        read = tuple(name for name in values if watches[name].is_read)
        return _Trial(migrated, tuple(varied), read)

    nearby = [value + more for value in named if _is_number(value) for more in (-1, 1)]
    several = [*TRIAL_VALUES, *named, *nearby]
    if len(missing) == 1:
        results = [tried({missing[0]: value}, missing) for value in several]
        return [trial for trial in results if trial is not None]
    for kinds in islice(product(TRIAL_KINDS, repeat=len(missing)), _MOST_KINDS):
        first = dict(zip(missing, kinds, strict=True))
        usual = tried(first, ())
        if usual is not None:
            break
    else:
        return []
    results = [usual, *(tried(dict.fromkeys(missing, value), missing) for value in several)]
    results += [tried(first | {name: value}, [name]) for name in missing for value in several]
    return [trial for trial in results if trial is not None]


def _split_by_dependence(
    inputs: Mapping[str, Any], missing: Sequence[str], trials: Sequence[_Trial], mentioned: set[str]
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Inputs that are alike in all trials, and the others, each with what it may depend on.

    Args:
        mentioned: Today's inputs that the migrations name.
    """
    first, *others = trials
    made = dict.fromkeys(port for trial in trials for port in trial.migrated)
    tried = {name for trial in others for name in trial.varied}
    # of one that only one value was taken for, nothing is known either
    read = {name for trial in trials for name in trial.read} | ({*missing} - tried)
    known: dict[str, Any] = {}
    depending: dict[str, list[str]] = {}
    for port in (*made, *mentioned - made.keys()):
        own = first.migrated.get(port, _ABSENT)
        differing = [
            trial for trial in others if not _alike(trial.migrated.get(port, _ABSENT), own)
        ]
        handed_on = port in inputs and not differing and _alike(own, inputs[port])
        if differing or is_watched(own):
            single = {trial.varied[0] for trial in differing if len(trial.varied) == 1} | read
            depending[port] = [name for name in missing if name in single] or list(missing)
        elif read and not handed_on:
            # one that depends on a decision may be alike for all values that were tried
            depending[port] = [name for name in missing if name in read]
        elif own is not _ABSENT:
            known[port] = own
    return known, depending


def _alike(first: Any, second: Any) -> bool:
    return first is second or (type(first) is type(second) and bool(first == second))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _texts(values: Sequence[Any]) -> set[str]:
    return {value for value in values if isinstance(value, str)}


def _passed(
    inputs: Mapping[str, Any], start: int, end: int, migrations: Mapping[int, NodeMigration]
) -> dict[str, Any]:
    """Inputs that have today's names already: people give them by the names that they are told."""
    try:
        migrated = migrate_inputs(deepcopy(dict(inputs)), start, end, migrations)
    except Exception:  # noqa: BLE001 - as not all that it needs is there
        return {}
    return {
        port: value
        for port, value in inputs.items()
        if port in migrated and migrated[port] == value
    }


class Watch:
    """Whether a decision may have followed from a value; one for each, alike for its copies."""

    def __init__(self) -> None:
        self.is_read = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Watch:
        return self


def watched(value: Any, watch: Watch) -> Any:
    """A value of the same kind that says when it is asked; others than numbers, texts and lists
    have few values each and stay as they are."""
    kind = _WATCHED.get(type(value))
    if kind is None:
        return value
    copy = kind(value)
    copy.watch = watch
    return copy


def is_watched(value: Any) -> bool:
    """Whether there is a watched value in one."""
    if type(value) in _WATCHED.values():
        return True
    if isinstance(value, Mapping):
        return any(map(is_watched, value.values()))
    return isinstance(value, (list, tuple)) and any(map(is_watched, value))


def constants(function: Any) -> list[Any]:
    """Numbers and texts that a function names, and those of its module that it does: by them it
    may decide."""
    unique: dict[tuple[type, Any], Any] = {}
    for value in _named(function, set()):
        if len(unique) == _MOST:
            break
        unique[type(value), value] = value
    return list(unique.values())


def _named(value: Any, visited: set[int]) -> Iterator[Any]:
    if id(value) in visited:
        return
    visited.add(id(value))
    if isinstance(value, (str, int, float)):
        if isinstance(value, str) or abs(value) < MAX_TRIAL_NUMBER:
            yield value
    elif isinstance(value, Mapping):
        for pair in value.items():
            yield from _named(pair, visited)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _named(item, visited)
    elif isinstance(value, CodeType):
        yield from _named(value.co_consts, visited)
    elif isinstance(value, FunctionType):
        yield from _named(value.__code__, visited)
        cells = (cell.cell_contents for cell in value.__closure__ or ())
        for item in (value.__defaults__, value.__kwdefaults__, *cells, *_of_module(value)):
            yield from _named(item, visited)


def _of_module(function: FunctionType) -> Iterator[Any]:
    """What it names of its module; of functions of others, no more is known here."""
    names: list[str] = []
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        names += code.co_names
        codes += [item for item in code.co_consts if isinstance(item, CodeType)]
    for name in names:
        item = function.__globals__.get(name)
        if not isinstance(item, FunctionType) or item.__module__ == function.__module__:
            yield item


def _watching(kind: Any) -> type:
    """A kind whose values say when they are asked."""
    own = {
        name: _observed(name, getattr(kind, name))
        for name in dir(kind)
        if name not in _OBJECT_METHODS and callable(getattr(kind, name))
    }
    if "__bool__" not in own:
        own["__bool__"] = _observed("__bool__", lambda value: kind.__len__(value) > 0)
    return type(f"Watched{kind.__name__.title()}", (kind,), own)


_PLAIN = frozenset(
    {
        *("__len__", "__hash__", "__bool__", "__index__", "__int__", "__float__"),
        *("__str__", "__repr__", "__format__"),
    }
)
"""What Python wants a plain value of."""


def _observed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **named: Any) -> Any:
        result = method(self, *args, **named)
        if result is NotImplemented or type(result) in _WATCHED.values():
            self.watch.is_read |= name in ("__eq__", "__ne__")
            return result
        if name not in _PLAIN and type(result) in _WATCHED:
            return watched(result, self.watch)
        self.watch.is_read = True
        return result

    return call


_WATCHED.update({kind: _watching(kind) for kind in (int, float, str, list)})


FORMAT = "nodegraph/1"
"""The format that this version writes."""

FormatMigration = Callable[[dict[str, Any]], dict[str, Any]]
FORMAT_MIGRATIONS: Mapping[str, FormatMigration] = {}
"""By older format: turns a file of it into one of the next format, its `format` key included."""

NodeMigration = Callable[[dict[str, Any]], dict[str, Any]]

_NUMBERED = re.compile(r"nodegraph/([0-9]{1,9})")


def migrate_format(
    document: dict[str, Any], migrations: Mapping[str, FormatMigration] = FORMAT_MIGRATIONS
) -> dict[str, Any]:
    """The file's content in today's format.

    Raises:
        InvalidFile: It has no format, an unknown one, or one of a newer nodegraph.
    """
    while (file_format := document.get("format")) != FORMAT:
        step = migrations.get(file_format) if isinstance(file_format, str) else None
        if step is None:
            raise _refused(document, file_format)
        document = step(document)
    return document


def _refused(document: dict[str, Any], file_format: Any) -> InvalidFile:
    if file_format is None:
        ours = isinstance(document.get("nodes"), dict)
        return InvalidFile(
            "this is not a nodegraph workflow: the key `format` is missing",
            expected=f'"format": "{FORMAT}"',
            hint="Add that line." if ours else "If another tool wrote the file, import it instead.",
        )
    number = _NUMBERED.fullmatch(file_format) if isinstance(file_format, str) else None
    if number and int(number[1]) > int(FORMAT.rpartition("/")[2]):
        return InvalidFile(
            f"the workflow was written by a newer nodegraph, in the format {file_format}",
            expected=f"{FORMAT} or older",
            hint="Update nodegraph, or save the workflow in the older format.",
        )
    return InvalidFile(
        "the workflow's format is unknown", given=in_words(file_format), expected=f'"{FORMAT}"'
    )


def migrate_inputs(
    inputs: Mapping[str, Any], start: int, end: int, migrations: Mapping[int, NodeMigration]
) -> dict[str, Any]:
    """A node's inputs, written for version `start` of its type, as version `end` takes them.

    A version without a migration takes the inputs of the one before it.
    """
    migrated = dict(inputs)
    for version in range(start, end):
        step = migrations.get(version)
        if step is not None:
            migrated = dict(step(migrated))
    return migrated
