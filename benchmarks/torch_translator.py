"""The translator of translation.py in PyTorch: the model, a training loop, greedy and beam search."""

import math

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import rnn

import torch_training


class Translator(nn.Module):
    """An LSTM encoder and an LSTM decoder with scaled general attention and one embedding matrix.

    Args:
        work: The `Work` with the sizes.
        start_token_id: The token that starts a target.
        packed: Whether the encoder runs on packed sequences. Otherwise it also runs over the padding.
    """

    def __init__(self, work, start_token_id, packed=False):
        super().__init__()
        units = work.units
        self.units, self.start_token_id, self.packed = units, start_token_id, packed
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
        """Token vectors with dropout."""
        return self.dropout(self.embedding(token_ids) * self.units**0.5)

    def encode(self, token_ids, mask):
        """The memory of a source for `attend`, and the initial states of the decoder `(batch, units)`."""
        x = self.embed(token_ids)
        if self.packed:
            lengths = mask.sum(1).cpu()
            x = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        values, (h, c) = self.encoder(x)
        if self.packed:
            values, _ = rnn.pad_packed_sequence(values, batch_first=True, total_length=mask.shape[1])
        h, c = self.bridge(torch.cat([h[0], c[0], h[1], c[1]], dim=1)).chunk(2, dim=1)
        values = self.dropout(values)
        keys = self.keys(values).transpose(1, 2) * self.units**-0.5
        memory = values, keys, ~mask[:, None]
        return memory, (h.contiguous(), c.contiguous())

    def attend(self, outputs, memory):
        """Decoder outputs combined with the context that they attend to."""
        values, keys, padding = memory
        weights = (outputs @ keys).masked_fill(padding, -math.inf).softmax(-1)
        return torch.tanh(self.combine(torch.cat([outputs, weights @ values], dim=-1)))

    def logits(self, hidden):
        """The projection to the vocabulary, tied to the embedding."""
        return functional.linear(self.dropout(hidden), self.embedding.weight)

    def step(self, token_ids, states, memory):
        """A step for tokens `(batch, hypotheses)` and states `(batch * hypotheses, units)`."""
        x = self.embed(token_ids.flatten())
        # Faster than the layer on a sequence of one step.
        h, c = torch.lstm_cell(x, states, *self.decoder.all_weights[0])
        return self.logits(self.attend(h.unflatten(0, token_ids.shape), memory)), (h, c)


def to_torch(model, inputs, targets, weights):
    """A batch as source, source mask, target inputs and targets, on the device of the model."""
    device = model.embedding.weight.device
    ids = ("encoder_token_ids", "encoder_padding_mask", "decoder_token_ids")
    source, mask, target = (torch.tensor(inputs[name].numpy(), device=device) for name in ids)
    targets = torch.tensor(targets.numpy(), device=device).long()
    return source.long(), mask, target.long(), targets


def training(work, model, batches):
    """A function that trains on batches from `to_torch` once and returns the mean loss."""

    def loss_of(source, mask, target, targets):
        return functional.cross_entropy(
            model(source, mask, target).flatten(0, 1),
            targets.flatten(),
            ignore_index=0,  # padding
            label_smoothing=work.label_smoothing,
        )

    return torch_training.training(model, batches, loss_of)


def greedy(work, model, source, mask):
    """The most probable token at each step, `(batch, steps)`."""
    memory, states = model.encode(source, mask)
    tokens = torch.full_like(source[:, :1], model.start_token_id)
    ended = torch.zeros_like(tokens, dtype=torch.bool)
    text = []
    for _ in range(work.new_tokens):
        logits, states = model.step(tokens, states, memory)
        tokens = logits.argmax(-1).masked_fill(ended, 0)
        text.append(tokens)
        ended |= tokens == work.end
        if ended.all():
            break
    return torch.cat(text, dim=1)


def beam_search(work, model, source, mask):
    """The tokens of the best hypothesis of each sentence, `(batch, steps)`.

    All sentences are searched at once. An ended hypothesis continues only as itself. The hypotheses of a
    sentence are ranked by log-probability divided by the length penalty of textrnn.
    """
    batch_size, beams = len(source), work.beams
    memory, states = model.encode(source, mask)
    tokens = torch.full_like(source[:, :1], model.start_token_id)
    log_p = torch.zeros(batch_size, 1, device=source.device)  # the search starts with one hypothesis
    ended = torch.zeros_like(tokens, dtype=torch.bool)
    lengths = torch.zeros_like(log_p)
    texts = tokens[..., None][..., :0]
    row = torch.arange(batch_size, device=source.device)[:, None]
    for _ in range(work.new_tokens):
        logits, states = model.step(tokens, states, memory)
        # Taking the best of each hypothesis first halves the time of `topk`.
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
        ended |= tokens == work.end
        if ended.all():
            break
        rows = (row * (len(states[0]) // batch_size) + parents).flatten()
        states = tuple(state[rows] for state in states)
    return texts[:, 0]  # `topk` sorts, so the first is the best
