"""What ``bartizan doctor`` and the page on the system's health look at.

A check says what it looks at and why; a look gives verdicts, each with the exact fix. What needs neither
database nor framework is in ``OFFLINE`` and imports neither; ``standing`` holds the rest and is imported
when there is a house to look at.
"""

from .case import Case, Finding, Report, examine
from .keys import KEYS
from .machine import MACHINE
from .mail import SENDING
from .settings import SETTINGS
from .web import WEB

OFFLINE = (*SETTINGS, *KEYS, *WEB, *SENDING, *MACHINE)

__all__ = ["OFFLINE", "Case", "Finding", "Report", "examine"]
