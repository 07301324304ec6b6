"""Welcome and login: nonces, signatures, refusals, and what comes at the wrong time."""

from __future__ import annotations

import base64
import json

import pytest

from trioflex._sansio import signing
from trioflex._vocabulary.errors import InternalError, LocalProtocolError, RemoteProtocolError
from trioflex.protocol import Denied, Ignored, Ready, Refusal, Reply, Retry, Transmit
from trioflex.venues import coinflex, coinfloor
from trioflex.venues._floor import session as session_module

from .floor import (
    KEY,
    PUBLISHED,
    VECTORS,
    WELCOME,
    Talk,
    anonymous,
    env_of,
    fixed_nonces,
    logged_in,
)

OTHER_KEY = coinflex.Credentials(2, "Zm9v", "other")


def login_of(events):
    (event,) = events
    assert isinstance(event, Transmit)
    return json.loads(event.frame)


def test_nothing_is_said_before_the_server_speaks():
    """It sends the nonce that must be signed."""
    assert [] == Talk(KEY).opened == Talk().opened


def test_without_credentials_the_welcome_is_all():
    """Public methods may be used at once."""
    assert [Ready()] == Talk().hears(WELCOME)


@pytest.mark.parametrize("venue", [coinflex.VENUE, coinfloor.VENUE])
@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_a_login_is_the_vectors(venue, vector):
    """Byte for byte, with the server's nonce of the connection and a fresh one of ours."""
    key = coinflex.Credentials(vector["user_id"], vector["cookie"], vector["passphrase"])
    nonces = fixed_nonces(bytes.fromhex(vector["client_nonce_hex"]))
    talk = Talk(key, venue=venue, env=env_of(nonces))

    login = login_of(talk.hears({"notice": "Welcome", "nonce": vector["server_nonce_b64"]}))

    assert {
        "tag": login["tag"],
        "method": "Authenticate",
        "user_id": vector["user_id"],
        "cookie": vector["cookie"],
        "nonce": vector["client_nonce_b64"],
        "signature": vector["rfc6979"]["signature_b64"],
    } == login
    account = str(vector["user_id"])
    assert [Ready(account)] == talk.hears({"tag": login["tag"], "error_code": 0})


def test_every_login_has_a_nonce_of_its_own():
    """Sixteen bytes from the secure source for each connection, in the frame as in the message."""
    counter = iter(range(10**6))
    env = env_of(lambda count: next(counter).to_bytes(count, "big"))  # L8

    logins = [login_of(Talk(KEY, env=env).hears(WELCOME)) for _ in range(50)]

    assert list(range(50)) == [int.from_bytes(base64.b64decode(x["nonce"])) for x in logins]
    assert 50 == len({tuple(x["signature"]) for x in logins})


def test_a_login_has_a_tag_that_no_request_has():
    """The core counts up to 2**31 - 1; the tag still is a positive number of 64 bits."""
    assert 2**31 <= login_of(Talk(KEY).hears(WELCOME))["tag"] < 2**63


def test_a_signature_that_does_not_fit_is_made_anew(monkeypatch):
    """With another nonce: of one message in 2**111, s needs a bit too many."""
    tried = []

    def sign(key, message):
        tried.append(message[-16:])
        return None if len(tried) == 1 else signing.sign(key, message)

    monkeypatch.setattr(session_module, "sign", sign)
    first, second = bytes(16), bytes.fromhex(PUBLISHED["client_nonce_hex"])
    login = login_of(Talk(KEY, env=env_of(fixed_nonces(first, second))).hears(WELCOME))

    assert [first, second] == tried
    assert PUBLISHED["client_nonce_b64"] == login["nonce"]
    assert PUBLISHED["rfc6979"]["signature_b64"] == login["signature"]


def test_signing_is_not_tried_for_ever(monkeypatch):
    """Three times in a row cannot be chance."""
    monkeypatch.setattr(session_module, "sign", lambda key, message: None)
    with pytest.raises(InternalError, match="randomness"):
        Talk(KEY).hears(WELCOME)


# -- a bad Welcome -------------------------------------------------------------------------------


@pytest.mark.parametrize("credentials", [KEY, None], ids=["login", "anonymous"])
@pytest.mark.parametrize(
    ("nonce", "complaint"),
    [
        (base64.b64encode(bytes(15)).decode(), "15 bytes instead of 16"),
        (base64.b64encode(bytes(17)).decode(), "17 bytes instead of 16"),
        ("", "0 bytes instead of 16"),
        ("not base64", "not Base64"),
        ("azRzAi5rm1ry/l0drnz1vw", "not Base64"),
        ("azRzAi5rm1ry_l0drnz1vw==", "not Base64"),
        ("azRzAi5rm1ry/l0drnz1vw==\n", "not Base64"),
        ("\u00e4" * 24, "not Base64"),
        (None, "wrong shape"),
        (7, "wrong shape"),
    ],
)
def test_a_bad_nonce_breaks_the_protocol(credentials, nonce, complaint):
    """Nothing is signed."""
    talk = Talk(credentials, env=env_of(fixed_nonces()))
    with pytest.raises(RemoteProtocolError, match=complaint):  # L6
        talk.hears({"notice": "Welcome", "nonce": nonce})


def test_a_welcome_without_a_nonce_breaks_the_protocol():
    """There is nothing to sign."""
    with pytest.raises(RemoteProtocolError, match="nonce"):  # L6
        Talk(KEY).hears({"notice": "Welcome"})


@pytest.mark.parametrize("make", [logged_in, anonymous])
def test_a_second_welcome_breaks_the_protocol(make):
    """Each connection has exactly one."""
    with pytest.raises(RemoteProtocolError, match="second Welcome"):  # L6
        make().hears(WELCOME)


# -- refusals ------------------------------------------------------------------------------------

DENIALS = [
    (1, "There is no such user.", Retry.NEVER),
    (6, "You are making authentication attempts too rapidly.", Retry.LATER),
    (7, "You sent an incorrect login cookie.", Retry.NEVER),
    (7, "You sent an incorrect signature. This probably means you used a wrong passphrase.",
     Retry.NEVER),
    (8, "Whatever.", Retry.NEVER),
    (4711, "Something new.", Retry.LATER),
]  # fmt: skip


@pytest.mark.parametrize(("code", "text", "retry"), DENIALS)
def test_a_refused_login_says_why(code, text, retry):
    """The venue's code and text; the text alone tells a wrong cookie from a wrong signature."""
    talk = Talk(KEY)
    tag = login_of(talk.hears(WELCOME))["tag"]

    denied = talk.hears({"tag": tag, "error_code": code, "error_msg": text})

    assert [Denied(str(code), text, retry)] == denied  # L3, L4


def test_a_refusal_without_a_text_says_so():
    """An operator sees that nothing was left out by us."""
    talk = Talk(KEY)
    tag = login_of(talk.hears(WELCOME))["tag"]
    assert [Denied("7", "the venue gave no reason", Retry.NEVER)] == talk.hears(
        {"tag": tag, "error_code": 7}
    )


def test_the_old_coinfloor_refuses_everybody_and_we_say_so():
    """Its text blames the cookie, whatever the cookie."""
    talk = Talk(KEY, venue=coinfloor.venue(version=1))
    tag = login_of(talk.hears(WELCOME))["tag"]
    text = "You sent an incorrect login cookie."
    (denied,) = talk.hears({"tag": tag, "error_code": 7, "error_msg": text})
    assert denied.message.startswith(text)
    assert "read-only" in denied.message


def test_a_login_is_answered_once():
    """A second answer is an answer to nothing."""
    talk = Talk(KEY)
    answer = {"tag": login_of(talk.hears(WELCOME))["tag"], "error_code": 0}
    assert [Ready("1")] == talk.hears(answer)
    assert [Ignored(answer)] == talk.hears(answer)  # M9


@pytest.mark.parametrize("tag", [None, 0, 1, 2**31 - 1, 2**31 + 1, 2**63, -(2**31)])
def test_no_other_reply_answers_a_login(tag):
    """Only the one with its tag."""
    talk = Talk(KEY)
    talk.hears(WELCOME)
    reply = {"tag": tag, "error_code": 0}
    assert [Ignored(reply)] == talk.hears(reply)


def test_notices_may_come_before_the_login_is_answered():
    """They count: replies and notices have no order between them."""
    talk = Talk(KEY)
    tag = login_of(talk.hears(WELCOME))["tag"]
    (push,) = talk.hears({"notice": "BalanceChanged", "asset": 63488, "balance": 1})  # L7
    assert coinflex.Balances() == push.channel
    assert [Ready("1")] == talk.hears({"tag": tag, "error_code": 0})


# -- logging in later ----------------------------------------------------------------------------


def test_an_open_session_can_log_in():
    """In place; what is under way goes on."""
    talk = anonymous()
    _, key = talk.asks(coinflex.EstimateMarketOrder("XBT", "USDT", total=1))

    login = login_of(talk.session.login(KEY))

    assert [Ready("1")] == talk.hears({"tag": login["tag"], "error_code": 0})
    (reply,) = talk.hears({"tag": key, "error_code": 0, "quantity": 1, "total": 1})
    assert isinstance(reply, Reply)
    assert talk.asks(coinflex.GetBalances())[0]["method"] == "GetBalances"


def test_logging_in_before_the_welcome_waits_for_it():
    """There is no nonce yet."""
    talk = Talk()
    assert [] == talk.session.login(KEY)
    login = login_of(talk.hears(WELCOME))
    assert [Ready("1")] == talk.hears({"tag": login["tag"], "error_code": 0})


def test_a_session_logs_in_once():
    """A second login, as whomever, takes a new connection, whatever became of the first."""
    assert logged_in().session.login(OTHER_KEY) is None
    assert Talk(KEY).session.login(OTHER_KEY) is None

    talk = anonymous()
    login = login_of(talk.session.login(KEY))
    assert talk.session.login(OTHER_KEY) is None
    denied = {"tag": login["tag"], "error_code": 7, "error_msg": "No."}
    assert [Denied("7", "No.", Retry.NEVER)] == talk.hears(denied)
    assert talk.session.login(OTHER_KEY) is None


@pytest.mark.parametrize("credentials", ["key", ("1", "cookie"), object()])
def test_credentials_are_of_the_venues_class(credentials):
    """Said at once, without showing them."""
    with pytest.raises(LocalProtocolError, match="credentials of its own class") as caught:
        Talk(credentials)
    assert "cookie" not in str(caught.value)
    with pytest.raises(LocalProtocolError, match="credentials of its own class"):
        anonymous().session.login(credentials)


def test_private_requests_without_a_login_are_refused_by_the_venue():
    """The core refuses them before; here the session only says what the venue said."""
    talk = anonymous()
    _, key = talk.asks(coinflex.GetOrders())
    (refusal,) = talk.hears(
        {"tag": key, "error_code": 7, "error_msg": "You are not authenticated."}
    )
    assert isinstance(refusal, Refusal)


def test_there_is_no_goodbye():
    """The venue knows none."""
    assert [] == logged_in().session.close()


# -- secrets -------------------------------------------------------------------------------------


def test_a_login_is_shown_without_its_secrets():
    """Neither cookie nor nonce nor signature; what is no secret stays."""
    (sent,) = Talk(KEY).hears(WELCOME)
    shown = coinflex.VENUE.redact(sent.frame)  # L8
    login = json.loads(sent.frame)

    for secret in (login["cookie"], login["nonce"], *login["signature"]):
        assert secret not in shown
    assert {**login, "cookie": "***", "nonce": "***", "signature": "***"} == json.loads(shown)


def test_however_a_login_is_cut_off_no_secret_is_shown():
    """An excerpt may end anywhere."""
    (sent,) = Talk(KEY).hears(WELCOME)
    login = json.loads(sent.frame)
    begin = sent.frame.index(login["cookie"])
    for end in range(begin + 8, len(sent.frame)):
        shown = coinfloor.VENUE.redact(sent.frame[:end])  # L8
        for secret in (login["cookie"], login["nonce"], *login["signature"]):
            assert secret[:8] not in shown


def test_a_secret_with_quotes_in_it_is_a_secret():
    """Escapes do not end a text, blanks do not hide one."""
    frame = r'{"cookie" : "a\"bc", "signature": ["x", "y"], "nonce" :"n", "tag": 1}'
    assert '{"cookie" : "***", "signature": "***", "nonce" :"***", "tag": 1}' == (
        coinflex.VENUE.redact(frame)
    )


@pytest.mark.parametrize(
    "frame",
    [
        '{"tag":1,"method":"GetBalances"}',
        json.dumps(WELCOME),
        '{"tag":1,"error_code":7,"error_msg":"You sent an incorrect login cookie."}',
    ],
)
def test_other_frames_are_shown_as_they_are(frame):
    """They hold no secret."""
    assert frame == coinflex.VENUE.redact(frame)


def test_a_session_shows_no_secret():
    """Nor do its events' reprs beyond the frame that is to be sent."""
    talk = Talk(KEY)
    assert KEY.cookie not in repr(talk.session)
    tag = login_of(talk.hears(WELCOME))["tag"]
    events = talk.hears({"tag": tag, "error_code": 7, "error_msg": "No."})
    assert KEY.cookie not in repr(events)


def test_sessions_are_functions_of_what_they_are_given():
    """Same credentials, same surroundings, same frames: same words."""
    talks = [logged_in(), logged_in()]
    frames = [talk.asks(coinflex.PlaceOrder("XBT", "USDT", 1, 1))[0] for talk in talks]
    assert frames[0] == frames[1]
    assert 1 == len({login_of(Talk(KEY).hears(WELCOME))["signature"][0] for _ in range(3)})
