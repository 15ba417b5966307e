"""The day in a Date field, however it is written."""

import re
from datetime import date

_EPOCH_ORDINAL = 719_163
_MONTHS = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_MONTH = rb"(?i:(%b)[a-z]{0,6}\.?)" % b"|".join(_MONTHS)
_DAY_MONTH_YEAR = re.compile(rb"\b(\d{1,2})[ \t-]{1,9}%b[ \t,-]{1,9}(\d{2,4})\b" % _MONTH)
_MONTH_DAY_YEAR = re.compile(
    rb"\b%b[ \t]{1,9}(\d{1,2})[ \t,]{1,9}(?:[\d:]{4,9}[ \t]{1,9})?(?:[A-Z+-][A-Z0-9]{1,5}[ \t]{1,9})?(\d{4})\b"
    % _MONTH
)
_ISO = re.compile(rb"\b(\d{4})-(\d{2})-(\d{2})")


def sent_day(value: bytes) -> int | None:
    """
    The day of a Date field's value as the sender wrote it, without regard to time and zone.

    RFC: 3501 section 6.4.4
    Args:
        value: the unfolded value of the field.
    Returns: days since 1970-01-01 (negative before it), or None where no day can be told.
    """
    if found := _DAY_MONTH_YEAR.search(value):
        day, month, year = int(found[1]), _month(found[2]), _full_year(found[3])
    elif found := _MONTH_DAY_YEAR.search(value):
        day, month, year = int(found[2]), _month(found[1]), int(found[3])
    elif found := _ISO.search(value):
        day, month, year = int(found[3]), int(found[2]), int(found[1])
    else:
        return None
    try:
        return date(year, month, day).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        return None


def _month(name: bytes) -> int:
    """The number of the month that these three letters name."""
    return _MONTHS.index(name.lower()) + 1


def _full_year(digits: bytes) -> int:
    """The year that two, three or four digits stand for (RFC 5322 section 4.3)."""
    year = int(digits)
    if len(digits) == 2:
        return year + (2000 if year < 50 else 1900)
    if len(digits) == 3:
        return year + 1900
    return year
