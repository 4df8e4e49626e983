"""Running commands as a user does, and small data for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxlin.cli.main import main

N, D = 48, 4


class Run:
    """What a command printed, and how it ended."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> None:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        self.code = end.value.code
        self.out, self.err = capsys.readouterr()

    @property
    def json(self) -> dict[str, Any]:
        """The object that a command with --json printed."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1
        return json.loads(self.out, parse_constant=pytest.fail)


def two_classes(n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """Bytes (n, D) and labels 0, 1, easy to tell apart."""
    codes = np.arange(n) % 2
    noise = np.random.default_rng(0).integers(0, 60, (n, D))
    return (noise + 150 * codes[:, None]).astype(np.uint8), codes


def saved(folder: Path, **arrays: np.ndarray) -> Path:
    """An .npz file of these arrays."""
    path = folder / "d.npz"
    np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]
    return path
