"""Numbers, dates, times of day and prices in words, English to French, made by rule.

The French is spelt in the traditional way, that of before 1990: hyphens only below a hundred and not around
"et" ("vingt et un", "soixante-dix-sept"), "août", "coûte". "Vingt" and "cent" take an s where they are
multiplied and nothing follows ("quatre-vingts", "deux cents", but "quatre-vingt-un", "deux cent mille"), and
none in a year ("mille neuf cent quatre-vingt"), which is an ordinal; "mille" never does.
"""

import calendar
from collections.abc import Callable
from random import Random

from textrnn.data.parallel import Pair
from textrnn.errors import InputError

_ENGLISH = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_ENGLISH_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ENGLISH_DAYS = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth",
    "nineteenth", "twentieth", "twenty-first", "twenty-second", "twenty-third", "twenty-fourth",
    "twenty-fifth", "twenty-sixth", "twenty-seventh", "twenty-eighth", "twenty-ninth", "thirtieth",
    "thirty-first",
]  # fmt: skip
_FRENCH = [
    "zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze",
    "treize", "quatorze", "quinze", "seize", "dix-sept", "dix-huit", "dix-neuf",
]  # fmt: skip
_FRENCH_TENS = [
    "", "", "vingt", "trente", "quarante", "cinquante", "soixante", "soixante", "quatre-vingt",
    "quatre-vingt",
]  # fmt: skip
_MONTHS = {
    "January": "janvier", "February": "février", "March": "mars", "April": "avril", "May": "mai",
    "June": "juin", "July": "juillet", "August": "août", "September": "septembre", "October": "octobre",
    "November": "novembre", "December": "décembre",
}  # fmt: skip
_WEEKDAYS = {
    "Monday": "lundi", "Tuesday": "mardi", "Wednesday": "mercredi", "Thursday": "jeudi",
    "Friday": "vendredi", "Saturday": "samedi", "Sunday": "dimanche",
}  # fmt: skip
_YEARS = range(1700, 2050)
_MOST = 999_999
_TRAIN, _TEST = 3_000, 250  # of each kind


def number_in_english(n: int) -> str:
    """A number in English words, the British way: with "and" before what is below a hundred.

    Args:
        n: a whole number from 0 to 999,999.

    Raises:
        InputError: any other number.

    Example:
    >>> from textrnn.data.starter.phrases import number_in_english
    >>> number_in_english(80_101)
    'eighty thousand one hundred and one'
    """
    thousands, hundreds, below = _parts(n)
    words = []
    if thousands:
        words += [number_in_english(thousands), "thousand"]
    if hundreds:
        words += [_ENGLISH[hundreds], "hundred"]
    if below and words:
        words.append("and")
    if below or not words:
        words.append(_small_in_english(below))
    return " ".join(words)


def number_in_french(n: int) -> str:
    """A number in French words, in the traditional spelling; see the module's docstring.

    Args:
        n: a whole number from 0 to 999,999.

    Raises:
        InputError: any other number.

    Example:
    >>> from textrnn.data.starter.phrases import number_in_french
    >>> [number_in_french(n) for n in (71, 80, 81, 200, 201)]
    ['soixante et onze', 'quatre-vingts', 'quatre-vingt-un', 'deux cents', 'deux cent un']
    >>> number_in_french(80_101)
    'quatre-vingt mille cent un'
    """
    thousands, hundreds, below = _parts(n)
    words = []
    if thousands > 1:
        words.append(_invariable(number_in_french(thousands)))
    if thousands:
        words.append("mille")
    if hundreds > 1:
        words.append(_FRENCH[hundreds])
    if hundreds:
        words.append("cents" if hundreds > 1 and not below else "cent")
    if below or not words:
        words.append(_small_in_french(below))
    return " ".join(words)


def starter_phrases(seed: int = 0) -> tuple[list[Pair], list[Pair]]:
    """The starter corpus of translation: 13,000 short phrases in English, and in French.

    A quarter each are numbers, dates, times of day and prices, all in words. English has several ways to say
    most of them, but what is said has one translation, so that a model's is right or wrong, and a model that
    has learnt the rules is always right. No English phrase is there twice.

    Args:
        seed: of the choice of the phrases and of those to measure on.

    Returns:
        The 12,000 to train on, and the 1,000 to measure on, of all kinds alike and in random order.

    Example:
    >>> from textrnn.data.starter import starter_phrases
    >>> train, test = starter_phrases()
    >>> len(train), len(test)
    (12000, 1000)
    >>> {pair.source: pair.target for pair in train}["twenty to nine in the morning"]
    'neuf heures moins vingt du matin'
    """
    random = Random(seed)
    train, test = [], []
    for kind, make in _KINDS.items():
        phrases: dict[str, str] = {}
        while len(phrases) < _TRAIN + _TEST:
            source, target = make(random)
            phrases[source] = target
        pairs = [
            Pair(f"starter phrases, {kind} {number}", source, target)
            for number, (source, target) in enumerate(phrases.items(), start=1)
        ]
        random.shuffle(pairs)  # those that are likely are drawn first
        train += pairs[:_TRAIN]
        test += pairs[_TRAIN:]
    random.shuffle(train)
    random.shuffle(test)
    return train, test


def _number(random: Random) -> tuple[str, str]:
    n = _any_number(random, 6)
    return _spoken(random, n), number_in_french(n)


def _date(random: Random) -> tuple[str, str]:
    """A day, perhaps with its weekday and its year, or a month of a year."""
    year = random.choice(_YEARS)
    month = random.randint(1, 12)
    day = random.randint(1, calendar.monthrange(year, month)[1])
    english_month, french_month = list(_MONTHS.items())[month - 1]
    english_year, french_year = f" {_year_in_english(random, year)}", f" {_year_in_french(year)}"
    if random.random() < 0.1:
        return f"in {english_month}{english_year}", f"en {french_month}{french_year}"
    if random.random() < 0.2:
        english_year = french_year = ""
    english_day = _ENGLISH_DAYS[day - 1]
    day_first = f"the {english_day} of {english_month}{english_year}"
    month_first = f"{english_month} the {english_day}{english_year and ','}{english_year}"
    french = f"{'premier' if day == 1 else number_in_french(day)} {french_month}{french_year}"
    if random.random() < 0.4:
        english_weekday, french_weekday = list(_WEEKDAYS.items())[calendar.weekday(year, month, day)]
        day_first = f"{english_weekday} {day_first}"
        month_first = f"{english_weekday}, {month_first}"
        french = f"{french_weekday} {french}"
    return random.choice([day_first, f"on {day_first}", month_first]), f"le {french}"


def _time(random: Random) -> tuple[str, str]:
    """A time of day, to the minute; more than half of them to five minutes."""
    hour = random.choice([*range(24), 0, 12])  # midnight and noon twice: they have words of their own
    minute = random.randrange(60)
    if random.random() < 0.5:
        minute -= minute % 5
    say = random.choice([_time_by_digits, _time_by_hand])
    english, french = say(random, hour, minute)
    before = random.choice(
        [("", ""), ("at ", "à "), ("it is ", "il est "), ("before ", "avant "), ("since ", "depuis ")]
    )
    return before[0] + english, before[1] + french


def _time_by_hand(random: Random, hour: int, minute: int) -> tuple[str, str]:
    """As a clock with hands is read: minutes past an hour, or to the next."""
    to = minute > 30
    hour, minute = ((hour + 1) % 24, 60 - minute) if to else (hour, minute)
    english_hour, english_part = _hour_in_english(hour)
    french_hour, french_part = _hour_in_french(hour)
    if minute == 0:
        clock = "" if hour in (0, 12) else " o'clock"
        return english_hour + clock + english_part, french_hour + french_part
    if minute == 30:
        half = " et demi" if hour in (0, 12) else " et demie"  # midi and minuit are masculine
        return f"half past {english_hour}{english_part}", french_hour + half + french_part
    if minute == 15:
        english, french = random.choice(["a quarter", "quarter"]), "le quart" if to else "et quart"
    else:
        english, french = number_in_english(minute), _feminine(number_in_french(minute))
        if minute % 5:
            english += " minute" if minute == 1 else " minutes"
    sign = " moins " if to else " "
    return (
        f"{english} {'to' if to else 'past'} {english_hour}{english_part}",
        french_hour + sign + french + french_part,
    )


def _time_by_digits(random: Random, hour: int, minute: int) -> tuple[str, str]:
    """As a clock with digits is read: the hour, then the minutes."""
    if minute == 0:
        return _time_by_hand(random, hour, minute)
    minutes = f"oh {_ENGLISH[minute]}" if minute < 10 else number_in_english(minute)
    english_hour, english_part = _hour_in_english(hour, by_digits=True)
    french_hour, french_part = _hour_in_french(hour)
    french = _feminine(number_in_french(minute))
    return f"{english_hour} {minutes}{english_part}", f"{french_hour} {french}{french_part}"


def _hour_in_english(hour: int, by_digits: bool = False) -> tuple[str, str]:
    """The hour of twelve, and the part of the day to which it belongs."""
    if hour in (0, 12) and not by_digits:
        return "noon" if hour else "midnight", ""
    ends = {1: "at night", 12: "in the morning", 18: "in the afternoon", 22: "in the evening", 24: "at night"}
    part = next(part for end, part in ends.items() if hour < end)
    return _ENGLISH[hour % 12 or 12], f" {part}"


def _hour_in_french(hour: int) -> tuple[str, str]:
    if hour in (0, 12):
        return "midi" if hour else "minuit", ""
    part = "du matin" if hour < 12 else "de l'après-midi" if hour < 18 else "du soir"
    return "une heure" if hour % 12 == 1 else f"{_FRENCH[hour % 12]} heures", f" {part}"


def _price(random: Random) -> tuple[str, str]:
    """A sum of euros or dollars, perhaps with cents."""
    unit, french_cent = random.choice([("euro", "centime"), ("dollar", "cent")])
    amount = _any_number(random, random.choice([3, 6]))
    english = f"{_spoken(random, amount)} {unit}{'s' * (amount > 1)}"
    french = f"{number_in_french(amount)} {unit}{'s' * (amount > 1)}"
    if amount < 1_000 and random.random() < 0.7:
        cents = random.randint(1, 99) if random.random() < 0.95 else 1  # so that singulars are not rare
        english += f" and {number_in_english(cents)} cent{'s' * (cents > 1)}"
        french += f" et {number_in_french(cents)} {french_cent}{'s' * (cents > 1)}"
    before = random.choice([("", ""), ("for ", "pour "), ("it costs ", "cela coûte ")])
    return before[0] + english, before[1] + french


_KINDS: dict[str, Callable[[Random], tuple[str, str]]] = {
    "number": _number,
    "date": _date,
    "time": _time,
    "price": _price,
}


def _any_number(random: Random, digits: int) -> int:
    """A number from 1, of up to so many digits, of all lengths alike; one in four is round."""
    digits = random.randint(1, digits)
    n = random.randrange(10 ** (digits - 1), 10**digits)
    if random.random() < 0.25:
        n -= n % 10 ** max(0, digits - random.randint(1, 2))
    return n


def _spoken(random: Random, n: int) -> str:
    """A number as one or another says it: with "and" or without, "one hundred" or "a hundred"."""
    words = number_in_english(n)
    if random.random() < 0.25:
        words = words.replace(" and ", " ")
    if random.random() < 0.5 and words.startswith(("one hundred", "one thousand")):
        words = "a" + words.removeprefix("one")
    return words


def _year_in_english(random: Random, year: int) -> str:
    """In two halves, or as a number."""
    century, rest = divmod(year, 100)
    if century == 20 and (rest < 10 or random.random() < 0.5):
        return number_in_english(year)
    if rest == 0:
        return f"{_ENGLISH[century]} hundred"
    if rest < 10:
        between = random.choice(["oh", "hundred and"])
        return f"{_ENGLISH[century]} {between} {_ENGLISH[rest]}"
    return f"{_small_in_english(century)} {_small_in_english(rest)}"


def _year_in_french(year: int) -> str:
    return _invariable(number_in_french(year))


def _parts(n: int) -> tuple[int, int, int]:
    """Thousands, hundreds and what is below a hundred."""
    if not 0 <= n <= _MOST:
        raise InputError(f"{n} cannot be put into words: give a whole number from 0 to {_MOST:,}")
    return n // 1000, n % 1000 // 100, n % 100


def _small_in_english(n: int) -> str:
    if n < 20:
        return _ENGLISH[n]
    tens, unit = divmod(n, 10)
    return _ENGLISH_TENS[tens] + (f"-{_ENGLISH[unit]}" if unit else "")


def _small_in_french(n: int) -> str:
    if n < 20:
        return _FRENCH[n]
    tens, unit = divmod(n, 10)
    unit += 10 * (tens in (7, 9))
    if n == 80:
        return "quatre-vingts"
    if unit == 0:
        return _FRENCH_TENS[tens]
    between = " et " if unit in (1, 11) and n < 80 else "-"
    return _FRENCH_TENS[tens] + between + _FRENCH[unit]


def _invariable(words: str) -> str:
    """A French number where it does not take the plural's s: before "mille", and in a year."""
    return words.removesuffix("s") if words.endswith(("cents", "vingts")) else words


def _feminine(words: str) -> str:
    """A French number of minutes, which are feminine."""
    return words + "e" if words.endswith("un") else words
