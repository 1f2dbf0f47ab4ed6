"""The pictures of a statement in its PDF, drawn with lines, rectangles and the standard font.

Rules
-----
1. The shapes are those of `bars` and `band`; this only gives them millimetres and colours.
2. Every figure that is drawn here stands in the text or a table too, or in the JSON: a picture is never the only place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from fpdf import FPDF

from outrider_collector.forms.band import Band
from outrider_collector.forms.bars import GLYPHS, MEANINGS, Bars, Box, Shape

Colour = tuple[int, int, int]
COLOURS: Mapping[str, Colour] = {
    "good": (27, 122, 67),
    "bad": (179, 38, 30),
    "unsure": (138, 90, 0),
    "quiet": (89, 99, 107),
    "paper": (255, 255, 255),
}
_LINE, _BAND, _RULE, _INK, _SOFT = (31, 95, 153), (188, 207, 224), (222, 222, 222), (0, 0, 0), (70, 70, 70)
_TINY = 7.0
_LABELS_MM, _COUNTS_MM, _ROW_MM, _CELL_MM = 44.0, 60.0, 7.4, 5.4
_BAND_MM, _TICKS_MM = 42.0, 18.0


def draw_bars(pdf: FPDF, bars: Bars, text: Callable[[str, int], str]) -> None:
    """Rows of days with their axis and legend; `text` makes a text fit for this paper, at most so long."""
    width = (pdf.epw - _LABELS_MM - _COUNTS_MM) / bars.width
    for row in bars.rows:
        if pdf.will_page_break(_ROW_MM):
            pdf.add_page()
        top = pdf.get_y() + 1
        _say(pdf, pdf.l_margin, top + 1, _LABELS_MM - 2, text(row.label, 34))
        for number, cell in enumerate(row.cells):
            _shapes(pdf, GLYPHS[cell.state], pdf.l_margin + _LABELS_MM + number * width, top, width, _CELL_MM)
        _say_in_lines(pdf, pdf.l_margin + pdf.epw - _COUNTS_MM + 2, top - 0.4, _COUNTS_MM - 2, text(row.counted, 90))
        pdf.set_y(top - 1 + _ROW_MM)
    _axis(pdf, bars, pdf.l_margin + _LABELS_MM, width, text)
    _legend(pdf, ((MEANINGS[state], _glyph(state)) for state in bars.states))
    _clean(pdf)


def _axis(pdf: FPDF, bars: Bars, left: float, width: float, text: Callable[[str, int], str]) -> None:
    top = pdf.get_y() + 0.4
    pdf.set_draw_color(*_INK)
    pdf.set_line_width(0.5)
    pdf.line(left + bars.period * width, top, left + bars.width * width, top)
    pdf.set_line_width(0.2)
    for number, name in bars.months:
        x = left + number * width
        pdf.line(x, top, x, top + 2)
        if number / bars.width < 0.9:
            _say(pdf, x, top + 2, 30, text(name, 20))
    _say(pdf, left + bars.width * width + 2, top - 1, _COUNTS_MM - 2, "line: the period of this statement")
    pdf.set_y(top + 6)


def draw_band(pdf: FPDF, band: Band, text: Callable[[str, int], str]) -> None:
    """The columns of the bins, with scale, limit and legend."""
    if pdf.will_page_break(_BAND_MM + 22):
        pdf.add_page()
    top, left, wide = pdf.get_y() + 5, pdf.l_margin + _TICKS_MM, pdf.epw - _TICKS_MM
    bottom = top + _BAND_MM

    def y(height: float) -> float:
        return bottom - height * _BAND_MM

    pdf.set_line_width(0.2)
    pdf.set_draw_color(*_RULE)
    for height, label in band.above:
        pdf.line(left, y(height), left + wide, y(height))
        _say(pdf, pdf.l_margin, y(height) - 1.8, _TICKS_MM - 2, text(label, 20), align="R")
    if band.is_off_scale:
        _say(pdf, pdf.l_margin, top - 5, _TICKS_MM - 2, "off the scale", align="R")
    pdf.set_draw_color(*_SOFT)
    pdf.line(left, bottom, left + wide, bottom)
    for place, label in band.across:
        pdf.line(left + place * wide, bottom, left + place * wide, bottom + 1.2)
        if 0.02 < place < 0.98:
            _say(pdf, left + place * wide - 15, bottom + 1.4, 30, text(label, 20), align="C")
    _gaps(pdf, band, left, wide, y)
    _columns(pdf, band, left, wide, y)
    pdf.set_draw_color(*COLOURS["unsure"])
    pdf.set_line_width(0.4)
    pdf.set_dash_pattern(dash=1.6, gap=1)
    pdf.line(left, y(band.limit), left + wide, y(band.limit))
    pdf.set_dash_pattern()
    _say(pdf, left, y(band.limit) - 4, wide, text(band.limit_label, 40), align="R", colour=COLOURS["unsure"])
    pdf.set_y(bottom + 6)
    _legend(pdf, _keys(band))
    _clean(pdf)


def _gaps(pdf: FPDF, band: Band, left: float, wide: float, y: Callable[[float], float]) -> None:
    pdf.set_draw_color(*COLOURS["quiet"])
    pdf.set_fill_color(*COLOURS["quiet"])
    for gap in band.gaps:
        if gap.is_excused:
            for height in (0.02, 0.05, 0.08, 0.11):
                pdf.line(left + gap.left * wide, y(height), left + gap.right * wide, y(height))
        else:
            pdf.rect(left + gap.left * wide, y(0) - 1.4, (gap.right - gap.left) * wide, 0.7, style="F")


def _columns(pdf: FPDF, band: Band, left: float, wide: float, y: Callable[[float], float]) -> None:
    for it in band.columns:
        margin = 0.12 * (it.right - it.left)
        x, width = left + (it.left + margin) * wide, (it.right - it.left - 2 * margin) * wide
        pdf.set_fill_color(*_BAND)
        pdf.rect(x, y(it.high), width, y(it.low) - y(it.high), style="F")
        if it.p90 is None:
            _triangle(pdf, x + width / 2, y(1) - 3.4)
        else:
            pdf.set_draw_color(*_LINE)
            pdf.set_line_width(0.7)
            pdf.line(x, y(it.p90), x + width, y(it.p90))
            pdf.set_line_width(0.2)


def _triangle(pdf: FPDF, x: float, top: float) -> None:
    pdf.set_fill_color(*COLOURS["bad"])
    pdf.polygon([(x, top), (x - 1.2, top + 2.2), (x + 1.2, top + 2.2)], style="F")


_Key = Callable[[FPDF, float, float], None]


def _glyph(state: str) -> _Key:
    return lambda pdf, x, y: _shapes(pdf, GLYPHS[state], x + 1, y, 2, 3.6)


def _keys(band: Band) -> Iterable[tuple[str, _Key]]:
    def box(pdf: FPDF, x: float, y: float) -> None:
        pdf.set_fill_color(*_BAND)
        pdf.rect(x, y + 0.6, 4, 2.4, style="F")

    def bar(pdf: FPDF, x: float, y: float) -> None:
        pdf.set_draw_color(*_LINE)
        pdf.set_line_width(0.7)
        pdf.line(x, y + 1.8, x + 4, y + 1.8)
        pdf.set_line_width(0.2)

    yield "from p50 to p99 (open at the top: p99 is off the scale)", box
    yield "p90", bar
    if band.is_off_scale:
        yield "p90 is off the scale: more than one in ten failed", lambda pdf, x, y: _triangle(pdf, x + 2, y + 0.7)
    if any(not gap.is_excused for gap in band.gaps):
        yield "no data", _glyph("no data")
    if any(gap.is_excused for gap in band.gaps):
        yield "all excused", _glyph("excused")


def _legend(pdf: FPDF, keys: Iterable[tuple[str, _Key]]) -> None:
    """Signs with their words, in as many lines as it takes."""
    x, y = pdf.l_margin, pdf.get_y()
    pdf.set_font("helvetica", size=_TINY)
    for words, draw in keys:
        width = pdf.get_string_width(words) + 10
        if x + width > pdf.l_margin + pdf.epw:
            x, y = pdf.l_margin, y + 5
        draw(pdf, x, y)
        _say(pdf, x + 5, y, width, words)
        x += width
    pdf.set_y(y + 5.5)


def _shapes(pdf: FPDF, shapes: Iterable[Shape], x: float, y: float, width: float, height: float) -> None:
    pdf.set_line_width(0.2)
    for shape in shapes:
        pdf.set_draw_color(*COLOURS[shape.tone])
        if isinstance(shape, Box):
            pdf.set_fill_color(*COLOURS[shape.tone])
            place = (x + shape.x * width, y + shape.y * height, shape.width * width, shape.height * height)
            pdf.rect(*place, style="F" if shape.is_filled else "D")
        else:
            start, end = (x + shape.x1 * width, y + shape.y1 * height), (x + shape.x2 * width, y + shape.y2 * height)
            pdf.line(*start, *end)


def _clean(pdf: FPDF) -> None:
    """What is drawn after a picture must not take its colours over."""
    pdf.set_fill_color(255, 255, 255)
    pdf.set_draw_color(0, 0, 0)
    pdf.set_line_width(0.2)


def _say_in_lines(pdf: FPDF, x: float, y: float, width: float, words: str) -> None:
    """Small text in as many lines as it takes; it moves nothing."""
    at = pdf.get_x(), pdf.get_y()
    pdf.set_font("helvetica", size=_TINY)
    pdf.set_text_color(*_SOFT)
    pdf.set_xy(x, y)
    pdf.multi_cell(width, 2.9, words, align="L")
    pdf.set_text_color(0, 0, 0)
    pdf.set_xy(*at)


def _say(pdf: FPDF, x: float, y: float, width: float, words: str, *, align: str = "L", colour: Colour = _SOFT) -> None:
    """One line of small text at a place; it moves nothing."""
    at = pdf.get_x(), pdf.get_y()
    pdf.set_font("helvetica", size=_TINY)
    pdf.set_text_color(*colour)
    pdf.set_xy(x, y)
    pdf.cell(width, 3.6, words, align=align)
    pdf.set_text_color(0, 0, 0)
    pdf.set_xy(*at)
