"""The starter phrases: correct French, one translation per phrase, no overlap of training and test data."""

import collections
import functools
import random
import re

import pytest

from textrnn.data.parallel import repeated_pairs
from textrnn.data.starter import phrases, starter_phrases
from textrnn.data.starter.phrases import number_in_english, number_in_french
from textrnn.errors import InputError

IN_FRENCH = {
    0: "zéro",
    1: "un",
    10: "dix",
    11: "onze",
    16: "seize",
    17: "dix-sept",
    19: "dix-neuf",
    20: "vingt",
    21: "vingt et un",
    22: "vingt-deux",
    31: "trente et un",
    41: "quarante et un",
    51: "cinquante et un",
    60: "soixante",
    61: "soixante et un",
    69: "soixante-neuf",
    70: "soixante-dix",
    71: "soixante et onze",
    72: "soixante-douze",
    77: "soixante-dix-sept",
    79: "soixante-dix-neuf",
    80: "quatre-vingts",
    81: "quatre-vingt-un",
    88: "quatre-vingt-huit",
    90: "quatre-vingt-dix",
    91: "quatre-vingt-onze",
    97: "quatre-vingt-dix-sept",
    99: "quatre-vingt-dix-neuf",
    100: "cent",
    101: "cent un",
    121: "cent vingt et un",
    180: "cent quatre-vingts",
    200: "deux cents",
    201: "deux cent un",
    280: "deux cent quatre-vingts",
    371: "trois cent soixante et onze",
    1_000: "mille",
    1_001: "mille un",
    1_100: "mille cent",
    1_200: "mille deux cents",
    1_984: "mille neuf cent quatre-vingt-quatre",
    2_000: "deux mille",
    3_080: "trois mille quatre-vingts",
    21_000: "vingt et un mille",
    71_071: "soixante et onze mille soixante et onze",
    80_000: "quatre-vingt mille",
    80_080: "quatre-vingt mille quatre-vingts",
    100_000: "cent mille",
    101_000: "cent un mille",
    200_000: "deux cent mille",
    300_300: "trois cent mille trois cents",
    680_000: "six cent quatre-vingt mille",
    999_999: "neuf cent quatre-vingt-dix-neuf mille neuf cent quatre-vingt-dix-neuf",
}
IN_ENGLISH = {
    0: "zero",
    13: "thirteen",
    15: "fifteen",
    18: "eighteen",
    20: "twenty",
    40: "forty",
    99: "ninety-nine",
    100: "one hundred",
    101: "one hundred and one",
    342: "three hundred and forty-two",
    1_000: "one thousand",
    1_005: "one thousand and five",
    1_100: "one thousand one hundred",
    1_984: "one thousand nine hundred and eighty-four",
    80_000: "eighty thousand",
    120_012: "one hundred and twenty thousand and twelve",
    999_999: "nine hundred and ninety-nine thousand nine hundred and ninety-nine",
}
TIMES = {  # all ways to say an hour and a minute, as read from a dial and from a digital clock
    (0, 0): {"midnight": "minuit"},
    (0, 1): {"one minute past midnight": "minuit une", "twelve oh one at night": "minuit une"},
    (0, 30): {"half past midnight": "minuit et demi", "twelve thirty at night": "minuit trente"},
    (1, 0): {"one o'clock in the morning": "une heure du matin"},
    (8, 40): {
        "twenty to nine in the morning": "neuf heures moins vingt du matin",
        "eight forty in the morning": "huit heures quarante du matin",
    },
    (8, 59): {
        "one minute to nine in the morning": "neuf heures moins une du matin",
        "eight fifty-nine in the morning": "huit heures cinquante-neuf du matin",
    },
    (11, 45): {
        "a quarter to noon": "midi moins le quart",
        "quarter to noon": "midi moins le quart",
        "eleven forty-five in the morning": "onze heures quarante-cinq du matin",
    },
    (12, 0): {"noon": "midi"},
    (12, 15): {
        "a quarter past noon": "midi et quart",
        "quarter past noon": "midi et quart",
        "twelve fifteen in the afternoon": "midi quinze",
    },
    (12, 30): {"half past noon": "midi et demi", "twelve thirty in the afternoon": "midi trente"},
    (13, 30): {
        "half past one in the afternoon": "une heure et demie de l'après-midi",
        "one thirty in the afternoon": "une heure trente de l'après-midi",
    },
    (16, 15): {
        "a quarter past four in the afternoon": "quatre heures et quart de l'après-midi",
        "quarter past four in the afternoon": "quatre heures et quart de l'après-midi",
        "four fifteen in the afternoon": "quatre heures quinze de l'après-midi",
    },
    (16, 21): {
        "twenty-one minutes past four in the afternoon": "quatre heures vingt et une de l'après-midi",
        "four twenty-one in the afternoon": "quatre heures vingt et une de l'après-midi",
    },
    (17, 55): {
        "five to six in the evening": "six heures moins cinq du soir",
        "five fifty-five in the afternoon": "cinq heures cinquante-cinq de l'après-midi",
    },
    (22, 5): {
        "five past ten at night": "dix heures cinq du soir",
        "ten oh five at night": "dix heures cinq du soir",
    },
    (23, 31): {
        "twenty-nine minutes to midnight": "minuit moins vingt-neuf",
        "eleven thirty-one at night": "onze heures trente et une du soir",
    },
}
DATES = {  # weekdays from printed calendars
    "on the third of March nineteen eighty-four": "le trois mars mille neuf cent quatre-vingt-quatre",
    "March the third, nineteen eighty-four": "le trois mars mille neuf cent quatre-vingt-quatre",
    "Thursday, November the ninth, nineteen eighty-nine": (
        "le jeudi neuf novembre mille neuf cent quatre-vingt-neuf"
    ),
    "on Tuesday the fourteenth of July seventeen eighty-nine": (
        "le mardi quatorze juillet mille sept cent quatre-vingt-neuf"
    ),
    "the first of August": "le premier août",
    "Monday the thirty-first of December": "le lundi trente et un décembre",
    "in January seventeen hundred": "en janvier mille sept cent",
    "in February nineteen eighty": "en février mille neuf cent quatre-vingt",
    "in May eighteen oh one": "en mai mille huit cent un",
    "in May eighteen hundred and one": "en mai mille huit cent un",
    "in June two thousand": "en juin deux mille",
    "in July two thousand and nine": "en juillet deux mille neuf",
    "in September two thousand and twenty-one": "en septembre deux mille vingt et un",
    "in October twenty twenty-one": "en octobre deux mille vingt et un",
}
PRICES = {
    "one euro": "un euro",
    "for one dollar": "pour un dollar",
    "it costs eight dollars and one cent": "cela coûte huit dollars et un cent",
    "nine euros and eighty cents": "neuf euros et quatre-vingts centimes",
    "two euros and twenty-one cents": "deux euros et vingt et un centimes",
    "two hundred euros": "deux cents euros",
    "eighty thousand dollars": "quatre-vingt mille dollars",
}
NUMBERS = {
    "one hundred and one": "cent un",
    "one hundred one": "cent un",
    "a hundred and one": "cent un",
    "a hundred one": "cent un",
    "a thousand": "mille",
    "two hundred thousand": "deux cent mille",
}


@pytest.fixture(scope="module")
def splits():
    return starter_phrases()


@functools.cache
def drawn(kind, years=phrases._YEARS):
    """A hundred thousand draws: the English phrases, each with all its translations."""
    translations = collections.defaultdict(set)
    source = random.Random(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phrases, "_YEARS", years)
        for _ in range(100_000):
            english, french = phrases._KINDS[kind](source)
            translations[english].add(french)
    return translations


@pytest.mark.parametrize("n", IN_FRENCH)
def test_numbers_in_french(n):
    assert number_in_french(n) == IN_FRENCH[n]


@pytest.mark.parametrize("n", IN_ENGLISH)
def test_numbers_in_english(n):
    assert number_in_english(n) == IN_ENGLISH[n]


@pytest.mark.parametrize("name", [number_in_english, number_in_french])
def test_different_numbers_have_different_words(name):
    numbers = [*range(10_000), *range(10_000, 1_000_000, 97)]
    assert len({name(n) for n in numbers}) == len(numbers)


@pytest.mark.parametrize("name", [number_in_english, number_in_french])
@pytest.mark.parametrize("n", [-1, 1_000_000])
def test_numbers_out_of_range_are_refused(name, n):
    with pytest.raises(InputError, match=f"{n} cannot be written in words: .* from 0 to 999,999"):
        name(n)


@pytest.mark.parametrize("time", TIMES, ids=str)
def test_a_time_is_written_in_exactly_these_ways(time):
    source = random.Random(0)
    ways = [phrases._time_by_hand, phrases._time_by_digits]
    assert dict(way(source, *time) for way in ways for _ in range(30)) == TIMES[time]


@pytest.mark.parametrize(
    ("kind", "phrases_of_kind"),
    [("number", NUMBERS), ("date", DATES), ("price", PRICES)],
    ids=["number", "date", "price"],
)
def test_phrases_are_translated_correctly(kind, phrases_of_kind):
    years = (1700, 1789, 1801, 1980, 1984, 1989, 2000, 2009, 2021)  # few, so that each date is drawn
    found = drawn(kind, years) if kind == "date" else drawn(kind)
    assert {english: found[english] for english in phrases_of_kind} == {
        english: {french} for english, french in phrases_of_kind.items()
    }


@pytest.mark.parametrize("kind", ["number", "date", "time", "price"])
def test_a_phrase_has_one_translation(kind):
    assert len(drawn(kind)) > 8_000
    assert all(len(translations) == 1 for translations in drawn(kind).values())


def test_no_phrase_repeats_in_or_between_the_splits(splits):
    train, test = splits
    assert repeated_pairs(train, test) == []
    assert len({pair.source for pair in (*train, *test)}) == len(train) + len(test)
    assert len({pair.origin for pair in (*train, *test)}) == len(train) + len(test)


def test_both_splits_have_equal_shares_of_each_kind(splits):
    for split, count in zip(splits, (12_000, 1_000), strict=True):
        kinds = collections.Counter(
            re.fullmatch(r"starter phrases, (\w+) \d+", pair.origin)[1] for pair in split
        )
        assert kinds == dict.fromkeys(["number", "date", "time", "price"], count // 4)


def test_every_word_of_the_test_split_is_frequent_in_the_training_split(splits):
    for side in ("source", "target"):
        words = [
            collections.Counter(word for pair in split for word in re.findall(r"[\w']+", getattr(pair, side)))
            for split in splits
        ]
        assert min(words[0][word] for word in words[1]) >= 5


def test_the_phrases_are_determined_by_the_seed(splits):
    assert starter_phrases() == splits
    assert starter_phrases(seed=1) != splits


def test_a_phrase_consists_of_words(splits):
    for pair in (*splits[0], *splits[1]):
        assert re.fullmatch(r"[A-Za-z]+((, |[ '-])[A-Za-z]+)*", pair.source)
        assert re.fullmatch(r"[a-zàéèûô]+([ '-][a-zàéèûô]+)*", pair.target)
