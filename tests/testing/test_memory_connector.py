"""The memory connector: exact, transparent, and quick to blame the right side."""

from __future__ import annotations

import pytest
import trio
from trio.testing import lockstep_stream_pair

from trioflex import ConnectFailed, Target, trio_websocket_connector, websocket_connector
from trioflex.testing import ScriptedPeer, memory_connector

TARGET = Target(url="wss://venue.example/")
both = pytest.mark.parametrize("via", [websocket_connector, trio_websocket_connector])


async def greet(stream):
    peer = ScriptedPeer(stream)
    await peer.accept()
    await peer.send_text("hello")
    await peer.receive_frame()
    await peer.send_close()


async def silent(stream):
    await ScriptedPeer(stream).accept()
    await trio.sleep_forever()


async def first_messages(transport):
    while not (messages := await transport.receive()):
        pass
    return messages


@both
async def test_each_connection_has_a_peer_of_its_own(via, autojump_clock):
    """Several at once, and again after one is over; no time passes."""
    connector = memory_connector(greet, via=via)
    async with connector(TARGET) as one, connector(TARGET) as two:
        assert [b"hello"] == await first_messages(one)
        assert [b"hello"] == await first_messages(two)
    async with connector(TARGET) as three:
        assert [b"hello"] == await first_messages(three)
    assert 0 == trio.current_time()


@both
async def test_a_failing_peer_ends_the_block_with_its_own_exception(via, autojump_clock):
    """Not with the symptom it causes, and not in a group."""
    error = KeyError("the script is wrong")

    async def serve(stream):
        await ScriptedPeer(stream).accept()
        raise error

    with pytest.raises(KeyError) as caught:
        async with memory_connector(serve, via=via)(TARGET) as transport:
            await transport.receive()
            await trio.sleep_forever()
    assert error is caught.value
    assert error.__context__ is None


async def test_a_peer_that_fails_before_the_upgrade_is_blamed(autojump_clock):
    """Instead of a connection that could not be opened."""

    async def serve(stream):
        raise KeyError("at once")

    with pytest.raises(KeyError, match="at once"):
        async with memory_connector(serve)(TARGET):
            pytest.fail("it opened")


async def test_a_peer_that_fails_on_what_came_last_is_blamed(autojump_clock):
    """Assertions about the Close count, too."""

    async def serve(stream):
        peer = ScriptedPeer(stream)
        await peer.accept()
        frame = await peer.receive_frame()
        await peer.send_close()
        assert b"" == frame.payload, "the Close should have been empty"

    with pytest.raises(AssertionError, match="should have been empty"):
        async with memory_connector(serve)(TARGET):
            pass


async def test_a_peer_reads_to_the_end_before_it_is_cancelled(autojump_clock):
    """What was sent last is seen, although nobody waits for the peer."""
    seen = []

    async def serve(stream):
        peer = ScriptedPeer(stream)
        await peer.accept()
        await peer.receive_frame()
        await peer.send_close()
        seen.append(await peer.receive_all())
        await trio.sleep_forever()

    async with memory_connector(serve)(TARGET):
        pass
    assert [[]] == seen


@both
async def test_the_blocks_exception_goes_first_and_names_the_peers(via, autojump_clock):
    """Two failures: one exception, one note."""
    error = ValueError("mine")

    async def serve(stream):
        await silent_until_cancelled(stream)

    async def silent_until_cancelled(stream):
        try:
            await silent(stream)
        except trio.Cancelled:
            raise KeyError("cleaning up went wrong") from None

    with pytest.raises(ValueError, match="mine") as caught:
        async with memory_connector(serve, via=via)(TARGET):
            raise error
    assert error is caught.value
    assert any("cleaning up went wrong" in note for note in error.__notes__)


async def test_groups_are_passed_on_as_they_are(autojump_clock):
    """The block's group, and the peer's."""
    mine = ExceptionGroup("mine", [ValueError("a")])
    with pytest.RaisesGroup(ValueError) as caught:
        async with memory_connector(silent)(Target(url="ws://x/", close_timeout=1)):
            raise mine
    assert mine is caught.value

    async def serve(stream):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(silent, stream)
            await trio.sleep(1)
            raise OSError("theirs")

    with pytest.RaisesGroup(OSError):
        async with memory_connector(serve)(TARGET):
            await trio.sleep_forever()


@both
async def test_a_cancelled_block_is_just_cancelled(via, autojump_clock):
    """The caught scope goes on, at once."""
    with trio.move_on_after(5) as scope:
        async with memory_connector(silent, via=via)(TARGET):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert 5 == trio.current_time()


@both
async def test_an_interrupt_in_the_peer_reaches_the_program(via, autojump_clock):
    """KeyboardInterrupt is nobody's to keep, nor does a stray Cancelled come out."""

    async def serve(stream):
        await ScriptedPeer(stream).accept()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        async with memory_connector(serve, via=via)(TARGET):
            await trio.sleep_forever()


async def test_a_peer_that_returns_ends_the_stream(autojump_clock):
    """As a server does that closes its socket."""

    async def serve(stream):
        await ScriptedPeer(stream).read_request()

    with pytest.raises(ConnectFailed, match="closed the connection"):
        async with memory_connector(serve)(TARGET):
            pytest.fail("it opened")


@both
async def test_streams_of_ones_own_choice(via, autojump_clock):
    """Lockstep streams: a send waits for its receiver."""
    async with memory_connector(silent, via=via, streams=lockstep_stream_pair)(TARGET) as transport:
        with trio.move_on_after(1) as scope:
            await transport.send(["not read"])
        assert scope.cancelled_caught


async def test_a_program_without_strict_groups_sees_the_same(autojump_clock):
    """Our control flow does not depend on the caller's setting."""
    # X9

    async def main():
        async with memory_connector(greet)(TARGET):
            raise KeyError("mine")

    def run():
        with pytest.raises(KeyError):
            trio.run(main, strict_exception_groups=False)

    with pytest.warns(trio.TrioDeprecationWarning):
        await trio.to_thread.run_sync(run)
