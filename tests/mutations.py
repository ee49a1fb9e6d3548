"""Damaged copies of a file's content, the same in every run: for loaders that must give a value or one sentence."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from spred.errors import SpredError


def mutations(content: bytes, n: int, seed: int = 0) -> Iterator[bytes]:
    """Give ``n`` copies, each with bits turned, bytes set, cut out, put in or moved, or cut short."""
    rng = random.Random(seed)
    changes = (_turn, _set, _cut_out, _put_in, _cut_short, _move)
    for _ in range(n):
        made = bytearray(content)
        change = rng.choice(changes)
        for _ in range(rng.choice((1, 1, 2, 5))):
            if made:
                change(made, rng.randrange(len(made)), rng)
        yield bytes(made)


def outcomes(content: bytes, n: int, load: Callable[[bytes], object], seed: int = 0) -> tuple[int, int]:
    """Load ``n`` damaged copies; return how many gave a value, and how many one sentence. Other errors pass."""
    values, said = 0, []
    for one in mutations(content, n, seed):
        try:
            load(one)
            values += 1
        except SpredError as err:
            said.append(str(err))
    assert [text for text in said if not text.isprintable()] == []  # control characters, a second line
    return values, n - values


def _turn(made: bytearray, at: int, rng: random.Random) -> None:
    made[at] ^= 1 << rng.randrange(8)


def _set(made: bytearray, at: int, rng: random.Random) -> None:
    made[at] = rng.choice(b'\x00\xff\x7f\x80-9",\ne[{')


def _cut_out(made: bytearray, at: int, rng: random.Random) -> None:
    del made[at : at + rng.choice((1, 2, 8, 64))]


def _put_in(made: bytearray, at: int, rng: random.Random) -> None:
    made[at:at] = rng.randbytes(rng.choice((1, 4, 16)))


def _cut_short(made: bytearray, at: int, rng: random.Random) -> None:
    del made[at:]


def _move(made: bytearray, at: int, rng: random.Random) -> None:
    start, length = rng.randrange(len(made)), rng.choice((1, 4, 32))
    made[at : at + length] = made[start : start + length]
