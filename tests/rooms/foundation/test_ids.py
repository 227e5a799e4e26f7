"""Ids: sorted by time, unique, and read back."""

import time
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.foundation import ids

PREFIXES = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=3)


@given(PREFIXES)
def test_an_id_is_a_uuid7_behind_its_prefix(prefix: str) -> None:
    before = time.time_ns() // 1_000_000
    text = ids.new(prefix)
    uuid = ids.uuid_of(text)
    assert len(text) == 30
    assert ids.valid(text)
    assert ids.valid(text, prefix)
    assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")
    assert before <= uuid.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_sort_by_the_millisecond_of_their_making_as_their_uuids_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    for millisecond in (0, 1, 2**20, 1_700_000_000_000, 1_700_000_000_001, 2**47, 2**48 - 1):
        monkeypatch.setattr(time, "time_ns", lambda now=millisecond: now * 1_000_000)
        made.append(ids.new("key"))
    assert sorted(made) == made
    assert sorted(ids.uuid_of(text) for text in made) == [ids.uuid_of(text) for text in made]


def test_ids_of_one_millisecond_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    assert len({ids.new("key") for _ in range(20_000)}) == 20_000


@given(st.uuids(version=4), st.uuids(version=4))
def test_every_bit_of_an_id_counts(one: UUID, other: UUID) -> None:
    first, second = written(one), written(other)
    assert ids.uuid_of(first) == one
    assert (first < second) == (one < other)


@given(st.text(max_size=40))
def test_a_text_is_an_id_or_refused_and_nothing_else(text: str) -> None:
    if ids.valid(text):
        assert written(ids.uuid_of(text))[4:] == text[4:]
    else:
        with pytest.raises(ValueError, match="is not an id"):
            ids.uuid_of(text)


@pytest.mark.parametrize("change", ["upper", "newline", "space", "short", "long", "letter", "first", "bare"])
def test_no_other_spelling_of_an_id_is_taken(change: str) -> None:
    text = ids.new("key")
    other = {
        "upper": text.upper(),
        "newline": text + "\n",
        "space": f" {text}",
        "short": text[:-1],
        "long": text + "0",
        "letter": text[:-1] + "u",
        "first": f"key_8{text[5:]}",
        "bare": text[4:],
    }[change]
    assert not ids.valid(other)


def test_an_id_of_another_kind_is_told_apart() -> None:
    assert not ids.valid(ids.new("key"), "usr")


def written(uuid: UUID) -> str:
    alphabet, value, letters = "0123456789abcdefghjkmnpqrstvwxyz", uuid.int, ""
    for _ in range(26):
        value, rest = divmod(value, 32)
        letters = alphabet[rest] + letters
    return f"key_{letters}"
