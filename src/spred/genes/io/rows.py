"""The cells of every row of separated text, counted while pandas reads it.

pandas fills a row that is too short with gaps, so that a cell that was lost moves all values behind it to the gene or
sample on their left, and a file that was cut short passes. :class:`CountedRows` stands between the file and pandas: it
hands the bytes on, and refuses the first row whose number of cells is not the header's.

Most bytes are looked at by a few passes of NumPy. Blocks whose quotes do not simply enclose cells are parsed by
:mod:`csv`, whose rules for quotes are those of pandas.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from spred.errors import FileError
from spred.report.wording import count

NEWLINE, QUOTE = 10, 34
NEVER_CLOSED = "opens a quote that is not closed; close it, or take it out"

LONGEST_QUOTE = 16 * 2**20
"""Bytes that a row with quoted line breaks may have. More is a quote that was never closed; each further megabyte is
looked at again with every block that arrives."""

MANY = 8
"""Quoted bytes, as one in so many, up to which they are looked at one by one; from there a pass over all is quicker."""

LONG_LINE = 500
"""Bytes from which a line is long: looking for its end takes longer than comparing so many bytes with a line break."""

END_OF_BLOCK = "\x01"
"""A row behind a block that is parsed by :mod:`csv`: where it does not come out, a quote is still open."""


class CountedRows:
    """Rows of text on their way to pandas, which reads this as it reads a file.

    Args:
        read: gives so many characters or bytes of the file, and none at its end.
        separator: between cells.
        header: cells of the header.
        before: lines up to the end of the header.
        gone: how many of them were read already.
        quoted: whether a cell in quotes may hold separators and line breaks.
        end: the line that ends the table, for formats that have one.

    Attributes:
        width: cells of each row, ``header`` or one more; 0 before the first.
        trailing: whether the last cell of each row is empty.
        complete: whether the last line ended with a line break.
    """

    def __init__(
        self,
        read: Callable[[int], str | bytes],
        separator: str,
        header: int,
        *,
        before: int,
        gone: int = 0,
        quoted: bool = True,
        end: str | None = None,
    ) -> None:
        self._source, self._separator, self._quoted = read, separator, quoted
        self._header, self._line, self._end = header, before + 1, end and end.encode()
        self._before = before - gone
        self._blank = (separator + ' \t"' if quoted else separator + " \t").encode()
        self._waiting: list[bytes] = []  # of a row whose end has not come yet
        self._return = b""  # a carriage return whose line feed may come next
        self._check = codecs.getincrementaldecoder("utf-8")()
        self._ended = False
        self.width, self.trailing, self.complete = 0, True, True

    def __iter__(self) -> Iterator[bytes]:  # what pandas takes for a file has it
        return iter(lambda: self.read(), b"")

    def read(self, size: int = 2**18) -> bytes:
        """Return the next bytes as UTF-8, with plain line breaks.

        Raises:
            FileError: a row has more or fewer cells than the header.
            UnicodeDecodeError: bytes that are no UTF-8.
        """
        found, data = self._source(size), b""
        while found and not (data := self._behind_header(self._plain(found))):
            found = self._source(size)
        if not found:
            data = self._plain(found)
        if not data:
            self._finish()
            return b""
        cut = data.rfind(b"\n") + 1
        if not cut:
            self._waiting.append(data)
            return data
        block = b"".join([*self._waiting, data[:cut]])
        rest = self._count(block)
        if len(rest) > LONGEST_QUOTE:
            raise FileError(f"line {self._line} {NEVER_CLOSED}")
        self._waiting = [part for part in (rest, data[cut:]) if part]
        return data

    def _plain(self, found: str | bytes) -> bytes:
        """Return what was read as UTF-8 with the line breaks of Unix, be they those of Windows or of an old Mac."""
        data = found.encode() if isinstance(found, str) else found
        if isinstance(found, bytes) and (self._check.getstate()[0] or not data.isascii() or not data):
            self._check.decode(data, final=not data)
        if not self._return and b"\r" not in data:
            return data
        data = self._return + data
        self._return = b"\r" if found and data.endswith(b"\r") else b""
        return data[: len(data) - len(self._return)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _behind_header(self, data: bytes) -> bytes:
        """Leave out the lines of the header, as far as they are still to come."""
        start = 0
        while self._before and (start := data.find(b"\n", start) + 1):
            self._before -= 1
        return b"" if self._before else data[start:]

    def _finish(self) -> None:
        """Count the cells of a last line without a line break."""
        block = b"".join(self._waiting)
        self._waiting = []
        if not block:
            return
        self.complete = block.endswith(b"\n")
        if self._count(block if self.complete else block + b"\n"):
            raise FileError(f"line {self._line} {NEVER_CLOSED}")

    def _count(self, block: bytes) -> bytes:
        """Compare the rows of a block that begins a row; return the last one where its quote is open."""
        if self._ended:
            return b""
        found = masks(block, ord(self._separator), quoted=self._quoted)
        if found is None:
            return self._parse(block)
        self._compare(block, *found)
        self._line += len(found[1])
        return b""

    def _compare(self, block: bytes, separators: np.ndarray, ends: np.ndarray) -> None:
        """Compare the number of cells of each row, whose separators and ends are known.

        Separators are counted in bytes, which is quick, so modulo 256; all of them together are counted too, and pandas
        itself refuses a row that is too long.
        """
        starts = np.concatenate([[0], ends[:-1] + 1])
        if not self.width:
            first = next((i for i, a in enumerate(starts) if self._is_filled(block[a : ends[i]])), None)
            if first is None or self._is_end(block[starts[first] : ends[first]]):
                return
            n_first = int(np.count_nonzero(separators[starts[first] : ends[first]])) + 1
            self._begin(n_first, block[: starts[first]].count(b"\n"))
        counted = np.add.reduceat(separators.view(np.uint8), starts, dtype=np.uint8)
        wrong = counted != (self.width - 1) % 256
        if not wrong.any() and np.count_nonzero(separators) != (self.width - 1) * len(ends):
            wrong[:] = True
        for i in np.flatnonzero(wrong & (ends > starts)).tolist():
            row, cells = block[starts[i] : ends[i]], int(np.count_nonzero(separators[starts[i] : ends[i]])) + 1
            if cells == self.width or (cells < self.width and not self._is_filled(row)):
                continue
            if self._is_end(row):
                return
            self._refuse(cells, block[: starts[i]].count(b"\n"), last=not self.complete and ends[i] == len(block) - 1)
        if self.trailing:
            last = np.frombuffer(block, np.uint8)[np.maximum(ends - 1, 0)]
            others = (block[starts[i] : ends[i]] for i in np.flatnonzero(last != ord(self._separator)))
            self.trailing = not any(self._is_filled(row) and not self._is_end(row) for row in others)

    def _parse(self, block: bytes) -> bytes:
        """Compare the rows of a block that :mod:`csv` takes apart; return the last one where its quote is open."""
        reader = csv.reader(io.StringIO(block.decode() + END_OF_BLOCK, newline=""), delimiter=self._separator)
        at, rows = 0, []
        try:
            for cells in reader:
                rows.append((at, cells))
                at = reader.line_num
        except csv.Error as err:
            line = self._line + at
            raise FileError(f"line {line} cannot be parsed, {err}: close the quote that is open there") from err
        begun, last = rows.pop()
        lines = block.split(b"\n")
        for (at, cells), (after, _) in pairwise([*rows, (begun, last)]):
            row = self._separator.join(cells).encode()
            if not self._is_filled(row) and len(cells) <= max(self.width, 1):
                continue
            if self._is_end(row):
                break
            if not self.width:
                self._begin(len(cells), at)
            if len(cells) != self.width:
                self._refuse(len(cells), at, last=False)
            if after > at + 1:
                self._refuse_swallowed(b"\n".join(lines[at:after]), cells, at)
            self.trailing &= cells[-1] == ""
        self._line += begun
        return b"" if last == [END_OF_BLOCK] else b"\n".join(lines[begun:])

    def _refuse_swallowed(self, text: bytes, cells: list[str], at: int) -> None:
        """Raise an error for a cell with line breaks that holds whole rows: its quote was not meant to open one.

        Then what stands behind the next quote is parsed, not as its own row, but as the rest of this one.
        """
        per_line = self.width - 1
        try:
            next(csv.reader(io.StringIO(text.decode(), newline=""), delimiter=self._separator, strict=True))
            swallowed = any((n := cell.count("\n")) and cell.count(self._separator) == n * per_line for cell in cells)
        except csv.Error:
            swallowed = True
        if swallowed:
            first, n_more = self._line + at, text.count(b"\n")
            raise FileError(f"line {first} opens a quote that holds the rows up to line {first + n_more}; take it out")

    def _is_filled(self, row: bytes) -> bool:
        """Return whether a cell of a row holds anything."""
        return bool(row.strip(self._blank))

    def _is_end(self, row: bytes) -> bool:
        """Return whether the table ends here; what comes behind is not compared."""
        self._ended |= row == self._end
        return self._ended

    def _begin(self, cells: int, after: int) -> None:
        """Take the width of the first row, so many lines into its block; the header may have a cell less."""
        if cells not in (self._header, self._header + 1):
            self._refuse(cells, after, last=False)
        self.width, self._first = cells, self._line + after

    def _refuse(self, cells: int, after: int, *, last: bool) -> None:
        """Say which row has how many cells; where it has as many as the header, the first row has one more."""
        what = f"line {self._line + after} has {count(cells, 'cell')}"
        if cells == self._header:
            what = f"line {self._first} has {count(self.width, 'cell')} but line {self._line + after} has {cells}"
        what += f", and the header has {self._header}"
        if last:
            raise FileError(f"{what}: the file is cut short; copy or download it again")
        raise FileError(f"{what}; correct the line, or take out what is no part of the table")


def masks(block: bytes, separator: int, *, quoted: bool = True) -> tuple[np.ndarray, np.ndarray] | None:
    """Return which bytes separate cells, and where the rows end; with ``quoted`` those outside quotes.

    None where quotes are not in pairs around whole cells, or hold line breaks: that takes a parser.

    >>> found = masks(b'"a,b",1\\n', ord(","))
    >>> found[0].nonzero()[0].tolist(), found[1].tolist()
    ([5], [7])
    >>> masks(b'5" long,1\\n', ord(",")) is None
    True
    """
    cells = np.frombuffer(block, np.uint8)
    separators = cells == separator
    if not quoted or b'"' not in block:
        return separators, line_ends(block)
    newlines = cells == NEWLINE
    quotes = np.flatnonzero(cells == QUOTE)
    if len(quotes) % 2:
        return None
    opening, closing = quotes[::2], quotes[1::2]
    before, behind = cells[np.maximum(opening - 1, 0)], cells[closing + 1]
    doubled = opening[1:] == closing[:-1] + 1  # two quotes that stand for one inside a cell
    opens = (before == separator) | (before == NEWLINE) | (opening == 0)
    closes = (behind == separator) | (behind == NEWLINE)
    if not ((opens[1:] | doubled).all() and opens[0] and (closes[:-1] | doubled).all() and closes[-1]):
        return None
    lengths = closing - opening
    total = int(lengths.sum())
    if total * MANY > len(cells):
        outside = np.bitwise_xor.accumulate((cells == QUOTE).view(np.uint8)) == 0
        ends = np.flatnonzero(newlines & outside)
        return (separators & outside, ends) if len(ends) == np.count_nonzero(newlines) else None
    inside = np.arange(total) + np.repeat(opening - np.cumsum(lengths) + lengths, lengths)
    separators[inside] = False
    return None if newlines[inside].any() else (separators, np.flatnonzero(newlines))


def line_ends(block: bytes) -> np.ndarray:
    """Return where the lines of a block end; with few long lines, it is quicker to look for one after the other.

    >>> line_ends(b"ab\\nc\\n").tolist()
    [2, 4]
    """
    at = block.find(b"\n")
    if at < LONG_LINE:
        return np.flatnonzero(np.frombuffer(block, np.uint8) == NEWLINE)
    ends = []
    while at >= 0:
        ends.append(at)
        at = block.find(b"\n", at + 1)
    return np.array(ends)
