"""``bartizan.policy.toml``: what it says counts, and what is wrong with it is said by line."""

from pathlib import Path
from typing import Any

import pytest

from bartizan.access.rbac import Rbac
from bartizan.doors.frameworks import wrap
from bartizan.doors.guard.policy import SOCKET, InvalidPolicy, Policy, PolicyFile
from bartizan.doors.testing import Cast, anyone, program
from bartizan.foundation.context import Permission
from bartizan.foundation.settings import GuardSettings
from tests.doors.hosts import echo

POLICY = """
[permissions]
"invoice:read" = "See invoices"
"invoice:void" = { description = "Void an invoice", roles = ["operator"] }

[routes]
"GET /prices" = "public"
"GET /invoices/{id}" = "invoice:read"
"GET,POST /invoices/latest" = "app:read"
"POST /invoices/{id}/void" = "invoice:void"
"* /invoices/*" = "deny"
"GET /reports/*" = ["auditor", "operator"]
"* /legacy" = "invoices.read"
"WEBSOCKET /live" = "invoice:read"
"""


def policy(folder: Path, rbac: Rbac, text: str = POLICY, **settings: Any) -> Policy:
    """Write a file and read it back as the gate does."""
    file = folder / "policy.toml"
    file.write_text(text)
    return Policy.of(GuardSettings(policy_file=file, **settings), rbac, None)


def wrong(folder: Path, text: str) -> str:
    """Give what is said about a file that cannot be used, without its folder."""
    file = folder / "policy.toml"
    file.write_text(text)
    with pytest.raises(InvalidPolicy) as refused:
        PolicyFile.read(file)
    return str(refused.value).replace(f"{folder}/", "")


@pytest.mark.feature("CORE-02", "AZ-02")
def test_the_most_specific_route_counts_whatever_the_order(tmp_path: Path, rbac: Rbac) -> None:
    decided = policy(tmp_path, rbac)
    assert decided.need("GET", "/prices") == "nothing"
    assert decided.need("HEAD", "/prices") == "nothing"
    assert decided.need("POST", "/prices") == "app:write"
    assert decided.need("GET", "/invoices/7") == "invoice:read"
    assert decided.need("GET", "/invoices/latest") == "app:read"
    assert decided.need("POST", "/invoices/latest") == "app:read"
    assert decided.need("POST", "/invoices/7/void") == "invoice:void"
    assert decided.need("DELETE", "/invoices/7") == "nobody"
    assert decided.need("GET", "/invoices/7/lines") == "nobody"
    assert decided.need("GET", "/legacy") == decided.need("DELETE", "/legacy") == "invoice:read"
    assert decided.need(SOCKET, "/live") == "invoice:read"
    assert decided.need(SOCKET, "/elsewhere") == "app:read"
    assert decided.need("GET", "/elsewhere") == "app:read"
    assert decided.judge("GET", "/invoices/7").entry == "GET /invoices/{id}"


def test_a_list_of_roles_is_a_permission_that_they_carry(tmp_path: Path, rbac: Rbac) -> None:
    need = policy(tmp_path, rbac).need("GET", "/reports/2026/may")
    assert need == "routes:auditor_or_operator"
    assert need in rbac.names()


def test_the_file_comes_before_the_settings(tmp_path: Path, rbac: Rbac) -> None:
    decided = policy(tmp_path, rbac, public_paths=["/invoices/*", "/ping"], read_routes=["POST /search"])
    assert decided.need("GET", "/invoices/7/lines") == "nobody"
    assert decided.need("GET", "/ping") == "nothing"
    assert decided.need("POST", "/search") == "app:read"
    assert decided.need(SOCKET, "/ping") == "app:read"


def test_without_a_name_the_file_of_the_folder_is_read(
    tmp_path: Path, rbac: Rbac, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Policy.of(GuardSettings(), rbac, None).need("GET", "/prices") == "app:read"
    Path("bartizan.policy.toml").write_text(POLICY)
    assert Policy.of(GuardSettings(), rbac, None).need("GET", "/prices") == "nothing"


def test_a_file_that_was_named_and_is_not_there_stops_start_up(tmp_path: Path, rbac: Rbac) -> None:
    with pytest.raises(InvalidPolicy, match=r"nothing\.toml cannot be read: No such file"):
        Policy.of(GuardSettings(policy_file=tmp_path / "nothing.toml"), rbac, None)


def test_permissions_that_nobody_declared_stop_start_up(tmp_path: Path, rbac: Rbac) -> None:
    decided = policy(tmp_path, rbac, '[routes]\n"GET /a" = "invoce:read"\n"GET /b" = "zebra:ride"\n')
    rbac.declare(Permission("invoice:read", "See invoices"))
    with pytest.raises(InvalidPolicy) as refused:
        decided.check()
    said = str(refused.value)
    assert "policy.toml:2: there is no permission 'invoce:read'. Did you mean 'invoice:read'?" in said
    assert "policy.toml:3: there is no permission 'zebra:ride'. Declare it in [permissions]" in said
    with pytest.raises(InvalidPolicy):
        decided.need("GET", "/")


def test_a_permission_that_reads_like_another_is_refused(tmp_path: Path, rbac: Rbac) -> None:
    with pytest.raises(InvalidPolicy, match="reads like app:read"):
        policy(tmp_path, rbac, '[permissions]\n"apps:read" = "See"\n')


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('"GET /a" = "pubic"', "policy.toml:2: 'pubic' is no need. Did you mean 'public'?"),
        ('"GET /a" = "admin"', 'Roles are a list: write ["admin"].'),
        ('"GET /a" = ["admni"]', "no built-in role 'admni'. Did you mean 'admin'?"),
        ('"GET /a" = ["chief_of_staff"]', "name a permission and give it to the role"),
        ('"GET /a" = []', 'Write "public", "deny", a permission, or a list of roles.'),
        ('"GET /a" = 7', "7 is no need."),
        ('"get /a" = "public"', "Did you mean 'GET'?"),
        ('"/a" = "public"', "'* /path' for all methods"),
        ('"GET a" = "public"', "'a' is not a path: it begins with a slash."),
        ('"GET /*/b" = "public"', "only after the last slash"),
        ('"GET /b*" = "public"', "only after the last slash"),
        ('"GET /{a}.json" = "public"', "'{a}.json' is not a parameter"),
        ('"GET /a/../b" = "public"', "is not plain"),
        ('"GET /a//b" = "public"', "is not plain"),
        ('"GET /a%2Fb" = "public"', "is not plain"),
        ('"GET /{a}" = "deny"\n"GET /{b}" = "deny"', "policy.toml:3: 'GET /{b}' says the same route as"),
        ('"GET,POST /a" = "deny"\n"POST /a" = "deny"', "says the same route as 'GET,POST /a'"),
        ('"GET /a" = "deny"\n"GET /a" = "deny"', "it is not TOML"),
        ('[route]\n"GET /a" = "deny"', "policy.toml:2: there is no table [route]. Did you mean 'routes'?"),
        ("[zebras]", "It has [permissions] and [routes]."),
        ('[permissions]\n"a:b" = 7', "policy.toml:3: 'a:b' is described by a text"),
        ('[permissions]\n"a:b" = { description = "x", role = "y" }', "is described by a text"),
        ('[permissions]\n"a:b" = { description = "x", roles = ["zebra"] }', "no built-in role 'zebra'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_what_was_meant(
    tmp_path: Path, line: str, words: str
) -> None:
    assert words in wrong(tmp_path, f"[routes]\n{line}\n")


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    said = wrong(tmp_path, "routes = 7\npermissions = 8\n[more]\n")
    assert "policy.toml:1: routes is a table" in said
    assert "policy.toml:2: permissions is a table" in said
    assert "policy.toml:3: there is no table [more]" in said


def test_a_file_has_a_bound(tmp_path: Path) -> None:
    lines = "\n".join(f'"GET /{n}" = "deny"' for n in range(10_001))
    assert "more than 10000 routes" in wrong(tmp_path, f"[routes]\n{lines}")


@pytest.mark.feature("CORE-02", "AZ-01", "AZ-02")
async def test_the_gate_does_what_the_file_says(bartizan_settings: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    app = wrap(echo(), {**bartizan_settings, "guard": {"policy_file": str(file)}})
    await app.bz.start(embedded=False)
    try:
        cast = Cast(app.bz)
        org = await cast.organization()
        async with anyone(app) as http:
            assert (await http.get("/prices")).status_code == 200
            assert (await http.get("/reports/may")).status_code == 401
        for role, report, void, read in (
            ("auditor", 200, 403, 403),
            ("operator", 200, 200, 403),
            ("member", 403, 403, 403),
            ("admin", 200, 200, 200),
        ):
            async with program(app, await cast.person(org, role)) as http:
                assert (await http.get("/reports/may")).status_code == report, role
                assert (await http.post("/invoices/7/void")).status_code == void, role
                assert (await http.get("/invoices/7")).status_code == read, role
                assert (await http.delete("/invoices/7")).status_code == 403, role
                assert (await http.get("/anything/else")).status_code == 200, role
    finally:
        await app.bz.stop()
