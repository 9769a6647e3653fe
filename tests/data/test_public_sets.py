"""The table of public sets: entries are complete, and the published files load."""

import os
import re
from pathlib import Path

import pytest

from textrnn.data.datasets import load_labelled, load_parallel, load_text
from textrnn.data.parallel import repeated_pairs, split_pairs
from textrnn.data.public_sets import PUBLIC_SETS

DATA = Path(os.environ.get("TEXTRNN_DATA", Path(__file__).parents[3] / "shared" / "data"))
LOADERS = {"text": load_text, "labelled": load_labelled, "parallel": load_parallel}
SIZES = {  # records of the training, validation and test splits
    "shakespeare": [1, None, None],
    "wikitext-2": [1, 1, None],
    "ptb": [1, 1, None],
    "sst2": [6_920, None, 872],
    "imdb": [20_000, None, 5_000],
    "multi30k-en-de": [29_000, 1_014, 1_000],
    "multi30k-en-fr": [29_000, 1_014, 1_000],
    "tatoeba-en-es": [118_964, None, None],
    "tatoeba-en-fr": [142_787, None, None],
}


@pytest.mark.parametrize("name", PUBLIC_SETS)
def test_an_entry_is_complete(name):
    public_set = PUBLIC_SETS[name]
    assert "train" in public_set.splits
    assert set(public_set.splits) <= {"train", "validation", "test"}
    assert public_set.licence
    assert public_set.homepage.startswith("https://")
    for file in public_set.files:
        assert file.url.startswith("https://")
        assert file.made_by or file.member or file.url.endswith(f"/{file.name}")
        assert (file.member is not None) == (file.url.endswith(".zip") and not file.name.endswith(".zip"))
        if file.sha256 is None:
            assert public_set.size, "a file without a sha256 is checked by its size"
        else:
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
    files_per_split = 2 if public_set.format == "aligned files" else 1
    assert {len(files) for files in public_set.splits.values()} == {files_per_split}


@pytest.mark.parametrize("name", PUBLIC_SETS)
def test_the_published_files_load(name, monkeypatch):
    public_set = PUBLIC_SETS[name]
    if not (DATA / public_set.folder).is_dir():
        pytest.skip(f"{public_set.folder} is not in TEXTRNN_DATA ({DATA})")
    monkeypatch.setenv("TEXTRNN_DATA", str(DATA))
    dataset = LOADERS[public_set.content](name)
    splits = [dataset.train, dataset.validation, dataset.test]
    sizes = [None if split is None else len(split) for split in splits]
    if public_set.grows:
        assert sizes[0] > 100_000
        assert sizes[1:] == SIZES[name][1:]
        train, held_out = split_pairs(dataset.train, 0.1, max_held_out=1_000)
        assert len(held_out) == 1_000
        assert repeated_pairs(train, held_out) == []
    else:
        assert sizes == SIZES[name]
    if name.startswith("multi30k"):
        assert dataset.train[0].source == "Two young, White males are outside near many bushes."
