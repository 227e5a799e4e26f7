"""What to call a device, from what its browser says of itself."""

import re

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def name_of(user_agent: str | None) -> str:
    """Say ``Firefox on Linux``, or the name of the program, or that it is unknown."""
    if not user_agent:
        return "Unknown device"
    browser = next((name for sign, name in _BROWSERS if f"{sign}/" in user_agent), None)
    system = next((name for sign, name in _SYSTEMS if sign in user_agent), None)
    if browser and system:
        return f"{browser} on {system}"
    program = re.match(r"[\w.-]{1,40}", user_agent)
    return browser or system or (program[0] if program else "Unknown device")
