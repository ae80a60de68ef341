"""The page of an app, filled in."""

from __future__ import annotations

import json


def shown(template: str, after: str, said: object, *, hidden: str = "", script: str = "") -> str:
    """What an app shows after an act: JSON that is text of HTML as it stands."""
    text = json.dumps(said, default=str).replace("&", r"\u0026").replace("<", r"\u003c")
    values = {"after": after, "said": text, "hidden": hidden, "script": script}
    for name, value in values.items():
        template = template.replace(f"{{{{{name}}}}}", value)
    return template
