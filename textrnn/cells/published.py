"""The published architectures, by name. A row is a declaration, or a class where no declaration fits."""

from dataclasses import replace

from textrnn.cells.min_lstm import MinLSTMCell
from textrnn.cells.registry import publish_cell
from textrnn.cells.rg_lru import RGLRUCell
from textrnn.cells.slstm import SLSTMCell
from textrnn.cells.spec import Gate, GateSpec
from textrnn.cells.sru import SRUCell

SIMPLE = GateSpec(source="Elman 1990, Finding structure in time")

LSTM = GateSpec(
    forget=Gate(),
    input=Gate(),
    output=Gate(),
    separate_memory=True,
    output_activation="tanh",
    source="Hochreiter & Schmidhuber 1997, Long short-term memory; forget gate: Gers et al. 2000",
)

_PEEPING = Gate(reads=("input", "state", "memory"))
LSTM_PEEPHOLE = replace(
    LSTM,
    input=_PEEPING,
    forget=_PEEPING,
    output=_PEEPING,
    source="Gers & Schmidhuber 2000, Recurrent nets that time and count",
)

# The variants of one study, each a single change to the LSTM with peepholes.
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

PUBLISHED: dict[str, GateSpec | type] = {
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
    "slstm": SLSTMCell,
    "indrnn": GateSpec(
        candidate=Gate("relu", reads=("input", "memory")),
        source="Li et al. 2018, Independently recurrent neural network",
    ),
    "sru": SRUCell,
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
    "min_lstm": MinLSTMCell,
    "rg_lru": RGLRUCell,
}
"""Name -> `GateSpec`, or the class of a cell. Shared kinds: see `GateSpec.kind`."""

for _name, _cell in PUBLISHED.items():
    PUBLISHED[_name] = publish_cell(_name, _cell)
