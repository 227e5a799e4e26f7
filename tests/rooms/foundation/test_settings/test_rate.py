"""A rate is read as an operator writes it, and nonsense is refused with its cure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from bartizan.foundation.settings import MICROSECOND, Rate

RATES = st.builds(
    Rate,
    st.integers(1, 1_000_000),
    st.sampled_from([1, 10, 60, 90, 3600, 86_400]),
    st.integers(1, 25),
).filter(lambda rate: rate.count <= rate.per * MICROSECOND)


class Holder(BaseModel):
    rate: Rate


@pytest.mark.feature("RATE-01")
@pytest.mark.parametrize(
    ("text", "count", "per", "burst"),
    [
        ("100/minute burst 200", 100, 60, 200),
        ("20/second", 20, 1, 20),
        ("5000/hour", 5000, 3600, 5000),
        (" 5 / 10 seconds ", 5, 10, 5),
        ("7/MIN Burst 1", 7, 60, 1),
        ("1/day", 1, 86_400, 1),
        ("3/s", 3, 1, 3),
        ("3/2mins", 3, 120, 3),
        ("9/2h", 9, 7200, 9),
    ],
)
def test_a_rate_is_read(text: str, count: int, per: int, burst: int) -> None:
    rate = Rate.parse(text)
    assert (rate.count, rate.per, rate.burst) == (count, per, burst)
    assert Rate.parse(str(rate)) == rate


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "is no rate"),
        ("many", "is no rate"),
        ("-5/minute", "is no rate"),
        ("1.5/minute", "is no rate"),
        ("100/minute 200", "is no rate"),
        ("100/minute burst", "is no rate"),
        ("100/fortnight", "is no unit"),
        ("0/minute", "count must be"),
        ("5/0 seconds", "per must be"),
        ("5/minute burst 0", "burst must be"),
        ("3000000/second", "count is"),
        ("1/day burst 1000", "burst is"),
        ("\u0661\u0660/minute", "is no rate"),
    ],
)
def test_nonsense_is_refused_with_its_name_and_its_cure(text: str, names: str) -> None:
    with pytest.raises(ValueError, match=names) as refused:
        Rate.parse(text)
    assert "Write it as" in str(refused.value) or "Choose" in str(refused.value)


def test_a_model_takes_the_text_and_gives_it_back() -> None:
    holder = Holder.model_validate({"rate": "100/minute burst 200"})
    assert holder.rate == Rate(100, 60, 200)
    assert holder.model_dump(mode="json") == {"rate": "100/minute burst 200"}
    assert Holder(rate=holder.rate).rate is holder.rate
    assert Holder.model_json_schema()["properties"]["rate"]["type"] == "string"
    for wrong in (5, None, "5/eon"):
        with pytest.raises(ValidationError):
            Holder.model_validate({"rate": wrong})
    assert repr({"POST /x": Rate(5, 60)}) == "{'POST /x': Rate('5/minute')}"


@given(RATES)
def test_what_is_written_is_read_again(rate: Rate) -> None:
    assert Rate.parse(str(rate)) == rate


@given(RATES)
def test_rounding_never_makes_a_rate_faster(rate: Rate) -> None:
    assert rate.increment * rate.count >= rate.per * MICROSECOND
    assert rate.window * MICROSECOND >= rate.increment * rate.burst


@given(RATES, RATES)
def test_the_tighter_of_two_keeps_both(one: Rate, other: Rate) -> None:
    both = one.tighter(other)
    assert both.within(one)
    assert both.within(other)
