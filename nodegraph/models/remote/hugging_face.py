"""Models at Hugging Face, asked by `huggingface_hub`.

Files are chosen and their digests are known before anything is downloaded. Files that are in the
library's cache are not downloaded again, also without a network.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

from nodegraph.errors import InvalidValue
from nodegraph.families.index import INDEX
from nodegraph.models.remote.download_plans import (
    FAMILY_WORDS,
    DownloadError,
    DownloadPlan,
    PlannedFile,
    SearchHit,
    Wanted,
    check_weights,
    first_text,
    guess_kind,
    select_files,
    target_name,
)
from nodegraph.models.remote.guarded_http import HostRules, guard_hub, status_error
from nodegraph.models.remote.manifests import check_name

ENDPOINT = "https://huggingface.co"
SIGN_IN = (
    "Set HF_TOKEN to a token from https://huggingface.co/settings/tokens, or log in with "
    "`hf auth login`."
)
_GENERIC = (
    *("pytorch_lora_weights", "adapter_model", "diffusion_pytorch_model", "model"),
    *("pytorch_model", "learned_embeds"),
)
"""Stems of files that many repositories have; they get the name of the repository."""
_HEX = re.compile(r"[0-9a-f]{64}")
_HF_TAGS: Mapping[str, str] = {
    "lora": "lora",
    "embedding": "textual_inversion",
    "controlnet": "controlnet",
    "ip_adapter": "ip-adapter",
    "diffusers": "diffusers",
}


class HuggingFace:
    """The hub, or the mirror that ``HF_ENDPOINT`` names.

    Args:
        rules: Hosts that may be reached.
        environment: Variables such as ``HF_ENDPOINT`` and ``HF_TOKEN``.
    """

    def __init__(self, rules: HostRules, environment: Mapping[str, str] = os.environ) -> None:
        self._rules = rules
        self._environment = environment
        self._cache = environment.get("HF_HUB_CACHE") or None
        self.endpoint = environment.get("HF_ENDPOINT", "").rstrip("/") or ENDPOINT

    def token(self) -> str | None:
        """The access token of the environment or of the library's log-in; None without one."""
        if token := self._environment.get("HF_TOKEN"):
            return token
        from huggingface_hub import get_token

        return get_token()

    def plan(
        self, repository: str, revision: str | None, path: str | None, wanted: Wanted
    ) -> DownloadPlan:
        from huggingface_hub import HfApi, hf_hub_url

        guard_hub(self._rules)
        token = wanted.token or self.token()
        api = HfApi(endpoint=self.endpoint, token=token or False)
        try:
            with _hub_errors(repository):
                info = api.model_info(repository, revision=revision, files_metadata=True)
        except DownloadError as error:
            plan = self._cached_plan(repository, revision, path, wanted)
            if plan is None:
                raise error
            return plan
        siblings = {each.rfilename: each for each in info.siblings or ()}
        sizes = {name: each.size for name, each in siblings.items()}
        is_folder, paths = _selected(sizes, path, wanted, repository)
        commit = info.sha or revision or "main"
        files = []
        for name in paths:
            entry = siblings[name]
            digest = str(entry.lfs.sha256).lower() if entry.lfs else None
            url = hf_hub_url(repository, name, revision=commit, endpoint=self.endpoint)
            # A file of LFS has the digest of its pointer as `blob_id`.
            git = None if entry.lfs else entry.blob_id
            files.append(PlannedFile(url, name, entry.size, digest, git))
        card = _card(info)
        words = card.get("instance_prompt")
        plan = self._planned(repository, files, wanted, info.tags or (), is_folder=is_folder)
        revision_text = f"@{revision}" if revision else ""
        return _with_cached(
            replace(
                plan,
                source=f"{repository}{revision_text}{f'/{path}' if path else ''}",
                license=_license(card) or _tagged("license:", info.tags or ()),
                is_gated=bool(info.gated),
                base_model=first_text(card.get("base_model")),
                trigger_words=(str(words),) if isinstance(words, str) and words else (),
            ),
            repository,
            commit,
            self._cache,
        )

    def _planned(
        self,
        repository: str,
        files: Sequence[PlannedFile],
        wanted: Wanted,
        tags: Sequence[str],
        *,
        is_folder: bool,
    ) -> DownloadPlan:
        for file in files:
            check_name(file.path)
        if is_folder:
            is_whole = any(
                file.path in ("model_index.json", "modular_model_index.json") for file in files
            )
            kind = wanted.kind or ("diffusers" if is_whole else guess_kind(tags, ""))
            kind = kind if is_whole or wanted.kind or kind != "checkpoint" else "diffusers"
            name = target_name(kind, repository.rpartition("/")[2], wanted, is_folder=True)
        else:
            (file,) = files
            check_weights(file.path, allow_pickle=wanted.allow_pickle)
            kind = wanted.kind or guess_kind(tags, file.path)
            path = PurePosixPath(file.path)
            is_generic = path.stem in _GENERIC
            file_name = f"{repository.rpartition('/')[2]}{path.suffix}" if is_generic else path.name
            name = target_name(kind, file_name, wanted)
            files = [replace(file, path=PurePosixPath(file.path).name)]
        return DownloadPlan(
            repository,
            name,
            kind,
            tuple(files),
            title=repository,
            page=f"{self.endpoint}/{repository}",
            allow_pickle=wanted.allow_pickle,
            is_folder=is_folder,
        )

    def _cached_plan(
        self, repository: str, revision: str | None, path: str | None, wanted: Wanted
    ) -> DownloadPlan | None:
        """The plan from the cache of `huggingface_hub` alone; None if it holds no such files."""
        from huggingface_hub import snapshot_download

        try:
            folder = Path(
                snapshot_download(
                    repository, revision=revision, local_files_only=True, cache_dir=self._cache
                )
            )
        except (OSError, ValueError):
            return None
        cached = {
            each.relative_to(folder).as_posix(): each
            for each in folder.rglob("*")
            if each.is_file()
        }
        try:
            sizes = {name: each.stat().st_size for name, each in cached.items()}
            is_folder, paths = _selected(sizes, path, wanted, repository)
        except InvalidValue:
            return None
        files = []
        for name in paths:
            # The cache names large files by their SHA-256.
            blob = cached[name].resolve().name
            digest = blob if _HEX.fullmatch(blob) else None
            files.append(PlannedFile("", name, sizes[name], digest, cached=str(cached[name])))
        plan = self._planned(repository, files, wanted, (), is_folder=is_folder)
        return replace(plan, source=f"{repository}{f'/{path}' if path else ''}")

    def search(
        self, words: str, kind: str | None, family: str | None, limit: int
    ) -> list[SearchHit]:
        from huggingface_hub import HfApi

        guard_hub(self._rules)
        filters = [_HF_TAGS[kind]] if kind is not None and kind in _HF_TAGS else []
        if family is not None:
            is_whole = kind in (None, "checkpoint", "diffusers")
            filters.append(
                f"diffusers:{INDEX[family].pipelines[0]}"
                if is_whole
                else f"base_model:{FAMILY_WORDS[family].base}"
            )
        api = HfApi(endpoint=self.endpoint, token=self.token() or False)
        with _hub_errors("search"):
            listed = list(
                api.list_models(
                    search=words or None,
                    filter=filters or None,
                    sort="downloads",
                    limit=limit,
                    expand=["downloads", "likes", "tags", "gated", "cardData", "library_name"],
                )
            )
        hits = []
        for info in listed:
            card = _card(info)
            tags = info.tags or ()
            hits.append(
                SearchHit(
                    "huggingface",
                    info.id,
                    info.id,
                    _hub_kind(tags, info.library_name),
                    first_text(card.get("base_model")) or _tagged("base_model:", tags),
                    _license(card) or _tagged("license:", tags),
                    bool(info.gated),
                    info.downloads or 0,
                    info.likes or 0,
                    page=f"{self.endpoint}/{info.id}",
                )
            )
        return hits


@contextmanager
def _hub_errors(repository: str) -> Iterator[None]:
    """Turn errors of `huggingface_hub` into `DownloadError`."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except DownloadError:
        raise
    except GatedRepoError as error:
        raise DownloadError(
            f"access to {repository} is refused: its authors ask for an accepted license",
            hint=f"Accept the license on its page. {SIGN_IN}",
        ) from error
    except RevisionNotFoundError as error:
        raise DownloadError(f"{repository} has no such revision") from error
    except RepositoryNotFoundError as error:
        raise DownloadError(
            f"there is no repository {repository} at Hugging Face, or it is private",
            hint=f"Check its name. If it is private: {SIGN_IN}",
        ) from error
    except HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", 0)
        raise status_error(status, f"{repository} at Hugging Face", sign_in=SIGN_IN) from error
    except HFValidationError as error:
        raise InvalidValue(
            "this is no name of a repository", given=ascii(repository[:80]), expected="org/name"
        ) from error
    except OfflineModeIsEnabled as error:
        raise DownloadError(
            f"{repository} is not in the cache, and HF_HUB_OFFLINE forbids the network"
        ) from error
    except Exception as error:
        # Errors of its HTTP library, which is another one in each major release.
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "requests"):
            raise
        raise DownloadError(
            f"cannot reach Hugging Face: {error or type(error).__name__}",
            hint="Check the network connection, and try again.",
        ) from error


def _selected(
    sizes: Mapping[str, int | None], path: str | None, wanted: Wanted, what: str
) -> tuple[bool, list[str]]:
    """The files of a repository; those of one of its folders or one file if a path is named."""
    if path is None:
        return select_files(sizes, wanted, what)
    if path in sizes:
        return False, [path]
    below = {name: size for name, size in sizes.items() if name.startswith(f"{path}/")}
    if not below:
        weights = [name for name in sizes if not name.endswith((".json", ".md", ".txt"))]
        raise InvalidValue(
            f"{what} has no file {path}", expected=", ".join(sorted(weights)[:10]) or None
        )
    return False, [next(iter(select_files(below, replace(wanted), what)[1]))]


def _with_cached(
    plan: DownloadPlan, repository: str, commit: str, cache: str | None
) -> DownloadPlan:
    """The plan with what is in the cache of `huggingface_hub` already."""
    from huggingface_hub import try_to_load_from_cache

    files = []
    for file in plan.files:
        # A single file has lost its folder in the repository.
        path = unquote(file.url.rpartition(f"/resolve/{quote(commit, safe='')}/")[2]) or file.path
        try:
            cached = try_to_load_from_cache(repository, path, cache, commit)
        except (OSError, ValueError):
            cached = None
        is_whole = isinstance(cached, str) and (
            file.bytes is None or Path(cached).stat().st_size == file.bytes
        )
        files.append(replace(file, cached=cached) if is_whole else file)
    return replace(plan, files=tuple(files))


def _card(info: Any) -> Mapping[str, Any]:
    """What the authors state in the head of the repository's README."""
    return info.card_data.to_dict() if info.card_data else {}


def _hub_kind(tags: Sequence[str], library: str | None) -> str:
    named = {tag.lower() for tag in tags}
    if any(tag.startswith("diffusers:") for tag in named):
        return "diffusers"
    kind = next((kind for kind, tag in _HF_TAGS.items() if tag in named), "")
    return kind or ("diffusers" if library == "diffusers" else "")


def _tagged(prefix: str, tags: Sequence[str]) -> str | None:
    return next((tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix)), None)


def _license(card: Mapping[str, Any]) -> str | None:
    return first_text(card.get("license_name")) or first_text(card.get("license"))
