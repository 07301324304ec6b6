"""check_venue(): the venues keep the contract, and one that breaks a rule is told which."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
import time
import uuid
from importlib.metadata import entry_points
from pathlib import Path
from typing import ClassVar

import attrs
import pytest

from tests import acme
from trioflex import RefusalKind, RemoteProtocolError, find_venue
from trioflex.protocol import (
    BatchSession,
    Channel,
    Correlation,
    Ignored,
    Push,
    Pushes,
    Ready,
    Refusal,
    Reply,
    Request,
    Transmit,
)
from trioflex.simulator import SimulatedExchange
from trioflex.testing import VenueCheckFailed, check_venue
from trioflex.testing.redaction import secrets_of
from trioflex.venues import coinflex, coinfloor, midchains, oceanex, theone

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial"


def load(name):
    """Import a file of the tutorial as it stands."""
    spec = importlib.util.spec_from_file_location(name, TUTORIAL / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sixth = load("acme_venue")

# -- venues that keep the contract ---------------------------------------------------------------


def floor(venue, module, counter):
    exchange = SimulatedExchange(venue, limits=None)
    return check_venue(
        module.VENUE,
        exchange=exchange,
        credentials=module.Credentials.from_env(exchange.model.credentials()),
        talk=[
            module.OrderBook("XBT", counter),
            module.Ticker("XBT", counter),
            module.OwnOrders(),
            module.Balances(),
            module.TradeVolume(),
            module.GetBalances(),
            module.GetOrders(),
            module.GetTradeVolume("XBT"),
            module.EstimateMarketOrder("XBT", counter, total=100),
            module.PlaceOrder("XBT", counter, "0.1", 1000, tonce=1),
            *([module.ModifyOrder(tonce=1, price=900)] if module is coinflex else []),
            module.PlaceOrder("XBT", counter, "0.1", tonce=2),
            module.CancelAllOrders(),
        ],
        refused={module.CancelOrder(99_999_999): RefusalKind.NOT_FOUND},
    )


@pytest.mark.parametrize(
    ("venue", "module", "counter"),
    [("coinflex", coinflex, "USDT"), ("coinfloor", coinfloor, "GBP")],
)
def test_the_floor_keeps_the_contract(venue, module, counter):
    """CoinFLEX and Coinfloor, every request and every channel, anonymous and logged in."""
    report = floor(venue, module, counter)
    assert ((), 2) == (report.untried, report.sessions)
    assert "batches" in report.rules
    assert 50 < report.pushes


def test_theone_keeps_the_contract():
    """TheOne: every request and every channel."""
    exchange = SimulatedExchange("theone")
    report = check_venue(
        theone.VENUE,
        exchange=exchange,
        credentials=theone.Credentials.from_env(exchange.model.credentials()),
        talk=[
            theone.Balances(),
            theone.GetBalances(),
            theone.Estimate("1.5", "ETH", "USDT"),
            theone.Swap("1.5", "ETH", "USDT", client_order_id="a"),
            theone.Order("ord_000001"),
            theone.GetOrderStatus("a"),
        ],
        refused={theone.GetOrderStatus("nobody"): RefusalKind.NOT_FOUND},
    )
    assert ((), 1) == (report.untried, report.sessions)
    assert 0 < report.pushes


def test_midchains_keeps_the_contract(caplog):
    """Feeds, the trading session, and the queries; its session may log, whatever is listened to."""
    caplog.set_level("DEBUG")
    report = check_venue(
        midchains.VENUE,
        exchange="midchains",
        credentials=midchains.Credentials("JOHNUSER", "PASSWORD"),
        talk=[
            midchains.Book("BTCUSD"),
            midchains.Trades("BTCUSD"),
            midchains.Orders(),
            midchains.Sales(),
            midchains.Positions(),
            midchains.AddOrder("BTCUSD", "B", "0.01", "100"),
            midchains.QueryOrder("BTCUSD", "R00001"),
            midchains.QueryOrders(),
            midchains.CancelOrder("BTCUSD", "R00001"),
            midchains.QueryTrades(),
            midchains.QueryPositions(),
            midchains.QueryPendingPositions(),
        ],
        refused={midchains.QueryOrder("BTCUSD", "99999999"): RefusalKind.NOT_FOUND},
    )
    assert ((), 3) == (report.untried, report.sessions)
    assert 0 < report.pushes


@pytest.mark.parametrize("other_shapes", [False, True])
def test_oceanex_keeps_the_contract(other_shapes):
    """All fourteen requests, anonymous and logged in; there are no channels."""
    exchange = SimulatedExchange("oceanex", other_shapes=other_shapes)
    report = check_venue(
        oceanex.VENUE,
        exchange=exchange,
        credentials=oceanex.Credentials.from_env(exchange.model.credentials()),
        talk=[
            oceanex.GetTime(),
            oceanex.GetMarkets(),
            oceanex.GetFees(),
            oceanex.GetTickers(["vetusdt"]),
            oceanex.GetOrderBook("vetusdt", level=2),
            oceanex.GetKline("vetusdt", limit=2, period=5),
            oceanex.GetAccount(),
            oceanex.NewOrder("vetusdt", "buy", price="0.03", volume=1000),
            oceanex.GetClosedOrder(1),
            oceanex.NewOrder("vetusdt", "buy", price="0.02", volume=1000),
            oceanex.GetOrder(2),
            oceanex.GetOpenOrders("vetusdt"),
            oceanex.CancelOrders(2),
            oceanex.CancelAllOrders(),
            oceanex.GetOrderHistory("vetusdt"),
        ],
        refused={
            oceanex.GetOrder(99): RefusalKind.NOT_FOUND,
            oceanex.NewOrder("btcusdt", "sell", volume=11, ord_type="market"): (
                RefusalKind.INSUFFICIENT_FUNDS
            ),
        },
    )
    assert ((), 2) == (report.untried, report.sessions)
    assert 200 < report.hostile


def test_acme_keeps_the_contract():
    """The fictional venue of the shell's tests, with a model of its own for the far side."""
    report = check_venue(
        acme.VENUE,
        exchange=acme.Model(),
        credentials=acme.JOE,
        talk=[
            acme.Book("X"),
            acme.Trades("X"),
            acme.Orders(),
            acme.Weather(),
            acme.Echo("a"),
            acme.Echo("b"),
            acme.Limited("c"),
            acme.Place("n", 1),
            acme.GetOrders(),
        ],
        refused={acme.Place("m", 0): RefusalKind.INSUFFICIENT_FUNDS},
    )
    assert ("News",) == report.untried
    assert "acme keeps" in str(report)
    assert "not tried: News" in str(report)


def test_the_venue_of_the_tutorial_keeps_the_contract(monkeypatch):
    """The tutorial's own test runs as it stands."""
    monkeypatch.syspath_prepend(str(TUTORIAL))
    load("test_acme_venue").test_acme_keeps_the_contract()


CHECKED = {
    "coinflex": coinflex,
    "coinfloor": coinfloor,
    "midchains": midchains,
    "oceanex": oceanex,
    "theone": theone,
}


def test_every_registered_venue_is_checked():
    """None is found by its name and not checked above."""
    assert set(CHECKED) == {each.name for each in entry_points(group="trioflex.venues")}


@pytest.mark.parametrize("name", CHECKED)
def test_registered_venues_are_those_that_are_checked(name):
    """The names under which programs find them lead to what is checked here."""
    assert CHECKED[name].VENUE is find_venue(name)


# -- a venue that breaks one rule ----------------------------------------------------------------

JOE = sixth.Credentials("joe", "hunter2")
TOO_MUCH = sixth.PlaceOrder("ANVIL", "1e6")
TALK = [
    '{"hello": "4711"}',
    '{"login": "ok", "user": "joe"}',
    sixth.Time(),
    '{"id": 1, "result": 1583020800}',
    sixth.Time(),
    '{"id": 2, "result": 1583020801}',
    sixth.Prices("ANVIL"),
    '{"id": 3, "result": {"symbol": "ANVIL", "price": "9.99"}}',
    '{"symbol": "ANVIL", "price": "9.98"}',
    '{"symbol": "ROCKET", "price": "3"}',
    '{"symbol": "ANVIL", "price": "9.97"}',
    TOO_MUCH,
    '{"id": 4, "error": "no funds"}',
    '{"weather": "sunny"}',
]


def checked(session=sixth.AcmeSession, **changes):
    """Check the sixth venue with another session, or other declarations."""
    settings = {
        name: changes.pop(name)
        for name in ("talk", "credentials", "refused", "secrets", "exchange")
        if name in changes
    }
    settings = {
        "talk": TALK,
        "credentials": JOE,
        "refused": {TOO_MUCH: RefusalKind.INSUFFICIENT_FUNDS},
        **settings,
    }
    return check_venue(attrs.evolve(sixth.VENUE, session=session, **changes), **settings)


def broken(*arguments, **changes):
    """Return the names of the rules that are broken, and the message."""
    with pytest.raises(VenueCheckFailed) as caught:
        checked(*arguments, **changes)
    return {each.rule for each in caught.value.broken}, str(caught.value)


def test_the_sixth_venue_is_in_order():
    """None of the failures below is there from the start."""
    report = checked()
    assert (1, 10, 5, 3) == (report.sessions, report.received, report.sent - 1, report.pushes)


class Clocked(sixth.AcmeSession):
    def send(self, request, key):
        return super().send(request, key)[:-1] + f', "at": {time.time()}}}'


class Random(sixth.AcmeSession):
    def send(self, request, key):
        return super().send(request, key)[:-1] + f', "uuid": "{uuid.uuid4()}"}}'


class Forgetful(sixth.AcmeSession):
    numbers: ClassVar = itertools.count()

    def send(self, request, key):
        return super().send(request, key)[:-1] + f', "n": {next(self.numbers)}}}'


class Shared(sixth.AcmeSession):
    everything: ClassVar[dict] = {}

    def __init__(self, credentials, env):
        super().__init__(credentials, env)
        self._asked = self.everything


class Generating(sixth.AcmeSession):
    def receive(self, frame):
        return (event for event in super().receive(frame))


class OneList(sixth.AcmeSession):
    def receive(self, frame):
        self.events = getattr(self, "events", [])
        self.events[:] = super().receive(frame)
        return self.events


class Texts(sixth.AcmeSession):
    def close(self):
        return ["goodbye"]


class Clumsy(sixth.AcmeSession):
    def _understood(self, message):
        return [*super()._understood(message), *([1 / 0] if "weather" in message else [])]


class Keyless(sixth.AcmeSession):
    def _understood(self, message):
        events = super()._understood(message)
        return [Reply(None, e.value) if isinstance(e, Reply) else e for e in events]


class WrongKey(sixth.AcmeSession):
    def _understood(self, message):
        events = super()._understood(message)
        return [Reply(e.key + 50, e.value) if isinstance(e, Reply) else e for e in events]


class Anonymous(sixth.AcmeSession):
    def send(self, request, key):
        message = json.loads(super().send(request, key))
        del message["id"]
        return json.dumps(message)


class InOrder(sixth.AcmeSession):
    """Takes each answer for that to the oldest request."""

    def _understood(self, message):
        if isinstance(message, dict) and "id" in message and self._asked:
            message = {**message, "id": next(iter(self._asked))}
        return super()._understood(message)


class WordsForKinds(sixth.AcmeSession):
    def _understood(self, message):
        events = super()._understood(message)
        return [
            Refusal(e.key, e.code, e.message, "poor") if isinstance(e, Refusal) else e
            for e in events
        ]


class Vague(sixth.AcmeSession):
    def _understood(self, message):
        events = super()._understood(message)
        return [Refusal(e.key, "", "") if isinstance(e, Refusal) else e for e in events]


class Granting(sixth.AcmeSession):
    def _understood(self, message):
        events = super()._understood(message)
        return [Reply(e.key, None) if isinstance(e, Refusal) else e for e in events]


class Stray(sixth.AcmeSession):
    def _understood(self, message):
        events = super()._understood(message)
        return [Push(acme.Weather(), e.value) if isinstance(e, Push) else e for e in events]


class Telling(sixth.AcmeSession):
    def _greet(self):
        login = {"op": "login", "user": self._credentials.user, "pw": self._credentials.secret}
        return [Transmit(json.dumps(login))]


class Chatty(sixth.AcmeSession):
    def _understood(self, message):
        events = super()._understood(message)
        return [Ready(self._credentials.secret) if isinstance(e, Ready) else e for e in events]


class Trusting(sixth.AcmeSession):
    def receive(self, frame):
        return self._understood(json.loads(frame))


class Guessing(sixth.AcmeSession):
    def receive(self, frame):
        try:
            return super().receive(frame)
        except RemoteProtocolError:
            return [Ready("whoever")]


class Quoting(sixth.AcmeSession):
    def receive(self, frame):
        try:
            return super().receive(frame)
        except RemoteProtocolError as exc:
            raise RemoteProtocolError(f"acme sent {frame!r}") from exc


class Strict(sixth.AcmeSession):
    def _understood(self, message):
        events = super()._understood(message)
        if isinstance(events[0], Ignored) and message != {"weather": "sunny"}:
            raise RemoteProtocolError("acme sent something unknown")
        return events


class Silent(sixth.AcmeSession):
    def _understood(self, message):
        events = super()._understood(message)
        return [] if message == {"login": "ok", "user": "joe"} else events


class Batching(sixth.AcmeSession):
    """Takes a read at once, and rightly so."""

    def receive_batch(self, frames, out):
        for frame in frames:
            for event in self.receive(frame):
                if isinstance(event, Push):
                    event = Pushes(event.channel, [event.value])
                out.append(event)


class LosingBatches(Batching):
    def receive_batch(self, frames, out):
        batch = []
        super().receive_batch(frames, batch)
        out += list({getattr(e, "channel", id(e)): e for e in batch}.values())


class LateBatches(Batching):
    def receive_batch(self, frames, out):
        batch = []
        super().receive_batch(iter(list(frames)), batch)
        out += batch


ALSO = {Generating: {"hostile", "rehearsal", "replay", "unknown"}, Clumsy: {"hostile"}}
"""What a session breaks with the same mistake."""


@pytest.mark.parametrize(
    ("session", "rule", "sentence"),
    [
        (Clocked, "pure", "called time.time()"),
        (Random, "pure", "called os.urandom()"),
        (Forgetful, "replay", "send(Time, 1) had another outcome in a replay"),
        (Shared, "apart", "beside another session"),
        (Generating, "lists", "in place of a list"),
        (OneList, "lists", "was changed afterwards"),
        (Texts, "lists", "'goodbye', which is no session event"),
        (Clumsy, "errors", "raised ZeroDivisionError"),
        (Keyless, "keys", "has no key, though the venue is declared as BY_KEY"),
        (WrongKey, "keys", "has the key 51, which was never given to send()"),
        (Anonymous, "keys", "the same frame for two keys"),
        (InOrder, "keys", "came before an older one's"),
        (WordsForKinds, "refusals", "has the kind 'poor'"),
        (Vague, "refusals", "has the code ''"),
        (Granting, "refusals", "was replied to, though refused= says"),
        (Stray, "pushes", "names a Weather, which is not in Venue.channels"),
        (Telling, "redaction", "a secret of the credentials is in a redacted frame of receive()"),
        (Chatty, "redaction", "in the representation of a Ready"),
        (Trusting, "hostile", "no JSON ('hello') made receive() raise JSONDecodeError"),
        (Guessing, "hostile", "was taken for [Ready(account='whoever')]"),
        (Quoting, "hostile", "made an error of"),
        (Strict, "unknown", "was not Ignored"),
        (Silent, "rehearsal", "no session was ever Ready"),
        (LosingBatches, "batches", "returned other events than receive()"),
        (LateBatches, "batches", "did not stop there"),
    ],
)
def test_a_session_that_breaks_a_rule_is_told_which(session, rule, sentence):
    """By name, in a sentence, with a remedy, and without other rules being blamed."""
    rules, message = broken(session)
    assert rule in rules
    assert sentence in message
    assert {rule} == rules - ALSO.get(session, set())
    assert "hunter2" not in message


def test_a_session_with_good_batches_passes():
    """And the rule is among those that were checked."""
    assert isinstance(Batching(None, None), BatchSession)
    assert "batches" in checked(Batching).rules


@attrs.define
class Mutable(Request[int]):
    """Can change after it was handed over."""

    n: int


class Plain(Request[int]):
    """No attrs class at all."""


@attrs.frozen
class Undocumented(Request[int]):
    n: int


class BadFold:
    def apply(self, item):
        raise KeyError(item)

    def snapshot(self):
        return None

    def invalidate(self):
        pass


@attrs.frozen
class Folded(Channel[int]):
    """A channel whose fold begins with something."""

    fold: ClassVar = type("Full", (BadFold,), {"snapshot": lambda self: 1})


def refusing(value):
    """Raise, whatever it is asked."""
    raise KeyError(value)


@pytest.mark.parametrize(
    ("changes", "rule", "sentence"),
    [
        ({"name": "Acme!"}, "declaration", "the name is 'Acme!'"),
        ({"url": "ws://ws.acme.example"}, "declaration", "url is 'ws://ws.acme.example'"),
        ({"urls": {"beta": "wss://"}}, "declaration", "names no host"),
        ({"reply_timeout": 0}, "declaration", "reply_timeout is 0"),
        ({"rates": {"ordrs": sixth.Rate(1, 1)}}, "declaration", "rates limits 'ordrs'"),
        ({"fatal": lambda loss: "never"}, "declaration", "fatal returned 'never'"),
        ({"fatal": refusing}, "declaration", "fatal("),
        ({"channel_named": refusing}, "declaration", "channel_named('no such channel') raised"),
        ({"channel_named": str}, "declaration", "channel_named returned"),
        ({"refresh": sixth.PlaceOrder("ANVIL", 1)}, "declaration", "may change the account"),
        ({"requests": (Mutable,)}, "requests", "Mutable is not a frozen attrs class"),
        ({"requests": (Plain,)}, "requests", "Plain is not a frozen attrs class"),
        ({"requests": (Undocumented,)}, "requests", "Undocumented has no docstring"),
        ({"requests": (sixth.Prices,)}, "requests", "is no subclass of Request"),
        ({"channels": (sixth.Prices, Folded)}, "channels", "begins with the snapshot 1"),
        ({"evidence": refusing}, "evidence", "raised KeyError"),
        ({"redact": refusing}, "redaction", "redact() raised KeyError"),
        ({"redact": lambda frame: frame + "*"}, "redaction", "redacted already"),
        ({"secrets": ["op"]}, "redaction", "a secret of the credentials is in a redacted frame"),
        ({"credentials": acme.Echo("joe")}, "errors", "raised AttributeError"),
    ],
)
def test_a_declaration_that_breaks_a_rule_is_told_which(changes, rule, sentence):
    """By name, in a sentence, with a remedy."""
    rules, message = broken(**changes)
    assert rule in rules
    assert sentence in message


def test_a_fold_that_cannot_hold_its_items_is_named(monkeypatch):
    """What it raises would end the client."""
    monkeypatch.setattr(sixth.Prices, "fold", BadFold, raising=False)
    rules, message = broken()
    assert {"pushes"} == rules
    assert "Prices.fold raised KeyError" in message


def test_a_serial_venue_needs_no_keys():
    """Replies name nothing there, and belong to what is under way."""
    assert checked(Keyless, correlation=Correlation.SERIAL).rules


def test_a_kind_of_which_nothing_was_sent_is_named():
    """Where replies name kinds."""
    rules, message = broken(Keyless, correlation=Correlation.PER_KIND)
    assert {"keys"} == rules
    assert "names the kind ''" in message


def test_all_broken_rules_are_listed_at_once():
    """So that one run says it all; of the same kind only a few."""
    rules, message = broken(Trusting, name="Acme", url="http://acme.example")
    assert {"declaration", "hostile"} == rules
    assert message.startswith("Acme breaks 2 of the contract's rules:\n- declaration: the name")
    assert "more like these" in message


def test_a_request_that_the_exchange_does_not_answer_is_named():
    """At a simulated exchange; and the exchange's own faults are its caller's affair."""
    exchange = SimulatedExchange(acme.Model())
    exchange.silence("echo")
    with pytest.raises(VenueCheckFailed, match="rehearsal: Echo came to nothing, with ReplyLost"):
        check_venue(
            acme.VENUE, exchange=exchange, credentials=acme.JOE, talk=[acme.Echo("anybody?")]
        )


def test_a_request_that_is_not_refused_is_named():
    """``refused`` is a promise about the exchange."""
    with pytest.raises(VenueCheckFailed, match="refusals: Echo was not refused"):
        check_venue(
            acme.VENUE,
            exchange=acme.Model(),
            credentials=acme.JOE,
            talk=[],
            refused={acme.Echo("hi"): RefusalKind.OTHER},
        )


def test_a_wrong_login_is_named():
    """The client does not open."""
    with pytest.raises(VenueCheckFailed, match="AuthenticationDenied"):
        check_venue(
            acme.VENUE,
            exchange=acme.Model(),
            credentials=acme.Credentials("joe", "wrong secret"),
            talk=[],
        )


def test_frames_and_an_exchange_do_not_go_together():
    """The frames are the exchange's."""
    with pytest.raises(TypeError, match="the frames are the exchange's"):
        check_venue(acme.VENUE, exchange=acme.Model(), talk=["{}"])


def test_a_refused_request_has_its_place_in_a_talk_with_frames():
    """Nobody could say where its answer is."""
    with pytest.raises(ValueError, match="PlaceOrder: a request in refused="):
        checked(talk=[each for each in TALK if each is not TOO_MUCH])


class Naming(sixth.AcmeSession):
    """Puts a name of its own making into each frame, and knows answers by it."""

    def __init__(self, credentials, env):
        super().__init__(credentials, env)
        self._env, self._keys = env, {}

    def send(self, request, key):
        name = self._env.random_bytes(8).hex()
        self._keys[name] = key
        return json.dumps({**json.loads(super().send(request, key)), "id": name})

    def _understood(self, message):
        if isinstance(message, dict) and isinstance(message.get("id"), str):
            message = {**message, "id": self._keys.get(message["id"])}
        return super()._understood(message)


def echo(sent):
    """Answer the newest request under its own name."""
    return json.dumps({"id": json.loads(sent)["id"], "result": 7})


def test_a_frame_can_be_made_of_what_was_sent():
    """For venues whose answers repeat a name that the session made up."""
    report = checked(
        Naming, talk=[*TALK[:2], sixth.Time(), echo, sixth.Time(), echo], refused={}, rates={}
    )
    assert (4, 3) == (report.received, report.sent)
    rules, message = broken(
        Naming, talk=[*TALK[:2], sixth.Time(), echo], credentials="joe", refused={}
    )
    assert {"errors", "rehearsal", "redaction"} <= rules
    assert "str has no field with repr=False" in message


@attrs.frozen
class Locked:
    """Credentials whose secrets cannot be looked into, or are numbers."""

    user: str
    key: object = attrs.field(repr=False)


class Blurting(sixth.AcmeSession):
    def close(self):
        raise KeyError(self._credentials.secret)


def test_a_failure_shows_no_secrets():
    """What is quoted of the session's own words is masked: test reports are logs, too."""
    rules, message = broken(Blurting)
    assert {"errors", "redaction"} == rules
    assert "close() raised KeyError: '***'" in message
    assert "hunter2" not in message


def test_secrets_that_cannot_be_looked_into_are_secrets():
    """A key of another library is hidden all the same; a number is looked for as text."""
    assert set() == secrets_of(Locked("joe", object()))
    assert "271828" in secrets_of(Locked("joe", 271828))


def test_secrets_are_found_in_every_spelling():
    """Bytes as hexadecimal and Base64, text as JSON would write it; what is shown is no secret."""
    account = coinflex.Credentials(1, 'a "cookie"', private_key=bytes(range(1, 29)))
    found = secrets_of(account)
    assert {bytes(range(1, 29)).hex(), r"a \"cookie\""} <= found
    assert "hunter2" in secrets_of(sixth.Credentials("joe", "hunter2"))
    assert "joe" not in secrets_of(sixth.Credentials("joe", "hunter2"))
