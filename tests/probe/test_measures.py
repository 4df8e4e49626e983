"""Measures against slow twins, and where classes are missing."""

from __future__ import annotations

import base64
import math
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics

from jaxlin.certificates import Certificate
from jaxlin.probe import judging
from jaxlin.probe.judging import judged
from jaxlin.probe.measures import certain, means_over_classes, measure
from jaxlin.probe.mistakes import confident_mistakes
from jaxlin.probe.pixels import image, templates
from jaxlin.probe.problem import Block, Part


def some_scores(n: int = 200, num_classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, num_classes, n)
    scores = rng.normal(size=(n, num_classes)) + 1.5 * np.eye(num_classes)[labels]
    return scores.astype(np.float32), labels


def test_measures_are_what_loops_give() -> None:
    scores, labels = some_scores()
    told = measure(judged(scores, labels))
    right, in_top, log_loss = 0, 0, 0.0
    bins = [[0, 0.0, 0] for _ in range(15)]
    for row, label in zip(scores.astype(np.float64), labels, strict=True):
        shares = [math.exp(s) / sum(math.exp(t) for t in row) for s in row]
        best = max(range(7), key=lambda j, row=row: row[j])
        right += best == label
        in_top += sum(row[j] > row[label] for j in range(7)) < 5
        log_loss -= math.log(shares[label])
        of_row = bins[math.ceil(shares[best] * 15) - 1]
        of_row[0] += 1
        of_row[1] += shares[best]
        of_row[2] += best == label
    error = sum(abs(hits - mean) for _, mean, hits in bins) / 200
    assert told["accuracy"] == right / 200
    assert told["top_k"] == {"k": 5, "accuracy": in_top / 200}
    assert told["log_loss"] == pytest.approx(log_loss / 200)
    assert told["calibration_error"] == pytest.approx(error)
    assert told["calibration"]["count"] == [count for count, _, _ in bins]
    assert told["accuracy_low"] < told["accuracy"] < told["accuracy_high"]
    predicted = scores.argmax(axis=1)
    assert told["macro_f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    oracle = metrics.precision_recall_fscore_support(labels, predicted)
    for name, values in zip(("precision", "recall", "f1", "examples"), oracle, strict=True):
        assert [row[name] for row in told["classes"]] == pytest.approx(values)
    per_class = [np.mean(scores[labels == c].argmax(axis=1) == c) for c in range(7)]
    assert told["mean_class_accuracy"] == pytest.approx(np.mean(per_class))
    assert [row["accuracy"] for row in told["classes"]] == pytest.approx(per_class)
    matrix = np.array(told["confusion"]["counts"])
    assert matrix.sum() == 200
    assert np.trace(matrix) == right
    pairs = told["confusion"]["pairs"]
    assert [p["count"] for p in pairs] == sorted((p["count"] for p in pairs), reverse=True)
    assert all(matrix[p["true"], p["predicted"]] == p["count"] > 0 for p in pairs)
    assert sum(p["count"] for p in pairs) == 200 - right


def test_classes_that_do_not_occur_count_for_nothing() -> None:
    scores, labels = some_scores()
    there = labels < 3
    told = measure(judged(scores[there], labels[there]))
    rows = told["classes"]
    assert [row["examples"] for row in rows[3:]] == [0, 0, 0, 0]
    assert all(row["accuracy"] is None for row in rows[3:])
    known = [row["accuracy"] for row in rows[:3]]
    assert told["mean_class_accuracy"] == pytest.approx(np.mean(known))
    never = means_over_classes(np.array([0, 0, 1]), np.array([0, 0, 0]), 5)
    assert never == {"mean_class_accuracy": 0.5, "macro_f1": pytest.approx(0.4)}


def test_one_row_and_scores_of_any_size_are_measured() -> None:
    told = measure(judged(np.array([[1e30, -1e30]], np.float32), np.array([0])))
    assert (told["accuracy"], told["calibration_error"], told["top_k"]) == (1.0, 0.0, None)
    # Beyond what a probability can be: its logarithm is known all the same.
    told = measure(judged(np.array([[1e30, -1e30]], np.float32), np.array([1])))
    assert told["log_loss"] == pytest.approx(2e30)


def test_of_equal_scores_the_lowest_class_is_first_in_the_top_as_well() -> None:
    told = measure(judged(np.zeros((14, 7)), np.repeat(np.arange(7), 2)))
    assert told["accuracy"] == 1 / 7
    assert told["top_k"] == {"k": 5, "accuracy": 5 / 7}


def test_many_classes_have_pairs_and_no_table() -> None:
    scores, labels = some_scores(300, 101)
    confusion = measure(judged(scores, labels))["confusion"]
    assert confusion["counts"] is None
    assert 0 < len(confusion["pairs"]) <= 200


def test_blocks_of_rows_say_what_all_say_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels = some_scores(50, 9)
    at_once = judged(scores, labels)
    monkeypatch.setattr(judging, "_BLOCK_NUMBERS", 9 * 8)  # six blocks of 8 rows, and 2 rows
    by_blocks = judged(scores, labels)
    for one, other in zip(at_once, by_blocks, strict=True):
        np.testing.assert_array_equal(one, other)
    wide = scores.astype(np.float64)
    log_p = np.log(softmax(wide, axis=1)[np.arange(50), labels])
    np.testing.assert_allclose(by_blocks.log_loss, -log_p, rtol=1e-12)
    np.testing.assert_allclose(by_blocks.confidence, softmax(wide, axis=1).max(axis=1), rtol=1e-14)
    assert (by_blocks.place == (wide > wide[np.arange(50), labels][:, None]).sum(axis=1)).all()


def test_many_classes_take_no_more_memory_than_a_block() -> None:
    scores, labels = some_scores(2000, 3000)  # 24 MB; a confusion matrix would take 72 MB
    tracemalloc.start()
    try:
        told = measure(judged(scores, labels))
        assert tracemalloc.get_traced_memory()[1] < 40e6
    finally:
        tracemalloc.stop()
    wrong = np.flatnonzero(scores.argmax(axis=1) != labels)
    pairs = Counter(zip(labels[wrong], scores.argmax(axis=1)[wrong], strict=True))
    most = [count for _, count in pairs.most_common(200)]
    assert [pair["count"] for pair in told["confusion"]["pairs"]] == most
    for pair in told["confusion"]["pairs"]:
        assert pairs[pair["true"], pair["predicted"]] == pair["count"]


def test_the_most_confident_mistakes_come_first_with_their_pictures() -> None:
    scores, labels = some_scores(40)
    x = np.random.default_rng(1).integers(0, 17, (80, 6)).astype(np.uint8)
    part = Part(labels.astype(np.int32), "main", np.arange(40, 80))
    block = Block("b", {"main": x}, image_shape=(2, 3))
    told = confident_mistakes(judged(scores, labels), block, part, 5)
    probabilities = softmax(scores.astype(np.float64), axis=1)
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(scores.argmax(axis=1) != labels)
    highest = sorted(confidence[wrong], reverse=True)[:5]
    assert [one["confidence"] for one in told] == pytest.approx(highest, rel=1e-14)
    first = told[0]
    of_true = probabilities[first["row"], first["true"]]
    assert first["true_probability"] == pytest.approx(of_true, rel=1e-12)
    assert first["true"] == labels[first["row"]] != first["predicted"]
    assert first["file_row"] == first["row"] + 40
    pixels = np.frombuffer(base64.b64decode(first["image"]["pixels"]), np.uint8)
    shown = x[[one["file_row"] for one in told]]
    np.testing.assert_array_equal(pixels, np.rint(255.0 * shown[0] / shown.max()))
    assert confident_mistakes(judged(np.eye(7)[labels], labels), block, part, 5) == []


def test_large_images_are_made_smaller_and_templates_are_centred() -> None:
    made = image(np.arange(130.0 * 65 * 3), (130, 65, 3), 0.0, 130 * 65 * 3.0)
    assert made["shape"] == [43, 21, 3]
    assert len(base64.b64decode(made["pixels"])) == 43 * 21 * 3
    told = templates(np.array([[0.0, 2.0, -2.0], [0.0, 0.0, 1.0]]), (1, 3))
    pixels = [list(base64.b64decode(one["pixels"])) for one in told["images"]]
    assert pixels[0] == [128, 255, 0]
    assert told["limit"] == pytest.approx(2.0, rel=0.05)
    assert templates(np.zeros((2, 3)), (1, 3))["limit"] == 1.0


def test_what_is_certain_is_only_said_where_it_can_be() -> None:
    proof = Certificate(primal=0.5, dual=0.49, how="", l2=1e-2, has_bias=True)
    assert certain(None, 3, None)["count"] is None
    assert "free bias" in certain(proof, 3, None)["sentence"]
    assert certain(proof, 3, np.array([True, False, True]))["count"] == 2
