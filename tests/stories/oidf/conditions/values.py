"""Forms that values must have, wherever they stand."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from tests.stories.oidf.judge import must

ERROR: Final = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+")
"""RFC 6749 §5.2."""
DESCRIPTION: Final = re.compile(r"[\x09\x0A\x0D\x20-\x21\x23-\x5B\x5D-\x7E]*")
"""With what deployments send beside the characters of the RFC; a condition of its own looks for those."""
URI: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
PRINTABLE: Final = re.compile(r"[\x20-\x7E]+")


def is_https(url: object) -> bool:
    """Whether it is an https URL with a host."""
    return isinstance(url, str) and urlsplit(url).scheme == "https" and bool(urlsplit(url).hostname)


def bits(text: str) -> float:
    """Shannon's entropy of a text by its own characters: what can be measured of one value."""
    counts = Counter(text).values()
    return -sum(n * math.log2(n / len(text)) for n in counts)


def enough(text: object, name: str, least: float) -> None:
    """It is a text with at least so many bits of entropy, as far as that can be measured."""
    must(isinstance(text, str) and text, f"there is no {name}")
    assert isinstance(text, str)
    must(bits(text) >= least, f"the {name} has about {bits(text):.0f} bits of entropy, {least:.0f} are needed")


def holds(document: Mapping[str, Any], name: str, *least: str) -> None:
    """A member is an array of strings and has at least these."""
    found = document.get(name)
    must(isinstance(found, list) and all(isinstance(one, str) for one in found), f"{name} is no array of strings")
    assert isinstance(found, list)
    missing = sorted(set(least) - set(found))
    must(not missing, f"{name} lacks {missing}")


def endpoint(document: Mapping[str, Any], name: str) -> None:
    """A member is an https URL."""
    must(is_https(document.get(name)), f"{name} is no https URL: {document.get(name)!r}")
