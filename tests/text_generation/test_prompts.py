"""Prompts of samples begin like a text, wherever the validation part was cut off."""

import pytest

from textrnn.data.documents import Document
from textrnn.text_generation.prompts import sample_prompt

LINES = {
    "cut before a word": (" regarde la voiture. Le chat dort sur le tapis, près du feu.", "Le chat dort sur"),
    "cut inside a word": ("garde la voiture. Le chat dort sur le tapis, près du feu.", "Le chat dort sur"),
    "cut after a word": (', said he. "The cat sleeps on the mat, and the dog too."', '"The cat sleeps on'),
    "cut before the end of a quotation": (" too.” The cat sleeps on the mat all day.", "The cat sleeps on"),
    "no sentence ends": (" the cat sleeps on the mat and the dog beside it", "the cat sleeps on"),
    "the text ends with the sentence": (" the cat sleeps on the mat and by it.", "the cat sleeps on"),
    "no spaces between sentences": ("。猫が寝ています犬も寝ています", "猫が寝ています"),
    "a whole line of prose": ("The cat. The dog sleeps on the mat all day.", "The cat. The dog"),
    "a decimal number": (" costs 3.50 euros and the dog twice as much", "costs 3.50 euros and"),
    "a word": ("isabella", "isab"),
    "short words": ("e4 e5 Nf3 Nc6", "e4 e5"),
    "an indented line of code": ("    return cat + dog + bird - horse * cow", "    return cat + dog"),
    "a tab": ("\treturn cat + dog + bird - horse * cow", "\treturn cat + dog"),
}


@pytest.mark.parametrize("case", LINES)
def test_the_prompt_from_a_single_line_begins_with_a_sentence(case):
    line, prompt = LINES[case]
    assert sample_prompt([Document("a.txt", line)]) == prompt


def test_the_second_line_keeps_its_indentation():
    code = " cat. It\n    return cat + dog + bird - horse * cow\n"
    assert sample_prompt([Document("a.py", code)]) == "    return cat + dog"
