"""How a request is read: headers, cookies, where it came from and which page sent it."""

from .address import Proxies
from .cookies import clear_cookie, csrf_cookie, read_cookie, session_cookie, set_cookie, without_cookies
from .forgery import CrossSite, comes_from_us
from .headers import Header, dress, every_spelling, honest, value_of

__all__ = [
    "CrossSite",
    "Header",
    "Proxies",
    "clear_cookie",
    "comes_from_us",
    "csrf_cookie",
    "dress",
    "every_spelling",
    "honest",
    "read_cookie",
    "session_cookie",
    "set_cookie",
    "value_of",
    "without_cookies",
]
