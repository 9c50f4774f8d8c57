"""Hosts on which anybody may publish: package CDNs, object storage, hosted sites.

A pattern for such a host as a whole admits the scripts and pages of everyone who has an account
there. So the catalogue has none, and the config should not either: only the paths, or the hosts
below them, of one publisher. Hosts of images only are not listed: an image cannot run, and its
request discloses nothing to whoever published it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from consent_rules.matching.hosts import HostPattern, hosts_overlap


@dataclass(frozen=True, slots=True)
class SharedHost:
    """A host whose content has many publishers.

    `prefixes` are the paths below which the next segment is the publisher's ("/npm/" of
    "/npm/bootstrap@5.3.3/..."). Without any, each publisher has a host below `hosts`. `example` is
    a pattern of one publisher.
    """

    id: str
    name: str
    hosts: tuple[str, ...]
    prefixes: tuple[str, ...]
    example: str
    joined: tuple[str, ...] = ()
    """Paths whose files are put together of several publishers' files."""
    vendor: str = ""
    """The catalogue's vendor whose sites keep their files there; "" for none."""

    def publisher_of(self, host: str, path: str) -> str:
        """The pattern of the one publisher to whom a file belongs, as deep as the example's; ""
        where the path names none.
        """
        example = f"/{self.example.partition('/')[2]}"
        for prefix in self.prefixes:
            if not path.startswith(prefix):
                continue
            depth = example.removeprefix(prefix).count("/") if example.startswith(prefix) else 1
            names = path.removeprefix(prefix).split("/")
            if len(names) > depth and all(names[:depth]):
                return f"{host}{prefix}{'/'.join(names[:depth])}/*"
        return ""


SHARED_HOSTS = (
    SharedHost(
        "jsdelivr",
        "jsDelivr",
        ("*.jsdelivr.net",),
        ("/npm/", "/gh/", "/wp/plugins/", "/wp/themes/"),
        "cdn.jsdelivr.net/npm/bootstrap@5.3.3/*",
        joined=("/combine/",),
    ),
    SharedHost(
        "unpkg", "UNPKG", ("*.unpkg.com", "*.npmcdn.com"), ("/",), "unpkg.com/htmx.org@2.0.4/*"
    ),
    SharedHost(
        "cdnjs",
        "cdnjs",
        ("cdnjs.cloudflare.com",),
        ("/ajax/libs/",),
        "cdnjs.cloudflare.com/ajax/libs/jquery/*",
    ),
    SharedHost("esm-sh", "esm.sh", ("*.esm.sh",), ("/",), "esm.sh/preact@10.25.4/*"),
    SharedHost("jspm", "JSPM", ("*.jspm.io",), ("/",), "ga.jspm.io/npm:preact@10.25.4/*"),
    SharedHost("skypack", "Skypack", ("*.skypack.dev",), ("/",), "cdn.skypack.dev/preact/*"),
    SharedHost(
        "statically",
        "Statically",
        ("*.statically.io",),
        ("/gh/", "/gl/", "/bb/", "/npm/", "/libs/"),
        "cdn.statically.io/gh/acme/site/*",
    ),
    SharedHost(
        "bootcss",
        "BootCDN",
        ("*.bootcss.com", "*.bootcdn.net"),
        ("/ajax/libs/",),
        "cdn.bootcdn.net/ajax/libs/jquery/*",
    ),
    SharedHost(
        "staticfile",
        "Staticfile",
        ("*.staticfile.org", "*.staticfile.net"),
        ("/",),
        "cdn.staticfile.org/jquery/*",
    ),
    SharedHost(
        "bootstrap-cdn",
        "BootstrapCDN",
        ("*.bootstrapcdn.com",),
        ("/",),
        "stackpath.bootstrapcdn.com/bootstrap/*",
    ),
    SharedHost(
        "github-content",
        "GitHub's user content",
        ("*.githubusercontent.com", "*.rawgit.com", "*.githack.com"),
        ("/",),
        "raw.githubusercontent.com/acme/*",
    ),
    SharedHost("github-pages", "GitHub Pages", ("*.github.io",), (), "acme.github.io"),
    SharedHost(
        "google-cloud-storage",
        "Google Cloud Storage",
        (
            "storage.googleapis.com",
            "*.storage.googleapis.com",
            "commondatastorage.googleapis.com",
            "storage.cloud.google.com",
        ),
        ("/",),
        "storage.googleapis.com/acme-bucket/*",
    ),
    SharedHost(
        "firebase-storage",
        "Cloud Storage for Firebase",
        ("firebasestorage.googleapis.com",),
        ("/v0/b/",),
        "firebasestorage.googleapis.com/v0/b/acme.appspot.com/*",
    ),
    SharedHost(
        "firebase-hosting",
        "Firebase Hosting",
        ("*.firebaseapp.com", "*.web.app"),
        (),
        "acme.firebaseapp.com",
    ),
    SharedHost(
        "google-user-content",
        "Google's user content",
        ("*.googleusercontent.com", "*.usercontent.google.com"),
        (),
        "lh3.googleusercontent.com",
    ),
    SharedHost("blogger", "Blogger", ("*.blogspot.com",), (), "acme.blogspot.com"),
    SharedHost("amazon-s3", "Amazon S3", ("*.amazonaws.com",), (), "acme.s3.amazonaws.com"),
    SharedHost("cloudfront", "Amazon CloudFront", ("*.cloudfront.net",), (), "d111.cloudfront.net"),
    SharedHost(
        "azure",
        "Microsoft Azure",
        (
            "*.blob.core.windows.net",
            "*.web.core.windows.net",
            "*.azureedge.net",
            "*.azurefd.net",
            "*.azurewebsites.net",
            "*.azurestaticapps.net",
        ),
        (),
        "acme.blob.core.windows.net",
    ),
    SharedHost(
        "fastly", "Fastly", ("*.fastly.net", "*.fastlylb.net"), (), "acme.global.ssl.fastly.net"
    ),
    SharedHost(
        "akamai",
        "Akamai",
        (
            "*.akamaihd.net",
            "*.akamaized.net",
            "*.akamai.net",
            "*.edgekey.net",
            "*.edgesuite.net",
        ),
        (),
        "acme-a.akamaihd.net",
    ),
    SharedHost("bunny-cdn", "bunny.net", ("*.b-cdn.net",), (), "acme.b-cdn.net"),
    SharedHost(
        "cloudflare-pages",
        "Cloudflare",
        ("*.pages.dev", "*.workers.dev", "*.r2.dev"),
        (),
        "acme.pages.dev",
    ),
    SharedHost(
        "app-hosting",
        "a host of anybody's apps",
        (
            "*.netlify.app",
            "*.vercel.app",
            "*.herokuapp.com",
            "*.onrender.com",
            "*.appspot.com",
            "*.run.app",
            "*.cloudfunctions.net",
            "*.glitch.me",
        ),
        (),
        "acme.netlify.app",
    ),
    SharedHost(
        "shopify-files",
        "Shopify's files of shops",
        ("cdn.shopify.com", "cdn.shopifycdn.net"),
        ("/s/files/1/", "/extensions/"),
        "cdn.shopify.com/s/files/1/0000/0001/*",
        vendor="shopify-content",
    ),
    SharedHost("shopify-shops", "Shopify's shops", ("*.myshopify.com",), (), "acme.myshopify.com"),
    SharedHost(
        "webflow-files",
        "Webflow's files of sites",
        ("*.website-files.com",),
        ("/",),
        "cdn.prod.website-files.com/0123456789abcdef/*",
        vendor="webflow",
    ),
    SharedHost(
        "framer-files",
        "Framer's files of sites",
        ("framerusercontent.com",),
        ("/sites/", "/modules/"),
        "framerusercontent.com/sites/0123456789/*",
        vendor="framer",
    ),
    SharedHost(
        "squarespace-files",
        "Squarespace's files of sites",
        ("static1.squarespace.com",),
        ("/static/",),
        "static1.squarespace.com/static/0123456789/*",
        vendor="squarespace-content",
    ),
    SharedHost(
        "cloudinary-files",
        "Cloudinary",
        ("res.cloudinary.com",),
        ("/",),
        "res.cloudinary.com/acme/*",
        vendor="cloudinary",
    ),
    SharedHost(
        "contentful-files",
        "Contentful's files",
        ("assets.ctfassets.net",),
        ("/",),
        "assets.ctfassets.net/acme/*",
    ),
    SharedHost(
        "sanity-files",
        "Sanity's files",
        ("cdn.sanity.io",),
        ("/images/", "/files/"),
        "cdn.sanity.io/files/acme/*",
    ),
    SharedHost(
        "landing-pages",
        "a host of anybody's landing pages",
        (
            "*.leadpages.co",
            "*.lpages.co",
            "*.lp-page.com",
            "*.unbouncepages.com",
            "*.pagedemo.co",
            "*.pageserve.co",
            "*.hs-sites.com",
            "*.hubspotpagebuilder.com",
            "*.ck.page",
            "*.constantcontactpages.com",
            "*.dotdigital-pages.com",
            "*.clickfunnels.com",
            "*.carrd.co",
        ),
        (),
        "acme.lpages.co",
    ),
    SharedHost(
        "site-builders",
        "a host of anybody's sites",
        (
            "*.weebly.com",
            "*.squarespace.com",
            "*.wixsite.com",
            "*.webflow.io",
            "*.square.site",
            "*.canva.site",
            "*.my.site.com",
            "*.wordpress.com",
        ),
        (),
        "acme.weebly.com",
    ),
)


def opened_path(path: str) -> str:
    """The part of a path glob that a Content-Security-Policy can express (CSP 3, 6.7.2.12): a whole
    path, or a directory with everything below it.

    A glob is cut back to its last whole directory.
    """
    literal, star, _ = path.partition("*")
    return literal[: literal.rfind("/") + 1] if star else literal


@lru_cache(maxsize=1024)
def shared_host_of(pattern: str) -> SharedHost | None:
    """The shared host that a `host` or `host/path` pattern opens for more than one publisher."""
    host, slash, rest = pattern.partition("/")
    path = opened_path(f"/{rest}") if slash else ""
    for shared in SHARED_HOSTS:
        for other in shared.hosts:
            if hosts_overlap(host, other) and _has_many_publishers(host, path, shared, other):
                return shared
    return None


def _has_many_publishers(host: str, path: str, shared: SharedHost, shared_pattern: str) -> bool:
    if shared.prefixes:
        return not path or (
            any(path.startswith(joined) or joined.startswith(path) for joined in shared.joined)
            or any(_opens_several(path, prefix) for prefix in shared.prefixes)
        )
    # `acme.blogspot.com` and `*.acme.blogspot.com` are one publisher's, `*.blogspot.com` is not.
    parent = HostPattern.parse(shared_pattern).host
    return not HostPattern.parse(host).host.endswith(f".{parent}")


def _opens_several(path: str, prefix: str) -> bool:
    """Whether a path, or a directory with all below it, opens more than one segment after the
    prefix."""
    if not path.startswith(prefix):
        return path.endswith("/") and prefix.startswith(path)
    publisher, slash, _ = path.removeprefix(prefix).partition("/")
    return not (publisher and slash)


def narrower_pattern(shared: SharedHost) -> str:
    """What to write instead, as a line of a [[vendor]]."""
    key = "paths" if shared.prefixes else "hosts"
    return f'{key} = ["{shared.example}"]'


def shared_hosts_named(word: str) -> Iterator[SharedHost]:
    """The shared hosts that match a word by id or name, without regard to case or hyphens."""
    wanted = _plain(word)
    for shared in SHARED_HOSTS:
        if wanted in {_plain(shared.id), _plain(shared.name)}:
            yield shared


def _plain(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())
