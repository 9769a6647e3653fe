"""Translation: textrnn beside the same model in PyTorch, doing the same work in one run.

    python benchmarks/translation.py --output benchmarks/results
    python benchmarks/translation.py --task greedy beam --rounds 9
    python benchmarks/translation.py --quick

The model has one table of token vectors for the source, the target and the output, an encoder of one LSTM in
two directions, linear maps of its last states to those that the decoder starts from, a decoder of one LSTM,
and after it scaled general (multiplicative) attention over what the encoder made of the source; all in
float32. The number of weights is the same for everyone but for the second bias that PyTorch's LSTM has; it is
printed, and a difference of over 1 % is an error. Pairs have about the lengths of captions of pictures, 8 to
24 tokens a side, and come in batches of like length; tokens are drawn at random, since what they are does not
change the work. All read the same batches.

- training: sentences (pairs) per second of a pass over the batches: dropout, the cross-entropy with label
  smoothing, Adam, gradients clipped to a global norm of 1. What `fit` needs to start, some hundredths of a
  second, counts.
- greedy: sentences per second of encoding and greedy decoding, a batch at a time.
- beam: the same with a beam of 5.

Whoever decodes looks for the end of a text at each step and never finds it, as the end is a token that the
vocabulary does not have. So everyone takes the same number of steps. That textrnn's search, which also ends
what goes round in circles, did not come to its end earlier is checked.

The contestants:

- textrnn: `textrnn.Seq2SeqLM`, its `fit`, compiled as it comes, and its `search` in a TensorFlow function
  with the input shapes of the exported model. Beside the tokens its search keeps track of what they attend
  to, of coverage and of repetitions.
- PyTorch: layers of `torch.nn`, a plain training loop with the fused Adam, and loops in Python over the
  tokens of a batch and, in a beam, over all hypotheses at once; the memory is projected once. The encoder
  runs over the padding as it does over tokens, and attention leaves it out. This is what most scripts do; the
  backward direction then starts in the padding.
- PyTorch, packed: the same with a packed sequence for the encoder, which is exactly textrnn's function. On a
  CPU this costs the fused LSTM of oneDNN.

How they take turns, and what the table shows, is said at the top of recurrence.py beside this file; here a
figure is sentences per second, so that a ratio is how many times as fast as each contestant textrnn is. Run
it on a machine that does nothing else: PyTorch's threads wait for each other after each operation, and where
another process takes their cores it loses far more than that process's share (see `--torch_threads`).
"""

import argparse
import dataclasses
import importlib.util
import json
import math
import os
import sys
import time
from pathlib import Path

import recurrence  # the benchmark beside this one

from textrnn import startup


@dataclasses.dataclass(frozen=True)
class Work:
    """What every contestant does in one run."""

    task: str
    beams: int = 1
    vocabulary_size: int = 8000
    units: int = 256
    batch_size: int = 64
    batches: int = 8
    new_tokens: int = 14
    dropout: float = 0.4
    label_smoothing: float = 0.1

    def __str__(self):
        name = f"{self.task} of {self.beams}" if self.task == "beam" else self.task
        steps = "" if self.task == "training" else f", {self.new_tokens} tokens"
        model = f"vocabulary {self.vocabulary_size:,}, {self.units} units"
        return f"{name}: {model}, {self.batches} batches of {self.batch_size}{steps}"

    @property
    def sentences(self):
        return self.batches * self.batch_size


WORKS = (Work("training"), Work("greedy"), Work("beam", beams=5))
TASKS = tuple(work.task for work in WORKS)
QUICK = {"vocabulary_size": 2000, "units": 8, "batch_size": 4, "batches": 2}

START = END = 1  # one token, as in textrnn's tokenizers
SHORTEST, LONGEST = 8, 24
POOL = 50
"""How many batches are sorted by length together, as in `pair_batches`."""

CONTESTANTS = {}
"""Name -> a function of a `Work` and its batches that returns the function to measure, and the number of the
model's weights; None if its library is not installed."""


def contestant(name):
    """Registers a function of a `Work` and its batches, see `CONTESTANTS`.

    Args:
        name: what the table calls it.
    """

    def register(prepare):
        CONTESTANTS[name] = prepare
        return prepare

    return register


def make_batches(work, seed):
    """The batches of a pass over the pairs, a dataset as `pair_batches` gives it, the same in every pass."""
    import numpy as np

    from textrnn.data import batching

    random = np.random.default_rng(seed)
    pairs = max(POOL, work.batches) * work.batch_size
    lengths = random.normal(14, 4, pairs)
    lengths = np.stack([lengths, lengths + random.normal(0, 2, pairs)])  # a long source has a long target
    sides = [
        [np.append(random.integers(2, work.vocabulary_size, n - 1, np.int32), np.int32(END)) for n in side]
        for side in lengths.round().astype(int).clip(SHORTEST, LONGEST)
    ]
    batches = batching.pair_batches(*sides, work.batch_size, START, seed=seed, pool=POOL)
    return batches.take(work.batches).cache()


# === textrnn ===


@contestant(recurrence.OURS)
def run_textrnn(work, batches):
    """`Seq2SeqLM`, as it comes."""
    lm = textrnn_model(work)
    if work.task == "training":

        def run():
            lm.fit(batches, epochs=1, shuffle=False, verbose=0)

        return run, lm.count_params()

    search = textrnn_search(work, lm)
    sources = [(x["encoder_token_ids"], x["encoder_padding_mask"]) for x, *_ in batches]
    if not all(search(*source)[1].numpy().max() == work.new_tokens for source in sources):
        raise RuntimeError("textrnn's search ended before the others': all texts of a batch went in circles")
    return lambda: [search(*source)[0].numpy() for source in sources], lm.count_params()


def textrnn_model(work):
    """The model as textrnn builds it, compiled as the recipe does."""
    import keras

    import textrnn
    from textrnn.training import losses

    backbone = textrnn.RecurrentSeq2Seq(work.vocabulary_size, units=work.units, dropout=work.dropout)
    lm = textrnn.Seq2SeqLM(backbone)
    lm.compile(
        keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        losses.TokenCrossentropy(work.label_smoothing, reduction="mean_with_sample_weight"),
    )
    return lm


def textrnn_search(work, lm):
    """A function of a source and its mask that returns the best texts `(batch, steps)` and their lengths."""
    import tensorflow as tf

    def search(token_ids, mask):
        found = lm.search(
            token_ids,
            mask,
            max_beams=work.beams,
            num_beams=work.beams,
            max_new_tokens=work.new_tokens,
            limit=work.new_tokens,
            stop_token_ids=(work.vocabulary_size,),
            best_only=True,
        )
        return found.token_ids[:, 0], found.lengths[:, 0]

    spec = [tf.TensorSpec([None, None], dtype) for dtype in (tf.int32, tf.bool)]
    return tf.function(search, spec, autograph=False)


# === PyTorch ===


@contestant("PyTorch")
def run_torch(work, batches, packed=False):
    """The same model, written for PyTorch."""
    if not importlib.util.find_spec("torch"):
        return None
    import torch

    model = torch_model(work, packed).to(recurrence.torch_device())
    weights = sum(p.numel() for p in model.parameters())
    pairs = [torch_pair(model, *batch) for batch in batches]
    if work.task == "training":
        return torch_training(work, model, pairs), weights

    model.eval()
    decode = torch_greedy if work.task == "greedy" else torch_beam_search

    @torch.inference_mode()
    def run():
        return [decode(work, model, source, mask).cpu().numpy() for source, mask, *_ in pairs]

    return run, weights


@contestant("PyTorch, packed")
def run_torch_packed(work, batches):
    """The same, its encoder over packed sequences."""
    return run_torch(work, batches, packed=True)


def torch_pair(model, inputs, targets, weights):
    """A batch as `(source, its mask, what the decoder reads, targets)`, on the model's device."""
    import torch

    device = model.embedding.weight.device
    ids = ("encoder_token_ids", "encoder_padding_mask", "decoder_token_ids")
    source, mask, target = (torch.tensor(inputs[name].numpy(), device=device) for name in ids)
    targets = torch.tensor(targets.numpy(), device=device).long()
    return source.long(), mask, target.long(), targets


def torch_model(work, packed=False):
    """The model as a `torch.nn.Module`, with the function of its training and that of a step of decoding."""
    import torch
    from torch import nn
    from torch.nn import functional
    from torch.nn.utils import rnn

    units = work.units

    class Translator(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(work.vocabulary_size, units)
            nn.init.normal_(self.embedding.weight, std=units**-0.5)
            self.encoder = nn.LSTM(units, units, batch_first=True, bidirectional=True)
            self.bridge = nn.Linear(4 * units, 2 * units)
            self.decoder = nn.LSTM(units, units, batch_first=True)
            self.keys = nn.Linear(2 * units, units, bias=False)
            self.combine = nn.Linear(3 * units, units, bias=False)
            self.dropout = nn.Dropout(work.dropout)

        def forward(self, source, mask, target):
            """Logits `(batch, steps, vocabulary)`."""
            memory, (h, c) = self.encode(source, mask)
            outputs, _ = self.decoder(self.embed(target), (h[None], c[None]))
            return self.logits(self.attend(outputs, memory))

        def embed(self, token_ids):
            return self.dropout(self.embedding(token_ids) * units**0.5)

        def encode(self, token_ids, mask):
            """What attention needs of the source, and the states to start from, `(batch, units)`."""
            x = self.embed(token_ids)
            if packed:
                lengths = mask.sum(1).cpu()
                x = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            values, (h, c) = self.encoder(x)
            if packed:
                values, _ = rnn.pad_packed_sequence(values, batch_first=True, total_length=mask.shape[1])
            h, c = self.bridge(torch.cat([h[0], c[0], h[1], c[1]], dim=1)).chunk(2, dim=1)
            values = self.dropout(values)
            keys = self.keys(values).transpose(1, 2) * units**-0.5
            memory = values, keys, ~mask[:, None]
            return memory, (h.contiguous(), c.contiguous())

        def attend(self, outputs, memory):
            values, keys, padding = memory
            weights = (outputs @ keys).masked_fill(padding, -math.inf).softmax(-1)
            return torch.tanh(self.combine(torch.cat([outputs, weights @ values], dim=-1)))

        def logits(self, hidden):
            return functional.linear(self.dropout(hidden), self.embedding.weight)

        def step(self, token_ids, states, memory):
            """One step for tokens `(batch, hypotheses)` and states `(batch * hypotheses, units)`."""
            x = self.embed(token_ids.flatten())
            # Less to do than for the layer on a sequence of one step.
            h, c = torch.lstm_cell(x, states, *self.decoder.all_weights[0])
            return self.logits(self.attend(h.unflatten(0, token_ids.shape), memory)), (h, c)

    return Translator()


def torch_training(work, model, pairs):
    """The measured function: a plain training loop, which reads each batch's loss."""
    import torch
    from torch.nn import functional

    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def run():
        total = 0.0
        for source, mask, target, targets in pairs:
            optimizer.zero_grad(set_to_none=True)
            logits = model(source, mask, target)
            loss = functional.cross_entropy(
                logits.flatten(0, 1),
                targets.flatten(),
                ignore_index=0,  # padding
                label_smoothing=work.label_smoothing,
            )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item()
        return total / len(pairs)

    return run


def torch_greedy(work, model, source, mask):
    """The most probable token at each step, `(batch, steps)`."""
    import torch

    memory, states = model.encode(source, mask)
    tokens = torch.full_like(source[:, :1], START)
    ended = torch.zeros_like(tokens, dtype=torch.bool)
    text = []
    for _ in range(work.new_tokens):
        logits, states = model.step(tokens, states, memory)
        tokens = logits.argmax(-1).masked_fill(ended, 0)
        text.append(tokens)
        ended |= tokens == work.vocabulary_size
        if ended.all():
            break
    return torch.cat(text, dim=1)


def torch_beam_search(work, model, source, mask):
    """The best hypotheses of all sentences at once: their tokens, `(batch, steps)`.

    A hypothesis that has ended is followed by itself alone. Those of one sentence are compared by their
    log-probability over the length penalty of textrnn's search.
    """
    import torch

    batch_size, beams = len(source), work.beams
    memory, states = model.encode(source, mask)
    tokens = torch.full_like(source[:, :1], START)
    log_p = torch.zeros(batch_size, 1, device=source.device)  # of one hypothesis, until there are more
    ended = torch.zeros_like(tokens, dtype=torch.bool)
    lengths = torch.zeros_like(log_p)
    texts = tokens[..., None][..., :0]
    row = torch.arange(batch_size, device=source.device)[:, None]
    for _ in range(work.new_tokens):
        logits, states = model.step(tokens, states, memory)
        # The best of the best of each takes about half the time of the best of all.
        followers, tokens = logits.log_softmax(-1).topk(beams)
        followers.masked_fill_(ended[..., None], -math.inf)[..., 0].masked_fill_(ended, 0.0)
        followers += log_p[..., None]
        penalty = (5 + lengths + ~ended) / 6
        _, chosen = (followers / penalty[..., None]).flatten(1).topk(beams)
        parents = chosen // beams
        log_p = followers.flatten(1).gather(1, chosen)
        ended, lengths = (x.gather(1, parents) for x in (ended, lengths + ~ended))
        tokens = tokens.flatten(1).gather(1, chosen).masked_fill(ended, 0)
        texts = torch.cat([texts[row, parents], tokens[..., None]], dim=-1)
        ended |= tokens == work.vocabulary_size
        if ended.all():
            break
        rows = (row * (len(states[0]) // batch_size) + parents).flatten()
        states = tuple(state[rows] for state in states)
    return texts[:, 0]  # `topk` sorts: the best is the first


# === Measuring ===


def prepared(work, seed):
    """Name -> the function to measure, after two runs; and name -> the number of weights."""
    import keras

    if importlib.util.find_spec("torch"):
        import torch

        torch.manual_seed(seed)
    batches = make_batches(work, seed)
    runs, weights = {}, {}
    for name, prepare in CONTESTANTS.items():
        start = time.perf_counter()
        keras.utils.set_random_seed(seed)
        if (made := prepare(work, batches)) is None:
            print(f"  {name} is not installed", file=sys.stderr, flush=True)
            continue
        run, weights[name] = made
        run(), run()
        runs[name] = run
        print(f"  {name} ready after {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return runs, weights


def measure(work, rounds, seed):
    """A work's result: the sentences per second of everyone in each round, and the numbers of weights."""
    import keras

    runs, weights = prepared(work, seed)
    if max(weights.values()) > 1.01 * min(weights.values()):
        raise RuntimeError(f"these are not the same models; their weights: {weights}")
    times = recurrence.take_turns(runs, rounds, seconds=0)
    keras.backend.clear_session()
    speeds = {name: [1000 * work.sentences / value for value in values] for name, values in times.items()}
    return recurrence.result(work, speeds, unit="sentences/s") | {"weights": weights}


def main():
    """Reads the options, lets everyone run, and reports."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=f"How it measures, and what: see the top of {Path(__file__).name}.",
    )
    parser.add_argument("--task", choices=TASKS, nargs="+", default=TASKS, help="only these")
    parser.add_argument("--rounds", type=int, help="how often everyone takes a turn (5; 2 with --quick)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, for trying it out")
    parser.add_argument("--units", type=int, help="in place of 256")
    parser.add_argument("--vocabulary_size", type=int, help="in place of 8,000")
    parser.add_argument("--batches", type=int, help="batches in a run (8)")
    parser.add_argument("--new_tokens", type=int, help="tokens to decode for each sentence (14)")
    parser.add_argument("--torch_threads", type=int, help="PyTorch's threads (its own default: all cores)")
    parser.add_argument("--seed", type=int, default=0, help="for weights and pairs (0)")
    parser.add_argument("--output", type=Path, help="a folder for translation.json and translation.md")
    given = parser.parse_args()
    sizes = ("units", "vocabulary_size", "batches", "new_tokens")
    changes = (QUICK if given.quick else {}) | {
        name: getattr(given, name) for name in sizes if getattr(given, name) is not None
    }
    rounds = given.rounds or (2 if given.quick else 5)

    startup.load_tensorflow()
    if given.torch_threads and importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(given.torch_threads)
    start = time.perf_counter()
    report = {"environment": recurrence.environment(given.seed, rounds), "results": []}
    for work in (dataclasses.replace(work, **changes) for work in WORKS if work.task in given.task):
        print(work, file=sys.stderr, flush=True)
        report["results"].append(measure(work, rounds, given.seed))
    facts = report["environment"]
    facts["weights"] = ", ".join(f"{n:,} ({name})" for name, n in report["results"][0]["weights"].items())
    facts["load_average_after"] = round(os.getloadavg()[0], 1)
    facts["seconds"] = round(time.perf_counter() - start)
    table = recurrence.markdown(report)
    print(table, end="")
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "translation.md").write_text(table, encoding="utf-8")
        (given.output / "translation.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
