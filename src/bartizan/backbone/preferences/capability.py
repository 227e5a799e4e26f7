"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

from .errors import InvalidPreference, LevelNotAllowed, UnknownPreference
from .events import PreferenceChanged
from .routes import routes
from .service import READ, WRITE
from .tables import GlobalPreferenceRow, PreferenceRow

capability = Capability(
    name="preferences",
    summary="Configuration by organization, team and person",
    tables=[PreferenceRow, GlobalPreferenceRow],
    permissions=[READ, WRITE],
    events=[PreferenceChanged],
    errors=[UnknownPreference, LevelNotAllowed, InvalidPreference],
    routes=routes,
)
