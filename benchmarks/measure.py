"""Measuring two ways of doing the same: in turns, several times, and the median of what they took."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

Rate = Callable[[], float]
"""Does the work once and answers how much of it a second was done."""


@dataclass(frozen=True)
class Ratio:
    """Ours against a named alternative, measured in the same run; rates are medians, `runs` the ratio of each pair."""

    name: str
    unit: str
    ours: float
    theirs: float
    alternative: str
    runs: list[float]
    target: float | None = None

    @property
    def ratio(self) -> float:
        return median(self.runs)


@dataclass(frozen=True)
class Fact:
    """A figure of ours alone."""

    name: str
    value: float
    unit: str


@dataclass
class Report:
    """What a run found, in the order in which it is shown."""

    ratios: list[Ratio] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)


def in_turns(repeat: int, ours: Rate, *theirs: Rate) -> list[list[float]]:
    """The rates of ours and of each alternative, run in turns: A B A B, so that a busy moment meets all of them.

    The first turn of several only warms up.
    """
    rates: list[list[float]] = [[] for _ in (ours, *theirs)]
    for turn in range(repeat + (repeat > 1)):
        for one, run in zip(rates, (ours, *theirs), strict=True):
            rate = run()
            if turn or repeat == 1:
                one.append(rate)
    return rates


def compared(
    name: str, unit: str, ours: list[float], theirs: list[float], alternative: str, target: float | None = None
) -> Ratio:
    """Rates of the same turns, as a ratio."""
    runs = [mine / yours for mine, yours in zip(ours, theirs, strict=True)]
    return Ratio(name, unit, median(ours), median(theirs), alternative, runs, target)


class Clock:
    seconds = 0.0


@contextmanager
def timed() -> Iterator[Clock]:
    """The wall clock of a block."""
    clock = Clock()
    start = time.perf_counter()
    yield clock
    clock.seconds = time.perf_counter() - start


def settle_memory() -> None:
    """What was made to measure with is not looked through by the garbage collector while measuring; for both sides alike."""
    gc.collect()
    gc.freeze()
