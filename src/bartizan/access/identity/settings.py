"""What an operator can turn about accounts and passwords."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bartizan.foundation.context import TRAIT
from bartizan.foundation.settings import Section

Domain = Annotated[str, Field(min_length=3, max_length=253, pattern=r"^[a-z0-9.-]+$")]
Trait = Annotated[str, Field(pattern=TRAIT, max_length=60)]


class TraitRule(Section):
    """Traits for everybody of an e-mail domain, of a department, or of both where both are named."""

    domain: Domain | None = Field(default=None, description="Domain of a confirmed e-mail address.")
    department: str | None = Field(
        default=None, max_length=120, description="Department; letter case does not count."
    )
    traits: list[Trait] = Field(min_length=1, max_length=50, description="What those people then are.")


class IdentitySettings(Section):
    """Accounts and passwords: ``BARTIZAN_IDENTITY__*``."""

    registration: Literal["open", "invite", "domain", "closed"] = Field(
        default="open",
        description="Who may open an account: everybody, who was invited, who has an address in one of the"
        " `domains`, or nobody. Operators always may.",
    )
    domains: list[Domain] = Field(
        default_factory=list[Domain], max_length=1000, description="E-mail domains that may register."
    )
    hide_accounts: bool | None = Field(
        default=None,
        description="Whether registration answers alike for new and for known addresses, so that nobody can"
        " probe who has an account. Unset: in production only.",
    )
    verify_email: bool | None = Field(
        default=None,
        description="Whether an address must be confirmed before signing in. Unset: when mail really reaches"
        " people. Hidden accounts and registration by domain always need it.",
    )
    verification_hours: int = Field(
        default=48, ge=1, le=720, description="How long a confirmation link works, in hours."
    )
    reset_minutes: int = Field(
        default=60, ge=5, le=1440, description="How long a link for a new password works, in minutes."
    )
    mail_pause: int = Field(
        default=60, ge=0, le=3600, description="Seconds before the same kind of link is mailed again."
    )
    even_out: float = Field(
        default=0.1,
        ge=0,
        le=5,
        description="Answers that could tell whether an account exists take a multiple of this, in seconds.",
    )
    password_min_length: int = Field(
        default=10, ge=8, le=64, description="The fewest characters of a password."
    )
    password_classes: int = Field(
        default=0,
        ge=0,
        le=4,
        description="How many of lower case, upper case, digits and others a password needs. Length serves"
        " better (NIST SP 800-63B, 3.1.1.2).",
    )
    breach_file: Path | None = Field(
        default=None,
        description="File of breached passwords, for checking without a network: the first five bytes of each"
        " SHA-1, sorted, nothing between them.",
    )
    breach_online: bool = Field(
        default=False,
        description="Whether to ask a range service for breached passwords; it learns five hex digits only.",
    )
    breach_url: str = Field(
        default="https://api.pwnedpasswords.com/range/",
        max_length=400,
        pattern=r"^https?://",
        description="The range service; the digits are appended.",
    )
    argon2_memory: int = Field(
        default=19_456, ge=19_456, le=2_097_152, description="Memory of one Argon2id hash, in KiB."
    )
    argon2_time: int = Field(default=2, ge=2, le=20, description="Passes of one Argon2id hash.")
    argon2_lanes: int = Field(default=1, ge=1, le=8, description="Parallelism of one Argon2id hash.")
    hash_threads: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Hashes computed at once. Unset: one for each processor, at most 4.",
    )
    hash_queue: int = Field(
        default=256, ge=1, le=10_000, description="Hashes that may wait; beyond it sign-in answers 429."
    )
    max_failures: int = Field(
        default=5, ge=1, le=100, description="Failed sign-ins of one login before it is locked for a while."
    )
    max_failures_per_address: int = Field(
        default=5,
        ge=1,
        le=10_000,
        description="Failed sign-ins from one address before it is locked for a while; raise it where many"
        " people share one. Who signed in from there before is not held up.",
    )
    failure_window: int = Field(
        default=900, ge=60, le=86_400, description="Seconds in which failures add up."
    )
    first_lock: int = Field(
        default=900,
        ge=10,
        le=86_400,
        description="Seconds of the first lock; each further one lasts twice as long.",
    )
    longest_lock: int = Field(default=3600, ge=10, le=86_400, description="Seconds of the longest lock.")
    max_tracked: int = Field(
        default=100_000,
        ge=1000,
        le=10_000_000,
        description="Logins and addresses whose failures are remembered; the oldest go first.",
    )
    trait_rules: list[TraitRule] = Field(
        default_factory=list[TraitRule],
        max_length=500,
        description="Traits that follow from e-mail or department.",
    )
