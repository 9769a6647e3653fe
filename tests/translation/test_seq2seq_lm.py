"""The translator is a KerasHub task: strings in, strings out, presets; padding and company change nothing."""

import subprocess
import sys

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

import textrnn
from textrnn.tokenizers import ByteTokenizer, train_tokenizer

SOURCES = ["one", "two", "three", "one two", "three one"]
TARGETS = ["un", "deux", "trois", "un deux", "trois un"]
PAIRS = {"encoder_text": SOURCES, "decoder_text": TARGETS}


def make_lm(cell="gru", units=24, tokenizers=None, sampler=None, **options):
    tokenizers = tokenizers or [ByteTokenizer()]
    sizes = [tokenizer.vocabulary_size() for tokenizer in tokenizers]
    backbone = textrnn.RecurrentSeq2Seq(*sizes, cell=cell, units=units, **options)
    preprocessor = textrnn.Seq2SeqLMPreprocessor(*tokenizers, decoder_sequence_length=16)
    return textrnn.Seq2SeqLM(backbone, preprocessor, sampler)


def learnt(lm, epochs=60):
    lm.compile(keras.optimizers.Adam(0.02, global_clipnorm=1.0))
    lm.fit({name: texts * 8 for name, texts in PAIRS.items()}, epochs=epochs, verbose=0)
    return lm


def words():
    return [train_tokenizer("word", texts) for texts in (SOURCES, TARGETS)]


@pytest.fixture(scope="module")
def lm():
    return learnt(make_lm(tokenizers=words()), epochs=40)


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "additive", "decoder_cell": "lstm", "num_layers": 2, "dropout": 0.1},
        {"attention": "scaled_dot", "cell": "lstm", "input_feeding": True},
        {"attention": "dot", "tie_embeddings": False, "embedding_dim": 10, "zoneout": 0.05},
    ],
    ids=str,
)
def test_it_learns_from_strings(options):
    lm = learnt(make_lm(tokenizers=words(), **options), epochs=40)
    assert lm.generate(SOURCES) == TARGETS


def test_it_learns_from_bytes():
    lm = learnt(make_lm())
    assert lm.generate(SOURCES) == TARGETS


def test_every_sampler_writes_what_was_learnt(lm):
    samplers = [
        "greedy",
        keras_hub.samplers.BeamSampler(num_beams=2),
        keras_hub.samplers.TopKSampler(k=1),
        textrnn.RowSampler(temperature=0.2),
        textrnn.BeamSearchSampler(num_beams=1),
        textrnn.BeamSearchSampler(num_beams=4, length_penalty=0.6, coverage_penalty=0.2),
    ]
    for sampler in samplers:
        lm.compile(sampler=sampler)
        assert lm.generate(SOURCES) == TARGETS, sampler
    assert lm.generate("three") == "trois"


def test_a_text_can_be_begun_for_it(lm):
    for sampler in ("greedy", "auto"):
        lm.compile(sampler=sampler)
        begun = {"encoder_text": ["one two", "three one"], "decoder_text": ["un", "trois"]}
        assert lm.generate(begun) == ["un deux", "trois un"]


def test_max_length_is_kept(lm):
    lm.compile()
    assert lm.generate(["one two", "one"], max_length=2) == ["un", "un"]


@pytest.mark.parametrize("input_feeding", [False, True])
def test_logits_do_not_depend_on_padding_or_on_the_pairs_beside(input_feeding):
    lm = make_lm("lstm", num_layers=2, input_feeding=input_feeding)
    x, _, _ = lm.preprocessor(PAIRS)
    together = lm.predict(x, verbose=0)
    for row in range(len(SOURCES)):
        alone, y_alone, _ = lm.preprocessor({name: texts[row : row + 1] for name, texts in PAIRS.items()})
        steps = y_alone.shape[1]
        np.testing.assert_allclose(lm.predict(alone, verbose=0)[0], together[row, :steps], atol=1e-5)


def test_what_the_decoder_reads_is_what_it_should_say_one_step_late():
    preprocessor = textrnn.Seq2SeqLMPreprocessor(ByteTokenizer())
    x, y, weights = preprocessor(PAIRS)
    assert (x["decoder_token_ids"][:, 0].numpy() == preprocessor.tokenizer.start_token_id).all()
    np.testing.assert_array_equal(x["decoder_token_ids"][:, 1:], y[:, :-1])
    lengths = [len(target.encode()) + 1 for target in TARGETS]
    np.testing.assert_array_equal(weights, tf.sequence_mask(lengths, max(lengths), tf.float32))
    sources, targets = preprocessor.encode(SOURCES, TARGETS)
    for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
        np.testing.assert_array_equal(source, x["encoder_token_ids"][row, : len(source)])
        np.testing.assert_array_equal(target, y[row, : len(target)])


@pytest.mark.parametrize("separate", [False, True])
def test_a_preset_has_both_tokenizers_and_gives_the_same_answers(separate, tmp_path):
    texts = [SOURCES, TARGETS] if separate else [[*SOURCES, *TARGETS]]
    tokenizers = [train_tokenizer("word", side) for side in texts]
    sampler = textrnn.BeamSearchSampler(num_beams=2, length_penalty=0.5)
    lm = learnt(make_lm("lstm", tokenizers=tokenizers, sampler=sampler), epochs=40)
    lm.save_to_preset(str(tmp_path / "preset"))
    again = textrnn.Seq2SeqLM.from_preset(str(tmp_path / "preset"))
    again.compile()
    assert again.generate(SOURCES) == lm.generate(SOURCES) == TARGETS
    assert again.default_sampler.get_config() == sampler.get_config()
    vocabularies = [again.preprocessor.tokenizer, again.preprocessor.target_tokenizer]
    assert [v.get_vocabulary() for v in vocabularies] == [
        tokenizers[0].get_vocabulary(),
        tokenizers[-1].get_vocabulary(),
    ]


def test_a_preset_loads_in_a_process_that_has_imported_textrnn_alone(tmp_path):
    make_lm().save_to_preset(str(tmp_path / "preset"))
    code = f"import textrnn; textrnn.Seq2SeqLM.from_preset({str(tmp_path / 'preset')!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_one_vocabulary_means_one_table_of_vectors():
    shared, separate = make_lm(), make_lm(tokenizers=[ByteTokenizer(), ByteTokenizer()])
    assert separate.count_params() - shared.count_params() == 258 * 24


def test_pairs_in_batches_train_as_strings_do():
    from textrnn.data.batching import pair_batches

    lm = make_lm()
    sources, targets = lm.preprocessor.encode(SOURCES, TARGETS)
    batches = pair_batches(
        sources, targets, 8, lm.preprocessor.target_tokenizer.start_token_id, shuffle=False
    )
    lm.compile()
    of_strings = lm.evaluate(PAIRS, batch_size=8, verbose=0)
    np.testing.assert_allclose(lm.evaluate(batches, verbose=0), of_strings, rtol=1e-5)


def test_a_blank_batch_has_a_step():
    lm = make_lm()
    lm.compile()
    assert len(lm.generate(["", "one"])) == 2
