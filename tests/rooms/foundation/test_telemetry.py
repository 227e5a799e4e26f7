"""Telemetry: logs without secrets, metrics with bounded labels, one span a request."""

import io
import json
import logging
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pydantic import SecretStr

from bartizan.foundation.context import Caller, Origin, current
from bartizan.foundation.telemetry import (
    Metrics,
    TelemetrySettings,
    Tracing,
    hush,
    logger,
    redact,
    set_up_logs,
)

Logs = Callable[..., io.StringIO]


@pytest.fixture
def logs() -> Generator[Logs]:
    undo: list[Callable[[], None]] = []

    def start(form: str = "json", level: str = "info", *, production: bool = True) -> io.StringIO:
        stream = io.StringIO()
        settings = TelemetrySettings.model_validate({"log_format": form, "log_level": level})
        undo.append(set_up_logs(settings, production=production, stream=stream))
        return stream

    yield start
    for one in reversed(undo):
        one()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_production_logs_one_json_object_a_line_with_who_and_where_from(logs: Logs) -> None:
    stream = logs("auto")
    with (
        current.receiving(Origin(request_id="req_1")),
        current.acting_as(Caller(id="usr_1", kind="user", org_id="org_1")),
    ):
        logger("bartizan.mail").info("mail %s", "sent", email_id="eml_1", name="x", args=[1])
    [line] = lines(stream)
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {
        "level": "info",
        "event": "mail sent",
        "logger": "bartizan.mail",
        "request_id": "req_1",
        "caller": "usr_1",
        "org_id": "org_1",
        "email_id": "eml_1",
        "name": "x",
        "args": [1],
    }


def test_development_logs_for_people(logs: Logs) -> None:
    stream = logs("auto", production=False)
    logger("plugin").warning("disk\x1b[31m is full\nlevel=forged", free=3, note="a\r\nb")
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert "disk\\x1b[31m is full" in text
    assert "free=3" in text
    assert "bartizan.plugin" in text


def test_an_exception_is_logged_with_its_traceback_and_without_secrets(logs: Logs) -> None:
    stream = logs("json")
    try:
        raise ValueError("Authorization: Bearer abcdefghijkl")  # noqa: TRY301
    except ValueError:
        logger("bartizan").exception("failed")
        logging.getLogger("bartizan.x").exception("also", stack_info=True)
    one, two = lines(stream)
    assert "ValueError" in one["exception"]
    assert "abcdefghijkl" not in stream.getvalue()
    assert "Stack" in two["stack"]
    stream = logs("text")
    logger("bartizan").error("failed", exc_info=ValueError("line\nbreak"))
    assert "ValueError: line\nbreak" in stream.getvalue()


def test_standard_loggers_below_ours_are_routed_too(logs: Logs) -> None:
    stream = logs("json", "debug")
    with current.as_system(name="scheduler"):
        logging.getLogger("bartizan.jobs").debug("token=%s", "abcdefghijk")
    assert [(line["event"], line["caller"]) for line in lines(stream)] == [("token=***", "scheduler")]


def test_levels_are_kept(logs: Logs) -> None:
    stream = logs("json", "warning")
    logger("bartizan.a").info("no")
    logger("bartizan.a").warning("yes")
    assert [line["event"] for line in lines(stream)] == ["yes"]


def test_the_hosts_loggers_and_structlog_stay_as_they_are(
    logs: Logs, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, structlog.get_config(), logging.getLogger("uvicorn").handlers[:])
    stream = logs("json")
    logging.getLogger("host").warning("mine")
    assert stream.getvalue() == ""
    after = (root.handlers[:], root.level, structlog.get_config(), logging.getLogger("uvicorn").handlers[:])
    assert after == before


def test_the_host_can_take_our_logs(logs: Logs, caplog: pytest.LogCaptureFixture) -> None:
    stream = logs("host")
    with caplog.at_level(logging.INFO):
        logger("bartizan.a").info("hello", password="hunter2", size=3)
    assert stream.getvalue() == ""
    assert caplog.messages == ["hello"]
    assert caplog.records[0].__dict__["bartizan"] == {"password": "***", "size": 3}


def test_setting_up_again_writes_once_and_undoing_leaves_nothing() -> None:
    tree = logging.getLogger("bartizan")
    before = (tree.handlers[:], tree.level, tree.propagate)
    first, second = io.StringIO(), io.StringIO()
    undo_first = set_up_logs(TelemetrySettings(), production=True, stream=first)
    undo = set_up_logs(TelemetrySettings(), production=True, stream=second)
    logger("bartizan.a").info("x")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1
    undo()
    undo_first()
    assert (tree.handlers, tree.level, tree.propagate) == before
    set_up_logs(TelemetrySettings(), production=True)()
    assert sys.stderr


TELLING = [
    *("password", "Authorization", "cookie", "Set-Cookie", "X-Api-Key", "api_key", "refresh_token", "totp"),
    *(
        "accessToken",
        "client_secret",
        "clientSecret",
        "private_key",
        "signature",
        "recovery_codes",
        "SESSION",
    ),
]


@pytest.mark.parametrize("name", TELLING)
def test_a_fact_with_a_telling_name_is_hidden(name: str) -> None:
    assert redact({name: "hunter2"}) == {name: "***"}
    assert redact({"deep": [{"er": {name: 123456}}]}) == {"deep": [{"er": {name: "***"}}]}
    assert redact({"headers": [(name, "hunter2"), (name.encode(), b"hunter2")]}) == {
        "headers": [[name, "***"], [name, "***"]]
    }


@pytest.mark.parametrize(
    "name", ["token_id", "secret_name", "key_id", "session_id", "input_tokens", "passage"]
)
def test_a_fact_with_a_harmless_name_is_shown(name: str) -> None:
    assert redact({name: 3}) == {name: 3}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Bearer abcdefghijkl", "***"),
        ("auth basic dXNlcjpwYXNz ok", "auth *** ok"),
        ("jwt eyJhbGciOi.eyJzdWIi.c2ln!", "jwt ***!"),
        ("key btz_live_abcdefghijkl.", "key ***."),
        ("whsec_abcdefghijkl", "***"),
        ("postgresql://me:p@ss@db/x", "postgresql://***@db/x"),
        ("/cb?code=abc&state=1", "/cb?code=***&state=1"),
        ("-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY----- x", "*** x"),
        ("nothing to see: https://a.example/b?c=d", "nothing to see: https://a.example/b?c=d"),
    ],
)
def test_a_text_that_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert hush(text) == shown
    assert redact({"note": [text]}) == {"note": [shown]}


def test_what_is_too_much_is_cut() -> None:
    deep: Any = "x"
    for _ in range(50):
        deep = {"a": deep}
    assert "…" in str(redact({"deep": deep}))
    assert len(redact({"many": list(range(500))})["many"]) == 100
    assert len(redact({"long": "x" * 100_000})["long"]) < 8100
    assert redact({"raw": b"123", "s": SecretStr("x"), "n": None, "o": ValueError("e")}) == {
        "raw": "<3 bytes>",
        "s": "***",
        "n": None,
        "o": "e",
    }


@given(st.dictionaries(st.text(max_size=20), st.recursive(st.text() | st.integers() | st.binary(), st.lists)))
def test_redaction_takes_anything_and_gives_json(facts: dict[str, Any]) -> None:
    json.dumps(redact(facts))


# metrics


@pytest.mark.feature("OPS-02")
def test_metrics_are_counted_and_shown_for_prometheus() -> None:
    metrics = Metrics()
    metrics.request(method="GET", route="/users/{id}", status=200, seconds=0.02)
    metrics.request(method="BREW", route="/users/{id}", status=418, seconds=0.02)
    metrics.job(kind="mail", outcome="done", seconds=2)
    metrics.audited("success", 3)
    metrics.signed_in(method="password", outcome="failed")
    metrics.outbound(outcome="answered", seconds=0.1)
    metrics.gauge("queue_length", "Jobs waiting.", lambda: 7)
    text, content_type = metrics.exposition()
    assert content_type.startswith("text/plain")
    shown = text.decode().splitlines()
    for line in (
        'bartizan_requests_total{method="GET",route="/users/{id}",status="200"} 1.0',
        'bartizan_requests_total{method="other",route="/users/{id}",status="418"} 1.0',
        'bartizan_request_seconds_count{method="GET",route="/users/{id}"} 1.0',
        'bartizan_jobs_total{kind="mail",outcome="done"} 1.0',
        'bartizan_job_seconds_sum{kind="mail"} 2.0',
        'bartizan_audit_events_total{outcome="success"} 3.0',
        'bartizan_sign_ins_total{method="password",outcome="failed"} 1.0',
        'bartizan_outbound_requests_total{outcome="answered"} 1.0',
        "bartizan_outbound_seconds_count 1.0",
        "bartizan_queue_length 7.0",
    ):
        assert line in shown
    assert "openmetrics" in metrics.exposition("application/openmetrics-text; version=1.0.0")[1]


def test_houses_do_not_share_their_numbers() -> None:
    one, other = Metrics(), Metrics()
    one.audited("success")
    assert b'bartizan_audit_events_total{outcome="success"}' not in other.exposition()[0]


@pytest.mark.feature("OPS-02")
def test_labels_do_not_grow_without_end() -> None:
    metrics = Metrics()
    seen = metrics.counter("seen", "Seen.", ["what"], most=10)
    for number in range(1000):
        seen.add(f"thing {number}")
    shown = [
        line
        for line in metrics.exposition()[0].decode().splitlines()
        if line.startswith("bartizan_seen_total{")
    ]
    assert len(shown) == 11
    assert 'bartizan_seen_total{what="other"} 990.0' in shown


# traces


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider)


@pytest.mark.feature("OPS-02")
def test_a_request_is_one_span_below_its_callers(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    trace_id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    headers = [(b"traceparent", f"00-{trace_id}-{parent}-01".encode()), (b"authorization", b"Bearer x")]
    with tracing.request(method="GET", path="/users/1", scheme="https", headers=headers) as span:
        span.caller(request_id="req_1", caller="usr_1")
        span.route("/users/{id}")
        span.answered(503)
    [found] = exporter.get_finished_spans()
    assert found.name == "GET /users/{id}"
    assert found.parent
    assert (f"{found.parent.trace_id:032x}", f"{found.parent.span_id:016x}") == (trace_id, parent)
    assert found.attributes == {
        "http.request.method": "GET",
        "url.path": "/users/1",
        "url.scheme": "https",
        "http.route": "/users/{id}",
        "http.response.status_code": 503,
        "bartizan.request_id": "req_1",
        "enduser.id": "usr_1",
    }
    assert found.status.status_code is StatusCode.ERROR


def test_a_piece_of_work_is_a_span_and_a_good_answer_is_no_error(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    with tracing.request(method="GET", path="/", scheme="http", headers=[]) as span:
        with tracing.span("seal", rows=3):
            pass
        span.answered(404)
    inner, outer = exporter.get_finished_spans()
    assert inner.name == "seal"
    assert inner.attributes == {"rows": 3}
    assert inner.parent
    assert outer.context
    assert inner.parent.span_id == outer.context.span_id
    assert outer.status.status_code is StatusCode.UNSET


def test_nothing_is_traced_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bartizan.foundation.telemetry.service.tracing.find_spec", lambda name: None)
    tracing = Tracing()
    with tracing.request(method="GET", path="/", scheme="http", headers=[]) as span, tracing.span("work"):
        span.caller(request_id="req_1")
        span.route("/")
        span.answered(200)
    monkeypatch.undo()
    with Tracing().request(method="GET", path="/", scheme="http", headers=[]) as span, Tracing().span("work"):
        assert type(span).__name__ == "_NoSpan"
