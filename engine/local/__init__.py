"""The local engine: any Hugging Face causal LM in this process. Importing this package imports torch."""

from braid.engine.local.context import LocalContext
from braid.engine.local.engine import LocalEngine
from braid.engine.local.model import locate_folder, locate_model, weights_hash

__all__ = ["LocalContext", "LocalEngine", "locate_folder", "locate_model", "weights_hash"]
