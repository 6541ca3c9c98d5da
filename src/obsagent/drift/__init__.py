"""Drift: how far counts are from a reference's, and whether that is more than chance; usable alone.

Divergences of counts over the same bins (lists, tuples, arrays), first the reference, then the current ones:

    edges(values, rule="quantile")            bins, frozen from a reference's values
    psi, kl, js_distance, hellinger           with `base=`; psi and kl with `zero=`, what an empty bin counts as
    total_variation, linf, ks, wasserstein    ks tells its `gap` and `p_value`; wasserstein takes the bins' sums
    chi_squared, cramers_v                    chi_squared tells its `p_value` and `degrees_of_freedom`

Decisions whose rate of false alarms is kept, at any size:

    log_e_value, Null, fit_kappa0             evidence of one window against a reference
    e_bh                                      which of many features, with a false discovery rate
    ESR, DyadicESR                            over time, with an average run length; the latter for slow drift too

Detectors on streams of errors or losses, one value at a time: ADWIN, PageHinkley, DDM, HDDM_A, HDDM_W.

Everything is Python on `math`; only `edges` loads numpy. What is wrongly given raises `obsagent.errors.DriftError`.
"""

from __future__ import annotations

from obsagent.drift.adwin import ADWIN
from obsagent.drift.binning import edges
from obsagent.drift.contingency import ChiSquared, chi_squared, cramers_v
from obsagent.drift.ddm import DDM
from obsagent.drift.dispersion import fit_kappa0
from obsagent.drift.divergences import hellinger, js_distance, kl, linf, psi, total_variation
from obsagent.drift.dyadic import DyadicESR
from obsagent.drift.evalue import Null, log_e_value
from obsagent.drift.hddm_a import HDDM_A
from obsagent.drift.hddm_w import HDDM_W
from obsagent.drift.kolmogorov import KS, ks
from obsagent.drift.page_hinkley import PageHinkley
from obsagent.drift.selection import e_bh
from obsagent.drift.sequential import ESR
from obsagent.drift.transport import wasserstein
from obsagent.errors import DriftError

__all__ = [
    "ADWIN",
    "DDM",
    "ESR",
    "HDDM_A",
    "HDDM_W",
    "KS",
    "ChiSquared",
    "DriftError",
    "DyadicESR",
    "Null",
    "PageHinkley",
    "chi_squared",
    "cramers_v",
    "e_bh",
    "edges",
    "fit_kappa0",
    "hellinger",
    "js_distance",
    "kl",
    "ks",
    "linf",
    "log_e_value",
    "psi",
    "total_variation",
    "wasserstein",
]
