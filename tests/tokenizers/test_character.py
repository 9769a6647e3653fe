"""The character tokenizer. What it shares with SentencePiece is tested there."""

from textrnn.tokenizers import CharacterTokenizer, sentencepiece


def test_every_character_is_one_token(trained, rose):
    tokenizer = trained["character"]
    assert len(tokenizer(rose)) == len(rose)
    assert set(tokenizer.get_vocabulary()[260:]) == set(rose.replace(" ", "▁")) - {"\n"}


def test_long_texts_are_sampled(monkeypatch):
    monkeypatch.setattr(sentencepiece, "MAX_TRAINING_CHARACTERS", 10_000)
    tokenizer = CharacterTokenizer.train(["a" * 40_000, "b" * 40_000])
    assert set(tokenizer.get_vocabulary()[260:]) == {"a", "b", "▁"}
