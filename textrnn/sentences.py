"""Splitting texts into sentences and joining them again, inside the graph.

The rules are regular expressions of RE2, which a stock TF Serving has. They find the ends of sentences in
languages that mark them. Where it is unclear whether a sentence ends, it does not.
"""

from typing import NamedTuple

import tensorflow as tf

# Unicode reserves these characters for use inside a program. A text that has one is not split.
_CUT, _NEVER, _MAYBE = "\ufdd0", "\ufdd1", "\ufdd2"

_SPACE = r"[\s\x0b\x{85}\p{Z}]"
_BLANK = r"[\t\p{Zs}]"
_LINE_BREAK = rf"{_SPACE}*[\n\r\x0b\x0c\x{{85}}\p{{Zl}}\p{{Zp}}]{_SPACE}*"
_LETTER = r"[\p{Lu}\p{Ll}]"
_BEFORE_WORD = r"(^|[^\pL\pN\pM'’])"
_END = r"[.!?…‽؟۔։።।॥။]+"
_CLOSE = rf"(?:[\"'”’»›“)\]]|{_BLANK}[»›]|{_BLANK}?[\p{{So}}\x{{1F3FB}}-\x{{1F3FF}}\x{{FE0F}}\x{{200D}}])*"
_OPEN = rf"(?:[\"'“‘„«‹(\[¿¡–—-]{_BLANK}*)*"
_UNSPACED_END = r"[。！？｡]+"
_UNSPACED_CLOSE = r"[”’」』）》\"')]"

# No sentence ends after these.
_TITLES = (
    "Mr Mrs Ms Messrs Mx Dr Prof Rev Hon St Mt Gen Col Capt Lt Sgt Sen Rep Gov Pres Hr Hrn Fr Frl Dipl "
    "Ing Mme Mlle Mgr MM M Ste Sr Sra Srta Sres Dra Lic Sig Dott Avv Exmo dhr mevr mw EE"
)
_SHORT = (
    "vs cf viz approx ca bzw evtl ggf inkl exkl vgl sog Mio Mrd zzgl geb gest bspw env éd pág aprox "
    "bijv resp ul гл ул см z[.]B d[.]h u[.]a o[.]a v[.]a s[.]o e[.]g i[.]e p[.]ex p[.]ej t[.]ex bl[.]a "
    "d[.]w[.]z m[.]in"
)
# Nor after these before a number, such as "No. 5".
_BEFORE_NUMBER = (
    "No Nos no Nr Num Núm núm Fig Figs fig Eq Sec Ch Vol vol pp p S Art art Abs Bd Kap Cap cap Tel tel "
    "Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Okt Nov Dec Dez Mon Tue Wed Thu Fri Sat Sun"
)
# After these, initials and numbers, a sentence ends only before one of `_STARTERS`.
_UNCLEAR = "UU Inc Ltd Co Corp Bros Jr al Jh Str min Std Ud Uds"
_STARTERS = (
    "The This That These Those There Then They It He She We You I His Her Its My Our Your Their But And "
    "If When While Where What Why How Who However For In On At After Before As So Not No Yes Also "
    "Although Because Since Some Many Most All Each Every Here Now Once Only Perhaps Der Die Das Ein "
    "Eine Er Sie Es Wir Ich Ihr Dies Diese Dieser Dieses Dann Danach Doch Aber Und Oder Wenn Als Im Auf "
    "Bei Für Mit Nach Von Vor Zum Auch Noch Nun Was Wer Wie Wo Warum Seit Während Il Elle Ils Elles "
    "Nous Vous Je Tu Ce Cette Ces C J Un Une Mais Ou Donc Si Quand Dans Pour Avec Sans Après Avant Puis "
    "Alors Comme Qui Que Notre Leur Él Ella Ellos Ellas Yo Nosotros Usted Esto Esta Este Estos Estas "
    "Ese Una Pero Y Cuando Donde Qué Quién En Con Para Por Después Antes Luego Entonces Su Sus Hay Он "
    "Она Оно Они Мы Вы Это Но И А В На Как Что Когда Если"
)


def _any_of(names: str) -> str:
    """An expression for one of some names; their full stops may be followed by a blank."""
    return "(?:" + "|".join(names.split()).replace("[.]", rf"[.]{_BLANK}?") + ")"


_NUMBER = r"(?:^|[^\pL\pN\pM.,:'’])\pN{1,2}"
_RULES = (
    # Line breaks end sentences.
    (f"({_LINE_BREAK})", rf"{_CUT}\1{_CUT}"),
    # Full stops that end no sentence, among them those of a numbered list
    (rf"((?:^|{_CUT})[(]?(?:\pN{{1,3}}|{_LETTER}|[ivxIVX]{{1,4}})[.])", rf"\1{_NEVER}"),
    (rf"{_BEFORE_WORD}({_any_of(_TITLES + ' ' + _TITLES.upper() + ' ' + _SHORT)}[.])", rf"\1\2{_NEVER}"),
    (rf"{_BEFORE_WORD}({_any_of(_BEFORE_NUMBER)}[.])({_SPACE}*\pN)", rf"\1\2{_NEVER}\3"),
    # Full stops of which it is unclear
    (rf"{_BEFORE_WORD}((?:{_LETTER}[.])*(?:{_LETTER}|{_any_of(_UNCLEAR)})[.])", rf"\1\2{_MAYBE}"),
    (rf"({_NUMBER}[.])", rf"\1{_MAYBE}"),
    # Ends of sentences
    (rf"({_END}{_CLOSE})({_BLANK}+)({_OPEN}[\p{{Lu}}\p{{Lt}}\p{{Lo}}\pN])", rf"\1{_CUT}\2{_CUT}\3"),
    (rf"{_MAYBE}({_CLOSE})({_BLANK}+)({_OPEN}{_any_of(_STARTERS)}[\s\p{{Z}},'’])", rf"\1{_CUT}\2{_CUT}\3"),
    (rf"({_UNSPACED_END})({_BLANK}*)([^\s\p{{Z}}{_CUT}\p{{Pe}}\p{{Pf}}\p{{Po}}])", rf"\1{_CUT}\2{_CUT}\3"),
    (rf"({_UNSPACED_END}{_UNSPACED_CLOSE}+)({_BLANK}+)([^\s\p{{Z}}{_CUT}])", rf"\1{_CUT}\2{_CUT}\3"),
    (rf"({_UNSPACED_END}{_UNSPACED_CLOSE}+)([「『“（《])", rf"\1{_CUT}{_CUT}\2"),
)  # fmt: skip
_LOWERCASE_RULE = (rf"([^.](?:[.]|[!?]+))({_BLANK}+)(\p{{Ll}})", rf"\1{_CUT}\2{_CUT}\3")


class Sentences(NamedTuple):
    """The sentences of texts.

    Attributes:
        texts: Strings, ragged `(texts, (sentences))`; at least one for each text.
        spaces: The white space after each sentence, of the same shape.
        before: The white space before the first sentence, strings `(texts,)`.
    """

    texts: tf.RaggedTensor
    spaces: tf.RaggedTensor
    before: tf.Tensor

    def kept(self, which):
        """The sentences for which `which`, booleans `(all sentences,)`, is True."""
        texts, spaces = (
            tf.ragged.boolean_mask(part, part.with_values(which)) for part in (self.texts, self.spaces)
        )
        return Sentences(texts, spaces, self.before)


def whole(texts) -> Sentences:
    """Texts as one sentence each.

    Args:
        texts: Strings, `(texts,)`.
    """
    texts = tf.convert_to_tensor(texts, tf.string)
    one = tf.RaggedTensor.from_uniform_row_length(texts, 1, nrows=tf.shape(texts, tf.int64)[0])
    return Sentences(one, one.with_values(tf.fill(tf.shape(texts), "")), tf.fill(tf.shape(texts), ""))


def sentences_of(texts) -> Sentences:
    r"""Split texts into sentences.

    Line breaks end sentences. Full stops do so before white space and a capital letter, but not those of
    abbreviations, initials and ordinal numbers. A text of one sentence stays as it is, white space included.

    Args:
        texts: Strings, `(texts,)`, in any language.

    Returns:
        `Sentences`. Joined, they are the text.

    Example:

    >>> from textrnn.sentences import sentences_of
    >>> sentences_of(["Dr. Li paid $3.50. Why?\nNobody knows..."]).texts.to_list()
    [[b'Dr. Li paid $3.50.', b'Why?', b'Nobody knows...']]
    """
    texts = tf.convert_to_tensor(texts, tf.string)
    from_first = tf.strings.regex_replace(texts, rf"\A{_SPACE}+", "")
    body = tf.strings.regex_replace(from_first, rf"{_SPACE}+\z", "")
    first = tf.strings.length(texts) - tf.strings.length(from_first)
    before = tf.strings.substr(texts, tf.zeros_like(first), first)
    after = tf.strings.substr(texts, first + tf.strings.length(body), tf.fill(tf.shape(texts), tf.int32.max))
    marked = body
    for pattern, rewrite in _RULES:
        marked = tf.strings.regex_replace(marked, pattern, rewrite)
    is_lowercase = tf.strings.regex_full_match(body, r"(?s)[^\p{Lu}\p{Lt}]*")
    marked = tf.where(is_lowercase, tf.strings.regex_replace(marked, *_LOWERCASE_RULE), marked)
    marked = tf.strings.regex_replace(marked, f"[{_NEVER}{_MAYBE}]", "")
    without_marks = tf.strings.regex_replace(texts, f"[{_CUT}{_NEVER}{_MAYBE}]", "")
    parts = tf.strings.split(tf.where(tf.equal(without_marks, texts), marked, ""), _CUT)
    is_one = tf.equal(parts.row_lengths(), 1)
    # Not `tf.where`, which would copy the whole text for each part
    unsplit = tf.ragged.boolean_mask(texts[:, tf.newaxis], is_one[:, tf.newaxis])
    split = tf.ragged.boolean_mask(parts, parts.with_values(~tf.gather(is_one, parts.value_rowids())))
    parts = tf.concat([unsplit, split], axis=1)
    after = tf.where(is_one, "", after)[:, tf.newaxis]
    return Sentences(parts[:, ::2], tf.concat([parts[:, 1::2], after], axis=1), tf.where(is_one, "", before))


def join_sentences(sentences: Sentences, texts=None):
    r"""Join sentences, or other texts in their place.

    Args:
        sentences: `Sentences`.
        texts: Strings, `(all sentences, ...)`, in the place of the sentences, such as several translations of
            each. White space between them is then adapted: none after "。", and some after other ends.

    Returns:
        Strings, `(texts, ...)`.

    Example:

    >>> from textrnn.sentences import join_sentences, sentences_of
    >>> sentences = sentences_of(["One.\n\nTwo.", "你好。再见。"])
    >>> join_sentences(sentences, ["Un.", "Deux.", "Hello.", "Bye."]).numpy().tolist()
    [b'Un.\n\nDeux.', b'Hello. Bye.']
    """
    before, spaces, rows = sentences.before, sentences.spaces.values, sentences.texts.value_rowids()
    if texts is None:
        texts = sentences.texts.values
    else:
        texts = tf.convert_to_tensor(texts, tf.string)
        inner = tf.concat(
            [tf.equal(rows[1:], rows[:-1]), tf.fill([tf.minimum(tf.size(rows), 1)], False)], axis=0
        )
        before, spaces, inner = (
            tf.reshape(x, [-1] + [1] * (texts.shape.rank - 1)) for x in (before, spaces, inner)
        )
        unspaced = tf.strings.regex_full_match(texts, rf"(?s).*{_UNSPACED_END}{_UNSPACED_CLOSE}*")
        spaces = tf.where(inner & unspaced & tf.equal(spaces, " "), "", spaces)
        spaces = tf.where(inner & ~unspaced & tf.equal(spaces, ""), " ", spaces)
    return before + tf.strings.unsorted_segment_join(texts + spaces, rows, sentences.texts.nrows())


def sentence_counts(texts):
    """The number of sentences of texts, int `(texts,)`; 0 for blank ones.

    Example:

    >>> from textrnn.sentences import sentence_counts
    >>> sentence_counts(["Dr. Li came at 3 p.m. and left. Why?", "a sentence", " "]).numpy().tolist()
    [2, 1, 0]
    """
    texts = tf.convert_to_tensor(texts, tf.string)
    return tf.where(are_blank(texts), tf.constant(0, tf.int64), sentences_of(texts).texts.row_lengths())


def are_blank(texts):
    r"""Whether texts have nothing but white space of Unicode, booleans `(texts,)`.

    Example:

    >>> from textrnn.sentences import are_blank
    >>> are_blank(["", " \u3000\n", "a"]).numpy().tolist()
    [True, True, False]
    """
    return tf.strings.regex_full_match(texts, f"{_SPACE}*")


def are_sentences(texts, sample=2000) -> bool:
    """Whether most of some texts are single sentences.

    Args:
        texts: A list of str.
        sample: Number of texts to look at, evenly spaced.

    Example:

    >>> from textrnn.sentences import are_sentences
    >>> are_sentences(["One.", "Two.", "Three. Four."]), are_sentences(["One. Two.", "Three. Four."])
    (True, False)
    """
    counts = sentence_counts(texts[:: -(-len(texts) // sample) or 1])
    return bool(tf.reduce_mean(tf.cast(counts > 1, tf.float32)) <= 0.5)
