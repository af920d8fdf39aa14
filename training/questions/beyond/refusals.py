"""What no tool does, with the reason named, and small talk that needs no tool."""

from __future__ import annotations

from braid.training.questions.beyond.common import Wording
from braid.training.questions.families import Draft
from braid.training.questions.program import Builder
from braid.training.questions.template import Choice, phrases
from braid.training.questions.world import World

_REFUSED: tuple[tuple[str, str], ...] = (
    ("[what will the weather be|how will the weather be|will it rain|will it snow] in {x} {d}", "tell the weather {d}"),
    ("[weather forecast|forecast] for {x} [for|] {d}".replace("[for|]", "for"), "forecast the weather"),
    ("[send|write] [an e-mail|a message|a text] to {p} [saying|that says] [hello|I am late|thanks]", "send messages"),
    ("[e-mail|message|text] {p} [that I am late|the answer|about {x}]", "send messages"),
    ("[call|phone|ring] {p} [for me|now|]", "make phone calls"),
    ("[book|reserve] [a flight|a train ticket|two seats] to {x} [for {d}|]", "book tickets"),
    ("[book|reserve|get] [a table|a room|a hotel] in {x} [for {d}|]", "make reservations"),
    ("[order|buy|get] me some {i}", "order things"),
    ("[play|put on] [some music|a song|the radio|some jazz]", "play music"),
    ("[turn|switch] [on|off] the [lights|heating|TV|alarm] [in the kitchen|at home|]", "control devices"),
    ("[open|close|lock] the [door|window|garage]", "control devices"),
    ("[set|put] [an alarm|a timer] for {t}", "set alarms"),
    ("remind me [to call {p}|to buy {i}|of this] {d}", "set reminders"),
    ("[draw|paint|sketch] [a picture|a portrait] of {x}", "draw pictures"),
    ("[show|send] me [a photo|pictures|a video] of {x}", "show pictures"),
    ("[who|which team] will win [the match {d}|the next election|the next world cup]", "see into the future"),
    ("[what will the lottery numbers be|give me the lottery numbers for] {d}", "see into the future"),
    ("how many people will live in {x} in [2050|2060|2100|2075]", "see into the future"),
    ("what will the [price|population|area] of {x} be [next year|in ten years|in 2080]", "see into the future"),
    ("[what is|what's] my [name|age|address|phone number|password|birthday|blood type|salary]", "know things about you"),
    ("[how old am I|where do I live|where did I leave my keys|what did I eat yesterday|who is my boss]", "know things about you"),
    ("[what is|what's] the [phone number|address|e-mail address] of {p}", "look up personal data"),
    ("[where is|what is] {p} [doing|] right now".replace("[where is|what is] {p} [doing|]", "[where is {p}|what is {p} doing]"), "see where people are"),
    ("[what is|what's] on my calendar {d}", "read your calendar"),
    ("[do I have|read me] [any new|my] [e-mails|messages]", "read your messages"),
    ("[delete|rename|move|upload] the [file|folder] {f}", "change files"),
    ("[print|scan|sign] [the contract|my letter|this page]", "handle paper"),
    ("[pay|transfer|send] {n} [euros|dollars] to {p}", "move money"),
    ("[what is|how high is] the [share price|stock price] of {x} [today|now|right now]", "read stock prices"),
    ("[what's the news|any news] [from|about] {x} [today|]", "read the news"),
    ("who won [the match|the game|the race] [last night|yesterday|today]", "read the news"),
    ("[which|what] [is the nicest|is the most beautiful|tastes better]: {x} or {y}", "judge matters of taste"),
    ("[wash|clean|repaint|feed|walk] [my|the] [car|dog|kitchen|bike]", "do chores"),
    ("[make|cook|prepare] [me|us] some {i}", "cook"),
    ("are the shops in {x} open [today|now|{d}]", "see opening hours"),
    ("how [much traffic|long is the traffic jam] is there [in|around] {x} [now|]".replace("how [much traffic|long is the traffic jam] is there", "how much traffic is there"), "see the traffic"),
    ("[what do I weigh|how tall am I|how many steps did I walk today]", "measure you"),
    ("[translate|say] this letter [into|in] [French|German|Latin]", "translate texts"),
    ("[post|tweet|publish] [this|my photo|a photo of {x}] online".replace("a photo of {x}", "my video"), "post things online"),
    ("[stop|cancel|renew] my [subscription|order|passport|insurance]", "act on your contracts"),
)  # fmt: skip
_REASONS = (
    "I have no tool that can {r}.",
    "I have no tool that can {r}.",
    "I have no tool that can {r}.",
    "None of my tools can {r}.",
    "No tool here can {r}.",
)
_HELD = (
    "[go|head] to {x} for me [and take notes|]",
    "[guess|foretell] what {p} is thinking",
    "[water|prune] the [roses|hedge]",
    "[knit|sew] [a scarf|a dress] for {p}",
)
_REASONS_OF_HELD = ("travel", "read minds", "garden", "sew")
_GOODS = phrases(
    "pizza|sandwich|salad|coffee|soup|cake|tea|bread|pasta|flowers|batteries|noodles|umbrella|shirt"
)
_DAYS = phrases("tomorrow|on Monday|next week|on Friday|next weekend|tonight|on Sunday")
_NAMES = phrases("Anna|my boss|Tom|my mother|Mr Lopez|my sister|Priya|the bank|Farid|Emma|my landlord|Ben")

REFUSED_WORDS = (
    "weather", "mail", "message", "book", "order", "play", "music", "alarm", "draw", "chart", "picture", "share",
    "stock", "news", "headline", "calendar", "appointment", "file", "translate", "song", "direction", "route",
    "send", "write", "summar", "remind", "currenc", "phone", "python", "sql", "database",
)  # fmt: skip
"""Words in descriptions of tools that may do what a question here asks for."""


def refused(c: Choice, w: World, rank: bool) -> Draft:
    """Something that no tool does, declined with the reason."""
    rng = c.rng
    _, (thing, other) = w.comparable(rng, 2)
    index = rng.randrange(len(_REFUSED))
    pattern, reason = _REFUSED[index]
    pattern = c.pick(pattern, held=_HELD)
    if pattern in _HELD:
        reason = _REASONS_OF_HELD[_HELD.index(pattern)]
    slots = {
        "x": thing.text(rng),
        "y": other.text(rng),
        "p": rng.choice(_NAMES),
        "d": rng.choice(_DAYS),
        "i": rng.choice(_GOODS),
        "t": f"{rng.randint(5, 11)}:{rng.choice(('00', '15', '30'))}",
        "n": str(rng.choice((20, 50, 100, 250))),
        "f": rng.choice(("notes.txt", "report", "photos", "draft.md")),
    }
    text = c.fill(pattern, **slots)
    reason = c.fill(reason, **slots)
    asks = text.startswith(("what", "how", "will", "who", "which", "where", "is", "are", "do ", "any"))
    opening = (
        "" if asks else rng.choice(("", "", "please ", "can you ", "could you ", "I want you to ", "now "))
    )
    b = Builder()
    said = rng.choice(_REASONS).replace("{r}", reason)
    b.decline(said)
    end = "?" if asks or opening.startswith(("can", "could")) else rng.choice((".", ".", "", "!"))
    return Draft(
        opening + text + end, b, [thing, other] if other.name in text else [thing], said, copied=False
    )


_TALK = (
    (Wording(("hello", "hi", "hey", "hi there", "hello there", "good morning", "good evening", "hey you"), ("greetings",)), "Hello! What would you like to know?"),
    (Wording(("thanks", "thank you", "thank you very much", "thanks a lot", "thx", "great, thanks"), ("much obliged",)), "You are welcome."),
    (Wording(("who are you", "what are you", "what is your name", "who am I talking to", "are you a robot", "what's your name"), ("introduce yourself",)), "I am Braid. I answer questions with tools."),
    (Wording(("what can you do", "how can you help me", "what do you do", "help", "what can I ask you"), ("what are you good for",)), "I look up facts, calculate, compare and rank. Ask me a question."),
    (Wording(("bye", "goodbye", "see you", "good night", "see you later"), ("farewell",)), "Goodbye!"),
    (Wording(("how are you", "how are you doing", "how's it going", "are you well"), ("how do you fare",)), "I am well, thank you. What would you like to know?"),
    (Wording(("nice", "great", "well done", "good job", "cool", "perfect", "awesome"), ("splendid",)), "Thank you."),
)  # fmt: skip


def small_talk(c: Choice, w: World, rank: bool) -> Draft:
    """A greeting, thanks, or a question about the planner itself."""
    rng = c.rng
    wording, reply = rng.choice(_TALK)
    text = c.pick(*wording.patterns, held=wording.held)
    b = Builder()
    b.answer(reply)
    asks = text.startswith(("who", "what", "how", "are"))
    end = "?" if asks else rng.choice(("", "!", ".", "!"))
    return Draft(text + end, b, [], reply, copied=False)
