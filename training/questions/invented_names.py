"""Invented names, so many and so varied that a model can only learn to copy them."""

from __future__ import annotations

import keyword
import random
import string

from braid.training.questions.template import words

_ONSETS = words(
    "b c d f g h j k l m n p r s t v w z br ch cl cr dr fl fr gl gr kh kr pl pr qu sh sk sl sn sp st "
    "str th tr tw vl zh y x"
)
_VOWELS = words("a e i o u a e i o u ai au ea ee ia ie io oa oo ou ei y ö ü é á í ó ã ø å ā ı")
_PLAIN_VOWELS = words("a e i o u a e i o u ai au ea ee ia ie io oa oo ou ei y")
_CODAS = words("b d g k l m n p r s t x ck ll nd ng nk nt rd rk rn rt sh ss st th z rg lt mp")
_WORDS = words(
    "red blue green black white grey golden silver north south east west upper lower old new great "
    "little high deep long broad lost hidden quiet stone iron copper salt glass river moon sun star "
    "wind snow ice fire wolf bear eagle falcon hawk raven swan horse fox lion tiger otter whale shark "
    "salmon spotted striped common giant dwarf royal wild mountain valley forest meadow bridge tower "
    "castle harbor garden market union liberty queen king prince saint angel bell crown arrow anchor "
    "lantern marble velvet amber maple cedar willow oak pine rose lily thistle clover honey pepper "
    "ginger sugar cotton paper winter summer autumn spring morning evening midnight thunder shadow "
    "echo signal pioneer voyager horizon summit delta cape bay point rock hill field brook lake "
    "island coast storm frost ember flint"
)
_PREFIXED = (
    "Mount",
    "Mont",
    "Monte",
    "Lake",
    "Cape",
    "Fort",
    "Port",
    "San",
    "Santa",
    "Saint",
    "St",
    "Isle of",
    "Gulf of",
    "New",
    "El",
    "La",
    "Los",
    "Rio",
    "Ben",
    "Loch",
    "Nanga",
    "Puy de",
    "Mt.",
    "Mt",
    "St.",
    "Dr.",
    "Burj",
    "Sierra",
    "Villa",
)
_SUFFIXES = {
    "mountain": ("Peak", "Mountain", "Ridge", "Horn", "Massif", "Spire", "Dome"),
    "peak": ("Peak", "Ridge", "Horn"),
    "volcano": ("Volcano", "Crater"),
    "building": ("Tower", "Center", "Building", "House", "Plaza"),
    "tower": ("Tower",),
    "waterfall": ("Falls",),
    "statue": ("Statue", "Memorial"),
    "trench": ("Trench", "Trench", "Trench", "Deep", "Trough"),
    "lake": ("Lake", "Reservoir"),
    "ocean": ("Ocean",),
    "sea": ("Sea",),
    "canyon": ("Canyon", "Gorge"),
    "cave": ("Cave", "Caverns"),
    "river": ("River", "River", "River", "Creek"),
    "bridge": ("Bridge", "Viaduct"),
    "tunnel": ("Tunnel",),
    "wall": ("Wall",),
    "road": ("Highway", "Road", "Route"),
    "railway": ("Railway", "Line"),
    "canal": ("Canal",),
    "desert": ("Desert", "Desert", "Sands", "Basin"),
    "island": ("Island", "Islands", "Atoll"),
    "park": ("Park", "National Park"),
    "forest": ("Forest", "Rainforest"),
    "country": ("Republic", "Islands", "Kingdom"),
    "city": ("City",),
    "ship": ("Star", "Queen"),
    "train": ("Express",),
}
_ARTICLE_KINDS = (
    "river",
    "desert",
    "sea",
    "ocean",
    "trench",
    "canal",
    "bridge",
    "tunnel",
    "tower",
    "building",
    "statue",
    "wall",
    "ship",
    "forest",
)
_LOWER_KINDS = ("animal", "bird", "fish", "element", "metal", "tree", "stone")


def syllable(rng: random.Random, *, accents: bool = False) -> str:
    """A syllable that people can say."""
    onset = rng.choice(_ONSETS) if rng.random() < 0.88 else ""
    coda = rng.choice(_CODAS) if rng.random() < 0.4 else ""
    return onset + rng.choice(_VOWELS if accents else _PLAIN_VOWELS) + coda


def word(rng: random.Random, *, accents: float = 0.12) -> str:
    """A lower-case word that nobody has seen, or now and then an English one."""
    pick = rng.random()
    if pick < 0.16:
        return rng.choice(_WORDS)
    if pick < 0.2:
        return "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(2, 8)))
    marked = rng.random() < accents
    return "".join(syllable(rng, accents=marked) for _ in range(rng.choices((1, 2, 3, 4), (4, 7, 4, 0.5))[0]))


def _proper(rng: random.Random) -> str:
    text = word(rng).capitalize()
    pick = rng.random()
    if pick < 0.04:
        return f"{text}-{word(rng).capitalize()}"
    if pick < 0.06:
        return f"{text}-{rng.choice(('sur', 'am', 'de', 'on', 'upon', 'la', 'al'))}-{word(rng).capitalize()}"
    if pick < 0.09:
        return f"{rng.choice(('O', 'D', 'L', 'K', 'N'))}'{text}"
    if pick < 0.1:
        return f"{text}'{rng.choice(('a', 'i', 'an', 'ul', 'eth'))}"
    if pick < 0.11:
        return f"{text[:-1]}{rng.choice(string.ascii_uppercase)}{word(rng)}"
    if pick < 0.12:
        return text.upper()
    return text


def _code(rng: random.Random) -> str:
    letters = "".join(rng.choice(string.ascii_uppercase) for _ in range(rng.randint(1, 3)))
    number = rng.randint(1, 9) if rng.random() < 0.4 else rng.randint(10, 999)
    return rng.choice(
        (
            f"{letters}{number}",
            f"{letters}{number}",
            f"{letters}-{number}",
            f"{letters} {number}",
            f"{letters}{number}{rng.choice('abx')}",
        )
    )


def proper_name(rng: random.Random, kind: str = "") -> str:
    """A name such as places and works have: "Vaskoru", "Mount Threl", "K7", "Route 66", "Brun-am-Tolk"."""
    pick = rng.random()
    suffixes = _SUFFIXES.get(kind, ())
    if suffixes and pick < 0.45:
        base = _proper(rng) if rng.random() < 0.8 else f"{_proper(rng)} {_proper(rng)}"
        return f"{base} {rng.choice(suffixes)}"
    if pick < 0.55:
        return f"{rng.choice(_PREFIXED)} {_proper(rng)}"
    if pick < 0.6:
        return _code(rng)
    if pick < 0.63:
        return f"{_proper(rng)} {rng.randint(1, 999)}"
    if pick < 0.65:
        return f"{_proper(rng)} of {_proper(rng)}"
    if pick < 0.67:
        return f"{_proper(rng)} and {_proper(rng)}"
    if pick < 0.8:
        return f"{_proper(rng)} {_proper(rng)}"
    if pick < 0.83:
        return f"{_proper(rng)} {_proper(rng)} {_proper(rng)}"
    return _proper(rng)


def common_name(rng: random.Random) -> str:
    """A name such as animals have: "vaskoru", "red vaskoru", "white-tailed threl"."""
    pick = rng.random()
    if pick < 0.55:
        return word(rng)
    if pick < 0.85:
        return f"{word(rng)} {word(rng)}"
    if pick < 0.92:
        return f"{word(rng)}-{word(rng)} {word(rng)}"
    if pick < 0.96:
        return f"{_proper(rng)} {word(rng)}"
    return f"{word(rng)} {word(rng)} {word(rng)}"


def thing_name(rng: random.Random, kind: str) -> tuple[str, str]:
    """A name for a thing of this kind and its article: "", "the" or "a"."""
    if kind in _LOWER_KINDS and rng.random() < 0.85:
        article = "a" if kind in ("animal", "bird", "fish", "tree") and rng.random() < 0.8 else ""
        return common_name(rng), article
    name = proper_name(rng, kind)
    likely = 0.75 if kind in _ARTICLE_KINDS and not name.startswith(_PREFIXED) else 0.06
    return name, "the" if rng.random() < likely else ""


def identifier(rng: random.Random) -> str:
    """A name for a tool, a parameter or a field: snake_case of one to three words."""
    count = rng.choices((1, 2, 3), (5, 5, 1))[0]
    words = [word(rng, accents=0.0) for _ in range(count)]
    text = "_".join(words)
    pick = rng.random()
    if pick < 0.04 and count > 1:
        text = words[0] + "".join(w.capitalize() for w in words[1:])
    elif pick < 0.08:
        text += str(rng.randint(1, 9))
    return f"{text}_it" if keyword.iskeyword(text) else text
