"""Translations of the texts of node types: gettext files in a pack's folder ``translations``.

``translations/de.po`` holds the German texts of a pack. The key of a message is the English text,
its context says what it names (`Kind`). So a text that has changed is shown in English, never with
an outdated translation. Texts that a pack doesn't translate are looked up in the built-in pack's
files, which have the common names of ports and categories.

Format: https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from threading import Lock
from typing import Literal, NamedTuple

from nodegraph.core.digests import digest_bytes
from nodegraph.core.spec import InputSpec, NodeSpec, OutputSpec
from nodegraph.errors import InvalidFile
from nodegraph.packs.pack import Pack
from nodegraph.packs.snapshot import LARGEST, TRANSLATIONS, Stamp, stamp_of

LANGUAGES = ("de", "fr", "es", "ja", "zh-Hans")
"""Languages of the editor that the built-in node types are translated into."""
ENGLISH = "en"
Kind = Literal["", "node name", "category", "port name"]
"""Context of a message; empty for help."""
MOST_FILES = 100
MOST_MESSAGES = 20_000
"""Bounds of one pack."""
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,4}")
_GAP = re.compile(r"(\n[ \t]*\n\s*)")


class SourceText(NamedTuple):
    """A text of a node type.

    Attributes:
        text: In English, without line breaks.
        kind: What it names.
        source: What it belongs to, for translators: ``KSampler.cfg``.
    """

    text: str
    kind: Kind
    source: str


Messages = Mapping[tuple[Kind, str], str]
"""Translations by kind and English text, without empty ones."""
NO_MESSAGES: Messages = {}


def messages_of(spec: NodeSpec) -> Iterator[SourceText]:
    """The texts of a node type that can be translated: names, and help in paragraphs."""
    if spec.label:
        yield SourceText(spec.label, "node name", spec.type)
    for part in category_parts(spec.category):
        yield SourceText(part, "category", spec.type)
    for paragraph in (spec.summary, *paragraphs(spec.help)):
        if paragraph:
            yield SourceText(paragraph, "", spec.type)
    ports: list[InputSpec | OutputSpec] = [*spec.inputs, *spec.outputs]
    for port in ports:
        source = f"{spec.type}.{port.name}"
        yield SourceText(port_words(port.name), "port name", source)
        for paragraph in paragraphs(port.help):
            yield SourceText(paragraph, "", source)


def category_parts(category: str) -> list[str]:
    """The names in a category such as ``image/filter``."""
    return [part for part in category.split("/") if part]


def port_words(name: str) -> str:
    """A port's name in English words: ``start at`` for ``start_at``."""
    return name.replace("_", " ")


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a help text, each in one line."""
    return [" ".join(part.split()) for part in _GAP.split(text) if part.strip()]


def language_tag(name: str) -> str | None:
    """A language as BCP 47 writes it, of a file's name or a request: ``zh-Hans`` for ``zh_hans``.

    None if it is none.
    """
    if _LANGUAGE.fullmatch(name) is None:
        return None
    first, *others = re.split("[-_]", name)
    return "-".join([first.lower(), *(_subtag(other) for other in others)])


def _subtag(tag: str) -> str:
    """A script such as ``Hans``, a region such as ``BR``, or a variant."""
    if len(tag) == 4 and tag.isalpha():
        return tag.title()
    return tag.upper() if len(tag) == 2 else tag.lower()


def read_messages(file: Path) -> Messages:
    """Return the translations of a gettext file, without those that are marked as fuzzy.

    Raises:
        InvalidFile: It can't be read, is too large, or is no gettext file.
    """
    return parse_messages(_bytes_of(file), str(file))


def parse_messages(data: bytes, name: str) -> Messages:
    """As `read_messages`, of a file's bytes.

    Args:
        name: The file, for errors.
    """
    from babel.messages.pofile import read_po  # of use only for languages other than English

    try:
        # Always UTF-8: a header may name any codec of Python.
        catalog = read_po(StringIO(data.decode("utf-8-sig")), abort_invalid=True)
    except Exception as error:  # noqa: BLE001 - of bad files, Babel raises errors of many kinds
        raise InvalidFile(
            f"`{name}` is not a gettext file",
            expected="messages in UTF-8, each a msgid and a msgstr",
            given=str(error)[:200],
            hint="`msgfmt --check` names the line",
        ) from None
    if len(catalog) > MOST_MESSAGES:
        raise InvalidFile(
            f"`{name}` has too many messages",
            expected=f"at most {MOST_MESSAGES}",
            given=str(len(catalog)),
        )
    kinds: dict[str | None, Kind] = {
        None: "",
        "node name": "node name",
        "category": "category",
        "port name": "port name",
    }
    return {
        (kinds[message.context], message.id): message.string
        for message in catalog
        if isinstance(message.id, str)
        and isinstance(message.string, str)
        and message.id
        and message.string
        and not message.fuzzy
        and message.context in kinds
    }


def _bytes_of(file: Path) -> bytes:
    try:
        if not file.is_file():  # a pipe or a device would never end
            raise InvalidFile(f"`{file}` is not a file", hint="put a gettext file there")
        size = file.stat().st_size
        if size > LARGEST:
            raise InvalidFile(
                f"`{file}` is too large",
                expected=f"at most {LARGEST} bytes",
                given=f"{size} bytes",
            )
        return file.read_bytes()
    except OSError as error:
        raise InvalidFile(f"`{file}` can't be read", given=str(error)) from None


@dataclass(frozen=True)
class Translation:
    """The texts of node types in one language.

    Attributes:
        language: Its tag; ``en`` where there are no translations.
        by_pack: Messages of each pack, by its name.
    """

    language: str
    by_pack: Mapping[str, Messages]

    def text(self, pack: str, kind: Kind, english: str) -> str:
        """The translation of a text; the English text if there is none."""
        key = (kind, english)
        return self._of(pack).get(key) or self._of("").get(key) or english

    def help(self, pack: str, english: str) -> str:
        """The translation of a help text; paragraphs without one stay as they are."""
        if self.language == ENGLISH:
            return english
        parts = _GAP.split(english)  # gaps at odd indices
        return "".join(
            part if at % 2 or not part.strip() else self._paragraph(pack, part)
            for at, part in enumerate(parts)
        )

    def _paragraph(self, pack: str, part: str) -> str:
        # What is not translated keeps its lines, which may be a list or code.
        words = " ".join(part.split())
        text = self.text(pack, "", words)
        return part if text == words else text

    def _of(self, pack: str) -> Messages:
        return self.by_pack.get(pack, NO_MESSAGES)


IN_ENGLISH = Translation(ENGLISH, {})


class Translations:
    """The translations of all packs.

    Files of the built-in pack are large and tested, so they are parsed when a language is used.
    Those of other packs are parsed at once: an invalid one is a problem of its pack.

    Attributes:
        problems: Of files that can't be used.
        digest: Changes when any file does.
    """

    def __init__(self, packs: Iterable[Pack] = ()) -> None:
        problems: list[str] = []
        self._stamps: dict[Path, Stamp | None] = {}
        self._files: dict[str, dict[str, bytes]] = {}
        self._known: dict[str, dict[str, Messages]] = {}
        self._lock = Lock()
        for pack in packs:
            problems += self._read(pack)
        self.problems = tuple(problems)
        texts = [
            f"{language} {pack} {digest_bytes(data)}"
            for language, files in self._files.items()
            for pack, data in files.items()
        ]
        self.digest = digest_bytes("\n".join(sorted(texts)).encode())

    def is_unchanged(self) -> bool:
        """Whether the files are still what they were; cheap."""
        return all(stamp_of(file) == stamp for file, stamp in self._stamps.items())

    def languages(self) -> list[str]:
        """Tags of the languages that have a file."""
        return sorted(self._files)

    def language(self, wanted: str) -> str:
        """The tag of a language that there is, for another form of the tag; else ``en``."""
        tag = language_tag(wanted)
        return tag if tag in self._files else ENGLISH

    def translation(self, language: str) -> Translation:
        """The texts in a language. The first use reads it, which takes about 0.1 s.

        Args:
            language: From `language`.
        """
        with self._lock:
            files = self._files.get(language, {})
            known = self._known.setdefault(language, {})
            for pack in files.keys() - known.keys():
                try:
                    known[pack] = parse_messages(files[pack], f"{pack or 'built-in'} {language}.po")
                except InvalidFile:
                    known[pack] = NO_MESSAGES  # English is shown
        return Translation(language, known) if files else IN_ENGLISH

    def _read(self, pack: Pack) -> Iterator[str]:
        """Read the files of a pack; yields its problems."""
        if pack.root.suffix == ".py" or (pack.isolation and pack.isolation.kind == "comfyui"):
            return  # a single file, or a pack with texts in another format
        folder = pack.root / TRANSLATIONS
        self._stamps[folder] = stamp_of(folder)
        try:
            names = sorted(path.name for path in folder.iterdir() if path.suffix == ".po")
        except OSError:
            return  # most packs have none
        title = f"pack `{pack.name or pack.package}`"
        if len(names) > MOST_FILES:
            yield f"{title} has {len(names)} translations; only {MOST_FILES} are read"
        for name in names[:MOST_FILES]:
            tag = language_tag(name.removesuffix(".po"))
            if tag is None:
                yield f"{title}: `{TRANSLATIONS}/{name}` is not named after a language, as `de.po`"
                continue
            # Taken before the file is read, so that a change meanwhile is noticed.
            self._stamps[folder / name] = stamp_of(folder / name)
            try:
                data = _bytes_of(folder / name)
                if pack.name:
                    messages = parse_messages(data, f"{TRANSLATIONS}/{name}")
                    self._known.setdefault(tag, {})[pack.name] = messages
            except InvalidFile as error:
                yield f"{title}: {error}"
                continue
            self._files.setdefault(tag, {})[pack.name] = data


NO_TRANSLATIONS = Translations()
