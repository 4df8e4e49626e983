"""FLOPs and bytes of the programs that a fit compiles, as XLA counts them.

XLA counts the body of a loop once: the program that trains is counted as one minibatch step (and
what an epoch does once), to be compared with the step's `4 B D C` operations and `B D` features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax


def _executables() -> list[Any]:
    """What the device has compiled and still holds; nothing where it does not tell."""
    client: Any = jax.devices()[0].client
    return list(getattr(client, "live_executables", list)())


def _cost(executable: Any) -> dict[str, Any] | None:
    try:
        costs = executable.cost_analysis()
        costs = costs[0] if isinstance(costs, list) else costs
        name = executable.hlo_modules()[0].name
        arguments = executable.get_compiled_memory_stats().argument_size_in_bytes
        temporary = executable.get_compiled_memory_stats().temp_size_in_bytes
    except Exception as error:  # what a backend does not tell is no failure of the bench
        return {"name": "unknown", "error": f"{type(error).__name__}: {error}"[:200]}
    return {
        "name": name,
        "flops": float(costs.get("flops", 0.0)),
        "bytes": float(costs.get("bytes accessed", 0.0)),
        "argument_bytes": int(arguments),
        "temporary_bytes": int(temporary),
    }


def compiled_by(run: Callable[[], Any], most: int = 3) -> list[dict[str, Any]]:
    """The programs that a call compiles, those with the most operations first.

    Args:
      run: makes something run that was not compiled before.
      most: how many to name.

    Returns:
      Name, FLOPs, bytes accessed, bytes of arguments and of temporary memory of each.
    """
    known = _executables()
    run()
    names = {id(one) for one in known}
    new = [one for one in _executables() if id(one) not in names]
    costs = [cost for one in new if (cost := _cost(one)) is not None]
    return sorted(costs, key=lambda cost: -cost.get("flops", 0.0))[:most]
