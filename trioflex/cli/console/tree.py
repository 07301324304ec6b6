"""The tasks that run now, and the queues between them, as lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

import trioflex

from ..spelling import spell_request
from .following import Following
from .link import Link


class Births(trio.abc.Instrument):
    """Remembers when tasks began; Trio itself does not."""

    def __init__(self) -> None:
        self._began: dict[trio.lowlevel.Task, float] = {}
        self._installed = 0.0

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Watch for new tasks while the block runs; those that are there begin now."""
        self._installed = trio.current_time()
        trio.lowlevel.add_instrument(self)
        try:
            yield
        finally:
            trio.lowlevel.remove_instrument(self)

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        """Remember it."""
        self._began[task] = trio.current_time()

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        """Forget it."""
        self._began.pop(task, None)

    def age(self, task: trio.lowlevel.Task) -> float:
        """Return the seconds since a task began."""
        return trio.current_time() - self._began.get(task, self._installed)


def tasks(root: trio.lowlevel.Task, births: Births) -> list[str]:
    """Return a task and all below it, one line each, with their ages."""
    walked = _walk(root, births, "", "", name="console")
    return [f"{head:<58}{_age(age):>12}".rstrip() for head, age in walked]


def queues(link: Link, following: Following) -> list[str]:
    """Return what waits: requests, and items of channels."""
    client = link.client
    if client is None:
        return ["no client"]
    counts = client.statistics()
    lines = [
        f"requests: {counts.queued} queued (at most {counts.queue_peak}), "
        f"{counts.in_flight} unanswered, {counts.unsettled} of unknown outcome",
        *unsettled(client),
    ]
    now = trio.current_time()
    for name, subscription in following.running.items():
        each = subscription.receiver.statistics()
        newest = following.newest(name)
        lines.append(
            f"{name}: {each.buffered} of {each.buffer} waiting (at most {each.peak}), "
            f"{each.received} received, {each.dropped} dropped, {each.gaps} gaps; on for "
            f"{_age(now - subscription.since)}, newest "
            f"{'-' if newest is None else _age(now - newest) + ' ago'}"
        )
    return lines


def unsettled(client: trioflex.Client) -> list[str]:
    """Return the requests whose outcome nobody knows, oldest first."""
    return [f"outcome unknown: {spell_request(ticket.request)}" for ticket in client.unsettled]


def _walk(
    task: trio.lowlevel.Task, births: Births, first: str, rest: str, *, name: str = ""
) -> Iterator[tuple[str, float]]:
    yield first + (name or _name(task)), births.age(task)
    below = [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    below.sort(key=lambda child: -(births.age(child)))
    for child in below:
        last = child is below[-1]
        yield from _walk(
            child, births, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  ")
        )


def _name(task: trio.lowlevel.Task) -> str:
    """Return a task's name: ours as they are, a function's without its modules."""
    name = task.name
    if " " in name:
        return name
    return ".".join(part for part in name.split(".")[-2:] if part != "<locals>")


def _age(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, left = divmod(int(seconds), 60)
    return f"{minutes} min {left} s"
