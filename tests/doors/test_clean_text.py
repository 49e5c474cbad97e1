from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.doors.clean_text import clean, clean_line

HOSTILE = "\x1b[2J\x1b]52;c;QQ==\x07\rFAKE\x1b]0;title\x07\u202e\b\x9b31m\U000e0041"


def test_nothing_that_a_terminal_obeys_is_left() -> None:
    shown = clean(HOSTILE)
    assert shown.isprintable()
    assert shown.startswith("\\x1b[2J\\x1b]52;c;QQ==\\x07\\x0dFAKE")
    assert shown.endswith("\\u202e\\x08\\x9b31m\\U000e0041")


@pytest.mark.parametrize("code", ["\x1b[31m", "\x1b[0m", "\x1b[1;38;2;10;20;30m", "\x1b[38:5:196m"])
def test_colours_of_the_source_are_dropped(code: str) -> None:
    assert clean(f"{code}red{code}") == "red"


@pytest.mark.parametrize(
    "code",
    [
        *(0x1B, 0x7F, 0x85, 0x9B, 0xAD, 0x61C, 0x200B, 0x200E, 0x2028, 0x202E, 0x2060, 0x2066),
        *(0x2069, 0x3164, 0xFE0F, 0xFEFF, 0xFFF9, 0xE0001, 0xE0041, 0xE007F, 0xE0100, 0xD800),
    ],
    ids=hex,
)
def test_what_is_invisible_or_turns_text_is_shown_as_an_escape(code: int) -> None:
    shown = clean(f"a{chr(code)}b")
    assert shown.isascii()
    assert f"{code:x}" in shown


@given(st.text())
def test_no_control_separator_or_surrogate_character_survives(text: str) -> None:
    left = {unicodedata.category(c) for c in clean(text) if c not in "\n\t"}
    assert not left & {"Cc", "Cs", "Zl", "Zp"}


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "Sm", "Zs"])))
def test_letters_of_any_script_stay(text: str) -> None:
    hidden = "\u115f\u1160\u3164\uffa0"
    assert clean(text) == text or any(c in text for c in hidden)


def test_one_line_stays_one_line_within_its_limit() -> None:
    line = clean_line("a\nb\tc" + "x" * 500, limit=20)
    assert line.startswith("a\\nb c")
    assert len(line) == 20
    assert line.endswith("…")
