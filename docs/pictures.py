"""Draws the pictures of the documentation into docs/pictures: `python docs/pictures.py`.

Two of them are about Fashion-MNIST, which `scripts/fashion-mnist DIR` brings: name the folder with
`--fashion DIR`, or they are left as they are. Names of pictures draw these alone. What is random is
seeded; seconds are those of the machine.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import jaxlin
from jaxlin import data, gradients, losses, solvers
from jaxlin.data import Dataset, Scaling
from jaxlin.gradients.step_errors import step_errors
from jaxlin.gradients.wrong_coordinates import wrong_coordinates
from jaxlin.ladder import run_ladder
from jaxlin.report import gradient_plots, plots

FOLDER = Path(__file__).parent / "pictures"
GARMENTS = (
    *("T-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
TRAIN, TEST, THIRD, FOURTH = "#1f77b4", "#d62728", "#2ca02c", "#7f7f7f"


def panels(count: int, width: float, height: float) -> tuple[Figure, Sequence[Axes]]:
    """A figure with a row of axes."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, count, squeeze=False)[0]
    for one in axes:
        one.grid(alpha=0.25)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def seconds(run: Callable[[], Any], repeats: int = 15) -> float:
    """The shortest of several runs, compilation apart: what else the machine does only adds."""
    jax.block_until_ready(run())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return min(times)


def digits() -> tuple[Dataset, Scaling]:
    """The built-in digits and what brings their pixels to 0..1."""
    dataset = data.load("digits")
    return dataset, Scaling.unit_range(dataset.train.x)


def margins() -> Figure:
    """The losses of two classes against how far the right score is ahead."""
    figure, (axes,) = panels(1, 6.4, 3.8)
    ahead = np.linspace(-2.5, 3.5, 601)
    scores = np.stack([ahead, np.zeros_like(ahead)], axis=1)
    labels = np.zeros(len(ahead), np.int32)
    for loss, name, color in (
        (losses.weston_watkins_hinge, "SVM: max(0, 1 - m)", TRAIN),
        (losses.squared_weston_watkins_hinge, "squared SVM: max(0, 1 - m)²", THIRD),
        (losses.softmax_cross_entropy, "softmax: log(1 + exp(-m)), in nats", TEST),
    ):
        axes.plot(ahead, np.asarray(loss(scores, labels)), color=color, label=name, linewidth=2)
    axes.axvline(0.0, color=FOURTH, linewidth=1, linestyle=":")
    axes.text(-0.08, 4.55, "wrong", ha="right", color=FOURTH)
    axes.text(0.08, 4.55, "right", ha="left", color=FOURTH)
    axes.set_ylim(-0.1, 5.0)
    axes.set_xlabel("margin m: score of the right class less that of the other")
    axes.set_ylabel("loss of the example")
    axes.set_title("Past a margin of 1 the SVM is content; softmax never is", fontsize=11)
    axes.legend(frameon=False, loc="upper right", bbox_to_anchor=(1.0, 0.9))
    return figure


def overfitting() -> Figure:
    """What l2 does to a model of 650 numbers that sees 50 digits."""
    dataset, scaling = digits()
    test, loss = dataset.test, losses.softmax_cross_entropy
    assert test is not None
    l2s, draws = 10.0 ** np.arange(-7, 1.1, 0.5), 10
    solver = solvers.GradientDescent(optax.lbfgs(), steps=200)
    seen = np.empty((len(l2s), draws, 2, 2))  # l2, draw, train or test, accuracy or loss
    for draw in range(draws):
        _, rows = data.split_rows(dataset.train.labels, 50, seed=draw)
        few = dataset.train.take(rows)
        for index, l2 in enumerate(l2s):
            fit = jaxlin.fit(
                few.x, few.labels, loss=loss, l2=float(l2), solver=solver, scaling=scaling
            )
            for part, split in enumerate((few, test)):
                found = jaxlin.evaluate(
                    fit.params, split.x, split.labels, loss=loss, scaling=scaling
                )
                seen[index, draw, part] = 100 * float(found.accuracy), float(found.objective)
    figure, both = panels(2, 9.6, 3.8)
    for kind, (axes, name) in enumerate(zip(both, ("accuracy, %", "mean loss"), strict=True)):
        for part, (label, color) in enumerate(
            (("the 50 digits trained on", TRAIN), (f"{len(test)} other digits", TEST))
        ):
            values = seen[:, :, part, kind]
            mean, spread = values.mean(axis=1), values.std(axis=1)
            print(
                f"  {label}, {name}:",
                *(f"{l2:.0e} {m:.3g}," for l2, m in zip(l2s, mean, strict=True)),
            )
            axes.plot(l2s, mean, color=color, label=label, linewidth=2)
            axes.fill_between(
                l2s, mean - spread, np.minimum(mean + spread, 100.0), color=color, alpha=0.15,
                linewidth=0,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlabel("l2")
        axes.set_ylabel(name)
    both[0].legend(frameon=False, loc="lower left")
    figure.suptitle(
        f"Softmax on 50 digits: mean and standard deviation of {draws} draws", fontsize=11
    )
    return figure


def numerical() -> Figure:
    """The error of numerical gradients against their step."""
    dataset, _ = digits()
    x = dataset.train.x[:200] / 16.0
    labels = dataset.train.labels[:200]
    objective = jaxlin.Objective(losses.softmax_cross_entropy, l2=1e-3)
    steps = 10.0 ** np.arange(-10, 0.1, 0.5)
    W: Any = 0.1 * np.random.default_rng(0).normal(size=(10, 64))
    schemes: tuple[tuple[Literal["forward", "central"], str], ...] = (
        ("forward", "--"),
        ("central", "-"),
    )
    figure, (axes,) = panels(1, 6.4, 4.0)
    with jax.enable_x64(True):
        gradient = objective.gradient_by_hand(jaxlin.LinearParams(jnp.asarray(W)), x, labels)
    exact = np.asarray(gradient.W)
    for dtype, color in ((np.float32, TRAIN), (np.float64, TEST)):
        params = jaxlin.LinearParams(W.astype(dtype))
        features = x.astype(dtype)
        # A step has to change the numbers it is added to.
        wide_enough = steps[steps > 2 * np.finfo(dtype).eps * np.abs(W).max()]
        for scheme, style in schemes:
            errors = []
            for step in wide_enough:
                found = gradients.numerical(
                    lambda p, features=features: objective(p, features, labels),
                    params, step=float(step), scheme=scheme, batch_size=1,
                )  # fmt: skip
                difference = np.asarray(found.W, np.float64) - exact
                errors.append(np.linalg.norm(difference) / np.linalg.norm(exact))
            print(f"  {scheme}, {np.dtype(dtype)}:", *(f"{error:.1e}" for error in errors))
            label = f"{scheme}, {np.dtype(dtype)}"
            axes.plot(wide_enough, errors, style, color=color, label=label, linewidth=2)
    axes.axvline(1e-4, color=FOURTH, linewidth=1, linestyle=":")
    axes.text(8e-5, 1e2, "the lecture's step", ha="right", color=FOURTH, fontsize=9)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(1e-12, 3e2)
    axes.set_xlabel("step h")
    axes.set_ylabel("relative error of the gradient")
    axes.set_title("Small steps drown in rounding, large ones see the curve", fontsize=11)
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    return figure


def ladder() -> Figure:
    """The lecture's methods on equal terms."""
    dataset, scaling = digits()
    result = run_ladder(dataset, loss=losses.weston_watkins_hinge, l2=1e-4, scaling=scaling)
    for rung in result.rungs:
        print(
            f"  {rung.name}: objective {rung.objective:.3g}, accuracy {100 * rung.accuracy:.1f} %, "
            f"{rung.steps:,} steps of {1e3 * rung.seconds_per_step:.3g} ms"
        )
    print(f"  numerical gradient: {result.numerical_factor:.0f} times as long a step")
    return plots.ladder(result)


def passes() -> Figure:
    """Gradient descent and minibatch SGD over as many passes."""
    dataset, scaling = digits()
    train, loss, count = dataset.train, losses.softmax_cross_entropy, 30
    run = functools.partial(
        jaxlin.fit, train.x, train.labels, loss=loss, l2=1e-4, scaling=scaling, key=0
    )
    figure, (axes,) = panels(1, 6.4, 3.8)
    methods: tuple[tuple[str, Any, str], ...] = (
        ("gradient descent: 1 step a pass", solvers.GradientDescent(optax.sgd(0.5), count), TRAIN),
        ("SGD, batches of 256: 6 steps a pass", solvers.SGD(optax.sgd(0.5), 256, count), THIRD),
        ("SGD, batches of 32: 43 steps a pass", solvers.SGD(optax.sgd(0.5), 32, count), TEST),
    )
    objective = jaxlin.Objective(loss, 1e-4)
    features = scaling(np.asarray(train.x))
    for name, solver, color in methods:
        # What the history has are means over batches as they passed: here each point is the
        # objective over all of the data at the parameters after a pass.
        values = [float(np.log(10.0))]

        def judge(report: jaxlin.EpochReport, values: list[float] = values) -> None:
            values.append(float(objective(report.params, features, train.labels)))

        run(solver=solver, on_epoch=judge)
        print(f"  {name}:", *(f"{value:.3g}" for value in values))
        axes.plot(values, color=color, label=name, linewidth=2)
    axes.set_yscale("log")
    axes.set_ylim(0.1, 6.0)
    axes.set_yticks([0.1, 0.2, 0.5, 1.0, 2.0, 5.0], ["0.1", "0.2", "0.5", "1", "2", "5"])
    axes.minorticks_off()
    axes.set_xlabel("passes over the 1,347 digits")
    axes.set_ylabel("objective over all of them")
    axes.set_title("Same learning rate, same passes, more steps", fontsize=11)
    axes.legend(frameon=False)
    return figure


def cost(fashion: Dataset) -> Figure:
    """What a gradient costs over N examples, and over a minibatch of them."""
    objective = jaxlin.Objective(losses.softmax_cross_entropy, 1e-4)
    gradient = jax.jit(jax.grad(objective))
    params = jaxlin.init_params(fashion.num_features, fashion.num_classes)
    x = jnp.asarray(fashion.train.x, jnp.float32) / 255
    labels = jnp.asarray(fashion.train.labels)
    sizes = [256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 60000]
    times = []
    for size in sizes:
        part, part_labels = x[:size], labels[:size]
        run = functools.partial(gradient, params, part, part_labels)
        times.append(1e3 * seconds(run))
        print(f"  {size} examples: {times[-1]:.3f} ms")
    figure, (axes,) = panels(1, 6.4, 3.8)
    axes.plot(sizes, times, "o-", color=TRAIN, label="gradient of the sum over N", linewidth=2)
    axes.axhline(times[0], color=TEST, label="gradient of a minibatch of 256", linewidth=2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([256, 1024, 4096, 16384, 60000], ["256", "1,024", "4,096", "16,384", "60,000"])
    axes.set_yticks([0.1, 1.0, 10.0, 100.0], ["0.1", "1", "10", "100"])
    axes.set_ylim(0.1, 100.0)
    axes.minorticks_off()
    axes.set_xlabel("N, examples of Fashion-MNIST")
    axes.set_ylabel("milliseconds a gradient")
    axes.set_title("One step of gradient descent, measured on two cores", fontsize=11)
    axes.legend(frameon=False)
    return figure


def templates(fashion: Dataset) -> Figure:
    """The rows of W as images."""
    train, loss = fashion.train, losses.softmax_cross_entropy
    fit = jaxlin.fit(train.x, train.labels, loss=loss, l2=3e-3, scaling=Scaling.unit_range(train.x))
    figure = Figure(figsize=(7.2, 3.4), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    plots.templates(figure, np.asarray(fit.raw_params.W), GARMENTS, fashion.image_shape or ())
    return figure


def check() -> Figure:
    """The error of the numerical gradient against its step, and where a wrong gradient is wrong."""
    dataset, scaling = digits()
    x, labels = np.asarray(scaling(dataset.train.x[:200])), dataset.train.labels[:200]
    rng = np.random.default_rng(0)
    params: Any = jaxlin.LinearParams(rng.normal(size=(10, 64)) / 4, rng.normal(size=10))  # pyright: ignore[reportArgumentType]
    objective = jaxlin.Objective(losses.weston_watkins_hinge, l2=1e-3)

    def by_hand(params: Any, x: Any, labels: Any) -> Any:
        """The true class's row is forgotten for the threes alone."""
        right = objective.gradient_by_hand(params, x, labels)
        dS = np.array(losses.weston_watkins_hinge.score_gradient(jaxlin.scores(params, x), labels))
        forgotten = np.where(labels == 3, dS[:, 3], 0.0)
        W = np.array(right.W)
        W[3] -= forgotten @ np.asarray(x) / len(x)
        return jaxlin.LinearParams(W, right.b)  # pyright: ignore[reportArgumentType]

    curves = [
        curve
        for dtype in (np.float64, np.float32)
        for curve in step_errors(objective, params, x, labels, dtype=dtype)
    ]
    wrong = wrong_coordinates(objective, params, x, labels, by_hand=by_hand)
    return gradient_plots.check(
        curves,
        wrong,
        title="The SVM on 200 digits",
        classes=dataset.classes,
        image_shape=dataset.image_shape,
    )


PICTURES: dict[str, Callable[[], Figure]] = {
    "margins": margins,
    "overfitting": overfitting,
    "numerical": numerical,
    "passes": passes,
    "ladder": ladder,
    "check": check,
}
FASHION_PICTURES: dict[str, Callable[[Dataset], Figure]] = {"cost": cost, "templates": templates}


def main() -> None:
    """Draws what is asked for, or all that it has data for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="pictures to draw; all by default")
    parser.add_argument("--fashion", metavar="DIR", help="folder of Fashion-MNIST")
    options = parser.parse_args()
    unknown = set(options.names) - {*PICTURES, *FASHION_PICTURES}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    draw: dict[str, Callable[[], Figure]] = dict(PICTURES)
    if options.fashion:
        fashion = data.load(options.fashion)
        draw |= {name: functools.partial(f, fashion) for name, f in FASHION_PICTURES.items()}
    FOLDER.mkdir(exist_ok=True)
    for name in options.names or draw:
        if name not in draw:
            parser.error(f"{name} needs --fashion DIR")
        print(name)
        plots.save(FOLDER / f"{name}.png", draw[name]())


if __name__ == "__main__":
    main()
