"""The built-in redactor: what tells who somebody is, found by its shape. Pure.

A pattern finds candidates; a check says what of one is to go. All repeats are bounded or never
given back, and a candidate that is none costs one step: the time grows as the text does.
"""

import re
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import NamedTuple

Span = tuple[int, int]


class Kind(NamedTuple):
    label: str
    hint: str  # a text that has one has one of these characters
    pattern: re.Pattern[str]
    check: Callable[[re.Match[str]], Span | None]  # of the candidate, which is group 1


def common(text: str) -> str:
    """Labels in the place of e-mail and IP addresses, bank accounts, payment cards and phones."""
    if _PICTURE.fullmatch(text):
        return text
    for kind in KINDS:
        if any(mark in text for mark in kind.hint):
            text = _without(kind, text)
    return text


def _without(kind: Kind, text: str) -> str:
    pieces: list[str] = []
    done = at = 0
    while found := kind.pattern.search(text, at):
        span = kind.check(found)
        if span is None:
            at = found.start() + 1
            continue
        pieces += [text[done : span[0]], kind.label]
        done = at = span[1]
    return "".join([*pieces, text[done:]])


def _email(found: re.Match[str]) -> Span | None:
    """Its last part begins with two letters, unlike that of `package@1.2.3`."""
    last = found[1].rpartition(".")[2]
    return found.span(1) if re.match(r"[^\W\d_]{2,}+(?![0-9_])", last) else None


def _ipv4(found: re.Match[str]) -> Span | None:
    plain = all(str(int(part)) == part and int(part) <= 255 for part in found[1].split("."))
    before = found.string[max(0, found.start() - 10) : found.start()]
    return found.span(1) if plain and not _VERSION.search(before) else None


def _ipv6(found: re.Match[str]) -> Span | None:
    try:
        IPv6Address(found[1])
    except ValueError:
        return None
    return found.span(1)


def _iban(found: re.Match[str]) -> Span | None:
    """Its country says how long it is, its check digits that it is one (ISO 7064, mod 97)."""
    places = [place for place, char in enumerate(found[1]) if char.isalnum()]
    length = int(_IBAN_LENGTHS.get(found[1][:2].upper(), 0))
    if not 0 < length <= len(places):
        return None
    end = found.start(1) + places[length - 1] + 1
    if re.match("[0-9A-Za-z]", found.string[end : end + 1]):
        return None
    chars = [found[1][place] for place in places[:length]]
    number = "".join(str(int(char, 36)) for char in chars[4:] + chars[:4])
    return (found.start(1), end) if int(number) % 97 == 1 else None


def _card(found: re.Match[str]) -> Span | None:
    """Luhn's check: from the right every second digit doubled, and the sum ends in 0."""
    digits = [int(char) for char in reversed(found[1]) if char.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return found.span(1) if (sum(digits[::2]) + sum(doubled)) % 10 == 0 else None


def _phone(found: re.Match[str]) -> Span | None:
    if _DATE.match(found[1]):
        return None
    start, end = found.span(1)
    text = found.string
    # 5 012 345 678 is one long number, 256 512 768 1024 are many.
    in_row = re.search(rf"(?<![0-9])[0-9]{{1,3}}{_SPACE}\Z", text[max(0, start - 5) : start])
    if in_row and re.fullmatch(rf"[0-9]{{3}}(?:{_SPACE}[0-9]{{3,4}})+", found[1]):
        return None
    opened = text[max(0, start - 1) : start] == "(" and ")" in found[1]
    return start - opened, end


_PICTURE = re.compile(r"data:[\w.+/-]++;base64,[0-9A-Za-z+/=]*+")  # or a sound
_VERSION = re.compile(r"(?i)(?:version|release|section|\bver\.?|\bv\.?|\xa7) ?\Z")
_DATE = re.compile(  # 31.12.2024, 31/12/24
    r"[0-3]?[0-9]([./ -])[0-3]?[0-9]\1(?:(?:19|20)[0-9]{2}(?![0-9])|[0-9]{2}(?!\1?[0-9]))"
)
_IBAN_LENGTHS = dict(
    re.findall(
        r"([A-Z]{2})([0-9]{2})",  # from SWIFT's IBAN registry
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 "
        "DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 "
        "HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 "
        "MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 "
        "RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 "
        "VA22 VG24 XK20 YE30",
    )
)
# Letters of scripts that put spaces between words: of others, a sentence would pass for a name.
_LETTER = r"0-9A-Za-z_\xc0-\u0dff\u1e00-\u1fff"
_NAME = rf"{_LETTER}.+%'-"
_LABEL = rf"[{_LETTER}]++(?:-++[{_LETTER}]++)*+"
_SPACE = r"[ \xa0\u202f]"
_DASH = r"[ \xa0\u202f-]"
_GAP = r"[ \xa0\u202f./()\u2010-\u2013-]{0,3}"  # between two digits of a phone number
_DIGITS = "0123456789"


def _kind(label: str, hint: str, pattern: str, check: Callable[..., Span | None]) -> Kind:
    return Kind(label, hint, re.compile(pattern), check)


# A pattern's first character comes before what looks behind it: the search skips to it at once.
KINDS = (
    _kind(
        "[email]",
        "@",
        rf"(?<![{_NAME}])[.+%'-]*+([{_LETTER}][{_NAME}]*+@{_LABEL}(?:\.{_LABEL})++)",
        _email,
    ),
    _kind(  # IPv6 as it is in use: its first group has four digits
        "[ip]",
        ":",
        r"([23fF](?<![0-9A-Za-z_].)[0-9A-Fa-f]{3}(?=:)(?::{1,2}[0-9A-Fa-f]{1,4}){0,7}+(?:::)?+)"
        r"(?!:?[0-9A-Za-z_])",
        _ipv6,
    ),
    _kind(
        "[ip]",
        ".",
        r"([0-9](?<![0-9A-Za-z_].)(?<![0-9]\..)[0-9]{0,2}(?:\.[0-9]{1,3}){3})"
        r"(?!\.?[0-9]|[A-Za-z_])",
        _ipv4,
    ),
    _kind(
        "[iban]",
        _DIGITS,
        rf"([A-Za-z](?<![0-9A-Za-z_].)[A-Za-z][0-9]{{2}}(?:{_DASH}?[0-9A-Za-z]){{11,30}})",
        _iban,
    ),
    _kind(  # 13 to 19 digits of an issuer: whole, or in groups as 4-4-4-4 and 4-6-5 are
        "[card]",
        _DIGITS,
        r"([2-6](?<![0-9A-Za-z_].)(?<![0-9]\..)(?:(?<=[456])[0-9]|(?<=2)[2-7]|(?<=3)[04-9])"
        r"[0-9]{2}(?:[0-9]{9,15}"
        rf"|(?:{_DASH}[0-9]{{4}}){{2}}{_DASH}[0-9]{{1,7}}|{_DASH}[0-9]{{6}}{_DASH}[0-9]{{4,5}}))"
        r"(?!\.?[0-9]|[A-Za-z_])",
        _card,
    ),
    _kind(  # +49 (0)30 123456
        "[phone]",
        "+",
        rf"(\+(?<![0-9A-Za-z_].)[1-9](?:{_GAP}[0-9]){{7,14}})(?![0-9A-Za-z_])",
        _phone,
    ),
    _kind(  # 0049 30 123456, 030 1234567
        "[phone]",
        "0",
        r"(0(?<![0-9A-Za-z_].)(?<![0-9A-Za-z]-.)(?<![0-9][.,:/].)(?:0 ?[1-9]"
        rf"(?:{_GAP}[0-9]){{7,13}}|[1-9](?:{_GAP}[0-9]){{7,10}}))(?![0-9A-Za-z_])",
        _phone,
    ),
    _kind(  # (555) 123-4567, (912) 345-67-89
        "[phone]",
        "(",
        r"(\([2-9](?<![0-9A-Za-z_]..)[0-9]{2}\)[ -]?[0-9]{3}[ .-]?[0-9]{2}[ .-]?[0-9]{2})"
        r"(?![0-9A-Za-z_]|[.-][0-9])",
        _phone,
    ),
    _kind(  # 555-123-4567, 1-555-123-4567, 555.123.4567
        "[phone]",
        _DIGITS,
        r"([1-9](?<![0-9A-Za-z_].)(?<![0-9][.,:/-].)(?:(?<=1)[ .-]?[2-9]|(?<!1))[0-9]{2}"
        r"([ .-])[0-9]{3}\2[0-9]{4})(?![0-9A-Za-z_]|[.-][0-9])",
        _phone,
    ),
)
