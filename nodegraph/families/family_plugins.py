"""Load, check and guard model families from entry points of installed packages.

A family of a package raises errors that name the family, the package and the method. A built-in
family raises its exceptions unchanged. Imports no torch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial, wraps
from logging import ERROR, WARNING, getLogger
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from nodegraph.core.pack_faults import is_fault, plugin_fault, tensor_misfit
from nodegraph.core.plugins import entry_points, module_of, named_point, package_release
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family, Part
from nodegraph.families.index import FORMATS, INDEX
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.weights.memory import StepMemory
from nodegraph.weights.single_files.base import FileLayout, SingleFile

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from torch import Tensor

_RENAMED = {"guider": "guider_config", "hole_mask": "inpaint_mask"}
"""Methods of families that are called otherwise now: nobody would ask one that has the old."""
_RESERVED = ("", "auto")
"""Names that stand for no family, and for no latent format, where one is chosen."""


class _Kind(NamedTuple):
    """What a field has to hold.

    Attributes:
        type: Of it, or of each of its items.
        is_many: Whether it is a tuple.
        may_lack: Whether it may be None.
    """

    type: type
    is_many: bool = False
    may_lack: bool = False


_Kinds = Mapping[str, _Kind]
_FAMILY_KINDS: _Kinds = {
    **{name: _Kind(str) for name in ("name", "title", "vae")},
    "latent": _Kind(LatentFormat),
    "pipelines": _Kind(str, is_many=True),
    **{name: _Kind(Part, is_many=True) for name in ("denoisers", "encoders", "tokenizers")},
    "control": _Kind(Part, may_lack=True),
    "single_file": _Kind(SingleFile, may_lack=True),
}
"""What a package's family has to hold, as nodes and searches ask all families for it."""
_LATENT_KINDS: _Kinds = {
    "name": _Kind(str),
    **{name: _Kind(int) for name in ("channels", "spatial", "temporal")},
    "autoencoders": _Kind(str, is_many=True),
    "files": _Kind(FileLayout, is_many=True),
}
_PART_KINDS: _Kinds = {
    **{name: _Kind(str) for name in ("role", "module")},
    "classes": _Kind(str, is_many=True),
    "files": _Kind(FileLayout, is_many=True),
}
_SHAPES = {"weight": (1,)}
"""Of a file that is of no family."""


class _LeftOut(NamedTuple):
    text: str
    error: BaseException | None = None


@dataclass
class PluginFamilies:
    """The families of packages, by name, as far as they are found.

    Attributes:
        releases: Of each the package that brings it, its version, and a digest of its code.
        rejections: What was left out, and why.
        is_whole: Whether all were loaded that can be: a package that asks for families as it is
            imported may not have come to its own.
    """

    families: dict[str, Family] = field(default_factory=dict)
    releases: dict[str, str] = field(default_factory=dict)
    rejections: list[_LeftOut] = field(default_factory=list)
    is_whole: bool = True
    _items: dict[str, Family] = field(default_factory=dict)
    """The families as the packages made them; see `guarded`."""

    def find(self, group: str) -> None:
        """Load the families that a group of entry points names."""
        for point in entry_points(group):
            for item in self._loaded(point):
                self._add(item, point)

    def log_rejections(self) -> None:
        """Say what was left out."""
        for text, error in self.rejections:
            getLogger(__name__).log(WARNING if error is None else ERROR, text, exc_info=error)

    def rejected(self) -> list[str]:
        """What was left out, and why."""
        return [
            text if error is None else f"{text} ({_fault(error)})"
            for text, error in self.rejections
        ]

    def package(self, name: str) -> str:
        """The package that brings a family, with its version."""
        return self.releases.get(name, "").partition("#")[0].strip()

    def _loaded(self, point: EntryPoint) -> list[object]:
        try:
            loaded = point.load()
            return [*loaded] if isinstance(loaded, (list, tuple)) else [loaded]
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a package's code may raise anything, or exit
            text = f"the model family {named_point(point)} cannot be loaded and is skipped"
            self.rejections.append(_LeftOut(text, error))
            self.is_whole = self.is_whole and not _is_being_imported(point.value)
            return []

    def _add(self, item: object, point: EntryPoint) -> None:
        """Add what an entry point names, unless it is no whole family or its name is taken."""
        try:
            wrong = _wrong_of(item)
            if wrong is None:
                assert isinstance(item, Family)
                if self._items.get(item.name) is item:
                    return
                wrong = self._taken(item)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - see `_loaded`
            wrong = f"reading its description failed ({_fault(error)})"
        if wrong is not None:
            self.rejections.append(
                _LeftOut(f"the model family {named_point(point)} is skipped: {wrong}")
            )
            return
        assert isinstance(item, Family)
        self._items[item.name] = item
        self.releases[item.name] = package_release(point, _network_modules(item))
        self.families[item.name] = guarded(item, self.package(item.name), point.module)

    def _taken(self, family: Family) -> str | None:
        """Which of its names stands for something else already; None if neither does."""
        name, latents = family.name, family.latent
        if name in INDEX:
            return f"nodegraph has a built-in family `{name}`; give it another name"
        if name in self.families:
            return f"the family `{name}` of {self.package(name)} has the same name and is used"
        if latents.name in FORMATS:
            owner, first = "nodegraph", INDEX[FORMATS[latents.name]].family().latent
        else:
            same = (each for each in self.families.values() if each.latent.name == latents.name)
            known = next(same, family)
            owner, first = self.package(known.name), known.latent
        if latents is first or (type(latents) is type(first) and latents == first):
            return None
        return (
            f"its latent format `{latents.name}` differs from that of {owner}; use that one "
            "unchanged, or give yours another name"
        )


def _network_modules(family: Family) -> list[str]:
    """The modules of a family's parts. Those of nodegraph are part of the keys of all results."""
    modules = (part.module for part in _parts(family))
    return [each for each in modules if each.partition(".")[0] not in ("", "nodegraph")]


_FAILED: set[tuple[str, str]] = set()


def log_failure(family: Family, package: str, error: BaseException) -> None:
    """Say that a package's family failed where all were asked; the same once."""
    fault = family.name, _fault(error)
    if fault not in _FAILED:
        _FAILED.add(fault)
        getLogger(__name__).error(
            "the model family `%s` of %s failed when a file was checked against all "
            "families, and is skipped",
            family.name,
            package or "a package",
            exc_info=error,
        )


def _is_being_imported(value: str) -> bool:
    """Whether the module of an entry point is, or a package that it lies in."""
    parts = value.partition(":")[0].strip().split(".")
    modules = (sys.modules.get(".".join(parts[: end + 1])) for end in range(len(parts)))
    return any(
        getattr(getattr(module, "__spec__", None), "_initializing", False) for module in modules
    )


def _wrong_of(item: object) -> str | None:
    """What is wrong with a package's family; None if nothing is."""
    if not isinstance(item, Family):
        return f"it is not a model family but {_shown(item)}"
    for name, new in _RENAMED.items():
        if hasattr(type(item), name):
            return (
                f"it has a method `{name}`, which was renamed to `Family.{new}`; override that one"
            )
    return _unfit(item, _FAMILY_KINDS) or _unfit_latents(item.latent) or _unfit_family(item)


def _unfit_latents(latents: LatentFormat) -> str | None:
    wrong = _unfit(latents, _LATENT_KINDS, "latent's ")
    if wrong is not None:
        return wrong
    if latents.name in _RESERVED:
        return f"its latent's `name` is {_shown(latents.name)}; expected a unique name"
    scaling = latents.scaling
    if scaling is not None and not (
        isinstance(scaling, (list, tuple))
        and len(scaling) == 2
        and all(isinstance(each, (int, float)) for each in scaling)
    ):
        return f"its latent's `scaling` has {_shown(scaling)}; expected a factor and a shift"
    return None


def _unfit_family(family: Family) -> str | None:
    if family.name in _RESERVED:
        return (
            f"its `name` is {_shown(family.name)}; expected a unique name, for example `my_family`"
        )
    if not family.denoisers:
        return "its `denoisers` are empty; expected a Part"
    parts = _parts(family)
    wrong = next(filter(None, (_unfit(part, _PART_KINDS, "part's ") for part in parts)), None)
    if wrong is not None:
        return wrong
    # All files are shown to all families, so that one that fails takes every file away.
    questions: list[tuple[str, Callable[[], Any]]] = [
        ("recognises", lambda: bool(family.recognises(_SHAPES))),
        ("leads", lambda: bool(family.leads("", {}))),
    ]
    layouts = [*family.latent.files, *(layout for part in parts for layout in part.files)]
    questions += [(f"{layout.name}.prefix", partial(layout.prefix, _SHAPES)) for layout in layouts]
    return next(
        (
            f"its `{name}` fails for files of other models ({fault})"
            for name, ask in questions
            if (fault := _fault_in(ask)) is not None
        ),
        None,
    )


def _parts(family: Family) -> list[Part]:
    control = [] if family.control is None else [family.control]
    return [*family.denoisers, *family.encoders, *family.tokenizers, *control]


def _unfit(item: object, kinds: _Kinds, owner: str = "") -> str | None:
    """What something doesn't hold as it should; None if it does."""
    for name, kind in kinds.items():
        wanted = f"its {owner}`{name}`"
        fault = _fault_in(partial(getattr, item, name, None))
        if fault is not None:
            return f"{wanted} cannot be read ({fault})"
        value = getattr(item, name, None)
        if value is None and kind.may_lack:
            continue
        if not kind.is_many:
            wrong, word = (
                [] if isinstance(value, kind.type) else [value],
                "an" if kind.type is int else "a",
            )
        elif isinstance(value, (list, tuple)):
            wrong, word = [each for each in value if not isinstance(each, kind.type)], "only a"
        else:
            wrong, word = [value], "a tuple of"
        if wrong:
            return f"{wanted} has {_shown(wrong[0])}; expected {word} {kind.type.__name__}"
    return None


def _fault_in(ask: Callable[[], Any]) -> str | None:
    """What a package's code raises; None if it doesn't."""
    try:
        ask()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - see `PluginFamilies._loaded`
        return _fault(error)
    return None


def _fault(error: BaseException) -> str:
    return _text(lambda: f"{type(error).__name__}: {error!s:.200}", type(error).__name__)


def _shown(value: object) -> str:
    kind = type(value).__name__
    return _text(lambda: f"{value!r:.60} ({kind})", f"an object that cannot be shown ({kind})")


def _text(made: Callable[[], str], otherwise: str) -> str:
    try:
        return made()
    except Exception:  # noqa: BLE001 - a package's own `__repr__` or `__str__`
        return otherwise


_ENCODING = ("encode", "encode_apart", "encode_edit", "unconditional")
_SAMPLING = (
    *("channels", "trained_size", "context_width", "step_memory", "tokens"),
    *("fit", "matched", "inpaint_mask", "groups", "join", "predict", "controlled"),
    *("control_is_unshifted", "guided", "scale", "guider_config", "takes_scale", "guides_itself"),
)
_RESULTS: Mapping[str, type | tuple[type, ...]] = {
    "trained_size": (tuple, list),
    "step_memory": StepMemory,
    "fit": Mapping,
    "join": Mapping,
}
"""What methods return, where it is checked; see also `_check_result` and `check_prediction`."""

_Family = TypeVar("_Family", bound=Family)


class _Origin(NamedTuple):
    """Where a family is from.

    Attributes:
        package: Name and version of the package.
        module: That its entry point names.
    """

    package: str
    module: str


def guarded(family: _Family, package: str, module: str) -> _Family:
    """A package's family whose methods raise `InvalidValue` for every exception of the package.

    Errors of nodegraph, of memory that runs out, and interrupts pass unchanged.

    Args:
        package: Name and version.
        module: That the entry point names.
    """
    kind = type(family)
    members = {"__module__": kind.__module__, "_origin": _Origin(package, module)}
    guarded_kind = type(kind.__name__, (kind,), members)
    for name in (*_ENCODING, *_SAMPLING):
        setattr(guarded_kind, name, _guarded_method(guarded_kind, name, getattr(kind, name)))
    copied: _Family = object.__new__(kind)
    copied.__dict__.update(vars(family))
    object.__setattr__(copied, "__class__", guarded_kind)
    return copied


def _guarded_method(
    guarded_kind: type[Any], name: str, method: Callable[..., Any]
) -> Callable[..., Any]:
    @wraps(method)
    def call(family: Family, *arguments: Any, **options: Any) -> Any:
        try:
            result = getattr(super(guarded_kind, family), name)(*arguments, **options)
        except BaseException as error:
            if not is_fault(error):
                raise
            raise family_fault(family, name, error) from error
        _check_result(family, name, result)
        return result

    return call


def _check_result(family: Family, name: str, result: object) -> None:
    kinds = _RESULTS.get(name, object)
    if name in _ENCODING:
        # Code that encodes has imported it; see `nodegraph.families.base.encoded`.
        from nodegraph.core.values import ConditioningEntry

        kinds = ConditioningEntry
        if name == "unconditional" and result is None:
            return
    if not isinstance(result, kinds):
        wanted = kinds if isinstance(kinds, tuple) else (kinds,)
        raise family_fault(
            family,
            name,
            "returns something else",
            actual=type(result).__name__,
            expected=" or ".join(each.__name__ for each in wanted),
        )


def check_prediction(family: Family, output: object, x: Tensor) -> Tensor:
    """The output of `Family.predict`, checked.

    Raises:
        InvalidValue: It is not a floating-point tensor of the latent's shape, on its device.
    """
    misfit = tensor_misfit(output, x, may_require_grad=True)
    if misfit is not None:
        actual, expected = misfit
        what = "returns no prediction"
        raise family_fault(family, "predict", what, actual=actual, expected=expected)
    return cast("Tensor", output)


def family_fault(
    family: Family,
    method: str,
    what: str | BaseException,
    *,
    actual: str | None = None,
    expected: str | None = None,
) -> InvalidValue:
    """The error of a family whose method breaks its contract; see `plugin_fault`."""
    package, own_module = getattr(family, "_origin", _Origin("", ""))
    function = getattr(type(family), method)
    module = module_of(function)
    if own_module and module.startswith("nodegraph."):  # inherited
        module = own_module
    origin = f" of {package}" if package else ""
    return plugin_fault(
        "encoder" if method in _ENCODING else "model",
        family.name,
        function,
        what,
        subject=f"`{method}` of the model family `{family.name}`{origin}",
        module=module,
        actual=actual,
        expected=expected,
    )
