"""Open-ended questions. They end in something that no tool does but a model can.

Explain, advise, compare in words, write, summarise.
"""

from __future__ import annotations

import random

from braid.training.questions.families import Draft
from braid.training.questions.program import Builder
from braid.training.questions.template import Choice, listed, plural
from braid.training.questions.world import World

_AFTER = (
    "explain [why they differ|what this means|the difference|the reason]",
    "[write|give me] a [short|brief|one-line] [summary|comparison|comment|note]",
    "[tell me|say] which one [you would choose|is more interesting|I should visit|is more impressive|you prefer]",
    "[describe|put into words] [how they compare|what stands out|the main difference]",
    "[give me|write] [some|your] advice",
    "[judge|decide|say] whether that is [a lot|much|remarkable|surprising|typical|realistic]",
    "[put this|put that|set that] into perspective",
    "[make|suggest] a [plan|title|slogan|headline]",
    "[say|explain] what [follows from this|we can learn from it|that tells us]",
    "[write|compose] a [limerick|poem|caption|tweet|riddle] about [it|them|this]",
)
_ALONE = (
    "[write|compose|make up] a [poem|story|limerick|song|joke|riddle|letter|speech] about {x}",
    "[why|how come] is {x} so [famous|popular|loved|special|important]",
    "[explain|describe] [what {x} is known for|why people like {x}|the importance of {x}|the charm of {x}]",
    "[summarize|summarise|sum up] what people say about {x}",
    "[suggest|think of|invent] a [title|nickname|motto|slogan|name] for {x}",
    "what do you think [of|about] {x}",
    "[should I|is it worth it to|would you] [visit|see|buy|study] {x}",
    "[give me|list] [pros and cons|some reasons for and against|an argument for|ideas for a trip to] {x}",
    "[imagine|describe] a day [in|with|at] {x}",
    "what would you [say|tell|write|recommend] to [someone|a child|a friend] about {x}",
)


def draw_thought(c: Choice, w: World) -> Draft:
    """Facts and then a thought about them, or a thought alone. It repeats the question's own words."""
    rng = c.rng
    b = Builder()
    attribute, things = w.comparable(rng, rng.choices((1, 2, 3), (3, 4, 1))[0])
    if rng.random() < 0.35:
        thing = things[0]
        text = c.fill(rng.choice(_ALONE), x=thing.text(rng))
        b.answer(b.think(text))
        question = (
            rng.choice(("", "", "please ", "can you ", "could you ")) + text
            if not text.startswith(("why", "how", "what", "should", "is", "would"))
            else text
        )
        return Draft(_ended(rng, question), b, [thing], "", verbatim=(text,), copied=False)
    noun = rng.choice(attribute.words)
    text = c.fill(rng.choice(_AFTER))
    names = listed([t.text(rng) for t in things])
    many = plural(noun) if len(things) > 1 else noun
    question = c.frame(
        "[look up|find|get|check|find out] the {n} of {x}[, then| and then| and|. Then] {t}",
        "what [is|are] the {n} of {x}? {u}",
        "[given|based on|considering|with] the {n} of {x}, {t}",
        "[take|use|compare] the {n} of {x}[ and|, then] {t}",
        "{t} [based on|given|using|after looking up|from] the {n} of {x}",
        n=many if rng.random() < 0.6 else noun,
        x=names,
        t=text,
        u=text[:1].upper() + text[1:],
    )
    if text not in question:
        text = text[:1].upper() + text[1:]
    refs = [b.look(attribute.noun, t.name) for t in things]
    b.answer(b.think(text, *refs))
    return Draft(_ended(rng, question), b, things, "", verbatim=(text,))


def _ended(rng: random.Random, question: str) -> str:
    asks = question.startswith(("why", "how", "what", "should", "is", "would", "can", "could"))
    return question + ("?" if asks and rng.random() < 0.85 else rng.choice((".", ".", "")))
