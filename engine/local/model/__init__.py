"""A Hugging Face model made ready to run: loading, tokenizer, sampler, grammar, and the lean decoder."""

from braid.engine.local.model.base_of_adapter import check_base, locate_base, weights_hash
from braid.engine.local.model.grammar import TokenMasks
from braid.engine.local.model.info import default_memory, describe
from braid.engine.local.model.load import Dtype, load_model
from braid.engine.local.model.locate import locate_folder, locate_model
from braid.engine.local.model.model import Model
from braid.engine.local.model.sampler import BranchSampler, sample_tokens, top_logprobs
from braid.engine.local.model.threads import best_threads
from braid.engine.local.model.tokenizer import Detokenizer, TextCodec, off_loop, prompt_size

__all__ = [
    "BranchSampler",
    "Detokenizer",
    "Dtype",
    "Model",
    "TextCodec",
    "TokenMasks",
    "best_threads",
    "check_base",
    "default_memory",
    "describe",
    "load_model",
    "locate_base",
    "locate_folder",
    "locate_model",
    "off_loop",
    "prompt_size",
    "sample_tokens",
    "top_logprobs",
    "weights_hash",
]
