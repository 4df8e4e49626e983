"""A trained classifier on its own: its numbers, and what its scores mean."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import checks
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams, scores
from jaxlin.model_file import fields
from jaxlin.model_file.fields import Label, label_array
from jaxlin.model_file.reach import Reach, too_large
from jaxlin.model_file.steps import unit_rows
from jaxlin.precision import float64_scope
from jaxlin.row_blocks import BLOCK_ROWS

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.svm import LinearSVC


def _versions() -> dict[str, str]:
    own = getattr(sys.modules["jaxlin"], "__version__", "unknown")
    return {"jaxlin": own, "jax": jax.__version__, "numpy": np.__version__}


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A trained classifier for raw features, and what its scores mean.

    Attributes:
      params: W (C, D) and b (C,) or None, float32 or float64, finite.
      classes: the label of each row of W; all text, all int, all float or all bool.
      loss: the name of the loss it was trained with, as in `jaxlin.losses`; a user's own loss goes
        by its `__name__`.
      margin: of a hinge loss, else None.
      l2: lambda of the training; None where it is not known.
      scaling: what the features went through in training, in words. It is in `params` already.
      image_shape: (H, W) or (H, W, 3) where a row of features is an image, else None.
      feature_names: D names, or None.
      versions: of the packages that it was trained with.
      normalize_rows: whether each row of features is divided by its l2 norm before W and b, in the
        dtype of these; a row of zeros stays zeros. In training a scaling came after it.

    Raises:
      InputError: one of these does not fit the others.

    >>> params = LinearParams(jnp.array([[1.0, 0.0], [0.0, 1.0]]), jnp.array([0.0, -0.5]))
    >>> model = Model(params, classes=("cat", "dog"), loss="softmax_cross_entropy")
    >>> model.predict([[0.2, 0.9], [3.0, 1.0]]).tolist()
    ['dog', 'cat']
    >>> unit = dataclasses.replace(model, normalize_rows=True)
    >>> unit.scores([[30.0, 40.0]]).round(3).tolist()
    [[0.6000000238418579, 0.30000001192092896]]
    """

    params: LinearParams
    classes: tuple[Label, ...]
    loss: str
    margin: float | None = None
    l2: float | None = 0.0
    scaling: str = "none"
    image_shape: tuple[int, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    versions: dict[str, str] = dataclasses.field(default_factory=_versions)
    normalize_rows: bool = False

    def __post_init__(self) -> None:
        fields.check_params(self.params)
        num_classes, num_features = np.shape(self.params.W)
        object.__setattr__(self, "classes", fields.as_classes(self.classes, num_classes))
        for name in ("loss", "scaling"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} must be text, got {getattr(self, name)!r}.")
        if self.margin is not None:
            object.__setattr__(self, "margin", checks.check_positive("margin", self.margin))
        object.__setattr__(self, "l2", fields.as_l2(self.l2))
        if self.image_shape is not None:
            shape = fields.as_image_shape(self.image_shape, num_features)
            object.__setattr__(self, "image_shape", shape)
        if self.feature_names is not None:
            names = fields.as_feature_names(self.feature_names, num_features)
            object.__setattr__(self, "feature_names", names)
        fields.check_texts(self.versions)
        if not isinstance(self.normalize_rows, bool):
            raise InputError(f"normalize_rows must be True or False, got {self.normalize_rows!r}.")

    def scores(self, x: Any) -> np.ndarray:
        """The scores of some rows.

        Args:
          x: raw features (N, D), of any real dtype.

        Returns:
          Scores (N, C), in the dtype of the parameters.

        Raises:
          InputError: x is not what it has to be, has another number of features, or is so large
            that products of W and x are out of range.
        """
        return self._by_blocks(x, _block_scores)

    def predict(self, x: Any) -> np.ndarray:
        """The class of each row: the one with the highest score, the first among equals.

        Args:
          x: raw features (N, D), of any real dtype.

        Returns:
          Labels (N,), as in `classes`.

        Raises:
          InputError: x is not what it has to be, has another number of features, or is so large
            that products of W and x are out of range.
        """
        return label_array(self.classes)[self._by_blocks(x, _block_classes)]

    @classmethod
    def from_sklearn(cls, estimator: Any) -> Model:
        """The model that a fitted linear classifier is, scikit-learn's or of `jaxlin.sklearn`.

        Two classes, of which scikit-learn keeps one row w, become the rows -w/2 and w/2: their
        scores differ by its decision. Scalers before the classifier are folded into W and b. The
        dtype is that of its coefficients; lambda is known of few, and None of the others.

        Args:
          estimator: `LogisticRegression`, `LinearSVC`, `SGDClassifier` or `RidgeClassifier` (or
            one of these with `CV`), `LinearClassifier`, `LinearClassifierCV` or
            `MinibatchClassifier` (whose calibration stays behind), or a `Pipeline` of `Normalizer`,
            then `StandardScaler`, `MaxAbsScaler` or `MinMaxScaler`, then one of these.

        Returns:
          A `Model` with the same decisions. Of three classes or more, all of scikit-learn's but
          `LogisticRegression` and `LinearSVC(multi_class="crammer_singer")` are one classifier a
          class against the rest: their scores are no softmax, and `loss` says so.

        Raises:
          InputError: another estimator, one that is not fitted, or one that is not linear in the
            features.

        >>> from sklearn.linear_model import RidgeClassifier
        >>> ridge = RidgeClassifier().fit([[0.0, 1.0], [1.0, 0.0]], ["cat", "dog"])
        >>> Model.from_sklearn(ridge).predict([[0.1, 0.8]]).tolist()
        ['cat']
        """
        from jaxlin.model_file.from_sklearn import fields_of

        return cls(**fields_of(estimator))

    def to_sklearn(self) -> LogisticRegression | LinearSVC | Pipeline:
        """The same classifier as a fitted estimator of scikit-learn.

        Returns:
          `LogisticRegression` for softmax, `LinearSVC` for any other loss (it has no
          probabilities); where `normalize_rows` is set, in a `Pipeline` after a `Normalizer`. Its
          `classes_` are sorted, as scikit-learn's are, and the columns of its scores with them. Its
          settings are the defaults, not those of the training.

        Raises:
          InputError: there is one class only.

        >>> params = LinearParams(jnp.array([[1.0, 0.0], [0.0, 1.0]]))
        >>> model = Model(params, classes=("dog", "cat"), loss="weston_watkins_hinge", margin=1.0)
        >>> model.to_sklearn().predict([[0.2, 0.9], [3.0, 1.0]]).tolist()
        ['cat', 'dog']
        """
        from jaxlin.model_file.to_sklearn import fitted_estimator

        return fitted_estimator(self)

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Writes an ONNX file, in place of what was at `path`.

        Its input `x` (N, D) has the dtype of the parameters, its output `scores` is (N, C), and a
        softmax model has `probabilities` (N, C) too. The fields of the model, `classes` among them,
        are its metadata, each as JSON. It is of operator set 13, which runtimes have read since the
        end of 2020.

        Args:
          path: where; by custom `*.onnx`.

        Raises:
          ImportError: the package onnx is missing: `pip install 'jaxlin[onnx]'`.
          InputError: the model is larger than an ONNX file can be (2 GB).
          OSError: the file cannot be written.

        >>> import onnx, tempfile
        >>> model = Model(LinearParams(jnp.eye(2)), ("cat", "dog"), "softmax_cross_entropy")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.to_onnx(f"{folder}/pets.onnx")
        ...     [node.op_type for node in onnx.load(f"{folder}/pets.onnx").graph.node]
        ['Gemm', 'Softmax']
        """
        from jaxlin.model_file.to_onnx import write_onnx

        write_onnx(self, path)

    def to_numpy(self, path: str | os.PathLike[str]) -> None:
        """Writes a NumPy archive, in place of what was at `path`; nothing in it is pickled.

        It has `W` (C, D), `b` (C,) (zeros where there is none), `classes` (C,), `loss`,
        `normalize_rows` and, where they are known, `feature_names` (D,).

        Args:
          path: where; by custom `*.npz`.

        Raises:
          InputError: a name that a NumPy array cannot hold as text.
          OSError: the file cannot be written.

        >>> import tempfile
        >>> model = Model(LinearParams(jnp.eye(2)), ("cat", "dog"), "softmax_cross_entropy")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.to_numpy(f"{folder}/pets.npz")
        ...     with np.load(f"{folder}/pets.npz", allow_pickle=False) as file:
        ...         file["classes"][np.argmax([[0.2, 0.9]] @ file["W"].T + file["b"], axis=1)]
        array(['dog'], dtype='<U3')
        """
        from jaxlin.model_file.to_numpy import write_archive

        write_archive(self, path)

    @functools.cached_property
    def _reach(self) -> Reach:
        return Reach.of(self.params)

    def _check_range(self, features: jax.Array, start: int) -> None:
        """Refuses rows of the block at `start` whose scores can go out of range."""
        rows = features[start : start + BLOCK_ROWS]
        with float64_scope(True):
            if self.normalize_rows:
                rows = unit_rows(rows.astype(self.params.W.dtype))
            is_wrong = too_large(self.params, rows, self._reach.limit)
        if is_wrong.any():
            raise InputError(
                f"X is too large in row {start + int(np.argmax(is_wrong))}: products of W and X "
                f"are beyond {self.params.W.dtype}, and so may its scores be."
            )

    def _by_blocks(self, x: Any, function: Any) -> np.ndarray:
        """`function` over the rows, a block of them at a time, so that images stay bytes."""
        dtype = np.dtype(self.params.W.dtype)
        with float64_scope(dtype == np.float64):
            features = checks.as_features(x, dtype, num_features=self.params.num_features)
            num_rows = len(features)
            result: list[np.ndarray] = []
            for start in range(0, num_rows, BLOCK_ROWS):
                # The last block is moved back to end with the data: one shape, compiled once.
                moved = np.int32(max(0, min(start, num_rows - BLOCK_ROWS)))
                block, largest = function(self.params, features, moved, self.normalize_rows)
                if not self._reach.is_within(float(largest)):
                    self._check_range(features, start)
                result.append(np.asarray(block)[start - int(moved) :])
            return np.concatenate(result)


@functools.partial(jax.jit, static_argnums=3)
def _block_scores(
    params: LinearParams, features: jax.Array, start: jax.Array, normalize_rows: bool
) -> tuple[jax.Array, jax.Array]:
    """The scores of a block of rows, and the largest |feature| that W is multiplied with."""
    size = min(len(features), BLOCK_ROWS)
    rows = jax.lax.dynamic_slice_in_dim(features, start, size).astype(params.W.dtype)
    rows = unit_rows(rows) if normalize_rows else rows
    return scores(params, rows), jnp.max(jnp.abs(rows))


@functools.partial(jax.jit, static_argnums=3)
def _block_classes(
    params: LinearParams, features: jax.Array, start: jax.Array, normalize_rows: bool
) -> tuple[jax.Array, jax.Array]:
    """Their classes, and the largest |feature|."""
    values, largest = _block_scores(params, features, start, normalize_rows)
    return jnp.argmax(values, axis=-1), largest
