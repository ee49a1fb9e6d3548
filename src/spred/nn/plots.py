"""How large the weights were when ``finalize`` decided: two heaps with a gap, where training has done its work."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from spred.nn.threshold import BINS, HIGH, LOW
from spred.report.plots import ACCENT, INK, SOFT, blank


def magnitude_plot(zeroed: Sequence[int], kept: Sequence[int], threshold: str) -> Figure:
    """Draw the sizes of groups that were set to zero and of those that were kept, and where the threshold stood.

    Args:
        zeroed: counts of :func:`spred.nn.threshold.histogram`.
        kept: the same.
        threshold: what to say of the threshold.
    """
    figure, axes = blank(5.6, 3.2)
    edges = 10.0 ** np.linspace(LOW, HIGH, BINS + 1)
    axes.stairs(zeroed, edges, fill=True, color=SOFT, label="set to zero")
    axes.stairs(np.add(zeroed, kept), edges, baseline=np.asarray(zeroed), fill=True, color=ACCENT, label="kept")
    axes.axvline(1.0, color=INK, linewidth=0.9, linestyle="--")
    axes.text(1.0, 1.0, f" threshold: {threshold}", transform=axes.get_xaxis_transform(), va="bottom", fontsize=8)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("size of a group over the threshold of its tensor")
    axes.set_ylabel("groups")
    axes.legend(frameon=False, fontsize=8, loc="upper right")
    return figure
