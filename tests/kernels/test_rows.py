"""The kernels against NumPy in float64, and against XLA's path, which is the default elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxlin
from jaxlin import losses
from jaxlin.data import Scaling
from jaxlin.kernels import building, row_scores, rows
from jaxlin.solvers import SGD

# Features: fewer than a tile, a tile and a rest, several tiles; batches: less than a piece of work,
# a piece and a rest, several.
SHAPES = [
    (40, 16, 1, 5),
    (300, 67, 3, 33),
    (500, 130, 10, 256),
    (200, 100, 7, 1),
    (900, 259, 12, 517),
]
DTYPES = ["float32", "uint8", "int8", "float16", "bfloat16"]

needs_kernels = pytest.mark.skipif(
    building.why_not() is not None,
    reason=f"no kernels on this machine: {building.why_not()}",
)


@pytest.fixture
def always_kernels(monkeypatch):
    """Kernels for small data too."""
    monkeypatch.setattr(rows, "_FEWEST_NUMBERS", 0)
    jax.clear_caches()
    yield
    jax.clear_caches()


def problem(shape, dtype, seed=0):
    num_rows, size, num_classes, batch = shape
    rng = np.random.default_rng(seed)
    x = (
        rng.integers(0, 100, (num_rows, size))
        if dtype in ("uint8", "int8")
        else rng.normal(size=(num_rows, size))
    )
    x = jnp.asarray(x, jnp.dtype(dtype))
    W = jnp.asarray(rng.normal(size=(num_classes, size)), jnp.float32)
    chosen = jnp.asarray(rng.integers(0, num_rows, batch), jnp.int32)
    slopes = jnp.asarray(rng.normal(size=(num_classes, batch)), jnp.float32)
    scaling = Scaling(rng.normal(size=size).astype(np.float32), rng.random(size).astype(np.float32))
    return x, W, chosen, slopes, scaling


def in_float64(x, W, chosen, slopes, scaling):
    """Scores, and the gradient of `sum(slopes * scores)`."""
    batch = np.asarray(x).astype(np.float64)[np.asarray(chosen)]
    if scaling is not None:
        batch = (batch - np.asarray(scaling.shift, np.float64)) * np.asarray(scaling.scale)
    size = np.abs(batch)
    W, slopes = np.asarray(W, np.float64), np.asarray(slopes, np.float64)
    eps = 4 * np.finfo(np.float32).eps * np.sqrt(max(batch.shape))
    return (
        (W @ batch.T, eps * (np.abs(W) @ size.T)),
        (slopes @ batch, eps * (np.abs(slopes) @ size)),
    )


@needs_kernels
@pytest.mark.parametrize("is_scaled", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_scores_and_gradient_are_numpys(always_kernels, dtype, is_scaled):
    for shape in SHAPES:
        x, W, chosen, slopes, scaling = problem(shape, dtype)
        scaling = scaling if is_scaled else None
        wanted, wanted_gradient = in_float64(x, W, chosen, slopes, scaling)

        @jax.jit
        def both(W, x, chosen, slopes, scaling=scaling):
            scores, pull = jax.vjp(lambda W: row_scores(W, x, chosen, scaling, chosen), W)
            return scores, pull(slopes)[0]

        assert "jaxlin_row_scores" in both.lower(W, x, chosen, slopes).as_text()
        scores, gradient = both(W, x, chosen, slopes)
        for found, (value, bound) in ((scores, wanted), (gradient, wanted_gradient)):
            assert found.dtype == jnp.float32
            assert (np.abs(np.asarray(found, np.float64) - value) <= bound).all(), shape


@needs_kernels
def test_an_infinite_feature_gives_an_infinite_score(always_kernels):
    x, W, _, _, _ = problem(SHAPES[1], "float32")
    place = x.shape[1] - 4  # the last vector reaches back so far, whatever the processor
    scores = row_scores(jnp.abs(W), x.at[3, place].set(jnp.inf), jnp.array([3], jnp.int32), None)
    assert np.isposinf(np.asarray(scores)).all()


@needs_kernels
def test_second_derivatives_are_xlas(always_kernels, monkeypatch):
    x, W, chosen, _, scaling = problem(SHAPES[1], "float32")

    def along(W):  # the Hessian in a direction
        gradient = jax.grad(lambda W: jnp.sum(jnp.sin(row_scores(W, x, chosen, scaling))))
        return jax.grad(lambda W: jnp.vdot(gradient(W), jnp.ones_like(W)))(W)

    found = jax.jit(jax.vmap(along))(jnp.stack([W, 2 * W]))
    monkeypatch.setattr(rows, "_FEWEST_NUMBERS", 1 << 40)
    for i in range(2):
        np.testing.assert_allclose(found[i], along((i + 1) * W), rtol=1e-3, atol=1e-2)


@needs_kernels
def test_models_share_a_product(always_kernels):
    x, W, chosen, _, scaling = problem(SHAPES[1], "uint8")
    models = jnp.stack([W, 2 * W, -W, 0 * W])

    def value(W):
        return jnp.sum(jnp.sin(row_scores(W, x, chosen, scaling)))

    lowered = jax.jit(jax.vmap(jax.value_and_grad(value))).lower(models).as_text()
    assert lowered.count("@jaxlin_row_scores") == 1
    values, gradients = jax.vmap(jax.value_and_grad(value))(models)
    for i, model in enumerate(models):
        one, gradient = jax.jit(jax.value_and_grad(value))(model)
        np.testing.assert_allclose(values[i], one, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(gradients[i], gradient, rtol=1e-4, atol=1e-2)


@needs_kernels
@pytest.mark.parametrize("what", ["x", "rows"])
def test_what_models_do_not_share_goes_by_xla(always_kernels, what):
    x, W, chosen, _, _ = problem(SHAPES[1], "float32")
    models, several = jnp.stack([W, -W]), jnp.stack([x, x + 1])
    if what == "x":
        found = jax.vmap(lambda W, x: row_scores(W, x, chosen, None))(models, several)
        wanted = [row_scores(m, s, chosen, None) for m, s in zip(models, several, strict=True)]
    else:
        orders = jnp.stack([chosen, chosen[::-1]])
        found = jax.vmap(lambda W, rows: row_scores(W, x, rows, None))(models, orders)
        wanted = [row_scores(m, x, o, None) for m, o in zip(models, orders, strict=True)]
    np.testing.assert_allclose(found, jnp.stack(wanted), rtol=1e-5, atol=1e-4)


@needs_kernels
def test_many_columns_go_by_xla(always_kernels, monkeypatch):
    monkeypatch.setattr(rows, "_MOST_COLUMNS", 9)
    x, W, chosen, _, _ = problem(SHAPES[1], "float32")
    two, four = jnp.stack([W] * 2), jnp.stack([W] * 4)
    program = jax.jit(jax.vmap(lambda W: row_scores(W, x, chosen, None)))
    assert "jaxlin_row_scores" in program.lower(two).as_text()
    assert "jaxlin_row_scores" not in program.lower(four).as_text()
    np.testing.assert_allclose(program(two)[0], program(four)[3], rtol=1e-5, atol=1e-4)


@needs_kernels
def test_a_result_does_not_depend_on_the_moment(always_kernels):
    x, W, chosen, slopes, _ = problem(SHAPES[4], "float32")

    @jax.jit
    def both(W):
        scores, pull = jax.vjp(lambda W: row_scores(W, x, chosen, None, chosen[::-1]), W)
        return scores, pull(slopes)[0]

    first = both(W)
    for _ in range(50):
        for a, b in zip(first, both(W), strict=True):
            assert (np.asarray(a) == np.asarray(b)).all()


@needs_kernels
def test_other_platforms_get_xlas_path(always_kernels):
    x, W, chosen, _, _ = problem(SHAPES[1], "uint8")
    program = jax.jit(jax.grad(lambda W, x, chosen: jnp.sum(row_scores(W, x, chosen, None) ** 2)))
    for platform in ("cuda", "tpu"):
        text = jax.export.export(program, platforms=[platform])(W, x, chosen).mlir_module()
        assert "jaxlin_row" not in text
    assert "jaxlin_row" in program.lower(W, x, chosen).as_text()


@needs_kernels
@pytest.mark.parametrize("loss", [losses.softmax_cross_entropy, losses.weston_watkins_hinge])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_fits_end_alike_with_and_without(always_kernels, monkeypatch, loss, dtype):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (600, 40)).astype(dtype)
    labels = rng.integers(0, 4, 600)
    scaling = Scaling(np.float32(100.0), np.float32(1 / 80))
    ends = []
    for fewest in (0, 1 << 40):
        monkeypatch.setattr(rows, "_FEWEST_NUMBERS", fewest)
        jax.clear_caches()
        solver = SGD(optax.sgd(0.05, momentum=0.9), batch_size=64, epochs=5)
        fit = jaxlin.fit(x, labels, loss=loss, l2=1e-3, solver=solver, scaling=scaling)
        ends.append([*fit.history.objective, *fit.history.accuracy])
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-4)


def test_small_data_and_float64_do_not_ask_for_kernels(monkeypatch):
    monkeypatch.setattr(building, "why_not", lambda: pytest.fail("asked"))
    x, W, chosen, _, _ = problem(SHAPES[1], "float32")
    row_scores(W, x, chosen, None)
    monkeypatch.setattr(rows, "_FEWEST_NUMBERS", 0)
    row_scores(W.astype(jnp.bfloat16), x, chosen, None)
    row_scores(W, x.astype(jnp.int32), chosen, None)
