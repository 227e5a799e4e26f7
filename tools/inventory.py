"""The rooms of the house, found by their folders, with what each declares."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

import bartizan
from bartizan.foundation.capability import Capability

REPOSITORY = Path(__file__).parents[1]
HOUSE = Path(bartizan.__file__).parent
FLOORS = ("foundation", "backbone", "access", "governance", "delivery", "commerce", "extensions")


def floors() -> Mapping[str, Sequence[Capability]]:
    """Give each floor's rooms, bottom floor first."""
    found = {
        floor: [
            import_module(f"bartizan.{floor}.{file.parent.name}.capability").capability
            for file in sorted(HOUSE.glob(f"{floor}/*/capability.py"))
        ]
        for floor in FLOORS
    }
    return {floor: rooms for floor, rooms in found.items() if rooms}


def capabilities() -> Sequence[Capability]:
    """Give all rooms, bottom floor first."""
    return [room for rooms in floors().values() for room in rooms]
