"""Pages: every item once, and cursors that nobody can bend."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from bartizan.foundation.pages import Cursor, InvalidCursor, Limit, Page, cut, decode, encode


@given(st.lists(st.integers(), unique=True), st.integers(1, 7))
def test_following_the_cursor_gives_every_item_once_and_in_order(items: list[int], limit: int) -> None:
    rows = sorted(items, reverse=True)
    seen: list[int] = []
    cursor: str | None = None
    for _ in range(len(rows) + 1):
        after = [row for row in rows if cursor is None or row < int(decode(cursor)[0])]
        page, cursor = cut(after[: limit + 1], limit, lambda row: [row])
        assert len(page) <= limit
        seen.extend(page)
        if cursor is None:
            break
    assert seen == rows


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_cursor_gives_its_texts_back(values: list[str]) -> None:
    cursor = encode(values)
    assert decode(cursor, len(values)) == values
    assert cursor.isascii()
    assert "=" not in cursor


def of_json(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5
)


@given(
    st.one_of(
        st.text(),
        st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()),
        JSON.map(of_json),
        st.dictionaries(st.text(), JSON).map(of_json),
    ),
    st.integers(1, 3),
)
def test_whatever_is_sent_as_a_cursor_is_read_or_refused(cursor: str, size: int) -> None:
    try:
        values = decode(cursor, size)
    except InvalidCursor:
        return
    assert len(values) == size
    assert all(isinstance(value, str) for value in values)


@pytest.mark.parametrize(
    "raw",
    [b"[" * 100_000, b'["' + b"9" * 10_000 + b'"', b"9" * 10_000, b"\xff\xfe[\0", b"NaN", b'["a", 1]', b"[]"],
)
def test_a_hostile_cursor_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidCursor) as caught:
        decode(base64.urlsafe_b64encode(raw).decode())
    assert caught.value.facts == {"field": "cursor"}


def test_the_last_page_has_no_next() -> None:
    assert cut([1, 2], 2, lambda row: [row]) == ([1, 2], None)
    assert Page[int](items=[1]).next is None


def test_limits_are_kept() -> None:
    limit, cursor = TypeAdapter(Limit), TypeAdapter(Cursor)
    assert limit.validate_python(200) == 200
    for wrong in (0, 201, -1):
        with pytest.raises(ValidationError):
            limit.validate_python(wrong)
    with pytest.raises(ValidationError):
        cursor.validate_python("x" * 401)
