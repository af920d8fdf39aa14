"""The words of follow-ups: what they ask for, how they compare, and the units that they name."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


Order = Literal["descending", "ascending"]

KINDS: Final = _words(
    "city town capital country nation state continent mountain peak volcano river lake sea ocean "
    "island desert building tower bridge tunnel statue animal bird fish planet moon star metal "
    "element ship plane train place"
)
"""Nouns that may stand for what was spoken of: "that city"."""

ATTRIBUTES: Final = {
    "height": "height",
    "elevation": "elevation",
    "altitude": "elevation",
    "depth": "depth",
    "average depth": "average depth",
    "deepest point": "deepest point",
    "length": "length",
    "longest span": "longest span",
    "area": "area",
    "surface": "area",
    "surface area": "area",
    "size": "area",
    "diameter": "diameter",
    "population": "population",
    "populations": "population",
    "people": "population",
    "inhabitants": "population",
    "residents": "population",
    "capital": "capital",
    "capital city": "capital",
    "currency": "currency",
    "money": "currency",
    "language": "official language",
    "languages": "official language",
    "official language": "official language",
    "continent": "continent",
    "country": "country",
    "location": "location",
    "speed": "top speed",
    "top speed": "top speed",
    "maximum speed": "top speed",
    "weight": "weight",
    "mass": "mass",
    "lifespan": "lifespan",
    "life expectancy": "lifespan",
    "wingspan": "wingspan",
    "moons": "moons",
    "number of moons": "moons",
    "floors": "floors",
    "number of floors": "floors",
    "gravity": "surface gravity",
    "surface gravity": "surface gravity",
    "temperature": "surface temperature",
    "surface temperature": "surface temperature",
    "atomic number": "atomic number",
    "symbol": "symbol",
    "chemical symbol": "symbol",
    "melting point": "melting point",
    "melting": "melting point",
    "boiling": "boiling point",
    "boiling point": "boiling point",
    "density": "density",
    "population density": "population density",
    "first ascent": "first ascent",
    "last eruption": "last eruption",
    "completion year": "completion year",
    "opening year": "opening year",
    "orbital period": "orbital period",
    "distance from the sun": "distance from the sun",
    "distance from earth": "distance from Earth",
    "mouth": "mouth",
    "mountain range": "mountain range",
    "range": "mountain range",
    "sea": "mouth",
    "ocean": "ocean",
    "city": "city",
    "day length": "day length",
}
"""The nouns that ask for an attribute, also without "its"."""

THINGS: Final = {
    "capital": "population elevation",
    "city": "population elevation area country",
    "country": "population area capital currency continent official-language",
    "location": "capital currency official-language",
    "continent": "population area",
    "mouth": "depth average-depth",
    "ocean": "depth average-depth",
    "planet": "diameter mass moons orbital-period",
}
"""Attributes whose value is a thing, and what a pronoun that follows asks of that thing itself."""

THING_NOUNS: Final = {
    "capital": "capital city town place",
    "city": "city town place",
    "country": "country nation place",
    "location": "country nation place",
    "continent": "continent",
    "mouth": "sea ocean",
    "ocean": "ocean",
    "planet": "planet",
}
"""The nouns that name such a thing: "that city"."""


YEARS: Final = {
    "builder": "completion year",
    "architect": "completion year",
    "designer": "completion year",
    "first climbers": "first ascent",
    "discoverer": "discovery year",
}
"""What "and when?" asks for after an attribute."""

UNITS_OF: Final = {
    **dict.fromkeys(("height", "elevation", "depth"), "m"),
    **dict.fromkeys(("area",), "km2"),
    **dict.fromkeys(("top speed",), "km/h"),
    **dict.fromkeys(("diameter",), "km"),
    **dict.fromkeys(("weight",), "kg"),
    **dict.fromkeys(("melting point", "boiling point", "surface temperature"), "°c"),
}
"""The unit that an attribute has wherever it occurs."""


class Comparative(NamedTuple):
    """What a word such as "higher" compares."""

    attributes: tuple[str, ...]
    """The attributes that it fits, best first."""
    order: Order = "descending"
    any_number: bool = False
    """Whether it fits every other number too."""


_SIZE: Final = ("area", "population", "diameter", "height", "length", "weight")
_HEIGHT: Final = ("height", "elevation")
_BUILT: Final = ("completion year", "opening year", "launch year", "first flight")
_WARM: Final = ("surface temperature", "melting point", "boiling point")
_COMPARATIVES: Final = {
    "higher highest": Comparative(_HEIGHT, any_number=True),
    "taller tallest": Comparative(_HEIGHT),
    "lower lowest": Comparative(_HEIGHT, "ascending", any_number=True),
    "longer longest": Comparative(("length", "longest span", "lifespan")),
    "shorter shortest": Comparative(("length", "height"), "ascending"),
    "deeper deepest": Comparative(("depth", "average depth")),
    "shallower shallowest": Comparative(("depth", "average depth"), "ascending"),
    "bigger biggest larger largest greater greatest": Comparative(_SIZE, any_number=True),
    "smaller smallest": Comparative(_SIZE, "ascending", any_number=True),
    "more most": Comparative((), any_number=True),
    "less least fewer fewest": Comparative((), "ascending", any_number=True),
    "older oldest": Comparative(_BUILT, "ascending"),
    "newer newest younger youngest": Comparative(_BUILT),
    "earlier earliest": Comparative((*_BUILT, "first ascent"), "ascending"),
    "later latest": Comparative((*_BUILT, "first ascent")),
    "faster fastest quicker quickest": Comparative(("top speed",)),
    "slower slowest": Comparative(("top speed",), "ascending"),
    "heavier heaviest fatter fattest": Comparative(("weight", "mass")),
    "lighter lightest": Comparative(("weight", "mass"), "ascending"),
    "hotter hottest warmer warmest": Comparative(_WARM),
    "colder coldest cooler coolest": Comparative(_WARM, "ascending"),
    "denser densest": Comparative(("density", "population density")),
    "wider widest broader": Comparative(("diameter", "wingspan")),
    "farther further": Comparative(("distance from the sun", "distance from Earth")),
    "closer nearer": Comparative(("distance from the sun", "distance from Earth"), "ascending"),
}
COMPARATIVES: Final = {
    word: comparative for words, comparative in _COMPARATIVES.items() for word in words.split()
} | {"more populous": Comparative(("population",)), "most populous": Comparative(("population",))}
SUPERLATIVES: Final = frozenset(word for word in COMPARATIVES if word.split()[0].endswith("st"))

POSITIVES: Final = {
    "high": "higher", "tall": "taller", "long": "longer", "deep": "deeper", "big": "bigger",
    "large": "larger", "much": "more", "many": "more", "heavy": "heavier", "fast": "faster",
    "dense": "denser", "far": "farther", "small": "smaller", "old": "older", "hot": "hotter",
    "cold": "colder", "light": "lighter", "short": "shorter", "wide": "wider", "slow": "slower",
    "new": "newer", "young": "younger", "close": "closer",
}  # fmt: skip
"""The comparative of "high", for "as high"."""


MISSPELLED: Final = {
    "wich": "which", "whcih": "which", "teh": "the", "hte": "the", "waht": "what", "whats": "what is",
    "wats": "what is", "whichs": "which is", "wheres": "where is", "hows": "how is", "whos": "who is",
    "thats": "that is", "ppl": "people", "poeple": "people", "abt": "about", "yrs": "years",
    "temp": "temperature", "bigest": "biggest", "hight": "height",
    "tahn": "than", "pls": "please", "plz": "please",
}  # fmt: skip
"""Words that ask, as they are often typed. Names are not among them."""


SPELLINGS: Final = frozenset(
    _words(
        "average difference would could should which people inhabitants together combined bigger biggest "
        "higher highest longer longest larger largest smaller smallest deeper deepest taller tallest faster "
        "fastest heavier heaviest between height length weight population language capital currency country "
        "continent mountain altitude elevation temperature diameter distance melting boiling metres meters "
        "kilometres kilometers degrees fahrenheit celsius divide multiply subtract double second"
    )
)
"""Words that ask, whose slips are mended: two letters that changed places, or one that is missing."""


class Unit(NamedTuple):
    """A unit as a multiple of the base unit of its dimension."""

    dimension: str
    factor: float
    offset: float = 0.0
    """Added after the multiplication: temperatures."""


_UNITS: Final = {
    "m|metre|metres|meter|meters": Unit("length", 1),
    "km|kilometre|kilometres|kilometer|kilometers|kms": Unit("length", 1000),
    "million km": Unit("length", 1e9),
    "cm|centimetre|centimetres|centimeter|centimeters": Unit("length", 0.01),
    "mm|millimetre|millimetres|millimeter|millimeters": Unit("length", 0.001),
    "ft|foot|feet": Unit("length", 0.3048),
    "inch|inches": Unit("length", 0.0254),
    "yard|yards|yd": Unit("length", 0.9144),
    "mile|miles|mi": Unit("length", 1609.344),
    "nautical mile|nautical miles": Unit("length", 1852),
    "fathom|fathoms": Unit("length", 1.8288),
    "km2|km²|square kilometre|square kilometres|square km|sq km": Unit("area", 1e6),
    "square kilometer|square kilometers": Unit("area", 1e6),
    "m2|m²|square metre|square metres|square meter|square meters": Unit("area", 1),
    "square mile|square miles|sq mi|sq miles": Unit("area", 2589988.110336),
    "hectare|hectares|ha": Unit("area", 1e4),
    "acre|acres": Unit("area", 4046.8564224),
    "kg|kilo|kilos|kilogram|kilograms": Unit("mass", 1),
    "g|gram|grams": Unit("mass", 0.001),
    "t|tonne|tonnes|metric tons": Unit("mass", 1000),
    "lb|lbs|pound|pounds": Unit("mass", 0.45359237),
    "stone|stones": Unit("mass", 6.35029318),
    "oz|ounce|ounces": Unit("mass", 0.028349523125),
    "km/h|kmh|kph|kilometres per hour|kilometers per hour": Unit("speed", 1 / 3.6),
    "m/s|metres per second|meters per second": Unit("speed", 1),
    "mph|miles per hour": Unit("speed", 0.44704),
    "knot|knots|kn": Unit("speed", 1852 / 3600),
    "second|seconds|s": Unit("time", 1),
    "minute|minutes|min": Unit("time", 60),
    "hour|hours|h": Unit("time", 3600),
    "day|days": Unit("time", 86400),
    "week|weeks": Unit("time", 604800),
    "year|years|yr|yrs": Unit("time", 31557600),
    "°c|celsius|c|degrees celsius|centigrade": Unit("temperature", 1),
    "°f|fahrenheit|f|degrees fahrenheit": Unit("temperature", 5 / 9, -160 / 9),
    "k|kelvin|kelvins": Unit("temperature", 1, -273.15),
}
UNITS: Final = {name: unit for names, unit in _UNITS.items() for name in names.split("|")}

_ONES: Final = _words("zero one two three four five six seven eight nine ten eleven twelve")
NUMBERS: Final = {word: value for value, word in enumerate(_ONES)} | {
    "twenty": 20,
    "fifty": 50,
    "a hundred": 100,
    "hundred": 100,
    "a thousand": 1000,
    "thousand": 1000,
}
PARTS: Final = {"half": 2, "third": 3, "quarter": 4, "fifth": 5, "tenth": 10, "hundredth": 100}

_ORDINALS: Final = {
    "second": ("next", "runner-up", "second", "2nd", "two", "2"),
    "third": ("third", "3rd", "three", "3"),
    "fourth": ("fourth", "4th", "four", "4"),
    "fifth": ("fifth", "5th", "five", "5"),
    "sixth": ("sixth", "6th", "six", "6"),
    "seventh": ("seventh", "7th", "seven", "7"),
    "eighth": ("eighth", "8th", "eight", "8"),
    "ninth": ("ninth", "9th", "nine", "9"),
    "tenth": ("tenth", "10th", "ten", "10"),
}
ORDINALS: Final = {word: ordinal for ordinal, words in _ORDINALS.items() for word in words}
"""The place in a ranking that a word names. The next one behind the best is the second."""

PERIODS: Final = (
    _words("january february march april may june july august september october november december"),
    _words("monday tuesday wednesday thursday friday saturday sunday"),
)
"""Words of which one takes the place of another: "and in January?"."""

COUNTED_IN_THINGS: Final = frozenset(_words("height length depth weight mass area population diameter"))
"""Attributes that can be counted in other things: so many elephants."""

NEVER_NAMES: Final = frozenset(
    _words(
        "i you we me us he she it they them him her its their his this that these those there here one "
        "ones both is are was were be been am do does did has have had can could will would shall should "
        "may might must what which who whom whose when where why how not than then if because please "
        "tell give show find make more less most least same other another much many any some all no yes "
        "ok okay hello hi thanks thank exactly really sure source sources together combined total "
        "average difference double triple half next previous again later now today tomorrow yesterday so "
        "and or but dollar dollars euro euros yen metric imperial"
    )
)
"""Words that stand in no name."""
