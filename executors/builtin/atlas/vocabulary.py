"""The vocabulary of atlas queries: folded names, phrases for attributes, and words without meaning."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

Tokens = tuple[str, ...]

_LETTERS = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"},
)
_POSSESSIVE = re.compile(r"(?<=\w)['’ʼ]s\b")
_APOSTROPHE = re.compile(r"['’ʻʼ‘`]")
_INITIALS = re.compile(r"(?<!\w)(?:[^\W\d_]\.){2,}")
_NOT_WORD = re.compile(r"[\W_]+")
_ABBREVIATIONS: Final = {"st": "saint", "mt": "mount", "mts": "mountains", "centre": "center"}


def fold(text: str) -> Tokens:
    """The words of `text` without case, diacritics, punctuation, possessives and plurals: "K2's" is "k2"."""
    if text.isascii():
        text = text.lower()
    else:
        text = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
        text = "".join(c for c in text if not unicodedata.combining(c))
    text = _INITIALS.sub(lambda initials: initials[0].replace(".", ""), text)
    text = _APOSTROPHE.sub("", _POSSESSIVE.sub("", text))
    return tuple(_singular(_ABBREVIATIONS.get(word, word)) for word in _NOT_WORD.sub(" ", text).split())


def _singular(word: str) -> str:
    # The same rule on both sides of a match, so it need not be right about words such as "Paris".
    if len(word) > 5 and word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


class Phrase(NamedTuple):
    """What a phrase asks for."""

    attributes: tuple[str, ...]
    """The facts that would answer it, best first."""
    strength: int
    """Of the phrases in a query the strongest count.

    It is 3 for a noun ("population"), 2 and 1 for what may serve a noun ("live", "long"), and 0 for words
    that more often describe than ask ("city").
    """


_SIZE = ("area", "diameter", "length", "height")
_BUILT = ("completion year", "opening year", "launch year", "first flight", "founding year")
_MAKER = ("designer", "architect", "builder", "inventor")
_PLACE = ("location", "city", "country", "continent", "planet")

_PHRASES: Final[dict[int, dict[str, tuple[str, ...]]]] = {
    3: {
        "height | height above sea level": ("height", "elevation"),
        "elevation | altitude | elevation above sea level | altitude above sea level | above sea level": (
            "elevation",
            "height",
        ),
        "roof height | height to the roof | height to roof | architectural height": ("roof height",),
        "tip height | height to the tip | height to tip | height with antenna": ("tip height",),
        "construction start | start of construction | construction begin | year construction began": (
            "construction start",
        ),
        "depth | deepness": ("depth",),
        "average depth | mean depth": ("average depth",),
        "deepest point": ("deepest point",),
        "length | course | body length": ("length",),
        "day length | length of a day | length of day | length of the day | how long is a day | day on": (
            "day length",
        ),
        "rotation period | rotation": ("day length",),
        "length of a year | how long is a year | how long is one year | length of one year | year on": (
            "orbital period",
        ),
        "how long is one day | length of one day | how long does a day last | how long does one day last": (
            "day length",
        ),
        "go around the sun | go round the sun | orbit the sun | circle the sun | travel around the sun": (
            "orbital period",
        ),
        "how far away | how far": ("distance from Earth", "distance from the sun"),
        "longest span | main span": ("longest span",),
        "area | surface area | land area | total area | surface | territory | extent": ("area",),
        "diameter | width": ("diameter",),
        "population | inhabitant | resident | people | headcount | citizen": ("population",),
        "top speed | speed | velocity | pace | maximum speed | best speed | cruising speed": ("top speed",),
        "sprint | sprint speed | running speed | flight speed | sprint velocity | flight velocity": (
            "top speed",
        ),
        "weight | body weight | body mass": ("weight", "mass"),
        "mass": ("mass", "weight"),
        "lifespan | life span | life expectancy | longevity | age | maximum age": ("lifespan",),
        "wingspan | wing span": ("wingspan",),
        "floor | storey | story | number of floors": ("floors",),
        "moon": ("moons",),
        "gravity | surface gravity | gravitational acceleration": ("surface gravity",),
        "orbital period | year length | orbit": ("orbital period",),
        "surface temperature": ("surface temperature",),
        "people speak": ("official language",),
        "people use | people pay": ("currency",),
        "distance from the sun | distance from sun | distance to the sun": ("distance from the sun",),
        "distance to sun | from the sun | from sun": ("distance from the sun",),
        "distance from earth | distance from the earth | distance to earth | distance to the earth": (
            "distance from Earth",
        ),
        "from earth | from the earth": ("distance from Earth",),
        "atomic number | proton number": ("atomic number",),
        "symbol | chemical symbol": ("symbol",),
        "melting point | melting temperature": ("melting point",),
        "boiling point | boiling temperature": ("boiling point",),
        "density": ("density",),
        "capital | capital city": ("capital",),
        "currency | money | monetary unit": ("currency",),
        "currency code": ("currency code", "currency"),
        "atomic mass | atomic weight | relative atomic mass": ("atomic mass",),
        "calling code | dialling code | dialing code | phone code | country code | phone prefix": (
            "calling code",
        ),
        "border | neighbour | neighbor | neighbouring country | neighboring country | bordering country": (
            "borders",
        ),
        "demonym | people called | person called | inhabitant called | native called": ("demonym",),
        "internet domain | top level domain | domain | tld": ("internet domain",),
        "iso code | country abbreviation": ("ISO code",),
        "time zone | timezone": ("time zone",),
        "coordinate | latitude | longitude | latitude and longitude": ("coordinates",),
        "highest mountain | tallest mountain | highest peak | tallest peak | highest point": (
            "highest mountain",
        ),
        "longest river": ("longest river",),
        "largest lake | biggest lake": ("largest lake",),
        "largest city | biggest city": ("largest city",),
        "diet | food | prey": ("diet",),
        "architect": ("architect", "designer"),
        "designer": ("designer", "architect"),
        "builder | constructor": ("builder", "architect"),
        "founder": ("founder",),
        "inventor | creator": ("inventor",),
        "invention year | year of invention": ("invention year",),
        "discoverer": ("discoverer",),
        "discovery year | year of discovery": ("discovery year",),
        "founding year | foundation year | year of foundation | year founded": ("founding year",),
        "first climber": ("first climbers",),
        "official language | language | national language": ("official language",),
        "mouth | flow into | empty into | drain into": ("mouth",),
        "mountain range": ("mountain range",),
        "first ascent | year of the first ascent | year of first ascent": ("first ascent", "first climbers"),
        "last eruption": ("last eruption",),
        "completion year | year of completion | construction year | year built": _BUILT,
        "opening year | year of opening": ("opening year", *_BUILT),
        "launch year": ("launch year", *_BUILT),
        "first flight": ("first flight",),
        "admission year": ("admission year",),
        "location | whereabout": _PLACE,
    },
    2: {
        "live | lives": ("lifespan", "population"),
        "melt": ("melting point",),
        "boil": ("boiling point",),
        "built | completed | opened | finished | launched | constructed | put up | erected | made": (
            *_BUILT,
            "invention year",
            "builder",
            *_MAKER,
        ),
        "start building | started building | begin building | began building | begun | building begin": (
            "construction start",
        ),
        "construction started | start construction | start to build | building started | started": (
            "construction start",
        ),
        "designed | planned": (*_MAKER, *_BUILT),
        "founded | established": ("founding year", "founder", *_BUILT),
        "invented | created": ("invention year", "inventor"),
        "discovered | found first | first found | first discovered": ("discovery year", "discoverer"),
        "climbed | ascended | climb | summited | scaled | conquered | reached the top | reached the summit": (
            "first ascent",
            "first climbers",
        ),
        "first climbed | first ascended | first summited": ("first ascent", "first climbers"),
        "first scaled | first conquered | climbed first | first climb": ("first ascent", "first climbers"),
        "first to climb | first person to climb | first people to climb | first man to climb": (
            "first climbers",
            "first ascent",
        ),
        "first to summit | first to reach the top | first to reach the summit | first to ascend": (
            "first climbers",
            "first ascent",
        ),
        "first people to stand on top | first person to stand on top | first to stand on top": (
            "first climbers",
            "first ascent",
        ),
        "eat | eaten | feed": ("diet",),
        "pay with | pay in | pay": ("currency",),
        "call code": ("calling code",),
        "end": ("mouth",),
        "city is the capital | town is the capital": ("capital",),
        "erupted | erupt | last erupted | last erupt": ("last eruption",),
        "admitted": ("admission year",),
    },
    1: {
        "where": _PLACE,
        "tall | high | taller | higher | tallest | highest": ("height", "elevation"),
        "deep | deeper | deepest | shallow": ("depth",),
        "long | longer | longest": ("length", "orbital period"),
        "size | dimension | large | big | larger | bigger | largest | biggest": _SIZE,
        "wide | across": ("diameter", "wingspan"),
        "fast | quick | faster | fastest | quickest | swift": ("top speed",),
        "heavy | heavier | heaviest | weigh": ("weight", "mass"),
        "populous": ("population",),
        "dense": ("density",),
        "hot | cold | temperature": ("surface temperature",),
        "old": ("lifespan", *_BUILT),
        "far | distance": ("distance from the sun", "distance from Earth"),
    },
    0: {
        "country | nation": ("country", "location"),
        "city | town": ("city",),
        "state": ("state",),
        "planet": ("planet",),
        "ocean": ("ocean",),
        "continent": ("continent",),
        "range": ("mountain range",),
        "span": ("longest span", "wingspan"),
        "located | situated": _PLACE,
        "year": (*_BUILT, "orbital period"),
    },
}

WANTED: Final[dict[str, frozenset[str]]] = {
    "who": frozenset({*_MAKER, "founder", "discoverer", "first climbers"}),
    "when": frozenset(
        {*_BUILT, "invention year", "discovery year", "first ascent", "last eruption", "admission year"}
    ),
}
"""What a question that begins so can be answered with."""

PHRASES: Final[dict[Tokens, Phrase]] = {
    fold(phrase): Phrase(attributes, strength)
    for strength, table in _PHRASES.items()
    for words, attributes in table.items()
    for phrase in words.split("|")
}
"""Every phrase that asks for an attribute, folded."""

LONGEST_PHRASE: Final = max(map(len, PHRASES))

ARTICLES: Final = frozenset(fold("a an the of in on at and de la el"))
"""Words of a name that may be left out: "Isle Man"."""

FILLER: Final = ARTICLES | frozenset(
    fold(
        "a an the of in on at to for from by and or with its their his her this that these those it is are "
        "was were be been do does did has have having can could would will what which who whom when how much "
        "many me i you we please tell give find look up show search get lookup value fact facts figure data "
        "info information about answer question number amount total exact exactly approximate approximately "
        "approx roughly around estimated current currently today now latest official recorded known maximum "
        "max average mean typical peak full overall common commonly adult wild named called name located "
        "situated found lying reach reaches run runs running fly flies flying swim swims swimming go goes "
        "travel travels live stand stands speak spoken above below level according wikipedia encyclopedia "
        "there any as if so per unit units metre meter metres meters m km kilometre kilometer kilometres "
        "kilometers ft feet foot mile miles mph kmh kph kg kilogram kilograms kilogramme tonne tonnes square "
        "sq km2 celsius degree degrees hour second s world year years they "
        "use used using again ever officially did"
    )
)
"""Words that neither name a thing nor ask for anything.

A unit that is asked for is ignored: facts come in the units of the atlas.
"""

_KIND_WORDS: Final = {
    "mountain": "mountain mount mt peak summit volcano",
    "volcano": "volcano mountain mount mt peak",
    "ocean trench": "ocean oceanic trench deep trough",
    "ocean": "ocean sea",
    "sea": "sea ocean gulf bay",
    "lake": "lake loch sea",
    "river": "river stream waterway",
    "desert": "desert",
    "forest": "forest rainforest jungle woods wood rain",
    "island": "island isle",
    "country": "country nation republic kingdom democratic federated",
    "territory": "territory country island islands dependency",
    "continent": "continent",
    "city": "city town capital municipality metropolis",
    "US state": "us u s state",
    "building": "building skyscraper tower monument landmark cathedral church",
    "tower": "tower building skyscraper landmark monument",
    "statue": "statue monument sculpture buddha landmark memorial",
    "bridge": "bridge viaduct causeway",
    "tunnel": "tunnel",
    "canal": "canal",
    "wall": "wall",
    "waterfall": "waterfall waterfalls falls fall cataract",
    "canyon": "canyon gorge",
    "cave": "cave cavern system",
    "animal": "animal bird fish mammal reptile insect species",
    "planet": "planet",
    "dwarf planet": "dwarf planet",
    "star": "star",
    "moon": "moon satellite",
    "element": "element metal chemical gas",
    "ship": "ship boat vessel liner battleship carrier",
    "aircraft": "aircraft airplane aeroplane plane jet airliner",
    "train": "train railway locomotive",
    "invention": "invention machine device",
}

KIND_WORDS: Final[dict[str, frozenset[str]]] = {
    kind: frozenset(fold(words)) for kind, words in _KIND_WORDS.items()
}
"""Words that may accompany a name of each kind without changing what it names."""

NAMED_AFTER: Final = frozenset(
    {"building", "tower", "statue", "bridge", "tunnel", "canal", "wall", "ship", "train"}
)
"""Kinds that are often named after something, and whose names keep the word for their kind."""

COMMON: Final = frozenset(
    fold(
        "hello hallo hullo hey hiya howdy greetings welcome goodbye bye morning afternoon evening night "
        "thanks thank cheers sorry please help okay yes no maybe sure fine nice good great bad best "
        "better worse worst love like likes hate want need know think thing things something nothing "
        "anything everything someone nobody anyone everyone where why because though although while until "
        "since after before during about again always never often sometimes really very quite just only "
        "even also still already here there then than other another each every both either neither some "
        "few more most less least same such own half double times time today tomorrow yesterday week "
        "month hour minute second morning weather joke story poem song music movie film book game sport "
        "dinner lunch breakfast cake recipe write read sing play work make take come went said says told "
        "asked answer question word words letter letters sentence language code test testing plus minus "
        "divided multiplied sum total number numbers zero one two three four five six seven eight nine "
        "ten hundred thousand million billion first last next previous left right open close start stop "
        "begin end money price cost cheap expensive buy sell email phone computer internet website "
        "president king queen minister leader mother father brother sister friend child children woman "
        "women man men person dog house home room door table chair car bike road street school shop "
        "office doctor teacher student birthday name names weigh colour color black white green blue "
        "brown orange purple yellow pink red grey gray "
    )
)
"""Everyday words. They are never taken for misspelt names, and bring no suggestions."""

GENERIC: Final[frozenset[str]] = frozenset[str]().union(*KIND_WORDS.values()) | FILLER
"""Words that alone identify nothing: "Amazon Rainforest" and "Amazon River" differ by such a word only."""
