"""What a record is made of, byte for byte."""

import hashlib
import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from bartizan.backbone.audit.service.keys import Seen, unseal
from bartizan.backbone.audit.types import (
    Detail,
    Draft,
    canonical,
    compose,
    digest,
    disclose,
    fact,
    leaf_of,
    resource_of,
    stamp,
    tidy,
    tidy_path,
)
from bartizan.foundation.clock import ManualClock

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@pytest.mark.feature("AUD-04")
def test_a_body_has_exactly_these_bytes_and_this_leaf() -> None:
    draft = Draft(
        id="aud_1",
        log_id="org_acme",
        time=MOMENT,
        action="api_key.revoked",
        actor_type="user",
        actor_id="usr_ann",
        target_type="api_key",
        target_id="key_1",
        request_id="req_1",
        changes={"key_id": "key_1", "count": 3},
    )
    composed = compose(draft)
    expected = (
        b'{"_sd":[],"_sd_alg":"sha-256","action":"api_key.revoked","actor":{"id":"usr_ann","type":"user"},'
        b'"changes":{"count":3,"key_id":"key_1"},"ctx":{"request_id":"req_1","session_id":null},"id":"aud_1",'
        b'"log":"org_acme","outcome":"success","target":[{"id":"key_1","type":"api_key"}],'
        b'"time":"2026-01-02T03:04:05.000678Z","v":1}'
    )
    assert composed.body == expected
    assert composed.leaf == hashlib.sha256(b"\x00" + expected).digest()


@pytest.mark.feature("AUD-04")
def test_the_leaf_of_nothing_is_the_one_of_certificate_transparency() -> None:
    # The first leaf of the reference log in RFC 6962's implementation: an empty input.
    assert leaf_of(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@pytest.mark.feature("AUD-11")
def test_a_disclosure_has_the_digest_of_rfc_9901() -> None:
    disclosure = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
    assert digest(disclosure) == "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"


@pytest.mark.feature("AUD-11")
def test_personal_details_are_only_digests_in_the_body() -> None:
    details = [Detail("usr_bob", "email", "bob@acme.example"), Detail("usr_ann", "ip", "203.0.113.9")]
    draft = Draft(
        id="aud_1", log_id="platform", time=MOMENT, action="user.invited", changes={}, details=details
    )
    composed = compose(draft)
    body = json.loads(composed.body)
    assert b"bob@acme.example" not in composed.body
    assert b"203.0.113.9" not in composed.body
    assert body["_sd_alg"] == "sha-256"
    [email], [ip] = composed.disclosures["usr_bob"], composed.disclosures["usr_ann"]
    assert body["_sd"] == sorted([digest(email), digest(ip)])
    salt, name, value = json.loads(urlsafe_b64decode(email + "=="))
    assert (name, value) == ("email", "bob@acme.example")
    assert len(urlsafe_b64decode(salt + "==")) == 16
    assert disclose("email", "bob@acme.example") != disclose("email", "bob@acme.example")


def test_what_does_not_fit_becomes_text() -> None:
    value = {
        "ratio": 0.1,
        "nan": float("nan"),
        "big": 2**53,
        "small": -(2**53),
        "fits": 2**53 - 1,
        "yes": True,
        "größe": ["ä", None],
        "broken": "a\ud800b",
    }
    assert fact(value) == {
        "ratio": "0.1",
        "nan": "nan",
        "big": "9007199254740992",
        "small": "-9007199254740992",
        "fits": 9007199254740991,
        "yes": True,
        "gr\\xf6\\xdfe": ["ä", None],
        "broken": "a?b",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_whatever_goes_in_has_one_encoding_that_reads_back(value: dict[str, object]) -> None:
    fitted = fact(value)
    encoded = canonical(fitted)
    assert json.loads(encoded) == fitted
    assert canonical(json.loads(encoded)) == encoded
    assert fact(fitted) == fitted


def test_a_draft_survives_being_put_aside() -> None:
    draft = Draft(
        id="aud_1",
        log_id="org_acme",
        time=MOMENT,
        action="api_key.revoked",
        changes={"n": 1},
        details=(Detail("usr_ann", "ip", "203.0.113.9"),),
        ip="203.0.113.9",
    )
    assert Draft.load(draft.dump(), unconfirmed=False) == draft
    unconfirmed = Draft.load(draft.dump(), unconfirmed=True)
    assert json.loads(compose(unconfirmed).body)["unconfirmed"] is True


def test_moments_are_written_in_utc_with_microseconds() -> None:
    assert stamp(MOMENT.astimezone(timezone(timedelta(hours=2)))) == "2026-01-02T03:04:05.000678Z"
    assert stamp(MOMENT.replace(microsecond=0)) == "2026-01-02T03:04:05.000000Z"


def test_text_from_outside_is_cut_and_cleaned() -> None:
    assert tidy("a\x00b\nc" + "x" * 50, 10) == "abcxxxxxxx"
    assert tidy(None, 10) is None
    assert tidy_path(None) is None
    assert tidy_path("/users/bob@acme.example/keys?token=secret") == "/users/~/keys"
    assert tidy_path("/users/bob%40acme.example") == "/users/~"


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/recordings/42", ("recordings", "42")),
        (
            "/api/v1/recordings/key_01h2xcejqtf2nbrexx3vqjhp41",
            ("recordings", "key_01h2xcejqtf2nbrexx3vqjhp41"),
        ),
        ("/api/v1/recordings", ("recordings", None)),
        ("/api/v1/recordings/42/notes", ("notes", None)),
        ("/api/v1", (None, None)),
        ("/7", ("7", None)),
        (None, (None, None)),
    ],
)
def test_a_path_tells_what_it_is_about(path: str | None, resource: tuple[str | None, str | None]) -> None:
    assert resource_of(path) == resource


def test_what_was_seen_is_disclosed_once_a_minute_and_nothing_else_ever_twice() -> None:
    clock = ManualClock()
    seen = Seen(clock)
    ip, name = Detail("usr_1", "ip", "203.0.113.9"), Detail("usr_1", "full_name", "Bob Roe")
    first = seen.disclosed(ip)
    assert seen.disclosed(ip) == first
    assert seen.disclosed(Detail("usr_2", "ip", "203.0.113.9")) != first
    assert seen.disclosed(name) != seen.disclosed(name)
    key, other = AESGCM(bytes(32)), AESGCM(bytes(32))
    sealed = seen.seal(key, "usr_1", [first[0]])
    assert seen.seal(key, "usr_1", [first[0]]) == sealed
    assert seen.seal(other, "usr_1", [first[0]]) != sealed
    assert unseal(key, "usr_1", sealed) == [first[0]]
    clock.advance(61)
    assert seen.disclosed(ip) != first


def test_no_more_is_remembered_of_what_was_seen_than_two_thousand() -> None:
    seen = Seen(ManualClock())
    for number in range(5_000):
        seen.disclosed(Detail(f"usr_{number}", "ip", "203.0.113.9"))
    first = Detail("usr_0", "ip", "203.0.113.9")
    assert seen.disclosed(first) == seen.disclosed(first)
    assert len(seen._disclosed) <= 2_000
