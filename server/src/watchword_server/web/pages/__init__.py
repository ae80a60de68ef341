"""The pages that people see: values in, HTML out. Nothing here knows a request, a flow or a setting.

    views.py      what a page says, one frozen value a page
    problems.py   what can be wrong with a form, and why a page stops
    rendering.py  Pages: a view becomes a document, with the headers it needs
    words.py      languages: which one a person reads, and the catalogues
    safe.py       what others wrote, made fit to be shown: names, hosts, links
    policy.py     the headers of a page
    brand.py      a deployment's name, logo and colours; its small sheet
    assets.py     sheets, icons and the one script, served from memory
    routes.py     where the assets stand

So jinja2 is imported only by a process that serves.
"""
