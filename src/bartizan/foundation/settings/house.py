"""The settings of the house itself, which need none of its rooms: the command line reads them without any."""

from collections.abc import Sequence

from pydantic import Field

from .bridge import BridgeSettings
from .guard import GuardSettings
from .proxy import ProxySettings
from .types import BaseSettings, Problem


class HouseSettings(BaseSettings):
    """What the house adds to every installation's settings; the rooms add a section each."""

    embedded_worker: bool = Field(default=True, description="Do jobs in the server's own process.")
    metrics_from: Sequence[str] = Field(
        default=("127.0.0.0/8", "::1/128"), description="Addresses or ranges that may read /metrics."
    )
    guard: GuardSettings = Field(default=GuardSettings(), description="The gate in front of every request.")
    bridge: BridgeSettings = Field(default=BridgeSettings(), description="What the app is told of callers.")
    proxy: ProxySettings = Field(default=ProxySettings(), description="The app that is served elsewhere.")

    @property
    def secure_cookies(self) -> bool:
        """Whether people come over TLS, so that cookies can insist on it."""
        return self.base_url.startswith("https://")

    @property
    def pages(self) -> str:
        """Address of our own pages, as people reach them."""
        return self.base_url + self.mount

    def unsafe(self) -> Sequence[Problem]:
        """Refuse addresses without TLS, besides what every installation refuses."""
        found = list(super().unsafe())
        if not self.secure_cookies:
            cure = "Give the https:// address that people use."
            found.append(
                Problem("base_url", "It has no TLS, so session cookies could be read on the way.", cure)
            )
        return found
