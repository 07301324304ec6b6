"""The simulated MidChains: login, limits, matching, orders that wait or end, feeds."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import given, strategies as st

from trioflex.simulator import Limit, MidchainsAccount, MidchainsModel

KEY = generate_private_key(65537, 1024)
START = 1_700_000_000_000_000
LIMIT_BUY = {"security": "BTCUSD", "side": "B", "qty": "1", "price": "100"}
LIMIT_SELL = {**LIMIT_BUY, "side": "S"}


class Wall:
    """A clock that tests move."""

    def __init__(self):
        self.at = START

    def __call__(self):
        return self.at


class Client:
    """A client written from the document alone; also the link that pushes come by."""

    def __init__(self, model, user="JOHNUSER", password="PASSWORD", login=True):
        self.model, self.user, self.password = model, user, password
        self.pushed, self.ended = [], None
        self.peer = model.connect(self)
        self.peer.opened()
        if login:
            assert "OK" == self.login()["result"]

    def send(self, frame):
        self.pushed.append(json.loads(frame))

    def close(self, code=1000, reason=""):
        self.ended = (code, reason)

    def all(self, kind, **fields):
        frame = json.dumps({"type": kind, **fields})
        assert kind == self.peer.method_of(frame)
        return [json.loads(reply) for reply in self.peer.received(frame)]

    def ask(self, kind, **fields):
        [reply] = self.all(kind, **fields)
        return reply

    def result(self, kind, **fields):
        return self.ask(kind, **fields)["result"]

    def encrypted(self, text):
        der = base64.b64decode(self.ask("challenge")["key"], validate=True)
        return base64.b64encode(
            load_der_public_key(der).encrypt(text.encode(), PKCS1v15())
        ).decode()

    def login(self):
        return self.ask("login", userid=self.user, **{"pass": self.encrypted(self.password)})

    def add(self, fields, **more):
        reply = self.ask("addorder", **fields, **more)
        assert "OK" == reply["result"], reply
        return reply["refno"]

    def order(self, refno, security="BTCUSD"):
        return self.ask("queryorder", security=security, refno=refno)["data"]

    def watch(self, *feeds):
        request = [{"msg": msg, "security": pair, "dest": "CROX"} for msg, pair in feeds]
        return self.all("subscribe", request=request)

    def told(self, kind):
        """What was pushed of a type since the last look."""
        found = [push for push in self.pushed if push["type"] == kind]
        self.pushed = [push for push in self.pushed if push["type"] != kind]
        return found


@pytest.fixture
def clock():
    return Wall()


@pytest.fixture
def make(clock):
    def make(**options):
        accounts = [MidchainsAccount(), MidchainsAccount("ANN", "pässwörd✓")]
        options = {"empty": True, "private_limit": None, "accounts": accounts, **options}
        return MidchainsModel(clock=clock, private_key=KEY, **options)

    return make


@pytest.fixture
def model(make):
    return make()


# -- logging in ----------------------------------------------------------------------------------


def test_logins(model):
    """The right password, in any script; after it orders and positions are pushed."""
    john = Client(model)
    john.add(LIMIT_BUY)
    assert "OK" == Client(model, "ANN", "pässwörd✓").login()["result"]
    again = Client(model)
    assert [["R00001"], ["BTC", "ETH", "LTC", "USD"]] == [
        [push["refno"] for push in again.told("order")],
        [push["security"] for push in again.told("position")],
    ]


@pytest.mark.parametrize(
    ("user", "password"), [("JOHNUSER", "PASSWORd"), ("NOBODY", "PASSWORD"), ("ANN", "PASSWORD")]
)
def test_wrong_logins(model, user, password):
    """All refused with one text."""
    client = Client(model, user, password, login=False)
    assert {"type": "login", "result": "invalid user/password"} == client.login()
    assert "not logged in" == client.result("querypos")


def test_what_is_no_password(model):
    """A ciphertext of another key, plain text, nothing; and a login without a challenge."""
    client = Client(model, login=False)
    cipher = client.encrypted("PASSWORD")
    fresh = Client(model, login=False)
    for other in (cipher, "PASSWORD", "", 7):
        assert "OK" != fresh.result("login", userid="JOHNUSER", **{"pass": other})
    assert "OK" == client.result("login", userid="JOHNUSER", **{"pass": cipher})


def test_late_logins(make, clock):
    """A trading connection that is not logged in after 30 s is ended; one that listens is not."""
    model = make()
    idle, trading, done = Client(model, login=False), Client(model, login=False), Client(model)
    trading.ask("challenge")
    clock.at += 29_999_999
    model.trade()
    assert trading.ended is None
    clock.at += 1
    model.trade()
    assert (1000, "login timeout") == trading.ended
    assert [] == trading.all("challenge")
    assert idle.ended is done.ended is None
    strict = make(strict_login=True)
    idle = Client(strict, login=False)
    clock.at += 30_000_000
    strict.trade()
    assert idle.ended is not None


def test_logging_out(model):
    """It answers and closes; orders stay."""
    john = Client(model)
    refno = john.add(LIMIT_BUY)
    assert {"type": "logout", "result": "OK"} == john.ask("logout")
    assert (1000, "logged out") == john.ended
    assert [] == john.all("querypos")
    john.peer.closed()
    assert "1" == Client(model).order(refno)["liveqty"]


# -- orders --------------------------------------------------------------------------------------


def test_matching(model):
    """Two users trade; both are told of order, sale and positions; money goes where it should."""
    john, ann = Client(model), Client(model, "ANN", "pässwörd✓")
    bought = john.add(LIMIT_BUY, clientorderid="mine")
    john.pushed.clear()
    sold = ann.add({**LIMIT_SELL, "qty": "0.4", "price": "90"})
    assert ("0.6", "0.4", "40", "mine") == tuple(
        john.order(bought)[name] for name in ("liveqty", "execqty", "execamount", "clientorderid")
    )
    assert ("0", "0.4") == tuple(ann.order(sold)[name] for name in ("liveqty", "execqty"))
    [sale] = john.told("sale")
    assert (bought, "100", "0.4", "B") == tuple(
        sale[name] for name in ("refno", "execprice", "execqty", "side")
    )
    assert {"BTC": "10.4", "USD": "999960"} == {
        push["security"]: push["curpos"] for push in john.told("position")
    }
    [row] = ann.ask("querytrade")["data"]
    assert (sold, 1, "S") == (row["refno"], row["rec_no"], row["side"])


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({**LIMIT_BUY, "security": "XXXYYY"}, "invalid security"),
        ({**LIMIT_BUY, "side": "b"}, "invalid side"),
        ({**LIMIT_BUY, "ordertype": "BAD"}, "invalid ordertype"),
        ({**LIMIT_BUY, "tif": "DAY"}, "invalid tif"),
        ({**LIMIT_BUY, "ordertype": "MKT"}, "invalid tif"),
        ({**LIMIT_BUY, "ordertype": "MKT", "tif": "IOC"}, "cannot use qty for market buy order"),
        ({**LIMIT_BUY, "amount": "1"}, "cannot use amount for this order"),
        ({**LIMIT_BUY, "stoptype": "TRAIL"}, "invalid stoptype"),
        ({**LIMIT_BUY, "stoptype": "STOP"}, "missing stopprice"),
        ({**LIMIT_BUY, "qty": "-1"}, "invalid qty"),
        ({**LIMIT_BUY, "qty": "many"}, "invalid qty"),
        ({**LIMIT_BUY, "qty": "0.0000001"}, "invalid qty"),
        ({"security": "BTCUSD", "side": "B", "qty": "1"}, "missing price"),
        ({**LIMIT_BUY, "tif": "GTT"}, "invalid exptime"),
        ({**LIMIT_BUY, "tif": "GTT", "exptime": "1700000060001"}, "invalid exptime"),
        ({**LIMIT_BUY, "tif": "GTT", "exptime": "1699999999"}, "invalid exptime"),
        ({**LIMIT_BUY, "price": "2000000"}, "insufficient balance"),
        ({**LIMIT_SELL, "qty": "11"}, "insufficient balance"),
        ({**LIMIT_SELL, "qty": "11", "ordertype": "MKT", "tif": "IOC"}, "insufficient balance"),
    ],
)
def test_orders_that_are_refused(model, fields, text):
    """With a text, and nothing has changed."""
    john = Client(model)
    assert text == john.result("addorder", **fields)
    assert 0 == john.ask("querymultiorders")["total_rec"]


def test_market_orders(model):
    """A buy spends money, a sell sells a quantity; what finds nobody ends."""
    john, ann = Client(model), Client(model, "ANN", "pässwörd✓")
    ann.add(LIMIT_SELL)
    market = {"security": "BTCUSD", "ordertype": "MKT", "tif": "IOC"}
    assert "0.5" == john.order(john.add({**market, "side": "B", "amount": "50"}))["execqty"]
    killed = john.add({**market, "tif": "FOK", "side": "B", "amount": "80"})
    assert ("0", "0") == (john.order(killed)["execqty"], john.order(killed)["liveqty"])
    assert "0.5" == john.order(john.add({**market, "side": "B", "amount": "80"}))["execqty"]
    assert "0" == john.order(john.add({**market, "side": "S", "qty": "1"}))["execqty"]


def test_orders_that_do_not_rest(model):
    """Immediate or cancel trades what it can; fill or kill all or nothing."""
    john, ann = Client(model), Client(model, "ANN", "pässwörd✓")
    ann.add(LIMIT_SELL)
    killed = john.add({**LIMIT_BUY, "qty": "2"}, tif="FOK")
    assert ("0", "0") == (john.order(killed)["execqty"], john.order(killed)["liveqty"])
    part = john.add({**LIMIT_BUY, "qty": "2"}, tif="IOC")
    assert ("1", "0") == (john.order(part)["execqty"], john.order(part)["liveqty"])
    ann.add(LIMIT_SELL)
    assert "1" == john.order(john.add(LIMIT_BUY, tif="FOK"))["execqty"]


def test_stop_orders(model):
    """They wait outside the book for a trade at their price, and can be cancelled meanwhile."""
    john, ann = Client(model), Client(model, "ANN", "pässwörd✓")
    stop = {**LIMIT_BUY, "price": "120", "stoptype": "STOP", "stopprice": "105"}
    waiting, other = john.add(stop), john.add(stop)
    assert ("STAGE", "0") == tuple(john.order(waiting)[name] for name in ("category", "liveqty"))
    assert "OK" == john.result("cancelorder", security="BTCUSD", refno=other)
    assert "order not found" == john.result("cancelorder", security="BTCUSD", refno=other)
    for price in ("104", "105"):
        ann.add({**LIMIT_SELL, "price": price})
        assert "STAGE" == john.order(waiting)["category"]
        ann.add({**LIMIT_BUY, "price": price})
    assert ("CROX", "1") == tuple(john.order(waiting)[name] for name in ("category", "liveqty"))
    assert "CROX" == john.order(other)["category"]


def test_orders_that_end(model, clock):
    """At their time on the venue's clock, in seconds or milliseconds."""
    john = Client(model)
    ends = str(START // 1_000_000 + 60)
    refnos = [john.add(LIMIT_BUY, tif="GTT", exptime=ends + zeros) for zeros in ("", "000")]
    clock.at += 59_999_999
    assert ["1", "1"] == [john.order(refno)["liveqty"] for refno in refnos]
    clock.at += 1
    assert ["0", "0"] == [john.order(refno)["liveqty"] for refno in refnos]


def test_other_users_orders_are_not_there(model):
    """Neither to be seen nor to be cancelled."""
    refno = Client(model).add(LIMIT_BUY)
    ann = Client(model, "ANN", "pässwörd✓")
    for kind in ("cancelorder", "queryorder"):
        assert "order not found" == ann.result(kind, security="BTCUSD", refno=refno)
    assert 0 == ann.ask("querymultiorder")["total_rec"]


def test_lists(make, clock):
    """In parts, numbered through; chosen by pair and time; nothing is nothing."""
    model = make(page=2)
    john = Client(model)
    for _ in range(5):
        john.add(LIMIT_BUY)
        clock.at += 1_000_000
    parts = john.all("querymultiorders", security="BTCUSD")
    assert [[1, 2], [3, 4], [5]] == [[row["rec_no"] for row in part["data"]] for part in parts]
    assert {5} == {part["total_rec"] for part in parts}
    since = str(START // 1_000_000 + 4)
    assert 1 == john.ask("querymultiorders", fromtime=since + "000")["total_rec"]
    assert 0 == john.ask("querymultiorders", security="ETHUSD")["total_rec"]
    assert "invalid fromtime" == john.result("querytrade", fromtime=since + "001")
    assert "no position" == john.result("querypos", security="XRP")
    assert "no position" == john.result("querypendingpos")
    [ltc] = john.ask("querypos", security="LTC")["data"]
    assert ("LTC", "1000") == (ltc["security"], ltc["curpos"])


# -- feeds ---------------------------------------------------------------------------------------


def test_feeds(model):
    """The whole book first, then what comes and goes; it is never crossed."""
    john, public = Client(model), Client(model, login=False)
    john.add(LIMIT_BUY)
    assert [] == public.watch(("book", "BTCUSD"), ("trade", "BTCUSD"))
    [first] = public.told("book")
    assert [("B", "U", "100", "1")] == [
        (row["side"], row["act"], row["price"], row["qty"]) for row in first["books"]
    ]
    john.add({**LIMIT_SELL, "qty": "1.5", "price": "99"})
    [change] = public.told("book")
    assert [("B", "R"), ("S", "U")] == [(row["side"], row["act"]) for row in change["books"]]
    assert "0.5" == change["books"][1]["qty"]
    [trade] = public.told("trade")
    assert ("100", "1", "B", "T000001") == tuple(
        trade[name] for name in ("price", "qty", "maker_side", "matchid")
    )
    late = Client(model, login=False)
    late.watch(("trade", "BTCUSD"), ("book", "*"))
    assert [trade] == late.told("trade")
    public.all("unsubscribe", request=[{"msg": "book", "security": "BTCUSD", "dest": "CROX"}])
    john.add(LIMIT_BUY)
    assert ([], 2) == (public.told("book"), len(late.told("book")))


@pytest.mark.parametrize(
    ("feed", "text"),
    [
        (("trade", "*"), "invalid msg"),
        (("candle", "BTCUSD"), "invalid msg"),
        (("book", "XXXYYY"), "invalid security"),
    ],
)
def test_feeds_that_are_not_there(model, feed, text):
    """Refused; with nothing asked for as well."""
    client = Client(model, login=False)
    [answer] = client.watch(feed)
    assert ("subscribe", text) == (answer["type"], answer["result"])
    assert "invalid request" == client.result("subscribe")
    assert "invalid type" == client.result("weather")


def test_acknowledged_subscriptions(make):
    """If that is wanted."""
    client = Client(make(acknowledge=True), login=False)
    assert [{"type": "subscribe", "result": "OK"}] == client.watch(("book", "BTCUSD"))


@pytest.mark.parametrize("shape", ["bare", "list", "object"])
def test_shapes_of_pushes(make, shape):
    """All that clients have to take."""
    john = Client(make(push_shape=shape))
    data = john.told("position")[0].get("data", "bare")
    assert {"bare": str, "list": list, "object": dict}[shape] is type(data)


def test_other_participants_trade(clock):
    """The same course for the same seed."""
    courses = []
    for seed in (1, 1, 2):
        model = MidchainsModel(clock=clock, private_key=KEY, seed=seed)
        client = Client(model, login=False)
        client.watch(("trade", "BTCUSD"), ("book", "*"))
        assert all(0 < model.trade() < 1 for _ in range(60))
        courses.append([{**push, "time": 0} for push in client.told("trade")])
    assert courses[0] == courses[1] != courses[2]


# -- limits and nonsense -------------------------------------------------------------------------


def test_rate_limits(make, clock):
    """Per connection without a login, per user with one; refused with a text."""
    model = make(public_limit=Limit(6, 2), private_limit=Limit(10, 2))
    john, again = Client(model), Client(model)
    results = [each.result("querypos", security="LTC") for _ in range(8) for each in (john, again)]
    assert "too many requests" in results
    assert 10 <= results.count("OK") <= 12
    public = Client(model, login=False)
    answers = [public.watch(("book", "LTCUSD")) for _ in range(10)]
    assert 6 <= answers.count([]) <= 8
    clock.at += 2_000_000
    assert ["OK", []] == [john.result("querypos"), public.watch(("book", "LTCUSD"))]


def test_options_that_make_no_sense(make):
    """Are refused with the ones that do."""
    with pytest.raises(ValueError, match="push_shape is 'bare'"):
        make(push_shape="odd")
    with pytest.raises(ValueError, match="'JOHNUSER' already"):
        make().add_account(MidchainsAccount())
    assert {} == make(accounts=[]).credentials()


def test_refusals_of_the_script(model):
    """They repeat the request, but no password."""
    peer = Client(model).peer
    frame = '{"type":"addorder","security":"BTCUSD"}'
    assert {"type": "addorder", "security": "BTCUSD", "result": "no"} == json.loads(
        peer.refusal(frame, "", "no")
    )
    assert {"type": "login", "result": "no"} == json.loads(
        peer.refusal('{"type":"login","pass":"x"}', "", "no")
    )


@given(st.text(max_size=20) | st.sampled_from(["[]", "{}", "[" * 5000, '{"type":["x"]}']))
def test_nonsense(frame):
    """It is answered and harms nothing."""
    model = MidchainsModel(clock=Wall(), private_key=KEY, empty=True, public_limit=None)
    client = Client(model, login=False)
    [answer] = client.peer.received(frame)
    assert "invalid type" == json.loads(answer)["result"]
