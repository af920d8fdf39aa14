"""The local engine: any Hugging Face causal LM in this process. Importing this package imports torch."""

from braid.engine.local.context import LocalContext
from braid.engine.local.engine import LocalEngine
from braid.engine.local.model import locate_model

__all__ = ["LocalContext", "LocalEngine", "locate_model"]
