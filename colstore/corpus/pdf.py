"""The title and the text of a PDF file. This needs the ``pdf`` extra."""

from __future__ import annotations

import re

from colstore.errors import CorpusError
from colstore.extras import is_installed, require

_HYPHEN_AT_LINE_END = re.compile("[\x02\ufffe]\n?")
"""How PDFium marks a hyphen that only divides a word between two lines."""


def can_read_pdf() -> bool:
    """Tell whether the library that reads PDF files is installed."""
    return is_installed("pypdfium2")


def require_pdf() -> None:
    """Check that PDF files can be read.

    Raises
    ------
    MissingDependencyError
        pypdfium2 is not installed.
    """
    require("pypdfium2", extra="pdf", purpose="Reading PDF files")


def pdf_page(raw: bytes, name: str) -> tuple[str, str]:
    """Return the title of a PDF file, as its properties have it, and the text of all its pages.

    Parameters
    ----------
    raw
        The content of the file.
    name
        Its name, for messages.

    Raises
    ------
    MissingDependencyError
        pypdfium2 is not installed.
    CorpusError
        The file is damaged or encrypted, or its pages are pictures without text.
    """
    require_pdf()
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(raw)
        try:
            title = document.get_metadata_dict().get("Title", "")
            pages = [_text_of(page) for page in document]
        finally:
            document.close()
    except (pypdfium2.PdfiumError, ValueError) as error:
        raise CorpusError(f"cannot be read as PDF ({error})", source=name) from error
    text = "\n\n".join(page for page in pages if page)
    if not text:
        message = "holds no text, only pictures of pages: recognise the text first (OCR), or leave the file out"
        raise CorpusError(message, source=name)
    return " ".join(title.replace("\0", "").split()), text


def _text_of(page: object) -> str:
    text_page = page.get_textpage()  # type: ignore[attr-defined]  # pypdfium2 is not installed everywhere
    try:
        text: str = text_page.get_text_range()
    finally:
        text_page.close()
    text = _HYPHEN_AT_LINE_END.sub("", text.replace("\r\n", "\n")).replace("\0", "")
    return text.encode("utf-8", "ignore").decode("utf-8").strip()
