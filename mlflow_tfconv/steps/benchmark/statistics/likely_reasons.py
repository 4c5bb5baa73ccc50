"""What is likely to have disturbed a measurement, from what the worker saw around it.

A turn's conditions are plain values; each of them may be missing or None where nobody knows:

    steady            bool: whether the times had stopped falling when the timing began
    busy_others       processors that other processes kept busy
    stolen            processors that the hypervisor gave to other machines
    throttled_s       seconds for which the container's CPU quota stopped this process
    thermal_throttles how often the processors slowed down because of heat
    mhz, limit_mhz    the highest clock of the processors right after the timing, and the highest
                      that they can have
    major_faults      pages of this process that had to be read from disk
    gpu               {throttle_reasons: [text], clock_mhz, max_clock_mhz, others: processes}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Conditions = Mapping[str, Any]
BUSY = 0.25  # processors
_STOLEN = 0.1  # processors
_THROTTLED_S = 0.01
_CLOCKS_APART = 0.05  # of the highest, between turns
_SLOW_CLOCK = 0.7  # of the highest possible
_PAGES = 10
_FEW_RUNS = 100
_HARMLESS = ("idle", "application", "none", "display")  # what NVML names though nothing is slowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One of them.

    Attributes:
        text: In words.
        passing: Whether it may be gone in a moment.
        short: Whether more runs would mend it.
    """

    text: str
    passing: bool = False
    short: bool = False


def likely_reasons(
    conditions: Sequence[Conditions], *, runs: int, processors: int
) -> tuple[Reason, ...]:
    """The reasons that were seen, the likeliest first.

    Args:
        conditions: Of each turn.
        runs: How many timings there are.
        processors: How many the machine has.
    """
    return (
        *_load(conditions, processors),
        *_throttling(conditions),
        *_clocks(conditions),
        *_gpu([told["gpu"] for told in conditions if told.get("gpu")]),
        *([Reason(text=f"there were only {runs} runs", short=True)] if runs < _FEW_RUNS else []),
    )


def average(conditions: Sequence[Conditions], name: str) -> float | None:
    """The mean of what the turns tell; None when none does.

    Not the highest: the kernel counts in hundredths of a second, which in one short turn is a lot.
    """
    told = _told(conditions, name)
    return sum(told) / len(told) if told else None


def _told(conditions: Sequence[Conditions], name: str) -> list[float]:
    return [float(told[name]) for told in conditions if told.get(name) is not None]


def _load(conditions: Sequence[Conditions], processors: int) -> list[Reason]:
    reasons = []
    busy, stolen = average(conditions, "busy_others"), average(conditions, "stolen")
    pages = sum(_told(conditions, "major_faults"))
    if busy is not None and busy > BUSY:
        text = f"other processes used {busy:.1f} of {processors} processors"
        reasons.append(Reason(text=text, passing=True))
    if stolen is not None and stolen > _STOLEN:
        text = f"the hypervisor took {stolen:.1f} of {processors} processors"
        reasons.append(Reason(text=text, passing=True))
    if pages > _PAGES:
        text = f"memory was short: {pages:.0f} pages had to be read from disk"
        reasons.append(Reason(text=text, passing=True))
    return reasons


def _throttling(conditions: Sequence[Conditions]) -> list[Reason]:
    stopped = sum(_told(conditions, "throttled_s"))
    heat = sum(_told(conditions, "thermal_throttles"))
    reasons = []
    if stopped > _THROTTLED_S:
        text = f"the CPU limit of its container stopped it for {stopped:.2g} s"
        reasons.append(Reason(text=text))
    if heat:
        text = "the processors slowed down because of heat"
        reasons.append(Reason(text=text, passing=True))
    return reasons


def _clocks(conditions: Sequence[Conditions]) -> list[Reason]:
    seen, limit = _told(conditions, "mhz"), max(_told(conditions, "limit_mhz"), default=None)
    if seen and max(seen) - min(seen) > _CLOCKS_APART * max(seen):
        text = f"the processors' clock went between {min(seen):,.0f} and {max(seen):,.0f} MHz"
        return [Reason(text=text, passing=True)]
    if seen and limit and max(seen) < _SLOW_CLOCK * limit:
        text = f"the processors ran at {max(seen):,.0f} of {limit:,.0f} MHz"
        return [Reason(text=text)]
    return []


def _gpu(conditions: Sequence[Conditions]) -> list[Reason]:
    reasons = []
    named = [text for told in conditions for text in told.get("throttle_reasons") or ()]
    slowed = [t for t in dict.fromkeys(named) if not any(word in t.lower() for word in _HARMLESS)]
    if slowed:
        reasons.append(Reason(text=f"the GPU slowed down ({', '.join(slowed)})", passing=True))
    clocks = _told(conditions, "clock_mhz")
    if clocks and max(clocks) - min(clocks) > _CLOCKS_APART * max(clocks):
        text = f"the GPU's clock went between {min(clocks):,.0f} and {max(clocks):,.0f} MHz"
        reasons.append(Reason(text=text, passing=True))
    others = max(_told(conditions, "others"), default=0.0)
    if others:
        text = "another process" if others == 1 else f"{others:.0f} other processes"
        reasons.append(Reason(text=f"{text} used the GPU", passing=True))
    return reasons
