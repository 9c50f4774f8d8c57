"""Small sites of our own, as site builders and CDNs make them: their markup's structure, the hosts
on which their parts lie, and the trackers that come with them.
"""

from __future__ import annotations

from dataclasses import dataclass


def picture(width: int, height: int, colour: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<path fill="{colour}" d="M0 0h{width}v{height}H0z"/></svg>'
    )


@dataclass(frozen=True)
class Builder:
    """A page as a builder makes it, what its hosts serve, and which of them are closed."""

    page: str
    files: dict[str, str]
    trackers: frozenset[str]


WIX = Builder(
    """<link rel=stylesheet href="https://static.parastorage.com/services/site/main.css">
    <script src="https://static.parastorage.com/services/thunderbolt/main.js"></script>
    <script src="https://siteassets.parastorage.com/pages/p.js"></script>
    <style>#bg{background-image:url(https://static.wixstatic.com/media/bg.svg);height:90px}</style>
    <h1 id=bg>Our practice</h1><p class=lead>We are open.</p>
    <wow-image><img src="https://static.wixstatic.com/media/a.svg/v1/fill/w_600,h_400/a.svg"
     alt="Our team"></wow-image>
    <script src="https://frog.wix.com/bt.js"></script>
    <script src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>""",
    {
        "https://static.parastorage.com/services/site/main.css": ".lead{color:#036;margin:30px}",
        "https://static.parastorage.com/services/thunderbolt/main.js": "document.body.id='wix'",
        "https://siteassets.parastorage.com/pages/p.js": "document.body.className='page'",
        "https://static.wixstatic.com/media/bg.svg": picture(40, 40, "#fc6"),
        "https://static.wixstatic.com/media/a.svg/v1/fill/w_600,h_400/a.svg": picture(
            300, 200, "#396"
        ),
    },
    frozenset({"frog.wix.com", "www.googletagmanager.com"}),
)
SQUARESPACE = Builder(
    """<link rel=stylesheet href="https://static1.squarespace.com/static/5f01/1/css/site.css">
    <link rel=stylesheet href="https://fonts.googleapis.com/css2?family=Inter">
    <h1>Our practice</h1>
    <img data-src="https://images.squarespace-cdn.com/content/v1/5f01/a.svg" alt="Our team">
    <img src="https://images.squarespace-cdn.com/content/v1/5f01/b.svg">
    <img src="https://static1.squarespace.com/static/5f01/c.svg">
    <img src="https://px.ads.linkedin.com/collect?v=2" width=1 height=1 style="position:fixed">
    <script src="https://assets.squarespace.com/universal/scripts-compressed/c.js"></script>""",
    {
        "https://static1.squarespace.com/static/5f01/1/css/site.css": "h1{color:#936;padding:2em}",
        "https://fonts.googleapis.com/css2?family=Inter": "body{font-family:Inter,sans-serif}",
        "https://images.squarespace-cdn.com/content/v1/5f01/a.svg": picture(200, 150, "#c63"),
        "https://images.squarespace-cdn.com/content/v1/5f01/b.svg": picture(120, 80, "#66c"),
        "https://static1.squarespace.com/static/5f01/c.svg": picture(60, 60, "#6c6"),
        "https://assets.squarespace.com/universal/scripts-compressed/c.js": (
            "for (const one of document.querySelectorAll('[data-src]')) one.src = one.dataset.src"
        ),
    },
    frozenset({"px.ads.linkedin.com"}),
)
SHOPIFY = Builder(
    """<link rel=stylesheet href="//cdn.shopify.com/s/files/1/0533/2089/t/1/assets/base.css">
    <script src="https://static.example.com/theme.js"></script>
    <h1>Our shop</h1>
    <img srcset="//cdn.shopify.com/s/files/1/0533/2089/files/a_600x.svg 600w" sizes=300px alt="">
    <img src="https://img.example.com/logo.svg" alt=Acme>
    <script src="https://connect.facebook.net/en_US/fbevents.js"></script>""",
    {
        "https://cdn.shopify.com/s/files/1/0533/2089/t/1/assets/base.css": (
            "body{background:#fef6e8}h1{letter-spacing:4px}"
        ),
        "https://static.example.com/theme.js": "document.documentElement.className='js'",
        "https://cdn.shopify.com/s/files/1/0533/2089/files/a_600x.svg": picture(600, 300, "#369"),
        "https://img.example.com/logo.svg": picture(90, 40, "#933"),
    },
    frozenset({"connect.facebook.net"}),
)
WORDPRESS = Builder(
    """<link rel=stylesheet href="https://s0.wp.com/wp-content/themes/h4/style.css">
    <link rel=stylesheet href="https://cdn.jsdelivr.net/npm/bootstrap@5.3.3/dist/b.css">
    <script src="https://c0.wp.com/c/6.5/wp-includes/js/jquery/jquery.min.js"></script>
    <h1 class=card>Our blog</h1>
    <img src="https://i0.wp.com/www.example.com/a.svg?resize=300%2C200" alt="Our team">
    <img src="https://acme.files.wordpress.com/2026/01/b.svg?w=1024" width=320 height=213>
    <script src="https://stats.wp.com/e-202648.js"></script>""",
    {
        "https://s0.wp.com/wp-content/themes/h4/style.css": "h1{color:#063;font-size:40px}",
        "https://cdn.jsdelivr.net/npm/bootstrap@5.3.3/dist/b.css": ".card{border:3px solid}",
        "https://c0.wp.com/c/6.5/wp-includes/js/jquery/jquery.min.js": "document.body.id='wp'",
        "https://i0.wp.com/www.example.com/a.svg?resize=300%2C200": picture(300, 200, "#639"),
        "https://acme.files.wordpress.com/2026/01/b.svg?w=1024": picture(1024, 683, "#c93"),
    },
    frozenset({"stats.wp.com"}),
)
WEBFLOW = Builder(
    """<link rel=stylesheet href="https://cdn.prod.website-files.com/5f02/css/acme.css">
    <h1 class=hero>Our company</h1>
    <img src="https://cdn.prod.website-files.com/5f02/a.svg" alt="Our team">
    <img src="https://d111abc.cloudfront.net/b.svg" alt="Our house">
    <link rel=stylesheet href="https://acme-assets.example.net/more.css">
    <script src="https://d3e54v103j8qbb.cloudfront.net/js/jquery-3.5.1.min.js"></script>
    <script src="https://cdn.prod.website-files.com/5f02/js/webflow.js"></script>
    <script src="https://tracker.example.org/t.js"></script>
    <script src="https://cdn.segment.com/analytics.js/v1/x/analytics.min.js"></script>""",
    {
        "https://cdn.prod.website-files.com/5f02/css/acme.css": ".hero{background:#dde}",
        "https://cdn.prod.website-files.com/5f02/a.svg": picture(240, 120, "#093"),
        "https://d111abc.cloudfront.net/b.svg": picture(180, 180, "#39c"),
        "https://acme-assets.example.net/more.css": "img{border-radius:12px}",
        "https://d3e54v103j8qbb.cloudfront.net/js/jquery-3.5.1.min.js": "window.jq=1",
        "https://cdn.prod.website-files.com/5f02/js/webflow.js": (
            "if (jq) document.documentElement.className='w-mod-js'"
        ),
    },
    frozenset({"tracker.example.org", "cdn.segment.com"}),
)
SITES = {
    "wix": WIX, "squarespace": SQUARESPACE, "shopify": SHOPIFY, "wordpress": WORDPRESS,
    "webflow": WEBFLOW,
}  # fmt: skip
