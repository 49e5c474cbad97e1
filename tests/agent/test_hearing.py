"""What is shown of an answer while it comes: never a part of what is masked once it is whole."""

from __future__ import annotations

import pytest

from agent.hearing import Hearing, settled
from policies.detectors import find, sample
from policies.masks import ALL_KINDS, Masks

CARD, ACCOUNT = sample("pan"), sample("iban")


def in_groups(value: str) -> str:
    return " ".join(value[at : at + 4] for at in range(0, len(value), 4))


def hearing() -> Hearing:
    masks = Masks(b"k" * 32)
    return Hearing(lambda text: masks.mask(text, ALL_KINDS))


SECRETS = [*map(sample, sorted(ALL_KINDS)), in_groups(CARD), in_groups(ACCOUNT), f"pan:{CARD}"]


@pytest.mark.parametrize("secret", SECRETS)
def test_no_part_of_a_secret_shows_however_it_is_cut_into_pieces(secret: str) -> None:
    found = max(find(secret, ALL_KINDS), key=lambda one: one.end - one.start)
    value = secret[found.start : found.end].replace("PRIVATE KEY", "")
    parts = [value[at : at + 4] for at in range(len(value) - 3)]
    parts = [part for part in parts if part.strip(" -\n") == part and part not in found.kind]
    assert parts
    heard = hearing()
    for piece in f"I found this in the file: {secret}\nand now I go on with it, as it was told.\n":
        heard.take(piece)
        assert not [part for part in parts if part in heard.text()], heard.text()
    assert heard.text().endswith("as it was told.\n")


def test_the_last_word_waits_until_it_is_whole() -> None:
    heard = hearing()
    heard.take("The shelf is")
    assert heard.text() == "The shelf "
    heard.take(" emp")
    assert heard.text() == "The shelf is "


def test_groups_that_may_become_a_number_wait_for_the_word_behind_them() -> None:
    assert settled("Account DE12 NWBK 6016 ") == "Account "
    assert settled("Account DE12 NWBK 6016 is closed") == "Account DE12 NWBK 6016 is "
    assert settled("4 5 ") == ""


def test_an_empty_piece_begins_anew() -> None:
    heard = hearing()
    heard.take("Broken ")
    heard.take("")
    assert heard.text() == ""
    heard.take("Whole. ")
    assert heard.text() == "Whole. "
