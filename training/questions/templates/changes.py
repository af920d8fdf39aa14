"""How people put a hypothetical change: as a clause, a participle, an order, a description, a noun."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from braid.training.questions.template import Choice, Verb, verbs
from braid.training.questions.templates.attributes import Attribute


@dataclass(frozen=True)
class Change:
    """One change: what the plan computes and what it does to the number."""

    suffix: str
    """Follows the value in an arithmetic expression, such as " * (1 - 20 / 100)". Empty for no change."""
    apply: Callable[[float], float]
    up: bool
    by: str
    """The amount as it follows "by", or the whole phrase where `form` is "to"."""
    form: str


UP_TRANSITIVE = verbs(
    "increase increase raise boost expand extend enlarge magnify lift augment enhance improve amplify elevate "
    "strengthen upgrade inflate heighten broaden bump scale-up push-up ramp-up multiply-up step-up crank-up beef-up hike "
    "bump-up build-up blow-up stretch top-up"
)
UP_MOVE = verbs(
    "grow grow grow rise increase expand climb go-up gain extend swell improve jump surge move-up enlarge "
    "climb soar balloon leap shoot-up creep-up pick-up stretch widen"
)
DOWN_TRANSITIVE = verbs(
    "decrease reduce reduce lower cut diminish shrink trim lessen slash drop compress cut-down scale-down "
    "bring-down curtail deflate weaken worsen downgrade limit chop prune slim-down whittle-down wear-down knock-down shave dock"
)
DOWN_MOVE = verbs(
    "shrink fall drop decrease decline go-down contract lose diminish dwindle dip move-down plunge "
    "tumble slide slip subside recede erode melt dry-up dry-out wither crumble slump plummet wear-away thin-out collapse"
)
SPECIAL_UP = {
    "length": verbs("lengthen extend stretch elongate prolong"),
    "height": verbs("heighten raise extend build-up"),
    "depth": verbs("deepen extend"),
    "area": verbs("expand enlarge extend widen spread"),
    "diameter": verbs("widen enlarge"),
    "lifespan": verbs("lengthen extend prolong"),
    "top speed": verbs("accelerate accelerate boost quicken speed-up improve"),
    "weight": verbs("fatten"),
}
SPECIAL_DOWN = {
    "length": verbs("shorten shorten truncate curtail"),
    "height": verbs("shorten lower erode"),
    "depth": verbs("shorten fill fill-in"),
    "area": verbs("shrink contract"),
    "diameter": verbs("narrow"),
    "lifespan": verbs("shorten"),
    "top speed": verbs("slow slow-down"),
}
_RISES = ("increase", "rise", "growth", "gain", "boost", "jump", "surge", "expansion", "increment")
_DROPS = ("decrease", "drop", "reduction", "cut", "loss", "decline", "fall", "dip", "shrinkage")
_GAINS = (
    "gains",
    "gained",
    "adds",
    "added",
    "puts on",
    "put on",
    "picks up",
    "acquires",
    "won",
    "gets another",
)
_LOSSES = (
    "loses",
    "lost",
    "sheds",
    "shed",
    "gives up",
    "gave up",
    "forfeits",
    "drops",
    "is robbed of",
    "gets rid of",
)
_TIMES = {"doubled": "twice", "tripled": "three times", "quadrupled": "four times", "halved": "half"}
_PLAIN = {"doubled": "double", "tripled": "triple", "quadrupled": "quadruple", "halved": "halve"}


def _percent(amount: str) -> bool:
    return amount.endswith(("%", "percent", "per cent"))


def _named(amount: str) -> bool:
    """Whether the amount is a part with a name ("a third"), which cannot stand before "longer"."""
    return amount.startswith(("a ", "half", "one "))


def _multiple(amount: str) -> bool:
    """Whether the amount multiplies ("3 times", "a factor of 3") and is none that one adds or takes off."""
    return amount.endswith("times") or " factor " in amount


def _verb(rng: random.Random, change: Change, attribute: Attribute, *, transitive: bool) -> Verb:
    special = (SPECIAL_UP if change.up else SPECIAL_DOWN).get(attribute.noun)
    if transitive:
        if special and rng.random() < 0.4:
            return rng.choice(special)
        return rng.choice(UP_TRANSITIVE if change.up else DOWN_TRANSITIVE)
    own = attribute.gains if change.up else attribute.losses
    if own and rng.random() < 0.35:
        return Verb.of(rng.choice(own))
    return rng.choice(UP_MOVE if change.up else DOWN_MOVE)


def _more(rng: random.Random, change: Change, attribute: Attribute) -> str:
    words = attribute.more if change.up else attribute.less
    return rng.choice(words) if words else f"{'greater' if change.up else 'smaller'} in {attribute.noun}"


def _by(rng: random.Random, change: Change) -> str:
    return change.by if change.by.endswith("times") and rng.random() < 0.5 else f"by {change.by}"


def _to(rng: random.Random, change: Change, noun: str) -> str:
    """What the value changes to: "to a third of its original length"."""
    of = rng.choice(("of ", "of ", ""))
    return f"to {change.by} {of}its {rng.choice(('current ', 'original ', ''))}{noun}"


def clause(c: Choice, change: Change, name: str, attribute: Attribute) -> str:
    """The change as a finite clause that follows "if": "the Nile were shortened by 15%"."""
    rng = c.rng
    noun = rng.choice(attribute.words)
    owned = rng.choice((f"{name}'s {noun}", f"the {noun} of {name}", f"{name}'s {noun}"))
    if change.form == "none":
        return c.frame(
            "{o} [stays|stayed|remains|remained|is left|was left|is kept] [as it is|as it was|the same|unchanged|constant]",
            "{o} [stays|stayed] [put|where it is|where it was|at its level]",
            "[{x}|{o}] [is|was] [not touched|unaffected|not affected|not changed|spared]",
            "[{x}|{o}] [holds|held] [steady|its ground|firm]",
            "{x} [stays|remains] [what it is|put|as {h} as it is|as {h} as before]",
            "{x} [stays|stayed|remains|remained|is left] [as it is|as it was|the same|unchanged|untouched|alone]",
            "{x} [keeps|kept|holds|retains] its [current|present|usual|old|original|] {n}",
            "{x} [does not|doesn't|did not|didn't] change [in {n}|at all|]",
            "{o} [does not|doesn't|did not|didn't] change",
            held=("nothing happens to {x}", "{x} sees no change in {n}"),
            o=owned,
            x=name,
            n=noun,
            h=attribute.how or "great",
        )
    be = rng.choice(("was", "were", "is", "is", "had been", "becomes", "gets"))
    if change.form == "whole":
        verb = Verb.of(_PLAIN[change.by])
        return c.pick(
            f"{owned} {be} {change.by}",
            f"{owned} {rng.choice((verb.third, verb.past))}",
            f"{name} {rng.choice((verb.third, verb.past))} in {noun}",
            f"{name} {rng.choice((verb.third, verb.past))} its {noun}",
            f"{rng.choice((name, owned))} {be} {rng.choice(('cut', 'reduced', 'shortened', 'brought down', 'sliced'))} {rng.choice(('in half', 'by half', 'to half'))}"
            if change.by == "halved"
            else f"{owned} {be} {change.by}",
            f"{owned} {rng.choice(('is', 'was', 'becomes'))} {_TIMES[change.by]} what it is"
            if change.by in ("doubled", "halved")
            else f"{owned} {be} {change.by}",
            *[
                f"{name} {be} {_TIMES[change.by]} as {attribute.how or 'great'}"
                f"{rng.choice(('', ' as now', ' as today', ' as it is', ' as before', ' as it really is'))}"
            ]
            * 2,
            f"{owned} {be} {_TIMES[change.by]} as {rng.choice(('great', 'large', 'big'))} {rng.choice(('', 'as it is', 'as now', 'as before'))}".strip(),
            held=(f"{name} {be} {change.by} in {noun}",),
        )
    if change.form == "to":
        verb = _verb(rng, change, attribute, transitive=True)
        move = _verb(rng, change, attribute, transitive=False)
        tail = rng.choice(
            (
                f"its {rng.choice(('current', 'present', 'original', 'actual', 'real'))} {noun}",
                "its size",
                "that",
                "what it is",
            )
        )
        return c.pick(
            f"{owned} {be} {verb.participle} to {change.by} {rng.choice(('of ', 'of ', ''))}{tail}",
            f"{owned} {rng.choice((move.third, move.past))} to {change.by} {rng.choice(('of ', 'of ', ''))}{tail}",
            f"{name} {be} {verb.participle} to {change.by} {rng.choice(('of ', 'of ', ''))}{tail}",
            f"{name} {rng.choice((move.third, move.past))} to {change.by} of its {noun}",
            f"{owned} {rng.choice((move.third, move.past))} to {change.by}",
            held=(f"{owned} {be} only {change.by} of {tail}",),
        )
    by = _by(rng, change)
    transitive = _verb(rng, change, attribute, transitive=True)
    move = _verb(rng, change, attribute, transitive=False)
    moved = rng.choice((move.third, move.past, move.past))
    amount = change.by
    forms = [
        f"{owned} {be} {transitive.participle} {by}",
        f"{owned} {be} {transitive.participle} {by}",
        f"{name} {be} {transitive.participle} {by}",
        f"{name} {be} {transitive.participle} {by} in {noun}",
        f"{owned} {moved} {by}",
        f"{name} {moved} {by}",
        f"{name} {moved} {by} in {noun}",
        f"{name} {rng.choice((transitive.third, transitive.past))} its {noun} {by}",
        f"{name} {rng.choice(('grew', 'grows', 'became', 'becomes', 'gets', 'got'))} {_more(rng, change, attribute)} by {amount}",
    ]
    if amount.endswith("times") and change.up and attribute.how:
        forms += [
            f"{name} {be} {amount} as {attribute.how}{rng.choice(('', ' as now', ' as today', ' as it is', ' as before'))}"
        ] * 2
    if not _multiple(amount):
        who = rng.choice(("someone", "somebody", "you", "we", "I", "they", "one", "engineers"))
        forms += [
            f"{who} {rng.choice(('add', 'added', 'put', 'piled'))} {amount} {rng.choice(('to', 'onto', 'on top of'))} {rng.choice((name, owned))}"
            if change.up
            else f"{who} {rng.choice(('take', 'took', 'cut', 'chopped', 'knocked', 'shaved', 'sliced', 'lopped'))} {amount} {rng.choice(('off', 'from', 'off of'))} {rng.choice((name, owned))}",
        ] * 2
        gain = rng.choice(_GAINS if change.up else _LOSSES)
        forms += [
            *[
                f"{name} {gain} {amount} {rng.choice(('of', 'of', 'in', 'from' if not change.up else 'of'))} its {noun}"
            ]
            * 3,
            f"{name} {gain} {amount} {'in' if change.up else 'of'} {noun}",
            f"{owned} {gain} {amount}",
        ]
        if "%" not in amount:
            forms += [
                f"{name} {gain} {amount}",
                f"{amount} {rng.choice(('of', 'from'))} {owned} {rng.choice(('is lost', 'was lost', 'vanishes', 'disappears', 'goes', 'is cut away', 'is taken away'))}"
                if not change.up
                else f"{amount} {rng.choice(('is', 'was', 'were'))} {rng.choice(('added to', 'put on'))} {owned}",
            ]
    if rng.random() < 0.3:
        forms += [
            f"{name} {rng.choice((transitive.third, transitive.past))} its own {noun} {by}",
            f"{rng.choice(('we', 'you', 'they', 'one', 'I'))} {rng.choice((transitive.past, transitive.base))} {owned} {by}",
            f"{name} {rng.choice((move.third, move.past, move.gerund))} {amount}",
        ]
    if not _named(amount):
        forms += [
            f"{name} {be} {amount} {_more(rng, change, attribute)}",
            f"{name} {be} {amount} {_more(rng, change, attribute)}",
            f"{owned} {be} {amount} {_more(rng, change, attribute)}",
            f"{name} {rng.choice(('became', 'turned', 'turns out', 'gets'))} {amount} {_more(rng, change, attribute)}",
        ]
        if _percent(amount):
            gain = rng.choice(
                ("gains", "gained", "adds", "added") if change.up else ("loses", "lost", "sheds", "shed")
            )
            add = rng.choice(
                ("is added to", "were added to") if change.up else ("is taken off", "is subtracted from")
            )
            forms += [
                f"{name} {gain} {amount} {'of its' if rng.random() < 0.4 else 'in'} {noun}",
                f"{amount} {add} {owned}",
                f"{name} {moved} {amount}",
            ]
    forms += [
        f"{owned} {rng.choice(('were to', 'was to', 'is to', 'should', 'would', 'could'))} {move.base} {by}",
        f"{rng.choice(('we', 'you', 'they', 'one', 'people', 'engineers'))} {transitive.past} {owned} {by}",
        f"there {rng.choice(('was', 'is', 'were'))} a {change.by} {rng.choice(_RISES if change.up else _DROPS)} in {owned}"
        if _percent(change.by)
        else f"{owned} {be} {transitive.participle} {by}",
        f"{owned} {rng.choice(('saw', 'sees', 'undergoes', 'underwent', 'experienced', 'had'))} a {change.by} {rng.choice(_RISES if change.up else _DROPS)}"
        if _percent(change.by)
        else f"{owned} {moved} {by}",
        f"{owned} {rng.choice(('went', 'goes'))} {'up' if change.up else 'down'} {by}",
        f"{name} {rng.choice(('has', 'had'))} {change.by} {'more' if change.up else 'less'} {noun}",
    ]
    held = (
        f"{owned} {rng.choice(('is made to', 'happened to', 'got to'))} {move.base} {by}",
        f"{name} had its {noun} {transitive.participle} {by}",
        f"someone {rng.choice((transitive.past, transitive.third))} {owned} {by}",
        f"{owned} ended up {change.by} {'above' if change.up else 'below'} what it is",
        f"a {rng.choice(_RISES if change.up else _DROPS)} of {change.by} {rng.choice(('hit', 'befell', 'came over'))} {owned}",
        f"{change.by} {'came on top of' if change.up else 'had to go from'} {owned}",
    )
    return c.pick(*forms, held=held)


def elliptic(c: Choice, changes: Sequence[Change], names: Sequence[str], attribute: Attribute) -> list[str]:
    """Clauses of which all but the first leave the verb out.

    Such as "the Nile were 12% longer", "the Volga 8% shorter".

    Raises:
        LookupError: where the changes cannot be told so.
    """
    rng = c.rng
    if any(change.form != "by" for change in changes):
        raise LookupError("only changes by an amount are told without a verb")

    def once(verb: str, told: Sequence[str], *, whose: str = "", others: str = "") -> list[str]:
        first = f"{whose}{names[0]} {verb} {told[0]}"
        return [first, *(f"{others}{x} {how}" for x, how in zip(names[1:], told[1:], strict=True))]

    noun = rng.choice(attribute.words)
    be = rng.choice(("was", "were", "is", "becomes", "gets", "grew", "were to be", "turned"))
    amounts = [change.by for change in changes]
    pick = rng.random()
    if pick < 0.45 and not any(_named(amount) for amount in amounts):
        return once(be, [f"{change.by} {_more(rng, change, attribute)}" for change in changes])
    if pick < 0.75:
        be = rng.choice(("is", "was", "were", "gets", "has been"))
        done = [
            f"{_verb(rng, change, attribute, transitive=True).participle} by {change.by}"
            for change in changes
        ]
        if rng.random() < 0.5:
            return once(be, done, whose=f"the {noun} of ", others="that of ")
        return once(be, done)
    if len({change.up for change in changes}) > 1 or any(_multiple(amount) for amount in amounts):
        raise LookupError("one verb does not do for both directions")
    verb = rng.choice(rng.choice((_GAINS, UP_MOVE)) if changes[0].up else rng.choice((_LOSSES, DOWN_MOVE)))
    if isinstance(verb, str):
        return once(verb, [amounts[0] + rng.choice((f" of its {noun}", f" in {noun}", "")), *amounts[1:]])
    by = rng.choice((verb.third, verb.past)) + " by"
    return once(by, [amounts[0], *([f"by {a}" for a in amounts[1:]] if rng.random() >= 0.5 else amounts[1:])])


def participle(c: Choice, change: Change, name: str, attribute: Attribute) -> str:
    """The change as a phrase that follows "with" or "given": "the Nile shortened by 15%"."""
    rng = c.rng
    noun = rng.choice(attribute.words)
    owned = rng.choice((f"{name}'s {noun}", f"the {noun} of {name}", f"{name}'s {noun}", name))
    if change.form == "none":
        return c.fill(
            "[{o} [unchanged|left as it is|left alone|kept as it is|staying the same|untouched]|an unchanged {x}|no change [in|to] {o}]",
            o=owned,
            x=name,
        )
    being = rng.choice(("", "", "", "being ", "having been "))
    if change.form == "whole":
        return f"{owned} {being}{change.by}"
    transitive = _verb(rng, change, attribute, transitive=True)
    if change.form == "to":
        return f"{owned} {being}{transitive.participle} {_to(rng, change, noun)}"
    by = _by(rng, change)
    forms = [f"{owned} {being}{transitive.participle} {by}"] * 3
    move = _verb(rng, change, attribute, transitive=False)
    forms.append(f"{owned} {move.gerund} {by}")
    if not _named(change.by):
        forms += [
            f"{name} {rng.choice(('being ', '', 'made ', 'now '))}{change.by} {_more(rng, change, attribute)}",
        ]
    if attribute.noun == "population" and not _multiple(change.by):
        people = rng.choice(("people", "inhabitants", "residents"))
        amount = change.by.removesuffix(" people").removesuffix(" inhabitants").removesuffix(" residents")
        if not _named(amount):
            forms += [f"{amount} {'more' if change.up else 'fewer'} {people} in {name}"] * 2
    if _percent(change.by):
        forms += [
            f"a {change.by} {rng.choice(_RISES if change.up else _DROPS)} in {owned}",
            f"{owned} {'up' if change.up else 'down'} {by}",
            f"{owned} at {'plus' if change.up else 'minus'} {change.by}",
        ]
    return c.pick(
        *forms,
        held=(
            f"{owned} {'risen' if change.up else 'fallen'} {by}",
            f"{owned} {rng.choice(('turned', 'set'))} {by.replace('by ', '')} {_more(rng, change, attribute)}",
        ),
    )


def gerund(c: Choice, change: Change, name: str, attribute: Attribute) -> str:
    """The change as an action that follows "after": "shortening the Nile by 15%"."""
    return _action(c, change, name, attribute, lambda verb: verb.gerund)


def imperative(c: Choice, change: Change, name: str, attribute: Attribute) -> str:
    """The change as an order: "shorten the Nile by 15%"."""
    return _action(c, change, name, attribute, lambda verb: verb.base)


def _action(c: Choice, change: Change, name: str, attribute: Attribute, form: Callable[[Verb], str]) -> str:
    rng = c.rng
    noun = rng.choice(attribute.words)
    owned = rng.choice((f"{name}'s {noun}", f"the {noun} of {name}", f"{name}'s {noun}"))
    thing = rng.choice((owned, owned, name))
    if change.form == "none":
        keep = form(Verb.of(rng.choice(("leave", "keep"))))
        return f"{keep} {thing} {rng.choice(('as it is', 'as it was', 'unchanged', 'the same', 'alone' if keep.startswith('leav') else 'constant'))}"
    if change.form == "whole":
        return f"{form(Verb.of(_PLAIN[change.by]))} {thing}"
    verb = _verb(rng, change, attribute, transitive=True)
    if change.form == "to":
        return f"{form(verb)} {thing} {_to(rng, change, noun)}"
    by = _by(rng, change)
    forms = [f"{form(verb)} {thing} {by}"] * 3
    if _percent(change.by):
        if change.up:
            forms += [f"{form(Verb.of('add'))} {change.by} to {owned}"]
        else:
            forms += [
                f"{form(Verb.of(rng.choice(('subtract', 'deduct', 'take'))))} {change.by} from {owned}",
                f"{form(Verb.of(rng.choice(('take', 'cut', 'shave', 'knock'))))} {change.by} off {owned}",
            ]
    if not _named(change.by):
        forms += [f"{form(Verb.of('make'))} {name} {change.by} {_more(rng, change, attribute)}"]
    return c.pick(
        *forms,
        held=(
            f"{form(Verb.of('let'))} {owned} {_verb(rng, change, attribute, transitive=False).base} {by}",
            f"{form(Verb.of('have'))} {owned} {verb.participle} {by}",
            f"{form(Verb.of('bring'))} about a {rng.choice(_RISES if change.up else _DROPS)} of {change.by} in {owned}",
        ),
    )


def described(c: Choice, change: Change, name: str, attribute: Attribute) -> str:
    """The change as a description of the thing: "a cheetah that runs 20% faster"."""
    rng = c.rng
    noun = rng.choice(attribute.words)
    its = rng.choice(("its ", "its maximum ", "its usual ", "the ")) if rng.random() < 0.8 else ""
    if its.endswith("maximum ") and noun.startswith(("max", "top", "peak", "best")):
        its = "its "
    if change.form == "none":
        return c.fill(
            "[{x} [as it is|that stays as it is|that does not change|with an unchanged {n}]|an unchanged {x}]",
            x=name,
            n=noun,
        )
    if change.form == "whole":
        verb = Verb.of(_PLAIN[change.by])
        return c.pick(
            f"{name} that {verb.third} its {noun}",
            f"{name} {verb.gerund} its {noun}",
            f"{name} whose {noun} is {change.by}",
        )
    transitive = _verb(rng, change, attribute, transitive=True)
    move = _verb(rng, change, attribute, transitive=False)
    if change.form == "to":
        return c.pick(
            f"{name} whose {noun} {rng.choice((move.third, move.past))} to {change.by} of what it was",
            f"{name} with its {noun} {transitive.participle} to {change.by}",
        )
    by = _by(rng, change)
    forms = [
        f"{name} that {rng.choice((transitive.third, transitive.past))} {its or 'its '}{noun} {by}",
        f"{name} {transitive.gerund} {its or 'its '}{noun} {by}",
        f"{name} whose {noun} {rng.choice((move.third, move.past))} {by}",
        f"{name} whose {noun} is {transitive.participle} {by}",
        f"{name} with its {noun} {transitive.participle} {by}",
    ]
    if not _named(change.by):
        more = _more(rng, change, attribute)
        than = rng.choice(
            (
                "",
                "",
                "",
                f" than its {noun}",
                " than usual",
                f" compared to its {noun}",
                " than normal",
                f" in its {noun}",
                f" in {noun}",
                " compared to their usual",
            )
        )
        motion = (
            ("runs", "moves", "flies", "goes", "races", "sprints", "swims")
            if attribute.noun == "top speed"
            else ("is", "is", "becomes", "gets")
        )
        moving = (
            ("running", "moving", "flying", "racing", "sprinting", "swimming")
            if attribute.noun == "top speed"
            else ("being", "growing", "becoming")
        )
        forms += [
            f"{name} that {rng.choice(motion)} {change.by} {more}{than}",
            f"{name} that's {change.by} {more}{than}",
            f"{name} which is {change.by} {more}{than}",
            f"{name} {rng.choice(moving)} {change.by} {more}{than}",
            f"{name} with a {change.by} {more if not more.startswith(('more ', 'less ')) else 'greater' if change.up else 'smaller'} {noun}"
            if " in " not in more
            else f"{name} that's {change.by} {more}",
        ]
    return c.pick(
        *forms,
        held=(f"{name} altered to be {change.by} {_more(rng, change, attribute)}",)
        if not _named(change.by)
        else (),
    )


def changed_noun(c: Choice, change: Change, name: str, attribute: Attribute) -> str:
    """The changed value as a noun phrase: "the height of K2 after a 20% increase", "K2's height plus 20%"."""
    rng = c.rng
    noun = rng.choice(attribute.words)
    owned = rng.choice((f"{name}'s {noun}", f"the {noun} of {name}"))
    if change.form == "whole":
        double = {"quadrupled": "four times", "halved": "half"}.get(change.by, _PLAIN[change.by])
        return c.pick(
            f"{owned} {change.by}",
            f"{double} {owned}",
            f"{owned}, {change.by}",
            f"the {change.by} {noun} of {name}",
        )
    if change.form == "to":
        verb = _verb(rng, change, attribute, transitive=True)
        return c.pick(f"{owned} {verb.participle} to {change.by}", f"{change.by} of {owned}")
    verb = _verb(rng, change, attribute, transitive=True)
    move = _verb(rng, change, attribute, transitive=False)
    forms = [
        f"{owned} {verb.participle} by {change.by}",
        f"{owned} after {move.gerund} by {change.by}",
        f"{owned} when {verb.participle} by {change.by}",
        f"{owned} once it is {verb.participle} by {change.by}",
        f"{owned} if it {rng.choice(('were', 'was', 'is'))} {verb.participle} by {change.by}",
    ]
    if _percent(change.by):
        rise = rng.choice(_RISES if change.up else _DROPS)
        forms += [
            f"{owned} {'plus' if change.up else 'minus'} {change.by}",
            f"{owned} after a {change.by} {rise}",
            f"{owned} after a {rise} of {change.by}",
            f"{owned} with a {change.by} {rise}",
            f"{owned} {'with' if change.up else 'less'} {change.by}{' more' if change.up else ''}",
        ]
    return c.pick(
        *forms, held=(f"{owned} having seen a change of {change.by} {'up' if change.up else 'down'}wards",)
    )
