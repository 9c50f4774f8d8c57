"""deploy/: each file is valid for what reads it, and names what there is."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft7Validator

from tests.support.commands import run
from tests.support.compose_schema import COMPOSE
from tests.support.debian_programs import program, promtool
from tests.support.processes import Process, ask, running
from tests.support.sandbox import allowed_calls

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd/consent-proxy.service"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
STATE = "/var/lib/consent-proxy"


# --- systemd


def test_the_unit_is_the_one_of_the_docs() -> None:
    docs = (ROOT / "docs/install.md").read_text("utf-8")
    told = re.search(r"^```ini consent-proxy.service\n(.*?)^```$", docs, re.MULTILINE | re.DOTALL)
    assert told is not None
    assert told[1] == UNIT.read_text("utf-8")


def test_systemd_takes_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    text = UNIT.read_text()
    # What a minimal system, or this one, does not have.
    for path in ("/opt/consent-proxy/bin/consent-proxy", "/bin/kill"):
        assert path in text
        text = text.replace(path, shutil.which("true") or "")
    unit.write_text(text)
    for arguments in (
        ["verify", str(unit)],
        ["security", "--offline=true", "--threshold=15", str(unit)],
    ):
        done = subprocess.run(
            [program("systemd", "systemd-analyze"), "--no-pager", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert UNIT.name not in done.stderr, done.stderr


@pytest.mark.slow
def test_the_proxy_runs_with_no_more_than_the_unit_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts, serves, reloads and stops under the unit's filter of system calls."""
    assert "ptrace" not in allowed_calls(UNIT)
    assert "setrlimit" not in allowed_calls(UNIT)
    popen = subprocess.Popen

    def confined(command: list[str], **options: Any) -> Any:
        return popen(
            [sys.executable, "-m", "tests.support.sandbox", str(UNIT), *command], **options
        )

    monkeypatch.setattr("tests.support.processes.subprocess.Popen", confined)
    with running(tmp_path, 2) as (process, config, text, port):
        assert isinstance(process, Process)
        status, page, _ = ask(port)
        assert status == 200
        assert b"Reject" in page or b"yc" in page
        assert ask(port, "/.consent/choice", Sec_Fetch_Site="same-origin",
                   Content_Type="application/x-www-form-urlencoded")[0] == 303  # fmt: skip
        config.write_text(text.replace('controller = "Example"', 'controller = "Another"'))
        process.wait_for("config reloaded", 2)
        process.process.send_signal(signal.SIGHUP)
        process.wait_for("config reloaded", 4)
        assert ask(port)[0] == 200
        assert process.stop() == 0
    assert "Traceback" not in process.log
    assert "Operation not permitted" not in process.log + process.errors


# --- Kubernetes


def manifests() -> dict[str, dict[str, Any]]:
    files = (DEPLOY / "kubernetes").glob("*.yaml")
    return {path.name: yaml.safe_load(path.read_text("utf-8")) for path in sorted(files)}


MANIFESTS = manifests()
KUSTOMIZATION = MANIFESTS.pop("kustomization.yaml")
POD = MANIFESTS["deployment.yaml"]["spec"]["template"]
CONTAINER = POD["spec"]["containers"][0]


@pytest.mark.parametrize("version", ["1.31.0", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("name", MANIFESTS)
def test_kubernetes_takes_the_manifests(name: str, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


def test_a_misspelt_manifest_is_seen() -> None:
    wrong = {**MANIFESTS["service.yaml"], "specc": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.31.0", strict=True)


def test_the_kustomization_names_every_manifest() -> None:
    assert sorted(KUSTOMIZATION["resources"]) == sorted(MANIFESTS)
    (config,) = KUSTOMIZATION["configMapGenerator"]
    assert all((DEPLOY / "kubernetes" / file).exists() for file in config["files"])
    volumes = {volume["name"]: volume for volume in POD["spec"]["volumes"]}
    assert volumes["config"]["configMap"]["name"] == config["name"]
    (image,) = KUSTOMIZATION["images"]
    assert image["name"] == CONTAINER["image"]


def test_the_manifests_fit_together() -> None:
    labels = POD["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert ports == {"http": 8080, "admin": 8081}
    deployment = MANIFESTS["deployment.yaml"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        MANIFESTS["service.yaml"]["spec"]["selector"],
        MANIFESTS["poddisruptionbudget.yaml"]["spec"]["selector"]["matchLabels"],
        MANIFESTS["networkpolicy.yaml"]["spec"]["podSelector"]["matchLabels"],
        *(one["labelSelector"]["matchLabels"] for one in POD["spec"]["topologySpreadConstraints"]),
    ]
    assert all(selector == labels for selector in selectors)
    target = MANIFESTS["horizontalpodautoscaler.yaml"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert "replicas" not in deployment["spec"], "the autoscaler decides"
    assert [port["targetPort"] for port in MANIFESTS["service.yaml"]["spec"]["ports"]] == ["http"]
    asked = {CONTAINER[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")}
    assert asked == {"/healthz", "/readyz"}
    assert CONTAINER["livenessProbe"]["httpGet"]["path"] == "/healthz"
    drain = 5 + 8 + 1
    assert POD["spec"]["terminationGracePeriodSeconds"] > drain
    assert "USER 10001:10001" in DOCKERFILE
    assert POD["spec"]["securityContext"]["runAsUser"] == 10001
    mounts = {mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert {"/etc/consent-proxy", STATE} <= mounts
    assert not any("subPath" in mount for mount in CONTAINER["volumeMounts"])


def test_the_config_of_the_pods_is_valid(tmp_path: Path) -> None:
    text = (DEPLOY / "kubernetes/config/consent-proxy.toml").read_text("utf-8")
    assert 'admin_listen = "0.0.0.0:8081"' in text
    assert 'listen = "0.0.0.0:8080"' in text
    name = re.search(r'keys_variable = "(\w+)"', text)
    assert name is not None
    assert name[1] == CONTAINER["env"][0]["name"]
    file = tmp_path / "consent-proxy.toml"
    file.write_text(text.replace(STATE, str(tmp_path)).replace(f'keys_variable = "{name[1]}"', ""))
    done = run("check", file)
    assert done.exit_code == 0, done.output


# --- Compose

COMPOSE_FILE = Draft7Validator(COMPOSE)


def compose_files() -> Iterator[Any]:
    yield pytest.param((DEPLOY / "compose/compose.yaml").read_text("utf-8"), id="deploy")
    docs = (ROOT / "docs/install.md").read_text("utf-8")
    for number, sample in enumerate(
        re.findall(r"^```yaml compose.*?\n(.*?)^```$", docs, re.M | re.S)
    ):
        yield pytest.param(sample, id=f"install-{number}")


@pytest.mark.parametrize("text", list(compose_files()))
def test_compose_takes_the_file(text: str) -> None:
    """Of known keys and forms alone: Compose itself would need its daemon."""
    assert [error.message for error in COMPOSE_FILE.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize(
    ("written", "misspelt"),
    [
        ("read_only: true", "readonly: true"),
        ("condition: service_healthy", "condition: healthy"),
        ("cap_drop: [ALL]", "cap_drop: ALL"),
        ("ulimits: { nofile: 65536 }", "ulimits: { nofile: { soft: 65536 } }"),
        ("interval: 2s", "every: 2s"),
    ],
)
def test_a_mistake_in_a_compose_file_is_seen(written: str, misspelt: str) -> None:
    text = (DEPLOY / "compose/compose.yaml").read_text("utf-8")
    assert written in text
    assert list(COMPOSE_FILE.iter_errors(yaml.safe_load(text.replace(written, misspelt, 1))))


def test_what_compose_starts_first_is_there_and_healthy() -> None:
    """What the schema does not know: names of other services, and whether they have a check."""
    text = (DEPLOY / "compose/compose.yaml").read_text("utf-8")
    services = yaml.safe_load(text)["services"]
    for service in services.values():
        for other, how in service.get("depends_on", {}).items():
            assert other in services
            if how["condition"] == "service_healthy":
                assert services[other]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    docs = (DEPLOY / "compose/compose.yaml").read_text("utf-8").partition("name:")[0]
    assert set(re.findall(r"\$\{(\w+)", text)) == set(re.findall(r"[A-Z_]*PASSWORD", docs))


def test_compose_names_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = DEPLOY / "compose"
    services = yaml.safe_load((folder / "compose.yaml").read_text("utf-8"))["services"]
    assert set(services) == {"consent-proxy", "site", "postgresql", "prometheus", "grafana"}
    named = yaml.safe_load((folder / "compose.yaml").read_text("utf-8"))["volumes"]
    for service in services.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (folder / source).exists() if source.startswith(".") else source in named
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")
    own = services["consent-proxy"]
    assert own["read_only"] is True
    assert (folder / own["build"] / "Dockerfile").exists()
    assert not any("8081" in port for port in own["ports"])
    monkeypatch.setenv("DATABASE_PASSWORD", "x")
    file = tmp_path / "consent-proxy.toml"
    text = (folder / "config/consent-proxy.toml").read_text("utf-8")
    file.write_text(text.replace(STATE, str(tmp_path)))
    done = run("check", file)
    assert done.exit_code == 0, done.output


@pytest.mark.slow
def test_prometheus_of_the_composition_asks_the_proxy() -> None:
    promtool("check", "config", "prometheus.yml", cwd=ROOT / "examples/prometheus")
    config = yaml.safe_load((ROOT / "examples/prometheus/prometheus.yml").read_text("utf-8"))
    (job,) = config["scrape_configs"]
    assert job["static_configs"][0]["targets"] == ["consent-proxy:8081"]
    folder = DEPLOY / "compose/grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
