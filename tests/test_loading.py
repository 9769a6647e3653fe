"""Loading of saved models in a process that has used no name of the package before."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import textrnn
from textrnn.data.windows import windows
from textrnn.training import discriminative_optimizer

PROGRAM = """
import sys
import numpy as np
import textrnn
model = textrnn.load_model(sys.argv[1])
x = dict(np.load(sys.argv[2]))
np.save(sys.argv[3], model.predict(x.get("inputs", x), verbose=0))
{more}
"""


def predicted_elsewhere(model, x, folder, more=""):
    """What the saved model predicts in a process of its own, and the lines that `more` prints there."""
    model.save(folder / "model.keras")
    np.savez(folder / "x.npz", **(x if isinstance(x, dict) else {"inputs": x}))
    files = [str(folder / name) for name in ("model.keras", "x.npz", "y.npy")]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(more=more), *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return np.load(files[-1]), done.stdout.splitlines()


def test_a_model_with_a_layer_loads_without_the_tasks(tmp_path):
    model = keras.Sequential([keras.Input((None, 3)), textrnn.Recurrent(textrnn.GatedCell(2, "gru"))])
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    y, lines = predicted_elsewhere(model, x, tmp_path, 'print("keras_hub" in sys.modules)')
    np.testing.assert_allclose(y, model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    assert lines == ["False"]


def test_a_language_model_loads_with_the_rates_of_its_optimizer(tmp_path):
    textrnn.GatedCell(2)  # the numbers of Keras's names are others in the new process
    lm = textrnn.CausalLM(textrnn.RecurrentBackbone(9, units=4, num_layers=2))
    lm.compile(optimizer=discriminative_optimizer(lm.layer_groups, 0.1, factor=10.0))
    lm.fit(windows(np.arange(60) % 9, 2, 5), verbose=0)
    x = {"token_ids": np.array([[1, 2, 3]]), "padding_mask": np.ones((1, 3), "bool")}
    more = """
rates = model.optimizer.get_config()["rates"]
for variable, rate in zip(model.trainable_variables, rates):
    print(*variable.path.split("/")[:2], f"{rate:.3g}")
"""
    y, lines = predicted_elsewhere(lm, x, tmp_path, more)
    np.testing.assert_allclose(y, lm.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    assert set(lines) == {"token_embedding embeddings 1", "stack recurrent_0 0.01", "stack recurrent_1 0.1"}


def test_a_missing_file_is_keras_own_error(tmp_path):
    with pytest.raises(ValueError, match="not found"):
        textrnn.load_model(tmp_path / "none.keras")
