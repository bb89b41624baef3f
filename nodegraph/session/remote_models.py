"""Models of a shared place, as settings name it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nodegraph.session.settings import Settings


def attach_remote_models(settings: Settings) -> Callable[[], None]:
    """Have models found at the place that the settings name, if any; what is given undoes it.

    Raises:
        InvalidValue: The setting is no place.
    """
    if not settings.remote_models:
        return lambda: None
    from nodegraph.models.model_sources import KIND_FOLDERS
    from nodegraph.models.remote.models import RemoteModels
    from nodegraph.weights.attached_models import attach, detach

    remote = RemoteModels(
        settings.remote_models,
        settings.remote_models_folder,
        settings.model_cache_folder,
        settings.model_cache_budget,
        KIND_FOLDERS,
    )
    attach(remote)
    return partial(detach, remote)
