"""Loading with transformers, without its progress bars and reports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from transformers import modeling_gguf_pytorch_utils as gguf_utils
from transformers.utils import logging


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no reports while loading: they would break a live display.

    What a report says of missing weights is raised as an error. Reading GGUF has a bar that no setting hides.
    """
    bar = gguf_utils.tqdm
    gguf_utils.tqdm = partial(bar, disable=True)
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        gguf_utils.tqdm = bar
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
