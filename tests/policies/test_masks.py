"""Masks: nothing of a secret is left, the same value has the same mask, and the way back is exact."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.detectors import ALL_KINDS, PERSONAL, SECRETS, find, sample
from policies.masks import Masks
from policies.texts import TooDeep

KEY = b"the key of a session"


def value_of(kind: str) -> str:
    """The bare value within the sample of a kind."""
    text = sample(kind)
    found = find(text, frozenset({kind}))[0]
    return text[found.start : found.end]


@pytest.mark.parametrize("kind", sorted(ALL_KINDS))
def test_a_value_of_every_kind_is_masked_and_comes_back_exactly(kind: str) -> None:
    masks = Masks(KEY)
    text = f"before {sample(kind)} after"
    masked = masks.mask(text, ALL_KINDS)
    assert value_of(kind) not in masked
    assert re.search(rf"<{kind}:[0-9a-f]{{8}}>", masked)
    assert masks.unmask(masked) == text


def test_only_the_kinds_that_are_asked_for_are_masked() -> None:
    masks = Masks(KEY)
    text = f"{sample('pan')} {sample('token')}"
    assert value_of("pan") in masks.mask(text, SECRETS)
    assert value_of("token") in masks.mask(text, PERSONAL)
    assert masks.mask(text, frozenset()) == text


def test_the_same_value_has_the_same_mask_within_a_session_and_another_in_the_next() -> None:
    one, other = Masks(KEY), Masks(b"another key")
    text = sample("token")
    assert one.mask(text, ALL_KINDS) == one.mask(text, ALL_KINDS)
    assert one.mask(text, ALL_KINDS) == Masks(KEY).mask(text, ALL_KINDS)
    assert one.mask(text, ALL_KINDS) != other.mask(text, ALL_KINDS)


def test_masking_twice_changes_nothing() -> None:
    masks = Masks(KEY)
    once = masks.mask("\n".join(sample(k) for k in sorted(ALL_KINDS)), ALL_KINDS)
    assert masks.mask(once, ALL_KINDS) == once


def test_a_published_value_is_left_alone() -> None:
    text = 'PAN = "4111 1111 1111 1111"; MAIL = "jane@example.com"'
    assert Masks(KEY).mask(text, ALL_KINDS) == text


def test_a_mask_of_another_session_is_not_turned_back() -> None:
    masked = Masks(KEY).mask(sample("token"), ALL_KINDS)
    assert Masks(KEY).unmask(masked) == masked
    assert Masks(b"x").unmask("<token:00000000>") == "<token:00000000>"


def test_two_values_whose_masks_begin_alike_are_kept_apart() -> None:
    masks = Masks(KEY)
    taken = masks.mask(sample("token"), ALL_KINDS)
    masks._values[taken] = "another value with the same first digits"
    longer = masks.mask(sample("token"), ALL_KINDS)
    assert longer != taken
    assert masks.unmask(f"{longer}") == sample("token")


def test_json_keeps_its_shape_and_no_string_in_it_its_secret() -> None:
    masks = Masks(KEY)
    secret = value_of("token")
    value = {"a": [secret, 1, None, True, 2.5, {"b": f"x {secret}"}], secret: {}}
    masked = masks.mask_json(value, ALL_KINDS)
    assert secret not in json.dumps(masked)
    assert masked["a"][1:5] == [1, None, True, 2.5]
    assert json.loads(masks.unmask(json.dumps(masked))) == value


def test_json_with_nothing_to_mask_is_itself_and_what_is_masked_leaves_it_as_it_was() -> None:
    masks = Masks(KEY)
    clean = {"password": "none", "calls": [{"tool_call_id": "call_1", "n": [1, 2.5, None]}]}
    assert masks.mask_json(clean, ALL_KINDS) is clean
    value = {"kept": clean, "list": [value_of("token")]}
    masked = masks.mask_json(value, ALL_KINDS)
    assert masked["kept"] is clean
    assert value["list"] == [value_of("token")] != masked["list"]


def test_a_text_under_a_name_that_tells_is_masked_with_that_name() -> None:
    masks = Masks(KEY)
    value = {"db": {"password": value_of("password")}, "note": value_of("password")}
    masked = masks.mask_json(value, SECRETS)
    assert masked["db"]["password"].startswith("<password:")
    assert masked["note"] == value["note"]


def test_arguments_of_a_call_as_text_are_masked_within() -> None:
    masks = Masks(KEY)
    arguments = json.dumps({"code": f'{sample("password")}\nx = "{value_of("token")}"'})
    masked = masks.mask(arguments, SECRETS)
    assert value_of("password") not in masked
    assert value_of("token") not in masked
    assert "code" in json.loads(masked)


def test_what_is_nested_too_deep_is_refused() -> None:
    value: Any = "x"
    for _ in range(100):
        value = [value]
    with pytest.raises(TooDeep):
        Masks(KEY).mask_json(value, ALL_KINDS)


PIECES = st.one_of(
    st.sampled_from([sample(kind) for kind in sorted(ALL_KINDS)]),
    st.sampled_from(
        ["<token:0a1b2c3d>", "4111 1111 1111 1111", " ", "\n", "=", '"', "\0", "\ud800"]
    ),
    st.text(max_size=8),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(PIECES, max_size=8).map("".join))
def test_any_text_comes_back_exactly_and_shows_nothing_that_is_sure(text: str) -> None:
    masks = Masks(KEY)
    masked = masks.mask(text, ALL_KINDS)
    assert masks.unmask(masked) == text
    assert masks.mask(masked, ALL_KINDS) == masked


def together(masks: Masks, name: str, text: str) -> str:
    """What a text under a name becomes where both are always looked at together."""
    opening = f'{name} = "'
    whole = masks.mask(f'{opening}{text}"', ALL_KINDS)
    if whole.startswith(opening) and whole.endswith('"'):
        return masks.mask(whole[len(opening) : -1], ALL_KINDS)
    return masks.mask(text, ALL_KINDS)


NAMES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "password",
            "DB_PWD",
            "apiKey",
            "Credentials",
            "ssn",
            "social_security_no",
            "mrn",
            "phone",
            "TEL",
            "cell",
            "contact",
            "login",
            "card",
            "value",
            "text",
            "iban",
            "KEY",
        ]
    ),
)
DIGITS = st.text("0123456789- ", min_size=5, max_size=20)


@given(
    NAMES, st.one_of(st.sampled_from(sorted(ALL_KINDS)).map(sample), DIGITS, st.text(max_size=30))
)
def test_a_name_that_tells_nothing_need_not_be_looked_at_with_its_text(
    name: str, text: str
) -> None:
    masks = Masks(b"k" * 32)
    masked = masks.mask_json({name: text}, ALL_KINDS)
    assert list(masked.values()) == [together(masks, name, text)]
