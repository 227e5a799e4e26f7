"""Everything an operator can turn: typed, documented, and traceable to where it was set."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One room's settings; each field is also ``BARTIZAN_<ROOM>__<FIELD>``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
