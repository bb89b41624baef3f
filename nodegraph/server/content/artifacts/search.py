"""Search of artifacts: terms of a text, and the words and values that artifacts are found by."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from difflib import get_close_matches
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.core.text_format import to_well_formed
from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue import Job

Facts = tuple[tuple[str, str], ...]
"""Names and texts of values that made a file; see `FACTS`."""

_MOST = 20_000
"""Characters that are kept of a job."""
_MOST_TERMS = 32
"""That are looked for at a time."""
_LARGEST = (1 << 64) - 1
_MOST_PIXELS = (1 << 31) - 1
_TERM = re.compile(r'([A-Za-z_]+):("[^"]*"|\S*)|"([^"]*)"|(\S+)')
_SIZE = re.compile(r"(\d{1,6})[x\N{MULTIPLICATION SIGN}*](\d{1,6})", re.IGNORECASE)
_EXAMPLES: Mapping[str, str] = {
    "model": "model:dreamshaper",
    "seed": "seed:5",
    "size": "size:512x512",
    "width": "width:512",
    "height": "height:512",
    "steps": "steps:20",
    "sampler": "sampler:euler",
    "stars": "stars:3",
    "tag": "tag:cat",
    "board": "board:covers",
    "type": "type:image",
    "after": "after:2026-11-01",
    "before": "before:2026-11-30",
}


Term = tuple[str, Any]
"""Kind and value of what must hold: ``word``, ``model``, ``tag`` and ``sampler`` with folded text,
``seed``, ``steps``, ``width``, ``height`` and the least ``stars`` with a number, ``type``,
``board`` with ids parted by spaces, ``board_name``, and ``after`` and ``before`` with Unix times,
the first included."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a job gave.

    Attributes:
        number: Grows from artifact to artifact.
        digest: blake3 of the bytes.
        path: Where it lay when the job told of it.
        size: Bytes.
        media_type: As the node says that wrote it.
        width, height: Of an image, in pixels; None where that isn't known.
        kind: What it is to people, such as ``image`` or ``preview``.
        node: That wrote it.
        client: The job's.
        at: Unix time at which the job told of it.
        job_name: For display.
        existed: Whether the file was there already, as an earlier job had made it.
        made_by: The job that made it; None if that isn't there any more, or is another client's.
        jobs: How many of the client's jobs gave the same bytes, in lists that tell.
        stars, tags, note, board: What its client notes; see `ResultAnnotation`.
        trashed: Unix time at which its client put it into the trash; None if it isn't there.
    """

    number: int
    digest: Digest
    path: str
    size: int
    media_type: str
    width: int | None
    height: int | None
    kind: str
    node: str
    job: str
    client: str
    at: float
    job_name: str
    existed: bool = False
    made_by: str | None = None
    jobs: int = 1
    stars: int = 0
    tags: tuple[str, ...] = ()
    note: str | None = None
    board: str | None = None
    trashed: float | None = None


@dataclass(frozen=True, slots=True)
class ArtifactFilter:
    """Some artifacts; all that is given must hold.

    Attributes:
        client: Whose; None for everybody's.
        job: Only its own.
        kind: Only those of this kind.
        terms: See `parse_search`; boards by their ids.
        after, before: Unix times, the first included, the second not.
        distinct: Of the same bytes only the newest.
        trashed: Only what is in the trash, or only what isn't; None for both.
    """

    client: str | None = None
    job: str | None = None
    kind: str | None = None
    terms: Sequence[Term] = ()
    after: float | None = None
    before: float | None = None
    distinct: bool = False
    trashed: bool | None = False


@dataclass(frozen=True, slots=True)
class ArtifactPage:
    """Some artifacts, the newest first.

    Attributes:
        next: Cursor of the next page; None if this is the last.
    """

    artifacts: tuple[Artifact, ...]
    next: str | None


def fold_case(parts: Iterable[str]) -> str:
    """Texts in one, as they are compared: whatever the case and the spelling of their letters."""
    text = "\n".join(parts)[:_MOST].replace("\0", " ").casefold()
    well_formed: str = to_well_formed(unicodedata.normalize("NFC", text))
    return well_formed


def parse_search(text: str) -> tuple[Term, ...]:
    """The terms of a search, such as ``red cat model:dreamshaper stars:3 "on a mat"``.

    Raises:
        InvalidValue: A term has another name, or no such value.
    """
    terms: list[Term] = []
    for name, written, quoted, word in _TERM.findall(fold_case([text])):
        if not name:
            terms += [("word", each) for each in (quoted.strip(), word) if each]
            continue
        value = written.strip('"').strip()
        if name not in _EXAMPLES:
            raise _unknown_term(name, value)
        if not value:
            raise InvalidValue(
                f"the search term `{name}:` has no value", expected=f"such as {_EXAMPLES[name]}"
            )
        terms += _READERS[name](name, value)
    return tuple(dict.fromkeys(terms))[:_MOST_TERMS]


def _unknown_term(name: str, value: str) -> InvalidValue:
    near = get_close_matches(name, _EXAMPLES, 1)
    hint = f"Did you mean `{near[0]}:`? " if near else ""
    return InvalidValue(
        f"there is no search term `{name}:`",
        expected=", ".join(f"{each}:" for each in _EXAMPLES),
        hint=f'{hint}To search for the text itself, put it into quotes: "{name}:{value}".',
    )


def _number(key: str, value: str) -> list[Term]:
    most = _LARGEST if key in ("seed", "steps") else _MOST_PIXELS
    digits = value.lstrip("0") or "0"
    if not value.isascii() or not value.isdecimal() or len(digits) > 20 or int(digits) > most:
        raise _bad_term(key, value, f"a whole number up to {most}")
    return [(key, int(digits))]


def _stars(key: str, value: str) -> list[Term]:
    if value not in ("0", "1", "2", "3", "4", "5"):
        raise _bad_term(key, value, "0 to 5")
    return [(key, int(value))]


def _size(key: str, value: str) -> list[Term]:
    match = _SIZE.fullmatch(value)
    if match is None:
        raise _bad_term(key, value, "width x height in pixels")
    return [("width", int(match[1])), ("height", int(match[2]))]


def _date(key: str, value: str) -> list[Term]:
    try:
        day = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError:
        raise _bad_term(key, value, "a date, as year-month-day in UTC") from None
    return [(key, day.timestamp())]


def _text(key: str, value: str) -> list[Term]:
    return [("board_name" if key == "board" else key, value)]


_READERS: Mapping[str, Callable[[str, str], list[Term]]] = {
    **dict.fromkeys(("seed", "steps", "width", "height"), _number),
    **dict.fromkeys(("after", "before"), _date),
    **dict.fromkeys(("model", "tag", "sampler", "board", "type"), _text),
    "size": _size,
    "stars": _stars,
}


def _bad_term(key: str, value: str, expected: str) -> InvalidValue:
    return InvalidValue(
        f"the search term `{key}:` has no such value",
        given=value[:80],
        expected=f"{expected}, such as {_EXAMPLES[key]}",
    )


_OF_MARK = """
SELECT marked.number FROM marks JOIN files AS same ON same.digest = marks.digest
    JOIN uses AS marked ON marked.file = same.number AND marked.client || '' = marks.client WHERE
"""
# A client is compared as an expression, as SQLite would else go through all of its rows each time.
_OF_FILE = (
    "SELECT sized.number FROM files AS same JOIN uses AS sized ON sized.file = same.number WHERE"
)
_FACT = "SELECT facts.use FROM facts WHERE facts.name = '{kind}' AND"
_ROW: Mapping[str, str] = {
    "word": "(instr({uses}.words, :{at}) > 0 OR instr({jobs}.words, :{at}) > 0"
    " OR instr({marks}.words, :{at}) > 0)",
    "model": "EXISTS (SELECT 1 FROM facts WHERE use = {uses}.number AND name = 'model'"
    " AND instr(value, :{at}) > 0)",
    **dict.fromkeys(
        ("seed", "steps", "sampler"),
        "EXISTS (SELECT 1 FROM facts WHERE use = {uses}.number AND name = '{kind}'"
        " AND value = :{at})",
    ),
    **dict.fromkeys(("width", "height"), "{files}.{kind} = :{at}"),
    "stars": "coalesce({marks}.stars, 0) >= :{at}",
    "tag": "EXISTS (SELECT 1 FROM mark_tags WHERE tag = :{at} AND client = {uses}.client"
    " AND digest = {files}.digest)",
    "board": "instr(:{at}, {marks}.board) > 0",
    "type": "({uses}.kind = :{at}"
    " OR substr({files}.media_type, 1, length(:{at}) + 1) = :{at} || '/')",
    "after": "{uses}.at >= :{at}",
    "before": "{uses}.at < :{at}",
}
"""That a row matches a term, by its kind."""
_WORDS = f"""
SELECT number FROM uses WHERE job IN (SELECT job FROM jobs WHERE instr(words, :{{at}}) > 0)
UNION SELECT number FROM uses WHERE instr(words, :{{at}}) > 0
UNION {_OF_MARK} instr(marks.words, :{{at}}) > 0
"""  # noqa: S608
_TAGGED = """
SELECT marked.number FROM mark_tags JOIN files AS same ON same.digest = mark_tags.digest
    JOIN uses AS marked ON marked.file = same.number AND marked.client || '' = mark_tags.client
WHERE mark_tags.tag = :{at}
"""
_SET: Mapping[str, str] = {
    "word": _WORDS,
    "model": f"{_FACT} instr(facts.value, :{{at}}) > 0",
    **dict.fromkeys(("seed", "steps", "sampler"), f"{_FACT} facts.value = :{{at}}"),
    **dict.fromkeys(("width", "height"), f"{_OF_FILE} same.{{kind}} = :{{at}}"),
    "stars": f"{_OF_MARK} marks.stars >= :{{at}}",
    "tag": _TAGGED,
    "board": f"{_OF_MARK} marks.board IS NOT NULL AND instr(:{{at}}, marks.board) > 0",
}
"""The numbers of all rows that match one, where indexes or short tables tell them."""


def term_values(terms: Iterable[Term]) -> dict[str, Any]:
    """Values of a query with conditions of terms, by their names."""
    return {
        f"term{at}": str(value) if kind in ("seed", "steps") else value
        for at, (kind, value) in enumerate(terms)
    }


def row_conditions(
    terms: Iterable[Term], *, uses: str, files: str, jobs: str, marks: str
) -> list[str]:
    """SQL that a row matches each term; the other arguments are what the query calls its tables."""
    tables = {"uses": uses, "files": files, "jobs": jobs, "marks": marks}
    return [
        _ROW[kind].format(at=f"term{at}", kind=kind, **tables) for at, (kind, _) in enumerate(terms)
    ]


def set_conditions(terms: Iterable[Term]) -> list[str]:
    """SQL that a row is among all that match, for the terms that allow it.

    It is quick where few rows match, and `row_conditions` are where the newest ones do.
    """
    return [
        f"uses.number IN ({_SET[kind].format(at=f'term{at}', kind=kind)})"
        for at, (kind, value) in enumerate(terms)
        if kind in _SET and (kind, value) != ("stars", 0)
    ]


FACTS: Mapping[str, str] = {
    **dict.fromkeys(("seed", "noise_seed"), "seed"),
    "steps": "steps",
    "sampler": "sampler",
    **dict.fromkeys(
        ("model", "second", "lora", "embedding", "ip_adapter", "image_encoder", "vae", "file"),
        "model",
    ),
    **dict.fromkeys(("file_2", "file_3", "file_4"), "model"),
}
"""Names of facts by the names of the inputs that hold them, as nodegraph's own nodes call them."""
_MOST_FACTS = 64
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class JobWords:
    """What the catalogue keeps of a job.

    Attributes:
        name: For display.
        words: That what it gave is found by.
        workflow: Content of its workflow file, with the values of its parameters.
    """

    name: str
    words: str
    workflow: Mapping[str, Any]

    def facts(self, node: str) -> Facts:
        """The values that a node's files depend on: those of the nodes before it.

        Args:
            node: That wrote them. Of one that isn't in the workflow itself, all nodes count.
        """
        nodes = _nodes(self.workflow)
        names = _before(nodes, node) if node in nodes else list(nodes)
        facts: dict[tuple[str, str], None] = {}
        for entry in [*(nodes[name] for name in names), *_inner(self.workflow, nodes, names)]:
            inputs = entry.get("inputs")
            for port, value in inputs.items() if isinstance(inputs, Mapping) else ():
                if (text := _fact(port, value)) is not None:
                    facts[FACTS[port], text] = None
        return tuple(facts)[:_MOST_FACTS]


def _fact(port: str, value: Any) -> str | None:
    kind = FACTS.get(port)
    if isinstance(value, Mapping) and set(value) == {"value"}:
        value = value["value"]
    if kind in ("seed", "steps"):
        return str(value) if type(value) is int and abs(value) <= _LARGEST else None
    if kind is None or not isinstance(value, str) or not value.strip():
        return None
    return fold_case([value])[:_LONGEST]


def _nodes(holder: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    nodes = holder.get("nodes")
    entries = nodes.items() if isinstance(nodes, Mapping) else ()
    return {name: entry for name, entry in entries if isinstance(entry, Mapping)}


def _before(nodes: Mapping[str, Mapping[str, Any]], last: str) -> list[str]:
    """A node, and those that it depends on."""
    names = {last: None}
    waiting = [last]
    while waiting:
        inputs = nodes[waiting.pop()].get("inputs")
        for name in _linked(inputs):
            if name in nodes and name not in names:
                names[name] = None
                waiting.append(name)
    return list(names)


def _linked(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if set(value) == {"from"}:
            yield str(value["from"]).partition(".")[0]
        else:
            for item in value.values():
                yield from _linked(item)
    elif isinstance(value, list):
        for item in value:
            yield from _linked(item)


def _inner(
    workflow: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]], names: Iterable[str]
) -> Iterator[Mapping[str, Any]]:
    """The nodes of the subgraphs that some nodes use, each subgraph once."""
    blocks = workflow.get("subgraphs")
    entries = blocks.items() if isinstance(blocks, Mapping) else ()
    known = {name: block for name, block in entries if isinstance(block, Mapping)}
    waiting = [nodes[name] for name in names]
    used: set[str] = set()
    while waiting and known:
        entry = waiting.pop()
        inputs = entry.get("inputs")
        texts = inputs.values() if isinstance(inputs, Mapping) else ()
        for name in (entry.get("type"), *texts):  # a loop names its body in an input
            if isinstance(name, str) and name in known and name not in used:
                used.add(name)
                inner = _nodes(known[name])
                yield from inner.values()
                waiting += inner.values()


def job_words(job: Job, workflow: str) -> JobWords:
    """What is kept of a job: its name and tags, the title of its workflow, and its inputs.

    Args:
        workflow: Its text.
    """
    try:
        document = json.loads(workflow)
    except ValueError:
        document = {}
    fields = _with_parameters(document if isinstance(document, Mapping) else {}, job.parameters)
    texts = [
        job.name,
        *job.tags,
        str(fields.get("title", "")),
        *_texts(list(job.parameters.values())),
    ]
    return JobWords(job.name, fold_case([*texts, *_of_inputs(fields)]), fields)


def _with_parameters(document: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A workflow file whose inputs have the values of parameters."""
    declared = document.get("parameters")
    if not values or not isinstance(declared, Mapping):
        return document
    nodes = {name: dict(entry) for name, entry in _nodes(document).items()}
    for name, value in values.items():
        node, _, port = _target(declared.get(name)).partition(".")
        if node in nodes:
            inputs = nodes[node].get("inputs")
            nodes[node]["inputs"] = {**(inputs if isinstance(inputs, Mapping) else {}), port: value}
    return {**document, "nodes": nodes}


def _target(declared: Any) -> str:
    return str(declared.get("input", "") if isinstance(declared, Mapping) else declared)


def _of_inputs(document: Mapping[str, Any]) -> Iterator[str]:
    blocks = document.get("subgraphs")
    inner = blocks.values() if isinstance(blocks, Mapping) else ()
    for holder in (document, *inner):
        for node in _nodes(holder if isinstance(holder, Mapping) else {}).values():
            inputs = node.get("inputs")
            for value in inputs.values() if isinstance(inputs, Mapping) else ():
                yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value, but for those that name another node's output."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Mapping) and set(value) != {"from"}:
        for item in value.values():
            yield from _texts(item)
