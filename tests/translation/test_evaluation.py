import numpy as np
import pytest

from textrnn.errors import InputError
from textrnn.translation.evaluation import score_translations, sentence_chrf


def test_translations_are_scored_as_sacrebleu_scores_them():
    import sacrebleu

    made = ["Der Hund läuft schnell über die Wiese.", "Eine Frau liest ein Buch.", "Ja."]
    references = ["Der Hund rennt schnell über die Wiese.", "Eine Frau liest ein Buch.", "Nein."]
    score = score_translations(made, references)
    np.testing.assert_allclose(score.bleu, sacrebleu.corpus_bleu(made, [references]).score)
    np.testing.assert_allclose(score.chrf, sacrebleu.corpus_chrf(made, [references]).score)
    assert score.exact_match == 1 / 3
    assert score.sentences == 3
    assert "case:mixed" in score.bleu_signature
    of_sentences = sentence_chrf(made, references)
    assert of_sentences.argmin() == 2
    assert of_sentences[1] == 100


def test_texts_without_spaces_are_scored_by_character():
    import sacrebleu

    references = [
        "一个男人在街上骑着一辆红色的自行车，旁边有一只狗。",
        "两个女孩在公园里的草地上一边吃苹果一边看书。",
    ]
    made = ["一个男人在街上骑着一辆自行车，旁边有一只狗。", "两个女孩在草地上吃苹果。"]
    score = score_translations(made, references)
    expected = sacrebleu.corpus_bleu(made, [references], tokenize="char").score
    np.testing.assert_allclose(score.bleu, expected)
    assert score.bleu > 20
    assert "tok:char" in score.bleu_signature


def test_translations_and_references_must_be_of_equal_number():
    with pytest.raises(InputError, match="2 translations and 1 references"):
        score_translations(["a", "b"], ["a"])
