"""Settings of jobs."""

from pydantic import Field

from bartizan.foundation.settings import Section


class JobsSettings(Section):
    """``BARTIZAN_JOBS__*``."""

    concurrency: int = Field(default=100, ge=1, le=2000, description="How many jobs one worker runs at once.")
    per_organization: int = Field(
        default=50,
        ge=1,
        le=10_000,
        description="How many jobs of one organization run at once, over all workers. Keep it below"
        " `concurrency`, so that no organization can fill a worker.",
    )
    threads: int = Field(
        default=8, ge=1, le=256, description="How many handlers that are plain functions run at once."
    )
    lease: float = Field(
        default=30.0,
        ge=0.5,
        le=3600,
        description="Seconds after which the job of a silent worker goes to another one.",
    )
    poll: float = Field(
        default=1.0,
        ge=0.05,
        le=60,
        description="Seconds an idle worker waits before it looks again, at most.",
    )
    grace: float = Field(
        default=20.0,
        ge=0,
        le=3600,
        description="Seconds that running jobs get to finish when a worker stops; then they are given back.",
    )
    timeout: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="Seconds one attempt may take, unless the job says otherwise.",
    )
    attempts: int = Field(
        default=5, ge=1, le=100, description="How often a job is tried, unless the job says otherwise."
    )
    backoff: float = Field(
        default=2.0,
        gt=0,
        le=3600,
        description="Seconds before the first retry; each further one waits twice as long.",
    )
    backoff_limit: float = Field(
        default=3600.0, gt=0, le=604_800, description="The longest wait between two attempts, in seconds."
    )
    payload_limit: int = Field(
        default=262_144, ge=1024, le=16_777_216, description="The largest payload of a job, in bytes of JSON."
    )
    keep_done: float = Field(
        default=7.0, ge=0, le=3650, description="Days that finished and cancelled jobs are kept."
    )
    keep_dead: float = Field(default=90.0, ge=0, le=3650, description="Days that dead jobs are kept.")
    misfire: float = Field(
        default=60.0,
        ge=1,
        le=86_400,
        description="Seconds after which a schedule that could not fire counts as missed.",
    )
    schedules_per_organization: int = Field(
        default=100, ge=0, le=10_000, description="How many schedules an organization may create."
    )
