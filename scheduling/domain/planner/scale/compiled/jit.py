"""Compiles loops over arrays to machine code, which is kept on disk under what it was made from.

Importing numba takes half a second and compiling much more, so `solver` imports what lies below
only when a problem is large.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])
# Sums may be split over vector lanes, the same way every time. Infinite numbers never come in.
LOOSE = {"contract", "reassoc", "nsz", "arcp", "afn", "nnan", "ninf"}


def compiled(function: Loop) -> Loop:
    """This function will compile a loop exactly as it is written; it must make no arrays."""
    # counting who holds each of some forty arrays would take longer than most loops
    return _compile(function, _nrt=False)


def compiled_into(function: Loop) -> Loop:
    """This function will compile a loop into those that call it: many tables are slow to pass."""
    return _compile(function, forceinline=True, _nrt=False)


def compiled_loosely(function: Loop) -> Loop:
    """This function will compile a loop whose sums may be taken in any order."""
    return _compile(function, fastmath=LOOSE)


def _compile(function: Loop, **options: object) -> Loop:
    # the stubs of numba know neither all options nor the settings
    compiler: Any = numba.njit(cache=True, **options)  # type: ignore[call-overload]
    return cast("Loop", compiler(function))


def _keep_apart() -> None:
    """Keep machine code in a folder of its own for every state of all loops together.

    numba looks at the file of a loop only, not at the files of the loops that it calls, and would
    go on with old code of these.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(here.glob("*.py")):
        digest.update(path.read_bytes())
    settings: Any = numba.config
    if not settings.CACHE_DIR:
        settings.CACHE_DIR = str(here / "__pycache__" / digest.hexdigest()[:16])


_keep_apart()
