"""The statement as one HTML file that runs nothing and loads nothing, for screen (light, dark) and paper.

Every text goes out printable and escaped. A browser is told in the file itself that its one style sheet, known by its
hash, is all there is.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from outrider.redact import printable
from outrider_collector.forms.bars import MEANINGS, Bars
from outrider_collector.forms.document import Document, Mark, lay_out
from outrider_collector.forms.reading import Statement
from outrider_collector.forms.svg import axis_svg, band_svg, glyph_svg, row_svg
from outrider_collector.page_values import VERDICTS
from outrider_collector.page_values import Mark as Sign

_LONGEST_TEXT = 10_000


def to_html(statement: Statement) -> bytes:
    """The whole file, UTF-8."""
    return render(lay_out(statement), VERDICTS)


def render(document: Document, signs: Mapping[str, Sign]) -> bytes:
    """Any document in this form; `signs` has each mark's symbol, word and tone."""
    environment = Environment(
        loader=PackageLoader("outrider_collector"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda shown: printable(shown, _LONGEST_TEXT) if type(shown) is str else shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests |= {"mark": lambda it: isinstance(it, Mark), "bars": lambda it: isinstance(it, Bars)}
    environment.filters |= {"row": row_svg, "axis": axis_svg, "glyph": glyph_svg, "band": band_svg}
    # Put in as it is: it is ours, and the browser compares its hash. Rules for the running page and for this one.
    names = ("style.css", "statement.css")
    style = "".join(environment.loader.get_source(environment, name)[0] for name in names)  # type: ignore[union-attr]
    shown: Mapping[str, object] = {
        "document": document,
        "verdicts": signs,
        "meanings": MEANINGS,
        "style": style,
        "policy": _policy(style),
    }
    return environment.get_template("statement.html").render(shown).encode()


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
