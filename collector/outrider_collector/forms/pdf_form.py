"""The statement as PDF, by fpdf2, on A4 across.

Rules
-----
1. Its bytes depend on the statement and the version of fpdf2 alone: made as of the statement's instant, uncompressed
   (zlib's output differs from build to build), with the fonts that every reader of PDF has.
2. Those fonts know Latin-1. Signs of ours are written in words, every other character as an escape: nothing is lost.
3. A verdict is a sign and a word; colour only repeats it.
4. A cell holds what a page can show; a longer text ends in "...". JSON and CSV have it whole.
"""

from __future__ import annotations

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace
from fpdf.util import Padding

from outrider.core.units import parse_instant, to_datetime
from outrider.redact import printable
from outrider_collector.forms.bars import Bars
from outrider_collector.forms.document import lay_out
from outrider_collector.forms.paper import Cell, Document, Figure, Mark, Section, Table
from outrider_collector.forms.pdf_figures import draw_band, draw_bars
from outrider_collector.forms.reading import Statement

_SIGNS = {"met": "(+)", "missed": "(x)", "inconclusive": "(?)", "no data": "(-)"}
_COLOURS = {"met": (20, 86, 47), "missed": (140, 29, 24), "inconclusive": (102, 67, 0), "no data": (70, 70, 70)}
_WORDS = str.maketrans({"∞": "infinite", "–": "-", "“": '"', "”": '"', "’": "'", "…": "..."})
_LONGEST_LINE = 5_000
_WIDEST_LETTER_MM = 2.6  # in a cell
_TALLEST_CELL = 40  # lines
_PADDING_MM = 0.7
_BODY, _SMALL, _LINE_MM = 9, 7.5, 4.4


def to_pdf(statement: Statement) -> bytes:
    """The whole file."""
    document = lay_out(statement)
    pdf = _Paper(f"{document.title}, {document.subtitle}")
    pdf.set_compression(False)
    pdf.set_creation_date(to_datetime(parse_instant(statement.as_of)))
    pdf.set_title(latin(document.title))
    pdf.set_producer("Outrider")
    pdf.set_lang("en")
    pdf.add_page()
    _head(pdf, document)
    for section in document.sections:
        _section(pdf, section)
    pdf.ln(3)
    for note in document.notes:
        _write(pdf, note, _SMALL)
    return bytes(pdf.output())


class _Paper(FPDF):
    """A4 across, numbered pages."""

    def __init__(self, running: str) -> None:
        super().__init__(orientation="landscape", unit="mm", format="A4")
        self._running = latin(running, 150)
        self.set_margin(14)
        self.set_auto_page_break(True, margin=16)

    def footer(self) -> None:
        self.set_y(-12)
        self.set_font("helvetica", size=_SMALL)
        self.set_text_color(70, 70, 70)
        self.cell(self.epw * 0.85, 5, self._running)
        self.cell(self.epw * 0.15, 5, f"page {self.page_no()} of {{nb}}", align="R")
        self.set_text_color(0, 0, 0)


def latin(text: str, limit: int = _LONGEST_LINE) -> str:
    """Rules 2 and 4: one line of printable Latin-1, at most so long."""
    shown = printable(text.translate(_WORDS)[: limit + 1], 10 * limit + 20)
    shown = shown.encode("latin-1", "backslashreplace").decode("latin-1")
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def _head(pdf: FPDF, document: Document) -> None:
    _write(pdf, document.title, 16, bold=True)
    _write(pdf, document.subtitle, 10)
    _write(pdf, f"Verdict {_sign(document.mark)}", 12, bold=True, colour=_COLOURS[document.mark.verdict])
    if document.summary:
        _write(pdf, document.summary, 10)
    _facts(pdf, document.facts)


def _section(pdf: FPDF, section: Section) -> None:
    if pdf.will_page_break(30):
        pdf.add_page()
    pdf.ln(3)
    colour = _COLOURS[section.mark.verdict] if section.mark else (0, 0, 0)
    _write(
        pdf, f"{section.title}  {_sign(section.mark)}" if section.mark else section.title, 12, bold=True, colour=colour
    )
    for line in section.lead:
        _write(pdf, line, _BODY)
    for note in section.notes:
        _write(pdf, note, _SMALL)
    for figure in section.figures:
        _figure(pdf, figure)
    _facts(pdf, section.facts)
    for table in section.tables:
        _table(pdf, table)


def _figure(pdf: FPDF, figure: Figure) -> None:
    pdf.ln(1.5)
    if pdf.will_page_break(35):
        pdf.add_page()
    _write(pdf, figure.title, _BODY, bold=True)
    if isinstance(figure, Bars):
        _write(pdf, f"{figure.first} to {figure.last}, days in {figure.zone}, the latest on the right", _SMALL)
        draw_bars(pdf, figure, latin)
    else:
        _write(pdf, figure.note, _SMALL)
        draw_band(pdf, figure, latin)


def _facts(pdf: FPDF, facts: tuple[tuple[str, str], ...]) -> None:
    for name, text in facts:
        _write(pdf, f"{name}: {text}", _SMALL)


def _write(pdf: FPDF, text: str, size: float, *, bold: bool = False, colour: tuple[int, int, int] = (0, 0, 0)) -> None:
    """A paragraph over the whole width."""
    pdf.set_font("helvetica", style="B" if bold else "", size=size)
    pdf.set_text_color(*colour)
    pdf.multi_cell(0, size * _LINE_MM / _BODY, latin(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.set_text_color(0, 0, 0)


def _table(pdf: FPDF, table: Table) -> None:
    if table.caption:
        pdf.ln(1.5)
        if pdf.will_page_break(20):
            pdf.add_page()
        _write(pdf, table.caption, _BODY, bold=True)
    pdf.set_font("helvetica", size=_SMALL)
    pdf.set_draw_color(190, 190, 190)
    widths = [pdf.epw * width / sum(table.widths) for width in table.widths]
    limits = [int((width - 2) / _WIDEST_LETTER_MM) * _TALLEST_CELL for width in widths]
    with pdf.table(
        col_widths=tuple(widths),
        text_align="LEFT",
        v_align="TOP",
        line_height=3.3,
        padding=_PADDING_MM,
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        headings_style=FontFace(emphasis="BOLD", fill_color=(238, 239, 236)),
    ) as drawn:
        heading = drawn.row()
        for column in table.columns:
            heading.cell(latin(column))
        for cells in table.rows:
            row = drawn.row()
            for cell, limit, width in zip(cells, limits, widths, strict=True):
                row.cell(_sign(cell) if isinstance(cell, Mark) else _cut(pdf, cell, limit, width), style=_style(cell))


def _cut(pdf: FPDF, text: str, limit: int, width: float) -> str:
    """Rule 4. How many lines a text takes hangs on where its words break, so a long one is laid out to see."""
    shown = latin(text, limit)
    if len(shown) <= limit // 2:  # two lines that follow each other hold more than one line's letters
        return shown
    lines = pdf.multi_cell(width, text=shown, padding=Padding.new(_PADDING_MM), align="L", dry_run=True, output="LINES")
    assert isinstance(lines, list)
    if len(lines) <= _TALLEST_CELL:
        return shown
    end = 0
    for line in lines[:_TALLEST_CELL]:
        end = shown.index(line, end) + len(line)
    return shown[: end - 3] + "..."


def _style(cell: Cell) -> FontFace | None:
    return FontFace(emphasis="BOLD", color=_COLOURS[cell.verdict]) if isinstance(cell, Mark) else None


def _sign(mark: Mark) -> str:
    return f"{_SIGNS[mark.verdict]} {mark.verdict}"
