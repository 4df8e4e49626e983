"""Data: files to arrays, labels to class indices, examples set apart, features to one scale.

Features stay in the dtype they come in (images stay bytes); what scaling they need happens inside
the compiled program, batch by batch, and is folded into W and b afterwards.
"""

from jaxlin.data.dataset import Dataset, Split
from jaxlin.data.labels import encode_labels
from jaxlin.data.loading import load
from jaxlin.data.raw import RawData
from jaxlin.data.reading import read
from jaxlin.data.scaling import Scaling
from jaxlin.data.splitting import split_rows

__all__ = [
    "Dataset",
    "RawData",
    "Scaling",
    "Split",
    "encode_labels",
    "load",
    "read",
    "split_rows",
]
