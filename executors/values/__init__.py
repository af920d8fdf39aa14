"""Values that flow between nodes: short forms, paths into them, plain data."""

from braid.executors.values.copies import own_copies, own_copy
from braid.executors.values.json_text import json_text
from braid.executors.values.markers import break_markers, quoted, quoted_line
from braid.executors.values.secrets import REDACTED, RedactedStream, Secrets, forms_of, is_secret
from braid.executors.values.size import ValueTooLargeError, check_size
from braid.executors.values.type_tags import EARLIER, HOMES, is_own, tag_of
from braid.executors.values.values import (
    ExpressionError,
    ItemError,
    PathError,
    attribute_names,
    caution,
    explain,
    joined,
    kind_of,
    plain_data,
    preview,
    resolve_path,
    short_form,
    shown,
)

__all__ = [
    "EARLIER",
    "HOMES",
    "REDACTED",
    "ExpressionError",
    "ItemError",
    "PathError",
    "RedactedStream",
    "Secrets",
    "ValueTooLargeError",
    "attribute_names",
    "break_markers",
    "caution",
    "check_size",
    "explain",
    "forms_of",
    "is_own",
    "is_secret",
    "joined",
    "json_text",
    "kind_of",
    "own_copies",
    "own_copy",
    "plain_data",
    "preview",
    "quoted",
    "quoted_line",
    "resolve_path",
    "short_form",
    "shown",
    "tag_of",
]
