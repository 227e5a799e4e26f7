"""Errors: what a class says about itself, and what it carries."""

import pytest

from bartizan.foundation import errors
from bartizan.foundation.errors import BartizanError, Fault, Invalid, NotFound, Refusal, TooMany, Unavailable


class UnknownApiKey(NotFound):
    """There is no such key.

    More is said here.
    """


class OIDCRefused(Refusal):
    pass


def test_the_class_gives_code_and_title() -> None:
    assert UnknownApiKey.code == "unknown-api-key"
    assert UnknownApiKey.title == "There is no such key."
    assert BartizanError.code == "bartizan-error"


def test_a_class_without_a_docstring_goes_by_its_name() -> None:
    assert OIDCRefused.title == "OIDCRefused"


def test_an_error_says_its_title_unless_it_knows_better() -> None:
    assert str(UnknownApiKey()) == "There is no such key."
    assert str(UnknownApiKey("Not that one.")) == "Not that one."
    assert UnknownApiKey(key_id="key_1").facts == {"key_id": "key_1"}
    assert UnknownApiKey().facts == {}


def test_every_kind_is_either_the_callers_or_the_operators() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and kind.__module__ == errors.__name__
    ]
    for kind in set(kinds) - {BartizanError}:
        assert issubclass(kind, BartizanError)
        assert issubclass(kind, Refusal) != issubclass(kind, Fault)
    assert issubclass(Unavailable, Fault)
    assert issubclass(TooMany, Refusal)


def test_codes_of_kinds_are_not_shared() -> None:
    with pytest.raises(Invalid):
        raise Invalid(field="name")
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BartizanError)
    ]
    assert len({kind.code for kind in kinds}) == len(kinds)
