"""Mail: whether it leaves the house, and whether others will believe it."""

import asyncio
from collections.abc import Sequence
from email.utils import parseaddr
from typing import Any, cast

import aiosmtplib

from bartizan.foundation.capability import Check, Verdict

from .case import Case
from .machine import nearest
from .probes import reason, texts

_SELECTORS = ("default", "mail", "dkim", "google", "selector1", "k1", "s1")
"""Names under which mail services publish their keys; which one is used stands only in the mails."""
_PATIENCE = 10.0


def _email(case: Case) -> Any:
    """Give the section on e-mail: the offline settings hold the same one as the house's."""
    return cast("Any", case.given).email


def _backend(case: Case) -> Verdict | Sequence[Verdict]:
    email, found = _email(case), list[Verdict]()
    domain = parseaddr(email.sender)[1].rpartition("@")[2]
    if email.backend != "smtp":
        say = Verdict.problem if case.given.production and email.backend == "console" else Verdict.warning
        where = "the terminal" if email.backend == "console" else f"files in {email.folder}"
        found.append(
            say(
                f"Mail goes to {where}: nobody gets it.",
                "BARTIZAN_EMAIL__BACKEND=smtp, BARTIZAN_EMAIL__HOST, __USERNAME and __PASSWORD",
            )
            if case.given.production
            else Verdict.ok(f"Mail goes to {where}, which is right for {case.given.environment}.")
        )
    elif domain == "localhost" or "." not in domain:
        found.append(
            Verdict.problem(
                f"Mail is sent in the name of {email.sender}, which others refuse.",
                "BARTIZAN_EMAIL__SENDER='Acme <no-reply@acme.example>', at a domain of yours",
            )
        )
    if (
        email.backend == "smtp"
        and email.tls == "none"
        and email.host not in {"localhost", "127.0.0.1", "::1"}
    ):
        found.append(
            Verdict.warning(
                f"Mail travels to {email.host} unencrypted, links to set passwords too.",
                "BARTIZAN_EMAIL__TLS=starttls",
            )
        )
    return found or Verdict.ok(f"Mail leaves by {email.host} in the name of {email.sender}.")


def _folders(case: Case) -> Verdict | Sequence[Verdict]:
    """Look at the folders that mail and audit write to, where they write to any."""
    email, audit = _email(case), cast("Any", case.given).audit
    places = [email.folder] if email.backend == "file" else []
    places += [audit.spool.parent] if audit.on_failure == "queue" else []
    found: list[Verdict] = []
    for place in places:
        folder = case.folder / place
        above = nearest(folder)
        try:
            probe = above / ".bartizan-doctor"
            probe.touch()
            probe.unlink()
        except OSError as error:
            found.append(
                Verdict.problem(
                    f"{folder} cannot be written: {error.strerror}.", f"Let this user write in {above}."
                )
            )
    return found or Verdict.ok(f"{len(places)} further folders can be written.")


async def _smtp(case: Case) -> Verdict:
    """Say hello to the mail server, as far as signing in; nothing is sent."""
    email = _email(case)
    if email.backend != "smtp":
        return Verdict.ok("No mail server is used.")
    client = aiosmtplib.SMTP(
        hostname=email.host,
        port=email.port,
        use_tls=email.tls == "tls",
        start_tls=email.tls == "starttls",
        timeout=min(email.timeout, _PATIENCE),
        username=email.username,
        password=email.password.get_secret_value() if email.password else None,
    )
    try:
        async with client:
            return Verdict.ok(f"{email.host}:{email.port} takes mail from us ({email.tls}).")
    except aiosmtplib.SMTPAuthenticationError as error:
        fix = "Set BARTIZAN_EMAIL__USERNAME and BARTIZAN_EMAIL__PASSWORD to what the server knows."
        return Verdict.problem(f"{email.host} refuses the password: {error.code} {error.message}", fix)
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        return Verdict.problem(
            f"{email.host}:{email.port} takes no mail from us: {reason(cause)}.",
            "Set BARTIZAN_EMAIL__HOST, __PORT and __TLS as the mail server's owner says "
            "(587 starttls, 465 tls); look whether a firewall stands in between.",
        )


async def _dns(case: Case) -> Verdict | Sequence[Verdict]:
    """Look for SPF (RFC 7208), DMARC (RFC 7489) and DKIM (RFC 6376) where names can be asked for."""
    email = _email(case)
    domain = parseaddr(email.sender)[1].rpartition("@")[2]
    if email.backend != "smtp" or "." not in domain:
        return Verdict.ok("No mail is sent, so no domain has to vouch for it.")
    own, policy = await asyncio.gather(
        asyncio.to_thread(texts, domain), asyncio.to_thread(texts, f"_dmarc.{domain}")
    )
    if own is None or policy is None:
        return Verdict.unknown(f"Nobody answers what {domain} says about mail: no DNS from here.")
    found: list[Verdict] = []
    if not any(text.lower().startswith("v=spf1") for text in own):
        fix = f'{domain}. TXT "v=spf1 include:<your mail service> ~all"'
        found.append(Verdict.warning(f"{domain} does not say who may send in its name (SPF).", fix))
    if not any(text.upper().startswith("V=DMARC1") for text in policy):
        fix = f'_dmarc.{domain}. TXT "v=DMARC1; p=quarantine"'
        found.append(Verdict.warning(f"{domain} does not say what to do with forged mail (DMARC).", fix))
    names = [f"{selector}._domainkey.{domain}" for selector in _SELECTORS]
    keys = await asyncio.gather(*(asyncio.to_thread(texts, name) for name in names))
    if not any("p=" in text for known in keys for text in known or ()):
        found.append(
            Verdict.unknown(
                f"No DKIM key of {domain} is under a usual name; yours may be under another.",
                "Look for `dkim=pass` in the headers of a mail that arrived.",
            )
        )
    return found or Verdict.ok(f"{domain} vouches for its mail: SPF, DKIM and DMARC.")


SENDING = (
    Check(
        code="mail.backend",
        group="Jobs and mail",
        asks="Mail goes where people get it, in the name of a domain of yours.",
        why="Invitations and links to set passwords are mails.",
        look=_backend,
        needs="settings",
    ),
    Check(
        code="storage.folders",
        group="Storage",
        asks="The folders that mail and the audit log fall back on can be written.",
        why="They are needed at the very moment when something else has failed.",
        look=_folders,
        needs="settings",
    ),
)

DELIVERY = (
    Check(
        code="mail.smtp",
        group="Jobs and mail",
        asks="The mail server answers, encrypts, and takes the password.",
        why="Otherwise every mail is tried for hours and then given up.",
        look=_smtp,
        needs="settings",
    ),
    Check(
        code="mail.dns",
        group="Jobs and mail",
        asks="The sender's domain vouches for its mail: SPF, DKIM, DMARC.",
        why="Without them large providers sort the mail out as forged.",
        look=_dns,
        needs="settings",
    ),
)
