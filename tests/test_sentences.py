"""Texts are split at the ends of their sentences in several languages, and nothing is lost."""

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from textrnn.sentences import join_sentences, sentence_counts, sentences_of

SPLIT = """\
It rains.|It pours.
it rains.|it pours.
Does it?|Yes!|It does...
Well... maybe.
Wait…|What?
What?!|No way!|Really??|Yes.
THE END.|MR. SMITH LEFT.|WHY?
He ran.  |She sat.
Mr. Smith saw Dr. Jones.|He left.
Prof. Dr. M. Li met Mrs. Day at 3.30 p.m. on Sunday.
It costs 3.5 dollars.|He paid $3.50.|She left.
J. R. R. Tolkien wrote it.|I read it.
J. I. Packer wrote it.
He lives in the U.S. Senate.
He lives in the U.S.|The weather is good.
At 3 p.m. Monday he left.|At 3 p.m.|I left.
Fruit, e.g. Apples, is good.|Eat it!
Das ist z. B. Die Zeit.|Gut.
Am 3. Mai kam er.|Am 4.|Er ging.
Im 19. Jahrhundert, d. h. Früher.|Ja.
I was born in 1990.|She was not.
See No. 5 and Fig. 3.|This is it.
No.|He did not.
Apple Inc. Chairman Bob spoke.
1. The cat sleeps.|Good.
Visit www.example.com.|Then call.
"Go!"|She went.
"Really?" he asked.
He said: "I came.|I saw."|Then he left.
(He left.)|Then she came.
„Komm!“|Er ging.
« Bonjour. »|Elle partit.
Vraiment ?|Oui !|M. Dupont est là.|Mme Martin aussi.
¿Vienes?|¡Claro!|El Sr. García vive en EE. UU. y trabaja.
Он пришёл в 1990 г.|В городе было тихо.
А. С. Пушкин родился.|Он писал.
我来了。|他走了。
他说：“你好。”然后走了。
「はい。」と言った。|次へ。
नमस्ते।|आप कैसे हैं?
سؤال؟|نعم.
Great! 😀|Let's go.
- one
"""


@pytest.fixture(scope="module")
def found():
    """The sentences of all examples, split at once."""
    texts = [line.replace("|", " ") for line in SPLIT.splitlines()]
    return dict(zip(SPLIT.splitlines(), sentences_of(texts).texts.to_list(), strict=True))


@pytest.mark.parametrize("line", SPLIT.splitlines())
def test_sentences_end_where_a_reader_expects(found, line):
    assert [text.decode() for text in found[line]] == [text.strip() for text in line.split("|")]


def test_line_breaks_end_sentences_and_are_kept():
    texts = ["One line\nAnother line\n\nThe last line", " - one\r\n - two.\n", "1. The cat\u20282. The dog"]
    found = sentences_of(texts)
    assert found.texts.to_list() == [
        [b"One line", b"Another line", b"The last line"],
        [b"- one", b"- two."],
        [b"1. The cat", b"2. The dog"],
    ]
    assert found.spaces.to_list()[:2] == [[b"\n", b"\n\n", b""], [b"\r\n ", b"\n"]]
    assert found.before.numpy().tolist() == [b"", b" ", b""]


def test_a_text_of_one_sentence_stays_as_it_is():
    texts = ["", " \n ", " One.\n", "a\ufdd0b. C. D\nE", "a b "]
    assert sentences_of(texts).texts.to_list() == [[text.encode()] for text in texts]
    assert sentence_counts(texts).numpy().tolist() == [0, 0, 1, 1, 1]


def test_scripts_without_spaces_are_joined_without_them_and_others_with():
    found = sentences_of(["One. Two.\nThree. ", "你好。再见。"])
    made = [["一。", "Un."], ["二。", "Deux."], ["三。", "Trois."], ["你好。", "Hello."], ["再见。", "Bye."]]
    joined = [[text.decode() for text in row] for row in join_sentences(found, made).numpy()]
    assert joined == [["一。二。\n三。 ", "Un. Deux.\nTrois. "], ["你好。再见。", "Hello. Bye."]]


def test_nothing_is_found_in_no_texts():
    none = tf.constant([], tf.string)
    assert join_sentences(sentences_of(none)).shape == (0,) and sentence_counts(none).shape == (0,)


def test_a_long_text_is_split_in_linear_time():
    text = "Mr. Smith saw it. He left at 3 p.m. and came. " * 5000
    assert sentence_counts([text, text * 2]).numpy().tolist() == [10000, 20000]


PIECES = st.sampled_from(
    [*"aAbI.!?…\"'(« \n\t\r1«»。」é😀\u3000\u2028\ufdd0\ufdd1\ufdd2", "Mr.", "z. B.", "3.", "The "]
)
TEXTS = st.lists(PIECES, max_size=25).map(lambda pieces: "".join(pieces).encode()) | st.binary(max_size=25)


@given(st.lists(TEXTS, min_size=10, max_size=60))
def test_joined_sentences_are_the_text(texts):
    found = sentences_of(texts)
    assert join_sentences(found).numpy().tolist() == texts
    sentences = found.texts.to_list()
    assert all(row and (len(row) == 1 or all(text.strip() for text in row)) for row in sentences)
    alone = sentences_of(texts[:1])
    assert alone.texts.to_list()[0] == sentences[0]
