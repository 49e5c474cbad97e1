"""Detectors: what must be found is, and what only looks like it is not."""

from __future__ import annotations

import csv
import hashlib
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn

from policies import detectors
from policies.detectors import ALL_KINDS, find, sample

TABLE = Path(detectors.__file__).with_name("published.csv")
CARD = sample("pan")


def sure(text: str) -> list[str]:
    return [f.kind for f in find(text) if f.confidence >= 0.8 and not f.published]


def grouped(digits: str, separator: str) -> str:
    return separator.join(digits[i : i + 4] for i in range(0, len(digits), 4))


@pytest.mark.parametrize("kind", sorted(ALL_KINDS))
def test_a_value_of_every_kind_is_found_and_nothing_else(kind: str) -> None:
    assert sure(sample(kind)) == [kind]


@pytest.mark.parametrize(
    "around", ["x = {}", '{{"k": "{}"}}', "a\n{}\nb", "\0{}\0", "«{}»", "({})"]
)
@pytest.mark.parametrize("kind", sorted(ALL_KINDS - {"password"}))
def test_what_stands_around_a_value_does_not_hide_it(kind: str, around: str) -> None:
    assert kind in sure(around.format(sample(kind)))


@pytest.mark.parametrize(
    "text",
    [
        CARD,
        grouped(CARD, " "),
        grouped(CARD, "-"),
        grouped(CARD, "\u00a0"),
        grouped(CARD, "."),
        f"4000 {grouped(CARD, ' ')}",
        f"{grouped(CARD, ' ')} 4000",
        f"2024 {grouped(CARD, ' ')} 12",
        f"card_{CARD}_x".replace("_x", ""),
        CARD.translate({ord("0") + n: 0x0660 + n for n in range(10)}),
        CARD.translate({ord("0") + n: 0xFF10 + n for n in range(10)}),
    ],
)
def test_a_card_number_is_found_however_it_is_written(text: str) -> None:
    assert "pan" in sure(text)


BAITS = {
    "sha-256": hashlib.sha256(b"x").hexdigest(),
    "uuid": str(uuid.UUID(int=0x1234567812345678)),
    "wrong check digit": "4111111111111112",
    "micro time stamp": "1732500000123456",
    "milli time stamp": "1732500000123",
    "nano time stamp": "1732500000123456789",
    "zip-like ids": "12345-6789, 98765-4321",
    "named like a secret": 'secret_name = "service-account-1"',
    "code that gets a token": 'token = get_token("user")',
    "base64 picture": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
    "integrity hash": "sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ+LFTGHVxVjcXPs17LhbZVGedAJv8XZ1tvj5Fvyw==",
    "placeholder": 'api_key = "your-api-key-here-1234"',
    "environment": 'password = os.environ["DB_PASSWORD"]',
    "template": 'password: "${DB_PASSWORD}"',
    "isbn": "978-3-16-148410-0",
    "version": "1.2.3-4567",
    "decimal": "0.4111111111111111",
    "digits of a constant": "3.14159265358979323846264338327950288419716939937510",
    "table": "4 8 15 16 23 42 4 8 15 16 23 42",
    "in an identifier": "a4539578063194622b",
    "ssh remote": "git@host.contoso.com:team/repo.git",
    "decorator": "@app.route",
    "test keys": "sk_test_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "words joined": "sk-" + "this-is-a-long-name-joined-by-dashes-only",
    "placeholder in a uri": "postgres://user:password@localhost/db",
    "date": "2024-11-25",
    "not a phone": "range 100-200-3000",
    "marker alone": 'if "-----BEGIN PRIVATE KEY-----" in text: raise',
    "hex dump": "4539 5780 6319 ffff",
    "type": "password: str = None",
    "test name": "def test_password_is_12345678_long(): pass",
}


@pytest.mark.parametrize("text", BAITS.values(), ids=BAITS.keys())
def test_what_only_looks_like_a_secret_is_let_be(text: str) -> None:
    assert sure(text) == []


def published() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("row", published(), ids=lambda row: f"{row['kind']}-{row['value'][-6:]}")
def test_a_published_value_is_never_acted_on(row: dict[str, str]) -> None:
    assert row["source"]
    text = f'password = "{row["value"]}"' if row["kind"] == "password" else row["value"]
    assert sure(text) == []
    if row["kind"] == "pan":
        assert luhn.is_valid(row["value"])
        assert sure(grouped(row["value"], " ")) == []


@pytest.mark.parametrize(
    "text", ["987-65-4321", "jane@example.com", "a@b.test", "x@localhost.localdomain.invalid"]
)
def test_ranges_set_aside_for_examples_are_let_be(text: str) -> None:
    assert sure(text) == []


@pytest.mark.parametrize("area", ["000", "666", "900", "999"])
def test_a_social_security_number_that_is_never_issued_is_none(area: str) -> None:
    assert sure(f"{area}-22-8145") == []


def test_a_key_block_is_found_whole_also_when_its_end_is_cut_off() -> None:
    block = sample("private_key")
    cut = block[: block.rindex("-----END")]
    escaped = block.replace("\n", "\\n")
    for text in (block, cut, escaped):
        found = find(f"a {text}", frozenset({"private_key"}))
        assert [f"a {text}"[f.start : f.end].strip() for f in found] == [text.strip()]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kinds"):
        find("x", frozenset({"pann"}))


@pytest.mark.parametrize(
    "text",
    ["4" * 200_000, "4111 " * 40_000, "a" * 200_000, "password=" * 20_000, "-----BEGIN " * 20_000,
     "x@" * 100_000, "eyJ" * 60_000, "a:" * 100_000, "://" * 60_000, "DE12 " * 40_000, "\n" * 200_000,
     "-----BEGIN PRIVATE KEY-----" * 5_000, "machine a login b " * 10_000, "+1 " * 60_000],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_no_text_takes_more_than_its_length_in_time(text: str) -> None:
    """Doubling the text may not take four times as long; a very wide margin, in processor time."""
    began = time.thread_time()
    find(text)
    assert time.thread_time() - began < 5


@pytest.mark.parametrize("kind", ["SSN", "IBAN", "PHONE"])
@given(st.data())
def test_the_quick_look_misses_nothing_that_the_pattern_finds(
    kind: str, data: st.DataObject
) -> None:
    pattern = getattr(detectors, f"_{kind}")
    text = data.draw(st.from_regex(pattern))
    assert getattr(detectors, f"_MAY_BE_{kind}").search(text)


@given(st.from_regex(detectors._TOKENS))
def test_every_token_begins_as_it_is_said_to(text: str) -> None:
    assert any(beginning in text for beginning in detectors._TOKEN_BEGINNINGS)
