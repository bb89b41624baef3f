"""Reproducibility report: what a run of a bundle gave, compared with what the bundle states.

The report is independent of the machine: it has no paths, users, hosts or times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.core.context import MAX_IMAGE_PIXELS
from nodegraph.core.digests import Digest
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.files import write_file
from nodegraph.core.manifest import ManifestAdapter, ManifestModel
from nodegraph.core.text_format import pluralize, strip_control_characters
from nodegraph.errors import InvalidFile, NodegraphError
from nodegraph.session.bundles.bundle import (
    Bundle,
    BundleFile,
    BundleModel,
    BundleResult,
    ExpectedNode,
    Surroundings,
)
from nodegraph.session.bundles.known_runs import (
    components_of,
    nodes_of_result,
    surroundings_of,
)
from nodegraph.session.replay.verification import UNCOMPARED, read_replayed, verify_file

if TYPE_CHECKING:
    from nodegraph.core.workflow import Workflow
    from nodegraph.engine.result import RunResult, WrittenFile
    from nodegraph.packs.registry import Registry
    from nodegraph.session.bundles.archive import BundleReader
    from nodegraph.session.session import Session

Verdict = Literal["equal", "differs", "missing", "new"]
"""``missing``: only the bundle has it. ``new``: only the run has it."""
ResultVerdict = Literal["equal", "same content", "differs", "missing"]
"""``same content``: only texts or the compression of the file differ."""
_SHORT = 12
"""Digits of a digest that are shown."""
_NOT_STATED = "not stated"
_MOST_SHOWN = 1000
"""Input files, and files of models, that a page lists. The JSON values have all."""


@dataclass(frozen=True, slots=True)
class NodeCheck:
    """One node in the bundle and in the run.

    Attributes:
        expected, actual: Digests of its outputs, by port.
    """

    name: str
    type: str
    verdict: Verdict
    expected: Mapping[str, str]
    actual: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ResultCheck:
    """One file in the bundle and in the run.

    Attributes:
        figures: How far the contents are apart; see `ContentDifference`.
        text: The figures, or why there are none.
    """

    name: str
    node: str
    verdict: ResultVerdict
    figures: Mapping[str, float] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True)
class BundleReport:
    """What a run of a bundle gave.

    Attributes:
        status: Of the run: ``ok``, ``failed`` or ``cancelled``.
        there, here: What results depend on, in the bundle and in the run.
        first: Name of the first node that differs; empty if none does.
        cause: Probable cause of that difference.
        notes: What else differs here.
        inputs, models, components: Input files, models, and model components as they were used,
            that the bundle states.
        components_here: Model components of the run.
    """

    title: str
    status: str
    there: Surroundings
    here: Surroundings
    nodes: tuple[NodeCheck, ...]
    results: tuple[ResultCheck, ...] = ()
    first: str = ""
    cause: str = ""
    notes: tuple[str, ...] = ()
    inputs: tuple[BundleFile, ...] = ()
    models: tuple[BundleModel, ...] = ()
    components: tuple[ManifestModel, ...] = ()
    components_here: tuple[ManifestModel, ...] = ()

    @property
    def is_reproduced(self) -> bool:
        """Whether the run ended well, and all outputs and the content of all files are the same."""
        checks = [node.verdict for node in self.nodes]
        is_equal = bool(checks) and set(checks) <= {"equal", "new"}
        return self.status == "ok" and is_equal and not self._differing_files

    @property
    def _differing_files(self) -> list[ResultCheck]:
        return [file for file in self.results if file.verdict in ("differs", "missing")]

    @property
    def summary(self) -> str:
        """The result in one sentence."""
        compared = [node for node in self.nodes if node.verdict != "new"]
        equal = sum(node.verdict == "equal" for node in compared)
        if self.is_reproduced:
            count = f"all {equal} nodes" if equal > 1 else "the only node"
            return f"Reproduced: {count} gave the same outputs."
        if self.status != "ok":
            return f"Not reproduced: the run ended as {self.status}."
        if equal < len(compared) or not compared:
            return f"Not reproduced: {equal} of {pluralize(len(compared), 'node')} gave the same."
        differing = f"{len(self._differing_files)} of {pluralize(len(self.results), 'file')}"
        return f"Not reproduced: all nodes gave the same outputs, but {differing} differ."

    def to_document(self) -> dict[str, Any]:
        """JSON values."""
        return {"reproduced": self.is_reproduced, "summary": self.summary, **asdict(self)}

    def to_markdown(self) -> str:
        """The report as Markdown."""
        lines = [f"# Reproducibility report: {_markdown(self.title) or 'untitled workflow'}", ""]
        lines += [f"**{self.summary}**", ""]
        for heading, head, rows in self._tables():
            lines += [f"## {heading}", ""]
            lines += _markdown_table(head, rows)
            lines.append("")
        for heading, texts in self._texts():
            lines += [f"## {heading}", "", *(f"- {_markdown(text)}" for text in texts), ""]
        return "\n".join(lines)

    def to_html(self) -> str:
        """The report as a page that stands alone."""
        title = escape(_plain(self.title) or "untitled workflow")
        style = "good" if self.is_reproduced else "bad"
        body = [f"<h1>Reproducibility report: {title}</h1>"]
        body.append(f'<p class="{style}">{escape(self.summary)}</p>')
        for heading, head, rows in self._tables():
            body += [f"<h2>{escape(heading)}</h2>", _html_table(head, rows)]
        for heading, texts in self._texts():
            items = "".join(f"<li>{escape(_plain(text))}</li>" for text in texts)
            body.append(f"<h2>{escape(heading)}</h2><ul>{items}</ul>")
        return _PAGE.format(title=title, body="\n".join(body))

    def write(self, base: Path) -> list[Path]:
        """Write the report as Markdown and as a page.

        Args:
            base: Path of both files, without their endings.
        Returns:
            Their paths.
        """
        base.parent.mkdir(parents=True, exist_ok=True)
        base = base.with_suffix("") if base.suffix in (".md", ".html") else base
        written = []
        for ending, text in ((".md", self.to_markdown()), (".html", self.to_html())):
            path = base.with_name(f"{base.name}{ending}")
            write_file(path, text.encode())
            written.append(path)
        return written

    def _tables(self) -> Iterator[tuple[str, Sequence[str], list[Sequence[str]]]]:
        rows = [
            (name, there or _NOT_STATED, here or _NOT_STATED)
            for name, there, here in surroundings_rows(self.there, self.here)
            if there or here
        ]
        yield "Versions", ("of", "bundle", "this run"), [*rows]
        if self.inputs:
            files = [(each.name, f"{each.bytes:,}", each.digest) for each in self.inputs]
            yield "Input files", ("file", "bytes", "blake3 digest"), _bounded(files, "file")
        if self.models:
            lines = [line for model in self.models for line in _model_rows(model)]
            head = ("model", "source", "license", "file", "blake3 digest")
            yield "Models", head, _bounded(lines, "file")
        if self.components or self.components_here:
            used = [*_component_rows(self.components, self.components_here)]
            columns = ("output", "kind", "family", "precision", "options and adapters", "this run")
            yield "Models as they were used", columns, _bounded(used, "component")
        nodes = [
            (
                node.name,
                node.type,
                node.verdict,
                _digests(node.expected) or _NOT_STATED,
                _digests(node.actual) or _NOT_STATED,
            )
            for node in self.nodes
        ]
        yield "Nodes", ("node", "type", "outputs", "bundle", "this run"), [*nodes]
        if self.results:
            results = [
                (each.name, each.node, each.verdict, each.text or "–") for each in self.results
            ]
            yield "Files", ("file", "node", "content", "difference"), [*results]

    def _texts(self) -> Iterator[tuple[str, Sequence[str]]]:
        if self.first:
            yield "First difference", [f"{self.first}: {self.cause}"]
        if self.notes:
            yield "Notes", self.notes


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Reproducibility report: {title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; }}
body {{ padding: 0 1rem; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; }}
th, td {{ border-bottom: 1px solid #8884; padding: .3rem .6rem; }}
th, td {{ text-align: left; vertical-align: top; overflow-wrap: anywhere; min-width: 5rem; }}
.good, .bad {{ border-left: .4rem solid #2e8b57; padding: .5rem 1rem; font-weight: 600; }}
.bad {{ border-color: #c0392b; }}
</style></head><body>
{body}
</body></html>
"""


def bundle_report(
    reader: BundleReader,
    session: Session,
    workflow: Workflow,
    result: RunResult,
    notes: Sequence[str] = (),
) -> BundleReport:
    """Compare a run of a bundle with what the bundle states.

    Args:
        session: That ran it.
        workflow: That ran.
        notes: What else differs here, as text.
    """
    bundle, registry = reader.bundle, session.registry
    order = list(session.graph(workflow).nodes)
    actual = nodes_of_result(result, order, registry)
    checks = check_nodes(bundle.nodes, actual)
    here, first = surroundings_of(session), first_difference(checks)
    return BundleReport(
        bundle.title,
        result.status,
        bundle.surroundings,
        here,
        checks,
        check_results(reader, result.files, max_pixels=session.settings.max_image_pixels),
        first,
        probable_cause(first, bundle, actual, here, registry) if first else "",
        tuple(notes),
        bundle.inputs,
        bundle.models,
        bundle.components,
        components_of(result.files),
    )


def check_nodes(
    expected: Mapping[str, ExpectedNode], actual: Mapping[str, ExpectedNode]
) -> tuple[NodeCheck, ...]:
    """Compare the nodes of a run with those of a bundle, in the order of the bundle."""
    checks = []
    for name in dict.fromkeys([*expected, *actual]):
        there, here = expected.get(name), actual.get(name)
        verdict: Verdict = "differs"
        if there is None:
            verdict = "new"
        elif here is None:
            verdict = "missing"
        elif dict(there.outputs) == dict(here.outputs):
            verdict = "equal"
        kind = (here or there or ExpectedNode("")).type
        outputs = [{} if each is None else dict(each.outputs) for each in (there, here)]
        checks.append(NodeCheck(name, kind, verdict, *outputs))
    return tuple(checks)


def first_difference(checks: Sequence[NodeCheck]) -> str:
    """Name of the first node whose outputs differ or are missing; empty if there is none."""
    return next((each.name for each in checks if each.verdict in ("differs", "missing")), "")


def probable_cause(
    name: str,
    bundle: Bundle,
    actual: Mapping[str, ExpectedNode],
    here: Surroundings,
    registry: Registry,
) -> str:
    """Why the first node that differs gives something else here, as far as that can be known."""
    there = bundle.nodes[name]
    if name not in actual:
        return "it did not run here"
    now = actual[name]
    if now.type != there.type:
        return f"the node type is {now.type} here, and {there.type} in the bundle"
    spec = registry.spec(now.type)
    if spec is not None and not spec.deterministic:
        return f"the node type {now.type} gives something else each time"
    differing = [
        f"{what} {before} in the bundle, {after} here"
        for what, before, after in surroundings_rows(bundle.surroundings, here)
        if before and after and before != after
    ]
    if there.code and now.code and there.code != now.code:
        origin = f" of the pack {now.pack}" if now.pack else ""
        more = f" ({'; '.join(differing)})" if differing else ""
        return f"the code behind {now.type}{origin} is another version here{more}"
    if spec is not None and spec.numerics and differing:
        return f"its last bits depend on device and libraries: {'; '.join(differing)}"
    if differing:
        return f"versions differ: {'; '.join(differing)}"
    return (
        "nothing that is known differs: the node may depend on something outside of the workflow, "
        "such as a service, an environment variable or the time"
    )


def surroundings_rows(there: Surroundings, here: Surroundings) -> list[tuple[str, str, str]]:
    """What results depend on, with its value in the bundle and here; unknown values are empty."""
    rows = [
        (name, getattr(there, name), getattr(here, name))
        for name in ("nodegraph", "python", "platform")
    ]
    names = sorted({*there.libraries, *here.libraries})
    rows += [(name, there.libraries.get(name, ""), here.libraries.get(name, "")) for name in names]
    return [*rows, ("numerics", there.numerics, here.numerics)]


def check_results(
    reader: BundleReader,
    written: Sequence[WrittenFile],
    *,
    max_pixels: int = MAX_IMAGE_PIXELS,
) -> tuple[ResultCheck, ...]:
    """Compare the files of a run with those in a bundle.

    A file stands for one of the same node and ending, whatever its name: names have numbers that
    go on in a folder that has results already.

    Args:
        written: What the run wrote.
        max_pixels: Largest width times height of an image.
    """
    left = [file for file in written if file.kind not in UNCOMPARED]
    pairs: list[tuple[BundleResult, WrittenFile | None]] = []
    for result in reader.bundle.results:
        equal = [file for file in _candidates(result, left) if _has_digest(file, result.digest)]
        left = [file for file in left if file not in equal[:1]]
        pairs.append((result, equal[0] if equal else None))
    checks = []
    with TemporaryDirectory(prefix="nodegraph-bundle-") as folder:
        for result, file in pairs:
            candidates = [] if file is not None else _candidates(result, left)
            if file is not None:
                checks.append(ResultCheck(result.name, result.node, "equal"))
            elif not candidates:
                checks.append(ResultCheck(result.name, result.node, "missing"))
            else:
                # Its ending says what it is, where the bytes do not.
                original = Path(folder) / f"{result.digest}{Path(result.name).suffix}"
                if not original.exists():
                    reader.extract(f"results/{result.digest}", original)
                check, used = _compare(result, original, candidates, max_pixels)
                checks.append(check)
                left = [each for each in left if each.path != used]
    return tuple(checks)


def _candidates(result: BundleResult, written: Sequence[WrittenFile]) -> list[WrittenFile]:
    """Files that may stand for one in a bundle."""
    node, ending = result.node.partition("[")[0], Path(result.name).suffix.lower()
    return [
        file
        for file in written
        if file.node.partition("[")[0] == node and file.path.suffix.lower() == ending
    ]


def _has_digest(file: WrittenFile, digest: Digest) -> bool:
    try:
        return FILE_DIGESTS.digest(file.path) == digest
    except InvalidFile:
        return False  # gone since the run wrote it


def _compare(
    result: BundleResult, original: Path, candidates: Sequence[WrittenFile], max_pixels: int
) -> tuple[ResultCheck, Path | None]:
    """A file of a bundle with the one among several whose bytes differ, and which that was."""
    try:
        paths = [file.path for file in candidates]
        verification = verify_file(
            read_replayed(original), paths, lambda _: (), max_pixels=max_pixels
        )
    except (NodegraphError, OSError) as error:
        text = error.problem.message if isinstance(error, NodegraphError) else str(error.strerror)
        return ResultCheck(result.name, result.node, "differs", text=text), None
    if verification is None:
        return ResultCheck(result.name, result.node, "missing"), None
    content = verification.content
    is_same = verification.verdict != "differs"
    figures = {} if content is None else content.figures
    text = "" if content is None or is_same else content.text
    verdict: ResultVerdict = "same content" if is_same else "differs"
    check = ResultCheck(result.name, result.node, verdict, figures, text)
    return check, verification.written


def _model_rows(model: BundleModel) -> Iterator[Sequence[str]]:
    """A line for each file of a model."""
    is_shipped = model.form == "embedded"
    source = model.source or model.page or ("ships with nodegraph" if is_shipped else _NOT_STATED)
    facts = (model.title or model.name, source, model.license or _NOT_STATED)
    if not model.files:
        yield *facts, _NOT_STATED, _NOT_STATED
    for file in model.files:
        yield *facts, file.name, file.digest


def _component_rows(
    there: Sequence[ManifestModel], here: Sequence[ManifestModel]
) -> Iterator[Sequence[str]]:
    """A line for each component, with what differs in this run."""
    ran = {(each.node, each.port): each for each in here}
    stated = {(each.node, each.port) for each in there}
    for model in there:
        now = ran.get((model.node, model.port))
        yield *_component_facts(model), _NOT_STATED if now is None else _component_text(model, now)
    for model in here:
        if (model.node, model.port) not in stated:
            yield *_component_facts(model), "only here"


def _component_facts(model: ManifestModel) -> Sequence[str]:
    recipe = [f"{name}: {value}" for name, value in model.options.items()]
    recipe += map(_adapter_text, model.adapters)
    output = f"{model.node}.{model.port}" if model.port else model.node
    shown = (model.family or "–", model.dtype or "–", "; ".join(recipe) or "–")
    return (output, model.kind, *shown)


def _adapter_text(adapter: ManifestAdapter) -> str:
    limits = [f"strength {adapter.strength:g}"]
    limits += [f"token {adapter.token}"] if adapter.token else []
    limits += [f"in {', '.join(adapter.modules)}"] if adapter.modules else []
    return f"{adapter.kind} {adapter.name} ({', '.join(limits)}, {adapter.digest[:_SHORT]})"


def _component_text(model: ManifestModel, now: ManifestModel) -> str:
    """What of a component differs in this run."""
    parts = (
        ("files", model.digest, now.digest),
        ("family", model.family, now.family),
        ("precision", model.dtype, now.dtype),
        ("options", dict(model.options), dict(now.options)),
        ("adapters", _without_names(model), _without_names(now)),
    )
    differing = [name for name, before, after in parts if before != after]
    return f"other {', '.join(differing)}" if differing else "equal"


def _without_names(model: ManifestModel) -> list[ManifestAdapter]:
    """Adapters without the names of their files, which may be others elsewhere."""
    return [replace(adapter, name="") for adapter in model.adapters]


def _bounded(rows: Sequence[Sequence[str]], what: str) -> list[Sequence[str]]:
    """The first lines of a table, and a last one that counts the others."""
    left = len(rows) - _MOST_SHOWN
    if left <= 0:
        return [*rows]
    more = f"and {left:,} more {what}s" if left > 1 else f"and 1 more {what}"
    return [*rows[:_MOST_SHOWN], (more, *["…"] * (len(rows[0]) - 1))]


def _digests(outputs: Mapping[str, str]) -> str:
    return ", ".join(f"{port} {digest[:_SHORT]}" for port, digest in outputs.items())


def _plain(text: str) -> str:
    return " ".join(strip_control_characters(text).split())


def _markdown(text: str) -> str:
    """A text as it is: nothing in it is markup."""
    plain = _plain(text).replace("&", "&amp;").replace("<", "&lt;")
    for mark in "\\`*_[]|#":
        plain = plain.replace(mark, f"\\{mark}")
    return plain


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for cells in (head, ["---"] * len(head), *rows):
        shown = cells if cells and cells[0] == "---" else [_markdown(cell) for cell in cells]
        yield f"| {' | '.join(shown)} |"


def _html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join(
        f"<tr>{''.join(f'<td>{escape(_plain(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"
