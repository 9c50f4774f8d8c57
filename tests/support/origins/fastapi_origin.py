"""An origin on FastAPI with its defaults: FileResponse has ETag and Last-Modified, nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles

FOLDER = Path(os.environ["ORIGIN_FOLDER"])
app = FastAPI()
app.mount("/static", StaticFiles(directory=FOLDER / "static"))


def visitor(request: Request) -> str:
    return request.cookies.get("sid", "nobody")


@app.get("/me")
def me(request: Request) -> dict[str, str]:
    return {"owner": visitor(request)}


@app.get("/send.pdf")
def send(request: Request) -> FileResponse:
    return FileResponse(FOLDER / visitor(request) / "statement.pdf")


@app.get("/page")
def page(request: Request) -> HTMLResponse:
    who = visitor(request)
    return HTMLResponse(f"<!doctype html><title>{who}</title><p>owner {who}")
