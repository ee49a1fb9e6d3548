"""The base optimiser's groups, twice: with the model's own tensors for everybody, with factors while it steps.

Whoever holds the base (a scheduler made before it was wrapped, say) and whoever holds the
:class:`~spred.nn.optimizer.optimizer.SpredOptimizer` sees one list of groups, with the model's tensors and the
options as they were given. For the time of a step the base's list holds other groups: the factors in the places of
their tensors, the same options, the weight decay of penalised tensors off and their learning rates scaled where the
base wants it. Options go over when they change, to the factors before a step, and back after it where the base has
changed its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from spred.errors import InputError, StateError
from spred.nn.optimizer.wrapped.wrapping import NOT_OPTIONS, Group, GroupLink

UNSEEN = object()
"""What no option is."""


class StepGuard:
    """A hook of the base that lets only steps on factors through."""

    def __init__(self) -> None:
        self.stepping = False

    def __call__(self, base: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        """Refuse a step that would be taken on the model's own tensors.

        Raises:
            StateError: the base itself was stepped.
        """
        if not self.stepping:
            raise StateError(
                f"the {type(base).__name__} is wrapped in a SpredOptimizer and was stepped itself; step the "
                "SpredOptimizer, and only that"
            )


def check_fresh(base: torch.optim.Optimizer) -> None:
    """Refuse a base that has been wrapped before, or whose groups are made anew each time they are asked for.

    Raises:
        StateError: it has been wrapped.
        InputError: its groups are not a list that stays.
    """
    if any(isinstance(hook, StepGuard) for hook in _hooks(base).values()):
        raise StateError(f"the {type(base).__name__} is wrapped already; make a new one for a new SpredOptimizer")
    if base.param_groups is not base.param_groups:
        raise InputError(
            f"the groups of {type(base).__name__} are made anew at each look; wrap the optimiser inside it"
        )


class Groups:
    """Public groups and those of the factors.

    Args:
        base: the wrapped optimiser; its list of groups is the public one.
        inner: the groups with factors.
        links: for each of them the public group that it follows, and how.

    Attributes:
        inner: the groups with factors.
        public: the list that the base and the SpredOptimizer share.
    """

    def __init__(self, base: torch.optim.Optimizer, inner: list[Group], links: list[GroupLink]) -> None:
        self.base = base
        self.public: list[Group] = base.param_groups
        self.inner = inner
        self._links = links
        self._seen: list[Group] = [dict(group) for group in self.public]
        self._sent_rates: list[Any] = [group.get("lr") for group in inner]
        self._outside: list[Group] = []
        self._guard = StepGuard()
        self.install_guard()

    def install_guard(self) -> None:
        """Let the base refuse steps that are not ours; bases without torch's hooks cannot."""
        hooks = _hooks(self.base)
        if hooks is not NO_HOOKS:
            hooks[id(self._guard)] = self._guard

    @contextmanager
    def factors(self) -> Iterator[None]:
        """For a while the base has the factors in its groups.

        Contents are exchanged and not lists, because optimisers that wrap others share the list.

        Raises:
            StateError: the base got another list of groups, from a state that was loaded into it, say.
        """
        if self.base.param_groups is not self.public:
            raise StateError(
                "the groups of the wrapped optimiser were replaced, by a state that was loaded into it, say; load "
                "states into the SpredOptimizer"
            )
        public = self._outside = list(self.public)
        self.public[:] = self.inner
        self._guard.stepping = True
        try:
            yield
        finally:
            if self.base.param_groups is not self.public:  # the base has loaded a state
                self.public[:] = self.base.param_groups
                self.base.param_groups = self.public
            self.inner = list(self.public)
            self.public[:] = public
            self._guard.stepping = False

    @contextmanager
    def tensors(self) -> Iterator[None]:
        """The reverse, in the middle of a step: a closure of the user's must see the model's own tensors."""
        inner = list(self.public)
        self.public[:] = self._outside
        try:
            yield
        finally:
            self.public[:] = inner

    def largest_rate(self) -> float:
        """Return the largest learning rate; 1 for a base that sets its own."""
        return max((float(group["lr"]) for group in self.public if group.get("lr") is not None), default=1.0)

    def send(self) -> None:
        """Bring to the factors' groups what has changed in the public ones."""
        if len(self.public) > len(self._seen):
            self._add_new()
        for source, (group, seen) in enumerate(zip(self.public, self._seen, strict=True)):
            changed = {
                key: value
                for key, value in group.items()
                if (value is not seen.get(key, UNSEEN) or isinstance(value, Tensor)) and key not in NOT_OPTIONS
            }
            if changed:
                seen.update(changed)
                for k, link in enumerate(self._links):
                    if link.source == source:
                        link.send(changed, self.inner[k])
                        self._sent_rates[k] = self.inner[k].get("lr")

    def fetch(self) -> None:
        """Bring back what the base has changed in its own groups: a few adapt their lr, or count their steps there."""
        done: set[int] = set()
        for k, (link, group) in enumerate(zip(self._links, self.inner, strict=True)):
            if link.source in done:
                continue
            done.add(link.source)
            public, seen = self.public[link.source], self._seen[link.source]
            for key, value in group.items():
                sent = self._sent_rates[k] if key == "lr" else seen.get(key, UNSEEN)
                if value is not sent and key not in NOT_OPTIONS and link.follows(key):
                    if key == "lr":
                        self._sent_rates[k] = value
                        value = value if link.lr_scale == 1.0 else value / link.lr_scale
                    public[key] = seen[key] = value

    def replace(self, groups: Sequence[Group]) -> list[Group]:
        """Make ``groups`` the public ones, with options that agree with those of the factors; return the list."""
        self.public[:] = groups
        self.base.param_groups = self.public
        self._seen = [dict(group) for group in groups]
        self._sent_rates = [group.get("lr") for group in self.inner]
        return self.public

    def _add_new(self) -> None:
        """Take over groups of unpenalised tensors that were added since."""
        for source in range(len(self._seen), len(self.public)):
            group = dict(self.public[source])
            self._seen.append(group)
            with self.factors():
                self.base.add_param_group({**group, "params": list(group["params"])})
            self._links.append(GroupLink(source))
            self._sent_rates.append(group.get("lr"))


NO_HOOKS: dict[int, Any] = {}
"""The hooks of an optimiser that has none."""


def _hooks(base: torch.optim.Optimizer) -> dict[int, Any]:
    found: dict[int, Any] = getattr(base, "_optimizer_step_pre_hooks", NO_HOOKS)
    return found
