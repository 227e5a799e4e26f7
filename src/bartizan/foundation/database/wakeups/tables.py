"""The table that is looked at in case nobody said anything."""

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from bartizan.foundation.database.tables import Table


class WakeupRow(Table):
    """One topic, and how often it was announced."""

    __tablename__ = "bz_wakeups"

    topic: Mapped[str] = mapped_column(String(40), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
