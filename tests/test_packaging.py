"""The wheel installs elsewhere, with its command and the recipes."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_installs_in_an_empty_environment_with_its_command_and_recipes(tmp_path):
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path, ROOT], check=True)
    [wheel] = tmp_path.glob("textrnn-*.whl")
    packaged = set(zipfile.ZipFile(wheel).namelist())
    files = [
        path
        for kind in ("*.py", "*.tsv", "*.html", "*.css", "*.js")
        for path in (ROOT / "textrnn").rglob(kind)
    ]
    assert {str(path.relative_to(ROOT)) for path in files} <= packaged
    assert not any(name.startswith(("tests", "recipes", "benchmarks")) for name in packaged)
    recipes = sorted(path.stem for path in (ROOT / "recipes").glob("*.py"))
    assert {f"textrnn/recipes/{name}.py" for name in recipes} <= packaged
    configs = [path.name for path in (ROOT / "recipes" / "configs").glob("*.yaml")]
    assert {f"textrnn/recipes/configs/{name}" for name in configs} <= packaged

    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", wheel],
        env=clean,
        check=True,
    )

    def command(*arguments):
        done = subprocess.run(
            [environment / "bin" / "textrnn", *arguments],
            cwd=tmp_path, env=clean, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    assert "--interactive" in command("generate", "--help")
    assert sorted(line.split()[0] for line in command("recipe").splitlines()[: len(recipes)]) == recipes
    for name in recipes:
        assert "--learning_rate" in command("recipe", name, "--help")
    command("recipe", "--copy", recipes[0], ".")
    command("recipe", "--copy", "awd_lstm_ptb_small", ".")
    assert (tmp_path / f"{recipes[0]}.py").read_text() == (ROOT / "recipes" / f"{recipes[0]}.py").read_text()
    code = "import textrnn; print(textrnn.GatedCell(4, 'gru').state_size)"
    ran = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env=clean, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[4]"
