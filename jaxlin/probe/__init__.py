"""The probe: how good frozen features are, told by the best linear classifier of them.

A protocol (`protocols`) says which l2 and scalings to try. Each is trained on the training rows to
its certified optimum and judged on the validation rows (`selecting`), which alone decide; the
winner is trained again on both (`refitting`) and looks at the test rows once (`measures`).
Beside it stand classifiers that need no training (`baselines`), the same with few examples a class
(`few_shot`), and what would make the score worth less than it says: `leaks`.

`run` does it all; its record is plain JSON, which a page is made of and which a later run repeats
(`replaying`).
"""

from typing import TYPE_CHECKING

from jaxlin.later import attributes_from

if TYPE_CHECKING:
    from jaxlin.probe.problem import Block, Part, Problem
    from jaxlin.probe.protocols import PROTOCOLS, Protocol
    from jaxlin.probe.running import Probed, run
    from jaxlin.probe.settings import Settings

__all__ = ["PROTOCOLS", "Block", "Part", "Probed", "Problem", "Protocol", "Settings", "run"]

__getattr__ = attributes_from(
    "jaxlin.probe",
    {
        "problem": ("Block", "Part", "Problem"),
        "protocols": ("PROTOCOLS", "Protocol"),
        "running": ("Probed", "run"),
        "settings": ("Settings",),
    },
)


def __dir__() -> list[str]:
    """All names, those that nobody has asked for yet as well."""
    return sorted({*globals(), *__all__})
