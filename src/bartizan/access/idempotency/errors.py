"""How this room refuses."""

from bartizan.foundation.errors import Conflict, Invalid


class InvalidIdempotencyKey(Invalid):
    """The Idempotency-Key header is not one key of 1 to 255 visible ASCII characters.

    It may stand in double quotes, which do not count. Two such headers are none.
    """


class IdempotencyKeyReused(Conflict):
    """The Idempotency-Key was used for another request.

    A key goes with one method, path, query, body and team. Send another request with another key.
    """


class RequestUnderWay(Conflict):
    """The request with this Idempotency-Key is still being worked on.

    Send it again after ``retry_after`` seconds: it gets the answer of the first one. If the process that
    worked on it has died, it runs anew once the lease of ``BARTIZAN_IDEMPOTENCY__LEASE`` is over.
    """


class AnswerNotKept(Conflict):
    """The request with this Idempotency-Key was done, but its answer cannot be given again.

    It was longer than ``BARTIZAN_IDEMPOTENCY__MAX_ANSWER``, or a stream. Nothing was done this time: look
    up what the first request made, instead of sending it once more with another key.
    """
