"""Trained models as files: written whole or not at all, and believed only where the bytes agree.

A model file is a safetensors file, which holds numbers and text and nothing that runs: `W` (C, D)
and, where there is a bias, `b` (C,), for raw features: a scaling that the model was trained with is
folded in, and a step that cannot be (rows divided by their norms) is named. Its metadata say what
the scores mean: the classes, the loss, how it was trained. A SHA-256 over the metadata and the
tensors stands among them, so that a damaged file is refused instead of giving slightly different
answers. The same model gives the same bytes.
"""

from jaxlin.model_file.loading import load_model
from jaxlin.model_file.model import Model
from jaxlin.model_file.saving import save_model

__all__ = ["Model", "load_model", "save_model"]
