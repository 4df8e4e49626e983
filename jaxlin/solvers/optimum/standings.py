"""Where many small problems stand at one strength: put together, compared, added up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxlin.certificates.certificate import Certificate
from jaxlin.linear import LinearParams
from jaxlin.solvers.optimum.newton_cg import Found


class Standing(NamedTuple):
    """Models at one l2, NumPy arrays with a leading axis M.

    Attributes:
      params: in the dtype that was asked for.
      certificates: of each; none where none were asked for.
      found: where the solver stands, without the point itself.
    """

    params: LinearParams
    certificates: list[Certificate]
    found: Found


def together_at(parts: Sequence[Standing], count: int) -> Standing:
    """The models of all parts at one l2, as many as there are."""
    params, found = (
        jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *trees)
        for trees in zip(*((part.params, part.found) for part in parts), strict=True)
    )
    proofs = [proof for part in parts for proof in part.certificates]
    return Standing(params, proofs[:count], found)


def is_there(standing: Standing, tol: float) -> bool:
    """Whether all are as near as was asked for, by proof or else by promise."""
    proofs = standing.certificates
    gaps = [proof.relative_gap for proof in proofs] if proofs else standing.found.gap
    return bool(np.all(np.asarray(gaps) <= tol))


def better(one: Standing, other: Standing) -> Standing:
    """Of each model the one with the smaller gap."""
    if one.certificates:
        gaps = [[proof.relative_gap for proof in now.certificates] for now in (one, other)]
    else:
        gaps = [one.found.gap, other.found.gap]
    gaps = np.nan_to_num(np.asarray(gaps, np.float64), nan=np.inf)
    is_better = gaps[1] < gaps[0]

    def chosen(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(is_better.reshape((-1,) + (1,) * (a.ndim - 1)), b, a)

    params = jax.tree.map(chosen, one.params, other.params)
    found = jax.tree.map(chosen, one.found, other.found)
    pairs = zip(one.certificates, other.certificates, strict=True)
    proofs = [b if is_b else a for is_b, (a, b) in zip(is_better, pairs, strict=False)]
    found = found._replace(steps=other.found.steps, products=other.found.products)
    return added(Standing(params, proofs, found), one)


def added(now: Standing, before: Standing) -> Standing:
    """With the steps that were taken before."""
    steps = now.found.steps + before.found.steps
    products = now.found.products + before.found.products
    return now._replace(found=now.found._replace(steps=steps, products=products))
