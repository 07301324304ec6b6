"""The lines of a tape: what they hold, how they are read, and what is said of broken ones."""

from __future__ import annotations

import gzip
import importlib
import lzma
import os
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, cast

import attrs
import msgspec

from .. import LocalProtocolError

VERSION = 1
"""Of the format. Fields that are added do not change it, because unknown ones are passed over."""

LONGEST_LINE = 64 * 1024 * 1024
"""Characters: several times the largest message that any venue may send, escaped."""


class TapeError(LocalProtocolError):
    """A tape cannot be read, or cannot be played.

    Attributes:
        line: the number of the line that is wrong, from 1 on; ``None``: no single one is.
    """

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class TapeHead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first line: what was recorded, when, with what."""

    version: int = msgspec.field(name="tape")
    """Of the format: 1."""
    venue: str
    """Its name."""
    started: str
    """When the recording began: UTC, as in ``2020-03-01T00:00:00.000Z``."""
    trioflex: str
    """The version that recorded it."""
    channels: list[str] = []
    """What was asked for, as it is spelt at the command line, where the recorder was told."""


class TapeFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A message that passed."""

    t: float
    """Seconds since the recording began."""
    n: int
    """The connection, from 1 on, attempts that failed included."""
    dir: Literal["<", ">"]
    """``<``: from the venue; ``>``: to it."""
    frame: str
    """Its text, without its secrets."""


class TapeMark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened between messages."""

    t: float
    """Seconds since the recording began."""
    n: int = 0
    """The connection; 0: none."""
    mark: str
    """``opened``, ``ready``, ``failed`` (the attempt at a connection), ``lost``, ``closed`` (by the
    client), ``dropped`` (messages that could not be kept), ``end`` (of the recording)."""
    reason: str = ""
    """Of ``failed`` and ``lost``: why."""
    code: int | None = None
    """Of ``lost``: the venue's close code, if it sent one."""
    count: int = 0
    """Of ``dropped``: how many messages."""
    account: str = ""
    """Of ``ready``: who was logged in, if anybody was."""


def utc(epoch_ms: int) -> str:
    """Return a time of day as the head has it."""
    time = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


TapeEntry: TypeAlias = TapeFrame | TapeMark


@attrs.frozen
class Tape:
    """A tape that was read."""

    head: TapeHead
    entries: tuple[TapeEntry, ...] = attrs.field(repr=False)
    """In the order of recording."""

    @property
    def epoch_ms(self) -> int:
        """When the recording began, in milliseconds since 1970-01-01 UTC."""
        return round(datetime.fromisoformat(self.head.started).timestamp() * 1000)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.entries[-1].t if self.entries else 0.0

    @property
    def frames(self) -> tuple[TapeFrame, ...]:
        """The messages alone."""
        return tuple(entry for entry in self.entries if isinstance(entry, TapeFrame))

    @property
    def account(self) -> str:
        """Who was logged in, empty if nobody was."""
        return next((e.account for e in self.entries if isinstance(e, TapeMark) and e.account), "")

    @property
    def connections(self) -> tuple[tuple[TapeEntry, ...], ...]:
        """What happened on each connection that was open, in order."""
        found: dict[int, list[TapeEntry]] = {}
        for entry in self.entries:
            if entry.n:
                found.setdefault(entry.n, []).append(entry)
        opened = (entries for entries in found.values() if not _failed(entries))
        return tuple(tuple(entries) for entries in opened)


class _Line(msgspec.Struct):
    """Any line but the first, before it is known what it is."""

    t: float
    n: int = 0
    dir: Literal["<", ">"] | None = None
    frame: str | None = None
    mark: str | None = None
    reason: str = ""
    code: int | None = None
    count: int = 0
    account: str = ""


_HEAD = msgspec.json.Decoder(TapeHead)
_LINE = msgspec.json.Decoder(_Line)


def read_tape(path: str | os.PathLike[str], *, partial: bool = False) -> Tape:
    """Read a whole tape.

    It reads a file and does not yield to Trio meanwhile: a second for some 100 MB.

    Args:
        path: of the file; one whose name ends in ``.gz``, ``.xz`` or ``.zst`` is decompressed.
        partial: take what is whole of a tape that was cut off, as by a crash.

    Raises:
        TapeError: it cannot be read, or is no tape. The sentence names the line and the field.
    """
    file = Path(path)
    head: TapeHead | None = None
    entries: list[TapeEntry] = []
    number, last = 0, 0.0
    try:
        for number, line in enumerate(_lines(file), 1):
            if head is None:
                head = _read_head(file, line)
                continue
            if partial and not line.endswith("\n"):
                break
            entry = _read_entry(file, number, line)
            if entry.t < last:
                raise _broken(
                    file, number, f"its time {entry.t:g} lies before the one before it, {last:g}"
                )
            last = entry.t
            entries.append(entry)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, UnicodeDecodeError) as wrong:
        if not (partial and head is not None and _is_cut_off(wrong)):
            raise TapeError(f"{file} cannot be read: {_explain(wrong, number)}.") from wrong
    if head is None:
        raise TapeError(f"{file} is empty: no tape was written into it.", line=1)
    return Tape(head, tuple(entries))


def open_tape_file(path: Path, mode: str) -> IO[str]:
    """Open a tape as text, compressed as its name says.

    Args:
        path: of the file.
        mode: ``"r"``, ``"w"`` or ``"x"``.

    Raises:
        TapeError: this Python cannot compress in that way.
        OSError: the file cannot be opened.
    """
    how: dict[str, Any] = {"encoding": "utf-8", "newline": "\n"}
    match path.suffix:
        case ".gz":
            return cast("IO[str]", gzip.open(path, mode + "t", **how))
        case ".xz":
            return cast("IO[str]", lzma.open(path, mode + "t", **how))
        case ".zst":
            try:
                zstd = importlib.import_module("compression.zstd")
            except ModuleNotFoundError:
                raise TapeError(
                    f"{path} needs Python 3.14 or later, for zstd; take a name that ends in .xz or "
                    ".gz, or compress it with other means."
                ) from None
            return cast("IO[str]", zstd.open(path, mode + "t", **how))
    return path.open(mode, **how)


def _lines(path: Path) -> Iterator[str]:
    with open_tape_file(path, "r") as file:
        while line := file.readline(LONGEST_LINE):
            yield line


def _read_head(path: Path, line: str) -> TapeHead:
    try:
        head = _HEAD.decode(line)
    except (msgspec.MsgspecError, UnicodeError) as wrong:
        raise TapeError(
            f"{path} is no tape: its first line is no head ({wrong}). `trioflex record` writes "
            "tapes.",
            line=1,
        ) from None
    if head.version != VERSION:
        raise TapeError(
            f"{path} is a tape of version {head.version}; this trioflex reads version {VERSION}. "
            "Install a newer one.",
            line=1,
        )
    try:
        datetime.fromisoformat(head.started)
    except ValueError:
        raise _broken(
            path, 1, f"`started` is a time as in {utc(0)}, not {head.started!r}"
        ) from None
    return head


def _read_entry(path: Path, number: int, line: str) -> TapeEntry:
    try:
        found = _LINE.decode(line)
    except (msgspec.MsgspecError, UnicodeError) as wrong:
        if not line.endswith("\n"):
            raise TapeError(
                f"{path}, line {number}: the tape was cut off here, as by a crash while it was "
                "recorded. What came before can be had with --partial (partial=True).",
                line=number,
            ) from None
        raise _broken(path, number, str(wrong)) from None
    if found.mark is not None:
        return TapeMark(
            t=found.t,
            n=found.n,
            mark=found.mark,
            reason=found.reason,
            code=found.code,
            count=found.count,
            account=found.account,
        )
    if found.frame is None:
        raise _broken(path, number, "it has neither `frame` nor `mark`")
    if found.dir is None:
        raise _broken(path, number, 'a frame needs `dir`, which is "<" or ">"')
    if found.n < 1:
        raise _broken(path, number, "a frame needs `n`, the number of its connection, from 1 on")
    return TapeFrame(t=found.t, n=found.n, dir=found.dir, frame=found.frame)


def _broken(path: Path, number: int, why: str) -> TapeError:
    return TapeError(f"{path}, line {number}: {why}. Mend the line, or delete it.", line=number)


def _is_cut_off(wrong: Exception) -> bool:
    """Return whether a tape ends too early, within compressed data or within a character."""
    if isinstance(wrong, UnicodeDecodeError):
        return wrong.reason == "unexpected end of data"
    return isinstance(wrong, EOFError)


def _explain(wrong: Exception, lines: int) -> str:
    if _is_cut_off(wrong):
        if not lines:
            return "it is cut off within its first line, so nothing of it can be had"
        return (
            f"it is cut off after line {lines}; what came before can be had with --partial "
            "(partial=True)"
        )
    if isinstance(wrong, UnicodeDecodeError):
        return f"what follows line {lines} is not UTF-8 text"
    if isinstance(wrong, OSError) and wrong.strerror:
        return wrong.strerror
    return f"its compressed data is broken ({wrong})"


def _failed(entries: list[TapeEntry]) -> bool:
    return not any(isinstance(e, TapeFrame) or e.mark == "opened" for e in entries)
