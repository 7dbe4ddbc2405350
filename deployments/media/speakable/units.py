"""Quantities: 5 km, 20 °C, 120 km/h, 8 GB."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Final

from babel.numbers import format_decimal
from babel.units import format_unit

from deployments.media.speakable.languages import Language
from deployments.media.speakable.numerals import in_words, number_pattern, read
from deployments.media.speakable.spoken import Change

_UNITS: Final = {
    "km/h": "speed-kilometer-per-hour", "kmh": "speed-kilometer-per-hour", "m/s": "speed-meter-per-second",
    "mph": "speed-mile-per-hour", "km²": "area-square-kilometer", "m²": "area-square-meter",
    "cm²": "area-square-centimeter", "ft²": "area-square-foot", "m³": "volume-cubic-meter",
    "cm³": "volume-cubic-centimeter", "km": "length-kilometer", "cm": "length-centimeter",
    "mm": "length-millimeter", "µm": "length-micrometer", "nm": "length-nanometer", "m": "length-meter",
    "mi": "length-mile", "ft": "length-foot", "yd": "length-yard", "kg": "mass-kilogram", "mg": "mass-milligram",
    "µg": "mass-microgram", "g": "mass-gram", "lb": "mass-pound", "lbs": "mass-pound", "oz": "mass-ounce",
    "ha": "area-hectare", "ml": "volume-milliliter", "mL": "volume-milliliter", "cl": "volume-centiliter",
    "dl": "volume-deciliter", "l": "volume-liter", "L": "volume-liter", "ms": "duration-millisecond",
    "µs": "duration-microsecond", "ns": "duration-nanosecond", "s": "duration-second", "sec": "duration-second",
    "min": "duration-minute", "h": "duration-hour", "hrs": "duration-hour", "kWh": "energy-kilowatt-hour",
    "kcal": "energy-kilocalorie", "kJ": "energy-kilojoule", "kW": "power-kilowatt", "MW": "power-megawatt",
    "W": "power-watt", "V": "electric-volt", "mA": "electric-milliampere", "Hz": "frequency-hertz",
    "kHz": "frequency-kilohertz", "MHz": "frequency-megahertz", "GHz": "frequency-gigahertz",
    "KB": "digital-kilobyte", "kB": "digital-kilobyte", "MB": "digital-megabyte", "GB": "digital-gigabyte",
    "TB": "digital-terabyte", "Mbit": "digital-megabit", "Gbit": "digital-gigabit", "hPa": "pressure-hectopascal",
    "bar": "pressure-bar", "°C": "temperature-celsius", "℃": "temperature-celsius",
    "°F": "temperature-fahrenheit", "℉": "temperature-fahrenheit",
}  # fmt: skip
_FEMININE: Final = {
    "de": ("duration-hour", "duration-minute", "duration-second", "duration-millisecond", "length-mile", "mass-ounce"),
    "fr": ("duration-hour", "duration-minute", "duration-second", "duration-millisecond", "mass-pound", "mass-ounce"),
    "es": ("duration-hour", "length-mile", "mass-pound", "mass-ounce", "length-yard", "area-hectare",
           "energy-kilocalorie"),
    "it": ("duration-hour", "mass-pound", "mass-ounce", "length-yard", "energy-kilocalorie"),
}  # fmt: skip


def finders(language: Language) -> tuple[Callable[[str], Iterator[Change]], ...]:
    """In the order in which they are to be asked."""
    units = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
    pattern = re.compile(
        rf"(?:(?<![\w.,)])(?P<minus>[-−])|(?<![\w.,]))(?:(?P<low>\d{{1,4}})\s?[–-]\s?)?"
        rf"(?P<n>{number_pattern(language)})(?P<gap>\s?)"
        rf"(?:(?P<unit>{units})(?![\w/]|'\w)|(?P<degrees>°))"
    )
    return (partial(_find, pattern=pattern, language=language),)


def _find(text: str, *, pattern: re.Pattern[str], language: Language) -> Iterator[Change]:
    for match in pattern.finditer(text):
        if match["unit"] == "s" and not match["gap"]:
            continue  # the 1990s
        number = read(match["n"], language)
        low = f"{in_words(read(match['low'], language), language)} {language.to} " if match["low"] else ""
        minus = f"{language.minus} " if match["minus"] else ""
        if match["degrees"]:
            words = f"{in_words(number, language)} {language.degrees}"
        else:
            unit = _UNITS[match["unit"]]
            one = language.one_feminine if unit in _FEMININE.get(language.code, ()) else language.one
            amount = one if number.is_one else in_words(number, language)
            words = _with_unit(number.value, unit, language.code).replace("{}", amount)
        yield Change(match.start(), match.end(), minus + low + words)


@lru_cache(maxsize=2048)
def _with_unit(value: float, unit: str, code: str) -> str:
    """The unit's name as it is after such a number, which is `{}` in it."""
    exact = int(value) if value == int(value) else value
    text: str = format_unit(exact, unit, length="long", locale=code)
    return text.replace(format_decimal(exact, locale=code), "{}").replace("\u00a0", " ")
