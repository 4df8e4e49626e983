"""Which array of a file holds features and which labels, told by its name.

Programs that extract features agree on no names, but on few words: `x`, `features`, `embeddings`,
`layers.11`, `hidden_states_3`; `y`, `labels`, `targets`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_FEATURES = {
    *("x", "feature", "features", "feat", "feats", "embedding", "embeddings", "emb", "embs"),
    *("activation", "activations", "hidden", "representation", "representations"),
    *("layer", "layers", "block", "blocks"),
}
_LABELS = {"y", "label", "labels", "target", "targets", "class"}
_PARTS = ("train", "test")

FEATURE_HINT = "features are called x, features, embeddings, activations, layer0 or the like"
LABEL_HINT = "labels are called y, labels or targets"


def _words(name: str) -> list[str]:
    """The words of a name in lower case, without the numbers at their ends.

    >>> _words("model.Layers_12.hidden")
    ['model', 'layers', '', 'hidden']
    """
    words = re.split(r"[^a-z0-9]+", name.lower())
    return [word.rstrip("0123456789") for word in words]


def is_feature_name(name: str) -> bool:
    """Whether an array of that name holds features.

    >>> is_feature_name("hidden_states.11"), is_feature_name("x_train"), is_feature_name("ids")
    (True, True, False)
    """
    return not _FEATURES.isdisjoint(_words(name))


def is_label_name(name: str) -> bool:
    """Whether an array or a column of that name holds labels.

    >>> is_label_name("Labels"), is_label_name("y_test"), is_label_name("label_embeddings")
    (True, True, False)
    """
    words = [word for word in _words(name) if word not in (*_PARTS, "")]
    return bool(words) and _LABELS.issuperset(words)


def wanted_columns(names: Sequence[str], wanted: Sequence[str] | None) -> list[int] | None:
    """Where the wanted columns are in a table that has more than these; None for all of them.

    >>> wanted_columns(["patient", "b", "a"], ["a", "b"]), wanted_columns(["b", "a"], ["a", "b"])
    ([2, 1], None)
    """
    if wanted is None or len(names) <= len(wanted):
        return None
    found = list(names)
    if any(found.count(name) != 1 for name in wanted):
        return None
    return [found.index(name) for name in wanted]


def part_of(name: str) -> tuple[str, str]:
    """The name of an array without the part of the data that it is of, and the part.

    >>> part_of("x_test"), part_of("train.layer.3"), part_of("latest")
    (('x', 'test'), ('layer.3', 'train'), ('latest', 'train'))
    """
    for part in _PARTS:
        found = re.search(rf"(?i)(?:^|[^a-z0-9])({part})(?:[^a-z0-9]|$)", name)
        if found:
            rest = name[: found.start(1)], name[found.end(1) :]
            before, after = rest[0].rstrip("._-/: "), rest[1].lstrip("._-/: ")
            joint = rest[0][len(before) :] or rest[1][: len(rest[1]) - len(after)]
            return (f"{before}{joint}{after}" if before and after else before or after), part
    return name, "train"


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Names for a message.

    >>> listed(["x", "y"]), listed([])
    ("'x', 'y'", 'nothing')
    """
    more = ", ..." if len(names) > 10 else ""
    return (", ".join(repr(name[:40]) for name in names[:10]) + more) or "nothing"
