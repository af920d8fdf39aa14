"""Follow-ups over typed turns: what they are rewritten to, what is left alone, and what cannot be told."""

from __future__ import annotations

import pytest

from braid.executors.builtin import builtin_tools
from braid.planner import compile_plan
from braid.planner.follow_up import (
    LookUp,
    StandaloneQuestion,
    Stated,
    Turn,
    Unresolved,
    bare_question,
    mended,
    rewrite,
)
from braid.planner.language import parse_plan


def fact(name: str, attribute: str, value: float | str, unit: str = "") -> LookUp:
    query = f"{attribute} of {name}"
    return LookUp(name=name, attribute=attribute, value=value, unit=unit, tool="search", query=query)


def asked(question: str, *facts: LookUp, value: float | str | None = None, unit: str = "") -> Turn:
    """A turn. It answers with its only fact unless `value` is given."""
    if value is None and len(facts) == 1:
        value, unit = facts[0].value, facts[0].unit
    plan = "\n".join(f'{x} = search("{each.query}")' for x, each in zip("abc", facts, strict=False))
    return Turn(
        question=question, answer=f"{value} {unit}".strip(), value=value, unit=unit, plan=plan, lookups=facts
    )


NILE_FACT, AMAZON_FACT = fact("Nile", "length", 6650, "km"), fact("Amazon River", "length", 6400, "km")
K2 = asked("How high is K2?", fact("K2", "height", 8611, "m"))
BLANC = asked("What is the height of Mont Blanc?", fact("Mont Blanc", "height", 4806, "m"))
ETNA = asked("What is the height of Etna?", fact("Mount Etna", "height", 3357, "m"))
PERU = asked("capital of peru", fact("Peru", "capital", "Lima"))
BOLIVIA = asked("What is the capital of Bolivia?", fact("Bolivia", "capital", "Sucre"))
FRANCE = asked("What is the population of France?", fact("France", "population", 68100000, "people"))
GOLD = asked("Melting point of gold?", fact("Gold", "melting point", 1064, "°C"))
RIVERS = asked("Which is longer, the Nile or the Amazon?", NILE_FACT, AMAZON_FACT, value="Nile")
HIGHER = asked("How much higher is K2 than Mont Blanc?", *K2.lookups, *BLANC.lookups, value=3805, unit="m")
PRODUCT = asked("what is 15 * 24", value=360)
QUOTIENT = asked("What is 360 / 7?", value=51.4285714286)
SHARE = asked("What is 15% of 80?", value=12)
CLOCK = asked("When it is 9:30 in London, what time is it in Tokyo?", value="18:30")
HAMLET = asked("Who wrote Hamlet?", value="I have no tool for that.")
CHURCH = Turn(
    question="Who was the architect of the Sagrada Familia?",
    answer="",
    lookups=(LookUp(name="Sagrada Familia", attribute="architect", tool="search", query="x"),),
)
ARCHITECT = asked("Who was its architect?", fact("Sagrada Familia", "architect", "Antoni Gaudí"))
TOWER = asked("Who built the Eiffel Tower?", fact("Eiffel Tower", "builder", "Gustave Eiffel's company"))
MERCURY = asked("What is the diameter of Mercury?", fact("Mercury", "diameter", 4879, "km"))
LAKE = asked("Where is Lake Baikal?", fact("Lake Baikal", "location", "Russia"))
BUILT = [
    asked("When was the Eiffel Tower built?", fact("Eiffel Tower", "completion year", 1889)),
    asked("and Big Ben?", fact("Big Ben", "completion year", 1859)),
]
RANKED = RIVERS.model_copy(
    update={
        "plan": RIVERS.plan + '\nc = rank(["Nile", "Amazon"], [a.value, b.value], "descending")\nanswer(c[0])'
    }
)
DENSITY = asked(
    "What is the population density of Italy?",
    fact("Italy", "population", 58900000, "people"),
    fact("Italy", "area", 301340, "km2"),
    value=195.46,
)

LONGEST = asked(
    "What's the longest river in Europe?", fact("Volga River", "length", 3531, "km"), value="Volga River"
)
HOTTEST = asked("what's the hottest planet", value="Venus")
SUMMER = asked("When it's noon in Chicago in July, what time is it in London?", value="18:00")
NEAREST = asked("which planet is nearest to the sun", value="Mercury")
MILES = asked("convert 5 miles to km", value=8.04672, unit="km")
MILE = asked("how many km in a mile?", value=1.609, unit="km")
DRIVE = asked("How long does it take to drive 450 km at 90 km/h?", value=5, unit="hours")
DATE = Turn(question="What date is 90 days after 1 March 2024?", answer="That was Thursday, 30 May 2024.")
ISLANDS = asked(
    "What are the areas of Sicily and Sardinia?",
    fact("Sicily", "area", 25711, "km2"),
    fact("Sardinia", "area", 24090, "km2"),
)
CORSICA = asked("What is the area of Corsica?", fact("Corsica", "area", 8680, "km2"))
AUSTRALIA = asked("capital of Australia?", fact("Australia", "capital", "Canberra"))
MISSISSIPPI = asked("What is the length of the Mississippi?", fact("Mississippi River", "length", 3766, "km"))
NILE = asked("How long is the Nile?", NILE_FACT)
ELEPHANT = asked("how heavy is an elephant", fact("African elephant", "weight", 6000, "kg"))
NO_CAPITAL = asked(
    "capital of Chimborazo?",
    LookUp(name="Chimborazo", attribute="capital", tool="search", query="capital of Chimborazo"),
)
LARGEST = asked("Which planet is the largest?", fact("Jupiter", "diameter", 139820, "km"), value="Jupiter")
LIMA = asked("What is the population of Lima?", fact("Lima", "population", 7737002, "people"))
CHEETAH = asked("top speed of a cheetah?", fact("cheetah", "top speed", 112, "km/h"))
MELTS = asked("At what temperature does gold melt?", fact("Gold", "melting point", 1064, "°C"))
PEAKS = asked(
    "name the three highest mountains",
    fact("Mount Everest", "height", 8849, "m"),
    fact("K2", "height", 8611, "m"),
    fact("Kangchenjunga", "height", 8586, "m"),
)
LANGUAGE = asked("What language do they speak in Brazil?", fact("Brazil", "official language", "Portuguese"))
DUBAI = asked("where is the burj khalifa", fact("Burj Khalifa", "city", "Dubai"))
DUBAI_BUILT = asked("when was it finished?", fact("Burj Khalifa", "completion year", 2010))
COUNTRY_OF_K2 = asked("in which country is the second one?", fact("K2", "country", "Pakistan"))
GERMANY = asked("And Germany?", fact("Germany", "population", 83500000, "people"))
IN_MPH = asked("112 km/h in mph", value=69.59, unit="mph")
GREENLAND = asked("How big is Greenland?", fact("Greenland", "area", 2166086, "km2"))
THIRTY = asked("the 30 highest mountains", *(fact(f"Peak {n}", "height", 9000 - n, "m") for n in range(30)))
COUNTED = "How many times the height of Eiffel Towers is the height of K2?"

IS_HIGHER = "Is the height of K2 greater than the height of"
IS_HEAVIER = "Is the weight of hippo greater than the weight of"
OLD = "How many years before {} was the completion year of Eiffel Tower?"
RATIO_OF_SECOND = "What is the ratio of the length of Mississippi River and the length of Nile?"
BOTH_CURRENCIES = "What are the currency of Peru and the currency of Bolivia?"
SHARE_OF_NILE = "What percentage of the length of Mississippi River is the length of Nile?"
EARLIER = "Is the completion year of Big Ben before the completion year of eiffel tower?"
LOWER = (
    "What is the melting point of Silver? "
    "Is the melting point of Silver smaller than the melting point of Gold?"
)
OUTRUN = "Is the top speed of cheetah greater than the top speed of ostrich?"
DIFFERENCE_IN_FEET = "What is the difference between the height of K2 and the height of Mont Blanc in feet?"
MORE_THAN_DENMARK = "Is the population of France greater than the population of Denmark?"
RATIO_OF_CANADA = "What is the ratio of the area of Canada and the area of Greenland?"
RATIO_OF_RIVERS = "What is the ratio of the length of Nile and the length of Mississippi River?"

REWRITTEN: list[tuple[list[Turn], str, str]] = [
    # Remarks around the question, and words as they are typed.
    ([K2], "Ooh nice, and where is it?", "What is the location of K2?"),
    ([K2], "That sounds high. And in which range is it?", "What is the mountain range of K2?"),
    ([FRANCE], "thx! n spain? my teacher asks both", "What is the population of Spain?"),
    ([FRANCE], "whats the captial?", "What is the capital of France?"),
    ([FRANCE], "how big is it, dear?", "What is the area of France?"),
    ([PERU], "wich language do the people speak there", "What is the official language of Peru?"),
    ([NILE], "what sea does it run into", "What is the mouth of Nile?"),
    ([NILE], "cool, whereabouts is that?", "What is the location of Nile?"),
    ([LAKE], "wich country it belongs to", "What is the country of Lake Baikal?"),
    ([LAKE], "how high up does that lake lie", "What is the height of Lake Baikal?"),
    ([PERU, BOLIVIA], "ok. And the currency of the first country?", "What is the currency of Peru?"),
    ([PERU], "oops I meant Chile", "What is the capital of Chile?"),
    ([PERU], "no i meant chile, sorry", "What is the capital of Chile?"),
    ([PERU, BOLIVIA], "and their currencies?", BOTH_CURRENCIES),
    ([PERU, BOLIVIA], "which of the two lies higher up?", "Which has the greater elevation, Lima or Sucre?"),
    ([PERU, BOLIVIA], "who has more people", "Which has the greater population, Lima or Sucre?"),
    ([GOLD], "is silver denser?", "Is the density of silver greater than the density of Gold?"),
    (
        [ELEPHANT],
        "what about a giraffe, heavier or lighter?",
        IS_HEAVIER.replace("hippo", "giraffe") + " African elephant?",
    ),
    (
        [NILE],
        "Is the Rhine longer or shorter than that?",
        "Is the length of Rhine greater than the length of Nile?",
    ),
    ([NILE, MISSISSIPPI], "so who wins", "Which has the greater length, Nile or Mississippi River?"),
    ([NILE, MISSISSIPPI], "what's the ratio of the second to the first", RATIO_OF_SECOND),
    (
        [NILE],
        "and how many times is longer than the Loire?",
        RATIO_OF_RIVERS.replace("Mississippi River", "Loire"),
    ),
    (
        [K2],
        "How much lower is Snowdon?",
        "What is the difference between the height of Snowdon and the height of K2?",
    ),
    ([SHARE], "and of 300?", "What is 15% of 300?"),
    ([NILE], "what would half of it be", "What is 6650 km / 2?"),
    ([PERU, LIMA], "and in the whole country?", "What is the population of Peru?"),
    ([PERU], "sorry, i wanted to ask the currency of it, not capital", "What is the currency of Peru?"),
    ([MISSISSIPPI, NILE], "What percentage of the first is the second?", SHARE_OF_NILE),
    (
        [NILE],
        "what share of the length of the Mississippi is that?",
        SHARE_OF_NILE.replace("Mississippi River", "Mississippi"),
    ),
    ([BUILT[1]], "was that before or after they finished the eiffel tower?", EARLIER),
    ([LARGEST], "Which one is the smallest?", "Which planet is the smallest?"),
    ([DATE], "And one hundred days after that?", "What date is one hundred days after 30 May 2024?"),
    # Ways and speeds.
    ([MILES], "if i run that in 4 hours whats my avg speed", "How many km/h are 4 hours with 8.04672 km?"),
    ([NILE], "how long would it take to swim it at 2 km/h?", "How many days are 2 km/h with 6650 km?"),
    (
        [MILES],
        "How many minutes would it take me to walk that at 5 km/h?",
        "How many minutes are 5 km/h with 8.04672 km?",
    ),
    (
        [CHEETAH],
        "how long would it need for 500 m at that speed",
        "How many seconds are 500 m with 112 km/h?",
    ),
    ([CHEETAH], "at this pace, 7 km takes how many minutes?", "How many minutes are 7 km with 112 km/h?"),
    ([MELTS], "and silver?", "What is the melting point of Silver?"),
    ([MELTS], "Silver too? Or is it lower?", LOWER),
    ([PEAKS], "in which country is the second one?", "What is the country of K2?"),
    ([PEAKS, COUNTRY_OF_K2], "and the third", "What is the country of Kangchenjunga?"),
    ([FRANCE, GERMANY], "Back to the first one - what's its capital?", "What is the capital of France?"),
    ([K2], "etna higher or lower?", "Is the height of etna greater than the height of K2?"),
    ([FRANCE], "Is that more than Denmark has?", MORE_THAN_DENMARK),
    (
        [MILES],
        "If I run it at 10 km/h, how long will that take me?",
        "How many minutes are 10 km/h with 8.04672 km?",
    ),
    (
        [CHEETAH],
        "How long time it would need for 1 km with this speed?",
        "How many seconds are 1 km with 112 km/h?",
    ),
    ([CHEETAH, IN_MPH], "same for a lion please", "What is the top speed of lion in mph?"),
    (
        [PERU, BOLIVIA],
        "back to the first city, how many people live there",
        "What is the population of Lima?",
    ),
    ([GOLD], "at what temp does it boil", "What is the boiling point of Gold?"),
    ([BUILT[0]], "and the brooklyn bridge one?", "What is the completion year of Brooklyn Bridge?"),
    ([CHEETAH], "cool, would it outrun an ostrich in a sprint?", OUTRUN),
    (
        [LANGUAGE],
        "Is it the same in Argentina?",
        "Is the official language of Argentina the same as of Brazil?",
    ),
    ([K2, BLANC], "What is the difference, in feet?", DIFFERENCE_IN_FEET),
    ([PRODUCT, QUOTIENT], "now take away the first result", "What is 51.4285714286 - 360?"),
    ([DUBAI, DUBAI_BUILT], "and how big is that city", "What is the area of Dubai?"),
    (
        [MERCURY],
        "how many earths would fit across it, side by side?",
        "How many times the diameter of earths is the diameter of Mercury?",
    ),
    ([GOLD], "and boiling", "What is the boiling point of Gold?"),
    ([MERCURY], "no go back to the Earth, how long is a day there", "What is the day length of Earth?"),
    ([MERCURY], "how long is a day there", "What is the day length of Mercury?"),
    ([MERCURY], "how long does it take to go round the sun", "What is the orbital period of Mercury?"),
    # Two questions in one.
    ([K2], "And Etna, how high is that one?", "What is the height of Etna?"),
    (
        [FRANCE],
        "And of Germany? Which is more big?",
        "What is the population of Germany? Which has the greater population, France or Germany?",
    ),
    (
        [GOLD],
        "and copper, and how much is the difference?",
        "What is the melting point of Copper? "
        "What is the difference between the melting point of Gold and the melting point of Copper?",
    ),
    (
        [AUSTRALIA],
        "I thought it was Sydney. Which of those two has more people?",
        "Which has the greater population, Canberra or Sydney?",
    ),
    (
        [AUSTRALIA],
        "Nine of ten say Sydney. But which of the two has more inhabitants?",
        "Which has the greater population, Canberra or Sydney?",
    ),
    # One of them is named.
    ([NILE], "which one is longer, that or the Rhine?", "Which has the greater length, Nile or Rhine?"),
    ([NILE], "is that or the Rhine longer", "Which has the greater length, Nile or Rhine?"),
    ([K2], "and is higher than Mont Blanc or no?", f"{IS_HIGHER} Mont Blanc?"),
    ([ELEPHANT], "is a hippo even fatter than that?", f"{IS_HEAVIER} African elephant?"),
    ([K2, ISLANDS], "And Corsica?", "What is the area of Corsica?"),
    (
        [ISLANDS, CORSICA],
        "Which is the smallest of the three?",
        "Which has the smallest area, Sicily, Sardinia or Corsica?",
    ),
    (
        [*BUILT],
        "how many years after Tower Bridge was that",
        "What is the difference between the completion year of Big Ben "
        "and the completion year of Tower Bridge?",
    ),
    (
        [AUSTRALIA],
        "huh i thought it was sydney. which of the two has more people?",
        "Which has the greater population, Canberra or Sydney?",
    ),
    (
        [NILE, MISSISSIPPI],
        "so which is longer and by how many km?",
        "Which has the greater length, Nile or Mississippi River, and by how much?",
    ),
    (
        [K2],
        "By how many metres does Everest beat it?",
        "What is the difference between the height of Everest and the height of K2 in metres?",
    ),
    ([GREENLAND], "how many times bigger is Canada?", RATIO_OF_CANADA),
    (
        [NILE, MISSISSIPPI],
        "both in miles, please",
        "What are the length of Nile and the length of Mississippi River in miles?",
    ),
    (
        [NILE, MISSISSIPPI],
        "if you laid them end to end, how far would they reach",
        "What is the sum of the length of Nile and the length of Mississippi River?",
    ),
    (
        [NILE, MISSISSIPPI],
        "avrage of those",
        "What is the average of the length of Nile and the length of Mississippi River?",
    ),
    (
        [MERCURY],
        "how many earths side by side wuold that be",
        "How many times the diameter of earths is the diameter of Mercury?",
    ),
    # Another number, another date.
    ([MILES], "and the other way round?", "5 km in miles"),
    ([MILES], "and other way round, 26 km", "26 km in miles"),
    ([MILE], "vice versa", "1 km in mile"),
    ([DATE], "and exactly a week before it, what date", "What date is 1 week before 30 May 2024?"),
    ([MILES], "and 12?", "convert 12 miles to km"),
    ([MILES], "i actually meant 85", "convert 85 miles to km"),
    ([MILES], "same w/ 145", "convert 145 miles to km"),
    ([MILES], "and if it said 400 instead?", "convert 400 miles to km"),
    ([DATE], "and ten days later?", "What date is ten days after 30 May 2024?"),
    ([DATE], "and one year later, what weekday would it be", "What date is one year after 30 May 2024?"),
    ([DATE], "day of the week?", "What day of the week is 30 May 2024?"),
    ([DATE], "2 weeks before that?", "What date is 2 weeks before 30 May 2024?"),
    ([DATE], "Which weekday is that?", "What day of the week is 30 May 2024?"),
    ([BUILT[0]], "so how old was it in 2000", OLD.format("2000")),
    ([BUILT[0]], "how old is it now?", OLD.format("now")),
    # Several steps, and a unit beside another question.
    ([PRODUCT], "multiply by 3 and add 2", "What is (360 * 3) + 2?"),
    ([PRODUCT], "divide by 1000, then times 0.85", "What is (360 / 1000) * 0.85?"),
    ([PRODUCT], "and square root of what's left?", "What is sqrt(360)?"),
    ([NILE], "a quarter of this is how many km", "What is 6650 km / 4?"),
    ([PRODUCT], "Half of that would be how many?", "What is 360 / 2?"),
    ([SHARE], "now take that away from the 80 again", "What is 80 - 12?"),
    ([NILE], "ok and the Mississippi, in miles too", "What is the length of Mississippi in miles?"),
    ([NILE, MISSISSIPPI], "the first one in miles please", "What is the length of Nile in miles?"),
    (
        [K2, BLANC],
        "what is the difference in feet",
        "What is the difference between the height of K2 and the height of Mont Blanc in feet?",
    ),
    ([NILE, MISSISSIPPI], "how many of the latter fit in the former", RATIO_OF_RIVERS),
    ([FRANCE], "What would that be per square kilometre?", "What is the population density of France?"),
    # Another thing, the same question.
    ([K2], "And Mont Blanc?", "What is the height of Mont Blanc?"),
    ([K2], "and Mont Blanc's?", "What is the height of Mont Blanc?"),
    ([K2], "Mont Blanc?", "What is the height of Mont Blanc?"),
    ([K2], "ok, and the Matterhorn", "What is the height of Matterhorn?"),
    ([K2], "how about everest", "What is the height of Everest?"),
    ([K2], "now the same for Everest", "What is the height of Everest?"),
    ([K2], "Same thing for Broad Peak please", "What is the height of Broad Peak?"),
    ([K2], "no, Lhotse", "What is the height of Lhotse?"),
    ([K2], "and the height of Everest?", "What is the height of Everest?"),
    ([GOLD], "sorry, I meant silver", "What is the melting point of Silver?"),
    ([PERU], "and that of Chile?", "What is the capital of Chile?"),
    ([FRANCE], "and in Italy?", "What is the population of Italy?"),
    ([FRANCE], "for spain?", "What is the population of Spain?"),
    ([DENSITY], "what about japan", "What is the population density of Japan?"),
    ([HIGHER], "than Etna?", "How much higher is K2 than Etna?"),
    ([SHARE], "and 20%?", "What is 20% of 80?"),
    ([CLOCK], "and in Sydney?", "When it is 9:30 in London, what time is it in Sydney?"),
    ([K2, BLANC], "the other one", "What is the height of K2?"),
    ([RIVERS], "and the other one?", "What is the length of Amazon River?"),
    ([RIVERS], "what about the second one?", "What is the length of Amazon River?"),
    # Another attribute, the same thing.
    ([K2], "where is it", "What is the location of K2?"),
    ([K2], "and its first ascent?", "What is the first ascent of K2?"),
    ([K2], "when was it first climbed?", "What is the first ascent of K2?"),
    ([K2], "what country is it in?", "What is the country of K2?"),
    ([K2], "which mountain range is it in?", "What is the mountain range of K2?"),
    ([FRANCE], "what about its capital", "What is the capital of France?"),
    ([FRANCE], "and the area?", "What is the area of France?"),
    ([FRANCE], "which languages are spoken there", "What is the official language of France?"),
    ([FRANCE], "and the population density?", "What is the population density of France?"),
    ([GOLD], "and when does it boil", "What is the boiling point of Gold?"),
    ([RIVERS], "how long is it?", "What is the length of Nile?"),
    ([RIVERS], "where does it flow into", "What is the mouth of Nile?"),
    (
        [CHURCH],
        "In which year did they start building it?",
        "What is the construction start of Sagrada Familia?",
    ),
    ([CHURCH], "where is it?", "What is the location of Sagrada Familia?"),
    # A name that was the answer may be what the pronoun means.
    ([PERU], "how many people live there?", "What is the population of Lima?"),
    ([PERU], "what currency do they use?", "What is the currency of Peru?"),
    ([PERU], "how big is that country?", "What is the area of Peru?"),
    ([K2], "what else do you know about it?", "What is known about K2?"),
    ([FRANCE], "per square km?", "What is the population density of France?"),
    ([TOWER], "and when?", "What is the completion year of Eiffel Tower?"),
    ([TOWER], "in which city is it?", "What is the city of Eiffel Tower?"),
    ([MERCURY], "the planet", "What is the diameter of Mercury (planet)?"),
    ([MERCURY], "sorry, I meant the element", "What is the diameter of Mercury (element)?"),
    ([LAKE], "what's the capital there?", "What is the capital of Russia?"),
    ([LAKE], "how big is it?", "What is the area of Lake Baikal?"),
    ([RIVERS], "the shorter one's mouth", "What is the mouth of Amazon River?"),
    ([K2, BLANC], "where is the lower one", "What is the location of Mont Blanc?"),
    (
        [GOLD, asked("and its symbol?", fact("Gold", "symbol", "Au"))],
        "its melting point in F",
        "What is the melting point of Gold in F?",
    ),
    # Over the last things.
    ([RANKED], "and the Danube?", "Which has the greatest length, Nile, Amazon River or Danube?"),
    (
        BUILT,
        "years between them?",
        "What is the difference between the completion year of Eiffel Tower and "
        "the completion year of Big Ben?",
    ),
    ([K2, BLANC], "Which of the two is higher?", "Which has the greater height, K2 or Mont Blanc?"),
    ([K2, BLANC], "who is taller", "Which has the greater height, K2 or Mont Blanc?"),
    ([K2, BLANC], "which one is lower?", "Which has the smaller height, K2 or Mont Blanc?"),
    ([K2, BLANC], "is it higher than that?", "Is the height of Mont Blanc greater than the height of K2?"),
    (
        [K2, BLANC, ETNA],
        "which is the highest?",
        "Which has the greatest height, K2, Mont Blanc or Mount Etna?",
    ),
    (
        [K2, BLANC],
        "so whats the difference",
        "What is the difference between the height of K2 and the height of Mont Blanc?",
    ),
    (
        [RIVERS],
        "by how much?",
        "What is the difference between the length of Nile and the length of Amazon River?",
    ),
    (
        [K2],
        "how much higher is it than Mont Blanc?",
        "What is the difference between the height of K2 and the height of Mont Blanc?",
    ),
    ([K2, BLANC], "and together?", "What is the sum of the height of K2 and the height of Mont Blanc?"),
    ([K2, BLANC], "on average?", "What is the average of the height of K2 and the height of Mont Blanc?"),
    ([K2, BLANC], "how many times", "What is the ratio of the height of K2 and the height of Mont Blanc?"),
    (
        [PERU, BOLIVIA],
        "which of those two countries is bigger?",
        "Which has the greater area, Peru or Bolivia?",
    ),
    ([PERU, BOLIVIA], "and by population?", "Which has the greater population, Peru or Bolivia?"),
    ([K2], "Is Etna higher than that?", "Is the height of Etna greater than the height of K2?"),
    ([K2], "is it lower than Everest?", "Is the height of K2 smaller than the height of Everest?"),
    # On the last value.
    ([K2], "and in feet?", "8611 m in feet"),
    ([K2], "how much is that in miles", "8611 m in miles"),
    ([K2], "how many yards is that?", "8611 m in yards"),
    ([K2], "convert it to feet please", "8611 m in feet"),
    ([GOLD], "in fahrenheit?", "1064 °C in fahrenheit"),
    ([K2], "is that more than 5 miles?", "Is 8611 m more than 5 miles?"),
    ([K2], "double that", "What is 8611 m * 2?"),
    ([K2], "half of it", "What is 8611 m / 2?"),
    ([K2], "plus 10", "What is 8611 m + 10?"),
    ([PRODUCT], "now divide that by 7", "What is 360 / 7?"),
    ([PRODUCT], "times three", "What is 360 * 3?"),
    ([PRODUCT], "add 1,000", "What is 360 + 1000?"),
    ([PRODUCT], "what is 20% of that?", "What is 360 * 20 / 100?"),
    ([PRODUCT], "what do I get if I take 12 from that", "What is 360 - 12?"),
    ([PRODUCT], "square root of that", "What is sqrt(360)?"),
    ([QUOTIENT], "round it up to a whole number", "What is ceil(51.4285714286)?"),
    ([K2, PRODUCT], "where is it?", "What is the location of K2?"),
    # On the last numbers that were calculated.
    ([SHARE, PRODUCT], "add the two", "What is 12 + 360?"),
    ([SHARE, PRODUCT], "sum of the two?", "What is 12 + 360?"),
    ([SHARE, PRODUCT], "add those numbers together", "What is 12 + 360?"),
    ([SHARE, PRODUCT], "the difference?", "What is abs(12 - 360)?"),
    # Politely.
    ([GOLD], "can I have that in Fahrenheit pls", "1064 °C in Fahrenheit"),
    ([K2], "I'd prefer that in feet", "8611 m in feet"),
    ([K2], "could we get it in feet?", "8611 m in feet"),
    # The last value in other things, or counted back from today.
    ([K2], "so how many Eiffel Towers is that?", COUNTED),
    ([K2], "thats how many Eiffel Towers?", COUNTED),
    ([K2], "how many Eiffel Towers would that be?", COUNTED),
    ([BUILT[0]], "How many years ago was that?", "How many years ago was the year 1889?"),
    ([BUILT[0]], "how long ago was that?", "How many years ago was the year 1889?"),
    ([FRANCE], "how many people is that per square kilometre?", "What is the population density of France?"),
    ([MERCURY], "how many moons has it got", "What is the moons of Mercury?"),
    ([BUILT[0]], "when did they finish it?", "What is the completion year of Eiffel Tower?"),
    # Another place in a ranking, or another ranking.
    ([LONGEST], "and the second longest?", "What's the second longest river in Europe?"),
    ([LONGEST], "what's the third?", "What's the third longest river in Europe?"),
    ([LONGEST], "the next one?", "What's the second longest river in Europe?"),
    ([LONGEST], "Who is number three on that list?", "What's the third longest river in Europe?"),
    ([LONGEST], "and the shortest?", "What's the shortest river in Europe?"),
    ([LONGEST], "and in Africa?", "What's the longest river in Africa?"),
    ([HOTTEST], "ok and the biggest", "what's the biggest planet"),
    ([K2, BLANC], "and the highest?", "Which has the greater height, K2 or Mont Blanc?"),
    ([SUMMER], "and in January?", "When it's noon in Chicago in January, what time is it in London?"),
]

LEFT_ALONE: list[tuple[list[Turn], str]] = [
    *(
        (turns, question)
        for turns in ([], [K2])
        for question in (
            "How much taller is K2 than Mont Blanc?",
            "How much deeper is Lake Baikal than Lake Tanganyika?",
            "how much longer is the Nile than the Amazon",
            "How many times as high is Denali as Ben Nevis?",
            "How many more people does Norway have than Iceland?",
            "With its maximum depth, does the Arabian Sea get in under 4500 m?",
            "Picture that 92% had to go from a sailfish's lifespan, I'd like its lifespan",
            "How large is the distance in population that separates Sanaa from Kathmandu?",
            "Of the two numbers the length of the Lena River and that of the Oder, I want the bigger",
        )
    ),
    ([K2], "thanks"),
    ([K2], "that's great, thanks!"),
    ([K2], "hello"),
    ([K2], "What is the height of Etna?"),
    ([K2], "and what is the population of Italy?"),
    ([K2], "What time is it in Tokyo?"),
    ([K2], "how high is Etna and where is it?"),
    ([K2], "What is the capital of France and how many people live there?"),
    ([K2], "Tell me the height of Everest in feet"),
    ([K2], "Who discovered America?"),
    ([K2], "K2's height"),
    ([K2], "height of Everest?"),
    ([K2, BLANC], "Which is longer, the Nile or the Amazon?"),
    ([K2, BLANC], "which mountain is the highest?"),
    ([K2], "is it raining in Paris"),
    ([PRODUCT], "what is 3+4?"),
    ([PRODUCT], "What is 12 * (3 + 4)?"),
    ([FRANCE], "Which other countries speak French?"),
    ([], "How high is K2?"),
    ([], "Paris?"),
    ([], "What's the highest mountain?"),
    ([], ""),
]

UNRESOLVED: list[tuple[list[Turn], str]] = [
    ([], "And Ben?"),
    ([], "double that"),
    ([], "which of the two is higher?"),
    ([], "how high is it?"),
    ([K2, BLANC], "what is the difference in kilograms"),
    ([K2], "the total in feet?"),
    ([K2], "and?"),
    ([K2], "which one is higher?"),
    ([K2], "in dollars?"),
    ([K2], "and in kilograms?"),
    ([K2], "multiply by 3 and then some"),
    ([K2], "and in the country next to it that has Lima as its capital?"),
    ([DRIVE], "and 100 instead?"),
    ([K2], "ten days later?"),
    ([K2], "and the other way round?"),
    ([K2], "both in feet"),
    ([THIRTY], "add them up"),
    ([THIRTY], "which is the lowest?"),
    ([THIRTY], "both in feet"),
    ([K2], "how many years after the Brooklyn Bridge was that"),
    ([K2, BLANC], "which is higher, and by how many kilograms?"),
    ([NO_CAPITAL], "How many times would France fit into it?"),
    ([K2], "how long would that take at 5 kg?"),
    ([FRANCE], "how long would it take to walk that at 5 km/h?"),
    ([K2], "what percentage of the first is the second?"),
    ([K2], "in the whole country?"),
    ([K2], "forgot the north part"),
    ([NO_CAPITAL], "how high does that city lie"),
    ([K2], "and the second highest?"),
    ([K2, BLANC], "which one is longer?"),
    ([PERU], "double it"),
    ([ARCHITECT], "when was he born?"),
    ([ARCHITECT], "how tall was he?"),
    ([K2], "and when?"),
    ([HIGHER], "and Etna?"),
    ([K2, HAMLET], "where is it?"),
    ([K2, HAMLET], "and Macbeth?"),
    ([K2], "and the biggest?"),
    ([K2], "and the third?"),
    ([K2], "how many years ago was that?"),
    ([GOLD], "how many Eiffel Towers is that?"),
    ([K2], "and in January?"),
    ([NEAREST], "and the biggest?"),
]


LOOKED_UP: list[tuple[list[Turn], str, str]] = [
    ([K2], "who climbed it first?", "who climbed K2 first?"),
    ([K2], "when did its glacier melt", "when did K2's glacier melt?"),
    ([K2], "How long is the longest river there?", "How long is the longest river in K2?"),
    ([CHURCH], "when did they restore it?", "when did they restore Sagrada Familia?"),
    ([FRANCE], "and its mayor?", "What is the mayor of France?"),
]


@pytest.mark.parametrize(("turns", "question", "expected"), REWRITTEN, ids=[row[1] for row in REWRITTEN])
def test_a_follow_up_becomes_a_question_that_stands_by_itself(
    turns: list[Turn], question: str, expected: str
) -> None:
    found = rewrite(question, turns)
    assert isinstance(found, StandaloneQuestion), found
    assert found.question == expected
    assert found.reason
    assert not isinstance(rewrite(found.question, turns), Unresolved)


@pytest.mark.parametrize(("turns", "question", "expected"), LOOKED_UP, ids=[row[1] for row in LOOKED_UP])
def test_what_is_asked_in_words_of_its_own_is_left_to_a_look_up(
    turns: list[Turn], question: str, expected: str
) -> None:
    found = rewrite(question, turns)
    assert isinstance(found, StandaloneQuestion), found
    assert (found.question, found.plan) == (expected, "")
    assert "stands by itself" in found.otherwise


@pytest.mark.parametrize(("turns", "question"), LEFT_ALONE, ids=[row[1] for row in LEFT_ALONE])
def test_a_question_that_stands_by_itself_is_left_alone(turns: list[Turn], question: str) -> None:
    assert rewrite(question, turns) is None


@pytest.mark.parametrize(("turns", "question"), UNRESOLVED, ids=[row[1] for row in UNRESOLVED])
def test_what_cannot_be_told_is_said_and_not_guessed(turns: list[Turn], question: str) -> None:
    found = rewrite(question, turns)
    assert isinstance(found, Unresolved), found
    assert "stands by itself" in found.reason


@pytest.mark.parametrize("question", ["why?", "are you sure?", "source?", "Where did you get that from?"])
def test_a_doubt_gets_what_the_answer_rests_on(question: str) -> None:
    sourced = K2.lookups[0].model_copy(update={"source": "Survey of Pakistan, 2014"})
    found = rewrite(question, [asked("How high is K2?", sourced)])
    assert isinstance(found, Stated)
    assert "height of K2: 8611 m" in found.text and "Survey of Pakistan, 2014" in found.text
    looked_up = rewrite(question, [K2])
    assert isinstance(looked_up, Stated) and "search" in looked_up.text


def test_a_rewritten_question_has_the_plan_of_the_last_turn() -> None:
    found = rewrite("And Mont Blanc?", [K2])
    assert isinstance(found, StandaloneQuestion)
    assert found.plan == 'a = search("height of Mont Blanc")\nanswer(a)\n'


def test_plans_are_valid() -> None:
    specs = [each.spec for each in builtin_tools("search", "calculate", "rank", "now")]
    for turns, question, _ in REWRITTEN:
        found = rewrite(question, turns)
        assert isinstance(found, StandaloneQuestion)
        nodes, errors = compile_plan(found.plan, specs)
        assert not errors, (question, errors)
        assert bool(nodes) == bool(found.plan)


def test_names_cannot_break_out_of_the_plan() -> None:
    found = rewrite('And "x")\nanswer("y?', [K2])
    if isinstance(found, StandaloneQuestion):
        assert len([*parse_plan(found.plan)]) == 2


def test_long_and_odd_questions_are_read_quickly() -> None:
    for odd in ("and " * 5000, "which of the " * 800, "it " * 5000, "\u202e\ud800 and it", "5" * 20000):
        rewrite(odd, [K2, BLANC])


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("isnt it istanbul??", "No"),
        ("Isn't it Lima?", "Yes"),
        ("not Cusco?", "No"),
        ("I thought it was lima", "Yes"),
    ],
)
def test_a_guess_at_the_last_answer_is_told_whether_it_is_that(question: str, word: str) -> None:
    found = rewrite(question, [PERU])
    assert found == Stated(text=f"{word}: the capital of Peru is Lima.")


def test_names_stay_as_they_are_typed() -> None:
    for name in ("U", "niger", "mauritius", "eight", "later", "Peopel"):
        assert mended(name) == name
    assert mended("avrage lenght of wich rivers, and hieght") == "average length of which rivers, and height"


@pytest.mark.parametrize(
    ("question", "bare"),
    [
        ("Hi! My son has a project. Could you tell me how long the Danube is?", "how long is the Danube?"),
        ("Would you be so kind as to tell me which lake is the deepest?", "which lake is the deepest?"),
        ("do you know how many people live in Peru", "how many people live in Peru?"),
        ("I was just wondering. Is Canada bigger than Peru?", "Is Canada bigger than Peru?"),
        ("How high is K2? My teacher wants to know.", "How high is K2?"),
        ("wich is the highest mountain?", "which is the highest mountain?"),
    ],
)
def test_politeness_and_remarks_are_left_out(question: str, bare: str) -> None:
    assert bare_question(question) == bare


@pytest.mark.parametrize(
    "question",
    [
        "How high is K2?",
        "Who is Dr. No?",
        "St. Moritz is where?",
        "I love cheetahs. How fast are they?",
        "I have three apples. How many are left?",
        "A train goes 80 km in an hour. How far does it go in 3 hours?",
        "My friend lives in Oslo. How many people live there?",
        "can you tell me the height of K2?",
        "hello",
        "?",
    ],
)
def test_what_says_something_stays(question: str) -> None:
    assert bare_question(question) == question


@pytest.mark.parametrize(
    ("turns", "question", "formula"),
    [
        ([GOLD], "and silver? What is the difference in fahrenheit?", "* 1 / 0.5555555555555556"),
        ([K2], "By how many feet does Everest beat it?", "{z} * 1 / 0.3048"),
        ([K2, BLANC], "which is higher and by how many feet?", "(abs({a.value} - {b.value})) * 1 / 0.3048"),
    ],
)
def test_a_difference_in_another_unit_is_a_difference(turns: list[Turn], question: str, formula: str) -> None:
    found = rewrite(question, turns)
    assert isinstance(found, StandaloneQuestion) and formula in found.plan, found
