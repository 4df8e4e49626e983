"""Data: files to arrays, labels to class indices, examples set apart, features to one scale.

Features stay in the dtype they come in (images stay bytes); what scaling they need happens inside
the compiled program, batch by batch, and is folded into W and b afterwards. Large features of
`.npy` and safetensors files stay on the disk (`FileRows`) until they are trained on.
"""

from typing import TYPE_CHECKING

from jaxlin.file_rows import FileRows
from jaxlin.later import attributes_from

if TYPE_CHECKING:
    from jaxlin.data.dataset import Dataset, Split
    from jaxlin.data.duplicates import Duplicates, duplicate_rows
    from jaxlin.data.few_shot import few_shot_rows, scarce_classes
    from jaxlin.data.grouping import group_folds, split_groups
    from jaxlin.data.labels import encode_labels
    from jaxlin.data.loading import load
    from jaxlin.data.raw import RawData
    from jaxlin.data.reading import feature_layers, read
    from jaxlin.data.scaling import Scaling
    from jaxlin.data.splitting import split_rows
    from jaxlin.data.streaming import RowStream, row_blocks, stream

__all__ = [
    "Dataset",
    "Duplicates",
    "FileRows",
    "RawData",
    "RowStream",
    "Scaling",
    "Split",
    "duplicate_rows",
    "encode_labels",
    "feature_layers",
    "few_shot_rows",
    "group_folds",
    "load",
    "read",
    "row_blocks",
    "scarce_classes",
    "split_groups",
    "split_rows",
    "stream",
]

__getattr__ = attributes_from(
    "jaxlin.data",
    {
        "dataset": ("Dataset", "Split"),
        "duplicates": ("Duplicates", "duplicate_rows"),
        "few_shot": ("few_shot_rows", "scarce_classes"),
        "grouping": ("group_folds", "split_groups"),
        "labels": ("encode_labels",),
        "loading": ("load",),
        "raw": ("RawData",),
        "reading": ("feature_layers", "read"),
        "scaling": ("Scaling",),
        "splitting": ("split_rows",),
        "streaming": ("RowStream", "row_blocks", "stream"),
    },
)


def __dir__() -> list[str]:
    """All names, those that nobody has asked for yet as well."""
    return sorted({*globals(), *__all__})
