"""What the files of a pack say about it. They are read, never run: kind, needs, node types."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodegraph.errors import InvalidFile, PackError
from nodegraph.packs.importer import LOOSE
from nodegraph.packs.installation.sources import iter_files
from nodegraph.packs.pack import GROUP, PackKind

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCRIPTS = ("install.py", "prestartup_script.py", "requirements.txt")
"""Files of ComfyUI's packs that only count if the user allows them."""
COMFY_GROUP = "comfyui.custom_nodes"
"""Entry points of this group name modules with classes of ComfyUI."""
_COMFY_NAMES = ("NODE_CLASS_MAPPINGS", "comfy_entrypoint")
_SHAPES: tuple[tuple[str, str, tuple[type, ...]], ...] = (
    ("project", "a table", (dict,)),
    ("project.dependencies", "a list of texts", (list,)),
    ("project.dynamic", "a list of texts", (list,)),
    ("project.entry-points", "a table", (dict,)),
    (f"project.entry-points.{GROUP}", "a table", (dict,)),
    (f"project.entry-points.{COMFY_GROUP}", "a table", (dict,)),
    ("tool", "a table", (dict,)),
    ("tool.setuptools", "a table", (dict,)),
    ("tool.setuptools.packages.find", "a table", (dict,)),
    ("tool.setuptools.packages.find.where", "a list of texts", (list,)),
    ("tool.setuptools.dynamic", "a table", (dict,)),
    ("tool.setuptools.dynamic.dependencies", "a table", (dict,)),
    ("tool.setuptools.dynamic.dependencies.file", "a text or a list of texts", (str, list)),
)
"""Entries of ``pyproject.toml`` that are read, and what each is."""


@dataclass(frozen=True)
class NodeModule:
    """A package of node types in a project.

    Attributes:
        name: Prefix of its node types.
        package: Import name.
        root: Its folder or file, as a path from the project's folder.
        module: Module of the package that has the classes, of a pack of ComfyUI whose entry point
            names one; empty for the package itself.
    """

    name: str
    package: str
    root: str
    module: str = ""


@dataclass(frozen=True)
class Project:
    """A pack's files, as they describe themselves; nothing of them was run.

    Attributes:
        modules: Its packages of node types, most often one.
        search_path: Folders that its imports start from, as paths from the project's folder.
        requires: Lines of requirements.
        ignored: Options of its ``requirements.txt`` that are left out, such as an index.
        scripts: Files that are there and count only if they are allowed.
        node_types: Names of its node types, as far as its source shows them.
    """

    name: str
    kind: PackKind
    modules: tuple[NodeModule, ...]
    search_path: tuple[str, ...] = ()
    version: str = ""
    summary: str = ""
    license: str = ""
    requires_python: str = ""
    requires: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    node_types: tuple[str, ...] = ()


def pack_name(text: str) -> str:
    """A text as the name of a pack: the prefix of its node types."""
    name = re.sub(r"\W+", "_", text).strip("_")
    return f"pack_{name}" if name[:1].isdigit() or not name else name


@dataclass
class ProjectReader:
    """Reads what a pack's files say about themselves.

    Args:
        root: The project's folder, or what a wheel was unpacked into.
        name: Of the folder it came from, for a project that says no name.
        kind: Read it as this kind of pack; detected if not set.
        allowed: Of the files that count only if the user allows them.
    """

    root: Path
    name: str
    kind: PackKind | None = None
    allowed: tuple[str, ...] = ()
    _about: Mapping[str, Any] = field(default_factory=dict, init=False)
    _tool: Mapping[str, Any] = field(default_factory=dict, init=False)

    def read(self) -> Project:
        """The project.

        Raises:
            PackError: There are no node types in it.
            InvalidFile: A file of it cannot be read.
        """
        self._read_pyproject()
        metadata = self._wheel_metadata()
        modules, kind, base = self._modules()
        name = pack_name(modules[0].name if len(modules) == 1 else self._project_name())
        requires, ignored = self._requires(kind, metadata)
        roots = [self.root / module.root for module in modules]
        version = str(self._about.get("version") or metadata.get("Version", [""])[0])
        license_ = self._about.get("license", "")
        if isinstance(license_, Mapping):
            license_ = license_.get("text", "")
        known = metadata.get("License-Expression", metadata.get("License", [""]))[0]
        return Project(
            name,
            kind,
            modules,
            base,
            version or _version_in(roots[0]),
            str(self._about.get("description") or metadata.get("Summary", [""])[0]),
            (str(license_) or known).partition("\n")[0],
            str(self._about.get("requires-python") or metadata.get("Requires-Python", [""])[0]),
            requires,
            ignored,
            tuple(each for each in SCRIPTS if (self._comfy_root(roots, kind) / each).is_file()),
            tuple(sorted({each for root in roots for each in node_types_in(root, kind)})),
        )

    def _comfy_root(self, roots: list[Path], kind: PackKind) -> Path:
        has = any((self.root / each).is_file() for each in SCRIPTS)
        return self.root if has or kind == "native" else roots[0]

    def _project_name(self) -> str:
        return str(self._about.get("name") or self.name)

    def _read_pyproject(self) -> None:
        file = self.root / "pyproject.toml"
        if not file.is_file():
            return
        try:
            document = tomllib.loads(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InvalidFile(f"{file} cannot be read: {error}") from error
        _check_shapes(document, file)
        self._about, self._tool = document.get("project", {}), document.get("tool", {})

    def _wheel_metadata(self) -> dict[str, list[str]]:
        """Fields of an unpacked wheel's metadata; empty of other projects."""
        file = next(filter(Path.is_file, self.root.glob("*.dist-info/METADATA")), None)
        if file is None:
            return {}
        from email.parser import HeaderParser

        message = HeaderParser().parsestr(file.read_text("utf-8", "replace"))
        fields: dict[str, list[str]] = {}
        for name, value in message.items():
            fields.setdefault(name, []).append(str(value))
        return fields

    # Kinds

    def _modules(self) -> tuple[tuple[NodeModule, ...], PackKind, tuple[str, ...]]:
        if self.kind != "comfyui":
            native = self._by_entry_point() or self._native_folder()
            if native:
                return native[0], "native", native[1]
        comfy = None
        if self.kind != "native":
            comfy = self._comfy_entry_points() or self._comfy_folder()
        if comfy is not None:
            return comfy[0], "comfyui", comfy[1]
        raise PackError(
            f"`{self.name}` has no node types",
            expected=f'an entry point in the group "{GROUP}" or "{COMFY_GROUP}", functions with '
            "@node, or NODE_CLASS_MAPPINGS or comfy_entrypoint",
        )

    def _entry_points(self, group: str) -> Mapping[str, str]:
        points = self._about.get("entry-points", {}).get(group, {})
        file = next(self.root.glob("*.dist-info/entry_points.txt"), None)
        if not points and file is not None:
            from configparser import ConfigParser
            from configparser import Error as ConfigError

            parser = ConfigParser(delimiters=("=",))
            parser.optionxform = str  # type: ignore[assignment,method-assign]  # keeps case
            try:
                parser.read_string(file.read_text("utf-8", "replace"))
            except (OSError, ConfigError) as error:
                raise InvalidFile(f"{file} cannot be read: {error}") from error
            points = dict(parser[group]) if parser.has_section(group) else {}
        return {str(name): str(value).strip() for name, value in points.items()}

    def _by_entry_point(self) -> tuple[tuple[NodeModule, ...], tuple[str, ...]] | None:
        modules: list[NodeModule] = []
        bases: dict[str, None] = {}
        for name, package in self._entry_points(GROUP).items():
            base, inner = self._find_package(name, package)
            modules.append(NodeModule(name, package, inner))
            bases[base] = None
        return (tuple(modules), tuple(bases)) if modules else None

    def _comfy_entry_points(self) -> tuple[tuple[NodeModule, ...], tuple[str, ...]] | None:
        """Packages whose entry points name modules with classes of ComfyUI.

        All files of the package count, because the module imports from it.
        """
        modules: list[NodeModule] = []
        bases: dict[str, None] = {}
        for name, value in self._entry_points(COMFY_GROUP).items():
            module = value.partition(":")[0].strip()
            self._find_package(name, module)
            package = module.partition(".")[0]
            base, inner = self._find_package(name, package)
            modules.append(NodeModule(pack_name(name), package, inner, module))
            bases[base] = None
        return (tuple(modules), tuple(bases)) if modules else None

    def _find_package(self, name: str, package: str) -> tuple[str, str]:
        """Folder that an import of a package starts from, and its own path, from the project's.

        Raises:
            PackError: It is not in the project.
        """
        for base in self._bases():
            path = _package_path(self.root / base, package)
            if path is not None:
                return base, path.relative_to(self.root).as_posix()
        raise PackError(
            f"`{self.name}` names the pack `{name}`, which it does not contain",
            given=package,
            expected="a package or module in its folder or in `src`",
        )

    def _bases(self) -> list[str]:
        """Folders that packages may lie in, as paths from the project's."""
        find = self._tool.get("setuptools", {}).get("packages", {})
        where = find.get("find", {}).get("where", []) if isinstance(find, Mapping) else []
        return list(dict.fromkeys([*map(str, where), "src", "."]))

    def _native_folder(self) -> tuple[tuple[NodeModule, ...], tuple[str, ...]] | None:
        """A package with ``@node`` functions in the project, or the project's folder itself."""
        if any(map(declares_nodes, self.root.glob("*.py"))):
            name = pack_name(self._project_name())
            is_package = (self.root / "__init__.py").is_file() and self.root.name.isidentifier()
            if is_package:
                # Imports of itself by its own name start from the folder above.
                return (NodeModule(name, self.root.name, "."),), ("..",)
            return (NodeModule(name, f"{LOOSE}.{name}", "."),), ()
        for base in self._bases():
            for folder in sorted((self.root / base).glob("*/__init__.py")):
                package = folder.parent
                if package.name in ("tests", "docs", "examples"):
                    continue
                if any(map(declares_nodes, package.rglob("*.py"))):
                    inner = package.relative_to(self.root).as_posix()
                    return (NodeModule(package.name, package.name, inner),), (base,)
        return None

    def _comfy_folder(self) -> tuple[tuple[NodeModule, ...], tuple[str, ...]] | None:
        candidates = [self.root, *(each.parent for each in self.root.glob("*/__init__.py"))]
        for folder in candidates:
            if is_comfy_package(folder):
                # A package of a wheel has its own name; a repository's folder may have any.
                name = pack_name(folder.name if folder != self.root else self._project_name())
                inner = folder.relative_to(self.root).as_posix()
                base = (".",) if folder != self.root else ()
                return (NodeModule(name, f"{LOOSE}.{name}", inner),), base
        if "comfy" in self._tool and (self.root / "__init__.py").is_file():
            name = pack_name(self._project_name())
            return (NodeModule(name, f"{LOOSE}.{name}", "."),), ()
        return None

    # Needs

    def _requires(
        self, kind: PackKind, metadata: Mapping[str, list[str]]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        lines = [str(line) for line in self._about.get("dependencies", ())]
        ignored: list[str] = []
        if "dependencies" in self._about.get("dynamic", ()):
            dynamic = self._tool.get("setuptools", {}).get("dynamic", {}).get("dependencies", {})
            files = dynamic.get("file", [])
            for name in [files] if isinstance(files, str) else files:
                lines += self._requirements_file(str(name), ignored)
        lines += metadata.get("Requires-Dist", [])
        if kind == "comfyui" and "requirements.txt" in self.allowed:
            lines += self._requirements_file("requirements.txt", ignored)
        plain = [line for line in lines if "extra ==" not in line]
        return tuple(dict.fromkeys(plain)), tuple(ignored)

    def _requirements_file(self, name: str, ignored: list[str], depth: int = 0) -> list[str]:
        file = (self.root / name).resolve()
        if not file.is_relative_to(self.root.resolve()):
            raise InvalidFile(f"{name} lies outside of the pack", given=str(file))
        try:
            text = file.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError):
            ignored.append(f"{name}: it cannot be read")
            return []
        lines = []
        for raw in text.replace("\\\n", " ").splitlines():
            line = re.sub(r"(^|\s)#.*", "", raw).strip()
            option, _, value = line.partition(" ")
            if option in ("-r", "--requirement") and depth < 5:
                lines += self._requirements_file(value.strip(), ignored, depth + 1)
            elif line.startswith("-"):
                ignored.append(line)
            elif line:
                address = re.match(r"(git\+|https?://)\S+", line)
                egg = re.search(r"#egg=([\w.-]+)", line)
                if address and not egg:
                    ignored.append(line)
                else:
                    lines.append(f"{egg[1]} @ {line}" if address and egg else line)
        return lines


def _check_shapes(document: Mapping[str, Any], file: Path) -> None:
    """Refuse entries of a wrong type: the letters of a string would become requirements.

    Raises:
        InvalidFile: There is one.
    """
    for path, expected, kinds in _SHAPES:
        value = _entry_at(document, path)
        is_right = isinstance(value, kinds)
        if isinstance(value, list):
            is_right = is_right and all(isinstance(each, str) for each in value)
        if value is not None and not is_right:
            raise InvalidFile(
                f"{file} cannot be read: `{path}` is of another kind",
                given=repr(value)[:100],
                expected=expected,
            )


def _entry_at(document: Any, path: str) -> Any:
    """What stands at a path such as ``project.entry-points.nodegraph.nodes``, if anything."""
    value, remaining = document, path
    while remaining and isinstance(value, Mapping):
        # Names of groups contain dots.
        name = remaining if remaining in (GROUP, COMFY_GROUP) else remaining.partition(".")[0]
        value, remaining = value.get(name), remaining[len(name) + 1 :]
    return None if remaining else value


def _package_path(base: Path, package: str) -> Path | None:
    path = base.joinpath(*package.partition(":")[0].split("."))
    if (path / "__init__.py").is_file():
        return path
    file = path.with_suffix(".py")
    return file if file.is_file() else None


# Syntax trees


def _tree(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _python_files(root: Path) -> list[Path]:
    return [root] if root.is_file() else [path for path in iter_files(root) if path.suffix == ".py"]


def declares_nodes(file: Path) -> bool:
    """Whether a file has functions with nodegraph's ``@node``."""
    tree = _tree(file)
    return tree is not None and any(True for _ in _node_functions(tree))


def _node_functions(tree: ast.Module) -> Iterator[str]:
    """Names of the node types of a module's ``@node`` functions."""
    own = {
        alias.asname or alias.name
        for item in ast.walk(tree)
        if isinstance(item, ast.ImportFrom) and (item.module or "").partition(".")[0] == "nodegraph"
        for alias in item.names
        if alias.name == "node"
    }
    for item in tree.body:
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for decorator in item.decorator_list:
                target = decorator.func if isinstance(decorator, ast.Call) else decorator
                text = ast.unparse(target)
                if text in own or text in ("nodegraph.node", "ng.node"):
                    yield _given_name(decorator) or item.name


def _given_name(decorator: ast.expr) -> str:
    for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
        if keyword.arg in ("name", "type") and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return ""


def is_comfy_package(folder: Path) -> bool:
    """Whether a package binds what ComfyUI looks for, itself or by ``from .x import *``."""
    file = folder / "__init__.py"
    tree = _tree(file) if file.is_file() else None
    if tree is None:
        return False
    if any(name in _COMFY_NAMES for name in _bound(tree)):
        return True
    for item in ast.walk(tree):
        if not isinstance(item, ast.ImportFrom) or item.level != 1 or not item.module:
            continue
        if any(alias.name == "*" for alias in item.names):
            inner = _package_path(folder, item.module)
            inner_file = inner / "__init__.py" if inner and inner.is_dir() else inner
            other = _tree(inner_file) if inner_file else None
            if other is not None and any(name in _COMFY_NAMES for name in _bound(other)):
                return True
    return False


def _bound(tree: ast.Module) -> Iterator[str]:
    for item in ast.walk(tree):
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            yield item.id
        elif isinstance(item, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in item.names)
        elif isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield item.name


def _version_in(root: Path) -> str:
    """``__version__ = "1.2"`` of a package, if it stands there."""
    tree = _tree(root / "__init__.py" if root.is_dir() else root)
    for item in tree.body if tree is not None else ():
        if isinstance(item, ast.Assign) and isinstance(item.value, ast.Constant):
            names = [each.id for each in item.targets if isinstance(each, ast.Name)]
            if names == ["__version__"]:
                return str(item.value.value)
    return ""


def node_types_in(root: Path, kind: PackKind) -> Iterator[str]:
    """Names of node types, as far as they stand in the source."""
    for file in _python_files(root):
        tree = _tree(file)
        if tree is None:
            continue
        if kind == "native":
            yield from _node_functions(tree)
            continue
        for item in ast.walk(tree):
            if isinstance(item, ast.Assign) and isinstance(item.value, ast.Dict):
                names = [each.id for each in item.targets if isinstance(each, ast.Name)]
                if "NODE_CLASS_MAPPINGS" in names:
                    keys = [
                        each.value for each in item.value.keys if isinstance(each, ast.Constant)
                    ]
                    yield from (key for key in keys if isinstance(key, str))
            elif isinstance(item, ast.Call) and ast.unparse(item.func).endswith("Schema"):
                for keyword in item.keywords:
                    if keyword.arg == "node_id" and isinstance(keyword.value, ast.Constant):
                        yield str(keyword.value.value)
