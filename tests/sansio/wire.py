"""Frames as RFC 6455 draws them, for tests: written apart from the code under test."""

from __future__ import annotations

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def server_frame(opcode, payload=b"", *, fin=True, rsv=0, mask=False, announced=None, size=None):
    """One frame of a server, legal or not.

    ``announced`` is the length in the header (default: the payload's), ``size`` how many bytes
    the length takes (default: as few as possible).
    """
    length = len(payload) if announced is None else announced
    if size is None:
        size = 0 if length < 126 else 2 if length < 65536 else 8
    seven = length if size == 0 else 126 if size == 2 else 127
    head = bytes([fin << 7 | rsv << 4 | opcode, mask << 7 | seven])
    head += length.to_bytes(size, "big") if size else b""
    if mask:
        head += b"\0\0\0\0"
    return head + payload


def close_payload(code, reason=""):
    return code.to_bytes(2, "big") + reason.encode()


def client_frames(data):
    """Take the masked frames of a client apart: ``[(first byte, key, clear payload)]``."""
    found = []
    while data:
        assert data[1] & 0x80, "not masked"
        length, at = data[1] & 0x7F, 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(data[2 : 2 + size], "big"), 2 + size
        key, payload = data[at : at + 4], data[at + 4 : at + 4 + length]
        assert length == len(payload), "torn"
        found.append((data[0], key, bytes(b ^ key[i % 4] for i, b in enumerate(payload))))
        data = data[at + 4 + length :]
    return found
