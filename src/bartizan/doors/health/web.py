"""How people reach the installation, as far as the settings tell, and what answers at that address."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import urlsplit

from bartizan.foundation.capability import Check, Verdict

from .case import Case
from .probes import Answer, Unanswered, days_left, get

_LOCAL = ("127.", "localhost", "[::1]", "0.0.0.0")  # noqa: S104 - read, not bound
_WIDE = {4: 8, 6: 16}
"""A range with fewer bits than this is more than anybody's own network."""
_SOON, _LATE = 30, 3


def is_local(address: str) -> bool:
    """Tell whether an address leads to this machine only."""
    return urlsplit(address).netloc.startswith(_LOCAL)


def _base_url(case: Case) -> Verdict | Sequence[Verdict]:
    settings, found = case.given, list[Verdict]()
    parts = urlsplit(settings.base_url)
    if parts.path or parts.query:
        found.append(
            Verdict.problem(
                f"BARTIZAN_BASE_URL has a path: {settings.base_url}. Links would lead nowhere.",
                f"Set BARTIZAN_BASE_URL={parts.scheme}://{parts.netloc}, and BARTIZAN_MOUNT for the path.",
            )
        )
    if settings.production and is_local(settings.base_url):
        found.append(
            Verdict.problem(
                f"People cannot reach {settings.base_url}: it is this machine.",
                "Set BARTIZAN_BASE_URL to the https address that they use.",
            )
        )
    elif not settings.secure_cookies and not is_local(settings.base_url):
        say = Verdict.problem if settings.production else Verdict.warning
        found.append(
            say(
                f"{settings.base_url} has no TLS, so cookies are not marked Secure.",
                "Serve it by https, and set BARTIZAN_BASE_URL to the https address.",
            )
        )
    secure = "are Secure" if settings.secure_cookies else "need no TLS on this machine"
    return found or Verdict.ok(f"People reach it at {settings.pages}; cookies {secure}.")


def _proxies(case: Case) -> Verdict | Sequence[Verdict]:
    settings, found = case.given, list[Verdict]()
    for text in settings.guard.trusted_proxies:
        try:
            network: IPv4Network | IPv6Network = ip_network(text, strict=False)
        except ValueError:
            found.append(
                Verdict.problem(
                    f"BARTIZAN_GUARD__TRUSTED_PROXIES names {text!r}, which is no address and no range.",
                    "Write addresses or ranges, by commas: 10.0.0.5,10.1.0.0/16",
                )
            )
            continue
        if network.prefixlen < _WIDE[network.version]:
            found.append(
                Verdict.problem(
                    f"Everybody in {text} is believed about where requests come from.",
                    "Name the addresses of your own proxies only in BARTIZAN_GUARD__TRUSTED_PROXIES.",
                )
            )
    if settings.secure_cookies and not settings.guard.trusted_proxies:
        found.append(
            Verdict.warning(
                "The address is https and no proxy is trusted: if a proxy ends TLS, every request seems to "
                "come from it, by http, and X-Forwarded-For is not read.",
                "Set BARTIZAN_GUARD__TRUSTED_PROXIES to the proxy's address; nothing if the app ends TLS.",
            )
        )
    return found or Verdict.ok(
        f"{len(settings.guard.trusted_proxies)} proxies or ranges are trusted."
        if settings.guard.trusted_proxies
        else "No proxy is trusted, and none seems to be needed."
    )


def _public(case: Case) -> Verdict | Sequence[Verdict]:
    paths = case.given.guard.public_paths
    found = [
        Verdict.problem(
            f"BARTIZAN_GUARD__PUBLIC_PATHS opens the whole app: {path}.",
            "Name the paths that need no sign-in, such as /ping or /static/*.",
        )
        for path in paths
        if path in {"/*", "*", "/**"}
    ]
    found += [
        Verdict.problem(f"BARTIZAN_GUARD__PUBLIC_PATHS names {path!r}, which is no path.", "Begin with a /.")
        for path in paths
        if not path.startswith("/") or "*" in path[:-1]
    ]
    return found or Verdict.ok(
        f"{len(paths)} paths of the app need no sign-in." if paths else "None is public."
    )


def _cors(case: Case) -> Verdict | Sequence[Verdict]:
    origins = case.given.guard.cors_origins
    found = [
        Verdict.problem(
            f"BARTIZAN_GUARD__CORS_ORIGINS lets every page call the API: {origin}.",
            "Name the origins of your own pages.",
        )
        for origin in origins
        if origin in {"*", "null"}
    ]
    found += [
        Verdict.warning(
            f"{origin} may call the API and has no TLS: whoever sits in between may as well.",
            "Name its https address.",
        )
        for origin in origins
        if origin.startswith("http://") and not is_local(origin)
    ]
    return found or Verdict.ok(f"{len(origins)} other origins may call the API.")


async def _answers(case: Case) -> Verdict | Sequence[Verdict]:
    """Ask the running installation itself; it need not run."""
    settings = case.given
    health = f"{settings.pages}/health/ready"
    try:
        answer = await asyncio.to_thread(get, health)
    except Unanswered as error:
        fix = "Start it, or look whether BARTIZAN_BASE_URL leads here. Nothing is wrong if it is stopped."
        return Verdict.unknown(f"Nothing answers at {health}: {error}.", fix)
    return [_ready(answer, health), *_certificate(answer), *_headers(case, answer)]


def _ready(answer: Answer, health: str) -> Verdict:
    if answer.status == HTTPStatus.OK and '"status"' in answer.text:
        return Verdict.ok(f"{health} answers that it is ready.")
    if '"checks"' in answer.text:
        return Verdict.problem(f"{health} answers {answer.status}: {answer.text[:200]}", "See what it names.")
    return Verdict.problem(
        f"Something else answers at {health}, with status {answer.status}.",
        "Look whether BARTIZAN_BASE_URL and BARTIZAN_MOUNT lead to this installation, and whether a proxy "
        "or a route of the app takes the path.",
    )


def _certificate(answer: Answer) -> Sequence[Verdict]:
    if answer.expires is None:
        return ()
    days = days_left(answer.expires)
    if days > _SOON:
        return (Verdict.ok(f"The certificate is good for another {days} days."),)
    say = Verdict.problem if days <= _LATE else Verdict.warning
    return (say(f"The certificate ends in {days} days.", "Renew it, and see why that is not automatic."),)


def _headers(case: Case, answer: Answer) -> Sequence[Verdict]:
    if case.given.secure_cookies and "strict-transport-security" not in answer.headers:
        return (
            Verdict.warning(
                "Answers over https carry no Strict-Transport-Security: the app does not know of TLS, so its "
                "proxy is not trusted, or it does not send X-Forwarded-Proto.",
                "Set BARTIZAN_GUARD__TRUSTED_PROXIES to the proxy, and let it send X-Forwarded-Proto.",
            ),
        )
    return ()


WEB = (
    Check(
        code="web.base_url",
        group="Web",
        asks="The base URL is where people reach it, over TLS, so that cookies are Secure.",
        why="Links in mail begin with it, and whether cookies insist on TLS follows from it.",
        look=_base_url,
        needs="settings",
    ),
    Check(
        code="web.proxies",
        group="Web",
        asks="The proxies that are trusted are one's own, and a proxy that ends TLS is among them.",
        why="Whoever is trusted chooses the address in the audit log and in rate limits.",
        look=_proxies,
        needs="settings",
    ),
    Check(
        code="web.public",
        group="Web",
        asks="Public paths are a few named ones.",
        why="What is public needs no sign-in, no role and has no tenant.",
        look=_public,
        needs="settings",
    ),
    Check(
        code="web.cors",
        group="Web",
        asks="Only one's own origins may call the API, over TLS.",
        why="Pages of these origins act with the cookies of whoever looks at them.",
        look=_cors,
        needs="settings",
    ),
)

REACHED = (
    Check(
        code="web.answers",
        group="Web",
        asks="What runs at the base URL answers that it is ready, with a good certificate.",
        why="This is what people and load balancers see.",
        look=_answers,
        needs="settings",
    ),
)
