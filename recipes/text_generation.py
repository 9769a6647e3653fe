r"""Text generation: train a recurrent language model on your text, and serve it.

    python recipes/text_generation.py --data my_novel.txt --name novel
    python recipes/text_generation.py --dataset shakespeare --tokenizer character --units 512 \
        --embedding_dim 128 --dropout 0.25 --learning_rate 0.004 --epochs 8 --name shakespeare
    python recipes/text_generation.py --from_preset saved_models/novel --data sequel.txt --name sequel

Without `--data` and `--dataset` it trains on the reference text inside Python, in minutes on two cores. The
second command reaches 2.08 bits per character on the last tenth of tiny Shakespeare in 9 minutes.

It leaves, in `<output>/<name>/`: `<version>/`, a SavedModel for TF Serving; `preset/`, for `--from_preset`
and for `textrnn.CausalLM.from_preset`; and `report/`, with the options, scores, curves and samples.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from textrnn.cli import recipes
from textrnn.errors import InputError


@dataclass(frozen=True)
class Options:
    """What to train on, what to train, and how.

    Args:
        data: Your text: a UTF-8 file, or a folder whose files are one document each.
        dataset: A public text instead of your own: shakespeare, wikitext-2 or ptb.
        held_out: The last part of the text is kept back to measure on (if a data set has no part for that).
        from_preset: Go on training from a model of an earlier run (saved_models/NAME). The tokenizer, cell,
            sizes and dropout are then that model's, and the flags for them are not used; only a cell class of
            your own has to be named again.
        tokenizer: What a token is: sentencepiece (pieces of words), character, byte or word. All but word
            give every text back exactly.
        vocabulary_size: How many different tokens; chosen by the size of the text if left out.
        cell: The recurrent cell: a name (`textrnn cells` lists them), or module:attribute for a GateSpec or a
            cell class of your own in module.py.
        units: The width of the recurrent layers.
        layers: How many recurrent layers.
        embedding_dim: The width of the token vectors; as wide as the layers if left out.
        dropout: The fraction of each layer's inputs and outputs to drop while training; between layers the
            same at all steps of a sequence.
        recurrent_dropout: The fraction of the recurrent state to drop while training.
        weight_drop: The fraction of the recurrent weights to drop while training, as AWD-LSTM does.
        zoneout: How likely a unit of the recurrent state keeps its old value while training.
        embedding_dropout: The fraction of the vocabulary to drop while training: whole tokens, for a batch.
        ar: Activation regularization: how much the mean square of the last layer's outputs adds to the
            training loss; 2 in AWD-LSTM (alpha). Held-out scores are without it, and without the next.
        tar: Temporal activation regularization: how much the mean square of their change from token to token
            adds; 1 in AWD-LSTM (beta).
        sequence_length: How many tokens backpropagation goes back through; the state goes on beyond.
        restart_probability: How often a row of the batch starts with an empty state, as every prompt will.
        batch_size: How many places of the text are read side by side.
        epochs: How often the text is read.
        learning_rate: The highest learning rate; it warms up and then falls to zero.
        clipnorm: Gradients are scaled down to this global norm.
        seed: For the initial weights and dropout.
        sample_prompt: What the samples continue; the first words of the held-out text if left out.
        temperature: How the model samples: higher is more surprising, 0 takes the likeliest token. It and the
            next two are the preset's, or 0.8, 0 and 1, if left out.
        top_k: Sample among this many tokens; 0 for all.
        top_p: Sample among the likeliest tokens that reach this probability; 1 for all.
        max_new_tokens: How many tokens a sample, or an answer of the served model, has at the most.
        name: The model's name, for its folder and its address.
        output: The folder of all models.
    """

    data: Path | None = None
    dataset: str | None = None
    held_out: float = 0.1
    from_preset: Path | None = None
    tokenizer: str = "sentencepiece"
    vocabulary_size: int | None = None
    cell: str = "lstm"
    units: int = 256
    layers: int = 1
    embedding_dim: int | None = None
    dropout: float = 0.2
    recurrent_dropout: float = 0.0
    weight_drop: float = 0.0
    zoneout: float = 0.0
    embedding_dropout: float = 0.0
    ar: float = 0.0
    tar: float = 0.0
    sequence_length: int = 64
    restart_probability: float = 0.05
    batch_size: int = 32
    epochs: int = 10
    learning_rate: float = 3e-3
    clipnorm: float = 1.0
    seed: int = 0
    sample_prompt: str | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    max_new_tokens: int = 100
    name: str = "text_generation"
    output: Path = Path("saved_models")


def main(options: Options):
    """Trains, evaluates, reports and exports."""
    import keras

    from textrnn import files, training
    from textrnn.data.windows import evaluation_windows, stream, windows
    from textrnn.export import publish
    from textrnn.presets import save_preset
    from textrnn.reporting import report
    from textrnn.text_generation import evaluation, signatures
    from textrnn.tokenizers import encode_documents

    check(options)
    keras.utils.set_random_seed(options.seed)
    folder = options.output / options.name

    # === Data and model ===
    train_texts, held_out_texts = load_texts(options)
    lm = load_model(options) if options.from_preset else new_model(options, train_texts)
    tokenizer = lm.preprocessor.tokenizer
    train_stream, held_out_stream = (
        stream(encode_documents(tokenizer, texts), tokenizer.end_token_id)
        for texts in (train_texts, held_out_texts)
    )
    origin = str(options.data or options.dataset or "the starter corpus")
    train = windows(
        train_stream, options.batch_size, options.sequence_length, options.restart_probability, origin
    )
    held_out = evaluation_windows(held_out_stream, batch_size=8, sequence_length=256, origin=origin)
    characters = sum(len(document.text) for document in held_out_texts)
    print(
        f"{len(train_stream):,} tokens to train on and {len(held_out_stream):,} held out, "
        f"{tokenizer.vocabulary_size():,} different; {lm.count_params():,} weights",
        flush=True,
    )

    # === Training: truncated backpropagation, the state carried from window to window ===
    schedule = training.warmup_cosine(options.learning_rate, steps=len(train) * options.epochs)
    lm.compile(keras.optimizers.Adam(schedule, global_clipnorm=options.clipnorm))
    prompt = options.sample_prompt
    if prompt is None:  # the first words of a line that the model has not seen
        prompt = " ".join(held_out_texts[0].text.partition("\n")[2].split()[:4])
    complete = signatures.text_completer(lm)

    def sample(epoch=0):
        return complete(prompt, max_new_tokens=options.max_new_tokens, seed=options.seed + epoch)

    files.set_aside(folder / "report")
    result = training.fit(
        lm,
        train,
        epochs=options.epochs,
        callbacks=[
            training.Evaluate(
                evaluation.held_out_metrics(lm, held_out, characters),
                every=2000,  # batches
            ),
            training.SampleText(sample, folder / "report" / "samples.txt"),
        ],
        progress=training.ProgressBar("tok", options.batch_size * options.sequence_length),
    )

    save_preset(lm, folder)  # first of all: what has been learnt is safe

    # === Evaluation and report, on the best weights ===
    score = evaluation.language_model(lm, held_out, characters)
    print(f"held out: {score}")
    metrics = {
        "held_out_loss": score.loss,
        "held_out_perplexity": score.perplexity,
        "held_out_bits_per_character": score.bits_per_character,
        "best_epoch": result.best_epoch,
        "stopped": result.stopped,
        "training_seconds": result.seconds,
        "training_tokens_per_second": result.items_per_second,
    }
    report.save_report(
        folder / "report", options=options, metrics=metrics, history=result.history, seed=options.seed
    )

    # === SavedModel ===
    print(f"\n{sample()}\n")
    ask = f"generate {folder} --prompt {shlex.quote(prompt)}"
    publish(lm, folder, result, ask, max_new_tokens=options.max_new_tokens, warmup_prompts=[prompt])


def check(options):
    """Says what cannot be before the long work begins."""
    whole = ("units", "layers", "sequence_length", "batch_size", "epochs", "embedding_dim", "vocabulary_size")
    fractions = (
        "dropout", "recurrent_dropout", "weight_drop", "zoneout", "embedding_dropout", "restart_probability"
    )  # fmt: skip
    recipes.check_options(options, whole, fractions)
    for name in ("ar", "tar"):
        value = getattr(options, name)
        if not 0 <= value < float("inf"):
            raise InputError(f"--{name} {value}: give 0 or more")
    if options.max_new_tokens < 0:
        raise InputError(f"--max_new_tokens {options.max_new_tokens}: give 0 or more")
    recipes.check_cell(options)


def load_texts(options):
    """The documents to train on, and those to measure on."""
    from textrnn.data import datasets, documents, starter

    if options.data and options.dataset:
        raise InputError("--data and --dataset: give one of them")
    if options.data:
        return documents.split_documents(documents.read_documents(options.data), options.held_out)
    if not options.dataset:
        print("The starter corpus: the reference text inside Python. Give --data for your own text.")
        return documents.split_documents(starter.starter_text(), options.held_out)
    texts = datasets.load_text(options.dataset)
    print(f"{options.dataset}, licence: {texts.licence}", *texts.files, sep="\n  ")
    if texts.validation is None:
        return documents.split_documents(texts.train, options.held_out)
    return texts.train, texts.validation


def new_model(options, texts):
    """A model for these texts, with a tokenizer trained on them."""
    import textrnn
    from textrnn.tokenizers import train_tokenizer

    tokenizer = train_tokenizer(options.tokenizer, texts, options.vocabulary_size)
    backbone = textrnn.RecurrentBackbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        cell=options.cell,
        units=options.units,
        num_layers=options.layers,
        embedding_dim=options.embedding_dim,
        dropout=options.dropout,
        recurrent_dropout=options.recurrent_dropout,
        weight_drop=options.weight_drop,
        zoneout=options.zoneout,
        embedding_dropout=options.embedding_dropout,
        activation_regularization=options.ar,
        temporal_activation_regularization=options.tar,
    )
    return textrnn.CausalLM(
        backbone, textrnn.CausalLMPreprocessor(tokenizer), sampler=make_sampler(options, {"temperature": 0.8})
    )


def load_model(options):
    """The model of an earlier run, sampling as these options say."""
    import textrnn
    from textrnn.presets import load_preset

    lm = load_preset(options.from_preset, textrnn.CausalLM)
    lm.default_sampler = make_sampler(options, lm.default_sampler.get_config())
    return lm


def make_sampler(options, default):
    """How the model samples unless told otherwise."""
    import textrnn

    given = {name: getattr(options, name) for name in ("temperature", "top_k", "top_p")}
    return textrnn.RowSampler(**{**default, **{k: v for k, v in given.items() if v is not None}})


if __name__ == "__main__":
    recipes.run_recipe(main, Options, __doc__)
