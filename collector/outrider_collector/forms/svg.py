"""The pictures of a statement as SVG that stands in its HTML.

Rules
-----
1. Across, everything is placed in shares of the width, and only what holds no text is stretched: text keeps its size on
   a phone and on paper.
2. Colours are classes of the style sheet, so that light, dark and paper each have their own.
3. Texts are made printable, and ElementTree writes the tree out, so no name can become markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

from outrider.redact import printable
from outrider_collector.forms.band import Band
from outrider_collector.forms.bars import GLYPHS, Bars, Box, Row, Shape, Stroke, in_words

_CELL, _ROW = 10, 30
_BAND_TOP, _BAND_BOTTOM, _BAND_HEIGHT = 26, 216, 244
_LONGEST_TEXT = 1000


def row_svg(row: Row, bars: Bars) -> Markup:
    """One row of days; what is behind a day that is not up is told to a pointer that rests on it."""
    width = _CELL * bars.width
    root = _root(_ROW, in_words(row, bars))
    root.attrib |= {"viewBox": f"0 0 {width} {_ROW}", "preserveAspectRatio": "none"}
    for state in GLYPHS:
        at = [number for number, cell in enumerate(row.cells) if cell.state == state]
        _draw(root, GLYPHS[state], [_CELL * number for number in at])
    for number, cell in enumerate(row.cells):
        if cell.state != "up":
            place = {"x": str(_CELL * number), "y": "0", "width": str(_CELL), "height": str(_ROW)}
            SubElement(SubElement(root, "rect", {"class": "bin", **place}), "title").text = _shown(cell.words)
    return _written(root)


def glyph_svg(state: str) -> Markup:
    """One day, for the legend."""
    root = Element("svg", {"class": "glyph", "width": "10", "height": "24", "viewBox": f"0 0 {_CELL} {_ROW}"})
    root.attrib |= {"preserveAspectRatio": "none", "aria-hidden": "true"}
    _draw(root, GLYPHS[state], [0])
    return _written(root)


def axis_svg(bars: Bars) -> Markup:
    """Where months begin, and which days are the statement's period."""
    root = Element("svg", {"class": "days", "width": "100%", "height": "34", "aria-hidden": "true"})
    start = _percent(bars.period / bars.width)
    SubElement(root, "line", {"class": "span", "x1": start, "x2": "100%", "y1": "3", "y2": "3"})
    for number, name in bars.months:
        x = _percent(number / bars.width)
        SubElement(root, "line", {"class": "axis", "x1": x, "x2": x, "y1": "3", "y2": "12"})
        if number / bars.width < 0.93:
            _write(root, "tick", x, 25, name, "start")
    return _written(root)


def _draw(root: Element, shapes: Iterable[Shape], places: Sequence[int]) -> None:
    for shape in shapes if places else ():
        match shape:
            case Box():
                name = shape.tone if shape.is_filled else f"{shape.tone} hollow"
                drawn = "".join(_box_path(shape, x) for x in places)
            case Stroke():
                name = f"{shape.tone} hollow"
                ends = (shape.x1 * _CELL, shape.y1 * _ROW, shape.x2 * _CELL, shape.y2 * _ROW)
                drawn = "".join(f"M{x + ends[0]:g} {ends[1]:g}L{x + ends[2]:g} {ends[3]:g}" for x in places)
        SubElement(root, "path", {"class": f"day-{name}", "d": drawn, "vector-effect": "non-scaling-stroke"})


def _box_path(box: Box, x: int) -> str:
    width, height = box.width * _CELL, box.height * _ROW
    return f"M{x + box.x * _CELL:g} {box.y * _ROW:g}h{width:g}v{height:g}h-{width:g}z"


def band_svg(band: Band, number: int) -> Markup:
    """The band of a clause, the limit as a labelled line; `number` tells the bands of one page apart."""
    root = Element("svg", {"class": "plot", "width": "100%", "height": str(_BAND_HEIGHT), "role": "img"})
    root.attrib["aria-labelledby"] = f"band-{number}-title band-{number}-words"
    SubElement(root, "title", {"id": f"band-{number}-title"}).text = _shown(band.title)
    SubElement(root, "desc", {"id": f"band-{number}-words"}).text = _shown(band.words)
    for height, label in band.above:
        _line(root, "grid", 0, 1, height)
        _write(root, "tick", "-8", _y(height) + 4, label, "end")
    if band.is_off_scale:
        _write(root, "tick", "-8", 16, "off the scale", "end")
    _line(root, "axis", 0, 1, 0)
    for place, label in band.across:
        x = _percent(place)
        SubElement(root, "line", {"class": "axis", "x1": x, "x2": x, "y1": _text(_y(0)), "y2": _text(_y(0) + 5)})
        if 0.02 < place < 0.98:
            _write(root, "tick", x, _y(0) + 19, label, "middle")
    _gaps(root, band)
    _columns(root, band)
    _line(root, "limit", 0, 1, band.limit)
    _write(root, "limit-word", "100%", _y(band.limit) - 5, band.limit_label, "end")
    return _written(root)


def _gaps(root: Element, band: Band) -> None:
    for gap in band.gaps:
        place = {"x": _percent(gap.left), "width": _percent(gap.right - gap.left)}
        if gap.is_excused:
            for height in (0.02, 0.05, 0.08, 0.11):
                _line(root, "excused", gap.left, gap.right, height)
        else:
            drawn = {"y": _text(_y(0) - 6), "height": "3", **place}
            SubElement(root, "rect", {"class": "day-quiet", **drawn})
        whole = {"y": "0", "height": _text(_y(0)), **place}
        SubElement(SubElement(root, "rect", {"class": "bin", **whole}), "title").text = _shown(gap.words)


def _columns(root: Element, band: Band) -> None:
    for it in band.columns:
        margin = 0.12 * (it.right - it.left)
        left, right = it.left + margin, it.right - margin
        place = {"x": _percent(left), "width": _percent(right - left)}
        top, bottom = _y(it.high), _y(it.low)
        if bottom > top:
            drawn = {"y": _text(top), "height": _text(bottom - top), **place}
            SubElement(root, "rect", {"class": "band", **drawn})
        if it.p90 is None:
            _write(root, "infinite", _percent((left + right) / 2), 17, "▲", "middle")
        else:
            _line(root, "p90", left, right, it.p90)
        whole = {"x": _percent(it.left), "width": _percent(it.right - it.left), "y": "0", "height": _text(_y(0))}
        SubElement(SubElement(root, "rect", {"class": "bin", **whole}), "title").text = _shown(it.words)


def _line(root: Element, name: str, left: float, right: float, height: float) -> None:
    y = _text(_y(height))
    SubElement(root, "line", {"class": name, "x1": _percent(left), "x2": _percent(right), "y1": y, "y2": y})


def _y(height: float) -> float:
    return round(_BAND_BOTTOM - height * (_BAND_BOTTOM - _BAND_TOP), 1)


def _root(height: int, words: str) -> Element:
    return Element(
        "svg",
        {"class": "days", "width": "100%", "height": str(height), "role": "img", "aria-label": _shown(words)},
    )


def _write(root: Element, name: str, x: str, y: float, text: str, anchor: str) -> None:
    SubElement(root, "text", {"class": name, "x": x, "y": _text(y), "text-anchor": anchor}).text = _shown(text)


def _percent(share: float) -> str:
    return f"{share * 100:.2f}%"


def _text(number: float) -> str:
    return f"{number:g}"


def _shown(text: str) -> str:
    return printable(text, _LONGEST_TEXT)


def _written(root: Element) -> Markup:
    return Markup(tostring(root, encoding="unicode"))  # noqa: S704 - ElementTree has escaped what is in it
