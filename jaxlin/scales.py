"""Other libraries' regularisation, translated: C, alpha, weight decay and lambda_1, and our l2.

All of them weigh the same two things, losses against the squares of the weights, and each writes it
in its own way. Here, as in the lecture, the objective is `mean loss + l2 * sum W^2`: a mean, no
factor 1/2, a row of W a class, and the bias free. Most others halve the square, and keep a single
row `w = W_1 - W_0` of two classes. At the optimum the rows of W sum to 0, so that
`||W||^2 = ||w||^2 / 2`. What they minimise is then, up to a factor,

    mean loss + r / 2 * ||rows||^2,    r = 2 l2, and of two classes with a single row r = l2.

* `C`, of `LogisticRegression`, `LinearSVC` and LIBLINEAR: the sum of the losses is multiplied with
  it, so that `C = 1 / (r N)`. With sample weights N is their sum. Crammer and Singer's SVM keeps a
  row a class of two classes as well.
* `alpha`, of `SGDClassifier` with two classes: r; with sample weights r times their mean.
* `weight_decay`, of PyTorch's optimisers and `optax.add_decayed_weights`: r, on W alone.
* `lambda_1`, of Cyanure: r; its squared hinge carries a 1/2 too, and there it is r / 2.

A translation is exact where both have the same optimum. Where the arguments show that they have
not, it is an error, which says what differs. What they do not show: `LinearSVC` and LIBLINEAR
penalise the intercept (`fit_intercept=False` is the same), as `LogisticRegression` does with
`solver="liblinear"`; AdamW's decay is decoupled from the gradient and has no l2.
"""

from __future__ import annotations

import math
from typing import Any

from jaxlin.checks import check_count, check_not_negative, check_positive
from jaxlin.errors import InputError
from jaxlin.losses import (
    CrammerSingerHinge,
    Loss,
    SquaredWestonWatkinsHinge,
    WestonWatkinsHinge,
)

_HINGES = (WestonWatkinsHinge, SquaredWestonWatkinsHinge, CrammerSingerHinge)
_SUMS_OVER_CLASSES = (WestonWatkinsHinge, SquaredWestonWatkinsHinge)


def l2_of_C(C: Any, *, loss: Loss | None = None, num_examples: Any, num_classes: int) -> float:
    """The l2 with the optimum that `LogisticRegression`, `LinearSVC` or LIBLINEAR has with C.

    `l2 = 1 / (2 C N)`, and of two classes `1 / (C N)`: except that `crammer_singer_hinge` is
    `LinearSVC(multi_class="crammer_singer")`, which keeps two rows of two classes as well. That of
    two classes with a single row, `LinearSVC(loss="hinge")`, is `weston_watkins_hinge`.

    Args:
      C: positive.
      loss: what is to be minimised, so that a C that has no such optimum is an error; None, and a
        function of one's own, for the scale alone.
      num_examples: N, those trained on; with sample weights, their sum.
      num_classes: how many classes these have.

    Raises:
      InputError: C is no positive finite number, or its l2 none; or no C has this loss's optimum: a
        sum over three classes or more, which these libraries lack, or a margin other than 1.

    >>> from jaxlin import losses
    >>> l2_of_C(1.0, loss=losses.softmax_cross_entropy, num_examples=50, num_classes=10)
    0.01
    >>> l2_of_C(1.0, loss=losses.softmax_cross_entropy, num_examples=50, num_classes=2)
    0.02
    """
    if isinstance(C, float) and math.isinf(C) and C > 0.0:
        raise InputError("C must be a positive, finite number, got inf. Without penalty l2 is 0.")
    C = check_positive("C", C)
    N = check_positive("num_examples", num_examples)
    rows = _rows_with_C(loss, num_classes)
    l2 = _in_range("l2", 1.0 / N / C / rows, f"C = {C:g} with num_examples = {N:g}")
    _check_C_is_shared(loss, num_classes, f"l2 = {l2:.6g}")
    return l2


def C_of_l2(l2: Any, *, loss: Loss | None = None, num_examples: Any, num_classes: int) -> float:
    """The C with which `LogisticRegression`, `LinearSVC` or LIBLINEAR has the optimum of l2.

    Args:
      l2: positive.
      loss: as for `l2_of_C`.
      num_examples: as for `l2_of_C`.
      num_classes: as for `l2_of_C`.

    Raises:
      InputError: as for `l2_of_C`.

    >>> from jaxlin import losses
    >>> C_of_l2(0.01, loss=losses.crammer_singer_hinge, num_examples=50, num_classes=3)
    1.0
    """
    if isinstance(l2, float | int) and l2 == 0.0:
        raise InputError("l2 = 0 has no C: scikit-learn takes C=np.inf where there is no penalty.")
    r = check_positive("l2", l2) * _rows_with_C(loss, num_classes)
    N = check_positive("num_examples", num_examples)
    C = _in_range("C", 1.0 / N / r, f"l2 = {l2:g} with num_examples = {N:g}")
    _check_C_is_shared(loss, num_classes, f"C = {C:.6g}")
    return C


def l2_of_alpha(
    alpha: Any, *, loss: Loss | None = None, num_classes: int, mean_weight: Any = 1.0
) -> float:
    """The l2 with the optimum that `SGDClassifier` has with alpha, of two classes: alpha itself.

    Its losses are `log_loss` for softmax, `hinge`, and `squared_hinge`. More classes it fits one
    against the rest, whose optimum no l2 has.

    Args:
      alpha: not negative.
      loss: as for `l2_of_C`.
      num_classes: 2.
      mean_weight: the mean of the sample weights, by whose sum it does not divide.

    Raises:
      InputError: alpha is negative or not finite, or its l2 is; more than two classes; or a margin
        other than 1.

    >>> l2_of_alpha(1e-4, num_classes=2)
    0.0001
    """
    alpha, mean = check_not_negative("alpha", alpha), check_positive("mean_weight", mean_weight)
    _check_alpha_is_shared(loss, num_classes, f"l2 = {alpha / mean / 2.0:.6g}")
    return _in_range("l2", alpha / mean, f"alpha = {alpha:g}", alpha)


def alpha_of_l2(
    l2: Any, *, loss: Loss | None = None, num_classes: int, mean_weight: Any = 1.0
) -> float:
    """The alpha with which `SGDClassifier` has the optimum of l2, of two classes: l2 itself.

    Args:
      l2: not negative.
      loss: as for `l2_of_C`.
      num_classes: 2.
      mean_weight: as for `l2_of_alpha`.

    Raises:
      InputError: as for `l2_of_alpha`.

    >>> alpha_of_l2(1e-4, num_classes=2, mean_weight=2.0)
    0.0002
    """
    l2, mean = check_not_negative("l2", l2), check_positive("mean_weight", mean_weight)
    _check_alpha_is_shared(loss, num_classes, f"alpha = {2.0 * l2 * mean:.6g}")
    return _in_range("alpha", l2 * mean, f"l2 = {l2:g}", l2)


def l2_of_weight_decay(weight_decay: Any, *, one_row: bool = False) -> float:
    """The l2 whose gradient a weight decay adds: a half of it.

    That of `torch.optim.SGD(..., weight_decay=)` and `optax.add_decayed_weights` before the
    optimiser, on W and not on b, beside the mean loss of a batch. AdamW's, decoupled, has no l2.

    Args:
      weight_decay: not negative.
      one_row: whether two classes share a single row, as in `Linear(D, 1)` with
        `BCEWithLogitsLoss`: there l2 is the weight decay itself.

    Raises:
      InputError: a weight decay that is negative or not finite, or an l2 that is out of range.

    >>> l2_of_weight_decay(2e-4)
    0.0001
    """
    decay = check_not_negative("weight_decay", weight_decay)
    return _in_range("l2", decay / _decayed_rows(one_row), f"weight_decay = {decay:g}", decay)


def weight_decay_of_l2(l2: Any, *, one_row: bool = False) -> float:
    """The weight decay that adds the gradient of l2: twice as much.

    Args:
      l2: not negative.
      one_row: as for `l2_of_weight_decay`.

    Raises:
      InputError: as for `l2_of_weight_decay`.

    >>> import optax
    >>> decay = optax.add_decayed_weights(weight_decay_of_l2(1e-4))
    >>> sgd = optax.chain(decay, optax.sgd(0.1))
    """
    l2 = check_not_negative("l2", l2)
    return _in_range("weight_decay", l2 * _decayed_rows(one_row), f"l2 = {l2:g}", l2)


def l2_of_cyanure(lambda_1: Any, *, loss: Loss | None = None, num_classes: int) -> float:
    """The l2 with the optimum that Cyanure has with `lambda_1` and `penalty="l2"`.

    A half of it for softmax, and of two classes all of it; for the squared hinge of two classes,
    which is halved there, twice as much.

    Args:
      lambda_1: not negative.
      loss: softmax, or of two classes the squared hinge; None, and a function of one's own, for
        the scale of a loss that is not halved.
      num_classes: C.

    Raises:
      InputError: `lambda_1` is negative or not finite, or its l2 is; or a loss that Cyanure lacks.

    >>> l2_of_cyanure(0.02, num_classes=10), l2_of_cyanure(0.02, num_classes=2)
    (0.01, 0.02)
    """
    number = check_not_negative("lambda_1", lambda_1)
    factor = _rows(num_classes) * _cyanure_loss(loss, num_classes)
    return _in_range("l2", number / factor, f"lambda_1 = {number:g}", number)


def cyanure_of_l2(l2: Any, *, loss: Loss | None = None, num_classes: int) -> float:
    """The `lambda_1` with which Cyanure has the optimum of l2.

    Args:
      l2: not negative.
      loss: as for `l2_of_cyanure`.
      num_classes: C.

    Raises:
      InputError: as for `l2_of_cyanure`.

    >>> cyanure_of_l2(0.01, num_classes=10)
    0.02
    """
    l2 = check_not_negative("l2", l2)
    factor = _rows(num_classes) * _cyanure_loss(loss, num_classes)
    return _in_range("lambda_1", l2 * factor, f"l2 = {l2:g}", l2)


def _rows(num_classes: Any) -> float:
    """What r is over l2, where two classes share a single row."""
    return 1.0 if check_count("num_classes", num_classes, least=2) == 2 else 2.0


def _rows_with_C(loss: Any, num_classes: Any) -> float:
    """What r is over l2 in the libraries that have a C."""
    rows = _rows(num_classes)
    return 2.0 if isinstance(loss, CrammerSingerHinge) else rows


def _decayed_rows(one_row: Any) -> float:
    """What r is over l2, where it is told whether two classes share a single row."""
    if not isinstance(one_row, bool):
        raise InputError(f"one_row must be True or False, got {one_row!r}.")
    return 1.0 if one_row else 2.0


def _in_range(name: str, value: float, given: str, source: float = 1.0) -> float:
    """The value, which may be 0 where its source is."""
    if not math.isfinite(value) or (value == 0.0 and source != 0.0):
        raise InputError(f"{given} would be {name} = {value:g}: it is out of float64's range.")
    return value


def _check_loss(loss: Any) -> None:
    """Raises `InputError` for what is no loss, and for a margin that nobody else has."""
    if loss is not None and not callable(loss):
        raise InputError(f"loss must be a loss of jaxlin.losses or None, got {loss!r}.")
    if isinstance(loss, _HINGES) and loss.margin != 1.0:
        same = "l2" if isinstance(loss, SquaredWestonWatkinsHinge) else "l2 times its margin"
        raise InputError(
            f"loss has margin {loss.margin:g}, and other libraries' hinges have 1. Translate for "
            f"margin 1 and {same}: that optimum times the margin is this one's."
        )


def _check_C_is_shared(loss: Any, num_classes: int, instead: str) -> None:
    _check_loss(loss)
    if isinstance(loss, _SUMS_OVER_CLASSES) and num_classes > 2:
        raise InputError(
            f"no C has the optimum of {type(loss).__name__} with {num_classes} classes: of three "
            "or more, scikit-learn's and LIBLINEAR's SVMs are one against the rest, or Crammer and "
            f"Singer's. Take crammer_singer_hinge, or {instead}, which weighs the penalty alike."
        )


def _check_alpha_is_shared(loss: Any, num_classes: int, instead: str) -> None:
    _check_loss(loss)
    if _rows(num_classes) != 1.0:
        raise InputError(
            f"alpha is SGDClassifier's, which fits {num_classes} classes one against the rest: "
            f"that optimum is another one, whatever l2 is. Take C, or {instead}, which weighs the "
            "penalty alike."
        )


def _cyanure_loss(loss: Any, num_classes: int) -> float:
    """Its loss over ours."""
    _check_loss(loss)
    if isinstance(loss, SquaredWestonWatkinsHinge) and num_classes == 2:
        return 0.5
    if isinstance(loss, _HINGES):
        raise InputError(
            f"Cyanure has no {type(loss).__name__} of {num_classes} classes: softmax_cross_entropy "
            "and, of two classes, the squared hinge are what it has in common with jaxlin."
        )
    return 1.0
