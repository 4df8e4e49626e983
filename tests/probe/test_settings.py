"""Settings, and the protocols that have their own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from jaxlin import InputError
from jaxlin.probe import PROTOCOLS, Settings
from jaxlin.probe.selecting import l2_values


def test_every_protocol_has_the_values_that_its_source_states() -> None:
    C = PROTOCOLS["dinov2"].settings().C
    assert C is not None
    np.testing.assert_allclose(np.log10(C), np.linspace(-6, 5, 45), atol=1e-5)
    assert PROTOCOLS["dinov3"].settings().C == C
    assert PROTOCOLS["dinov2"].validation_share == 0.1
    lambdas = PROTOCOLS["clip"].settings().C
    assert lambdas is not None
    assert (len(lambdas), lambdas[0], lambdas[-1]) == (97, 1e-6, 1e6)  # 96 steps, 8 a decade
    assert 0.316228 in lambdas  # what openai/CLIP's README trains with
    own = PROTOCOLS["jaxlin"].settings().l2
    assert own is not None
    assert (len(own), own[0], own[-1]) == (45, 1e-6, 10.0)
    for protocol in PROTOCOLS.values():
        assert protocol.settings().keeps == ("l2" if protocol.name == "jaxlin" else "C")
        assert protocol.settings().normalize == (False,)


def test_values_of_ones_own_are_all_tried_whatever_the_protocols_way() -> None:
    settings = PROTOCOLS["clip"].settings(l2=(1e-3, 1e-2))
    assert (settings.l2, settings.C, settings.search) == ((1e-3, 1e-2), None, "grid")
    assert settings.keeps == "l2"
    own = PROTOCOLS["jaxlin"].settings(C=(1.0,), tol=None)
    assert (own.tol, own.keeps) == (1e-3, "C")
    assert "keeps C" in PROTOCOLS["jaxlin"].sentences_of(own)[0]
    assert PROTOCOLS["clip"].settings(C=(1.0,), keeps="l2").keeps == "l2"


def test_c_is_translated_as_scikit_learn_has_it() -> None:
    settings = Settings(C=(1.0, 10.0))
    assert l2_values(settings, 50, 3) == pytest.approx([1 / 100, 1 / 1000])
    assert l2_values(settings, 50, 2) == pytest.approx([1 / 50, 1 / 500])  # one row for two classes


def test_settings_survive_json() -> None:
    for protocol in PROTOCOLS.values():
        settings = protocol.settings(few_shot=(1, 2), seed=3, normalize=(False, True))
        again = json.loads(json.dumps(settings.as_json() | {"features": ["x.npy"]}))
        assert Settings.from_json(again) == settings


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"l2": None}, "one of l2 and C"),
        ({"C": (1.0,)}, "one of l2 and C"),
        ({"l2": ()}, "l2 must have at least one"),
        ({"l2": (0.0,)}, "l2 must be positive"),
        ({"l2": (float("nan"),)}, "l2 must be positive"),
        ({"l2": (1e-3, 1e-3)}, "l2 has 0.001 twice"),
        ({"l2": "1e-3"}, "l2 must be a list"),
        ({"l2": tuple(map(float, range(1, 1002)))}, "at most 1,000"),
        ({"loss": "hinge"}, "loss must be one of softmax"),
        ({"scaling": ("big",)}, "scaling must be one of"),
        ({"scaling": ()}, "scaling must have"),
        ({"normalize": ("yes",)}, "normalize must be True"),
        ({"select_by": "f1"}, "select_by must be"),
        ({"tol": 0.0}, "tol must be a finite number above 0"),
        ({"tol": float("inf")}, "tol must be"),
        ({"passes": 0}, "passes must be a whole number"),
        ({"repeats": True}, "repeats must be a whole number"),
        ({"few_shot": (0,)}, "few_shot must be a whole number from 1"),
        ({"seed": 2**32}, "seed must be"),
        ({"seed": -1}, "seed must be"),
        ({"dtype": "float16"}, "dtype must be one of"),
        ({"bias": 1}, "bias must be True"),
    ],
)
def test_what_cannot_be_set_is_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Settings(**{"l2": (1e-3,), **given})


def test_settings_from_elsewhere_are_checked_too() -> None:
    values = Settings(l2=(1e-3,)).as_json()
    del values["tol"]
    with pytest.raises(InputError, match="lack tol"):
        Settings.from_json(values)
