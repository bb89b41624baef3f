"""Bring nodes/translations/*.po up to date with the texts of the built-in node types.

New texts are added without a translation, so that the English text is shown. Texts that are no
longer used are removed. Translations that people wrote or corrected stay.

python docs/generate_translations.py [LANGUAGE...]

A language that has no file yet gets one, with all texts to translate.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Container
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry
from nodegraph.packs.snapshot import TRANSLATIONS
from nodegraph.packs.translations import LANGUAGES, messages_of

FOLDER = Path(__file__).parents[1] / "nodes" / TRANSLATIONS
_MOST_SOURCES = 3
"""Node types and ports that a message names for translators; `seed` has hundreds."""
_KEPT = re.compile(r"`[^`]*`|\{\w*(?::[^}]*)?\}|__\w[\w/]*__|%[A-Za-z]\b")
_WORD = re.compile(r"\w+")
_COINED = re.compile(r"[A-Z]\w*[a-z0-9][A-Z]|[A-Z]{2,}[a-z]")
"""Names of node types that are no words: `KSampler`, but not `Select`."""
_HEADER = """\
# Texts of nodegraph's built-in node types. Corrections are welcome: edit `msgstr`, then run
# python docs/generate_translations.py
msgid ""
msgstr ""
"Project-Id-Version: nodegraph\\n"
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


def template() -> Catalog:
    """All texts of the built-in node types, without translations."""
    registry = Registry([pack for pack in installed_packs() if not pack.name])
    catalog = Catalog(fuzzy=False)
    sources: dict[tuple[str, str], list[str]] = {}
    for name in registry.node_types():
        spec = registry.spec(name)
        for text, kind, source in messages_of(spec) if spec is not None else ():
            known = sources.setdefault((kind, text), [])
            if source not in known and len(known) < _MOST_SOURCES:
                known.append(source)
    # Sorted, so that a new node type changes no other lines.
    for (kind, text), known in sorted(sources.items()):
        catalog.add(text, context=kind or None, auto_comments=[", ".join(known)])
    return catalog


def merged(language: str, old: str, texts: Catalog) -> str:
    """The file of a language with all texts of a template.

    Args:
        old: The file as it is; empty if there is none.
    """
    catalog = Catalog()
    known = read_po(old.splitlines(keepends=True)) if old else catalog
    for message in texts:
        if not message.id:
            continue  # the header
        former = known.get(message.id, message.context)
        catalog.add(
            message.id,
            former.string if former is not None else "",
            context=message.context,
            auto_comments=message.auto_comments,
            user_comments=former.user_comments if former is not None else (),
            flags={"fuzzy"} if former is not None and former.fuzzy else (),
        ).flags.discard("python-format")  # Babel takes `50% of` for a placeholder
    file = BytesIO()
    write_po(file, catalog, width=100, omit_header=True)
    return _HEADER.format(language=language) + file.getvalue().decode("utf-8")


def lost_marks(english: str, translation: str, node_types: Container[str]) -> list[str]:
    """What a translation must keep and has lost: code, placeholders and names of node types."""
    names = [
        word
        for word in _WORD.findall(english)
        if word in node_types and _COINED.match(word) is not None
    ]
    kept = Counter([*_KEPT.findall(english), *names])
    return [mark for mark, count in kept.items() if translation.count(mark) < count]


def write(languages: list[str]) -> None:
    """Bring the files of languages up to date."""
    texts = template()
    FOLDER.mkdir(exist_ok=True)
    for language in languages:
        file = FOLDER / f"{language}.po"
        old = file.read_text(encoding="utf-8") if file.exists() else ""
        file.write_text(merged(language, old, texts), encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1:] or list(LANGUAGES))
