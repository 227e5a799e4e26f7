"""The ways to say no.

A room refuses by subclassing one of the kinds below. The class name becomes the stable code,
the first line of the docstring the title, and each door turns the kind into its own language:
a status over HTTP (RFC 9457), an exit code on the command line, a page in the console.

    BartizanError
    ├── Refusal              the caller can do something about it; its text is safe to show
    │   ├── Invalid          422
    │   ├── Unauthenticated  401
    │   ├── PaymentRequired  402
    │   ├── Forbidden        403
    │   ├── NotFound         404
    │   ├── Conflict         409
    │   └── TooMany          429
    └── Fault                500; only an operator can
        └── Unavailable      503
"""

import re
from typing import Any, ClassVar


class BartizanError(Exception):
    """Anything this library raises on purpose."""

    code: ClassVar[str] = "bartizan-error"
    title: ClassVar[str] = "Anything this library raises on purpose."

    def __init_subclass__(cls) -> None:
        """Derive the stable code and the title from the class itself."""
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()
        cls.title = (cls.__doc__ or cls.__name__).splitlines()[0]

    def __init__(self, detail: str = "", **facts: Any) -> None:
        """Say what is wrong in ``detail``; ``facts`` are JSON-able values a program can read."""
        super().__init__(detail or self.title)
        self.facts = facts


class Refusal(BartizanError):
    """The request was understood and refused."""


class Invalid(Refusal):
    """The request makes no sense as given.

    ``field`` in the facts names what to change; several are listed in ``errors``.
    """


class Unauthenticated(Refusal):
    """We do not know who is asking."""


class PaymentRequired(Refusal):
    """The plan or licence does not include this."""


class Forbidden(Refusal):
    """We know who is asking, and they may not."""


class NotFound(Refusal):
    """There is no such thing here."""


class Conflict(Refusal):
    """The thing is not in a state that allows this."""


class TooMany(Refusal):
    """The caller has used up an allowance; ``retry_after`` in the facts is in seconds."""


class Fault(BartizanError):
    """Something on our side is broken."""


class Unavailable(Fault):
    """Something we depend on is not answering."""
