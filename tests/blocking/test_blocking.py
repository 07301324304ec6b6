"""The blocking facade over real threads and sockets, against an exchange in another thread."""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
import threading
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trio

import trioflex
from trioflex import (
    AuthenticationDenied,
    ConnectFailed,
    ConnectionLost,
    Gap,
    GapReason,
    LocalProtocolError,
    NotSent,
    OutcomeUnknown,
    Overflow,
    Reconnect,
    Refused,
    Resumed,
    TicketState,
    Timeouts,
    blocking,
)
from trioflex.venues import coinflex

TICKER = coinflex.Ticker("XBT", "USDT")
BOOK = coinflex.OrderBook("XBT", "USDT")
ORDER = coinflex.PlaceOrder("XBT", "USDT", "0.01", 1000, tonce=77)
SOON = Reconnect(base=0.05)


@pytest.fixture
def exchange():
    with blocking.open_exchange("coinflex") as exchange:
        yield exchange


@pytest.fixture
def client(exchange):
    account = coinflex.Credentials.from_env(exchange.credentials)
    with blocking.open_client(
        coinflex.VENUE, url=exchange.url, credentials=account, reconnect=SOON
    ) as client:
        yield client


@pytest.fixture(autouse=True)
def no_thread_stays():
    """Whatever happens, the threads are gone when the blocks are."""
    yield
    assert [] == [each.name for each in threading.enumerate() if "trioflex" in each.name]


def read_all(receiver):
    """Read until nothing comes any more."""
    while True:
        receiver.receive(timeout=0.05)


def drop(exchange):
    exchange.do(lambda simulated: simulated.drop())


@contextmanager
def interrupted(*delays, at_once=True):
    """Press Ctrl-C so many seconds after the block began, and want to see it come out.

    Where not at once, the block says when the seconds begin, by calling what it is given.
    """

    over = False

    def press():
        if not over:  # not into the next test
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    timers = [threading.Timer(delay, press) for delay in delays]

    def begin():
        for timer in timers:
            timer.start()

    if at_once:
        begin()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield begin
    finally:
        over = True
        for timer in timers:
            timer.join()


def test_a_request_is_answered(client):
    """Calls return what the coroutines would."""
    assert client.ready
    assert client.account is not None
    assert {"XBT", "USDT"} <= {each.asset for each in client.request(coinflex.GetBalances())}
    assert 1 == client.statistics().connections


def test_a_subscription_is_iterated_over(client):
    """A receiver is an iterator; its markers can be left out."""
    with client.subscribe(TICKER) as receiver:
        assert TICKER == receiver.channel
        assert isinstance(next(receiver), coinflex.TickerSnapshot)
        for ticker in receiver.values():
            assert ticker.bid is not None
            break
        assert 2 <= receiver.statistics().received


def test_a_gap_is_in_line(client, exchange):
    """Losing the line is told where it happened, and everything goes on by itself."""
    with client.subscribe(TICKER) as receiver:
        next(receiver)
        drop(exchange)
        markers = []
        while len(markers) < 2:
            item = receiver.receive(timeout=5)
            if isinstance(item, Gap | Resumed):
                markers.append(item)
    gap, resumed = markers
    assert GapReason.DISCONNECTED is gap.reason
    assert resumed.snapshot


def test_the_newest_is_what_latest_gives(client, exchange):
    """Under ``LATEST`` no backlog is carried in the thread that reads."""
    with client.subscribe(TICKER, buffer=4, overflow=Overflow.LATEST) as receiver:
        next(receiver)
        exchange.do(lambda simulated: simulated.trade(200))
        deadline = time.monotonic() + 5
        while not receiver.statistics().conflated and time.monotonic() < deadline:
            time.sleep(0.01)
        assert receiver.statistics().conflated
        next(receiver)
        statistics = receiver.statistics()
        assert 2 == statistics.received - statistics.conflated - statistics.buffered


def test_nothing_comes_in_time(client, exchange):
    """A timeout is a ``TimeoutError``, and loses nothing."""
    with client.subscribe(coinflex.OwnOrders()) as receiver:
        with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
            read_all(receiver)
        placed = client.request(ORDER)
        assert placed.id == receiver.receive(timeout=5).id


def test_what_is_there_comes_without_waiting(client):
    """``receive(0)`` gives what has come, and else says at once that there is nothing."""
    with client.subscribe(BOOK, overflow=Overflow.LATEST) as receiver:
        assert isinstance(receiver.receive(0), coinflex.BookSnapshot)
    with client.subscribe(BOOK) as receiver:
        assert isinstance(receiver.receive(0), coinflex.BookSnapshot)
    with client.subscribe(coinflex.OwnOrders()) as receiver:
        with pytest.raises(TimeoutError):
            for _ in range(100):
                receiver.receive(0)


def test_waiting_for_ready_has_an_end(client):
    """``wait_ready(timeout)`` says that it was in vain."""
    client.wait_ready(timeout=1)
    client.disconnect()
    assert not client.ready
    with pytest.raises(TimeoutError, match="not ready within"):
        client.wait_ready(timeout=0.05)
    client.reconnect()
    client.wait_ready()


def test_errors_come_out_as_they_are(client, exchange):
    """A refusal, an order that was not sent: the types and their facts are those of trioflex."""
    with pytest.raises(Refused) as refused:
        client.request(coinflex.CancelOrder(1))
    assert trioflex.RefusalKind.NOT_FOUND is refused.value.kind
    client.disconnect()
    with pytest.raises(NotSent, match="there is no connection"):
        client.request(ORDER)
    assert 0 == exchange.do(lambda simulated: simulated.count("PlaceOrder"))


def test_a_client_that_cannot_open(exchange):
    """Nobody there, or the wrong account: the error of the opening, and no thread is left."""
    account = coinflex.Credentials.from_env({**exchange.credentials, "COINFLEX_COOKIE": "wrong"})
    with pytest.raises(AuthenticationDenied):
        with blocking.open_client(coinflex.VENUE, url=exchange.url, credentials=account):
            raise AssertionError("it opened")
    with pytest.raises(ConnectFailed):
        with blocking.open_client(coinflex.VENUE, url="ws://127.0.0.1:9/"):
            raise AssertionError("it opened")
    with pytest.raises(ValueError, match="no venue is named 'nowhere'"):
        with blocking.open_client("nowhere"):
            raise AssertionError("it opened")


def test_the_users_error_is_the_users(exchange):
    """What the block raises comes out as the same object."""
    mine = RuntimeError("mine")
    with pytest.raises(RuntimeError) as raised:
        with blocking.open_client(coinflex.VENUE, url=exchange.url):
            raise mine
    assert mine is raised.value
    assert not hasattr(mine, "__notes__")


def test_a_failure_for_good_comes_out_of_the_block(exchange):
    """The call that meets it is told; what leaves the block is the failure itself."""
    with pytest.raises(ConnectionLost):
        with blocking.open_client(
            coinflex.VENUE, url=exchange.url, reconnect=Reconnect.never()
        ) as client:
            with client.subscribe(TICKER) as receiver:
                drop(exchange)
                for _ in receiver:
                    pass
                raise AssertionError("it ended as if the client had been closed")


def test_a_failure_nobody_met_comes_out_as_well(exchange):
    """A block that was busy elsewhere learns of it at its end; its own error gets a note."""
    with pytest.raises(ConnectionLost):
        with blocking.open_client(
            coinflex.VENUE, url=exchange.url, reconnect=Reconnect.never()
        ) as client:
            drop(exchange)
            while client.ready:
                time.sleep(0.01)
    with pytest.raises(RuntimeError) as raised:
        with blocking.open_client(
            coinflex.VENUE, url=exchange.url, reconnect=Reconnect.never()
        ) as client:
            drop(exchange)
            while client.ready:
                time.sleep(0.01)
            raise RuntimeError("mine")
    assert raised.value.__notes__[0].startswith("While the client was failing: ")


def test_an_unknown_outcome_and_its_ticket(client, exchange):
    """The ticket tells the truth, and takes what was found out."""
    exchange.do(lambda simulated: simulated.silence("PlaceOrder", execute=False))
    ticket = client.submit(ORDER)
    while ticket.state is not TicketState.SENT:
        time.sleep(0.01)
    assert ORDER == ticket.request
    assert not ticket.withdraw()
    assert not ticket.final
    drop(exchange)
    with pytest.raises(OutcomeUnknown):
        ticket.reply()
    assert [ORDER] == [each.request for each in client.unsettled]
    assert repr(client.unsettled[0]) == repr(ticket)
    ticket.settle(coinflex.OrderPlaced(id=1, time=2))
    assert 1 == ticket.reply().id
    assert [] == client.unsettled


def test_polling_and_raw_views(client):
    """The rest of a client's receivers are there, too."""
    with (
        client.poll(coinflex.GetBalances(), every=0.05) as polled,
        client.frames() as frames,
        client.unmatched(),
    ):
        assert next(polled)
        assert next(polled)
        assert "GetBalances" in next(frames).text


def test_a_fresh_snapshot_on_demand(client):
    """``resubscribe()`` gives the grammar of every gap."""
    with client.subscribe(BOOK) as receiver:
        next(receiver)
        receiver.resubscribe()
        while not isinstance(item := receiver.receive(5), Gap):
            pass
        assert GapReason.RESUBSCRIBED is item.reason
        assert isinstance(receiver.receive(5), Resumed)


def test_login_later(exchange):
    """An anonymous client logs in when it is asked to."""
    with blocking.open_client(coinflex.VENUE, url=exchange.url) as client:
        assert client.account is None
        with pytest.raises(NotSent):
            client.request(coinflex.GetBalances())
        client.login(coinflex.Credentials.from_env(exchange.credentials))
        assert client.request(coinflex.GetBalances())


def test_many_threads_at_once(client, exchange):
    """A client is safe from several threads, and so is one receiver that they share."""
    with client.subscribe(BOOK) as receiver, ThreadPoolExecutor(8) as pool:
        exchange.do(lambda simulated: simulated.trade(100))
        answers = [pool.submit(client.request, coinflex.GetBalances()) for _ in range(8)]
        items = [pool.submit(receiver.receive) for _ in range(16)]
        assert all(each.result(5) for each in answers)
        assert 16 == len([each.result(5) for each in items])


def test_leaving_wakes_those_who_wait(exchange):
    """A thread that waits when the client is closed is told so; leaving waits for nobody."""
    with ThreadPoolExecutor(2) as pool:
        with blocking.open_client(coinflex.VENUE, url=exchange.url, reconnect=SOON) as client:
            with ExitStack() as stack:
                book = stack.enter_context(client.subscribe(BOOK, buffer=4))
                waiting = pool.submit(list, book)
                client.disconnect()
                never = pool.submit(client.wait_ready)
                time.sleep(0.1)
                stack.pop_all()  # left open on purpose: the client's end is theirs as well
        assert waiting.result(5)
        with pytest.raises(trio.ClosedResourceError):
            never.result(5)
        with pytest.raises(trio.ClosedResourceError, match="the client of coinflex is closed"):
            client.request(coinflex.GetBalances())


def test_a_receiver_after_its_block(client):
    """It says that it was left."""
    with client.subscribe(TICKER) as receiver:
        next(receiver)
    with pytest.raises(trio.ClosedResourceError):
        while True:
            receiver.receive(timeout=1)


def test_a_receiver_after_its_client(exchange):
    """What was buffered when the client closed is still read; then iterating ends."""
    with ExitStack() as stack:
        with blocking.open_client(coinflex.VENUE, url=exchange.url) as client:
            book = stack.enter_context(client.subscribe(BOOK))
        [snapshot] = book
        assert isinstance(snapshot, coinflex.BookSnapshot)
        with pytest.raises(trio.EndOfChannel):
            book.receive(timeout=1)


def test_a_block_entered_twice_stays_as_it_was(client):
    """The mistake is told; the receiver that is there goes on."""
    block = client.subscribe(coinflex.OwnOrders())
    with block as receiver:
        next(receiver)
        with pytest.raises(LocalProtocolError, match="entered before"), block:
            pass
        placed = client.request(ORDER)
        assert placed.id == receiver.receive(timeout=5).id


def test_a_timeout_is_not_begun_anew_for_another_threads_item(client):
    """However often others are faster, the wait is as long as it was said to be."""
    with client.subscribe(coinflex.OwnOrders()) as receiver:
        next(receiver)
        fetch, waits = receiver._fetch, []

        async def taken_by_another(patience, timeout):
            waits.append(patience)
            if len(waits) > 3:
                await fetch(patience, timeout)
            await trio.sleep(0.02)

        receiver._fetch = taken_by_another
        with pytest.raises(TimeoutError, match=r"within 0\.3 s"):
            receiver.receive(timeout=0.3)
        assert waits == sorted(waits, reverse=True)
        assert waits[-1] < 0.3 - 3 * 0.02


def test_not_from_its_own_thread(exchange):
    """An observer that asks its own client is told why not, instead of waiting for itself."""
    said = []

    class Curious(trioflex.Observer):
        def disconnected(self, connection, reason, code):
            try:
                client.wait_ready()
            except RuntimeError as exc:
                said.append(str(exc))

    with blocking.open_client(coinflex.VENUE, url=exchange.url, observer=Curious()) as client:
        pass
    assert ["the client of coinflex cannot be used from its own thread"] == [
        text.partition(",")[0] for text in said
    ]


def test_ctrl_c_while_connecting():
    """It gives up at once, not after the time limit of the connection."""
    began = time.monotonic()
    with blocking.open_exchange("coinflex") as exchange:
        exchange.do(lambda simulated: simulated.hang_upgrade())
        with interrupted(0.2):
            with blocking.open_client(coinflex.VENUE, url=exchange.url):
                raise AssertionError("it opened")
    assert 5 > time.monotonic() - began


def test_ctrl_c_while_receiving(client):
    """The wait ends, nothing is lost, and the receiver goes on where it was."""
    with client.subscribe(coinflex.OwnOrders()) as receiver:
        with pytest.raises(TimeoutError):
            read_all(receiver)
        with interrupted(0.1):
            next(receiver)
        placed = client.request(ORDER)
        assert placed.id == receiver.receive(timeout=5).id


def test_ctrl_c_before_a_call_has_begun(client, monkeypatch):
    """There is nothing to wait for: it never begins."""
    portal = client._host._portal.result()
    start, first = portal.start_task_soon, True

    def interrupted_at_first(function):
        nonlocal first
        if first:
            first = False
            raise KeyboardInterrupt
        return start(function)

    monkeypatch.setattr(portal, "start_task_soon", interrupted_at_first)
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(client.request, coinflex.GetBalances())
        assert isinstance(outcome.exception(5), KeyboardInterrupt)
    assert 1 == client.statistics().attempts


def test_ctrl_c_while_an_order_is_under_way(client, exchange):
    """Nobody learned of its outcome: that is written down, not forgotten."""
    exchange.do(lambda simulated: simulated.silence("PlaceOrder"))
    with interrupted(0.1):
        client.request(ORDER)
    assert [ORDER] == [each.request for each in client.unsettled]


def test_ctrl_c_while_subscribing(client, exchange):
    """The wish is taken back; the channel can be had later."""
    exchange.do(lambda simulated: simulated.silence("WatchTicker", times=1))
    with interrupted(0.1):
        with client.subscribe(TICKER):
            raise AssertionError("it was live")
    assert 0 == client.statistics().receivers
    with client.subscribe(BOOK) as receiver:
        next(receiver)


def test_ctrl_c_twice_hurries_the_leaving(exchange):
    """The first ends the block, the second the polite close that the venue does not answer."""
    began = time.monotonic()
    with interrupted(0.2, 0.5, at_once=False) as begin:
        with blocking.open_client(
            coinflex.VENUE, url=exchange.url, timeouts=Timeouts(close=30)
        ) as client:
            with client.subscribe(TICKER, overflow=Overflow.LATEST) as receiver:
                exchange.do(lambda simulated: simulated.stall())
                begin()  # earlier, both might come while this opens
                for _ in receiver:
                    pass
    assert 10 > time.monotonic() - began


@pytest.mark.parametrize(
    ("mine", "theirs", "not_here"),
    [
        (blocking.BlockingClient, trioflex.Client, set()),
        (blocking.BlockingTicket, trioflex.Ticket, set()),
        (
            blocking.BlockingReceiver,
            trioflex.Receiver,
            # The end of the block does what aclose() does, receive(0) what receive_nowait() does;
            # batches are how items get here anyway.
            {"aclose", "receive_nowait", "batches"}
            # The dispatcher's side.
            | {"comes_from", "start", "put", "gap", "resume", "fail", "end"},
        ),
    ],
)
def test_it_has_all_that_the_asynchronous_one_has(mine, theirs, not_here):
    """The same names; a method that is added there is missed here."""

    def names(kind):
        return {name for name in vars(kind) if not name.startswith("_")}

    assert names(theirs) - not_here == names(mine)


def test_it_opens_with_the_same_arguments():
    """... and the same defaults."""
    assert (
        inspect.signature(trioflex.open_client).parameters
        == inspect.signature(blocking.open_client).parameters
    )
    for name in ("request", "submit", "subscribe", "poll", "login", "frames", "unmatched"):
        theirs = inspect.signature(getattr(trioflex.Client, name)).parameters
        mine = inspect.signature(getattr(blocking.BlockingClient, name)).parameters
        assert [(each.name, each.default) for each in theirs.values()] == [
            (each.name, each.default) for each in mine.values()
        ]


def test_without_anyio_it_says_what_to_install():
    """The extra has a name, and what it brings can be had wherever trioflex came from."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    [extra] = project["project"]["optional-dependencies"]["blocking"]
    program = "import sys; sys.modules['anyio'] = None; import trioflex.blocking"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert ran.stderr.endswith(
        "ImportError: trioflex.blocking needs anyio, which the extra trioflex[blocking] brings; "
        f"install it with: python -m pip install '{extra}'\n"
    )
