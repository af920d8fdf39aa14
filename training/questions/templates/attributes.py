"""The attributes that questions ask for, and the words that people use for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One attribute and its vocabulary.

    Args:
        noun: the canonical noun, as a look-up asks for it ("height" in "height of K2") and as the atlas names
            the fact.
        nouns: what questions call it.
        more, less: comparatives ("taller"). Empty for attributes that only have "a greater <noun>".
        most, least: superlatives ("tallest").
        most_tails, least_tails: whole verb phrases ("covers the most ground") that follow "which one".
        how: adjective after "how" ("tall"). Empty where there is none.
        gains, losses: verbs special to the attribute, as they stand in the dictionary ("deepen").
        kinds: what has this attribute, in the singular.
        unit_words: units in which a threshold may be given.
        numeric: False for attributes whose value is a name.
        asks: whole questions for the attribute, as patterns of `Choice.frame` with the slot x.
        held_asks: such questions that training never shows.
        dated: the value is a year. Years are compared and subtracted, never added, scaled or averaged.
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
    asks: tuple[str, ...] = ()
    held_asks: tuple[str, ...] = ()
    dated: bool = False

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
    losses=("shrink", "erode", "sink", "crumble", "wear down"),
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
    asks=(
        "how [tall|high] is {x}",
        "how [tall|high] does {x} [stand|rise|get]",
        "how high up does {x} go",
        "how many [metres|meters] [tall|high] is {x}",
        "{x} is how [tall|high]",
        "what height does {x} [have|reach|rise to]",
        "what altitude does {x} reach",
        "how tall [would you say|do they say] {x} is",
    ),
    held_asks=(
        "to what height does {x} rise",
        "how far up does the top of {x} stand",
    ),
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
    asks=(
        "how deep is {x}",
        "how deep does {x} [go|get|reach]",
        "how far down does {x} [go|reach]",
        "{x} is how deep",
        "how many [metres|meters] deep is {x}",
        "what depth does {x} [reach|have]",
        "how deep is {x} at [its deepest|most]",
    ),
    held_asks=(
        "to what depth does {x} descend",
        "how far below the surface does {x} go",
    ),
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
    asks=(
        "how long is {x}",
        "how far does {x} [run|stretch|extend|flow|go]",
        "{x} is how long",
        "how many [kilometres|kilometers|km] long is {x}",
        "what length does {x} [have|run to]",
        "over what distance does {x} stretch",
        "how long is {x} from [end to end|start to finish]",
    ),
    held_asks=(
        "what distance does {x} cover from one end to the other",
        "how much of a length has {x}",
    ),
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
    asks=(
        "how [big|large|extensive] is {x}",
        "how much [land|ground|space|area|territory] does {x} [cover|take up|span|occupy]",
        "how many square [kilometres|kilometers|km] [does {x} cover|is {x}|does {x} have]",
        "what area does {x} [cover|span|have|occupy]",
        "{x} is how [big|large]",
        "how big [an area|a surface] does {x} have",
    ),
    held_asks=(
        "over what area does {x} spread",
        "how many km2 are taken up by {x}",
    ),
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
    losses=("shrink", "dwindle", "decline", "sink"),
    kinds=("country", "country", "city", "state", "island", "region"),
    unit_words=("people", "inhabitants"),
    asks=(
        "how many [people|inhabitants|residents] [live in|are there in|are in] {x}",
        "how many people [live|reside|are living] in {x}",
        "how many [people|inhabitants|residents|citizens] does {x} have",
        "how many [inhabitants|people|residents] [has|are in] {x}",
        "how [populous|populated] is {x}",
        "what is the number of [people|inhabitants|residents] [in|of] {x}",
        "how big is the population of {x}",
        "{x} has how many [people|inhabitants]",
        "{x} is home to how many [people|inhabitants]",
        "how many people call {x} home",
    ),
    held_asks=(
        "how many souls does {x} count",
        "by how many people is {x} inhabited",
    ),
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
    gains=(
        "accelerate",
        "speed up",
        "run faster",
        "go faster",
        "pick up speed",
        "pick up the pace",
        "get quicker",
        "hurry up",
    ),
    losses=("slow down", "slow", "decelerate", "lose pace", "tire", "get slower", "flag"),
    kinds=("animal", "animal", "animal", "bird", "car", "train", "plane", "fish"),
    unit_words=("km/h", "mph"),
    asks=(
        "how fast [can|does|would] {x} [go|move|run]",
        "how fast is {x}",
        "how fast can {x} [go|move|run|get|travel]",
        "how quick is {x}",
        "what speed [can|does] {x} reach",
        "how many [km/h|kilometres per hour] [can|does] {x} [do|reach]",
        "{x} [goes|moves|runs] how fast",
        "what is the fastest {x} can [go|move|run]",
        "how fast [does|will] {x} [go|move|run] at [most|full tilt]",
    ),
    held_asks=(
        "at what speed does {x} travel when it gives its all",
        "what pace does {x} manage",
    ),
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
    asks=(
        "how heavy is {x}",
        "how much does {x} weigh",
        "how many [kilos|kilograms|kg] does {x} weigh",
        "{x} weighs how much",
        "what does {x} weigh",
        "what weight does {x} [have|reach]",
    ),
    held_asks=("how many kilos does {x} bring to the scales",),
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
    asks=(
        "how [massive|heavy] is {x}",
        "how much mass does {x} have",
        "what does {x} weigh",
    ),
    held_asks=("how many kilograms of matter make up {x}",),
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
    asks=(
        "how long does {x} live",
        "how old [can|does] {x} [get|become|grow]",
        "how many years [can|does] {x} live",
        "up to what age does {x} live",
        "how long is the life of {x}",
        "how long can {x} live",
    ),
    held_asks=("what age can {x} look forward to",),
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
    asks=(
        "how [wide|big|large] is {x}",
        "how [wide|big] is {x} across",
        "how many [kilometres|km] across is {x}",
        "what is {x} in diameter",
        "how far is it across {x}",
    ),
    held_asks=("how much does {x} measure from side to side",),
)
OTHERS = (
    Attribute(
        noun="melting point",
        nouns=("melting point", "melting temperature"),
        kinds=("element", "metal"),
        unit_words=("°C",),
        asks=("at what temperature does {x} melt", "how hot must {x} [be|get] to melt", "when does {x} melt"),
        held_asks=("which temperature turns {x} liquid",),
    ),
    Attribute(
        noun="boiling point",
        nouns=("boiling point", "boiling temperature"),
        kinds=("element", "metal"),
        unit_words=("°C",),
        asks=("at what temperature does {x} boil", "how hot must {x} [be|get] to boil", "when does {x} boil"),
        held_asks=("which temperature turns {x} into gas",),
    ),
    Attribute(
        noun="density",
        more=("denser",),
        less=("less dense",),
        most=("densest",),
        least=("least dense",),
        how="dense",
        kinds=("element", "metal"),
        asks=("how dense is {x}",),
    ),
    Attribute(
        noun="orbital period",
        nouns=("orbital period", "year"),
        kinds=("planet", "moon"),
        unit_words=("days",),
        asks=(
            "how long does {x} take [for one orbit|to go around once|to complete an orbit]",
            "how [many days|long] does one orbit of {x} take",
            "how long is a year on {x}",
        ),
        held_asks=("in how many days does {x} come full circle",),
    ),
    Attribute(
        noun="surface gravity",
        nouns=("surface gravity", "gravity"),
        kinds=("planet",),
        asks=("how strong is gravity on {x}", "how strong is the gravity of {x}"),
    ),
    Attribute(
        noun="distance from the sun",
        nouns=("distance from the sun", "distance to the sun"),
        more=("farther from the sun", "further from the sun"),
        less=("closer to the sun", "nearer to the sun"),
        most=("farthest from the sun", "furthest from the sun"),
        least=("closest to the sun", "nearest to the sun"),
        kinds=("planet",),
        unit_words=("million km",),
        asks=("how far is {x} from the sun", "how far away from the sun is {x}"),
        held_asks=("what separates {x} from the sun, in million km",),
    ),
    Attribute(
        noun="moons",
        nouns=("number of moons", "moons"),
        kinds=("planet",),
        asks=("how many moons does {x} have", "how many moons [orbit|go around|circle] {x}"),
        held_asks=("by how many moons is {x} circled",),
    ),
    Attribute(
        noun="floors",
        nouns=("number of floors", "floors", "number of storeys"),
        kinds=("building", "tower"),
        asks=("how many [floors|storeys|stories] does {x} have", "how many floors are there in {x}"),
        held_asks=("over how many storeys does {x} rise",),
    ),
    Attribute(
        noun="wingspan",
        kinds=("aircraft", "bird"),
        unit_words=("m",),
        asks=("how [wide|broad] are the wings of {x}", "how far is it between the wingtips of {x}"),
    ),
    Attribute(
        noun="average depth", kinds=("ocean",), unit_words=("m",), asks=("how deep is {x} on average",)
    ),
    Attribute(
        noun="longest span",
        nouns=("longest span", "main span"),
        kinds=("bridge",),
        unit_words=("m",),
        asks=("how long is the [longest|main] span of {x}",),
    ),
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
    asks=(
        "how high does {x} [lie|sit]",
        "how high above sea level [is|lies] {x}",
        "how far above [sea level|the sea] is {x}",
        "at what [altitude|elevation|height] [is {x}|does {x} lie]",
        "how high up is {x}",
    ),
    held_asks=("how many metres above the sea does {x} lie",),
)
YEARS = tuple(
    Attribute(
        noun=noun,
        nouns=nouns,
        kinds=kinds,
        more=("newer", "more recent", "younger"),
        less=("older",),
        most=("newest", "most recent", "youngest"),
        least=("oldest", "earliest"),
        dated=True,
        asks=asks,
        held_asks=held,
    )
    for noun, nouns, kinds, asks, held in (
        (
            "completion year",
            ("completion year", "year of completion"),
            ("building", "tower", "statue"),
            (
                "when was {x} [built|completed|finished]",
                "[in what|what|in which] year was {x} [built|completed|finished]",
                "since when has {x} been standing",
            ),
            ("when did they finish building {x}",),
        ),
        (
            "opening year",
            ("opening year", "year of opening"),
            ("bridge", "tunnel", "canal"),
            (
                "when did {x} open",
                "when was {x} opened",
                "[in what|what|in which] year [did {x} open|was {x} opened]",
                "since when has {x} been open",
            ),
            ("when was {x} first used by the public",),
        ),
        (
            "launch year",
            ("launch year", "year of launch"),
            ("ship",),
            ("when was {x} launched", "[in what|what|in which] year was {x} launched"),
            ("when did {x} first touch water",),
        ),
        (
            "first ascent",
            ("first ascent", "year of the first ascent"),
            ("mountain",),
            (
                "when was {x} first [climbed|ascended|summited]",
                "[in what|what|in which] year was {x} first [climbed|ascended]",
            ),
            ("when did people first stand on top of {x}",),
        ),
        (
            "first flight",
            ("first flight", "year of the first flight"),
            ("aircraft",),
            ("when did {x} first fly", "[in what|what|in which] year did {x} [first fly|take off first]"),
            ("when did {x} get off the ground for the first time",),
        ),
        (
            "admission year",
            ("admission year", "year of admission"),
            ("state",),
            (
                "when did {x} [become a state|join the union]",
                "when was {x} admitted to the union",
                "[in what|in which] year did {x} become a state",
            ),
            ("since when has {x} belonged to the union",),
        ),
    )
)
"""Attributes whose value is a year."""

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
    *YEARS,
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
