"""Four processes share one Redis, and together pass no more than one would."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.processes import surroundings
from tests.harness.redis_server import Redis
from tests.scale.limits_program import ORGANIZATION

PROGRAM = Path(__file__).with_name("limits_program.py")


@pytest.mark.feature("X-18", "RATE-02")
def test_four_processes_never_pass_more_than_the_burst_and_the_rate(redis: Redis) -> None:
    replicas = [
        subprocess.Popen(
            [sys.executable, PROGRAM, redis.address, "1.5"], stdout=subprocess.PIPE, env=surroundings()
        )
        for _ in range(4)
    ]
    counts = []
    for replica in replicas:
        said, _ = replica.communicate(timeout=100)
        assert replica.returncode == 0
        counts.append([float(number) for number in said.split()])
    passed = sum(count[0] for count in counts)
    took = max(count[3] for count in counts) - min(count[2] for count in counts)
    assert (
        ORGANIZATION.burst < passed <= ORGANIZATION.burst + took * ORGANIZATION.count / ORGANIZATION.per + 1
    )
    assert all(refused for _, refused, _, _ in counts)
