"""Real servers with one small site each, on loopback: nginx, Apache with PHP, Tomcat, Node's
frameworks, and Python's. Only `python -m tests.support.paths.path_fuzz` starts them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.guarded import guarded
from tests.support.paths.apps import MARKETING, PATIENT
from tests.support.paths.spellings import MARKETING_PAGES, PATIENT_PAGES

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Server:
    """A server that runs; `port` on 127.0.0.1."""

    name: str
    port: int


@contextlib.contextmanager
def started(name: str, folder: Path) -> Iterator[Server]:
    """Start a server in a folder of its own."""
    folder.mkdir()
    port = _free_port()
    command, environment = _SERVERS[name](folder, port)
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        command, cwd=ROOT if command[0] == sys.executable else folder, stdout=log, stderr=log,
        env={**os.environ, **environment}, start_new_session=True,
    )  # fmt: skip
    with guarded(process):
        try:
            _wait(port, process, folder / "log")
            yield Server(name, port)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
            log.close()


def known() -> list[str]:
    """All servers."""
    return list(_TOOLS)


def available() -> list[str]:
    """Those that are installed here."""
    return [name for name, tool in _TOOLS.items() if shutil.which(tool) or Path(tool).exists()]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"did not start: {log.read_text(errors='replace')[-2000:]}")


def _files(root: Path, *, pretty: bool) -> Path:
    """The site as files; `pretty`: pages without an extension are folders with an index."""
    for page in (*PATIENT_PAGES, *MARKETING_PAGES):
        text = PATIENT if page in PATIENT_PAGES else MARKETING
        name = page.strip("/")
        if "." not in name.rpartition("/")[2]:
            folders = {"", "patients", "blog", "account"}
            name += "/index.html" if pretty or name in folders else ".html"
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


_Command = tuple[list[str], dict[str, str]]


def _nginx(folder: Path, port: int) -> _Command:
    _files(folder / "site", pretty=True)
    _files(folder / "more", pretty=False)
    (folder / "more" / "static").mkdir(exist_ok=True)
    (folder / "conf").write_text(
        f"""
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; types {{ text/html html; }} default_type text/html; keepalive_requests 10000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port}; root {folder}/more; index index.html; absolute_redirect off;
    merge_slashes off;
    location / {{ try_files $uri $uri.html $uri/index.html =404; }}
    # Without a slash behind the location: `/files../patients/` leads out of the folder.
    location /files {{ alias {folder}/site/static/; }}
    location /static {{ alias {folder}/more/static/; }}
  }}
}}
"""
    )
    return ["nginx", "-p", str(folder), "-c", str(folder / "conf")], {}


_PHP = """<?php
// A front controller as home-made ones are: PATH_INFO, the query, or the address as it came.
$p = $_SERVER['PATH_INFO'] ?? '';
if ($p === '' && isset($_GET['r'])) $p = $_GET['r'];
if ($p === '' && isset($_GET['q'])) $p = $_GET['q'];
if ($p === '' && isset($_GET['path'])) $p = $_GET['path'];
if ($p === '' && isset($_GET['page'])) $p = $_GET['page'];
if ($p === '' && isset($_GET['route'])) $p = $_GET['route'];
$query = urldecode($_SERVER['QUERY_STRING']);
if ($p === '' && substr($query, 0, 1) === '/') $p = $query;
if ($p === '') {
  $p = rawurldecode((string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));
  if (stripos($p, $_SERVER['SCRIPT_NAME']) === 0) $p = substr($p, strlen($_SERVER['SCRIPT_NAME']));
}
$p = preg_replace('#/+#', '/', '/' . trim($p, "/ \\t\\n\\r\\0\\x0B"));
$p = preg_replace('#\\.(html|php|json)$#i', '', $p);
$p = strtolower($p);
$patient = preg_match('#^/patients(/|$)#', $p) || preg_match('#^/pay$#', $p)
  || preg_match('#^/account/form$#', $p) || preg_match('#^/termine-ärzte/.#u', $p);
echo $patient ? %s : %s;
"""


def _php_code() -> str:
    return _PHP % (f"'{PATIENT}'", f"'{MARKETING}'")


def _apache(folder: Path, port: int) -> _Command:
    site = folder / "site"
    site.mkdir()
    (site / "index.php").write_text(_php_code())
    rewriting = "FallbackResource /index.php"
    return _apache_conf(folder, port, site, rewriting)


def _apache_static(folder: Path, port: int) -> _Command:
    site = _files(folder / "site", pretty=False)
    (site / "pay.html").rename(site / "pay.php")
    (site / "pay.php").write_text(PATIENT)
    return _apache_conf(folder, port, site, "Options +MultiViews\nAcceptPathInfo On")


def _apache_conf(folder: Path, port: int, site: Path, more: str) -> _Command:
    modules = Path("/usr/lib/apache2/modules")
    names = ("mpm_prefork", "authz_core", "dir", "mime", "negotiation", "php", "alias", "rewrite")
    files = {name: modules / f"mod_{name}.so" for name in names} | {
        "php": next(modules.glob("libphp*.so"))
    }
    loads = "\n".join(f"LoadModule {name}_module {file}" for name, file in files.items())
    (folder / "conf").write_text(
        f"""
{loads}
ServerRoot {folder}
PidFile {folder}/pid
Listen 127.0.0.1:{port}
ServerName www.example.com
TypesConfig /etc/mime.types
ErrorLog {folder}/error.log
StartServers 2
MinSpareServers 2
MaxKeepAliveRequests 0
KeepAliveTimeout 60
DocumentRoot {site}
AllowEncodedSlashes NoDecode
MergeSlashes Off
AddType text/html .html
<FilesMatch "\\.php$">
SetHandler application/x-httpd-php
</FilesMatch>
<Directory {site}>
Require all granted
DirectoryIndex index.html index.php
{more}
</Directory>
"""
    )
    return ["apache2", "-DFOREGROUND", "-f", str(folder / "conf")], {}


def _php(folder: Path, port: int) -> _Command:
    (folder / "index.php").write_text(_php_code())
    return ["php", "-q", "-S", f"127.0.0.1:{port}", str(folder / "index.php")], {}


def _tomcat(folder: Path, port: int) -> _Command:
    base = folder / "base"
    for name in ("conf", "logs", "temp", "webapps", "work"):
        (base / name).mkdir(parents=True)
    _files(base / "webapps" / "ROOT", pretty=True)
    shutil.copy("/etc/tomcat10/web.xml", base / "conf" / "web.xml")
    (base / "conf" / "server.xml").write_text(
        f"""<Server port="-1"><Service name="Catalina">
<Connector port="{port}" address="127.0.0.1" protocol="HTTP/1.1" maxKeepAliveRequests="-1"
 encodedSolidusHandling="decode" allowBackslash="true" rejectIllegalHeader="false"/>
<Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps"/></Engine>
</Service></Server>"""
    )
    home = "/usr/share/tomcat10"
    return [f"{home}/bin/catalina.sh", "run"], {
        "CATALINA_HOME": home, "CATALINA_BASE": str(base), "JAVA_OPTS": "-Xmx256m",
    }  # fmt: skip


_NODE = """
const P = %s, M = %s, port = %d;
const http = require('http');
"""


def _node(body: str) -> Callable[[Path, int], _Command]:
    def command(folder: Path, port: int) -> _Command:
        (folder / "site.js").write_text(_NODE % (repr(PATIENT), repr(MARKETING), port) + body)
        modules = os.environ.get("FUZZ_NODE_MODULES", str(ROOT / "e2e" / "node_modules"))
        return ["node", str(folder / "site.js")], {"NODE_PATH": modules}

    return command


_express = _node("""
const app = require('express')();
app.set('etag', false);
for (const r of ['/patients', '/patients/*rest', '/pay', '/account/form.html', '/termine-ärzte/:x'])
  app.get(encodeURI(r).replace('%2A', '*'), (q, s) => s.type('html').send(P));
for (const r of ['/', '/blog', '/blog/*rest', '/:any'])
  app.get(r, (q, s) => s.type('html').send(M));
app.use((e, q, s, n) => s.status(400).end());
app.listen(port, '127.0.0.1');
""")

# What many small servers do: the URL class, a table of decoded paths.
_plain_node = _node("""
http.createServer((q, s) => {
  let p = '/';
  try { p = decodeURIComponent(new URL(q.url, 'http://www.example.com').pathname); } catch {
    s.statusCode = 400; return s.end(); }
  p = p.replace(/\\/+$/, '') || '/';
  const patient = p === '/patients' || p.startsWith('/patients/') || p === '/pay' ||
    p === '/account/form.html' || p.startsWith('/termine-ärzte/');
  s.setHeader('Content-Type', 'text/html');
  s.end(patient ? P : M);
}).listen(port, '127.0.0.1');
""")

_fastify = _node("""
const app = require('fastify')({ routerOptions: { ignoreTrailingSlash: true,
  ignoreDuplicateSlashes: true, caseSensitive: false, useSemicolonDelimiter: true } });
for (const r of ['/patients', '/patients/*', '/pay', '/account/form.html', '/termine-ärzte/:x'])
  app.get(r, (q, s) => s.type('text/html').send(P));
for (const r of ['/', '/blog', '/blog/*']) app.get(r, (q, s) => s.type('text/html').send(M));
app.listen({ port, host: '127.0.0.1' });
""")

_koa = _node("""
const Koa = require('koa'), { default: Named, Router = Named } = require('@koa/router');
const app = new Koa(), router = new (Router || require('@koa/router'))();
for (const r of ['/patients', '/patients/*rest', '/pay', '/account/form.html', '/termine-ärzte/:x'])
  router.get(encodeURI(r), (c) => { c.type = 'html'; c.body = P; });
app.use(router.routes());
app.use((c) => { c.type = 'html'; c.body = M; });
app.silent = true;
app.listen(port, '127.0.0.1');
""")


def _gunicorn(app: str) -> Callable[[Path, int], _Command]:
    def command(folder: Path, port: int) -> _Command:
        return [
            sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "4",
            "--keep-alive", "60", "--log-level", "critical",
            "-b", f"127.0.0.1:{port}", f"tests.support.paths.apps:{app}()",
        ], {}  # fmt: skip

    return command


def _uvicorn(folder: Path, port: int) -> _Command:
    return [
        sys.executable, "-m", "uvicorn", "--factory", "tests.support.paths.apps:starlette_app", "--port",
        str(port), "--log-level", "critical",
    ], {}  # fmt: skip


_SERVERS: dict[str, Callable[[Path, int], _Command]] = {
    "nginx": _nginx,
    "apache + php": _apache,
    "apache files": _apache_static,
    "php -S": _php,
    "tomcat": _tomcat,
    "express": _express,
    "node URL": _plain_node,
    "fastify": _fastify,
    "koa": _koa,
    "flask": _gunicorn("flask_app"),
    "django": _gunicorn("django_app"),
    "fastapi": _uvicorn,
}
_TOOLS = {
    "nginx": "nginx", "apache + php": "apache2", "apache files": "apache2", "php -S": "php",
    "tomcat": "/usr/share/tomcat10/bin/catalina.sh", "express": "node", "node URL": "node",
    "fastify": "node", "koa": "node", "flask": sys.executable, "django": sys.executable,
    "fastapi": sys.executable,
}  # fmt: skip
