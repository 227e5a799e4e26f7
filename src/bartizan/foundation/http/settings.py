"""What can be turned about requests to other servers."""

import ipaddress
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from bartizan.foundation.settings import Problem, Section


class HttpSettings(Section):
    """Where requests of ours may go, and how long they may take."""

    allow: tuple[str, ...] = Field(
        default=(),
        description="Private networks that may be reached, as 10.1.0.0/16; a metadata service only by a /32.",
    )
    proxy: SecretStr | None = Field(
        default=None,
        description="Proxy for every request; it then decides which addresses may be reached.",
    )
    ca_file: Path | None = Field(
        default=None, description="Certificates (PEM) to trust besides the system's own."
    )
    timeout: float = Field(default=15, gt=0, le=600, description="Seconds for a request, all in all.")
    connect_timeout: float = Field(default=5, gt=0, le=60, description="Seconds to reach a server.")
    max_bytes: int = Field(
        default=5_000_000, ge=1, le=1_000_000_000, description="Bytes of an answer that are read at most."
    )
    attempts: int = Field(
        default=3, ge=1, le=10, description="How often a request that may be repeated is tried."
    )
    connections: int = Field(default=100, ge=1, le=10_000, description="Connections open at once.")
    connections_per_host: int = Field(default=20, ge=1, le=1000, description="Connections open to one host.")
    breaker_failures: int = Field(
        default=5, ge=1, le=1000, description="Failures in a row after which a host is left alone."
    )
    breaker_seconds: float = Field(default=30, gt=0, le=3600, description="Seconds it is then left alone.")

    @field_validator("allow")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ipaddress.ip_network(one)) for one in value)

    def unsafe(self) -> Sequence[Problem]:
        """Refuse an allow-list that is no wall any more."""
        widest = {4: 8, 6: 7}
        networks = [ipaddress.ip_network(one) for one in self.allow]
        return [
            Problem("allow", f"{network} opens more than a private network.", "Name the networks you need.")
            for network in networks
            if network.prefixlen < widest[network.version]
        ]
