"""A request that is sent again runs once, and gets the same answer."""

import asyncio
import secrets

import httpx
import pytest

from bartizan.access.idempotency import IdempotencySettings
from bartizan.doors.frameworks import Wrapped
from bartizan.doors.testing import Cast, Person, anyone, program

from .conftest import keyed, look
from .shop import Shop

ROWS = "select count(*) from bz_idempotency"


@pytest.mark.feature("RATE-07")
async def test_the_second_request_gets_the_answer_of_the_first(http: httpx.AsyncClient, shop: Shop) -> None:
    first = await http.post("/order", content=b"tea", headers=keyed("k1"))
    again = await http.post("/order", content=b"tea", headers=keyed("k1"))
    assert (first.status_code, first.json()["number"]) == (201, 1)
    assert (again.status_code, again.content, again.headers["x-order"]) == (201, first.content, "1")
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert len(shop.orders) == 1


async def test_without_a_key_every_request_runs(http: httpx.AsyncClient, shop: Shop) -> None:
    for _ in range(2):
        await http.post("/order", content=b"tea")
    for _ in range(2):
        await http.get("/order", headers=keyed("k1"))
    assert len(shop.orders) == 4


@pytest.mark.feature("RATE-07")
async def test_another_request_with_the_same_key_is_refused(http: httpx.AsyncClient, shop: Shop) -> None:
    await http.post("/order?size=1", content=b"tea", headers=keyed("k1", **{"content-type": "text/plain"}))
    for method, path, body, kind in (
        ("POST", "/order?size=1", b"coffee", "text/plain"),
        ("POST", "/order?size=2", b"tea", "text/plain"),
        ("POST", "/order", b"tea", "text/plain"),
        ("POST", "/refuse?size=1", b"tea", "text/plain"),
        ("PUT", "/order?size=1", b"tea", "text/plain"),
        ("POST", "/order?size=1", b"tea", "application/json"),
        ("POST", "/order?size=1", b"", "text/plain"),
    ):
        answer = await http.request(method, path, content=body, headers=keyed("k1", **{"content-type": kind}))
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency-key-reused"), (method, path)
    assert len(shop.orders) == 1


@pytest.mark.feature("RATE-07")
async def test_requests_at_the_same_time_run_once(http: httpx.AsyncClient, shop: Shop) -> None:
    first = asyncio.create_task(http.post("/slow", content=b"tea", headers=keyed("k1")))
    await shop.started.wait()
    others = [asyncio.create_task(http.post("/slow", content=b"tea", headers=keyed("k1"))) for _ in range(8)]
    other = await http.post("/slow", content=b"coffee", headers=keyed("k1"))
    assert other.json()["code"] == "idempotency-key-reused"
    shop.go_on.set()
    answers = await asyncio.gather(first, *others)
    assert {answer.content for answer in answers} == {answers[0].content}
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, *["true"] * 8]
    assert len(shop.orders) == 1


@pytest.mark.feature("RATE-07")
async def test_who_waits_too_long_is_told_when_to_come_again(
    http: httpx.AsyncClient, shop: Shop, app: Wrapped
) -> None:
    app.bz.idempotency.settings = IdempotencySettings(wait=0.05)
    first = asyncio.create_task(http.post("/slow", content=b"tea", headers=keyed("k1")))
    await shop.started.wait()
    late = await http.post("/slow", content=b"tea", headers=keyed("k1"))
    assert (late.status_code, late.json()["code"]) == (409, "request-under-way")
    assert int(late.headers["retry-after"]) >= 1
    shop.go_on.set()
    assert (await first).status_code == 201
    assert (await http.post("/slow", content=b"tea", headers=keyed("k1"))).content == (await first).content
    assert len(shop.orders) == 1


@pytest.mark.feature("RATE-07")
async def test_refusals_of_the_app_are_kept_and_failures_are_not(http: httpx.AsyncClient, shop: Shop) -> None:
    for _ in range(2):
        assert (await http.post("/refuse", content=b"x", headers=keyed("k1"))).status_code == 422
    assert len(shop.orders) == 1
    for number, status in enumerate((b"500", b"503", b"429", b"408", b"425")):
        for count in range(2):
            answer = await http.post("/fail", content=status, headers=keyed(f"f{number}"))
            assert (answer.status_code, answer.json()["number"]) == (int(status), 2 + 2 * number + count)


@pytest.mark.feature("RATE-07")
async def test_an_answer_that_breaks_off_frees_its_key(http: httpx.AsyncClient, shop: Shop) -> None:
    for path, body in (("/crash", b""), ("/cut", b"x")):
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await http.post(path, content=body, headers=keyed(path))
    assert len(shop.orders) == 4
    for path in ("/silent", "/cut"):
        for _ in range(2):
            with pytest.raises(AssertionError):  # httpx: the answer never ended
                await http.post(path, headers=keyed(f"{path}2"))
    assert len(shop.orders) == 8


async def test_a_request_that_is_cancelled_frees_its_key(http: httpx.AsyncClient, shop: Shop) -> None:
    first = asyncio.create_task(http.post("/slow", content=b"tea", headers=keyed("k1")))
    await shop.started.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    shop.go_on.set()
    assert (await http.post("/slow", content=b"tea", headers=keyed("k1"))).json()["number"] == 2


@pytest.mark.parametrize(
    "values",
    [[b""], [b" "], [b"with space"], [b"a" * 256], [b"caf\xc3\xa9"], [b"tab\tin"], [b'"open'], [b'""'],
     [b"one", b"one"], [b"one", b"two"], [b'"a"; b=1'], [b"nul\0"]],
    ids=str,
)  # fmt: skip
@pytest.mark.feature("RATE-07")
async def test_what_is_no_key_is_refused_by_the_name_of_its_header(
    http: httpx.AsyncClient, shop: Shop, values: list[bytes]
) -> None:
    headers = [(b"idempotency-key", value) for value in values]
    answer = await http.post("/order", content=b"tea", headers=[*http.headers.raw, *headers])
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-idempotency-key")
    assert answer.json()["field"] == "Idempotency-Key"
    assert shop.orders == []


async def test_a_key_in_quotes_is_the_same_key(http: httpx.AsyncClient, shop: Shop) -> None:
    for key in ("k-1", '"k-1"', ' "k-1" '):
        assert (await http.post("/order", headers=keyed(key))).json()["number"] == 1
    assert (await http.post("/order", headers=keyed('"a\\"b"'))).json()["number"] == 2
    assert (await http.post("/order", headers=keyed("a" * 255))).json()["number"] == 3


@pytest.mark.feature("RATE-07")
async def test_another_caller_with_the_same_key_is_served_alone(
    http: httpx.AsyncClient, shop: Shop, app: Wrapped, ada: Person
) -> None:
    """Neither a colleague, nor the same person elsewhere, nor a key of theirs meets the answer."""
    cast = Cast(app.bz)
    colleague = await cast.person(ada.org_id, "admin", "bob")
    globex = await cast.organization("Globex")
    await cast.join(ada.id, globex, "admin")
    elsewhere = await cast.sign_in(ada.id, globex)
    made = await http.post("/_bartizan/api/v1/api-keys", json={"name": "ci", "scopes": ["app:write"]})
    first = await http.post("/order", content=b"tea", headers=keyed("k1"))
    async with (
        program(app, colleague) as bob, program(app, elsewhere) as there,
        program(app, ada, authorization=f"Bearer {made.json()['secret']}") as machine,
        program(app, ada, **{"x-org-id": globex}) as switched,
    ):  # fmt: skip
        answers = [await one.post("/order", content=b"tea", headers=keyed("k1"))
                   for one in (bob, there, machine, switched)]  # fmt: skip
    assert [answer.json()["number"] for answer in (first, *answers)] == [1, 2, 3, 4, 3]
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, None, None, "true"]


async def test_a_large_request_is_held_back_whole(http: httpx.AsyncClient, shop: Shop) -> None:
    body = secrets.token_bytes(3_000_000)
    for _ in range(2):
        answer = await http.post("/order", content=body, headers=keyed("k1"))
        assert answer.status_code == 201
    assert len(shop.orders) == 1
    changed = bytes([body[0] ^ 1]) + body[1:]
    assert (await http.post("/order", content=changed, headers=keyed("k1"))).status_code == 409


async def test_strangers_have_no_keys(app: Wrapped, shop: Shop) -> None:
    step = app.bz.idempotency
    async with anyone(app) as http:
        answer = await http.post("/_bartizan/api/v1/auth/login", json={"login": "x"}, headers=keyed("k1"))
        assert answer.status_code in {401, 422}
    assert step.enabled
    assert await look(app.bz.database, ROWS) == [(0,)]


async def test_it_can_be_switched_off(http: httpx.AsyncClient, shop: Shop, app: Wrapped) -> None:
    app.bz.idempotency.settings = IdempotencySettings(enabled=False)
    for _ in range(2):
        await http.post("/order", headers=keyed("k1"))
    assert len(shop.orders) == 2


async def test_an_answer_that_cannot_be_stored_leaves_all_the_same(
    http: httpx.AsyncClient, shop: Shop, app: Wrapped
) -> None:
    first = asyncio.create_task(http.post("/slow", content=b"tea", headers=keyed("k1")))
    await shop.started.wait()
    keyring, app.bz.idempotency._keyring = app.bz.idempotency._keyring, None  # type: ignore[assignment]
    shop.go_on.set()
    assert (await first).status_code == 201
    app.bz.idempotency._keyring = keyring
