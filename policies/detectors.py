"""Find secrets and personal data in text: what must be masked, and what may not be written.

Each detector knows one kind by its shape and its own checksum or context; there is no measure of
randomness alone, because hashes and identifiers are random too. What a detector cannot know (a
person's name, a password in prose) is not found, and nothing here claims otherwise.

All patterns run in linear time (no nested repetition), on the text as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from stdnum import iban, luhn
from stdnum.us import ssn

from policies import card_numbers
from policies.published import is_published

SECRETS = frozenset({"private_key", "token", "password", "uri_password", "netrc"})
"""What opens a door: nobody outside may see it."""
PERSONAL = frozenset({"pan", "us_ssn", "iban", "email", "phone", "mrn"})
"""What is about a person."""
ALL_KINDS = SECRETS | PERSONAL


@dataclass(frozen=True, slots=True)
class Finding:
    """One value in a text.

    Attributes:
        kind: One of `ALL_KINDS`.
        start: Offset of the value in characters.
        end: Offset just after it.
        confidence: In [0, 1]; from 0.8 on it is acted upon.
        published: A value that was published for tests, or lies in a range set aside for examples.
    """

    kind: str
    start: int
    end: int
    confidence: float
    published: bool


Span = tuple[int, int, float]


REMEMBERED = 16_384
"""Characters of a text up to which all that was found in it is remembered: one and the same text
passes the gate, the masks and the log, each with kinds of its own."""


def find(text: str, kinds: frozenset[str] | None = None) -> Sequence[Finding]:
    """Find values of the given kinds (None: of all), by their place; they may overlap.

    Args:
        text: Any text; a NUL in it hides nothing.
        kinds: A part of `ALL_KINDS`.

    Raises:
        ValueError: A kind is not known.
    """
    wanted = ALL_KINDS if kinds is None else kinds
    if not wanted <= ALL_KINDS:
        raise ValueError(
            f"unknown kinds {sorted(wanted - ALL_KINDS)}: there are {sorted(ALL_KINDS)}"
        )
    if len(text) > REMEMBERED:
        return _look(text, wanted)
    found = _find(text)
    return found if wanted == ALL_KINDS else [f for f in found if f.kind in wanted]


@lru_cache(maxsize=512)
def _find(text: str) -> tuple[Finding, ...]:
    return _look(text, ALL_KINDS)


def _look(text: str, kinds: frozenset[str]) -> tuple[Finding, ...]:
    found = [
        Finding(kind, start, end, confidence, is_published(kind, text[start:end]))
        for kind in kinds
        for start, end, confidence in _DETECTORS[kind](text)
    ]
    return tuple(sorted(found, key=lambda f: (f.start, -f.end, f.kind)))


def _may_hold(text: str, words: tuple[str, ...]) -> bool:
    """Whether one of the words, without regard to case, may stand in a text.

    A plain look saves a pattern's walk. Beyond ASCII a letter can have other cases: there, yes.
    """
    if not text.isascii():
        return True
    lowered = text.lower()
    return any(word in lowered for word in words)


_PEM_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{1,40}-----")
# As it stands in a file, in a string with its escapes, or in several strings put together.
_PEM_BODY = re.compile(r"(?:[A-Za-z0-9+/=\s\"',]|\\[nr]|(?<=\n)[A-Za-z\-]{4,20}: [^\n]{1,120}\n)*")
_PEM_LINE = re.compile(r"[A-Za-z0-9+/]{20}")


def _private_keys(text: str) -> Iterator[Span]:
    for begin in _PEM_BEGIN.finditer(text) if "-----BEGIN " in text else ():
        body = _PEM_BODY.match(text, begin.end())
        stop = body.end() if body else begin.end()
        # A block whose end was cut off is a key all the same; a marker alone is none.
        if _PEM_LINE.search(text, begin.end(), stop):
            end = _PEM_END.match(text, stop)
            yield begin.start(), end.end() if end else stop, 0.99


_TOKEN_FORMS = (
    ("ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{36,255}"),  # GitHub
    ("github_pat_", r"[A-Za-z0-9_]{60,255}"),
    ("glpat-", r"[A-Za-z0-9_\-]{20,64}"),  # GitLab
    ("AKIA ASIA", r"[A-Z2-7]{16}"),  # AWS key id
    ("xoxa- xoxb- xoxe- xoxp- xoxr- xoxs-", r"[A-Za-z0-9\-]{20,255}"),  # Slack
    ("sk-ant-", r"[A-Za-z0-9_\-]{20,255}"),  # Anthropic
    ("sk-", r"(?:proj-|svcacct-)?[A-Za-z0-9_\-]{32,255}"),  # OpenAI and those who copy its shape
    ("AIza", r"[A-Za-z0-9_\-]{35}"),  # Google
    ("ya29.", r"[A-Za-z0-9_\-]{30,255}"),
    ("npm_", r"[A-Za-z0-9]{36}"),
    ("pypi-AgE", r"[A-Za-z0-9_\-]{50,255}"),
    ("sk_live_ rk_live_", r"[A-Za-z0-9]{20,255}"),  # Stripe; its _test_ keys are for tests
    ("whsec_", r"[A-Za-z0-9+/]{32,64}"),
    ("SG.", r"[A-Za-z0-9_\-]{22}\.[A-Za-z0-9_\-]{43}"),  # SendGrid
    ("hf_", r"[A-Za-z0-9]{34}"),  # Hugging Face
    ("doo_v1_ dop_v1_ dor_v1_", r"[a-f0-9]{64}"),  # DigitalOcean
    ("dckr_pat_", r"[A-Za-z0-9_\-]{27}"),  # Docker
    ("hvs.", r"[A-Za-z0-9_\-]{24,255}"),  # Vault
    ("AGE-SECRET-KEY-1", r"[A-Z0-9]{58}"),
    ("eyJ", r"[A-Za-z0-9_\-]{10,2048}\.eyJ[A-Za-z0-9_\-]{10,4096}\.[A-Za-z0-9_\-]{20,1024}"),  # JWT
)
"""How the tokens of an issuer begin, and what follows."""
_TOKEN_BEGINNINGS = tuple(one for beginnings, _ in _TOKEN_FORMS for one in beginnings.split())
_TOKENS = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    + "|".join(
        f"(?:{'|'.join(map(re.escape, beginnings.split()))}){rest}"
        for beginnings, rest in _TOKEN_FORMS
    )
    + r")(?![A-Za-z0-9_])"
)


def _tokens(text: str) -> Iterator[Span]:
    if not any(beginning in text for beginning in _TOKEN_BEGINNINGS):
        return
    for match in _TOKENS.finditer(text):
        value = match.group()
        # Words joined by dashes have the outer shape of a key, and no digit.
        varied = any(c.isdigit() for c in value[4:]) and len(set(value)) > 8
        if (varied or value.startswith(("AKIA", "ASIA"))) and not _looks_made_up(value):
            yield match.start(), match.end(), 0.95


_NAME = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret|token|api[_\-]?key|access[_\-]?key|private[_\-]?key"
    r"|client[_\-]?secret|auth[_\-]?key|credential)s?"
)
_ASSIGNED = re.compile(
    r"(?i)(?P<name>" + _NAME + r"[a-z0-9_\-]{0,20})(?:"
    r"\\?[\"']?\]?\s{0,4}(?::\s{0,4}(?:str|bytes)\s{0,4}=|:=|=>|[:=,])\s{0,4}[bru]{0,2}\\?[\"']"
    r"(?P<quoted>[^\"'\s\\]{8,200})\\?[\"']"
    r"|(?:=|[ \t]{0,4}[:=][ \t]{1,4})(?P<bare>[^\s\"'<>(){}\[\],;$`\\]{8,200})[ \t]*(?:#[^\n]*)?\r?(?=\n|\Z))"
)
# A value without quotes counts only where the name stands first on its line, as in settings.
_FIRST_ON_LINE = re.compile(r"(?i)[ \t]{0,8}(?:export[ \t]+|set[ \t]+|-[ \t]+)?[a-z0-9_\-.]*\Z")


_PASSWORD_WORDS = ("pass", "pwd", "secret", "token", "key", "credential")


def _passwords(text: str) -> Iterator[Span]:
    if not _may_hold(text, _PASSWORD_WORDS):
        return
    for match in _ASSIGNED.finditer(text):
        group = "quoted" if match["quoted"] else "bare"
        line = text[
            max(0, text.rfind("\n", 0, match.start()) + 1, match.start() - 80) : match.start()
        ]
        if group == "bare" and not _FIRST_ON_LINE.match(line):
            continue
        if _is_password(match["name"], match[group]):
            yield match.start(group), match.end(group), 0.85


def _is_password(name: str, value: str) -> bool:
    """Whether a value assigned to a name of that kind is a real one, not a name or a stand-in."""
    if _looks_made_up(value) or is_published("password", value):
        return is_published("password", value)
    letters = any(c.isalpha() for c in value)
    digits = sum(c.isdigit() for c in value)
    if not letters or not digits or len(set(value)) < 6:
        return False
    if re.search(r"(?i)pass|pwd", name):
        return True
    # For the wider names (token, secret, key) an identifier with a digit in it is no secret.
    mixed = value != value.lower() and value != value.upper()
    return len(value) >= 16 and digits >= 2 and (mixed or digits >= len(value) // 5)


_MADE_UP = re.compile(
    r"(?i)example|changeme|change[_\-]me|placeholder|dummy|sample|your[_\-]|my[_\-]?(?:secret|pass|token)"
    r"|not[_\-]?a[_\-]?real|redacted|fake|xxxx|\*\*\*|\.\.\.|0123456|1234567|abcdef|<|\{|\$|%\(|%s|_test_|^test"
)


def _looks_made_up(value: str) -> bool:
    return _MADE_UP.search(value) is not None


_URI = re.compile(
    r"(?i)\b[a-z][a-z0-9+.\-]{1,30}://[^\s/:@\"'<>]{0,100}:(?P<value>[^\s/:@\"'<>]{3,200})@[a-z0-9\[]"
)
_STAND_INS = frozenset(
    {"password", "pass", "passwd", "pwd", "secret", "token", "user", "pw", "p4ss", "passw0rd"}
)


def _uri_passwords(text: str) -> Iterator[Span]:
    if "://" not in text:
        return
    for match in _URI.finditer(text):
        value = match["value"]
        if value.casefold() not in _STAND_INS and not _looks_made_up(value):
            yield match.start("value"), match.end("value"), 0.9


_NETRC = re.compile(
    r"(?i)\b(?:machine\s{1,8}\S{1,200}|default)\s{1,8}login\s{1,8}\S{1,200}\s{1,8}(?:account\s{1,8}\S{1,200}\s{1,8})?"
    r"password\s{1,8}(?P<value>\S{3,200})"
)


def _netrc(text: str) -> Iterator[Span]:
    if not _may_hold(text, ("login",)):
        return
    for match in _NETRC.finditer(text):
        if not _looks_made_up(match["value"]):
            yield match.start("value"), match.end("value"), 0.9


# Patterns that look behind are slow to find nothing: a plainer one tells first whether they might.
_MAY_BE_SSN = re.compile(r"[\- ]\d{2}[\- ]\d{4}")
_SSN = re.compile(r"(?<![\w.\-])\d{3}([\- ])\d{2}\1\d{4}(?![\w\-]|\.\d)")
_BARE_SSN = re.compile(
    r"(?i)\b(?:ssn|social[ _\-]security(?:[ _\-](?:no|number))?)\b[^\w\n]{1,6}(?P<value>\d{9})(?!\d)"
)


def _ssns(text: str) -> Iterator[Span]:
    for match in _SSN.finditer(text) if _MAY_BE_SSN.search(text) else ():
        if ssn.is_valid(match.group().replace(" ", "-")) or is_published("us_ssn", match.group()):
            yield match.start(), match.end(), 0.9 if match[1] == "-" else 0.5
    if not _may_hold(text, ("ssn", "social")):
        return
    for match in _BARE_SSN.finditer(text):
        if ssn.is_valid(match["value"]):
            yield match.start("value"), match.end("value"), 0.85


_MAY_BE_IBAN = re.compile(r"[A-Z][A-Z]\d\d")
_IBAN = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
)


def _ibans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text) if _MAY_BE_IBAN.search(text) else ():
        value = match.group()
        # A word after a spaced number looks like its last group: try without the last ones.
        while len(value) > 14 and not iban.is_valid(value):
            value = value.rpartition(" ")[0]
        if len(value) > 14:
            yield match.start(), match.start() + len(value), 0.95


_EMAIL = re.compile(
    r"(?<![\w.+\-/:@])[A-Za-z0-9][A-Za-z0-9._+\-]{0,63}@(?:[A-Za-z0-9\-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![\w@(]|\.\w)"
)


def _emails(text: str) -> Iterator[Span]:
    if "@" not in text:
        return
    for match in _EMAIL.finditer(text):
        # git@host:path is an address of a repository, not of a person.
        if not match.group().startswith("git@"):
            yield match.start(), match.end(), 0.9


_MAY_BE_PHONE = re.compile(r"\+\d|\(\d{3}\)|-\d{3}-\d{4}")
_PHONE = re.compile(
    r"(?<![\w.\-+(])(?:\+\d{1,3}[ .\-]?(?:\(\d{1,4}\)[ .\-]?)?\d{2,4}(?:[ .\-]\d{2,4}){1,4}"
    r"|\(\d{3}\) ?\d{3}[\-.]\d{4}|\d{3}-\d{3}-\d{4})(?![\w\-]|\.\d)"
)
_PHONE_WORD = re.compile(r"(?i)phone|mobile|cell|tel\b|tel[.:]|fax|call|contact")


def _phones(text: str) -> Iterator[Span]:
    for match in _PHONE.finditer(text) if _MAY_BE_PHONE.search(text) else ():
        digits = sum(c.isdigit() for c in match.group())
        if not 10 <= digits <= 15:
            continue
        near = text[max(0, match.start() - 40) : match.start()]
        yield match.start(), match.end(), 0.85 if _PHONE_WORD.search(near) else 0.5


_MRN = re.compile(
    r"(?i)\b(?:mrn|medical[ _\-]record(?:[ _\-](?:no|number))?|chart[ _\-]no)\b"
    r"[^\w\n]{1,6}(?P<value>[A-Z]{0,2}\d{5,10})(?!\w)"
)


_MRN_WORDS = ("mrn", "medical", "chart")


def _mrns(text: str) -> Iterator[Span]:
    if not _may_hold(text, _MRN_WORDS):
        return
    for match in _MRN.finditer(text):
        yield match.start("value"), match.end("value"), 0.85


_DETECTORS: dict[str, Callable[[str], Iterator[Span]]] = {
    "private_key": _private_keys,
    "token": _tokens,
    "password": _passwords,
    "uri_password": _uri_passwords,
    "netrc": _netrc,
    "pan": card_numbers.find,
    "us_ssn": _ssns,
    "iban": _ibans,
    "email": _emails,
    "phone": _phones,
    "mrn": _mrns,
}


_TELLING = (
    *_PASSWORD_WORDS,
    *_MRN_WORDS,
    *("ssn", "social", "phone", "mobile", "cell", "tel", "fax", "call", "contact", "login"),
)


@lru_cache(maxsize=512)
def is_telling(name: str) -> bool:
    """Whether what stands under a field of this name may be found for the name's sake."""
    return _may_hold(name, _TELLING)


def sample(kind: str) -> str:
    """A text that holds one unpublished value of the kind, built here so that no file holds one.

    For examples and tests. None of the values is in use: they are counted up, not copied.

    Raises:
        ValueError: The kind is not known.
    """
    if kind not in ALL_KINDS:
        raise ValueError(f"unknown kind {kind!r}: there are {sorted(ALL_KINDS)}")
    rule = "-" * 5
    body = "4539" + "57806" + "319462"
    return {
        "private_key": f"{rule}BEGIN PRIVATE KEY{rule}\nMIIEvQIBADANBgkqhkiG9w0B\n{rule}END PRIVATE KEY{rule}",
        "token": "gh" + "p_" + "A1b2C3d4E5f6" * 3,
        "password": "pass" + "word = 'tR7-kawq-93xz'",
        "uri_password": "postgres://app:" + "kawq93xz" + "@db.internal/app",
        "netrc": "machine db.internal login app pass" + "word kawq93xz",
        "pan": body + luhn.calc_check_digit(body),
        "us_ssn": "536-22" + "-8145",
        "iban": "DE"
        + iban.calc_check_digits("DE00" + "500105175407" + "324931")
        + "500105175407324931",
        "email": "jane.roe" + "@" + "mail.contoso.com",
        "phone": "phone: +1 415 " + "867 5309",
        "mrn": "MRN: " + "0048" + "2913",
    }[kind]
