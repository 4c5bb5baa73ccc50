"""How far an estimate from few values may lie from the truth."""

from __future__ import annotations

from statistics import NormalDist

_Z = NormalDist().inv_cdf(0.975)
# The 97.5 % quantile of Student's t for 1, 2, ... degrees of freedom.
_T = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281),
    *(2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860),
)


def t95(freedom: int) -> float:
    """How many standard errors a two-sided 95 % interval of Student's t reaches to each side.

    Beyond 20 degrees of freedom the expansion of Abramowitz and Stegun (26.7.5), whose error is
    below 5e-4 there.

    Args:
        freedom: Degrees of freedom, at least 1: the number of values less one.
    """
    if freedom <= len(_T):
        return _T[freedom - 1]
    first = (_Z**3 + _Z) / 4
    second = (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / 96
    return _Z + first / freedom + second / freedom**2
