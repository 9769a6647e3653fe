"""The published architectures by name: declarations, and descriptions of the four that are classes."""

from dataclasses import replace

from textrnn.cells.class_cell import ClassCell
from textrnn.cells.gate import Gate
from textrnn.cells.registry import publish_cell
from textrnn.cells.spec import GateSpec

SIMPLE = GateSpec(source="Elman 1990, Finding structure in time")

LSTM = GateSpec(
    forget=Gate(),
    input=Gate(),
    output=Gate(),
    separate_memory=True,
    output_activation="tanh",
    source="Hochreiter & Schmidhuber 1997, Long short-term memory; forget gate: Gers et al. 2000",
)

_WITH_PEEPHOLE = Gate(reads=("input", "state", "memory"))
LSTM_PEEPHOLE = replace(
    LSTM,
    input=_WITH_PEEPHOLE,
    forget=_WITH_PEEPHOLE,
    output=_WITH_PEEPHOLE,
    source="Gers & Schmidhuber 2000, Recurrent nets that time and count",
)

# The variants of Greff et al. each change one thing in the LSTM with peepholes.
_GREFF = replace(LSTM_PEEPHOLE, source="Greff et al. 2017, LSTM: a search space odyssey")
_WITH_GATES = Gate(reads=("input", "state", "gates", "memory"))

GRU = GateSpec(
    forget=Gate(),
    input="1 - forget",
    reset=Gate(),
    reset_after=True,
    source="Cho et al. 2014, Learning phrase representations (arXiv:1406.1078v1); biases of cuDNN, Keras",
)

_JOZEFOWICZ = GateSpec(
    input=Gate(),
    forget="1 - input",
    reset=Gate(),
    source="Jozefowicz et al. 2015, An empirical exploration of recurrent network architectures",
)

_MODULATED = Gate(reads=("input", "modulated state"))
_CONVOLVED = Gate(reads=("input", "previous input"))
_OF_INPUT = Gate(reads="input")

SLSTM = ClassCell(
    "textrnn.cells.slstm.SLSTMCell",
    equations=(
        "ĩₜ = W_i xₜ + U_i hₜ₋₁ + b_i",
        "fₜ = σ(W_f xₜ + U_f hₜ₋₁ + b_f)",
        "zₜ = tanh(W_z xₜ + U_z hₜ₋₁ + b_z)",
        "oₜ = σ(W_o xₜ + U_o hₜ₋₁ + b_o)",
        "mₜ = max(log fₜ + mₜ₋₁, ĩₜ)",
        "i′ₜ = exp(ĩₜ − mₜ)",
        "f′ₜ = exp(log fₜ + mₜ₋₁ − mₜ)",
        "cₜ = f′ₜ ⊙ cₜ₋₁ + i′ₜ ⊙ zₜ",
        "nₜ = f′ₜ ⊙ nₜ₋₁ + i′ₜ",
        "hₜ = oₜ ⊙ cₜ / nₜ",
    ),
    states=("state", "memory", "normalizer", "stabilizer"),
    kind="S",
    weights={"kernel": (4, "mn"), "recurrent_kernel": (4, "nn"), "bias": (4, "n")},
    source="Beck et al. 2024, xLSTM: Extended long short-term memory",
)

SRU = ClassCell(
    "textrnn.cells.sru.SRUCell",
    equations=(
        "fₜ = σ(W_f xₜ + v_f ⊙ cₜ₋₁ + b_f)",
        "rₜ = σ(W_r xₜ + v_r ⊙ cₜ₋₁ + b_r)",
        "cₜ = fₜ ⊙ cₜ₋₁ + (1 − fₜ) ⊙ W xₜ",
        "hₜ = rₜ ⊙ cₜ + (1 − rₜ) ⊙ α xₜ",
    ),
    states=("memory",),
    kind="D",
    weights={"kernel": (3, "mn"), "bias": (2, "n"), "peephole": (2, "n"), "projection_kernel": (1, "mn")},
    source="Lei et al. 2018, Simple recurrent units for highly parallelizable recurrence",
)

MIN_LSTM = ClassCell(
    "textrnn.cells.min_lstm.MinLSTMCell",
    equations=(
        "iₜ = σ(W_i xₜ + b_i)",
        "fₜ = σ(W_f xₜ + b_f)",
        "hₜ = fₜ / (fₜ + iₜ) ⊙ hₜ₋₁ + iₜ / (fₜ + iₜ) ⊙ (W_h xₜ + b_h)",
    ),
    states=("state",),
    kind="P",
    weights={"kernel": (3, "mn"), "bias": (3, "n")},
    source="Feng et al. 2024, Were RNNs all we needed?",
)

RG_LRU = ClassCell(
    "textrnn.cells.rg_lru.RGLRUCell",
    equations=(
        "iₜ = σ(W_i xₜ + b_i)",
        "rₜ = σ(W_r xₜ + b_r)",
        "aₜ = σ(Λ)^(8 rₜ)",
        "hₜ = aₜ ⊙ hₜ₋₁ + √(1 − aₜ²) ⊙ (iₜ ⊙ xₜ)",
    ),
    states=("state",),
    kind="P",
    weights={"kernel": (2, "mn"), "bias": (2, "n"), "decay_logit": (1, "n"), "projection_kernel": (1, "mn")},
    source=(
        "De et al. 2024, Griffin: Mixing gated linear recurrences with local attention for efficient "
        "language models"
    ),
)

PUBLISHED: dict[str, GateSpec | ClassCell] = {
    "simple": SIMPLE,
    "lstm": LSTM,
    "lstm_peephole": LSTM_PEEPHOLE,
    "lstm_nig": replace(_GREFF, input=1.0),
    "lstm_nfg": replace(_GREFF, forget=1.0),
    "lstm_nog": replace(_GREFF, output=1.0),
    "lstm_niaf": replace(_GREFF, candidate=Gate("linear")),
    "lstm_noaf": replace(_GREFF, output_activation="linear"),
    "lstm_cifg": replace(_GREFF, forget="1 - input"),
    "lstm_fgr": replace(_GREFF, input=_WITH_GATES, forget=_WITH_GATES, output=_WITH_GATES),
    "lstm_ln": replace(LSTM, layer_norm=True, source="Ba et al. 2016, Layer normalization"),
    "gru": GRU,
    "gru_reset_before": replace(
        GRU,
        reset_after=False,
        source="Cho et al. 2014, Learning phrase representations (arXiv:1406.1078v3)",
    ),
    "mgu": GateSpec(
        input=Gate(),
        forget="1 - input",
        reset="input",
        source="Zhou et al. 2016, Minimal gated unit for recurrent neural networks",
    ),
    "ugrnn": GateSpec(
        forget=Gate(),
        input="1 - forget",
        source="Collins et al. 2017, Capacity and trainability in recurrent neural networks",
    ),
    "janet": GateSpec(
        forget=Gate(),
        input="1 - forget(s - 1)",
        source="van der Westhuizen & Lasenby 2018, The unreasonable effectiveness of the forget gate",
    ),
    "mut1": replace(_JOZEFOWICZ, input=_OF_INPUT, candidate=Gate("tanh", reads=("tanh(raw input)", "state"))),
    "mut2": replace(_JOZEFOWICZ, reset=Gate(reads=("raw input", "state"))),
    "mut3": replace(_JOZEFOWICZ, input=Gate(reads=("input", "tanh(state)"))),
    "multiplicative_lstm": replace(
        LSTM,
        input=_MODULATED,
        forget=_MODULATED,
        candidate=replace(_MODULATED, activation="tanh"),
        output=_MODULATED,
        source="Krause et al. 2016, Multiplicative LSTM for sequence modelling",
    ),
    "slstm": SLSTM,
    "indrnn": GateSpec(
        candidate=Gate("relu", reads=("input", "memory")),
        source="Li et al. 2018, Independently recurrent neural network",
    ),
    "sru": SRU,
    "qrnn": GateSpec(
        candidate=replace(_CONVOLVED, activation="tanh"),
        forget=_CONVOLVED,
        input="1 - forget",
        output=_CONVOLVED,
        separate_memory=True,
        source="Bradbury et al. 2016, Quasi-recurrent neural networks (fo-pooling, width 2)",
    ),
    "min_gru": GateSpec(
        candidate=Gate("linear", reads="input"),
        input=_OF_INPUT,
        forget="1 - input",
        source="Feng et al. 2024, Were RNNs all we needed?",
    ),
    "min_lstm": MIN_LSTM,
    "rg_lru": RG_LRU,
}
"""Name -> `GateSpec`, or `ClassCell` if no spec expresses it."""

for _name, _cell in PUBLISHED.items():
    PUBLISHED[_name] = publish_cell(_name, _cell)
