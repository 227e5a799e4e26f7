"""An organization's hue as colours that can be read."""

import math
from dataclasses import dataclass

_READABLE = 4.5
"""Contrast of normal text (WCAG 2.2, 1.4.3)."""
_NEARLY = 1e-4

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Palette:
    """One hue on light and on dark ground, as ``#rrggbb``."""

    light: str
    """Readable on white, and under white text."""
    dark: str
    """Readable on the dark ground of mails."""


def palette(hue: float) -> Palette:
    """Give colours of a hue (degrees, OKLCH), as strong as contrast allows."""
    return Palette(
        light=_until_readable(hue, start=0.53, step=-0.01, chroma=0.19, ground=(1.0, 1.0, 1.0)),
        dark=_until_readable(hue, start=0.74, step=0.01, chroma=0.13, ground=(0.09, 0.09, 0.10)),
    )


def contrast(one: Rgb, other: Rgb) -> float:
    """Give the contrast ratio of two sRGB colours, 1 to 21 (WCAG 2.2)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def rgb_of(colour: str) -> Rgb:
    """Read ``#rrggbb``."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _until_readable(hue: float, *, start: float, step: float, chroma: float, ground: Rgb) -> str:
    lightness = start
    while True:
        red, green, blue = (round(part * 255) for part in _in_gamut(lightness, chroma, hue))
        colour = f"#{red:02x}{green:02x}{blue:02x}"
        if contrast(rgb_of(colour), ground) >= _READABLE or not 0.05 < lightness < 0.95:  # noqa: PLR2004
            return colour
        lightness += step


def _in_gamut(lightness: float, chroma: float, hue: float) -> Rgb:
    """Give the colour, paler where sRGB does not reach."""
    while True:
        red, green, blue = _oklch(lightness, chroma, hue)
        if chroma <= 0 or all(-_NEARLY <= part <= 1 + _NEARLY for part in (red, green, blue)):
            return _clip(red), _clip(green), _clip(blue)
        chroma -= 0.005


def _clip(part: float) -> float:
    return min(1.0, max(0.0, part))


def _oklch(lightness: float, chroma: float, hue: float) -> Rgb:
    """Convert by the matrices of CSS Color 4, section 9."""
    angle = math.radians(hue)
    a, b = chroma * math.cos(angle), chroma * math.sin(angle)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _encode(4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short),
        _encode(-1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short),
        _encode(-0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short),
    )


def _encode(part: float) -> float:
    """Give sRGB's curve (IEC 61966-2-1)."""
    return 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055  # noqa: PLR2004


def _luminance(colour: Rgb) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)  # noqa: PLR2004
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
