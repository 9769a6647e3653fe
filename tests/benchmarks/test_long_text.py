"""The benchmark of long texts."""

import pytest

import long_text


@pytest.mark.slow
def test_it_measures_a_text_in_memory_and_one_in_files(run_command):
    results = run_command(long_text)["results"]
    assert [(each["megabytes"], each["process"]) for each in results] == [(1, 1), (1, 2), (18, 1), (18, 2)]
    assert all(each["peak"] > 100 for each in results)
    for first, second in (results[:2], results[2:]):
        assert first["tokens"] == second["tokens"] and first["loss"] == pytest.approx(second["loss"])


def test_a_text_has_the_size_asked_for(tmp_path):
    long_text.make_text(tmp_path / "a.txt", 1, None, seed=0)
    long_text.make_text(tmp_path / "b.txt", 1, None, seed=1)
    texts = [(tmp_path / name).read_bytes() for name in ("a.txt", "b.txt")]
    assert [len(text) for text in texts] == [1_000_000] * 2 and texts[0] != texts[1]
