"""Risk sets of survival times: who is at risk when, sums over them, and a curvature whose samples interact.

Index arrays are NumPy's, whatever the numbers summed live in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from array_api_compat import array_namespace, device

from spred.core.partition import Array


@dataclass(frozen=True, eq=False)
class Table:
    """Places for things that come in lines, a line for each stratum, with empty places at the end of short lines.

    Attributes:
        shape: (lines, longest line).
        slots: which thing is in each place, flat; their number marks an empty place.
        position: the place of each thing.
    """

    shape: tuple[int, int]
    slots: np.ndarray
    position: np.ndarray

    @classmethod
    def of(cls, line: np.ndarray, order: np.ndarray) -> Table:
        """Lay out things by ``line`` (numbers 0, 1, …), taken in ``order``, which must have the lines one by one."""
        sizes = np.bincount(line)
        shape = (len(sizes), int(sizes.max()))
        position = np.empty(len(line), dtype=int)
        position[order] = line[order] * shape[1] + np.arange(len(line)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        slots = np.full(shape[0] * shape[1], len(line))
        slots[position] = np.arange(len(line))
        return cls(shape, slots, position)

    def spread(self, x: Array, empty: float = 0.0) -> Array:
        """Put the last axis of ``x`` into the table: ``(…, lines, longest line)``."""
        padded = x if len(self.slots) == len(self.position) else pad(x, empty)
        return array_namespace(x).reshape(padded[..., self.slots], (*x.shape[:-1], *self.shape))

    def running(self, x: Array, *, backwards: bool = False) -> Array:
        """Return the running sums along each line, flat: ``(…, lines · longest line)``."""
        xp = array_namespace(x)
        table = self.spread(x)
        table = xp.flip(table, axis=-1) if backwards else table
        table = xp.cumulative_sum(table, axis=-1)
        table = xp.flip(table, axis=-1) if backwards else table
        return xp.reshape(table, (*x.shape[:-1], len(self.slots)))


def pad(x: Array, last: float = 0.0) -> Array:
    """Return ``x`` with one more number at the end of its last axis, where indices of nothing point."""
    xp = array_namespace(x)
    return xp.concat([x, xp.full((*x.shape[:-1], 1), last, dtype=x.dtype, device=device(x))], axis=-1)


@dataclass(frozen=True, eq=False)
class RiskSets:
    """Who is at risk when: the target of Cox's loss. Index arrays of NumPy, whatever η lives in.

    Samples are laid out by stratum, latest time first, so that a risk set is the beginning of a line; the m times at
    which there are events likewise. Samples are the last axis of whatever is summed.

    Attributes:
        rows: the table of samples.
        times: the table of event times.
        ends: the place at which the risk set of each event time ends, ``(m,)``.
        first: the place of the latest event time at which each sample is at risk, ``(n,)``; beyond the table for none.
        whole: whether a risk set is the largest of its stratum, ``(m,)``.
        ties: samples that have their event at each time, ``(m, d)``; n marks empty places.
        time_of: the event time of each sample, ``(n,)``; m for censored samples.
        phi: the fraction of the tied events that a term takes out of its risk set: ``(m, d)`` for Efron, ``(m, 1)``
            zeros for Breslow.
        part: the fraction of the weight of a time's events that each term has, in the shape of ``phi``.
    """

    rows: Table
    times: Table
    ends: np.ndarray
    first: np.ndarray
    whole: np.ndarray
    ties: np.ndarray
    time_of: np.ndarray
    phi: np.ndarray
    part: np.ndarray

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.time_of)

    @cached_property
    def event(self) -> np.ndarray:
        """Whether each sample has an event, ``(n,)``."""
        found: np.ndarray = self.time_of < len(self.ends)
        return found

    @cached_property
    def never(self) -> np.ndarray:
        """Whether a sample is in no risk set, ``(n,)``."""
        found: np.ndarray = self.first == len(self.times.slots)
        return found

    @cached_property
    def efron(self) -> bool:
        """Whether tied events are taken out one by one."""
        return bool(self.phi.any())

    def at_risk(self, x: Array) -> Array:
        """Return the sum of ``x`` ``(…, n)`` over each risk set, ``(…, m)``."""
        return self.rows.running(x)[..., self.ends]

    def over_time(self, g: Array) -> Array:
        """Return for each sample the sum of ``g`` ``(…, m)`` over the times at which it is at risk, ``(…, n)``."""
        sums = self.times.running(g, backwards=True)
        return (pad(sums) if self.never.any() else sums)[..., self.first]

    def tied(self, x: Array) -> Array:
        """Return the sum of ``x`` ``(…, n)`` over the events of each time, ``(…, m)``."""
        if self.ties.shape[1] == 1:
            return x[..., self.ties[:, 0]]
        return array_namespace(x).sum(pad(x)[..., self.ties], axis=-1)

    def own(self, g: Array) -> Array:
        """Return for each sample ``g`` ``(…, m)`` of its event time, zero for censored samples."""
        return pad(g)[..., self.time_of]


def risk_sets(
    time: np.ndarray, event: np.ndarray, stratum: np.ndarray | None = None, *, efron: bool = False
) -> RiskSets:
    """Return the :class:`RiskSets` of observed times, events (bool) and, if there are any, strata.

    >>> sets = risk_sets(np.array([3.0, 1.0, 2.0]), np.array([True, True, False]))
    >>> sets.at_risk(np.array([1.0, 10.0, 100.0])).tolist()
    [1.0, 111.0]
    """
    n = len(time)
    line = np.zeros(n, dtype=int) if stratum is None else np.unique(stratum, return_inverse=True)[1]
    order = np.lexsort((-time, line))
    rows = Table.of(line, order)

    # Blocks of equal time within a stratum; those with events are the event times, numbered in the same order.
    moment = np.column_stack([line, time])[order]
    block = np.cumsum(np.r_[False, (np.diff(moment, axis=0) != 0).any(axis=1)])
    deaths = np.bincount(block, weights=event[order]).astype(int)
    count, m = deaths[deaths > 0], int((deaths > 0).sum())
    number: np.ndarray = np.cumsum(deaths > 0) - (deaths > 0)  # of the next event time, counting the block's own
    last = np.append(np.flatnonzero(np.diff(block)), n - 1)
    line_of = line[order[last[deaths > 0]]]
    times = Table.of(np.unique(line_of, return_inverse=True)[1], np.arange(m))
    following = np.append(line_of, -1)[number] == line[order[last]]  # or the next event is in another stratum
    place = np.append(times.position, 0)[number]
    first, time_of = np.empty(n, dtype=int), np.empty(n, dtype=int)
    first[order] = np.where(following, place, len(times.slots))[block]
    time_of[order] = np.where(event[order], number[block], m)

    ties = np.full((m, int(count.max(initial=1))), n)
    dying = order[event[order]]
    ties[time_of[dying], np.arange(len(dying)) - np.repeat(np.cumsum(count) - count, count)] = dying
    real = ties < n
    steps = np.where(real, np.arange(ties.shape[1]) / count[:, None], 0.0)
    return RiskSets(
        rows=rows,
        times=times,
        ends=rows.position[order[last[deaths > 0]]],
        first=first,
        whole=np.append(line_of[1:] != line_of[:-1], True)[:m],
        ties=ties,
        time_of=time_of,
        phi=steps if efron else np.zeros((m, 1)),
        part=real / count[:, None] if efron else np.ones((m, 1)),
    )


@dataclass(frozen=True, eq=False)
class Coupled:
    """The second derivative of a loss whose samples interact: what it does to columns, and a bound by a diagonal.

    ``H = diagonal − (something positive semidefinite)``. Cox's is ``Σ_e q_e (diag(p_e) − p_e p_eᵀ)`` with ``p_e`` the
    distribution of e^η over the samples at risk.
    """

    diagonal: Array
    sets: RiskSets
    risk: Array
    powers: tuple[Array, Array, Array]

    def times(self, columns: Array) -> Array:
        """Return ``H @ columns`` for columns ``(n, k)``."""
        all_at_risk, tied = self._sums(columns)
        zero, one, two = self.powers
        hazard = self.sets.over_time(zero * all_at_risk - one * tied)
        own = self.sets.own(one * all_at_risk - two * tied)
        return (self.diagonal * columns.T - self.risk * (hazard - own)).T

    def form(self, columns: Array) -> Array:
        """Return ``columnsᵀ H columns``, ``(k, k)`` and symmetric."""
        xp = array_namespace(columns)
        columns = columns - (self.diagonal @ columns) / xp.sum(self.diagonal)  # H does not see a shift
        all_at_risk, tied = self._sums(columns)
        zero, one, two = self.powers
        whole = xp.sqrt(self.diagonal)[:, None] * columns
        less = xp.sqrt(zero) * all_at_risk
        out = whole.T @ whole - less @ less.T
        if self.sets.efron:
            mixed = (one * all_at_risk) @ tied.T
            out = out + mixed + mixed.T - (two * tied) @ tied.T
        return out

    def _sums(self, columns: Array) -> tuple[Array, Array]:
        weighted = self.risk * columns.T
        return self.sets.at_risk(weighted), self.sets.tied(weighted) if self.sets.efron else 0.0 * self.powers[0]
