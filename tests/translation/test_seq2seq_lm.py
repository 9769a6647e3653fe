"""A translator is a KerasHub task: strings in, strings out, presets, and independent rows."""

import subprocess
import sys

import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from builders.translators import PAIRS, SOURCES, TARGETS, make_translator, trained, word_tokenizers

import textrnn
from textrnn.tokenizers import ByteTokenizer, WordTokenizer

GREEDY = textrnn.RowSampler(temperature=0)


@pytest.fixture(scope="module")
def lm():
    return trained(make_translator(word_tokenizers()))


@pytest.fixture(scope="module")
def lm_of_bytes():
    return trained(make_translator([ByteTokenizer()], cell="lstm"), epochs=60)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            {"attention": "additive", "decoder_cell": "lstm", "num_layers": 2, "dropout": 0.1},
            marks=pytest.mark.slow,
        ),
        {"attention": "scaled_dot", "cell": "lstm", "input_feeding": True},
        pytest.param(
            {"attention": "dot", "tie_embeddings": False, "embedding_dim": 10, "zoneout": 0.05},
            marks=pytest.mark.slow,
        ),
    ],
    ids=str,
)
def test_a_translator_learns_from_strings(options):
    lm = trained(make_translator(word_tokenizers(), sampler=GREEDY, **options))
    assert lm.generate(SOURCES) == TARGETS


@pytest.mark.slow
def test_a_translator_learns_from_bytes(lm_of_bytes):
    lm_of_bytes.compile(sampler=GREEDY)
    assert lm_of_bytes.generate(SOURCES) == TARGETS


@pytest.mark.parametrize(
    "sampler",
    [
        "greedy",
        pytest.param(keras_hub.samplers.BeamSampler(num_beams=2), marks=pytest.mark.slow),
        pytest.param(textrnn.RowSampler(temperature=0.2), marks=pytest.mark.slow),
        textrnn.BeamSearchSampler(num_beams=4, length_penalty=0.6, coverage_penalty=0.2),
    ],
)
def test_every_sampler_translates(lm, sampler):
    lm.compile(sampler=sampler)
    assert lm.generate(SOURCES) == TARGETS


@pytest.mark.parametrize("sampler", ["greedy", GREEDY])
def test_a_translation_continues_a_given_beginning(lm, sampler):
    lm.compile(sampler=sampler, run_eagerly=True)
    begun = {"encoder_text": ["one two", "three one"], "decoder_text": ["un", "trois"]}
    assert lm.generate(begun) == ["un deux", "trois un"]


def test_max_length_limits_a_translation(lm):
    lm.compile(sampler=GREEDY, run_eagerly=True)
    assert lm.generate(["one two", "one"], max_length=2) == ["un", "un"]
    assert lm.generate("three") == "trois"


@pytest.mark.parametrize("input_feeding", [False, True])
def test_logits_do_not_depend_on_padding_or_other_pairs(input_feeding):
    lm = make_translator([ByteTokenizer()], "lstm", num_layers=2, input_feeding=input_feeding)
    x, _, _ = lm.preprocessor(PAIRS)
    together = np.asarray(lm(x))
    for row in range(len(SOURCES)):
        alone, y_alone, _ = lm.preprocessor({name: texts[row : row + 1] for name, texts in PAIRS.items()})
        steps = y_alone.shape[1]
        np.testing.assert_allclose(lm(alone)[0], together[row, :steps], atol=1e-5)


def test_the_decoder_reads_its_targets_one_step_late():
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


@pytest.mark.parametrize("name", ["lm", pytest.param("lm_of_bytes", marks=pytest.mark.slow)])
def test_a_preset_has_its_tokenizers_and_gives_the_same_translations(name, request, tmp_path):
    learned = request.getfixturevalue(name)
    sampler = textrnn.BeamSearchSampler(num_beams=2, length_penalty=0.5)
    lm = textrnn.Seq2SeqLM(learned.backbone, learned.preprocessor, sampler)
    lm.save_to_preset(str(tmp_path / "preset"))
    again = textrnn.Seq2SeqLM.from_preset(str(tmp_path / "preset"))
    for model in (lm, again):
        model.compile(run_eagerly=True)  # tracing a beam search takes seconds
    assert again.generate(SOURCES) == lm.generate(SOURCES) == TARGETS
    assert again.default_sampler.get_config() == sampler.get_config()
    for side in ("tokenizer", "target_tokenizer"):
        ours, theirs = (getattr(each.preprocessor, side).get_vocabulary() for each in (lm, again))
        assert ours == theirs


def test_presets_have_their_tokenizers_where_models_share_them(tmp_path):
    french, german = (WordTokenizer.train([text]) for text in ("un chat", "eine Katze"))
    there, back, same = (
        make_translator(sides) for sides in ([french, german], [german, french], [german] * 2)
    )
    lm = textrnn.CausalLM(
        textrnn.RecurrentBackbone(german.vocabulary_size(), units=4), textrnn.CausalLMPreprocessor(german)
    )
    for number, model in enumerate((there, back, same, lm)):
        model.save_to_preset(str(tmp_path / f"{number}"))
        again = type(model).from_preset(str(tmp_path / f"{number}"))
        for side in ("tokenizer", "target_tokenizer")[: 1 if model is lm else 2]:
            ours, theirs = (getattr(each.preprocessor, side).get_vocabulary() for each in (model, again))
            assert ours == theirs, (number, side)
        again.save_to_preset(str(tmp_path / f"{number} again"))
        lm_again = textrnn.CausalLM(
            lm.backbone, textrnn.CausalLMPreprocessor(again.preprocessor.tokenizers[-1])
        )
        lm_again.save_to_preset(str(tmp_path / f"{number} alone"))
        alone = textrnn.CausalLM.from_preset(str(tmp_path / f"{number} alone"))
        assert alone.preprocessor.tokenizer.get_vocabulary() == ours


@pytest.mark.slow
def test_a_preset_loads_in_a_process_that_imports_textrnn_only(tmp_path):
    make_translator([ByteTokenizer()]).save_to_preset(str(tmp_path / "preset"))
    code = f"import textrnn; textrnn.Seq2SeqLM.from_preset({str(tmp_path / 'preset')!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_shared_vocabulary_has_one_embedding():
    shared, separate = (make_translator([ByteTokenizer()] * sides) for sides in (1, 2))
    assert separate.count_params() - shared.count_params() == 258 * 24


def test_batches_of_pairs_have_the_loss_of_strings():
    from textrnn.data.batching import pair_batches

    lm = make_translator([ByteTokenizer()])
    sources, targets = lm.preprocessor.encode(SOURCES, TARGETS)
    batches = pair_batches(
        sources, targets, 8, lm.preprocessor.target_tokenizer.start_token_id, shuffle=False
    )
    lm.compile()
    of_strings = lm.evaluate(PAIRS, batch_size=8, verbose=0)
    np.testing.assert_allclose(lm.evaluate(batches, verbose=0), of_strings, rtol=1e-5)


@pytest.mark.parametrize("splits", [True, False])
def test_the_translation_of_a_blank_source_is_empty(lm, splits, monkeypatch):
    monkeypatch.setattr(lm.preprocessor, "split_sentences", splits)
    lm.compile(sampler=GREEDY, run_eagerly=True)
    assert lm.generate(["", "one", "\u3000", " \n"]) == ["", "un", "", ""]
    assert lm.generate(["\u00a0"]) == [""] and lm.generate("") == ""


def test_a_beginning_that_leaves_no_room_is_refused(lm):
    lm.compile(sampler=GREEDY, run_eagerly=True)
    begun = {"encoder_text": ["one two"], "decoder_text": ["un deux trois"]}
    with pytest.raises(
        textrnn.InputError, match=r"beginning of a target of 4 tokens .* max_length=5 or more"
    ):
        lm.generate(begun, max_length=4)
    with pytest.raises(textrnn.InputError, match="strip_prompt is for models that continue their prompts"):
        lm.generate(["one"], strip_prompt=True)


def test_source_vectors_have_a_width_of_their_own_with_a_vocabulary_of_their_own():
    sizes = {"vocabulary_size": 9, "target_vocabulary_size": 7, "units": 4, "embedding_dim": 3}
    backbone = textrnn.RecurrentSeq2Seq(**sizes, source_embedding_dim=5)
    again = textrnn.RecurrentSeq2Seq.from_config(backbone.get_config())
    assert again.source_embedding.embeddings.shape == (9, 5)
    assert again.target_embedding.embeddings.shape == (7, 3)
    with pytest.raises(textrnn.InputError, match="source_embedding_dim is 5, but both sides share"):
        textrnn.RecurrentSeq2Seq(9, units=4, source_embedding_dim=5)
    assert textrnn.RecurrentSeq2Seq(9, units=4, source_embedding_dim=4).embedding_dim == 4
