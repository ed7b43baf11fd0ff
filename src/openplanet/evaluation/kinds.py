"""The kinds of file that an evaluation writes, and the marks by which a later run recognises its own."""

from openplanet.storage import html_page, json_file, marked

CSV_COLUMNS = ("table", "row", "column", "value")
MARKDOWN_MARK = "<!-- OpenPlaNet evaluation -->"
LATEX_MARK = "% OpenPlaNet evaluation"

REPORT, GAME = html_page("evaluation"), html_page("game")
SCORES, COMPARISON = json_file("evaluation"), json_file("comparison")
TABLES = (
    marked("the tables of an evaluation", ".csv", ",".join(CSV_COLUMNS)),
    marked("the tables of an evaluation", ".md", MARKDOWN_MARK),
    marked("the tables of an evaluation", ".tex", LATEX_MARK),
)
