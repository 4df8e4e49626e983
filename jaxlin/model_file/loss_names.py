"""What a loss is called in a model file."""

from __future__ import annotations

from jaxlin.losses import (
    CrammerSingerHinge,
    Loss,
    SoftmaxCrossEntropy,
    SquaredWestonWatkinsHinge,
    WestonWatkinsHinge,
)
from jaxlin.objective import loss_name

_NAMES: dict[type, str] = {
    WestonWatkinsHinge: "weston_watkins_hinge",
    SquaredWestonWatkinsHinge: "squared_weston_watkins_hinge",
    CrammerSingerHinge: "crammer_singer_hinge",
    SoftmaxCrossEntropy: "softmax_cross_entropy",
}


def name_and_margin(loss: Loss) -> tuple[str, float | None]:
    """A loss by the name of its default instance, and its margin where it is a hinge of jaxlin's.

    >>> name_and_margin(WestonWatkinsHinge(margin=2.0))
    ('weston_watkins_hinge', 2.0)
    """
    name = _NAMES.get(type(loss))  # pyright: ignore[reportArgumentType, reportCallIssue]
    if name is None:
        return loss_name(loss), None
    return name, getattr(loss, "margin", None)
