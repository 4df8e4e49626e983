"""The audit of an objective of this library: its kinks are known exactly, and so is its gradient.

Five gradients are held side by side in float64: the one written by hand, `jax.grad`, forward mode,
the numerical one, and the closed form in NumPy, which is the referee
(`jaxlin.gradients.closed_form`). At a tie the referee is the set of all subgradients. What was
given in a narrower dtype is then judged in that dtype against the float64 gradient at the same
parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.checks import as_features, as_key, as_sample_weight, check_count
from jaxlin.data.order import key_words
from jaxlin.errors import InputError
from jaxlin.gradients.closed_form import HostProblem, has_closed_form, joined
from jaxlin.gradients.comparison import leaves_like, leaves_of
from jaxlin.gradients.evaluation import widened
from jaxlin.gradients.explanations import Explanation, explain_shapes
from jaxlin.gradients.extrapolation import extrapolate
from jaxlin.gradients.function_check import check_function
from jaxlin.gradients.objective_audit import AUTODIFF, BY_HAND, Audit, Seen, Witness
from jaxlin.gradients.objective_programs import Evaluated, evaluated, witnessed
from jaxlin.gradients.objective_report import report_on
from jaxlin.gradients.report import GradientReport
from jaxlin.linear import LinearParams
from jaxlin.objective import Objective
from jaxlin.precision import class_indices, float64_scope

# What the numerical derivatives may cost, in multiplications; but so many coordinates are looked at
# whatever they cost.
_MOST_WORK, _FEWEST = 2e10, 8
_EVALUATIONS = 20


def knows_kinks_of(objective: Objective) -> bool:
    """Whether the kinks and the gradient of an objective are known in closed form."""
    return has_closed_form(objective.loss)


def check_objective(
    objective: Objective,
    params: LinearParams,
    x: Any,
    labels: Any,
    sample_weight: Any = None,
    *,
    by_hand: Callable[..., Any] | None = None,
    coordinates: int | None = None,
    key: Any = None,
) -> GradientReport:
    """Whether the gradients of an objective are right, with its kinks known exactly.

    The gradient by hand and `jax.grad` are held against the closed form, in float64 and, where the
    parameters are narrower, in their dtype. At a tie, where `max(0, z)` has z = 0 or two classes
    share a maximum, any subgradient is right: `G` with `<G, V> <= f'(p; V)` for every direction
    V. The verdict is then `"kink"`, and the explanation says how the tie was counted.

    Errors in the narrower dtype are in units of its eps times the largest mean absolute
    contribution of an example to a coordinate, `max_cd sum_i w_i |dS_ic| |x_id|`. Margins whose
    sign differs between the two dtypes count as ties.

    Args:
      objective: with a loss of `jaxlin.losses`; with any other loss this is `check`.
      params: W (C, D) and b (C,) or None, JAX or NumPy arrays of any floating dtype.
      x: features (N, D); beside float32 or narrower parameters, float64 is rounded to float32.
      labels: integers 0..C-1, (N,).
      sample_weight: (N,) or None.
      by_hand: `by_hand(params, x, labels)`, and the weights where they are given, returns a pytree
        like `params`; it is called as it is, with NumPy arrays where NumPy arrays came. None is
        `objective.gradient_by_hand`.
      coordinates: of how many coordinates to take the numerical derivative; None is all of them
        where that is quickly done. Those where the gradients differ most are among them.
      key: a `jax.random` key or a seed, for the choice of the others; None is 0.

    Returns:
      A `GradientReport`; false where the verdict is `"disagrees"`.

    Raises:
      InputError: arguments of the wrong shape or dtype.

    >>> from jaxlin import losses
    >>> objective = Objective(losses.weston_watkins_hinge, l2=0.1)
    >>> params = LinearParams(np.array([[1.0], [0.0]]), np.array([0.5, 0.0]))
    >>> report = check_objective(objective, params, np.array([[-0.5], [2.0]]), np.array([0, 0]))
    >>> report.verdict
    'agrees'
    >>> report = check_objective(objective, params, np.array([[0.5], [2.0]]), np.array([0, 0]))
    >>> report.verdict, report.kinks[0].place
    ('kink', 'example 0, class 1')
    """
    if not knows_kinks_of(objective):
        has_hand = hasattr(objective.loss, "score_gradient")
        by_hand = by_hand or (objective.gradient_by_hand if has_hand else None)
        args = (x, labels) if sample_weight is None else (x, labels, sample_weight)
        return check_function(
            objective, params, *args, by_hand=by_hand, coordinates=coordinates, key=key
        )
    if coordinates is not None:
        check_count("coordinates", coordinates)
    inputs = _Inputs(objective, params, x, labels, sample_weight, by_hand)
    rng = np.random.default_rng(key_words(as_key(key)))
    # Where a sum overflows the verdict says so; NumPy's warnings would say it once more.
    with np.errstate(over="ignore", invalid="ignore"):
        wide = inputs.run(np.dtype(np.float64))
        problem = inputs.problem(wide)
        seen, misshapen = inputs.seen(wide, np.dtype(np.float64))
        narrow = None
        if inputs.dtype != np.float64:
            narrow, shapes = inputs.seen(inputs.run(inputs.dtype), inputs.dtype)
            misshapen = misshapen or shapes
        audit = Audit(problem, seen, narrow)
        if coordinates is None:
            work = _EVALUATIONS * problem.x.size * problem.shape[1]
            coordinates = max(_FEWEST, int(_MOST_WORK / max(work, 1)))
        witness = inputs.witness(audit.suspects(coordinates, rng))
        return report_on(audit, inputs.leaves, witness, l2=inputs.l2, misshapen=misshapen)


class _Inputs:
    """What came, checked, and as the programs take it."""

    def __init__(
        self,
        objective: Objective,
        params: LinearParams,
        x: Any,
        labels: Any,
        sample_weight: Any,
        by_hand: Callable[..., Any] | None,
    ) -> None:
        self.objective, self.by_hand = objective, by_hand
        self.given = (params, x, labels, sample_weight)
        self.dtype = _dtype_of(params)
        self.leaves = leaves_of(params)
        if not all(np.isfinite(array).all() for array in self.leaves.arrays):
            raise InputError("params must be finite.")
        num_classes, num_features = self.leaves.arrays[0].shape
        is_wide = self.dtype == np.float64
        compute = np.float64 if is_wide else np.float32
        self.x = as_features(x, compute, name="x", num_features=num_features)
        self.labels = class_indices(labels, num_classes)
        if self.labels.shape != self.x.shape[:1]:
            raise InputError(
                f"labels must have one entry for each of the {self.x.shape[0]} rows of x, got "
                f"shape {self.labels.shape}."
            )
        self.weight = None
        if sample_weight is not None:
            weight = as_sample_weight(sample_weight, self.x.shape[0])
            self.weight = weight / weight.max()

    @property
    def l2(self) -> float:
        """Lambda."""
        return float(np.asarray(self.objective.l2))

    def arguments(self, dtype: np.dtype) -> tuple[Any, ...]:
        """What a program in some dtype takes, to be called inside of a scope for it."""
        params = self.given[0]
        if dtype == np.float64:
            params = jax.tree.map(lambda leaf: jnp.asarray(_as_float64(leaf)), params)
        else:
            params = jax.tree.map(jnp.asarray, params)
        compute = np.float64 if dtype == np.float64 else np.float32
        weight = None if self.weight is None else jnp.asarray(self.weight.astype(compute))
        return self.objective, params, self.x, self.labels, weight

    def run(self, dtype: np.dtype) -> Evaluated:
        """The objective and its gradients in some dtype, on the host."""
        with float64_scope(dtype == np.float64):
            return jax.device_get(evaluated(*self.arguments(dtype)))

    def problem(self, wide: Evaluated) -> HostProblem:
        """The objective for the closed form."""
        count = self.x.shape[0]
        weight = np.ones(count) if self.weight is None else self.weight.astype(np.float64)
        W = self.leaves.arrays[0]
        penalty = 2.0 * self.l2 * W + (0.0 if wide.penalty is None else wide.penalty)
        has_bias = len(self.leaves.arrays) > 1
        return HostProblem(
            loss=self.objective.loss,
            weights=joined(*self.leaves.arrays),
            x=np.asarray(self.x),
            labels=np.asarray(self.labels),
            shares=weight / weight.sum(),
            penalty=joined(penalty, np.zeros(len(W)) if has_bias else None),
            has_bias=has_bias,
            has_own_penalty=wide.penalty is not None,
        )

    def seen(self, found: Evaluated, dtype: np.dtype) -> tuple[Seen, Explanation | None]:
        """What a program, and the user's own gradient, made of it; and a mistake in its shapes."""
        autodiff = leaves_of(found.autodiff)
        by_hand = found.by_hand if self.by_hand is None else self._call_by_hand(dtype)
        hand = leaves_like(by_hand, self.leaves, "by_hand")
        misshapen = explain_shapes(hand, self.leaves, "The gradient by hand")
        gradients = {BY_HAND: hand, AUTODIFF: autodiff}
        if misshapen is not None:
            del gradients[BY_HAND]
        limits = jnp.finfo(dtype)
        eps_of = {BY_HAND: _eps_of(by_hand, dtype), AUTODIFF: float(limits.eps)}
        # A half-width objective is computed in float32, and rounded at the end.
        score_gradient = np.asarray(found.score_gradient).astype(np.float64)
        seen = Seen(
            dtype=jnp.dtype(dtype).name,
            eps=float(limits.eps),
            tiny=float(limits.tiny),
            value=float(found.value),
            gradients=gradients,
            eps_of=eps_of,
            score_gradient=score_gradient,
        )
        return seen, misshapen

    def _call_by_hand(self, dtype: np.dtype) -> Any:
        assert self.by_hand is not None
        params, x, labels, weight = self.given
        with float64_scope(dtype == np.float64):
            if dtype == np.float64:
                params, x, weight = widened((params, x, weight))
            rest = () if weight is None else (weight,)
            return jax.device_get(self.by_hand(params, x, labels, *rest))

    def _largest_steps(self) -> np.ndarray:
        """By coordinate, steps that move no score by more than 1 (P,).

        Further out a loss is nearly linear again, with another slope: difference quotients at
        several such steps agree with one another, and are wrong.
        """
        ends = np.stack([np.asarray(self.x).max(axis=0), np.asarray(self.x).min(axis=0)])
        largest = np.abs(ends.astype(np.float64)).max(axis=0)
        of_W = 1.0 / np.where(largest > 0.0, largest, 1.0)
        steps = [np.broadcast_to(of_W, self.leaves.arrays[0].shape).ravel()]
        steps.extend(np.ones(b.size) for b in self.leaves.arrays[1:])
        return np.concatenate(steps)

    def witness(self, coordinates: np.ndarray) -> Witness:
        """The numerical derivatives and forward mode along some coordinates."""
        with float64_scope(True):
            which = jnp.asarray(coordinates.astype(np.int32))
            steps = jnp.asarray(self._largest_steps()[coordinates])
            found = jax.device_get(witnessed(*self.arguments(np.dtype(np.float64)), which, steps))
        with np.errstate(all="ignore"):  # what is not finite does not count
            noise = found.sides.noise(float(np.finfo(np.float64).eps))
            quotients, steps = found.sides.central
            limit = extrapolate(quotients, steps, noise, is_central=True)
        return Witness(coordinates, found.forward, limit.value, limit.error, limit.step)


def _as_float64(leaf: Any) -> np.ndarray:
    return np.asarray(leaf).astype(np.float64)


def _dtype_of(params: LinearParams) -> np.dtype:
    """The widest dtype of W and b."""
    if not isinstance(params, LinearParams):
        raise InputError(f"params must be LinearParams, got {type(params).__name__}.")
    dtypes = [np.asarray(leaf).dtype for leaf in jax.tree.leaves(params)]
    if not all(jnp.issubdtype(dtype, jnp.floating) for dtype in dtypes):
        raise InputError(f"params must be floating-point, got {', '.join(map(str, dtypes))}.")
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(params)]
    if len(shapes[0]) != 2 or (len(shapes) > 1 and shapes[1] != shapes[0][:1]):
        raise InputError(f"params must have W (C, D) and b (C,) or None, got {shapes}.")
    return max(dtypes, key=lambda dtype: (dtype.itemsize, str(dtype)))


def _eps_of(gradient: Any, dtype: np.dtype) -> float:
    """The eps of a gradient's narrowest leaf, no less than that of `dtype`."""
    dtypes = [np.asarray(leaf).dtype for leaf in jax.tree.leaves(gradient)]
    floating = [d for d in dtypes if jnp.issubdtype(d, jnp.floating)]
    return max(float(jnp.finfo(d).eps) for d in [*floating, dtype])
