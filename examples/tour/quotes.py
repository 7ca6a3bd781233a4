"""Numbers quoted in the text of the tour: each stands between two comments that say which it is.

``<!--autoencoder.psnr:.1f-->27.4<!--/-->`` quotes the number "psnr" of a station with one decimal. Whoever
reads the page does not see the comments, and a new run fills in new numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Numbers = dict[str, dict[str, float | str]]
"""By station and name, as in numbers.json."""

QUOTE = re.compile(r"(<!--(?P<station>\w+)\.(?P<name>\w+)(:(?P<format>[^>]*))?-->).*?(<!--/-->)", re.DOTALL)


def filled(text: str, numbers: Mapping[str, Mapping[str, float | str]]) -> str:
    """The same text with each quoted number as it is in the numbers.

    Raises:
        KeyError: it quotes one that there is not.
    """

    def quoted(match: re.Match[str]) -> str:
        value = numbers[match["station"]][match["name"]]
        return f"{match[1]}{value:{match['format'] or ''}}{match[6]}"

    return QUOTE.sub(quoted, text)
