"""Shows settings to people, never a secret."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import PydanticUndefined

from bartizan.foundation.settings.types import BaseSettings, ModuleSection, SettingRow

from .fields import leaves, sections, shown


def describe(settings: BaseSettings, sources: Mapping[str, str] | None = None) -> Sequence[SettingRow]:
    """List every setting with its value, its default and where it came from; secrets are masked."""
    rows: list[SettingRow] = []
    for leaf in leaves(type(settings), settings.prefix):
        default: Any = leaf.info.get_default(call_default_factory=True)
        rows.append(
            SettingRow(
                name=leaf.variable,
                value=shown(leaf, _value_at(settings, leaf.path)),
                default="" if default is PydanticUndefined else shown(leaf, default),
                source=(sources or {}).get(leaf.dotted, "default"),
                description=leaf.info.description or "",
                secret=leaf.secret,
            )
        )
    return rows


def toggles(settings: BaseSettings) -> Mapping[str, bool]:
    """Tell which modules are on, by the name of their section; authentication and the like come first."""
    found = {
        "auth": settings.enable_auth,
        "multi_tenancy": settings.enable_multi_tenancy,
        "audit_logging": settings.enable_audit_logging,
    }
    for path, section in sections(settings):
        if isinstance(section, ModuleSection):
            found[".".join(path)] = section.enabled
    return found


def banner(settings: BaseSettings) -> Mapping[str, str]:
    """Say in a few facts what starts: environment, database, what is off, and where to look."""
    by_name = {row.name: row.value for row in describe(settings)}
    off = [name for name, on in toggles(settings).items() if not on]
    home = f"{settings.base_url}{settings.mount}"
    return {
        "environment": settings.environment,
        "database": by_name[f"{settings.prefix}DATABASE"],
        "redis": by_name[f"{settings.prefix}REDIS"] or "none",
        "off": ", ".join(off) or "nothing",
        "console": f"{home}/console",
        "docs": f"{home}/docs",
    }


def _value_at(settings: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        settings = getattr(settings, part, None)
    return settings
