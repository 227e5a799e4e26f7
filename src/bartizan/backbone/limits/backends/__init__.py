"""Places where several processes count together; each is loaded when it is chosen."""

from importlib.util import find_spec

from bartizan.backbone.limits.errors import RedisNotInstalled
from bartizan.backbone.limits.settings import LimitsSettings
from bartizan.backbone.limits.types import Shared
from bartizan.foundation.settings import InvalidSettings


def shared(address: str | None, settings: LimitsSettings) -> Shared | None:
    """Build what the setting ``BARTIZAN_REDIS`` names; none where each process counts by itself."""
    if address is None or not settings.enabled:
        return None
    if find_spec("redis") is None:
        message = 'Counting limits in Redis needs a library: pip install "bartizan[redis]"'
        raise RedisNotInstalled(message)
    from .redis import RedisLimits  # noqa: PLC0415 - loaded when chosen

    try:
        return RedisLimits(address, timeout=settings.redis_timeout)
    except ValueError as error:
        reason = "It is no address of Redis."
        cure = "Write it as redis://host:6379/0, or rediss:// for TLS."
        raise InvalidSettings([{"name": "BARTIZAN_REDIS", "reason": reason, "cure": cure}]) from error
