"""Text: what is not whole is refused, what is hidden is shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.texts import NotText, check, hidden, misleading, visible, whole


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "x\udfff"])
def test_what_is_no_text_is_refused_and_can_be_made_whole(text: str) -> None:
    with pytest.raises(NotText):
        check(text)
    check(whole(text))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(alphabet=st.characters()))
def test_any_text_can_be_made_whole_and_visible(text: str) -> None:
    check(whole(text))
    assert not hidden(visible(text))
    check(visible(text))


@pytest.mark.parametrize(
    "character", ["\u200b", "\u202e", "\u2066", "\ufeff", "\x1b", "\r", "\u00a0", "\u2028"]
)
def test_a_hidden_character_is_shown_as_an_escape(character: str) -> None:
    assert hidden(f"a{character}b")
    assert character not in visible(f"a{character}b")
    assert "\\" in visible(f"a{character}b")


@pytest.mark.parametrize(
    "text", ["plain\n\ttext", "café", "中文", "😀", "\u0645\u06cc\u200c\u062e"]
)
def test_ordinary_text_of_any_script_does_not_mislead(text: str) -> None:
    assert not misleading(text)
