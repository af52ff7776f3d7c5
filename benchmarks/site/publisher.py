"""A plugin that makes the pages that asv publishes fit a narrow window.

asv lays them out for a wide one. ``plugins`` in asv.conf.json names this module.
"""

from pathlib import Path

from asv.publishing import OutputPublisher

STYLE = Path(__file__).with_name("style.css")
VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'
END = "</head>"


class Styled(OutputPublisher):
    """Adds `style.css` to the page that all others are shown in."""

    name = "styled"
    button_label = "Style"
    description = "The page's style"

    @classmethod
    def publish(cls, conf, repo, benchmarks, graphs, revisions):
        index = Path(conf.html_dir, "index.html")
        page = index.read_text(encoding="utf-8")
        if page.count(END) != 1:
            raise ValueError(f"{index} has {page.count(END)} times {END}; 1 was expected")
        style = f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>"
        index.write_text(page.replace(END, f"{VIEWPORT}\n{style}\n{END}"), encoding="utf-8")
