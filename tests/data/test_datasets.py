"""Public sets by name: how each format is parsed, and the errors for other files."""

import dataclasses
import gzip
import hashlib
import subprocess
import sys
import zipfile

import pytest

from textrnn import InputError
from textrnn.data import datasets
from textrnn.data.datasets import dataset_names, load_labelled, load_parallel, load_text
from textrnn.data.public_sets import PUBLIC_SETS, PublicSet, RemoteFile

pytestmark = pytest.mark.usefixtures("folders")

LINES = {"train": ["one", "two", "three"], "validation": ["four"], "test": ["five", "six"]}


@pytest.fixture
def publish(remote, monkeypatch):
    """A function that publishes a set: splits of files, each a name and the content."""

    def publish(content, format, splits, **options):
        def remote_file(name, data):
            (remote.folder / name).write_bytes(data)
            return RemoteFile(name, f"{remote.url}/{name}", hashlib.sha256(data).hexdigest())

        files = {split: tuple(remote_file(*file) for file in of) for split, of in splits.items()}
        public_set = PublicSet(content, format, "tiny", files, "CC0", "https://example.org", **options)
        monkeypatch.setattr(datasets, "PUBLIC_SETS", {"tiny-set": public_set})

    return publish


def packed(lines):
    return gzip.compress("".join(f"{line}\n" for line in lines).encode())


def test_a_set_of_text_loads(publish, folders):
    publish("text", "text", {s: [(f"{s}.gz", packed(LINES[s]))] for s in ("train", "validation")})
    dataset = load_text("tiny-set")
    assert [document.text for document in dataset.train] == ["one\ntwo\nthree\n"]
    assert [document.text for document in dataset.validation] == ["four\n"]
    assert dataset.test is None
    assert dataset.train[0].origin == str(folders.cache / "tiny" / "train.gz")
    assert (dataset.name, dataset.licence, dataset.homepage) == ("tiny-set", "CC0", "https://example.org")


def test_a_set_of_labelled_texts_loads(publish, folders):
    publish("labelled", "label and text", {"train": [("a.txt", b"1 good\n0\tbad\n0 so  so\n1 \n")]}, size=4)
    dataset = load_labelled("tiny-set")
    path = folders.cache / "tiny" / "a.txt"
    assert dataset.train == [
        (f"{path}, line 1", "good", "positive"),
        (f"{path}, line 2", "bad", "negative"),
        (f"{path}, line 3", "so  so", "negative"),
        (f"{path}, line 4", "", "positive"),
    ]


def test_a_test_split_is_made_where_there_is_none(publish):
    lines = [f"{i % 2} text {i}" for i in range(20)]
    publish("labelled", "label and text", {"train": [("a.gz", packed(lines))]}, test_fraction=0.2)
    dataset = load_labelled("tiny-set")
    assert [len(dataset.train), dataset.validation, len(dataset.test)] == [16, None, 4]
    assert sorted(e.text for e in [*dataset.train, *dataset.test]) == sorted(line[2:] for line in lines)
    assert [e.label for e in dataset.test].count("positive") == 2
    assert load_labelled("tiny-set") == dataset


def test_a_set_of_pairs_loads(publish, folders):
    splits = {
        split: [(f"{split}.a.gz", packed(lines)), (f"{split}.b.gz", packed(map(str.upper, lines)))]
        for split, lines in LINES.items()
    }
    publish("parallel", "aligned files", splits)
    dataset = load_parallel("tiny-set")
    for split, lines in LINES.items():
        assert [pair[1:] for pair in getattr(dataset, split)] == [(line, line.upper()) for line in lines]
    assert [file.name for file in dataset.files] == [f"{split}.{side}.gz" for split in LINES for side in "ab"]
    assert dataset.test[1].origin == f"{folders.cache / 'tiny' / 'test.a.gz'}, line 2"


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (["1 good", "good"], {}, "line 2 does not start with one of the labels 0, 1"),
        (["1 good"], {"size": 2}, "found 1 texts, expected 2"),
        (["1 good"] * 3, {"size": 2}, "found 3 texts, expected 2"),
        (["1 good"] * 3, {"size": 3}, "found no text with the label 'negative'"),
        (["0 bad"] * 3, {}, "found no text with the label 'positive'"),
    ],
)
def test_other_labelled_texts_are_refused(publish, lines, options, message):
    publish("labelled", "label and text", {"train": [("a.gz", packed(lines))]}, **options)
    with pytest.raises(InputError, match=rf"a\.gz is not the published file: {message}\. Delete it"):
        load_labelled("tiny-set")


ROWS = 10 * ["Go.\tVa !\tCC BY 2.0\n"]
ARCHIVES = {
    "flat": {"fra.txt": ROWS, "_about.txt": ["About this file.\n"]},
    "in a folder": {"fra-eng/": [], "fra-eng/fra.txt": ROWS, "fra-eng/_about.txt": ["About this file.\n"]},
}


@pytest.fixture
def tatoeba(folders, monkeypatch):
    """A function that writes the archive of the Tatoeba set, of which ten pairs are expected."""
    small = dataclasses.replace(PUBLIC_SETS["tatoeba-en-fr"], size=len(ROWS))
    monkeypatch.setattr(datasets, "PUBLIC_SETS", {"tatoeba-en-fr": small})
    path = folders.data / "tatoeba" / "fra-eng.zip"
    path.parent.mkdir(parents=True)

    def write(members):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, lines in members.items():
                archive.writestr(name, "".join(lines))
        return path

    return write


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("members", ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive_that_grows_is_checked_by_its_content(members, extra, tatoeba):
    grown = {
        name: lines + ROWS[:extra] if name.endswith("fra.txt") else lines for name, lines in members.items()
    }
    tatoeba(grown)
    dataset = load_parallel("tatoeba-en-fr")
    assert len(dataset.train) == len(ROWS) + extra
    assert dataset.train[-1][1:] == ("Go.", "Va !")
    assert dataset.train[-1].origin.endswith(f"fra.txt), line {len(ROWS) + extra}")
    assert dataset.validation is dataset.test is None


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"fra.txt": ROWS[1:]}, "found 9 pairs, expected at least 10"),
        ({"fra.txt": [*ROWS, "Run!\n"]}, r".*fra\.txt\), line 11: there is no tab in 'Run!'"),
        ({"_about.txt": ROWS}, "found 0 tables of pairs, expected one"),
    ],
    ids=["few", "no tab", "no table"],
)
def test_another_archive_is_refused(members, message, tatoeba):
    tatoeba(members)
    with pytest.raises(InputError, match=rf"fra-eng\.zip is not the published file: {message}.*\. Delete it"):
        load_parallel("tatoeba-en-fr")


def test_a_web_page_in_place_of_an_archive_is_refused(tatoeba):
    tatoeba({}).write_text("<html>Not Acceptable!</html>")
    with pytest.raises(
        InputError, match=r"fra-eng\.zip is not the published file: .*not a zip file\. Delete"
    ):
        load_parallel("tatoeba-en-fr")


@pytest.mark.parametrize(
    ("load", "name", "message"),
    [
        (load_text, "enwik8", "plain text 'enwik8': choose one of ptb, shakespeare, wikitext-2"),
        (load_text, "imdb", "plain text 'imdb': choose one of ptb"),
        (load_labelled, "yelp", "labelled texts 'yelp': choose one of imdb, sst2"),
        (
            load_parallel,
            "wmt14",
            "pairs 'wmt14': choose one of multi30k-en-de, multi30k-en-fr, tatoeba-en-es",
        ),
    ],
)
def test_an_unknown_name_lists_the_known(load, name, message):
    with pytest.raises(InputError, match=message):
        load(name)


def test_every_set_has_one_kind_of_content():
    names = [name for content in ("text", "labelled", "parallel") for name in dataset_names(content)]
    assert sorted(names) == sorted(PUBLIC_SETS)


def test_reading_data_needs_no_tensorflow():
    modules = "textrnn.data.documents, textrnn.data.datasets, textrnn.data.starter"
    code = f"import sys, {modules}; sys.exit(bool({{'tensorflow', 'keras'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
