"""Twenty realistic plans for `prompt_sharing.py`: a question, and a plan that looks things up and thinks.

Written by hand in the shape that chat models give such plans. Look-ups fan out. `think` reads some of the
results. Sometimes several thoughts stand side by side, sometimes one rests on others.
"""

from __future__ import annotations

PLANS: list[tuple[str, str]] = [
    (
        "Which of Everest, K2 and Denali would be the safest first expedition for a fit beginner?",
        """
a = search("height of Mount Everest")
b = search("height of K2")
c = search("height of Denali")
risk = think("Compare the dangers of these mountains for a beginner.", given=[a, b, c])
cost = think("Compare the effort and cost of expeditions to these mountains.", given=[a, b, c])
pick = think("Which one mountain suits a fit beginner best?", given=[risk, cost], method="self_consistency", n=5)
answer(pick)
""",
    ),
    (
        "Is Lake Baikal deep enough to hide the Burj Khalifa, and what does that say about the lake?",
        """
depth = search("depth of Lake Baikal")
tower = search("height of Burj Khalifa")
rest = calculate(f"{depth.value} - {tower.value}")
why = think("Why is this lake so deep?", given=[depth])
answer(rest, why)
""",
    ),
    (
        "Rank France, Italy and Spain by population density and explain the order.",
        """
pops = [search(f"population of {c}") for c in ["France", "Italy", "Spain"]]
areas = [search(f"area of {c}") for c in ["France", "Italy", "Spain"]]
f = calculate(f"{pops[0].value} / {areas[0].value}")
i = calculate(f"{pops[1].value} / {areas[1].value}")
s = calculate(f"{pops[2].value} / {areas[2].value}")
order = rank(["France", "Italy", "Spain"], [f, i, s])
why = think("Explain this order of population densities.", given=[order, f, i, s])
answer(order, why)
""",
    ),
    (
        "Could a cheetah, a greyhound or an ostrich win a 5 km race?",
        """
speeds = [search(f"top speed of {x}") for x in ["cheetah", "greyhound", "ostrich"]]
cheetah = think("How long can a cheetah keep its top speed?", given=[speeds[0]], n=4)
greyhound = think("How long can a greyhound keep its top speed?", given=[speeds[1]], n=4)
ostrich = think("How long can an ostrich keep its top speed?", given=[speeds[2]], n=4)
winner = think("Who wins over 5 km?", given=[cheetah, greyhound, ostrich], n=8)
answer(winner)
""",
    ),
    (
        "What would change for shipping if the Nile were as short as the Rhine?",
        """
nile = search("length of Nile")
rhine = search("length of Rhine")
lost = calculate(f"{nile.value} - {rhine.value}")
effect = think("What would change for shipping?", given=[nile, rhine, lost])
answer(effect)
""",
    ),
    (
        "Write three slogans for a bridge that is longer than the Golden Gate Bridge and pick the best.",
        """
bridge = search("length of Golden Gate Bridge")
one = think("Write a slogan that is proud.", given=[bridge])
two = think("Write a slogan that is funny.", given=[bridge])
three = think("Write a slogan that is short.", given=[bridge])
best = think("Pick the best slogan and say why.", given=[one, two, three])
answer(best)
""",
    ),
    (
        "Is 2027 a prime number, and is the sum of its digits one?",
        """
prime = think("Is 2027 prime?", method="self_consistency", n=8)
digits = calculate("2 + 0 + 2 + 7")
sums = think("Is this number prime?", given=[digits], n=4)
answer(prime, sums)
""",
    ),
    (
        "Which capital is bigger, that of Peru or that of Chile, and why did it grow so much?",
        """
peru = search("capital of Peru")
chile = search("capital of Chile")
p = search(f"population of {peru.value}")
c = search(f"population of {chile.value}")
order = rank([peru, chile], [p, c])
why = think("Why did the bigger of these two grow so much?", given=[order, p, c])
answer(order[0], why)
""",
    ),
    (
        "Plan a day trip: is the Eiffel Tower or the Tokyo Skytree the better place for a picture at noon?",
        """
eiffel = search("height of Eiffel Tower")
skytree = search("height of Tokyo Skytree")
light = think("Where does noon light fall well on a tower?", n=3)
view = think("Which tower gives the wider view?", given=[eiffel, skytree])
choice = think("Choose a place.", given=[light, view])
answer(choice)
""",
    ),
    (
        "How many times does Australia fit into Asia, and is that more than most people guess?",
        """
aus = search("area of Australia")
russia = search("area of Russia")
times = calculate(f"{russia.value} / {aus.value}")
guess = think("What do most people guess?", given=[times], n=6)
answer(times, guess)
""",
    ),
    (
        "Compare the Sahara and the Gobi as places for a solar plant.",
        """
sahara = search("area of Sahara")
gobi = search("area of Gobi Desert")
sun = think("Compare the sunshine.", given=[sahara, gobi])
grid = think("Compare the distance to cities that need power.", given=[sahara, gobi])
dust = think("Compare dust and cold.", given=[sahara, gobi])
verdict = think("Which is better for a solar plant?", given=[sun, grid, dust], n=5)
answer(verdict)
""",
    ),
    (
        "Does the Mariana Trench fit Mount Everest, and how much water would be above the summit?",
        """
trench = search("depth of Mariana Trench")
everest = search("height of Mount Everest")
above = calculate(f"{trench.value} - {everest.value}")
picture = think("Describe this in one vivid sentence.", given=[above])
answer(above, picture)
""",
    ),
    (
        "Which of the five longest rivers is most at risk from drought?",
        """
lengths = [search(f"length of {r}") for r in ["Nile", "Amazon River", "Yangtze River", "Mississippi River", "Yenisei"]]
nile = think("How is this river affected by drought?", given=[lengths[0]])
amazon = think("How is this river affected by drought?", given=[lengths[1]])
yangtze = think("How is this river affected by drought?", given=[lengths[2]])
mississippi = think("How is this river affected by drought?", given=[lengths[3]])
yenisei = think("How is this river affected by drought?", given=[lengths[4]])
worst = think("Which is most at risk?", given=[nile, amazon, yangtze, mississippi, yenisei], n=5)
answer(worst)
""",
    ),
    (
        "Solve: a train leaves at 9 with 80 km/h, another at 10 with 120 km/h. When do they meet?",
        """
algebra = think("Solve by an equation.", n=4)
steps = think("Solve by a table, hour by hour.", n=4)
final = think("Do the two ways agree? Give the time.", given=[algebra, steps])
answer(final)
""",
    ),
    (
        "Is Jupiter's diameter more than ten times Earth's, and what follows for its gravity?",
        """
j = search("diameter of Jupiter")
e = search("diameter of Earth")
ratio = calculate(f"{j.value} / {e.value}")
if ratio > 10:
    more = think("Explain what this ratio means for the surface gravity.", given=[ratio])
else:
    more = think("Explain why gravity is not only a matter of size.", given=[ratio])
answer(ratio, more)
""",
    ),
    (
        "Judge which explanation of why the sky is blue a child would understand.",
        """
one = think("Explain why the sky is blue, with marbles.")
two = think("Explain why the sky is blue, with waves.")
three = think("Explain why the sky is blue, with a torch and milk.")
four = think("Explain why the sky is blue, with a story.")
best = think("Which would a child of six understand best?", given=[one, two, three, four], n=5)
answer(best)
""",
    ),
    (
        "How much heavier is a blue whale than an African elephant, and how would you show it to a class?",
        """
whale = search("weight of blue whale")
elephant = search("weight of African elephant")
times = calculate(f"{whale.value} / {elephant.value}")
idea = think("Invent a way to show this to a class.", given=[times])
check = think("Would this idea work with 25 children?", given=[idea])
answer(times, idea, check)
""",
    ),
    (
        "Decide whether Greenland or Iceland suits a data centre.",
        """
g = search("area of Greenland")
i = search("area of Iceland")
power = think("Compare the supply of power.", given=[g, i])
cables = think("Compare sea cables.", given=[g, i])
people = think("Compare who could work there.", given=[g, i])
verdict = think("Decide.", given=[power, cables, people])
answer(verdict)
""",
    ),
    (
        "Which is the odd one out among gold, iron, mercury and helium?",
        """
points = [search(f"melting point of {x}") for x in ["gold", "iron", "mercury", "helium"]]
state = think("Which is the odd one out by state of matter?", given=[points])
use = think("Which is the odd one out by use?", given=[points])
odd = think("Name one odd one out.", given=[state, use], n=7)
answer(odd)
""",
    ),
    (
        "What is the date in 100 days, and is it a good day for a launch?",
        """
today = now()
later = python(f"import datetime; print(datetime.date.fromisoformat('{today.date}') + datetime.timedelta(days=100))")
season = think("What season is it then in the north?", given=[later])
risk = think("What could go wrong with a launch on that day?", given=[later])
good = think("Is it a good day for a launch?", given=[season, risk], n=3)
answer(later, good)
""",
    ),
]
