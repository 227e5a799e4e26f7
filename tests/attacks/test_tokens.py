"""Forged, bent and borrowed JSON Web Tokens: none may pass (RFC 8725)."""

import base64
import hashlib
import hmac
import json
import tracemalloc
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from bartizan.foundation.clock import ManualClock
from bartizan.foundation.crypto import BadToken, Keyring, SigningKeys
from bartizan.foundation.crypto.backends import jose
from bartizan.foundation.database import Database

pytestmark = pytest.mark.feature("ID-15")
TYP = "at+jwt"
# The order of P-256 (FIPS 186-5): with (r, s), (r, N - s) is a valid signature too.
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def dump(value: Any) -> str:
    return b64(json.dumps(value).encode())


class Attacker:
    """Knows a genuine token, the JWK Set and the source code, but no private key."""

    def __init__(self, signing: SigningKeys, token: str, jwks: dict[str, Any]) -> None:
        self.signing = signing
        self.token = token
        self.jwk = jwks["keys"][0]
        self.kid: str = self.jwk["kid"]
        self.claims: dict[str, Any] = json.loads(unb64(token.split(".")[1]))

    async def refused(self, token: str) -> None:
        with pytest.raises(BadToken):
            await self.signing.verify(token, typ=TYP)

    def header(self, **changes: Any) -> dict[str, Any]:
        return {"alg": "ES256", "kid": self.kid, "typ": TYP} | changes

    def unsigned(self, header: Any, signature: bytes = b"") -> str:
        return f"{dump(header)}.{dump({**self.claims, 'sub': 'usr_admin'})}.{b64(signature)}"

    def own_signature(self, header: Any) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        body = f"{dump(header)}.{dump(self.claims)}"
        r, s = decode_dss_signature(key.sign(body.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{body}.{b64(r.to_bytes(32) + s.to_bytes(32))}"

    def with_hmac(self, key: bytes, alg: str = "HS256") -> str:
        body = f"{dump(self.header(alg=alg))}.{dump(self.claims)}"
        return f"{body}.{b64(hmac.digest(key, body.encode(), hashlib.sha256))}"

    def signed_by_us(self, claims: dict[str, Any], **header: Any) -> str:
        """Sign what only we could sign, to reach the checks behind the signature."""
        assert self.signing._private
        return jose.sign(self.header(**header), claims, self.signing._private[1])


@pytest.fixture
async def attacker(database: Database, clock: ManualClock) -> Attacker:
    signing = SigningKeys(database, Keyring(["k" * 40]), clock=clock)
    token = await signing.sign({"sub": "usr_1"}, typ=TYP)
    assert (await signing.verify(token, typ=TYP))["sub"] == "usr_1"
    return Attacker(signing, token, await signing.jwks())


@pytest.mark.parametrize(
    "alg", ["none", "nOnE", "NONE", "None", "", None, [], ["ES256"], {"a": 1}, 0], ids=repr
)
async def test_no_algorithm_is_refused_in_any_spelling(attacker: Attacker, alg: Any) -> None:
    await attacker.refused(attacker.unsigned(attacker.header(alg=alg)))
    await attacker.refused(attacker.unsigned(attacker.header(alg=alg), b"\0" * 64))


async def test_a_public_key_is_no_hmac_key(attacker: Attacker) -> None:
    public = ec.EllipticCurvePublicNumbers(
        int.from_bytes(unb64(attacker.jwk["x"])), int.from_bytes(unb64(attacker.jwk["y"])), ec.SECP256R1()
    ).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    jwk = json.dumps(attacker.jwk).encode()
    for key in (pem, pem.strip(), der, jwk, unb64(attacker.jwk["x"]), b""):
        for alg in ("HS256", "ES256"):
            await attacker.refused(attacker.with_hmac(key, alg))


async def test_a_stripped_signature_is_refused(attacker: Attacker) -> None:
    header, claims, signature = attacker.token.split(".")
    for token in (
        f"{header}.{claims}.",
        f"{header}.{claims}",
        f"{header}..{signature}",
        f".{claims}.{signature}",
        f"{header}.{claims}.{signature}.",
        f"{header}.{claims}.{signature}.{signature}",
        "..",
        "...",
        "",
        " ",
        f"{header}.{claims}.{b64(bytes(64))}",
    ):
        await attacker.refused(token)


@pytest.mark.parametrize("alg", ["RS256", "RS512", "PS256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519"])
async def test_another_algorithm_is_refused(attacker: Attacker, alg: str) -> None:
    key = rsa.generate_private_key(65537, 2048)
    body = f"{dump(attacker.header(alg=alg))}.{dump(attacker.claims)}"
    signature = key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA512())
    await attacker.refused(f"{body}.{b64(signature)}")
    header = dump(attacker.header(alg=alg))
    await attacker.refused(".".join([header, *attacker.token.split(".")[1:]]))


async def test_a_key_of_ones_own_is_refused(attacker: Attacker) -> None:
    await attacker.refused(attacker.own_signature(attacker.header()))


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "' OR 1=1 --",
        "unknown",
        "",
        "\0",
        None,
        1,
        [],
        ["x"],
        {"a": "b"},
        "x" * 400,
        "http://127.0.0.1/key",
    ],
)
async def test_a_key_name_finds_keys_and_nothing_else(attacker: Attacker, kid: Any) -> None:
    await attacker.refused(attacker.own_signature(attacker.header(kid=kid)))
    await attacker.refused(attacker.unsigned(attacker.header(kid=kid)))
    await attacker.refused(attacker.with_hmac(b""))


async def test_a_flood_of_unknown_key_names_asks_the_database_once_a_second(
    attacker: Attacker, clock: ManualClock
) -> None:
    asked: list[str] = []
    engine = attacker.signing._database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    clock.advance(1)
    for number in range(1000):
        await attacker.refused(
            attacker.own_signature(attacker.header(kid=f"kid{number}"))
            if number < 5
            else attacker.unsigned(attacker.header(kid=f"kid{number}"))
        )
    assert sum("bz_crypto_signing_keys" in statement for statement in asked) <= 1
    assert await attacker.signing.verify(attacker.token, typ=TYP)


@pytest.mark.parametrize("extra", ["jku", "x5u", "jwk", "x5c", "crit", "b64", "zip", "cty", "nonsense"])
async def test_a_header_cannot_bring_a_key_or_switch_checks_off(attacker: Attacker, extra: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    values: dict[str, Any] = {
        "jwk": {"kty": "EC", "crv": "P-256", "x": b64(key.x.to_bytes(32)), "y": b64(key.y.to_bytes(32))},
        "crit": ["exp"],
        "b64": False,
        "x5c": ["MIIB"],
    }
    header = attacker.header(**{extra: values.get(extra, "http://127.0.0.1:1/keys")})
    await attacker.refused(attacker.own_signature(header))
    await attacker.refused(".".join([dump(header), *attacker.token.split(".")[1:]]))


async def test_a_header_that_we_signed_ourselves_may_not_say_more_either(attacker: Attacker) -> None:
    await attacker.refused(attacker.signed_by_us(attacker.claims, jku="https://keys.example"))
    await attacker.refused(attacker.signed_by_us(attacker.claims, cty="JWT"))


@pytest.mark.parametrize("typ", ["JWT", "logout+jwt", "AT+JWT", "", None, ["at+jwt"]])
async def test_a_token_of_another_kind_is_refused(attacker: Attacker, typ: Any) -> None:
    token = await attacker.signing.sign({}, typ=str(typ))
    await attacker.refused(token)
    await attacker.refused(attacker.unsigned(attacker.header(typ=typ)))


async def test_every_claim_is_required(attacker: Attacker) -> None:
    for name in ("exp", "iat", "nbf", "iss", "aud"):
        claims = {k: v for k, v in attacker.claims.items() if k != name}
        await attacker.refused(attacker.signed_by_us(claims))
    assert await attacker.signing.verify(attacker.signed_by_us(attacker.claims), typ=TYP)


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "value",
    [
        "9999999999",
        float("inf"),
        float("nan"),
        9e12,
        None,
        True,
        [9999999999],
        {"a": 1},
        "",
        10**400,
    ],
)
async def test_a_time_is_a_whole_number(attacker: Attacker, name: str, value: Any) -> None:
    await attacker.refused(attacker.signed_by_us({**attacker.claims, name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iss", ["bartizan"]),
        ("iss", "bartizan.evil.example"),
        ("iss", "bartiza"),
        ("iss", {"bartizan": 1}),
        ("iss", None),
        ("aud", "another"),
        ("aud", ["bartizan", "another"]),
        ("aud", ["bartizan"]),
        ("aud", "*"),
        ("aud", None),
    ],
)
async def test_issuer_and_audience_are_exactly_ours(attacker: Attacker, name: str, value: Any) -> None:
    await attacker.refused(attacker.signed_by_us({**attacker.claims, name: value}))


async def test_a_token_of_the_future_or_the_past_is_refused(attacker: Attacker, clock: ManualClock) -> None:
    now = int(clock.now().timestamp())
    for changes in ({"nbf": now + 31}, {"iat": now + 31}, {"exp": now}, {"exp": now - 1}, {"exp": -1}):
        await attacker.refused(attacker.signed_by_us({**attacker.claims, **changes}))
    assert await attacker.signing.verify(attacker.signed_by_us({**attacker.claims, "nbf": now + 30}), typ=TYP)


async def test_a_giant_token_is_refused_without_being_read(attacker: Attacker) -> None:
    _, claims, signature = attacker.token.split(".")
    giants = [
        f"{dump(attacker.header(x='a' * 4_000_000))}.{claims}.{signature}",
        f"{dump(attacker.header())}.{'A' * 4_000_000}.{signature}",
        f"{dump(attacker.header())}.{claims}.{'A' * 4_000_000}",
        "." * 4_000_000,
        f"{b64(b'[' * 360)}.{claims}.{signature}",
        f"{b64(b'[' * 3_000_000)}.{claims}.{signature}",
    ]
    tracemalloc.start()
    try:
        for token in giants:
            await attacker.refused(token)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1_000_000, "it was decoded before it was measured"


async def test_changed_claims_are_refused(attacker: Attacker) -> None:
    header, _, signature = attacker.token.split(".")
    bodies: list[Any] = [{**attacker.claims, "sub": "usr_2"}, [], "x", None, {}]
    for claims in bodies:
        await attacker.refused(f"{header}.{dump(claims)}.{signature}")
    await attacker.refused(f"{header}.{b64(b'{')}.{signature}")


async def test_the_same_token_written_otherwise_has_the_same_name_to_deny(attacker: Attacker) -> None:
    """A list of denied texts would let all of these in; a list of ``jti`` does not."""
    header, claims, signature = attacker.token.split(".")
    raw = unb64(signature)
    mirrored = raw[:32] + (N - int.from_bytes(raw[32:])).to_bytes(32)
    last = signature[-1]
    loose = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c != last]
    variants = [f"{header}.{claims}.{b64(mirrored)}", f"{attacker.token}=", f"{attacker.token}=="]
    variants += [f"{header}.{claims}.{signature[:-1]}{letter}" for letter in loose]
    variants += [f"{header}=.{claims}.{signature}", f"{attacker.token}\n", f" {attacker.token}"]
    passed = 0
    for token in variants:
        try:
            found = await attacker.signing.verify(token, typ=TYP)
        except BadToken:
            continue
        passed += 1
        assert found == attacker.claims
    assert passed, "ECDSA signatures have a mirror image: if even that is refused, this test shows nothing"


async def test_a_der_signature_is_refused(attacker: Attacker) -> None:
    header, claims, signature = attacker.token.split(".")
    raw = unb64(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    await attacker.refused(f"{header}.{claims}.{b64(der)}")


async def test_a_token_of_another_house_is_refused(attacker: Attacker, clock: ManualClock) -> None:
    other = SigningKeys(
        attacker.signing._database, attacker.signing._keyring, clock=clock, issuer="https://other.example"
    )
    await attacker.refused(await other.sign({"sub": "usr_1"}, typ=TYP))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(
        st.text(max_size=200), st.from_regex(r"[A-Za-z0-9_\-=]{0,40}(\.[A-Za-z0-9_\-=]{0,40}){0,4}")
    )
)
async def test_no_text_does_anything_but_get_refused(attacker: Attacker, text: str) -> None:
    await attacker.refused(text)
