"""Tables of assets, exact scaling both ways, and the engine's rules about prices."""

from __future__ import annotations

import decimal
from decimal import Decimal as D

import pytest
from hypothesis import given, strategies as st

from trioflex._vocabulary.errors import LocalProtocolError
from trioflex.venues import coinflex, coinfloor
from trioflex.venues._amounts import exact

MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]

# Number, and the same in hexadecimal, as the venue's own table prints them.
SPOT = """
XBT 63488 F800 | BCH 63496 F808 | ETH 63520 F820 | USDC 65282 FF02 | USDT 65283 FF03
FLEX 65285 FF05 | DOTF 65287 FF07 | USDTDOT 65288 FF08 | DFNF 65290 FF0A | USDTDFN 65291 FF0B
LIBF 65295 FF0F | USDTLIB 65296 FF10 | XBTJUN20 10005 2715 | BCHJUN20 10017 2721
ETHJUN20 10029 272D | USDCJUN20 10041 2739 | USDTJUN20 10053 2745
"""
JANUARY = {
    "XBT": (51200, "C800"),
    "BCH": (51220, "C814"),
    "ETH": (51240, "C828"),
    "USDC": (51860, "CA94"),
    "USDT": (51880, "CAA8"),
}
DECEMBER = {
    "XBT": (51211, "C80B"),
    "BCH": (51231, "C81F"),
    "ETH": (51251, "C833"),
    "USDC": (51871, "CA9F"),
    "USDT": (51891, "CAB3"),
}
SPOT_ROWS = [row.split() for row in SPOT.replace("\n", "|").split("|") if row.strip()]


# -- the tables ----------------------------------------------------------------------------------


def test_coinflex_has_seventy_seven_assets():
    """Twelve, five coins of twelve months, and five of June 2020."""
    assert 77 == len(coinflex.ASSETS.assets) == 12 + 5 * 12 + 5
    assert 77 == len({asset.id for asset in coinflex.ASSETS.assets.values()})


@pytest.mark.parametrize("row", SPOT_ROWS, ids=lambda row: row[0])
def test_the_numbers_are_those_of_the_venues_table(row):
    """Decimal and hexadecimal are the same."""
    name, number, hexadecimal = row
    assert int(number) == int(hexadecimal, 16) == coinflex.ASSETS.asset(name).id


@pytest.mark.parametrize("coin", JANUARY)
def test_monthly_futures_are_numbered_month_by_month(coin):
    """From January to December without a hole."""
    numbers = [coinflex.ASSETS.asset(coin + month).id for month in MONTHS]
    first, last = JANUARY[coin], DECEMBER[coin]

    assert list(range(first[0], last[0] + 1)) == numbers
    assert [int(first[1], 16), int(last[1], 16)] == [first[0], last[0]]


def test_every_asset_of_coinflex_has_four_decimals():
    """And every price."""
    assert {10_000} == {asset.scale for asset in coinflex.ASSETS.assets.values()}
    assert coinflex.ASSETS.uniform
    assert 4 == coinflex.ASSETS.price_digits(63488, 65283) == coinflex.ASSETS.digits(1)


TICKS = [
    ("XBT", "USDT", "1", 10000),
    ("XBTMAR", "USDTMAR", "0.5", 5000),
    ("XBTJUN20", "USDTJUN20", "0.5", 5000),
    ("BCH", "USDT", "0.25", 2500),
    ("BCHDEC", "USDTDEC", "0.25", 2500),
    ("BCHJUN20", "USDTJUN20", "0.25", 2500),
    ("ETH", "USDT", "0.1", 1000),
    ("ETHJAN", "USDTJAN", "0.1", 1000),
    ("ETHJUN20", "USDTJUN20", "0.1", 1000),
    ("USDC", "USDT", "0.001", 10),
    ("USDCJUL", "USDTJUL", "0.001", 10),
    ("USDCJUN20", "USDTJUN20", "0.0001", 1),
    ("FLEX", "USDT", "0.005", 50),
    ("DOTF", "USDTDOT", "2", 20000),
    ("DFNF", "USDTDFN", "0.05", 500),
    ("LIBF", "USDTLIB", "0.01", 100),
    ("FLEX", "ETH", "0.0001", 1),  # not in the table: one unit of the price's scale
]


@pytest.mark.parametrize(("base", "counter", "tick", "scaled"), TICKS)
def test_ticks_are_those_of_the_venues_table(base, counter, tick, scaled):
    """As decimals, and as the integers that the table prints beside them."""
    assert D(tick) == coinflex.ASSETS.tick(base, counter)
    assert scaled == coinflex.ASSETS.scale_price(base, counter, D(tick))


def test_sixty_pairs_have_a_tick():
    """Eight, four coins of twelve months, and four of June 2020."""
    assert 60 == len(coinflex.ASSETS.markets) == 8 + 4 * 12 + 4
    assert all(coinflex.ASSETS.knows(*pair) for pair in coinflex.ASSETS.markets)


@pytest.mark.parametrize(
    ("base", "price", "buying", "moved"),
    [
        ("ETH", "160.19", True, "160.1"),
        ("ETH", "160.19", False, "160.2"),
        ("XBT", "4000.0001", False, "4001"),
        ("XBT", "4000.0001", True, "4000"),
        ("XBT", "4000", True, "4000"),
        ("XBT", "4000", False, "4000"),
        ("XBT", "0.5", True, "0"),
        ("ETH", "1234567890123456789.99", True, "1234567890123456789.9"),
    ],
)
def test_prices_move_to_the_tick(base, price, buying, moved):
    """A bid down, an ask up; exactly."""
    assert D(moved) == coinflex.ASSETS.on_tick(base, "USDT", D(price), buying=buying)


COINFLOOR = {"XBT": (63488, "F800"), "EUR": (64000, "FA00"), "GBP": (64032, "FA20")}


@pytest.mark.parametrize("name", COINFLOOR)
def test_coinfloors_numbers(name):
    """The same in both versions."""
    number, hexadecimal = COINFLOOR[name]
    assert number == int(hexadecimal, 16)
    assert number == coinfloor.ASSETS.asset(name).id == coinfloor.ASSETS_V1.asset(name).id


def test_coinfloors_versions_differ_in_the_decimals_of_xbt():
    """And in what was withdrawn before the second."""
    assert {"XBT", "EUR", "GBP"} == set(coinfloor.ASSETS.assets)
    assert 100_000_000 == coinfloor.ASSETS.asset("XBT").scale
    old = coinfloor.ASSETS_V1
    assert {name: old.asset(name).scale for name in ("XBT", "BCH", "ETH", "EUR", "USD", "PLN")} == {
        "XBT": 10_000, "BCH": 10_000, "ETH": 10_000, "EUR": 100, "USD": 100, "PLN": 100
    }  # fmt: skip
    assert [63496, 63520, 64128, 64936] == [old.asset(n).id for n in ("BCH", "ETH", "USD", "PLN")]
    assert (51200, 51211) == (old.asset("XBTJAN18").id, old.asset("XBTDEC18").id)
    assert (51840, 51851, 100) == (
        old.asset("USDJAN18").id, old.asset("USDDEC18").id, old.asset("USDDEC18").scale
    )  # fmt: skip
    assert 2 == coinfloor.ASSETS.price_digits(63488, 64032) == old.price_digits(63488, 64032)


# -- scaling -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "asset", "amount", "scaled"),
    [
        (coinflex.ASSETS, "XBT", "12.3456", 123456),
        (coinfloor.ASSETS_V1, "XBT", "12.3456", 123456),
        (coinfloor.ASSETS, "XBT", "12.3456", 1234560000),
        (coinflex.ASSETS, "USDT", "1.654", 16540),
        (coinfloor.ASSETS, "GBP", "9876.54", 987654),
        (coinfloor.ASSETS, "XBT", "1.5", 150000000),
    ],
)
def test_amounts_are_scaled_as_in_the_examples(table, asset, amount, scaled):
    """Both ways."""
    assert scaled == table.scale_amount("quantity", asset, D(amount))
    assert D(amount) == table.amount(table.asset(asset).id, scaled)


@pytest.mark.parametrize(
    ("table", "pair", "price", "scaled"),
    [
        (coinflex.ASSETS, ("XBT", "USDT"), "4443", 44430000),
        (coinflex.ASSETS, ("USDC", "USDT"), "1.011", 10110),
        (coinfloor.ASSETS, ("XBT", "GBP"), "543.21", 54321),
    ],
)
def test_prices_are_scaled_as_in_the_examples(table, pair, price, scaled):
    """Both ways."""
    assert scaled == table.scale_price(*pair, D(price))
    assert D(price) == table.price(*(table.asset(name).id for name in pair), scaled)


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_every_integer_of_the_wire_survives_a_round_trip(scaled):
    """Whatever the calling thread's decimal context."""
    with decimal.localcontext(decimal.Context(prec=2)):
        amount = coinfloor.ASSETS.amount(63488, scaled)
        assert scaled == coinfloor.ASSETS.scale_amount("quantity", "XBT", amount)  # M13


@pytest.mark.parametrize("amount", ["0.00001", "1.23456", "1E-9", "-0.00005", "1E-999999"])
def test_what_would_have_to_be_rounded_is_refused(amount):
    """The error says how many decimals there are, and how to round."""
    with pytest.raises(LocalProtocolError, match=r"more than 4 decimals.*quantize"):  # M13
        coinflex.ASSETS.scale_amount("quantity", "XBT", D(amount))


@pytest.mark.parametrize("amount", ["1E+15", "-922337203685477.5808", "1E+30", "1E+999999999"])
def test_what_does_not_fit_into_64_bits_is_refused(amount):
    """At once, however large it is."""
    with pytest.raises(LocalProtocolError, match="more than 64 bits"):
        coinflex.ASSETS.scale_amount("quantity", "XBT", D(amount))


def test_the_largest_amount_fits():
    """The bound is exact."""
    assert 2**63 - 1 == coinflex.ASSETS.scale_amount("total", "USDT", D("922337203685477.5807"))


def test_unknown_names_are_refused_with_the_remedy():
    """Misspelt, or not yet in the table."""
    with pytest.raises(LocalProtocolError, match=r"no asset 'xbt'; is it 'XBT'.*venue\(assets="):
        coinflex.ASSETS.asset("xbt")
    with pytest.raises(LocalProtocolError, match=r"no asset 'QQQQ'; it has XBT, .* and others"):
        coinflex.ASSETS.asset("QQQQ")


def test_unknown_numbers_have_a_name_all_the_same():
    """A notice about a new asset can be printed, and scaled where the venue has one scale."""
    assert "#51999" == coinflex.ASSETS.name(51999) == coinfloor.ASSETS.name(51999)
    assert D("1.5") == coinflex.ASSETS.amount(51999, 15000)
    with pytest.raises(LocalProtocolError, match="scale of asset 51999 is not known"):
        coinfloor.ASSETS.amount(51999, 15000)


@pytest.mark.parametrize(
    ("value", "number"),
    [("0.25", "0.25"), (3, "3"), (D("1E-9"), "1E-9"), ("-7", "-7"), (10**30, "1E+30")],
)
def test_amounts_are_given_exactly(value, number):
    """As text, integer or Decimal."""
    assert D(number) == exact(value, "price")  # M13


def test_a_float_is_refused_and_the_error_says_why():
    """It shows what the float really stands for, and how to say it."""
    with pytest.raises(LocalProtocolError) as caught:  # M13
        exact(0.1, "price")
    assert "binary float 0.1" in str(caught.value)
    assert "0.1000000000000000055511151231257827" in str(caught.value)
    assert "price='0.1'" in str(caught.value)


@pytest.mark.parametrize("value", ["", "1,5", "abc", "NaN", "Infinity", D("-Infinity"), True, b"1"])
def test_what_is_no_number_is_refused(value):
    """With the field's name."""
    with pytest.raises(LocalProtocolError, match="price is a"):
        exact(value, "price")


# -- what an order reserves ----------------------------------------------------------------------


def test_a_bid_reserves_what_it_may_cost_rounded_up():
    """The example of the venue's guide: exactly 1,523,990.25 units."""
    asset, amount = coinflex.ASSETS.reservation("XBT", "USDT", D("1.2345"), D("123.4500"))
    assert ("USDT", D("152.3991")) == (asset, amount)
    assert 1_523_991 == coinflex.ASSETS.scale_amount("total", "USDT", amount)


def test_the_divisor_depends_on_all_three_scales():
    """Coinfloor's second version: 100,000,000."""
    assert ("GBP", D("90.01")) == coinfloor.ASSETS.reservation(
        "XBT", "GBP", D("0.01000001"), D(9000)
    )


def test_an_ask_reserves_its_quantity():
    """Of base."""
    assert ("XBT", D("1.5")) == coinflex.ASSETS.reservation("XBT", "USDT", D("-1.5"), D(8000))


# -- tables of a program's own -------------------------------------------------------------------


def test_a_table_can_be_extended():
    """By assets, and by pairs with a scale or a tick of their own."""
    table = coinflex.ASSETS.extended(
        [coinflex.Asset("NEW", 4711, 100)],
        [
            coinflex.Market("NEW", "USDT", tick=D("0.5"), price_scale=1_000_000),
            coinflex.Market("XBT", "USDT", tick=D("0.1")),
        ],
    )
    assert "NEW" == table.name(4711)
    assert 150 == table.scale_amount("quantity", "NEW", D("1.5"))
    assert 1 == table.scale_price("NEW", "USDT", D("0.000001"))
    assert D("0.000001") == table.price(4711, 65283, 1)
    assert D("0.5") == table.tick("NEW", "USDT")
    assert D("0.1") == table.tick("XBT", "USDT")
    assert not table.uniform
    assert "NEW" not in coinflex.ASSETS.assets


@pytest.mark.parametrize("asset", [("XBT", 63488, 100), ("XBT", 1, 10_000), ("BTC", 63488, 10_000)])
def test_a_table_cannot_be_contradicted(asset):
    """One name, one number, one scale."""
    with pytest.raises(LocalProtocolError, match=r"cannot become|same number"):
        coinflex.ASSETS.extended([coinflex.Asset(*asset)])


def test_what_the_table_has_may_be_given_again():
    """The live list holds the old assets, too."""
    xbt = coinflex.ASSETS.asset("XBT")
    assert coinflex.ASSETS.assets == coinflex.ASSETS.extended([xbt]).assets


@pytest.mark.parametrize("scale", [0, -10, 3, 20, 1.0, True])
def test_a_scale_is_a_power_of_ten(scale):
    """Else the decimals would not come out."""
    with pytest.raises(LocalProtocolError, match="power of ten"):
        coinflex.Asset("NEW", 4711, scale)
    with pytest.raises(LocalProtocolError, match="power of ten"):
        coinflex.Market("NEW", "USDT", price_scale=scale)


@pytest.mark.parametrize(("name", "number"), [("", 1), ("NEW", -1), ("NEW", "1")])
def test_an_asset_has_a_name_and_a_number(name, number):
    """Both, and of the right kind."""
    with pytest.raises(LocalProtocolError, match="a name and a number"):
        coinflex.Asset(name, number, 1)


def test_a_tick_is_more_than_nothing():
    """A step of zero leads nowhere."""
    with pytest.raises(LocalProtocolError, match="more than 0"):
        coinflex.Market("XBT", "USDT", tick=D(0))


def test_items_made_by_hand_need_a_table():
    """For a program's own tests there is a way to get one."""
    fields = {
        "id": 1, "base_id": 63488, "counter_id": 65283, "scaled_quantity": 15000,
        "scaled_price": 86500000, "time": 0,
    }  # fmt: skip
    bound = coinflex.ASSETS.bind(coinflex.OrderOpened)

    assert bound is coinflex.ASSETS.bind(coinflex.OrderOpened)
    assert ("XBT", D("1.5"), D(8650)) == (
        bound(**fields).base, bound(**fields).quantity, bound(**fields).price
    )  # fmt: skip
    assert isinstance(bound(**fields), coinflex.OrderOpened)
    bare = coinflex.OrderOpened(**fields)
    assert "#63488" == bare.base
    for look in (lambda: bare.quantity, lambda: bare.price):
        with pytest.raises(LocalProtocolError, match="bind"):
            look()
