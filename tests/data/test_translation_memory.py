"""Translation memories are read as tables of languages, and as pairs."""

import gzip

import pytest

from textrnn.data.parallel import read_pairs
from textrnn.data.translation_memory import read_memory
from textrnn.errors import InputError

HEAD = '<?xml version="1.0" encoding="{}"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n'
BODY = '<tmx version="1.4"><header srclang="en-US"/><body>{}</body></tmx>'


def unit(**segments):
    """A translation unit: segments by language, `en_US` for `en-US`."""
    variants = (
        f'<tuv xml:lang="{language.replace("_", "-")}"><seg>{text}</seg></tuv>'
        for language, text in segments.items()
    )
    return f"<tu><note>no text</note>{''.join(variants)}</tu>\n"


UNITS = unit(en_US="A dog.", de="Ein Hund.") + unit(en_US="A café.", de="Ein Café.")
SIDES = [("A dog.", "Ein Hund."), ("A café.", "Ein Café.")]


def write(folder, units, encoding="utf-8", name="memory.tmx"):
    path = folder / name
    data = (HEAD.format(encoding) + BODY.format(units)).encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def sides(pairs):
    return [(pair.source, pair.target) for pair in pairs]


@pytest.mark.parametrize("name", ["memory.tmx", "memory.TMX", "memory.xml", "memory.tmx.gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_a_memory_of_two_languages_is_read(encoding, name, tmp_path):
    path = write(tmp_path, UNITS, encoding, name)
    pairs, warnings = read_pairs(path)
    assert sides(pairs) == SIDES
    assert [pair.origin for pair in pairs] == [f"{path}, unit 1", f"{path}, unit 2"]
    assert warnings == []


def test_an_encoding_that_is_given_replaces_the_declared_one(tmp_path):
    path = tmp_path / "memory.tmx"
    path.write_bytes((HEAD.format("utf-8") + BODY.format(UNITS)).encode("cp1252"))
    with pytest.raises(InputError, match=r"memory\.tmx cannot be read as TMX: .*line 4.*give --encoding"):
        read_pairs(path)
    assert sides(read_pairs(path, encoding="cp1252").pairs) == SIDES


@pytest.mark.parametrize(
    ("segment", "text"),
    [
        ("Q&amp;A &#8212; &lt;b&gt;", "Q&A \u2014 <b>"),
        ('A <bpt i="1">&lt;b&gt;</bpt>black<ept i="1">&lt;/b&gt;</ept> dog', "A black dog"),
        ('<ph x="1">{0}</ph>Two <hi>black <hi>dogs</hi></hi>!<it pos="end">x</it>', "Two black dogs!"),
        ("<ut>x</ut>A<!-- no text --> dog", "A dog"),
        ("<![CDATA[a < b]]>", "a < b"),
    ],
)
def test_segments_keep_text_and_lose_codes(segment, text, tmp_path):
    assert read_memory(write(tmp_path, unit(en=segment))).rows == [(1, [text])]


MORE = unit(de="Ein Hund.", en_US="A dog.", fr="Un chien.") + unit(EN_us="A cat.", fr="Un chat.")


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (("en", "fr"), [("A dog.", "Un chien."), ("A cat.", "Un chat.")]),
        (("FR", "en_us"), [("Un chien.", "A dog."), ("Un chat.", "A cat.")]),
        (("1", "en-US"), [("Ein Hund.", "A dog.")]),
    ],
)
def test_languages_are_chosen_by_code(chosen, expected, tmp_path):
    path = write(tmp_path, MORE)
    pairs, warnings = read_pairs(path, *chosen)
    assert sides(pairs) == expected
    skipped = [f"skipped 1 pair with an empty side: {path}, unit 2"]
    assert warnings == (skipped if len(pairs) == 1 else [])


def test_of_two_languages_one_may_be_given(tmp_path):
    path, swapped = write(tmp_path, UNITS), [(target, source) for source, target in SIDES]
    assert sides(read_pairs(path, "de").pairs) == swapped
    assert sides(read_pairs(path, target_column="en").pairs) == swapped


def test_of_two_texts_of_a_language_the_first_is_used(tmp_path):
    path = write(tmp_path, UNITS.replace("</tu>", '<tuv lang="de"><seg>Noch einer.</seg></tuv></tu>'))
    assert sides(read_pairs(path).pairs) == SIDES


@pytest.mark.parametrize(
    ("units", "chosen", "message"),
    [
        (MORE, (), "has 3 languages, expected two, 'de', 'en-US', 'fr': give --source_column and"),
        (MORE, ("en",), "has 3 languages, expected two"),
        (MORE, ("en", "es"), "there is no language 'es' among 'de', 'en-US', 'fr'. Choose with --source_col"),
        (MORE, ("en", "en-US"), "'en-US' and 'en-US' are the same column"),
        (unit(en_US="A", en_GB="B", de="C"), ("en", "de"), "'en' may be 'en-US' or 'en-GB': give one"),
        (unit(en="A"), (), "has 1 language, expected two, 'en'"),
        ("", (), "has 0 languages, expected two"),
        (unit(en="A") + unit(de="B"), (), "no unit has both a source and a target"),
        ("<tu><tuv><seg>A</seg></tuv></tu>", (), "unit 1: a <tuv> has no xml:lang"),
        ("<tu><tuv xml:lang='en'><seg>A & B</seg></tuv></tu>", (), "cannot be read as TMX: .*line 3, column"),
        ("<tu>", (), "cannot be read as TMX: mismatched tag: line 3"),
    ],
)
def test_memories_without_the_pairs_are_refused(units, chosen, message, tmp_path):
    with pytest.raises(InputError, match=rf"memory\.tmx.*{message}"):
        read_pairs(write(tmp_path, units), *chosen)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as TMX: no element found"),
        (BODY.format(UNITS)[:-20], "cannot be read as TMX: unclosed token"),
        ("<html><body>A dog.</body></html>", "expected TMX, a translation memory, found XML of <html>"),
        (HEAD.format("gb2312") + "<tmx/>", "cannot be read as TMX: multi-byte encodings are not supported"),
    ],
)
def test_other_files_are_refused(text, message, tmp_path):
    (tmp_path / "a.xml").write_text(text, "utf-8")
    with pytest.raises(InputError, match=rf"a\.xml:? {message}"):
        read_pairs(tmp_path / "a.xml")
