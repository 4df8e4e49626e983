"""A model as an ONNX graph: one matrix product, and what comes before and after it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlin.errors import InputError
from jaxlin.files import replacing
from jaxlin.model_file.layout import FIELDS, STEPS, as_json

if TYPE_CHECKING:
    from jaxlin.model_file.model import Model

# Softmax along one axis came with this one. The version of the file format is of the same release.
_OPERATOR_SET, _FILE_VERSION = 13, 7
_MAX_BYTES = (1 << 31) - 1  # of a protocol buffer


def write_onnx(model: Model, path: str | os.PathLike[str]) -> None:
    """Writes `[LpNormalization,] Gemm [, Softmax]`, from `x` to `scores` and `probabilities`."""
    content = _as_bytes(model)
    with replacing(path) as file:
        file.write(content)


def _as_bytes(model: Model) -> bytes:
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "ONNX files need the package onnx: pip install 'jaxlin[onnx]'", name="onnx"
        ) from error
    leaves = {"W": model.params.W, "b": model.params.b}
    arrays = {name: np.asarray(leaf) for name, leaf in leaves.items() if leaf is not None}
    names = (*FIELDS, *STEPS)
    metadata = {name: as_json(getattr(model, name)) for name in names}
    size = sum(map(len, metadata.values())) + sum(array.nbytes for array in arrays.values())
    if size > _MAX_BYTES - 10_000:  # room for the graph itself
        raise InputError(
            f"The model takes {size:,} bytes; an ONNX file has room for {_MAX_BYTES:,}."
        )
    proto = onnx.helper.make_model(
        _graph(onnx, model, arrays),
        opset_imports=[onnx.helper.make_opsetid("", _OPERATOR_SET)],
        ir_version=_FILE_VERSION,
        producer_name="jaxlin",
        producer_version=sys.modules["jaxlin"].__version__,
    )
    onnx.helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto)
    return proto.SerializeToString(deterministic=True)


def _graph(onnx: Any, model: Model, arrays: dict[str, np.ndarray]) -> Any:
    helper = onnx.helper
    num_classes, num_features = arrays["W"].shape
    dtype = helper.np_dtype_to_tensor_dtype(arrays["W"].dtype)
    nodes, rows, outputs = [], "x", ["scores"]
    if model.normalize_rows:
        rows = "unit_rows"
        nodes.append(helper.make_node("LpNormalization", ["x"], [rows], axis=1, p=2))
    nodes.append(helper.make_node("Gemm", [rows, *arrays], ["scores"], transB=1))
    if model.loss == "softmax_cross_entropy":
        outputs.append("probabilities")
        nodes.append(helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1))
    return helper.make_graph(
        nodes,
        "linear_classifier",
        [helper.make_tensor_value_info("x", dtype, ["N", num_features])],
        [helper.make_tensor_value_info(name, dtype, ["N", num_classes]) for name in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
