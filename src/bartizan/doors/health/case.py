"""The case before the doctor, the round of checks, and what comes out of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bartizan.foundation.capability import Check, State, Verdict
from bartizan.foundation.context import current
from bartizan.foundation.errors import BartizanError
from bartizan.foundation.settings import HouseSettings

if TYPE_CHECKING:
    from bartizan.house import Bartizan

DOCS = "https://bartizan.dev/how-to/doctor/"
_ROUNDS = 4
"""What a repair uncovers is looked at again, but not for ever."""
_SAID = {
    "settings": "the settings cannot be read",
    "house": "the house could not be built",
    "database": "the database does not answer",
    "tables": "the tables are not at this version's revision",
    "app": "no app was named: `bartizan doctor main:app`",
}

Repair = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is known of one thing, as plain data."""

    code: str
    group: str
    state: State
    what: str
    why: str
    link: str
    fix: str
    fixable: bool
    """Whether ``--fix`` mends it."""
    crashed: bool = False
    """Whether the check itself fell over."""
    skipped: bool = False
    """Whether it was not run, because what it needs is not there."""


@dataclass(slots=True)
class Case:
    """What the doctor knows of an installation."""

    folder: Path
    """Where ``.env`` and ``bartizan.toml`` are looked for."""
    settings: HouseSettings | None = None
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    house: "Bartizan | None" = None
    app: Any = None
    """The host application, if it was named."""
    environ: Mapping[str, str] | None = None
    """Instead of the process's own."""

    @property
    def given(self) -> HouseSettings:
        """The settings; checks that ask for them run only where they could be read."""
        assert self.settings is not None
        return self.settings

    @property
    def rooms(self) -> "Bartizan":
        """The house; likewise."""
        assert self.house is not None
        return self.house


@dataclass(slots=True)
class Report:
    """Every finding, and what was repaired."""

    findings: list[Finding] = field(default_factory=list[Finding])
    repairs: list[str] = field(default_factory=list[str])

    def count(self, state: State) -> int:
        """Count the findings in one state."""
        return sum(finding.state == state for finding in self.findings)

    def exit_code(self, *, strict: bool = False) -> int:
        """Give 0 where all is fine, 1 for a problem, 2 where the doctor itself failed."""
        if self.count("problem") or (strict and self.count("warning")):
            return 1
        return 2 if any(finding.crashed for finding in self.findings) else 0

    def plain(self) -> dict[str, Any]:
        """Give it for programs."""
        states: tuple[State, ...] = ("ok", "warning", "problem", "unknown")
        return {
            "findings": [asdict(finding) for finding in self.findings],
            "repairs": self.repairs,
            "summary": {state: self.count(state) for state in states},
        }


async def examine(
    checks: Sequence[tuple[Check, Any]], *, mend: bool = False, standing: Sequence[str] = ("settings",)
) -> Report:
    """Take every look, each at its subject; with ``mend``, repair what is safe to repair and look again.

    ``standing`` names what stands already. A check whose ground is missing is not run, and says so.
    """
    report = Report()
    for _ in range(_ROUNDS):
        findings, repairs = await _round(checks, {"nothing", *standing})
        report.findings = findings
        if not (mend and repairs):
            break
        done = [await _repaired(code, repair) for code, repair in repairs]
        new = [said for said in done if said not in report.repairs]
        report.repairs += new
        if not new:
            break
    return report


async def _round(
    checks: Sequence[tuple[Check, Any]], standing: set[str]
) -> tuple[list[Finding], list[tuple[str, Repair]]]:
    findings: list[Finding] = []
    repairs: list[tuple[str, Repair]] = []
    gives = {check.gives for check, _ in checks if check.gives}
    for check, subject in checks:
        if check.needs not in standing:
            ground = ["app"] if check.needs == "app" and "house" in standing else list(_SAID)
            missing = next(one for one in ground if one not in standing)
            verdict = Verdict.unknown(f"Not looked at: {_SAID[missing]}.")
            findings.append(_finding(check, verdict, skipped=True))
            continue
        crashed = False
        try:
            with current.as_system(name="doctor"):
                found = check.look(subject)
                verdicts = await cast("Awaitable[Any]", found) if isawaitable(found) else found
        except BartizanError as error:
            verdicts = Verdict.unknown(f"It could not be looked at: {error}")
        except Exception as error:  # noqa: BLE001 - one check that falls over must not hide the others
            crashed = True
            verdicts = Verdict.unknown(f"The check itself failed: {type(error).__name__}: {error}")
        several = [verdicts] if isinstance(verdicts, Verdict) else list(cast("Sequence[Verdict]", verdicts))
        findings += [_finding(check, verdict, crashed=crashed) for verdict in several]
        repairs += [(check.code, verdict.repair) for verdict in several if verdict.repair]
        if check.gives in gives and all(v.state in {"ok", "warning"} for v in several):
            standing.add(check.gives)
    return findings, repairs


async def _repaired(code: str, repair: Repair) -> str:
    try:
        with current.as_system(name="doctor"):
            return await repair()
    except (BartizanError, OSError) as error:
        reason = str(error)
        with suppress(AttributeError):
            reason = cast("OSError", error).strerror or reason
        return f"{code} could not be repaired: {reason}"


def _finding(check: Check, verdict: Verdict, *, crashed: bool = False, skipped: bool = False) -> Finding:
    return Finding(
        code=check.code,
        group=check.group,
        state=verdict.state,
        what=verdict.what,
        why=check.why,
        link=f"{DOCS}#{check.code.replace('.', '-')}",
        fix=verdict.fix,
        fixable=verdict.repair is not None,
        crashed=crashed,
        skipped=skipped,
    )
