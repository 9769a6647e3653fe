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


@pytest.mark.parametrize(
    ("references", "made", "tokenizer"),
    [
        (
            ["我喜欢猫。", "他有 3 只 iPhone 手机。"],
            ["我喜欢狗。", "他有 3 只手机。"],
            "zh",
        ),  # short sentences, too
        (["私は猫が好きです。", "京都大学"], ["私は犬が好きです。", "京都"], "char"),
        (["ฉันชอบแมว"], ["ฉันชอบสุนัข"], "char"),
        (["나는 고양이를 좋아해요."], ["나는 개를 좋아해요."], "13a"),
    ],
)
def test_texts_without_spaces_are_scored_by_character(references, made, tokenizer):
    import sacrebleu

    score = score_translations(made, references)
    expected = sacrebleu.corpus_bleu(made, [references], tokenize=tokenizer).score
    np.testing.assert_allclose(score.bleu, expected)
    assert tokenizer == "13a" or score.bleu > 20
    assert f"tok:{tokenizer}" in score.bleu_signature


def test_translations_and_references_must_be_of_equal_number():
    with pytest.raises(InputError, match="2 translations and 1 references"):
        score_translations(["a", "b"], ["a"])
