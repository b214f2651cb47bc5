"""The manifests fit Kubernetes' own schemas, and their parts fit one another."""

import functools
import shutil
import subprocess
from typing import Any

import kubernetes_validate
import pytest
import yaml

import portico_core.config
import portico_facade.config
from tests.deployment.dockerfile import DOCKER, Instruction, stages

FOLDER = DOCKER / "kubernetes"
KUSTOMIZATION: Any = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
RESOURCES: list[Any] = [
    document
    for name in KUSTOMIZATION["resources"]
    for document in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))
]
HALVES = ("core", "facade")


@functools.cache
def _core() -> portico_core.config.Config:
    return portico_core.config.load(FOLDER / "portico.yaml", {"OPENAI_API_KEY": "sk-test"})


@functools.cache
def _facade() -> portico_facade.config.Settings:
    return portico_facade.config.load(FOLDER / "portico.yaml", {})


def _port(half: str) -> int:
    listen = _core().grpc.listen if half == "core" else _facade().listen
    return int(listen.rpartition(":")[2])


def _resource(kind: str, name: str) -> Any:
    (found,) = [each for each in RESOURCES if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def _pod(half: str) -> Any:
    return _resource("Deployment", half)["spec"]["template"]["spec"]


def _container(half: str) -> Any:
    (container,) = _pod(half)["containers"]
    return container


def _image(half: str, name: str) -> Instruction:
    (found,) = [each for each in stages(DOCKER / f"{half}.Dockerfile")[-1] if each.name == name]
    return found


# The oldest version that takes all we use (preStop `sleep`), and the newest that is known here.
@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("resource", RESOURCES, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_it_fits_the_schema(resource: Any, version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


def test_every_manifest_is_listed() -> None:
    files = {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml", "portico.yaml"}
    assert files == set(KUSTOMIZATION["resources"])


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is absent")
def test_kustomize_renders_it_all() -> None:
    rendered = subprocess.run(
        ("kubectl", "kustomize", str(FOLDER)), check=True, capture_output=True, text=True, timeout=60
    )
    documents = list(yaml.safe_load_all(rendered.stdout))
    assert len(documents) == len(RESOURCES) + 1
    (config,) = [each for each in documents if each["kind"] == "ConfigMap"]
    assert config["data"] == {"portico.yaml": (FOLDER / "portico.yaml").read_text(encoding="utf-8")}
    for half in HALVES:
        (pod,) = [
            each["spec"]["template"]["spec"]
            for each in documents
            if each["kind"] == "Deployment" and each["metadata"]["name"] == half
        ]
        assert [each["configMap"]["name"] for each in pod["volumes"]] == [config["metadata"]["name"]]


@pytest.mark.parametrize("half", HALVES)
def test_labels_ports_and_names_meet(half: str) -> None:
    """Service, Deployment, autoscaler, budget and network policy all mean the same pods."""
    labels = _resource("Deployment", half)["spec"]["template"]["metadata"]["labels"]
    service = _resource("Service", half)["spec"]
    assert service["selector"] == labels
    assert _resource("Deployment", half)["spec"]["selector"]["matchLabels"] == labels
    assert _resource("PodDisruptionBudget", half)["spec"]["selector"]["matchLabels"] == labels
    assert _resource("NetworkPolicy", half)["spec"]["podSelector"]["matchLabels"] == labels
    assert _resource("HorizontalPodAutoscaler", half)["spec"]["scaleTargetRef"]["name"] == half
    assert "replicas" not in _resource("Deployment", half)["spec"]

    port = _container(half)["ports"][0]
    assert port["containerPort"] == _port(half)
    assert service["ports"][0]["targetPort"] == port["name"]


def test_the_facade_balances_over_the_cores_addresses() -> None:
    """A headless Service, and a target that makes gRPC take all addresses of the name."""
    service = _resource("Service", "core")["spec"]
    assert service["clusterIP"] == "None"
    namespace = KUSTOMIZATION["namespace"]
    assert _facade().core == f"dns:///core.{namespace}.svc.cluster.local:{service['ports'][0]['port']}"
    assert _resource("Namespace", namespace)


@pytest.mark.parametrize("half", HALVES)
def test_nothing_is_killed_while_it_drains(half: str) -> None:
    drain = _core().grpc.drain if half == "core" else _facade().drain
    before = _container(half)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert before > 0
    assert _pod(half)["terminationGracePeriodSeconds"] >= before + drain + 5


def test_probes_ask_what_the_halves_answer() -> None:
    probes = ("startupProbe", "readinessProbe", "livenessProbe")
    assert [_container("core")[probe]["grpc"] for probe in probes] == [{"port": _port("core")}] * 3
    paths = [_container("facade")[probe]["httpGet"]["path"] for probe in probes]
    assert paths == ["/livez", "/readyz", "/livez"]


@pytest.mark.parametrize("half", HALVES)
def test_pods_pass_the_namespaces_restricted_standard(half: str) -> None:
    pod, container = _pod(half), _container(half)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == (
        _image(half, "USER").text
    )
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_keys_reach_the_core_alone() -> None:
    assert _container("core")["envFrom"] == [{"secretRef": {"name": "portico-keys"}}]
    assert not {"env", "envFrom"} & set(_container("facade"))
    calls = _resource("NetworkPolicy", "core")["spec"]["ingress"][0]
    assert calls["from"][0]["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "facade"}
    assert calls["ports"] == [{"port": _port("core")}]


def test_prometheus_reaches_the_cores_metrics_and_nothing_else_of_it() -> None:
    calls, scrapes = _resource("NetworkPolicy", "core")["spec"]["ingress"]
    assert [each["podSelector"] for each in scrapes["from"]] == [
        {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}
    ]
    admin = int((_core().admin or "").rpartition(":")[2])
    assert scrapes["ports"] == [{"port": admin}]
    assert {"port": admin} not in calls["ports"]
    assert _container("core")["ports"][1] == {"name": "metrics", "containerPort": admin}


@pytest.mark.parametrize("half", HALVES)
def test_the_configuration_is_mounted_where_the_image_looks(half: str) -> None:
    (mount,) = _container(half)["volumeMounts"]
    assert mount["mountPath"] == _image(half, "WORKDIR").text
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    assert generated["files"] == ["portico.yaml"]
    (volume,) = _pod(half)["volumes"]
    assert volume["configMap"]["name"] == generated["name"]
