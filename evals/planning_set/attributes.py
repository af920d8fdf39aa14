"""The attributes that questions ask for, and the words that people use for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One attribute and its vocabulary.

    Args:
        noun: the canonical noun, as a look-up asks for it ("height" in "height of K2") and as the atlas names the fact.
        nouns: what questions call it.
        more, less: comparatives ("taller"). Empty for attributes that only have "a greater <noun>".
        most, least: superlatives ("tallest").
        most_tails, least_tails: whole verb phrases ("covers the most ground") that follow "which one".
        how: adjective after "how" ("tall"); empty where there is none.
        gains, losses: verbs special to the attribute, as they stand in the dictionary ("deepen").
        kinds: what has this attribute, in the singular.
        unit_words: units in which a threshold may be given.
        numeric: False for attributes whose value is a name.
    """

    noun: str
    nouns: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    less: tuple[str, ...] = ()
    most: tuple[str, ...] = ()
    least: tuple[str, ...] = ()
    most_tails: tuple[str, ...] = ()
    least_tails: tuple[str, ...] = ()
    how: str = ""
    gains: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("thing",)
    unit_words: tuple[str, ...] = ()
    numeric: bool = True

    @property
    def words(self) -> tuple[str, ...]:
        return self.nouns or (self.noun,)


HEIGHT = Attribute(
    noun="height",
    nouns=("height", "height", "height", "elevation"),
    more=("taller", "taller", "higher"),
    less=("shorter", "lower"),
    most=("tallest", "tallest", "highest"),
    least=("shortest", "lowest", "smallest"),
    most_tails=(
        "stands taller than the rest",
        "reaches the highest",
        "towers over the others",
        "rises highest",
    ),
    least_tails=("stands lower than the rest", "reaches the least high"),
    how="tall",
    gains=("grow taller", "rise", "grow"),
    losses=("shrink", "erode", "sink"),
    kinds=(
        "mountain",
        "mountain",
        "mountain",
        "peak",
        "building",
        "tower",
        "waterfall",
        "volcano",
        "statue",
        "tree",
    ),
    unit_words=("m", "metres", "meters", "feet"),
)
DEPTH = Attribute(
    noun="depth",
    nouns=("depth", "depth", "maximum depth"),
    more=("deeper",),
    less=("shallower",),
    most=("deepest",),
    least=("shallowest",),
    most_tails=("reaches the furthest down", "goes down the furthest", "goes deepest"),
    least_tails=("reaches the least far down", "goes down the least"),
    how="deep",
    gains=("deepen", "deepen", "sink"),
    losses=("shallow", "silt up", "fill up"),
    kinds=("trench", "trench", "lake", "ocean", "sea", "canyon", "cave"),
    unit_words=("m", "metres", "meters", "feet"),
)
LENGTH = Attribute(
    noun="length",
    nouns=("length", "length", "course"),
    more=("longer",),
    less=("shorter",),
    most=("longest",),
    least=("shortest",),
    most_tails=(
        "spans the greatest distance",
        "runs the furthest",
        "covers the most distance",
        "stretches furthest",
    ),
    least_tails=("spans the least distance", "runs the least far", "covers the least distance"),
    how="long",
    gains=("lengthen", "stretch", "run on"),
    losses=("shorten", "shorten", "shrink"),
    kinds=("river", "river", "river", "bridge", "tunnel", "wall", "road", "railway", "canal"),
    unit_words=("km", "kilometres", "kilometers", "miles"),
)
AREA = Attribute(
    noun="area",
    nouns=("area", "area", "area", "size", "surface area", "surface", "territory"),
    more=("larger", "bigger", "vaster"),
    less=("smaller",),
    most=("largest", "biggest", "vastest", "most extensive"),
    least=("smallest", "least extensive"),
    most_tails=(
        "covers more ground",
        "spans the most ground",
        "covers the most ground",
        "takes up the most land",
        "spreads over the most land",
    ),
    least_tails=(
        "covers less ground",
        "spans the least ground",
        "covers the least ground",
        "takes up the least land",
        "spans the least land",
    ),
    how="large",
    gains=("spread", "expand", "grow"),
    losses=("shrink", "shrink", "contract"),
    kinds=(
        "desert",
        "desert",
        "country",
        "island",
        "lake",
        "continent",
        "state",
        "park",
        "forest",
        "sea",
        "ocean",
    ),
    unit_words=("km2", "square kilometres", "square miles"),
)
POPULATION = Attribute(
    noun="population",
    nouns=("population", "population", "number of inhabitants", "number of people", "headcount"),
    more=("more populous",),
    less=("less populous",),
    most=("most populous",),
    least=("least populous",),
    most_tails=(
        "has more people",
        "has the most people",
        "has the most inhabitants",
        "is home to the most people",
    ),
    least_tails=(
        "has fewer people",
        "has the fewest people",
        "has the fewest inhabitants",
        "has fewer inhabitants",
    ),
    how="populous",
    gains=("grow", "swell"),
    losses=("shrink", "dwindle", "decline"),
    kinds=("country", "country", "city", "state", "island", "region"),
    unit_words=("people", "inhabitants"),
)
SPEED = Attribute(
    noun="top speed",
    nouns=(
        "top speed",
        "maximum speed",
        "max speed",
        "speed",
        "maximum velocity",
        "peak speed",
        "maximum pace",
        "sprint",
        "maximum sprint",
        "flight speed",
        "running speed",
        "velocity",
        "best speed",
        "fastest speed",
        "maximum flight speed",
        "maximum flight velocity",
        "maximum running speed",
        "top velocity",
    ),
    more=("faster", "faster", "speedier", "quicker"),
    less=("slower",),
    most=("fastest", "quickest", "speediest"),
    least=("slowest",),
    most_tails=("moves the fastest", "wins the race", "comes first in a race", "outruns the others"),
    least_tails=("moves the slowest", "loses the race", "comes last in a race"),
    how="fast",
    gains=("accelerate", "speed up", "run faster", "go faster"),
    losses=("slow down", "slow", "decelerate"),
    kinds=("animal", "animal", "animal", "bird", "car", "train", "plane", "fish"),
    unit_words=("km/h", "mph"),
)
WEIGHT = Attribute(
    noun="weight",
    nouns=("weight", "mass"),
    more=("heavier",),
    less=("lighter",),
    most=("heaviest",),
    least=("lightest",),
    most_tails=("weighs the most", "weighs more", "tips the scales furthest"),
    least_tails=("weighs the least", "weighs less"),
    how="heavy",
    gains=("put on weight", "grow heavier"),
    losses=("lose weight", "grow lighter"),
    kinds=("animal", "animal", "car", "ship", "stone"),
    unit_words=("kg", "tonnes", "pounds"),
)
MASS = Attribute(
    noun="mass",
    more=("more massive", "heavier"),
    less=("less massive", "lighter"),
    most=("most massive",),
    least=("least massive",),
    how="massive",
    kinds=("planet", "star", "moon"),
    unit_words=("kg",),
)
LIFESPAN = Attribute(
    noun="lifespan",
    nouns=("lifespan", "life expectancy", "maximum age"),
    more=("longer-lived",),
    less=("shorter-lived",),
    most=("longest-lived",),
    least=("shortest-lived",),
    most_tails=("lives the longest", "lives longer"),
    least_tails=("lives the shortest", "lives less long"),
    gains=("live longer",),
    kinds=("animal", "animal", "tree", "bird"),
    unit_words=("years",),
)
DIAMETER = Attribute(
    noun="diameter",
    more=("wider", "larger", "bigger"),
    less=("narrower", "smaller"),
    most=("widest", "largest", "biggest"),
    least=("narrowest", "smallest"),
    how="wide",
    gains=("widen", "swell"),
    losses=("narrow", "shrink"),
    kinds=("planet", "moon", "star", "crater", "telescope"),
    unit_words=("km",),
)
OTHERS = tuple(
    Attribute(noun=noun, kinds=kinds, unit_words=units)
    for noun, kinds, units in (
        ("melting point", ("element", "metal"), ("°C",)),
        ("boiling point", ("element", "metal"), ("°C",)),
        ("density", ("element", "metal"), ()),
        ("orbital period", ("planet", "moon"), ("days",)),
        ("surface gravity", ("planet",), ()),
        ("distance from the sun", ("planet",), ("million km",)),
        ("wingspan", ("aircraft", "bird"), ("m",)),
        ("average depth", ("ocean",), ("m",)),
        ("longest span", ("bridge",), ("m",)),
    )
)
"""Attributes that have no adjectives of their own: "the greater density"."""
ELEVATION = Attribute(
    noun="elevation",
    nouns=("elevation", "altitude"),
    more=("higher",),
    less=("lower",),
    most=("highest",),
    least=("lowest",),
    most_tails=("lies the highest", "lies higher"),
    least_tails=("lies the lowest", "lies lower"),
    how="high",
    kinds=("city", "town", "village", "pass"),
    unit_words=("m", "metres", "feet"),
)
NUMERIC = (
    HEIGHT,
    DEPTH,
    LENGTH,
    AREA,
    POPULATION,
    SPEED,
    WEIGHT,
    MASS,
    LIFESPAN,
    DIAMETER,
    ELEVATION,
    *OTHERS,
)

CAPITAL = Attribute(
    noun="capital", nouns=("capital", "capital", "capital city"), kinds=("country",), numeric=False
)
NAMED = (
    CAPITAL,
    Attribute(noun="currency", kinds=("country",), numeric=False),
    Attribute(noun="official language", kinds=("country",), numeric=False),
    Attribute(noun="continent", kinds=("country", "desert", "mountain"), numeric=False),
    Attribute(noun="country", kinds=("city", "mountain", "river"), numeric=False),
    Attribute(noun="location", kinds=("mountain", "lake", "river", "island"), numeric=False),
    Attribute(noun="mouth", kinds=("river",), numeric=False),
    Attribute(noun="mountain range", kinds=("mountain",), numeric=False),
    Attribute(noun="symbol", kinds=("element",), numeric=False),
    Attribute(noun="ocean", kinds=("trench",), numeric=False),
    Attribute(noun="largest city", nouns=("largest city", "biggest city"), kinds=("country",), numeric=False),
    Attribute(
        noun="highest mountain",
        nouns=("highest mountain", "tallest mountain"),
        kinds=("country",),
        numeric=False,
    ),
    Attribute(noun="longest river", kinds=("country",), numeric=False),
    Attribute(noun="largest lake", kinds=("country",), numeric=False),
    *(
        Attribute(noun=noun, kinds=kinds, numeric=False)
        for noun, kinds in (
            ("completion year", ("building", "tower", "statue")),
            ("opening year", ("bridge", "tunnel", "canal")),
            ("launch year", ("ship",)),
            ("admission year", ("state",)),
            ("first ascent", ("mountain",)),
            ("last eruption", ("volcano",)),
            ("atomic number", ("element",)),
        )
    ),
)
"""Attributes whose value is a name or a plain number without a unit."""

CHAINS: dict[str, tuple[Attribute, ...]] = {
    "capital": (POPULATION, AREA, ELEVATION),
    "largest city": (POPULATION, AREA, ELEVATION),
    "highest mountain": (HEIGHT,),
    "longest river": (LENGTH,),
    "largest lake": (AREA, DEPTH),
    "country": (POPULATION, AREA),
    "continent": (AREA, POPULATION),
}
"""What can be asked about the thing that a named attribute gives ("the population of the capital of ...")."""
