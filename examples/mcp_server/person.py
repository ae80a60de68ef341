"""A person at a browser, for a demonstration that nobody has to watch: signs in, and allows what an agent asks."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2

MOST_PAGES = 8


@dataclass
class Form(HTMLParser):
    """The form of a page, with what it holds, and the words that stand in the middle of the page."""

    action: str = ""
    fields: dict[str, list[str]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    inside: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """As the parser wants it, and so below."""
        given = {name: value or "" for name, value in attributes}
        self.inside = self.inside or tag == "main"
        if tag == "form" and not self.action:
            self.action = given["action"]
        elif tag == "input" and "name" in given and ("checked" in given or given.get("type") != "checkbox"):
            self.fields.setdefault(given["name"], []).append(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        """Of the middle."""
        self.inside = self.inside and tag != "main"

    def handle_data(self, data: str) -> None:
        """Words."""
        self.words += data.split() if self.inside else ()


@dataclass
class Person:
    """Who has an account. `shown` are the words of the page on which consent was last given."""

    email: str
    password: str = field(repr=False)
    shown: str = ""
    cookies: dict[str, str] = field(default_factory=dict, repr=False)

    async def visit(self, address: str) -> str:
        """Follow a link, do what each page asks for, and say where the browser left the issuer for."""
        home = urlsplit(address).netloc
        answer = await self._send("GET", address)
        for _ in range(MOST_PAGES):
            while answer.is_redirect:
                address = urljoin(str(answer.url), answer.headers["location"])
                if urlsplit(address).netloc != home:
                    return address
                answer = await self._send("GET", address)
            answer = await self._answer(answer)
        raise RuntimeError(f"page after page, the last one at {answer.url}: {answer.text[:500]}")

    async def _answer(self, page: httpx2.Response) -> httpx2.Response:
        form = Form()
        form.feed(page.text)
        if page.status_code != 200 or not form.action:
            raise RuntimeError(f"a page to leave at {page.url}: {' '.join(form.words)[:500]}")
        typed = {"email": [self.email], "password": [self.password]} if form.action.endswith("/login") else {}
        if form.action.endswith("/consent"):
            typed, self.shown = {"answer": ["allow"]}, " ".join(form.words)
        parts = urlsplit(str(page.url))
        fields, origin = {**form.fields, **typed}, f"{parts.scheme}://{parts.netloc}"
        return await self._send("POST", urljoin(str(page.url), form.action), data=fields, headers={"origin": origin})

    async def _send(self, method: str, address: str, **more: Any) -> httpx2.Response:
        """With cookies as a browser has them: it takes `localhost` for secure, and a client for programs does not."""
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.request(method, address, **{**more, "headers": {**headers, **more.get("headers", {})}})
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer
