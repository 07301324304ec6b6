"""A venue of thirty lines for tests of the hosting: it echoes, and tells everybody else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import attrs

from trioflex.simulator import Link


@attrs.define(eq=False)
class EchoPeer:
    """Answers ``{"method": ..., "n": ...}`` with the same ``n``.

    ``"Shout"`` also sends the notices ``["heard", n, 1]`` and ``["heard", n, 2]`` to everybody,
    the asker included; ``"Leave"`` asks for a Close with code 4000; ``"Crash"`` meets a bug.
    """

    model: EchoModel
    link: Link

    def opened(self) -> None:
        self.link.send('["welcome"]')

    def received(self, frame: str) -> Sequence[str]:
        try:
            request = json.loads(frame)
            n, method = int(request["n"]), request["method"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return ['["what?"]']
        self.model.executed.append(n)
        match method:
            case "Shout":
                for part in (1, 2):
                    self.model.tell(f'["heard",{n},{part}]')
            case "Leave":
                self.link.close(4000, "as you wish")
            case "Crash":
                raise KeyError("a bug of the model")
        return [f'["echo",{n}]']

    def method_of(self, frame: str) -> str:
        try:
            method = json.loads(frame)["method"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return ""
        return method if isinstance(method, str) else ""

    def refusal(self, frame: str, code: str, message: str) -> str:
        return json.dumps(["refused", json.loads(frame)["n"], code, message])

    def closed(self) -> None:
        self.model.peers.remove(self)


@attrs.define(eq=False)
class EchoModel:
    """What all connections of the echo venue share."""

    name: str = "echo"
    idle_timeout: float | None = None
    peers: list[EchoPeer] = attrs.field(factory=list)
    executed: list[int] = attrs.field(factory=list)
    turns: int = 0

    def connect(self, link: Link) -> EchoPeer:
        peer = EchoPeer(self, link)
        self.peers.append(peer)
        return peer

    def credentials(self) -> Mapping[str, str]:
        return {"ECHO_USER": "1"}

    def trade(self) -> float:
        self.turns += 1
        self.tell(f'["turn",{self.turns}]')
        return 0.5

    def tell(self, frame: str) -> None:
        for peer in list(self.peers):
            peer.link.send(frame)


def ask(n: int, method: str = "Echo") -> str:
    """Return a request of the echo venue."""
    return json.dumps({"method": method, "n": n})
