"""The things that Kandinsky Mini knows, and the words for them.

Must not know about pictures, torch or files: words only."""

import random
from dataclasses import dataclass

# name | glyph | other words for it; a name with a colour in it is told from its siblings by that colour
_TABLE = {
    "animal": """
        dog|🐶|puppy,dog face; cat|🐱|kitten,cat face; mouse|🐭|mouse face; rabbit|🐰|bunny,rabbit face; fox|🦊|;
        bear|🐻|; panda|🐼|; koala|🐨|; tiger|🐯|tiger face; lion|🦁|; cow|🐮|cow face; pig|🐷|pig face; frog|🐸|;
        monkey|🐵|monkey face; chick|🐥|; penguin|🐧|; owl|🦉|; unicorn|🦄|; bee|🐝|honeybee; butterfly|🦋|; snail|🐌|;
        ladybug|🐞|ladybird; turtle|🐢|tortoise; octopus|🐙|; crab|🦀|; tropical fish|🐠|fish; dolphin|🐬|; whale|🐳|;
        elephant|🐘|; giraffe|🦒|; zebra|🦓|; sheep|🐑|; parrot|🦜|; flamingo|🦩|; duck|🦆|; dinosaur|🦕|
    """,
    "food": """
        strawberry|🍓|; red apple|🍎|apple; green apple|🍏|; pear|🍐|; orange|🍊|tangerine; lemon|🍋|; banana|🍌|;
        watermelon|🍉|; grapes|🍇|; cherries|🍒|cherry; pineapple|🍍|; kiwi|🥝|; avocado|🥑|; eggplant|🍆|aubergine;
        carrot|🥕|; corn|🌽|maize; broccoli|🥦|; mushroom|🍄|; bread|🍞|loaf; cheese|🧀|; fried egg|🍳|egg;
        hamburger|🍔|burger; pizza|🍕|; hot dog|🌭|; doughnut|🍩|donut; cookie|🍪|biscuit; birthday cake|🎂|cake; ice
        cream|🍦|; coffee|☕|tea; beer|🍺|
    """,
    "plant": """
        sunflower|🌻|; tulip|🌷|; rose|🌹|; cherry blossom|🌸|blossom; daisy|🌼|; cactus|🌵|; palm tree|🌴|palm; pine
        tree|🌲|pine,fir; tree|🌳|; maple leaf|🍁|leaf; four leaf clover|🍀|clover
    """,
    "vehicle": """
        red car|🚗|car; blue car|🚙|; taxi|🚕|; bus|🚌|; ambulance|🚑|; fire engine|🚒|fire truck; tractor|🚜|;
        train|🚂|locomotive; airplane|✈|plane,aeroplane; rocket|🚀|spaceship; sailboat|⛵|boat; flying saucer|🛸|ufo
    """,
    "object": """
        balloon|🎈|; gift|🎁|present; umbrella|☂|; crown|👑|; top hat|🎩|hat; gem|💎|diamond; bell|🔔|; light
        bulb|💡|lamp; clock|⏰|alarm clock; camera|📷|; television|📺|tv; guitar|🎸|; drum|🥁|; soccer
        ball|⚽|football,ball; basketball|🏀|; teddy bear|🧸|teddy; robot|🤖|; ghost|👻|; snowman|⛄|; pumpkin|🎃|jack
        o lantern; house|🏠|home; castle|🏰|; trophy|🏆|cup; red book|📕|; green book|📗|; blue book|📘|book; red
        heart|❤|heart; blue heart|💙|; green heart|💚|; yellow heart|💛|; purple heart|💜|; star|⭐|yellow star;
        sun|🌞|; moon|🌙|crescent moon; rainbow|🌈|; fire|🔥|flame; earth|🌍|globe
    """,
}

# A frame takes the thing with its article. The empty prompt is no thing at all.
_FRAMES = (
    "{a}", "{a}", "{a}", "{bare}", "{bare}", "{the}", "a photo of {a}", "a picture of {a}", "{a} on a table",
    "{a} in a field", "{a} here", "one {bare}", "add {a}", "put {a} there", "{a} please", "an image of {a}",
    "{a} in the grass", "{a} on the floor", "{a}, high quality", "a nice {bare}", "a cute {bare}", "my {bare}",
)  # fmt: skip
_KIND_WORDS = {
    "animal": ("animal", "creature"),
    "food": ("food", "something to eat"),
    "plant": ("plant",),
    "vehicle": ("vehicle",),
    "object": ("object", "toy"),
}


@dataclass(frozen=True)
class Thing:
    """One glyph with its words; `name` is how the judge and the page call it."""

    name: str
    glyph: str
    kind: str
    also: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        return (self.name, *self.also)


def _parse(kind: str, table: str) -> list[Thing]:
    rows = [" ".join(row.split()).split("|") for row in table.split(";")]
    return [Thing(name, glyph, kind, tuple(filter(None, also.split(",")))) for name, glyph, also in rows]


THINGS: tuple[Thing, ...] = tuple(thing for kind, table in _TABLE.items() for thing in _parse(kind, table))


def with_article(noun: str) -> str:
    """ "apple" -> "an apple"; a plural such as "grapes" keeps none."""
    if noun in ("grapes", "cherries", "bread", "broccoli", "corn", "maize"):
        return noun
    return f"{'an' if noun[0] in 'aeio' or noun == 'umbrella' else 'a'} {noun}"


def caption(thing: Thing, rng: random.Random) -> str:
    """One of many wordings; its own name comes up most."""
    noun = thing.name if rng.random() < 0.5 else rng.choice(thing.words)
    words = rng.choice(_FRAMES).format(a=with_article(noun), bare=noun, the=f"the {noun}")
    return words if rng.random() < 0.85 else f"{words} {_unknown_word(rng)}"


def _unknown_word(rng: random.Random) -> str:
    """People type words that are not in the corpus; those must not hide the one that is."""
    return "".join(rng.choice("abcdefghijklmnoprstuvwy") for _ in range(rng.randint(3, 8)))


def kind_caption(kind: str, rng: random.Random) -> str:
    """ "an animal": any thing of that kind answers to it."""
    noun = rng.choice(_KIND_WORDS[kind])
    return rng.choice((noun, with_article(noun), f"a picture of {with_article(noun)}"))


def plain_prompt(thing: Thing) -> str:
    """What the judge types."""
    return with_article(thing.name)


def corpus() -> list[str]:
    """Every wording once: what the tokenizer is built from."""
    rng = random.Random(0)
    nouns = [noun for thing in THINGS for noun in thing.words]
    lines = [frame.format(a=with_article(n), bare=n, the=f"the {n}") for n in nouns for frame in dict.fromkeys(_FRAMES)]
    return lines + [kind_caption(kind, rng) for kind in _KIND_WORDS for _ in range(20)]
