"""The secret keys, as far as the settings tell."""

from bartizan.foundation.capability import Check, Verdict

from .case import Case

_MANY = 3
_NEW = 'python -c "import secrets; print(secrets.token_urlsafe(48))"'


def _secret(case: Case) -> Verdict:
    settings = case.given
    if not settings.secret_key:
        where = case.folder / settings.data_dir / "secret.key"
        if settings.production:
            return Verdict.problem("There is no secret key.", f"Set BARTIZAN_SECRET_KEY. Make one: {_NEW}")
        return Verdict.ok(f"The development key is kept in {where}.")
    weak = [p for p in settings.unsafe() if p.name == "secret_key"]
    if weak:
        say = Verdict.problem if settings.production else Verdict.warning
        return say(" ".join(problem.reason for problem in weak), f"Put a new one in front. Make one: {_NEW}")
    keys = [key.get_secret_value() for key in settings.secret_key]
    if len(set(keys)) < len(keys):
        return Verdict.warning("The same secret key is named twice.", "Keep one of them.")
    if len(keys) >= _MANY:
        return Verdict.warning(
            f"{len(keys)} secret keys are in use: a rotation was not finished.",
            "`bartizan doctor --fix` puts what is stored under the newest; then take the old ones away.",
        )
    return Verdict.ok("The secret key cannot be guessed." + (" An older one still opens." * (len(keys) > 1)))


KEYS = (
    Check(
        code="keys.secret",
        group="Keys",
        asks="The secret key is long, cannot be guessed, and no old one lingers.",
        why="It is the root of all others: sessions, sealed secrets, signing keys.",
        look=_secret,
        needs="settings",
    ),
)
