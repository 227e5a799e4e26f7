"""What can be turned about signing keys."""

from collections.abc import Sequence

from pydantic import Field

from bartizan.foundation.settings import Problem, Section


class CryptoSettings(Section):
    """How long tokens and the keys that sign them live."""

    token_lifetime: int = Field(
        default=900, ge=10, le=86_400, description="Seconds a signed token is good, unless its maker says."
    )
    token_skew: int = Field(
        default=30, ge=0, le=300, description="Seconds by which the clocks of replicas may differ."
    )
    rotate_after: int = Field(
        default=90 * 86_400, ge=3600, description="Seconds after which a signing key is replaced."
    )
    publish_ahead: int = Field(
        default=300, ge=0, description="Seconds a new signing key is published before it first signs."
    )
    overlap: int = Field(
        default=86_400, ge=0, description="Seconds a replaced signing key still verifies after its last use."
    )

    def unsafe(self) -> Sequence[Problem]:
        """Refuse an overlap that would cut tokens short, and a new key that nobody had time to fetch."""
        found: list[Problem] = []
        if self.overlap < self.token_lifetime:
            found.append(
                Problem("overlap", "It is shorter than a token lives.", "Raise it above token_lifetime.")
            )
        if self.publish_ahead < _REPLICAS_LOOK:
            found.append(
                Problem("publish_ahead", "Replicas would meet unknown keys.", "Give it at least 10 seconds.")
            )
        return found


_REPLICAS_LOOK = 10
