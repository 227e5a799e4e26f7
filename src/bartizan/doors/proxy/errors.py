"""What can go wrong with the application behind the proxy, and how it is said.

These never leave the proxy: each becomes an answer (see :mod:`.answers`) or the end of a connection.
"""

from http import HTTPStatus
from typing import ClassVar


class ProxyError(Exception):
    """The request was not answered by the application."""

    status: ClassVar[int] = HTTPStatus.BAD_GATEWAY
    code: ClassVar[str] = "upstream-failed"
    title: ClassVar[str] = "The application gave no usable answer."


class Unreachable(ProxyError):
    """No connection could be made."""

    code = "upstream-unreachable"
    title = "The application cannot be reached at the moment."


class BrokeOff(ProxyError):
    """The connection ended before the answer did."""

    code = "upstream-broke-off"
    title = "The application broke off before it answered."


class Senseless(ProxyError):
    """The answer is not HTTP/1.1 that everyone would read alike."""

    code = "upstream-answer-invalid"
    title = "The application gave an answer that cannot be handed on safely."


class TooSlow(ProxyError):
    """A time-out passed."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    code = "upstream-too-slow"
    title = "The application took too long to answer."


class Busy(ProxyError):
    """All connections are taken."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "upstream-busy"
    title = "The application has too much to do at the moment."


class BadRequest(ProxyError):
    """The request could be read in more than one way, so it is not handed on."""

    status = HTTPStatus.BAD_REQUEST
    code = "bad-request"
    title = "The request is not written as HTTP wants it."


class BadMethod(ProxyError):
    """A method that makes no sense through a gate: it would show the app's credentials, or open a tunnel."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "method-not-allowed"
    title = "TRACE and CONNECT are not handed on."


class Left(Exception):
    """The caller hung up."""
