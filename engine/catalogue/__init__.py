"""Models that can be pulled into the user's cache. Needs neither torch nor transformers."""

from braid.engine.catalogue.entries import CatalogueModel, UnknownModelError, catalogue, catalogue_model
from braid.engine.catalogue.pull import pull_model
from braid.engine.catalogue.store import (
    NotPulledError,
    PulledModel,
    cached_model,
    converted_folder,
    file_sha256,
    model_folder,
    pulled_model,
    remove_model,
)

__all__ = [
    "CatalogueModel",
    "NotPulledError",
    "PulledModel",
    "UnknownModelError",
    "cached_model",
    "catalogue",
    "catalogue_model",
    "converted_folder",
    "file_sha256",
    "model_folder",
    "pull_model",
    "pulled_model",
    "remove_model",
]
