"""The files that a model comes in: GGUF, safetensors, and pickled weights without code."""

from braid.engine.local.model.formats.folder import load_folder
from braid.engine.local.model.formats.gguf import converted_gguf
from braid.engine.local.model.formats.gguf_header import GgufHeader, read_gguf_header

__all__ = ["GgufHeader", "converted_gguf", "load_folder", "read_gguf_header"]
