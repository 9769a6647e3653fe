"""Parallel text: tables and aligned files are read, checked and split by source."""

import gzip

import pytest

from textrnn.data.parallel import Pair, read_aligned, read_pairs, repeated_pairs, split_pairs, swapped
from textrnn.data.table_writing import write_table
from textrnn.errors import InputError

PAIRS = [("Go.", "Va !"), ('She said "no"', "Elle a dit « non »"), ("naïve, \u2028 really", "à\x85b")]


def write(path, text):
    data = text.encode("utf-8")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def sides(pairs):
    return [(pair.source, pair.target) for pair in pairs]


def table(pairs):
    return "".join(f"{source}\t{target}\n" for source, target in pairs)


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("last", [True, False], ids=["with last end", "without"])
@pytest.mark.parametrize("name", ["phrases.tsv", "phrases.tsv.gz", "phrases.txt"])
def test_a_table_is_read(name, last, end, tmp_path):
    lines = [f" {source} \t{target} " for source, target in PAIRS]
    path = write(tmp_path / name, end.join(lines) + last * end)
    pairs, warnings = read_pairs(path)
    assert sides(pairs) == PAIRS
    assert [pair.origin for pair in pairs] == [f"{path}, line {number}" for number in (1, 2, 3)]
    assert warnings == []


def test_a_table_may_have_more_columns_and_the_target_first(tmp_path):
    path = write(tmp_path / "fra.tsv", "Va !\tGo.\tCC BY 2.0\t#1 (CK)\n")
    assert sides(swapped(read_pairs(path).pairs)) == [("Go.", "Va !")]


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("packed", ["", ".gz"], ids=["plain", "gz"])
def test_aligned_files_are_read(packed, end, tmp_path):
    source, target = (
        write(tmp_path / f"train.{language}{packed}", end.join(pair[side] for pair in PAIRS) + last)
        for side, (language, last) in enumerate([("en", end), ("fr", "")])
    )
    pairs, warnings = read_aligned(source, target)
    assert sides(pairs) == PAIRS
    assert [pair.origin for pair in pairs] == [f"{source}, line {number}" for number in (1, 2, 3)]
    assert warnings == []


def test_files_of_different_length_are_refused_with_both_counts(tmp_path):
    source = write(tmp_path / "a.en", "one\n" * 1_200)
    target = write(tmp_path / "a.fr", "un\n" * 1_199 + "\nun\n")
    message = (
        r"a\.en has 1,200 lines, but .*a\.fr has 1,201: .* a translation is missing, leave the line empty"
    )
    with pytest.raises(InputError, match=message):
        read_aligned(source, target)


def test_a_line_without_a_tab_is_refused(tmp_path):
    path = write(tmp_path / "a.tsv", "Go.\tVa !\nRun!   Cours !\n")
    with pytest.raises(InputError, match=r"a\.tsv, line 2: there is no tab in 'Run!   Cours !': expected"):
        read_pairs(path)


@pytest.mark.parametrize("content", ["\tVa !\nGo.\t\n", "\n \n\t"])
def test_a_table_without_pairs_is_refused(content, tmp_path):
    with pytest.raises(InputError, match=r"a\.tsv"):
        read_pairs(write(tmp_path / "a.tsv", content))


def test_invalid_utf8_is_refused_with_its_line(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(b"Go.\tVa !\ncoffee\tcaf\xe9\n")
    with pytest.raises(InputError, match="byte 0xe9 at offset 19 in line 2"):
        read_pairs(path)
    with pytest.raises(InputError, match="in line 2"):
        read_aligned(path, write(tmp_path / "a.fr", "un\ndeux\n"))


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_pairs(tmp_path / "a.tsv")
    with pytest.raises(InputError, match="is a folder"):
        read_pairs(tmp_path)
    with pytest.raises(InputError, match="is a folder"):
        read_aligned(tmp_path, tmp_path)


def test_pairs_with_an_empty_side_are_skipped_with_a_warning(tmp_path):
    path = write(tmp_path / "a.tsv", "Go.\tVa !\n" + "Run!\t \n\tCours !\n\n" * 3 + "Wait.\tAttends.\n")
    pairs, warnings = read_pairs(path)
    assert sides(pairs) == [("Go.", "Va !"), ("Wait.", "Attends.")]
    assert pairs[1].origin == f"{path}, line 11"
    assert warnings == [f"skipped 6 pairs with an empty side: {path}, lines 2, 3, 5, 6, 8 and 1 more"]


@pytest.mark.parametrize("missing", ["N/A", "NaN", "null", " n.a. ", "NA"])
def test_missing_values_in_columns_are_skipped_with_their_spelling(missing, tmp_path):
    path = write(tmp_path / "a.csv", f"source,target\nGo.,Va !\nRun!,{missing}\n{missing},Non\nna,None\n")
    pairs, warnings = read_pairs(path)
    assert sides(pairs) == [("Go.", "Va !"), ("na", "None")]
    assert warnings == [f"skipped 2 pairs with a side that is {missing.strip()!r}: {path}, lines 3, 4"]
    write(path, f"source,target\nGo.,Va !\nRun!,{missing}\n,\n")
    [warning] = read_pairs(path).warnings
    assert warning.startswith(f"skipped 2 pairs with a side that is empty or {missing.strip()!r}:")


def test_the_warning_about_aligned_files_names_both(tmp_path):
    source, target = write(tmp_path / "a.en", "one\ntwo\n"), write(tmp_path / "a.fr", "\ndeux\n")
    pairs, warnings = read_aligned(source, target)
    assert pairs == [Pair(f"{source}, line 2", "two", "deux")]
    assert warnings == [f"skipped 1 pair with an empty side: {source} and {target}, line 1"]


def test_pairs_with_identical_sides_are_kept_with_a_warning(tmp_path):
    path = write(tmp_path / "a.tsv", table([("Go.", "Va !"), ("Taxi!", "Taxi!"), ("Paris", "Paris ")]))
    pairs, warnings = read_pairs(path)
    assert len(pairs) == 3
    assert warnings == [f"2 pairs with identical sides: {path}, lines 2, 3; is one language given twice?"]
    write(path, table([("Go.", "Va !"), ("Taxi!", "Taxi!")]))
    assert read_pairs(path).warnings == [f"1 pair with identical sides: {path}, line 2"]


def test_one_language_given_twice_is_refused(tmp_path):
    path = write(tmp_path / "a.csv", "English,French\nGo.,Va !\nRun!,Cours !\n")
    for column in ("english", "1"):
        message = f"a.csv: 'English' and '{column}' are the same column: give one with"
        with pytest.raises(InputError, match=message):
            read_pairs(path, "English", column)
    one, other = (write(tmp_path / name, "Go.\nRun!\n") for name in ("a.en", "b.en"))
    (tmp_path / "link.en").symlink_to(one)
    for same in (one, tmp_path / "link.en"):
        with pytest.raises(InputError, match=r"a\.en and .*\.en are the same file: give"):
            read_aligned(one, same)
    with pytest.raises(InputError, match=r"b\.en: all 2 pairs are identical: is one language given twice\?"):
        read_aligned(one, other)


def test_texts_much_longer_than_the_rest_give_a_warning(tmp_path):
    rows = [("word", "mot")] * 9 + [("word " * 300, "mot"), ("word", "mot " * 250)]
    path = write(tmp_path / "a.tsv", table(rows))  # 1,499 characters, and 999
    expected = f"1 source longer than 1,000 characters (median 4): {path}, line 10"
    assert read_pairs(path).warnings == [expected]


def test_texts_as_long_as_the_rest_give_no_warning(tmp_path):
    path = write(tmp_path / "a.tsv", table([("word " * 300, "mot " * 300)] * 3))
    assert read_pairs(path).warnings == []


def test_texts_in_another_script_than_the_rest_give_a_warning(tmp_path):
    english = ["Good morning.", "a + Я = ?", "Доброе утро", "It is 25 µm, 1ª.", "Ω", "ｆｕｌｌ", "123"]
    russian = ["Доброе утро.", "Я", "Доброе утро", "Это 25 мкм (micro)", "Омега", "Полный", "123"]
    source = write(tmp_path / "a.en", "\n".join(english))
    target = write(tmp_path / "a.ru", "\n".join([*russian[:3], "micrometre", *russian[4:]]))
    pairs, warnings = read_aligned(source, target)
    assert len(pairs) == 7
    assert warnings == [
        f"2 pairs with identical sides: {source} and {target}, lines 3, 7",
        f"2 sources in another script than LATIN: {source}, lines 3 (CYRILLIC), 5 (GREEK)",
        f"1 target in another script than CYRILLIC: {target}, line 4 (LATIN)",
    ]


def test_the_scripts_of_japanese_count_as_one(tmp_path):
    rows = [("Good morning", "おはようございます"), ("taxi", "タクシー"), ("Japan", "日本"), ("cat", "ﾈｺ")]
    assert read_pairs(write(tmp_path / "a.tsv", table(rows))).warnings == []


def test_pairs_are_swapped_and_swapped_back():
    pairs = [Pair(f"a.tsv, line {i}", *row) for i, row in enumerate(PAIRS)]
    assert sides(swapped(pairs)) == [(target, source) for source, target in PAIRS]
    assert swapped(swapped(pairs)) == pairs


def many(sources, translations):
    return [
        Pair(
            f"a.tsv, line {i}",
            f" source  {i % sources}" if i % 2 else f"source {i % sources} ",
            f"target {i}",
        )
        for i in range(sources * translations)
    ]


@pytest.mark.parametrize("translations", [1, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_a_split_keeps_all_translations_of_a_source_together(seed, translations):
    pairs = many(101, translations)
    train, held_out = split_pairs(pairs, 0.2, seed)
    assert repeated_pairs(train, held_out) == []
    assert sorted([*train, *held_out], key=pairs.index) == pairs
    assert [sorted(part, key=pairs.index) for part in (train, held_out)] == [train, held_out]
    assert abs(len(held_out) - 0.2 * len(pairs)) < translations


def test_a_split_is_determined_by_its_seed():
    pairs = many(50, 2)
    assert split_pairs(pairs, 0.2, 3) == split_pairs(pairs, 0.2, 3)
    assert split_pairs(pairs, 0.2, 3) != split_pairs(pairs, 0.2, 4)


def test_a_split_holds_out_at_most_max_held_out_pairs_and_at_least_one_source():
    pairs = many(100, 3)
    assert len(split_pairs(pairs, 0.5, max_held_out=10)[1]) == 9
    assert len(split_pairs(pairs, 0.5, max_held_out=1)[1]) == 3
    assert len(split_pairs(pairs, 0.001)[1]) == 3
    assert [len(part) for part in split_pairs(many(2, 1), 0.99)] == [1, 1]


@pytest.mark.parametrize(
    ("pairs", "options", "message"),
    [
        (many(1, 4), {"held_out": 0.5}, "4 pairs with 1 different source cannot be split"),
        ([], {"held_out": 0.5}, "0 pairs with 0 different sources"),
        (many(9, 1), {"held_out": 0.0}, "held_out is 0.0: give a fraction"),
        (many(9, 1), {"held_out": 1.0}, "held_out is 1.0: give a fraction"),
        (many(9, 1), {"held_out": 0.5, "max_held_out": 0}, "max_held_out is 0: give at least 1"),
    ],
)
def test_an_impossible_split_is_refused(pairs, options, message):
    with pytest.raises(InputError, match=message):
        split_pairs(pairs, **options)


def test_test_sources_in_the_training_data_give_a_warning():
    train = [Pair("a.tsv, line 1", "Go.", "Va !"), Pair("a.tsv, line 2", "Wait here.", "Attends ici.")]
    test = [Pair("b.tsv, line 1", "Wait  here. ", "Attendez ici."), Pair("b.tsv, line 2", "Run!", "Va !")]
    [warning] = repeated_pairs(train, test)
    assert warning == ("1 of 2 test texts is also in the training data: b.tsv, line 1 (= a.tsv, line 2)")
    assert repeated_pairs(train, test[1:]) == []


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.xlsx", "a.csv.gz"])
@pytest.mark.parametrize(
    ("columns", "chosen"),
    [(["source", "id", "target"], ()), (["en", "id", "fr"], ("en", "fr")), (["en", "id", "fr"], ("1", "3"))],
)
def test_tables_with_columns_are_read(name, columns, chosen, tmp_path):
    if name.endswith("xlsx"):
        pytest.importorskip("openpyxl")
    rows = [[source, "7", target] for source, target in PAIRS]
    plain = tmp_path / name.removesuffix(".gz")
    write_table(plain, columns, rows)
    path = write(tmp_path / name, plain.read_text("utf-8")) if name.endswith("gz") else plain
    if chosen == ("1", "3") and name == "a.tsv":  # whose first line is a pair unless it names columns
        assert sides(read_pairs(path, *chosen).pairs) == [("en", "fr"), *PAIRS]
        return
    assert sides(read_pairs(path, *chosen).pairs) == PAIRS
    assert [name for name in read_pairs(path, *chosen).warnings if "sides" in name] == []


def test_one_column_may_be_given(tmp_path):
    path = write(tmp_path / "a.tsv", "en\ttarget\nGo.\tVa !\n")
    assert sides(read_pairs(path, "en").pairs) == [("Go.", "Va !")]
    with pytest.raises(InputError, match="there is no 'source' among the columns 'en', 'target'"):
        read_pairs(path, target_column="target")


def test_a_table_of_two_columns_needs_no_names(tmp_path):
    write_table(tmp_path / "a.csv", ["English", "French"], PAIRS)
    assert sides(read_pairs(tmp_path / "a.csv").pairs) == PAIRS
    assert sides(read_pairs(tmp_path / "a.csv", no_header=True).pairs) == [("English", "French"), *PAIRS]


def test_a_tsv_that_a_program_wrote_with_quotes_is_read(tmp_path):
    write_table(tmp_path / "a.tsv", *[["Go.", "Va !"], PAIRS])
    assert sides(read_pairs(tmp_path / "a.tsv").pairs) == [("Go.", "Va !"), *PAIRS]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "en,id,fr\na,1,b\n",
            "there is no 'source' and no 'target' among the columns 'en', 'id', 'fr'.*--no_header",
        ),
        ("source,target\n,\n", "no line has both a source and a target"),
    ],
)
def test_tables_without_the_columns_are_refused(text, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_pairs(write(tmp_path / "a.csv", text))


def test_pairs_of_json_must_be_texts(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"source": "a", "target": null}\n{"source": "b", "target": 3}\n')
    with pytest.raises(InputError, match=r"a\.jsonl, line 2: target is 3, expected a string"):
        read_pairs(path)


def test_pairs_in_other_encodings_are_read(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes("It’s\tC’est\n".encode("cp1252"))
    assert sides(read_pairs(path, encoding="cp1252").pairs) == [("It’s", "C’est")]
    targets = tmp_path / "a.fr"
    targets.write_bytes("C’est\n".encode("cp1252"))
    assert sides(read_aligned(path, targets, "cp1252").pairs) == [("It’s\tC’est", "C’est")]
    path.write_bytes("It’s\tC’est\n".encode("utf-16"))
    assert sides(read_pairs(path).pairs) == [("It’s", "C’est")]


def test_headers_of_joined_files_are_no_pair(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(2 * "Source\tTarget\r\nGo.\tVa !\r\n".encode("utf-8-sig"))
    assert sides(read_pairs(path).pairs) == [("Go.", "Va !")] * 2


def test_line_ends_of_old_macs_are_read(tmp_path):
    for name, text in {
        "a.tsv": "Go.\tVa !\rRun!\tCours !\r",
        "a.csv": "source,target\rGo.,Va !\rRun!,Cours !\r",
    }.items():
        (tmp_path / name).write_bytes(text.encode())
        assert sides(read_pairs(tmp_path / name).pairs) == [("Go.", "Va !"), ("Run!", "Cours !")]


def test_a_first_row_of_a_csv_that_may_be_a_pair_is_named(tmp_path):
    path = write(tmp_path / "a.csv", "Go.,Va !\nRun!,Cours !\n")
    pairs, [warning] = read_pairs(path)
    assert sides(pairs) == [("Run!", "Cours !")]
    assert warning.endswith("names of columns, 'Go.', 'Va !'. If it is a pair, give --no_header")
    assert read_pairs(path, no_header=True).warnings == []
    assert read_pairs(write(tmp_path / "b.csv", "Source,Target\na,b\n")).warnings == []


def test_codes_of_languages_in_a_first_line_are_named(tmp_path):
    path = write(tmp_path / "a.tsv", "en\tde\nGo.\tGeh.\n")
    pairs, [warning] = read_pairs(path)
    assert sides(pairs) == [("en", "de"), ("Go.", "Geh.")]
    assert warning.endswith("If it has the names of columns, give --source_column en --target_column de")
    assert read_pairs(path, "en", "de").warnings == [] == read_pairs(path, no_header=True).warnings


def test_a_header_is_none_of_the_pairs_whatever_columns_are_given(tmp_path):
    table = tmp_path / "a.tsv"
    table.write_text("id\tsource\ttarget\n1\tGo.\tVa !\n")
    for columns in (("source", "target"), ("source", "3"), ("2", "target"), ("2", "3")):
        assert [(pair.source, pair.target) for pair in read_pairs(table, *columns).pairs] == [("Go.", "Va !")]
    assert [pair.target for pair in read_pairs(table, "2", "3", no_header=True).pairs] == ["target", "Va !"]
    table.write_text("Go.\tVa !\n")
    assert [(pair.source, pair.target) for pair in read_pairs(table, "2", "1").pairs] == [("Va !", "Go.")]


def test_tables_with_the_numbers_of_sentences_are_refused(tmp_path):
    """As Tatoeba's own tables have them."""
    path = write(tmp_path / "pairs.tsv", "1276\tLet's go.\t414\tOn y va.\n1277\tI have to.\t\tJe dois.\n")
    with pytest.raises(
        InputError, match=r"all sources are numbers, such as 1276: choose two of its 4 columns"
    ):
        read_pairs(path)
    assert sides(read_pairs(path, "2", "4").pairs)[0] == ("Let's go.", "On y va.")
    numbers = write(tmp_path / "numbers.tsv", "1\tone\n2\ttwo\n")
    assert sides(read_pairs(numbers).pairs) == [("1", "one"), ("2", "two")]
