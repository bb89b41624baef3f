"""Sources of models: Hugging Face, Civitai and plain addresses, resolved to plans and searched.

A **reference** names a model at a source:

- ``org/name``, ``org/name@revision``, ``org/name/file.safetensors``, or an address of a page or a
  file of Hugging Face (or of the mirror that ``HF_ENDPOINT`` names),
- ``civitai:123`` (a version's id) or ``civitai:HASH``, an address of a page or a download of
  Civitai, or a bare hash (SHA-256, AutoV2, AutoV3, BLAKE3),
- any other ``https://`` address of a file, with ``#sha256=…`` behind it to state its digest.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from nodegraph.core.weight_files import PICKLES, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.models.model_hashes import ModelHashCache
from nodegraph.models.model_library import ModelRecord, change_record, own_facts
from nodegraph.models.remote.download_plans import (
    FAMILY_WORDS,
    LONGEST_TITLE,
    DownloadError,
    DownloadPlan,
    PlannedFile,
    SearchHit,
    Wanted,
    check_weights,
    first_text,
    guess_kind,
    name_from_url,
    parse_count,
    refused_pickle,
    target_name,
)
from nodegraph.models.remote.guarded_http import (
    HostRules,
    open_client,
    status_error,
    translated_errors,
)
from nodegraph.models.remote.hugging_face import SIGN_IN as HUB_SIGN_IN
from nodegraph.models.remote.hugging_face import HuggingFace
from nodegraph.models.remote.manifests import check_name

CIVITAI_ENDPOINT = "https://civitai.com"
CIVITAI_SIGN_IN = "Set CIVITAI_TOKEN to an API key from https://civitai.com/user/account."
_REPOSITORY = re.compile(
    r"(?:hf:)?(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+?))?(?:[:/](?P<path>[^@]+))?"
)
_HASH = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64}|[0-9a-fA-F]{12}|[0-9a-fA-F]{10})")
_HEX = re.compile(r"[0-9a-f]{64}")
_ALIASES: Mapping[str, str] = {
    "www.huggingface.co": "huggingface.co",
    "hf.co": "huggingface.co",
    "www.civitai.com": "civitai.com",
}
"""Other host names of the sources."""
_LARGEST_ANSWER = 32 << 20
_LOOKED_UP = ("source", "title", "page", "license", "base_model", "trigger_words")
_MOST_HITS = 100


_CIVITAI_KINDS: Mapping[str, str] = {
    "Checkpoint": "checkpoint",
    "LORA": "lora",
    "LoCon": "lora",
    "DoRA": "lora",
    "TextualInversion": "embedding",
    "VAE": "vae",
    "Controlnet": "controlnet",
    "Upscaler": "upscaler",
}


class ModelHubs:
    """Resolves references and searches.

    Args:
        rules: Hosts that may be reached.
        environment: Variables such as ``HF_ENDPOINT`` and ``HF_TOKEN``.
    """

    def __init__(self, rules: HostRules, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        # Whoever sets the variables runs this process, so their hosts are allowed.
        named = (environment.get("HF_ENDPOINT"), environment.get("CIVITAI_ENDPOINT"))
        hosts = [host for each in named if each and (host := urlsplit(each).hostname)]
        self.rules = rules = replace(rules, hosts=(*rules.hosts, *hosts))
        self._hub = HuggingFace(rules, environment)
        self._civitai = environment.get("CIVITAI_ENDPOINT", "").rstrip("/") or CIVITAI_ENDPOINT

    def resolve(self, reference: str, wanted: Wanted = Wanted()) -> DownloadPlan:  # noqa: B008
        """The plan of a download.

        Raises:
            InvalidValue: It is no reference, or it has to be more precise.
            UnsafeFile: There are only pickle files.
            DownloadError: The source cannot be reached, or refuses.
        """
        text = reference.strip()
        if not text or len(text) > 2_000 or not text.isprintable():
            raise _no_reference(reference)
        if text.startswith("civitai:"):
            return self._civitai_plan(text.removeprefix("civitai:"), wanted)
        if "://" in text:
            return self._address_plan(text, wanted)
        if _HASH.fullmatch(text):
            return self._civitai_plan(text.removeprefix("sha256:"), wanted)
        match = _REPOSITORY.fullmatch(text)
        if match is None:
            raise _no_reference(reference)
        return self._hub.plan(match["repo"], match["revision"], match["path"], wanted)

    def token_for(self, url: str) -> str | None:
        """The environment's access token for an address; None for any other host."""
        origin = origin_of(url)
        if origin == origin_of(self._hub.endpoint):
            return self._hub.token()
        if origin == origin_of(self._civitai):
            return self._environment.get("CIVITAI_TOKEN") or None
        return None

    def sign_in(self, url: str) -> str:
        """How to set the access token for an address; empty if it takes none."""
        origin = origin_of(url)
        if origin == origin_of(self._hub.endpoint):
            return HUB_SIGN_IN
        return CIVITAI_SIGN_IN if origin == origin_of(self._civitai) else ""

    def search(
        self,
        words: str,
        *,
        sources: Sequence[str] = ("huggingface", "civitai"),
        kind: str | None = None,
        family: str | None = None,
        limit: int = 20,
    ) -> list[SearchHit]:
        """Models by words, the most downloaded first within each source.

        Args:
            kind: One of `KINDS`.
            family: One of `FAMILY_WORDS`.
        Raises:
            InvalidValue: There is no such kind, family or source.
            DownloadError: A source cannot be reached, or refuses.
        """
        Wanted(kind=kind)
        for name, known in ((family, FAMILY_WORDS), *((each, _SEARCHES) for each in sources)):
            if name is not None and name not in known:
                raise InvalidValue(
                    "it is not possible to search for this",
                    given=name,
                    expected=", ".join(known),
                )
        most = max(1, min(limit, _MOST_HITS))
        hits: list[SearchHit] = []
        for source in sources:
            hits += _SEARCHES[source](self, words, kind, family, most)
        return hits

    def find_update(self, source: str, sha256: Mapping[str, str]) -> str | None:
        """Reference of a newer version of a model; None if there is none, as far as is known.

        Args:
            source: Reference that the model was downloaded by.
            sha256: Digests of its files by path.
        Raises:
            DownloadError: The source cannot be reached, or refuses.
        """
        if source.startswith("civitai:"):
            token = self._environment.get("CIVITAI_TOKEN") or None
            id_ = source.removeprefix("civitai:")
            version = self._civitai_json(f"model-versions/{id_}", token, f"version {id_}")
            number = version.get("modelId")
            model = self._civitai_json(f"models/{number}", token, f"model {number}")
            newest = _newest_version(model)
            return None if newest in (None, id_) else f"civitai:{newest}"
        if "://" in source:
            return None
        try:
            plan = self.resolve(source)
        except InvalidValue:
            return None  # one of several models: it is not known which
        pairs = [(file.sha256, sha256[file.path]) for file in plan.files if file.path in sha256]
        return source if any(now not in (None, then) for now, then in pairs) else None

    def find_by_hash(self, sha256: str) -> DownloadPlan:
        """What Civitai knows about a file, by its hash.

        Raises:
            DownloadError: It knows no such file, cannot be reached, or refuses.
        """
        # A pickle file is here already: nothing is downloaded or opened.
        return self._civitai_plan(sha256, Wanted(allow_pickle=True))

    def look_up(self, model: Path, cache: Path | None) -> ModelRecord:
        """Look a model up at Civitai by its hash, and keep what is known there beside it.

        What people wrote, and what the model's own download stated, stays.

        Args:
            cache: Folder in which hashes are kept.
        Raises:
            InvalidValue: It is a folder, which has no hash.
            DownloadError: Civitai does not know it, or cannot be reached.
        """
        if model.is_dir():
            raise InvalidValue(
                f"{model.name} is a folder, and Civitai knows single files only",
                given=model.name,
                expected="a single file",
            )
        try:
            digest = ModelHashCache(cache).hashes(model).sha256
        except OSError as error:
            raise InvalidFile(f"cannot read {model}: {error.strerror or error}") from error
        plan, own = self.find_by_hash(digest), own_facts(model)
        known = {name: getattr(plan, name) for name in _LOOKED_UP}
        changes = {name: value for name, value in known.items() if value and not own.get(name)}
        sha256 = own.get("sha256") or {model.name: digest}
        return change_record(model, {**changes, "sha256": sha256})

    def _civitai_plan(self, name: str, wanted: Wanted) -> DownloadPlan:
        token = wanted.token or self._environment.get("CIVITAI_TOKEN") or None
        if name.isdecimal() and len(name) < 10:
            version = self._civitai_json(f"model-versions/{name}", token, f"version {name}")
        elif match := _HASH.fullmatch(name):
            way = f"model-versions/by-hash/{match[1]}"
            version = self._civitai_json(way, token, f"model with the hash {match[1]}")
        else:
            raise _no_reference(f"civitai:{name}")
        return self._version_plan(version, token, wanted)

    def _version_plan(
        self, version: Mapping[str, Any], token: str | None, wanted: Wanted
    ) -> DownloadPlan:
        try:
            about = {**(version.get("model") or {})}
            id_, model_id = int(version["id"]), int(version["modelId"])
            file = _civitai_file(version.get("files") or (), wanted, str(id_))
            name, url = str(file["name"]), str(file["downloadUrl"])
            digest = str((file.get("hashes") or {}).get("SHA256") or "").lower()
            size = _size(file)
        except KeyError as error:
            raise DownloadError(f"the answer of Civitai lacks {error}") from None
        except _MALFORMED as error:
            raise DownloadError(
                "the answer of Civitai about a version is malformed", hint="Try again later."
            ) from error
        check_weights(name, allow_pickle=wanted.allow_pickle)
        planned = PlannedFile(
            url, check_name(name), size, digest if _HEX.fullmatch(digest) else None
        )
        kind = wanted.kind or _CIVITAI_KINDS.get(str(about.get("type")), "checkpoint")
        whole = self._civitai_json(f"models/{model_id}", token, f"model {model_id}")
        title = f"{about.get('name', '')} {version.get('name', '')}".strip()
        return DownloadPlan(
            f"civitai:{id_}",
            target_name(kind, name, wanted),
            kind,
            (planned,),
            title=title[:LONGEST_TITLE],
            license=_civitai_license(whole),
            base_model=first_text(version.get("baseModel")),
            trigger_words=_words(version.get("trainedWords")),
            page=f"{self._civitai}/models/{model_id}?modelVersionId={id_}",
            allow_pickle=wanted.allow_pickle,
        )

    def _civitai_json(self, way: str, token: str | None, what: str) -> Mapping[str, Any]:
        host = urlsplit(self._civitai).hostname or "Civitai"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self._civitai}/api/v1/{way}"
        with (
            translated_errors(host),
            open_client(self.rules) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code != 200:
                raise status_error(
                    response.status_code, f"{what} at {host}", sign_in=CIVITAI_SIGN_IN
                )
            data = bytearray()
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > _LARGEST_ANSWER:
                    raise DownloadError(f"the answer of {host} is too large")
        try:
            document = json.loads(bytes(data))
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise DownloadError(f"the answer of {host} is no JSON object", hint="Try again later.")
        return document

    def _search_civitai(
        self, words: str, kind: str | None, family: str | None, limit: int
    ) -> list[SearchHit]:
        types = [name for name, each in _CIVITAI_KINDS.items() if kind in (None, each)]
        if kind is not None and not types:
            return []
        parameters = [("query", words)] if words else []
        parameters += [("limit", str(limit)), ("sort", "Most Downloaded")]
        parameters += [("types", name) for name in types if kind is not None]
        parameters += (
            [("baseModels", name) for name in FAMILY_WORDS[family].civitai] if family else []
        )
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters)
        token = self._environment.get("CIVITAI_TOKEN") or None
        listed = self._civitai_json(f"models?{query}", token, "list of models").get("items")
        hits = []
        for item in (listed if isinstance(listed, list) else ())[:limit]:
            try:
                hit = self._civitai_hit(item) if isinstance(item, dict) else None
            except _MALFORMED:
                continue  # the others are as good as before
            if hit is not None:
                hits.append(hit)
        return hits

    def _civitai_hit(self, item: Mapping[str, Any]) -> SearchHit | None:
        versions = item.get("modelVersions")
        if not (isinstance(versions, list) and versions and isinstance(versions[0], dict)):
            return None
        version = versions[0]
        files = [file for file in version.get("files") or () if isinstance(file, dict)]
        primary = next((file for file in files if file.get("primary")), files[0] if files else {})
        stats = item.get("stats") or {}
        return SearchHit(
            "civitai",
            f"civitai:{version.get('id')}",
            str(item.get("name", ""))[:LONGEST_TITLE],
            _CIVITAI_KINDS.get(str(item.get("type")), ""),
            first_text(version.get("baseModel")),
            _civitai_license(item),
            False,
            int(stats.get("downloadCount") or 0),
            int(stats.get("thumbsUpCount") or 0),
            _size(primary),
            _words(version.get("trainedWords")),
            f"{self._civitai}/models/{item.get('id')}",
        )

    # Addresses

    def _address_plan(self, url: str, wanted: Wanted) -> DownloadPlan:
        try:
            address = urlsplit(url)
            _ = address.port
        except ValueError:
            raise _no_reference(url) from None
        parts = [unquote(part) for part in address.path.split("/") if part]
        origin = origin_of(url)
        if origin == origin_of(self._hub.endpoint) and len(parts) >= 2:
            return self._hub_address_plan(parts, wanted)
        if origin == origin_of(self._civitai):
            return self._civitai_address_plan(parts, address.query, wanted)
        return self._file_plan(url, wanted)

    def _hub_address_plan(self, parts: Sequence[str], wanted: Wanted) -> DownloadPlan:
        repository, more = "/".join(parts[:2]), parts[2:]
        if not more:
            return self._hub.plan(repository, None, None, wanted)
        if more[0] in ("blob", "resolve", "tree") and len(more) >= 2:
            path = "/".join(more[2:]) or None
            return self._hub.plan(repository, more[1], path, wanted)
        raise _no_reference("/".join(parts))

    def _civitai_address_plan(
        self, parts: Sequence[str], query: str, wanted: Wanted
    ) -> DownloadPlan:
        if parts[:3] == ["api", "download", "models"] and len(parts) == 4:
            return self._civitai_plan(parts[3], wanted)
        if len(parts) < 2 or parts[0] != "models" or not parts[1].isdecimal():
            raise _no_reference("/".join(parts))
        chosen = parse_qs(query).get("modelVersionId")
        if chosen:
            return self._civitai_plan(chosen[0], wanted)
        token = wanted.token or self._environment.get("CIVITAI_TOKEN") or None
        model = self._civitai_json(f"models/{parts[1]}", token, f"model {parts[1]}")
        newest = _newest_version(model)
        if newest is None:
            raise DownloadError(f"model {parts[1]} has no versions at Civitai")
        return self._civitai_plan(newest, wanted)

    def _file_plan(self, url: str, wanted: Wanted) -> DownloadPlan:
        url, _, fragment = url.partition("#")
        digest = fragment.removeprefix("sha256=").lower() if fragment else None
        if digest is not None and not _HEX.fullmatch(digest):
            raise InvalidValue(
                "the digest behind the address is no SHA-256",
                given=ascii(fragment[:80]),
                expected="#sha256= and 64 hexadecimal digits",
            )
        headers = {"Accept-Encoding": "identity", "Range": "bytes=0-0"}
        if wanted.token:
            headers["Authorization"] = f"Bearer {wanted.token}"
        host = urlsplit(url).hostname or "the host"
        with (
            translated_errors(host),
            open_client(self.rules) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            status, answer = response.status_code, response.headers
        if status not in (200, 206):
            raise status_error(status, f"the file at {host}")
        name = name_from_url(url, answer.get("Content-Disposition", ""))
        if answer.get("Content-Type", "").startswith("text/html"):
            raise DownloadError(
                f"{host} sends a web page instead of a file",
                hint="Open the page, and copy the address of its download button.",
            )
        check_weights(name, allow_pickle=wanted.allow_pickle)
        kind = wanted.kind or guess_kind((), name)
        total = answer.get("Content-Range", "").rpartition("/")[2] if status == 206 else ""
        total = total or (answer.get("Content-Length", "") if status == 200 else "")
        size = parse_count(total)
        planned = PlannedFile(url, PurePosixPath(check_name(name)).name, size, digest)
        return DownloadPlan(
            f"{url}{f'#sha256={digest}' if digest else ''}",
            target_name(kind, name, wanted),
            kind,
            (planned,),
            title=planned.path,
            page=None,
            allow_pickle=wanted.allow_pickle,
        )


_MALFORMED = (TypeError, ValueError, AttributeError, OverflowError)
"""What reading a part of an answer raises that has another form than it should."""
_SEARCHES: Mapping[str, Callable[..., list[SearchHit]]] = {
    "huggingface": lambda hubs, *wanted: hubs._hub.search(*wanted),
    "civitai": ModelHubs._search_civitai,
}


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address; other names of a source count as its own."""
    try:
        address = urlsplit(url)
        port = address.port
    except ValueError:
        return "", url, None
    host = address.hostname or ""
    default = {"https": 443, "http": 80}.get(address.scheme)
    return address.scheme, _ALIASES.get(host, host), port or default


def _no_reference(reference: str) -> InvalidValue:
    return InvalidValue(
        "this names no model",
        given=ascii(reference[:80]),
        expected="org/name or an address of Hugging Face, civitai:123 or an address of Civitai, a "
        "hash, or an https address of a file",
        hint="Look for models with: nodegraph models search WORDS",
    )


def _newest_version(model: Mapping[str, Any]) -> str | None:
    """Id of the first version of a model at Civitai, which is the newest."""
    versions = model.get("modelVersions")
    if not (isinstance(versions, list) and versions and isinstance(versions[0], dict)):
        return None
    id_ = versions[0].get("id")
    return str(id_) if isinstance(id_, int) else None


def _size(file: Mapping[str, Any]) -> int | None:
    """Bytes of a file at Civitai; None if it does not state them.

    Raises:
        ValueError, OverflowError: It is not possible to have so many.
    """
    size = file.get("sizeKB")
    if not isinstance(size, int | float):
        return None
    if size < 0:
        raise ValueError("a negative size")
    return round(size * 1024)


def _words(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else ()
    return tuple(str(word).strip()[:LONGEST_TITLE] for word in listed[:50] if str(word).strip())


def _civitai_file(files: Sequence[Any], wanted: Wanted, version: str) -> Mapping[str, Any]:
    """The file of a version: of the wanted variant, safetensors first, then the primary one."""
    listed = [file for file in files if isinstance(file, dict) and file.get("name")]
    weights = [file for file in listed if file.get("type") not in ("Training Data", "Config")]
    fitting = [file for file in weights if not _is_pickled(file)]
    if not fitting and weights and not wanted.allow_pickle:
        raise refused_pickle(str(weights[0]["name"])[:80])
    fitting = fitting or weights
    if wanted.variant:
        variant = wanted.variant.lower()
        fitting = [file for file in fitting if variant in _variants(file)]
    if not fitting:
        known = sorted({name for file in weights for name in _variants(file)[:2] if name})
        raise InvalidValue(
            f"version {version} at Civitai has no such file",
            given=wanted.variant,
            expected=", ".join(known) or None,
        )
    return next((file for file in fitting if file.get("primary")), fitting[0])


def _is_pickled(file: Mapping[str, Any]) -> bool:
    return file_suffix(PurePosixPath(str(file["name"]))) in PICKLES


def _variants(file: Mapping[str, Any]) -> list[str]:
    about = file.get("metadata") or {}
    words = [str(about.get(key) or "").lower() for key in ("fp", "size", "quantType")]
    return [*words, *re.split(r"[._-]", str(file["name"]).lower())]


def _civitai_license(model: Mapping[str, Any]) -> str | None:
    """The permissions of a model in words; Civitai states no license by name."""
    if "allowCommercialUse" not in model and "allowNoCredit" not in model:
        return None
    uses = model.get("allowCommercialUse")
    uses = [uses] if isinstance(uses, str) else uses if isinstance(uses, list) else []
    allowed = sorted(str(use) for use in uses if use != "None")
    parts = [f"commercial use: {', '.join(allowed)}" if allowed else "no commercial use"]
    if model.get("allowNoCredit") is False:
        parts.append("credit required")
    if model.get("allowDerivatives") is False:
        parts.append("no merges shared")
    return "; ".join(parts)[:LONGEST_TITLE]
