from __future__ import annotations

import pytest

from omniq_flow.render.looks import INK, KINDS, PAPER, QUIET_INK, STATES, Look

ENOUGH = 4.5  # what WCAG asks of small text


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("look", [*STATES.values(), *KINDS.values()])
def test_words_are_legible_on_their_ground(look: Look) -> None:
    assert _contrast(look.ink, look.fill) >= ENOUGH
    assert _contrast(INK, look.fill) >= ENOUGH


def test_labels_of_arrows_are_legible() -> None:
    assert _contrast(QUIET_INK, PAPER) >= ENOUGH


def test_states_differ_by_more_than_colour() -> None:
    assert len({look.symbol for look in STATES.values()}) == len(STATES)
    assert len({look.plain_symbol for look in STATES.values()}) == len(STATES)
    assert len({look.symbol for look in KINDS.values()}) == len(KINDS)
    assert all(look.plain_symbol.isascii() for look in (*STATES.values(), *KINDS.values()))
