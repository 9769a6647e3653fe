"""The classifier of text_classifier.py in PyTorch: the model, a training loop and predictions."""

import math

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import rnn

import torch_training


class Classifier(nn.Module):
    """A bidirectional LSTM, the maximum of its outputs over the unpadded steps, and two classes.

    Args:
        work: The `Work` with the sizes.
        packed: Whether the LSTM runs on packed sequences. Otherwise it also runs over the padding, where its
            backward direction begins.
    """

    def __init__(self, work, packed=False):
        super().__init__()
        self.packed = packed
        self.embedding = nn.Embedding(work.vocabulary_size, work.units)
        self.lstm = nn.LSTM(work.units, work.units, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * work.units, 2)

    def forward(self, token_ids, mask):
        """Logits `(batch, 2)`."""
        x = self.embedding(token_ids)
        if self.packed:
            lengths = mask.sum(1).cpu()
            x = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        x, _ = self.lstm(x)
        if self.packed:
            x, _ = rnn.pad_packed_sequence(x, batch_first=True, total_length=mask.shape[1])
        return self.head(x.masked_fill(~mask[..., None], -math.inf).amax(1))


def to_torch(model, inputs, targets):
    """A batch as token ids, mask and targets, on the device of the model."""
    device = model.embedding.weight.device
    ids, mask, targets = (
        torch.tensor(x, device=device) for x in (inputs["token_ids"], inputs["padding_mask"], targets)
    )
    return ids.long(), mask.bool(), targets.long()


def training(model, batches):
    """A function that trains on batches from `to_torch` once and returns the mean loss."""

    def loss_of(token_ids, mask, targets):
        return functional.cross_entropy(model(token_ids, mask), targets)

    return torch_training.training(model, batches, loss_of)


@torch.inference_mode()
def predictions(model, batches):
    """The logits of batches from `to_torch`, arrays `(batch, 2)`."""
    return [model(token_ids, mask).cpu().numpy() for token_ids, mask, _ in batches]
