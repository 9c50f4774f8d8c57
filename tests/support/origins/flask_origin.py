"""An origin on Flask with its defaults. The folder of files is in ORIGIN_FOLDER."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask, Response, jsonify, request, send_file

FOLDER = Path(os.environ["ORIGIN_FOLDER"])
app = Flask(__name__, static_folder=str(FOLDER / "static"), static_url_path="/static")


def visitor() -> str:
    return request.cookies.get("sid", "nobody")


@app.get("/me")
def me() -> Response:
    return jsonify(owner=visitor())


@app.get("/send.pdf")
def send() -> Response:
    return send_file(FOLDER / visitor() / "statement.pdf", conditional=True)


@app.get("/page")
def page() -> str:
    return f"<!doctype html><title>{visitor()}</title><p>owner {visitor()}"
