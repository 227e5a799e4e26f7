"""The reverse proxy: the gate in front of an app that is served elsewhere, in any language."""

from .app import Proxy
from .upstream import Upstream

__all__ = ["Proxy", "Upstream"]
