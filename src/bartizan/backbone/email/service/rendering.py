"""From a template and its data to subject, text and HTML.

Jinja (sandboxed, undefined names refused) writes MJML, mrml turns it into mail HTML, css-inline moves the
styles to where mail programs look. One template file gives both the text and the HTML: it is rendered
twice, with two sets of the same building blocks. Nothing here reads the network, and no file but templates.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import css_inline
import mrml
from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
)
from jinja2.sandbox import SandboxedEnvironment

from bartizan.backbone.email.errors import BrokenTemplate, UnknownTemplate

from .address import one_line
from .colour import Palette, palette

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_OURS = Path(__file__).parents[1] / "templates"
_BLANK_LINES = re.compile(r"\n{3,}")
_LINK = re.compile(r"https?://[^\s<>\"\x00-\x20]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """In whose look a mail is rendered."""

    name: str
    logo_url: str | None
    hue: float

    @property
    def colours(self) -> Palette:
        """Its hue as readable colours."""
        return palette(self.hue)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's words."""

    subject: str
    text: str
    html: str


class Templates:
    """The mail templates: ours, and in front of them those of a folder of the host's."""

    def __init__(self, folder: Path | None) -> None:
        loaders: list[BaseLoader] = [FileSystemLoader(folder)] if folder else []
        loader = ChoiceLoader([*loaders, FileSystemLoader(_OURS)])
        self._html = _environment(loader, autoescape=True)
        self._text = _environment(loader, autoescape=False)
        self._inliner = css_inline.CSSInliner(
            load_remote_stylesheets=False, keep_at_rules=True, keep_style_tags=False
        )

    def check(self, name: str) -> None:
        """Refuse a template that does not exist or cannot be parsed."""
        self._load(self._text, name)

    def render(self, name: str, data: Mapping[str, Any], brand: Brand) -> Rendered:
        """Render a mail in one brand's look; refuses data that lacks what the template needs."""
        shared = {**data, "brand": brand, "product": brand.name}
        try:
            subject = one_line(self._subject(name, shared))
            words = {**shared, "subject": subject}
            text = self._body(self._text, name, words, "_text.jinja")
            mjml = self._body(self._html, name, words, "_html.jinja")
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            message = f"The template {name!r} cannot be rendered: {error}."
            raise BrokenTemplate(message, template=name) from error
        try:
            html = self._inliner.inline(mrml.to_html(mjml).content)
        except (OSError, ValueError, css_inline.InlineError) as error:
            message = f"The template {name!r} does not give valid MJML: {error}."
            raise BrokenTemplate(message, template=name) from error
        return Rendered(subject, _BLANK_LINES.sub("\n\n", text).strip() + "\n", html)

    def _subject(self, name: str, context: Mapping[str, Any]) -> str:
        template = self._load(self._text, name)
        if "subject" not in template.blocks:
            message = "it has no subject block"
            raise ValueError(message)
        parts: Iterator[str] = template.blocks["subject"](template.new_context(dict(context)))
        return "".join(parts)

    def _body(
        self, environment: SandboxedEnvironment, name: str, context: dict[str, Any], layout: str
    ) -> str:
        ui = environment.get_template(layout.replace(".", "_ui.")).make_module(context)
        return str(self._load(environment, name).render({**context, "ui": ui, "layout": layout}))

    def _load(self, environment: SandboxedEnvironment, name: str) -> Any:
        if not _NAME.fullmatch(name):
            raise UnknownTemplate(template=name[:60])
        try:
            return environment.get_template(f"{name}.jinja")
        except TemplateNotFound as error:
            raise UnknownTemplate(template=name) from error
        except TemplateError as error:
            message = f"The template {name!r} cannot be read: {error}."
            raise BrokenTemplate(message, template=name) from error


def _environment(loader: BaseLoader, *, autoescape: bool) -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        loader=loader, autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["link"] = _link
    return environment


def _link(url: str) -> str:
    """Let only web addresses through: a mail holds no ``javascript:`` and no ``data:``."""
    if not _LINK.fullmatch(url):
        message = "a link is not a web address"
        raise ValueError(message)
    return url
