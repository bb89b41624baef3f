"""Each code of a problem that the editor shows has its help there and in docs/errors.md."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOPICS = ROOT / "editor" / "src" / "model" / "problemHelp.ts"
TEXTS = ROOT / "editor" / "src" / "components" / "problemhelp" / "texts"
LANGUAGES = ("de", "en", "es", "fr", "ja", "zh-Hans")
CODE = re.compile(r"[a-z]+(-[a-z]+)*")
SOURCES = ("core", "engine", "errors.py", "jobs", "media", "models", "residency", "store")
"""Below `nodegraph`: what checks a workflow and runs it."""
ELSEWHERE = {
    "migration-failed": "the command `migrate` says it, with what to do",
    "delivery-not-found": "webhooks have no page in the editor",
    "idempotency-key-reused": "an answer to a request, shown as a notice",
    "job-not-found": "an answer to a request, shown as a notice",
    "job-state": "an answer to a request, shown as a notice",
    "queue-bytes": "an answer to a request, shown as a notice",
    "queue-full": "an answer to a request, shown as a notice",
    "queue-in-use": "the server does not start",
    "queue-unreachable": "an answer to a request, shown as a notice",
    "schedule-not-found": "an answer to a request, shown as a notice",
    "stale-attempt": "between a worker and its queue",
    "too-many-schedules": "an answer to a request, shown as a notice",
    "unknown-column": "a table of rows, which its own dialog checks",
    "worker-not-idle": "between a server and its workers",
}
"""Codes that no problem in the editor has, and why."""
OF_EDITOR = {"pack"}
"""Codes that the editor itself gives."""


def _codes_in(path: Path) -> Iterator[str]:
    """Codes in one module: of classes, of variables, of keywords, and of calls that take one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    positions = {"Problem": 0, "Finding": 5}
    for item in ast.walk(tree):
        if isinstance(item, ast.FunctionDef):
            names = [each.arg for each in item.args.args if each.arg not in ("self", "cls")]
        elif isinstance(item, ast.ClassDef):
            fields = [each.target for each in item.body if isinstance(each, ast.AnnAssign)]
            names = [field.id for field in fields if isinstance(field, ast.Name)]
        else:
            continue
        if "code" in names:
            positions[item.name] = names.index("code")
    for item in ast.walk(tree):
        if isinstance(item, (ast.Assign, ast.AnnAssign)):
            targets = item.targets if isinstance(item, ast.Assign) else [item.target]
            names = (name for target in targets for name in ast.walk(target))
            is_plain = not any(isinstance(each, ast.Call) for each in ast.walk(item))
            if is_plain and any(map(_is_code, names)):
                yield from _texts(item.value)
        elif isinstance(item, ast.Call):
            for keyword in item.keywords:
                if keyword.arg == "code":
                    yield from _texts(keyword.value)
            name = getattr(item.func, "id", getattr(item.func, "attr", ""))
            position = positions.get(name)
            if position is not None and len(item.args) > position:
                yield from _texts(item.args[position])


def _is_code(item: ast.AST) -> bool:
    return isinstance(item, ast.Name) and item.id == "code"


def _texts(value: ast.AST | None) -> Iterator[str]:
    for each in ast.walk(value) if value is not None else ():
        text = each.value if isinstance(each, ast.Constant) else None
        if isinstance(text, str) and CODE.fullmatch(text):
            yield text


def _codes() -> set[str]:
    found: set[str] = set()
    for name in SOURCES:
        source = ROOT / "nodegraph" / name
        for path in (source,) if source.is_file() else source.rglob("*.py"):
            found.update(_codes_in(path))
    return found


def _topics() -> Mapping[str, list[str]]:
    """Codes by topic, as the editor has them."""
    text = TOPICS.read_text(encoding="utf-8")
    table = text[text.index("TOPICS") : text.index("};")]
    entries = re.findall(r'"?([\w-]+)"?: \[([^\]]*)\]', table)
    return {topic: re.findall(r'"([\w-]+)"', codes) for topic, codes in entries}


def test_each_code_has_one_topic_or_a_reason_for_none() -> None:
    listed = [code for codes in _topics().values() for code in codes]
    assert len(listed) == len(set(listed))
    codes = _codes()
    assert len(codes) > 60, "the codes are not found any more"
    assert sorted(codes - set(listed) - ELSEWHERE.keys()) == []
    assert sorted(set(listed) - codes - OF_EDITOR) == []
    assert sorted(ELSEWHERE.keys() - codes) == []


def test_each_topic_has_its_anchor_and_codes_in_the_documentation() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## ([\w-]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    topics = _topics()
    assert sections.keys() == topics.keys()
    for topic, codes in topics.items():
        assert re.findall(r"`([a-z-]+)`", sections[topic].split("\n\n")[0]) == codes


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_topic_is_explained_in_each_language(language: str) -> None:
    texts = json.loads((TEXTS / f"{language}.json").read_text(encoding="utf-8"))
    assert texts.keys() == _topics().keys()
    for entry in texts.values():
        assert entry.keys() == {"title", "what", "fix"}
        assert all(entry.values())
