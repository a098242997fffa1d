import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.redact import KINDS, Kind, common

LENGTH = 50_000

PERSONAL = [
    ("mail <ann.b+c@mail.example.co.uk>, thanks", "mail <[email]>, thanks"),
    ("'ann@example.com'.", "'[email]'."),
    ("mailto:o'brien@example.org?subject=x", "mailto:[email]?subject=x"),
    ("j\xfcrgen@m\xfcller.de", "[email]"),
    ("\u90ae\u7bb1\u662fann@example.com\u8c22\u8c22", "\u90ae\u7bb1\u662f[email]\u8c22\u8c22"),
    ("lib@1.2@ann.example.com", "lib@[email]"),
    ("https://user:pw@host.example.com/x", "https://user:[email]/x"),
    ("call +49 (0)30 / 123 456-78!", "call [phone]!"),
    ("+1 (555) 123-4567", "[phone]"),
    ("tel:+14155552671.", "tel:[phone]."),
    ("0049 30 1234567", "[phone]"),
    ("(030) 1234567", "[phone]"),
    ("030/1234567", "[phone]"),
    ("0151-12345678 or 0171 1234567, 2024", "[phone] or [phone], 2024"),
    ("030 1234567 0171 7654321", "[phone] [phone]"),
    ("06 12 34 56 78", "[phone]"),
    ("06.12.34.56.78", "[phone]"),
    ("020 7946 0958", "[phone]"),
    ("(555) 123-4567", "[phone]"),
    ("1-800-555-0199", "[phone]"),
    ("555.123.4567", "[phone]"),
    ("555-123-4567, 2 times", "[phone], 2 times"),
    ("555 123 4567 555 765 4321", "[phone] [phone]"),
    ("8 (912) 345-67-89", "8 [phone]"),
    ("4111 1111 1111 1111", "[card]"),
    ("4111-1111-1111-1111,5500000000000004", "[card],[card]"),
    ("3782 822463 10005", "[card]"),  # 4-6-5
    ("30569309025904", "[card]"),  # 14 digits
    ("4222222222222", "[card]"),  # 13
    ("6011 0009 9013 9424 (till 12/29)", "[card] (till 12/29)"),
    ("DE89 3704 0044 0532 0130 00 AND MORE", "[iban] AND MORE"),
    ("de89370400440532013000.", "[iban]."),
    ("GB29-NWBK-6016-1331-9268-19", "[iban]"),
    ("NO9386011117947", "[iban]"),  # the shortest
    ("MT84MALT011000012345MTLCAST001S", "[iban]"),
    ("AB12 is my DE89 3704 0044 0532 0130 00", "AB12 is my [iban]"),
    ("at 10.0.0.1.", "at [ip]."),
    ("192.168.1.17:8080, 10.0.0.0/8", "[ip]:8080, [ip]/8"),
    ("2001:db8::1", "[ip]"),
    ("http://[2001:0db8:85a3:0000:0000:8a2e:0370:7334]:443", "http://[[ip]]:443"),
    ("from fe80::1%eth0: hello", "from [ip]%eth0: hello"),
    ("::ffff:192.0.2.7", "::ffff:[ip]"),
]
ORDINARY = [
    *("12345", "12345678", "5551234567", "007", "+10%", "1 000 000 000", "5 012 345 678"),
    *("256 512 768 1024", "-17.5", "1e-10", "3.141592653589793", "0.4111111111111111"),
    *("$1,299.00", "1.234.567,89 EUR", "EUR 12,50", "4111 EUR", "+1,000,000"),
    *("2026-11-21", "21.11.2026", "01.02.2026", "01.02.2026 10:30", "01.02.26 0815"),
    *("01/02/2026", "01 02 2026", "1/2/26", "10:30:15", "2026-11-21T10:30:00.123456+01:00"),
    *("20261121103000", "1700000000", "1700000000000", "0900-1700", "08.00 - 10.00"),
    *("1.2.3", "v1.2.3.4", "version 1.2.3.4", "Version: 10.0.19041.1", "Chrome 120.0.6099.109"),
    *("package@1.2.3", "lodash@4.17.21-beta.1", "1.2.3.4.5", "256.1.1.1", "10.00.0.1"),
    *("4111 1111 1111 1112", "5111111111111111", "9780306406157", "6011 or 6012"),
    *("3100000000000003", "2000000000000006"),  # no issuer's
    *("5.0123456789", "1,0123456789", "item-0123456789", "DE89370400440532013000ab"),
    *("DE88370400440532013000", "ZZ89370400440532013000", "DE89 bottles and 12 more of them"),
    *("std::vector<int>", "a::b", "dead::beef", "x[::2]", "x[1::2]", "f0:9f:92:a9:00:01"),
    *("550e8400-e29b-41d4-a716-446655440000", "0x7fffffffe0123456", "IMG_0123456789.jpg"),
    *("d41d8cd98f00b204e9800998ecf8427e", "0123456789abcdef", "Phys. Rev. 12 (2020) 1234-1245"),
    *("@ann", "a @ b.com", "3@4.50", "x = a@b.T", "user@localhost", "[email] [ip]", ""),
]
# Each would take minutes where the time grows with the square of the length.
NOTHING = [
    *("a", "a.", "a@", "@", "a-", "'", ".", "\xe9", "a@b.c@", "1 ", "0", "0 ", "(0", "+1", "+49 "),
    *("4 ", "411111", "5112 ", "ab12 ", "DE88", "DE88 ", "1.", "1.1.1.1.", ":", "f000:g", "555-"),
    *("(555", "0.", "10:", "2001:db8:g"),
]
MANY = [
    ("ann@example.com ", "[email]"),
    ("+493012345678901 ", "[phone]"),
    ("4111111111111111 ", "[card]"),
    ("DE89370400440532013000 ", "[iban]"),
    ("10.0.0.1 ", "[ip]"),
    ("2001:db8::1 ", "[ip]"),
]


@pytest.mark.parametrize(("text", "kept"), PERSONAL)
def test_what_is_personal_is_taken_out(text: str, kept: str) -> None:
    assert common(text) == kept


@pytest.mark.parametrize("text", ORDINARY)
def test_what_is_ordinary_is_left_alone(text: str) -> None:
    assert common(text) == text
    assert common(f"so {text}, and then") == f"so {text}, and then"


@pytest.mark.parametrize("bit", NOTHING)
def test_a_long_text_with_nothing_in_it_comes_back_whole(bit: str) -> None:
    text = (bit * LENGTH)[:LENGTH]
    assert common(text) == text


@pytest.mark.parametrize("text", ["x@" + "a." * LENGTH, "a" * LENGTH + "@", "a@" + "b-" * LENGTH])
def test_a_long_word_around_an_at_sign_is_no_address(text: str) -> None:
    assert common(text) == text


@pytest.mark.parametrize(("bit", "label"), MANY)
def test_in_a_long_text_each_one_is_taken_out(bit: str, label: str) -> None:
    count = LENGTH // len(bit)
    assert common(bit * count) == f"{label} " * count


@pytest.mark.parametrize("kind", KINDS)
def test_no_pattern_can_give_back_without_bound_what_it_took(kind: Kind) -> None:
    bare = re.sub(r"\\.|\[(?:\\.|[^\]])*\]", "x", kind.pattern.pattern)  # neither escapes nor sets
    bare = re.sub(r"\{\d+(,\d+)?\}\+?|\?\+?", "", bare)  # nor what is bounded
    assert not set("*+{") & set(re.sub(r"[*+]\+", "", bare))  # and all others never give back


def test_a_picture_is_no_text() -> None:
    # A card and an account, if it were one.
    picture = "data:image/png;base64,4111111111111111/DE89370400440532013000+0="
    assert common(picture) == picture
    assert common(f"{picture} ") != picture


@given(st.text(max_size=40).filter(lambda text: not text or not text[-1].isalnum()))
def test_an_address_is_found_wherever_it_is(before: str) -> None:
    assert "ann@example.com" not in common(f"{before} ann@example.com")
