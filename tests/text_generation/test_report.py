from textrnn.text_generation.report import unknown_word_warnings
from textrnn.tokenizers import CharacterTokenizer, WordTokenizer


def test_unknown_words_are_warned_about_from_a_tenth_on():
    tokenizer = WordTokenizer.train(["e4 e5 Nf3 Nc6"])
    rare, common = tokenizer("e4 " * 91 + "b3 " * 9), tokenizer("e4 " * 90 + "b3 " * 10)
    assert unknown_word_warnings(tokenizer, rare) == []
    assert "10% of the validation tokens are <unk>" in unknown_word_warnings(tokenizer, common)[0]


def test_an_empty_validation_text_and_a_tokenizer_that_knows_all_have_no_unknown_words():
    assert unknown_word_warnings(WordTokenizer.train(["e4 e5"]), []) == []
    assert unknown_word_warnings(CharacterTokenizer.train(["e4 e5"]), [1, 1, 1]) == []
