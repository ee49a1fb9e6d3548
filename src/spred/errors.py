"""What spred raises and warns with: one root for errors, one for warnings.

Every message is one sentence that says what is wrong, where, and how to mend it. Errors about input are
``ValueError`` too, so code written for scikit-learn catches them. Context (a file's name, say) is added once,
by whoever knows it, with :func:`where`.

``ConvergenceWarning`` is scikit-learn's class of that name too. It is made when it is first asked for, so that an
import of spred alone does not load scikit-learn: write ``errors.ConvergenceWarning`` where the warning is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches

LONGEST_LINE = 200
"""Characters of another library's message in a sentence: it may quote a damaged file."""
LONGEST_SENTENCE = 1000
"""Characters of a message about a file."""


class SpredError(Exception):
    """Root of every error that spred raises on purpose."""


class InputError(SpredError, ValueError):
    """An argument, an array or a table cannot be used as it is."""


class FileError(InputError):
    """A file is missing, broken or not what its name promises."""


class StateError(SpredError, RuntimeError):
    """A call came at the wrong time: parametrizations that are not there, a load into another model."""


class ResourceError(SpredError, RuntimeError):
    """Memory, room on the disk, a worker process or a cluster ran out while the work was under way."""


class WorkerError(ResourceError):
    """A process that did a piece of the work was killed from outside, most often for want of memory."""


class MissingPackageError(SpredError, ImportError):
    """A package that only some work needs is not installed; the sentence says how to install it."""


class SpredWarning(UserWarning):
    """Root of spred's own warnings: the work goes on, but the user should know."""


def __getattr__(name: str) -> type[Warning]:
    if name != "ConvergenceWarning":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sklearn.exceptions import ConvergenceWarning as Parent

    doc = """An answer was handed out before it reached its tolerance; its certificate says how far it got."""
    made = type(name, (SpredWarning, Parent), {"__doc__": doc, "__module__": __name__})
    globals()[name] = made
    return made


@contextmanager
def where(place: str) -> Iterator[None]:
    """Put ``place`` in front of the message of any :class:`SpredError` raised inside.

    >>> with where("golub.csv.gz"):
    ...     raise InputError("column 'clas' not found")
    Traceback (most recent call last):
    spred.errors.InputError: golub.csv.gz: column 'clas' not found
    """
    try:
        yield
    except SpredError as err:
        raise type(err)(f"{place}: {shortened(str(err))}") from err


def shortened(sentence: str) -> str:
    """Return a sentence without its middle where that is very long: a cell of a damaged file may have any length.

    >>> len(shortened("x" * 100_000))
    1003
    """
    if len(sentence) <= LONGEST_SENTENCE:
        return sentence
    half = LONGEST_SENTENCE // 2
    return f"{sentence[:half]} … {sentence[-half:]}"


def did_you_mean(name: str, known: object) -> str:
    """Return ``"; did you mean 'class'?"`` for the known name nearest to ``name``, or an empty string."""
    names = [str(k) for k in known]  # type: ignore[attr-defined]
    lowered = {n.lower(): n for n in names}
    near = get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return f"; did you mean {lowered[near[0]]!r}?" if near else ""


def first_line(err: BaseException) -> str:
    r"""Return the first line of another library's message for a sentence, control characters written out; or its kind.

    >>> first_line(ValueError("bad \x1b[31mname\n  at line 3")), first_line(KeyError())
    ('bad \\x1b[31mname', 'KeyError')
    """
    line = next(iter(str(err).strip().splitlines()), "") or type(err).__name__
    line = line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
